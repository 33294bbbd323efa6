"""The conditions of a prediction: what they tell apart, and that reading them never fails."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from belm_runtime import InputError, Sampler, Schedule, State
from belm_runtime.conditions import _precision, conditions, differences

CPU = torch.device("cpu")
GRID = Schedule.preset("ddpm").grid(8)
NOISE = GRID.noise((4, 1, 8, 8), seed=0)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(64, 64)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(self.layer(x.flatten(1))).view_as(x)


def test_a_difference_is_told_by_name_and_what_is_absent_is_one() -> None:
    there, here = {"a": 1, "b": {"c": 2, "d": 3}, "e": None}, {"a": 1, "b": {"c": 2, "d": 4}, "f": "x"}
    expected = ["b.d is 3 there and 4 here", 'e is null there and "absent" here', 'f is "absent" there and "x" here']
    assert differences(there, here) == expected and not differences(here, here)


# ---- autocast ----------------------------------------------------------------------------------------------


def test_autocast_is_a_condition() -> None:
    assert conditions(CPU, 1)["autocast"] == "off"
    for dtype, name in ((torch.bfloat16, "bfloat16"), (torch.float16, "float16")):
        with torch.autocast("cpu", dtype):
            assert conditions(CPU, 1)["autocast"] == name
            with torch.autocast("cpu", enabled=False):
                assert conditions(CPU, 1)["autocast"] == "off"
    assert conditions(CPU, 1)["autocast"] == "off"


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_state_made_under_autocast_is_refused_outside_and_the_other_way_round(wrapped: bool) -> None:
    net = Net()
    model = net if wrapped else lambda x, t: net(x.float(), t)
    sampler = Sampler("blend:k=3", GRID, arithmetic="integer")
    plain = sampler.sample(model, NOISE)
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(InputError, match='autocast is "off" there and "bfloat16" here'):
            sampler.invert(model, plain)
        cast = sampler.sample(model, NOISE)
        assert torch.equal(sampler.invert(model, cast).x, sampler.rounded(NOISE))
    with pytest.raises(InputError, match='autocast is "bfloat16" there and "off" here'):
        sampler.invert(model, cast)
    forced = Sampler("blend:k=3", GRID, arithmetic="integer:force=1").invert(model, cast)
    assert float((forced.x - sampler.rounded(NOISE)).abs().max()) > 1e-3, "autocast is of consequence"


def test_a_state_that_does_not_know_a_condition_is_refused() -> None:
    model, sampler = Net(), Sampler("blend:k=3", GRID, arithmetic="integer")
    state = sampler.sample(model, NOISE)
    older = replace(state, conditions={name: v for name, v in state.conditions.items() if name != "autocast"})
    with pytest.raises(InputError, match='autocast is "absent" there and "off" here'):
        sampler.invert(model, older)


# ---- precision ---------------------------------------------------------------------------------------------

SETTINGS = {
    "torch.set_float32_matmul_precision('medium')": {"matmul": "bf16"},
    "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'": {"matmul": "bf16"},
    "torch.backends.mkldnn.conv.fp32_precision = 'bf16'": {"conv": "bf16"},
    "torch.backends.mkldnn.fp32_precision = 'bf16'": {"matmul": "bf16", "conv": "bf16", "rnn": "bf16"},
    "torch.backends.fp32_precision = 'tf32'": {"matmul": "tf32", "conv": "tf32", "rnn": "tf32"},
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'": {},
}
# A process for each: once the newer settings were used, torch refuses the older ones for good.
SCRIPT = """
import json, os, sys, torch
from belm_runtime import InputError, Sampler, Schedule

grid = Schedule.preset("ddpm").grid(6)
sampler = Sampler("blend:k=3", grid, arithmetic="integer")
noise, words = grid.noise((2, 3), seed=0), "accepted"
for setting in sys.argv[1:]:
    if not os.fork():
        break
    assert os.wait()[1] == 0
else:
    sys.exit()
torch.set_num_threads(1)
state = sampler.sample(lambda x, t: torch.tanh(x), noise)
exec(setting)
again = sampler.sample(lambda x, t: torch.tanh(x), noise)
assert torch.equal(sampler.invert(lambda x, t: torch.tanh(x), again).x, sampler.rounded(noise))
try:
    sampler.invert(lambda x, t: torch.tanh(x), state)
except InputError as error:
    words = str(error)
