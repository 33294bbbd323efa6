"""Guidance that changes along the run: what it predicts, what it asks, and that inversion still fits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from belm_runtime import InputError, Sampler, Schedule
from belm_runtime.guidance import Varying, guided_along, ramp, weighted
from belm_runtime.models import guided

SCHEDULE = Schedule.preset("ddpm")
GRID = SCHEDULE.grid(10)


class Toy:
    """A smooth model that counts its calls and remembers its times."""

    def __init__(self, shift: float) -> None:
        self.shift, self.times = shift, list[float]()

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.times.append(float(t[0]))
        return torch.tanh(0.5 * x + self.shift + t.reshape(-1, *(1,) * (x.dim() - 1)) / 2000)


def noise() -> Tensor:
    return GRID.noise((2, 5), seed=4)


def test_a_constant_weight_is_guided_itself() -> None:
    along, plain = guided_along(Toy(0.3), Toy(-0.2), 3.0, GRID), guided(Toy(0.3), Toy(-0.2), 3.0)
    constant = guided_along(Toy(0.3), Toy(-0.2), lambda u: 3.0, GRID)
    ends = [Sampler("open:k=3", GRID).sample(model, noise()).x for model in (along, plain, constant)]
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[1], ends[2])
    assert isinstance(constant, Varying) and not isinstance(along, Varying)


def test_the_weight_is_that_of_the_node() -> None:
    seen: list[float] = []

    def make(w: float) -> Toy:
        seen.append(w)
        return Toy(w)

    model = weighted(make, lambda u: 2 + u, GRID)
    Sampler("ddim", GRID).sample(model, noise())
    times = GRID.timesteps[1:]
    assert sorted(seen) == pytest.approx(sorted(2 + times / times[-1]))
    assert len(seen) == 10


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_weight_on_a_part_of_the_way_costs_nothing_elsewhere(direction: str) -> None:
    wanted, unwanted = Toy(0.3), Toy(-0.2)
    model = guided_along(wanted, unwanted, lambda u: 3.0 if 0.3 < u < 0.75 else 1.0, GRID)
    sampler = Sampler("open:k=3", GRID)
    state = sampler.sample(model, noise())
    if direction == "up":
        wanted.times.clear(), unwanted.times.clear()
        back = sampler.invert(model, state)
        assert float((back.x - noise()).abs().max()) < 1e-11
    guided_times = {t for t in GRID.timesteps.tolist() if 0.3 < t / GRID.timesteps[-1] < 0.75}
    assert set(unwanted.times) == guided_times and guided_times
    assert len(unwanted.times) < len(wanted.times)


def test_inversion_from_bare_data_uses_the_weight_of_each_time_also_while_it_climbs() -> None:
    grid = SCHEDULE.grid(10, "trailing")
    asked: list[float] = []

    def make(w: float) -> object:
        return lambda x, t: asked.append(float(t[0]) - w) or torch.tanh(x)

    model = weighted(make, lambda u: 999 * u, grid)
    Sampler("open:k=3", grid).invert(model, noise(), schedule=SCHEDULE)
    assert asked == pytest.approx([0] * len(asked), abs=1e-9)


def test_ramp() -> None:
    weight = ramp(1, 3)
    assert [weight(u) for u in (0, 0.5, 1)] == [3, 2, 1]
    with pytest.raises(InputError, match="guidance at the data = inf"):
        ramp(1, math.inf)


def test_it_can_be_called_outside_of_a_run() -> None:
    model = guided_along(Toy(0.3), Toy(-0.2), ramp(1, 3), GRID)
    x, t = noise(), torch.full((2,), float(GRID.timesteps[-1]), dtype=torch.float64)
    assert torch.equal(model(x, t), Toy(0.3)(x, t))


@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_the_round_trip_is_exact(arithmetic: str) -> None:
    sampler = Sampler("open:k=3", GRID, arithmetic=arithmetic)
    model = guided_along(Toy(0.3), Toy(-0.2), ramp(0, 4), GRID)
    back = sampler.invert(model, sampler.sample(model, noise()))
    assert float((back.x - noise()).abs().max()) < (1e-11 if arithmetic == "float64" else 1e-3)


def test_wrong_weights_and_conditions_are_found_before_the_run() -> None:
    with pytest.raises(InputError, match="guidance at u = 1 = nan"):
        guided_along(Toy(0), Toy(1), lambda u: math.nan if u == 1 else 1.0, GRID)
    with pytest.raises(InputError, match="guidance = 'x'"):
        guided_along(Toy(0), Toy(1), "x", GRID)  # type: ignore[arg-type]

    def refusing(w: float) -> Toy:
        raise InputError("no such label")

    with pytest.raises(InputError, match="no such label"):
        weighted(refusing, ramp(1, 2), GRID)
    with pytest.raises(InputError, match="must be callable"):
        weighted(lambda w: 3, ramp(1, 2), GRID)(noise(), torch.zeros(2))
