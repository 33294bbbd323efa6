"""Adapters: what reaches the network, what comes back, and how often it is called."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from belm_runtime.errors import InputError
from belm_runtime.models import PREDICTIONS, as_model, from_denoiser, from_unet, guided, mixing, to_epsilon


class Probe(nn.Module):
    """A network x -> 2x that remembers its calls; `result` names the form of what it returns."""

    def __init__(self, dtype: torch.dtype, result: str = "tensor") -> None:
        super().__init__()
        self.register_buffer("index", torch.zeros(3, dtype=torch.int64))
        self.gain = nn.Parameter(torch.tensor(2.0, dtype=dtype))
        self.result = result
        self.calls: list[tuple[Tensor, Tensor, dict[str, Any]]] = []

    def forward(self, sample: Tensor, time: Tensor, **conditioning: Any) -> Any:
        self.calls.append((sample, time, conditioning))
        out = self.gain * sample
        return {
            "tensor": out,
            "tuple": (out, "more"),
            "object": SimpleNamespace(sample=out),
            "list": [out],
            "empty": (),
            "variance": torch.cat([out, out], dim=1),
        }[self.result]


class Rational:
    """alpha = 1 − t, sigma = t."""

    def alpha_sigma(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 1.0 - t, t


def state(seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("wrap", [from_unet, as_model])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16, torch.float32])
def test_time_981_arrives_as_981_in_any_network(wrap: Any, low: torch.dtype) -> None:
    network = Probe(low)
    out = wrap(network)(state(), torch.tensor([981.0, 7.0], dtype=torch.float64))
    sample, time, _ = network.calls[0]
    assert float(torch.tensor(981.0).to(torch.bfloat16)) != 981.0
    assert time.dtype is torch.float32 and time.tolist() == [981.0, 7.0]
    assert sample.dtype is low and out.dtype is torch.float64
    assert torch.equal(out, (2 * state().to(low)).to(torch.float64))


def test_float64_network_gets_float64_state_and_time() -> None:
    network = Probe(torch.float64)
    out = as_model(network)(state(dtype=torch.float32), torch.tensor([0.1, 0.2], dtype=torch.float32))
    sample, time, _ = network.calls[0]
    assert (sample.dtype, time.dtype, out.dtype) == (torch.float64, torch.float64, torch.float32)


def test_dtype_argument_wins_and_eight_bit_storage_does_not_count() -> None:
    network = Probe(torch.float32)
    from_unet(network, dtype=torch.bfloat16)(state(), torch.tensor([3.0, 3.0]))
    assert network.calls[0][0].dtype is torch.bfloat16
    stored = nn.Module()
    stored.weight = nn.Parameter(torch.zeros(2).to(torch.float8_e4m3fn), requires_grad=False)
    stored.norm = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    stored.forward = lambda x, t: x.clone() if x.dtype is torch.bfloat16 else None
    assert as_model(stored)(state(), torch.ones(2)).dtype is torch.float64


def test_plain_function_gets_state_and_time_unchanged() -> None:
    seen: list[Any] = []

    def network(x: Tensor, t: Tensor, label: str) -> Tensor:
        seen.extend((x, t, label))
        return x

    x, t = state(dtype=torch.bfloat16), torch.tensor([5.0, 6.0], dtype=torch.float64)
    assert torch.equal(from_unet(network, label="cat")(x, t), x)
    assert seen[0] is x and seen[1] is t and seen[2] == "cat"


def test_timestep_scale_rounds_once() -> None:
    network = Probe(torch.bfloat16)
    fine = torch.linspace(0.001, 1.0, 999, dtype=torch.float64)
    x = torch.zeros(999, 1)
    from_unet(network, timestep_scale=1000.0)(x, fine)
    expected = (1000.0 * fine.numpy()).astype(np.float32)
    assert np.array_equal(network.calls[0][1].numpy(), expected)
    assert not np.array_equal(fine.numpy().astype(np.float32) * np.float32(1000.0), expected)


def test_time_goes_by_name_where_the_network_has_one() -> None:
    class Transformer(nn.Module):
        def forward(self, hidden: Tensor, text: Tensor, timestep: Tensor) -> Tensor:
            return hidden * text * timestep[:, None, None]

    x, t = state(), torch.tensor([2.0, 3.0], dtype=torch.float64)
    assert torch.equal(from_unet(Transformer(), text=torch.tensor(5.0))(x, t), x * 5 * t[:, None, None])


@pytest.mark.parametrize("result", ["tensor", "tuple", "object"])
def test_every_form_of_result_is_understood(result: str) -> None:
    network = Probe(torch.float64, result)
    mask = torch.ones(2)
    assert torch.equal(from_unet(network, mask=mask)(state(), torch.ones(2)), 2 * state())
    assert network.calls[0][2]["mask"] is mask


@pytest.mark.parametrize(
    ("result", "says"),
    [("list", "returned a list"), ("empty", "returned a tuple"), ("variance", r"\(2, 6, 4\) for x of")],
)
def test_unusable_result_is_refused(result: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_model(Probe(torch.float64, result))(state(), torch.ones(2))


def test_as_model_keeps_callables_and_refuses_the_rest() -> None:
    def model(x: Tensor, t: Tensor) -> Tensor:
        return x

    assert as_model(model) is model
    wrong: Any
    for wrong in (None, "sd15", torch.ones(2)):
        with pytest.raises(InputError, match=f"is a {type(wrong).__name__}"):
            as_model(wrong)
        with pytest.raises(InputError, match="callable"):
            from_unet(wrong)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), "fast"])
def test_timestep_scale_must_be_a_positive_number(scale: Any) -> None:
    with pytest.raises(InputError, match="timestep_scale"):
        from_unet(Probe(torch.float32), timestep_scale=scale)


@pytest.mark.parametrize("layer", [nn.Dropout(0.1), nn.Dropout2d(0.5), nn.BatchNorm2d(3)])
def test_training_mode_warns_once_and_is_left_alone(layer: nn.Module) -> None:
    network = nn.Sequential(nn.Identity(), nn.Sequential(layer))
    with pytest.warns(UserWarning, match=rf"{type(layer).__name__} in training mode.*\.eval\(\)"):
        as_model(network)
    assert layer.training
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_model(network)
        from_unet(network)


@pytest.mark.parametrize("network", [nn.Dropout(0.0), nn.Dropout(0.1).eval(), nn.LayerNorm(3)])
def test_deterministic_networks_do_not_warn(network: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_model(network)


def test_denoiser_is_called_in_variance_exploding_coordinates() -> None:
    seen = []

    def denoiser(x_hat: Tensor, sigma_hat: Tensor) -> Tensor:
        seen.append((x_hat, sigma_hat))
        return x_hat - sigma_hat[:, None, None]

    data, noise = state(1), state(2)
    t = torch.tensor([0.25, 0.5], dtype=torch.float64)
    alpha, sigma = (1 - t)[:, None, None], t[:, None, None]
    out = from_denoiser(denoiser, Rational())(alpha * data + sigma * noise, t)
    assert torch.allclose(seen[0][1], torch.tensor([1 / 3, 1.0], dtype=torch.float64), rtol=1e-15)
    assert torch.allclose(seen[0][0], data + sigma / alpha * noise, rtol=1e-14, atol=1e-15)
    assert torch.equal(out, seen[0][0] - seen[0][1][:, None, None])


def test_denoiser_module_keeps_sigma_out_of_low_precision() -> None:
    network = Probe(torch.bfloat16)
    out = from_denoiser(network, Rational())(state(), torch.tensor([0.3, 0.9], dtype=torch.float64))
    sample, sigma_hat, _ = network.calls[0]
    assert (sample.dtype, sigma_hat.dtype, out.dtype) == (torch.bfloat16, torch.float32, torch.float64)
    assert np.allclose(sigma_hat.numpy(), [3 / 7, 9.0], rtol=1e-7)


def test_denoiser_is_refused_where_alpha_vanishes() -> None:
    with pytest.raises(InputError, match=r"alpha = 0 at timestep 1\.0"):
        from_denoiser(lambda x, s: x, Rational())(state(), torch.tensor([0.5, 1.0]))


class Counter:
    """A model that counts its calls and returns c·x + t."""

    def __init__(self, factor: float) -> None:
        self.factor, self.count = factor, 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.count += 1
        return self.factor * x + t[:, None, None]


@given(st.floats(-20, 20))
def test_guidance_is_affine_in_the_scale(scale: float) -> None:
    x, t = state(3), torch.tensor([1.0, 2.0], dtype=torch.float64)
    wanted, unwanted = Counter(3.0), Counter(0.5)
    out = guided(wanted, unwanted, scale)(x, t)
    assert torch.allclose(out, (0.5 + 2.5 * scale) * x + t[:, None, None], rtol=0, atol=1e-12)
    assert (wanted.count, unwanted.count) == (int(scale != 0), int(scale != 1))


@pytest.mark.parametrize(("scale", "counts"), [(1, (1, 0)), (0, (0, 1)), (7.5, (1, 1))])
def test_guidance_calls_only_what_it_needs(scale: float, counts: tuple[int, int]) -> None:
    wanted, unwanted = Counter(3.0), Counter(0.5)
    guided(wanted, unwanted, scale)(state(), torch.ones(2))
    assert (wanted.count, unwanted.count) == counts


def test_guidance_takes_modules() -> None:
    out = guided(Probe(torch.bfloat16, "tuple"), Probe(torch.float32, "object"), 3.0)(state(), torch.ones(2))
    assert out.dtype is torch.float64 and torch.allclose(out, 2 * state(), rtol=0.03)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), None, "strong"])
def test_guidance_scale_must_be_finite(scale: Any) -> None:
    with pytest.raises(InputError, match="guidance scale"):
        guided(Counter(1.0), Counter(1.0), scale)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@given(alpha=st.floats(0, 2), sigma=st.floats(0.01, 2))
def test_every_prediction_gives_epsilon_back(prediction: str, alpha: float, sigma: float) -> None:
    data, noise = state(4), state(5)
    told = {
        "epsilon": noise,
        "v": alpha * noise - sigma * data,
        "sample": data,
        "flow": noise - data,
    }[prediction]
    found = to_epsilon(prediction, told, alpha * data + sigma * noise, alpha, sigma)
    assert torch.allclose(found, noise, rtol=0, atol=1e-12)
    levels = torch.tensor([alpha, sigma], dtype=torch.float64)
    found = to_epsilon(prediction, told, levels[0] * data + levels[1] * noise, levels[0], levels[1])
    assert torch.allclose(found, noise, rtol=0, atol=1e-12)


def test_predictions_that_say_nothing_are_refused() -> None:
    x = state()
    with pytest.raises(InputError, match=r"'sample' .* sigma = 0\.0"):
        to_epsilon("sample", x, x, 1.0, 0.0)
    assert to_epsilon("epsilon", x, state(1), 0.0, 1.0) is x
    assert torch.equal(to_epsilon("v", x, x, 1.0, 0.0), x)
    with pytest.raises(InputError, match=r"unknown prediction 'velocity'"):
        mixing("velocity", 1.0, 0.0)
    with pytest.raises(InputError, match=r"did you mean 'epsilon'"):
        to_epsilon("epsilo", x, x, 1.0, 1.0)