print(json.dumps([setting, state.conditions["precision"], again.conditions["precision"], words]), flush=True)
"""


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="before torch 2.9")
def test_the_precision_of_every_kind_of_operation_is_a_condition_however_it_was_set() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *SETTINGS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [setting for setting, *_ in found] == list(SETTINGS)
    for setting, before, after, words in found:
        assert before == {"matmul": "none", "conv": "none", "rnn": "none"}, setting
        assert after == {**before, **SETTINGS[setting]}, setting
        if not SETTINGS[setting]:
            assert words == "accepted", "a setting of another device"
        for operation, value in SETTINGS[setting].items():
            assert f'precision.{operation} is "none" there and "{value}" here' in words


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_of_an_older_torch_the_older_settings_are_read(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    older = SimpleNamespace(cudnn=SimpleNamespace(allow_tf32=True))
    monkeypatch.setattr(torch, "backends", older)
    assert _precision(device) == {"matmul": "highest", **({"conv": "tf32"} if device == "cuda" else {})}


# ---- a graph -----------------------------------------------------------------------------------------------


class Encoder(torch.nn.Module):
    """Its layers have a fast path of their own, without a graph only."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0)
        self.encoder = torch.nn.TransformerEncoder(layer, 2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.encoder(x.flatten(1).view(len(x), 4, 16)).view_as(x)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder().eval()


def detached(state: State) -> State:
    return replace(state, history=tuple(x.detach() for x in state.history))


@pytest.mark.parametrize("method", ["blend:k=3", "edict:p=0.93"])
@pytest.mark.parametrize("arithmetic", ["integer", "integer:batch=3"])
def test_a_state_made_with_a_graph_is_inverted_with_one(encoder: Encoder, method: str, arithmetic: str) -> None:
    sampler = Sampler(method, GRID, arithmetic=arithmetic)
    plain = sampler.sample(encoder, NOISE)
    state = sampler.sample(encoder, NOISE.clone().requires_grad_(), gradient="reversible")
    assert (plain.conditions["graph"], state.conditions["graph"]) == (False, True)
    assert not torch.equal(plain.x, state.x), "the graph is of consequence"
    for stored in (state, State.from_bytes(state.to_bytes())):
        back = sampler.invert(encoder, stored)
        assert torch.equal(back.x, sampler.rounded(NOISE)) and not back.x.requires_grad
        assert back.conditions == state.conditions
        again = sampler.sample(encoder, back)
        assert all(torch.equal(a, b) for a, b in zip(again.history, state.history, strict=True))
    assert torch.equal(sampler.invert(encoder, plain).x, sampler.rounded(NOISE))


def test_so_it_is_under_inference_mode_and_by_a_frozen_network(encoder: Encoder) -> None:
    sampler = Sampler("blend:k=3", GRID, arithmetic="integer")
    state = detached(sampler.sample(encoder, NOISE.clone().requires_grad_(), gradient="reversible"))
    with torch.inference_mode():
        assert torch.equal(sampler.invert(encoder, state).x, sampler.rounded(NOISE))
    frozen = Encoder().eval().requires_grad_(False)
    assert torch.equal(sampler.invert(frozen, state).x, sampler.rounded(NOISE))


def test_what_a_gradient_makes_of_a_plain_state_goes_back_if_that_one_was_at_the_noise(encoder: Encoder) -> None:
    sampler = Sampler("blend:k=3", GRID, arithmetic="integer")

    def going_on(state: State, stop: int = 0) -> State:
        leaves = tuple(x.detach().requires_grad_() for x in state.history)
        made = sampler.sample(encoder, replace(state, history=leaves), gradient="reversible", stop=stop)
        made.x.square().sum().backward()
        assert all(x.grad is not None for x in leaves)
        return detached(made)

    first = sampler.sample(encoder, NOISE.clone().requires_grad_(), gradient="reversible", stop=4)
    whole = going_on(first)
    assert whole.conditions["graph"] and torch.equal(sampler.invert(encoder, whole).x, sampler.rounded(NOISE))
    at_the_noise = sampler.invert(encoder, sampler.sample(encoder, NOISE))
    whole = going_on(at_the_noise)
    assert whole.conditions["graph"] is True
    assert torch.equal(sampler.invert(encoder, whole).x, sampler.rounded(NOISE))
    mixed = going_on(going_on(sampler.sample(encoder, NOISE, stop=4), stop=2))
    with pytest.raises(InputError, match=r'graph is "in part" there and false here.*integer:force=1'):
        sampler.invert(encoder, mixed)
    forced = Sampler("blend:k=3", GRID, arithmetic="integer:force=1").invert(encoder, mixed)
    assert not torch.equal(forced.x, sampler.rounded(NOISE))


def test_states_with_and_without_a_graph_are_not_of_one_batch(encoder: Encoder) -> None:
    sampler = Sampler("blend:k=3", GRID, arithmetic="integer:batch=1")
    plain = sampler.sample(encoder, NOISE)
    state = detached(sampler.sample(encoder, NOISE.clone().requires_grad_(), gradient="reversible"))
    with pytest.raises(InputError, match="graph is false there and true here"):
        State.joined([plain, state])
