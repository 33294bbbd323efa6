"""The conditions of a prediction: what they tell apart, and that reading them never fails."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from belm_runtime import InputError, Sampler, Schedule
from belm_runtime.conditions import conditions, differences

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
