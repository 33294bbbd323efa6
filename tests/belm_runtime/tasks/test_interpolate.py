"""Interpolation: the ends come back, the great circle is one, and the members of a state stay related."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from belm_runtime import InputError, Sampler, Schedule, State
from belm_runtime.guidance import Varying, ramp, weighted
from belm_runtime.mixture import GaussianMixture
from belm_runtime.tasks import interpolate, slerp

SCHEDULE = Schedule.preset("ddpm")
GRID = SCHEDULE.grid(10)
SAMPLER = Sampler("open:k=3", GRID)


class Toy:
    """A smooth model that counts its calls and the sizes of its batches."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift, self.batches = shift, list[int]()

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.batches.append(len(x))
        return torch.tanh(0.5 * x + self.shift + t.reshape(-1, *(1,) * (x.dim() - 1)) / 2000)


def pictures() -> tuple[Tensor, Tensor]:
    both = GRID.noise((4, 6), seed=3) / 2
    return both[:2], both[2:]


def state(*members: Tensor) -> State:
    return SAMPLER.state(members, range(len(members)))


@pytest.mark.parametrize("keep", [0.0, 0.4])
@pytest.mark.parametrize("method", ["open:k=3", "blend:k=3,theta=0.8", "edict"])
def test_the_ends_come_back(method: str, keep: float) -> None:
    a, b = pictures()
    path = interpolate(Sampler(method, GRID), Toy(), a, b, [0, 1], keep=keep)
    assert float((path.states[0].x - a).abs().max()) < 1e-10
    assert float((path.states[1].x - b).abs().max()) < 1e-10
    assert [end.nodes[0] for end in path.ends] == [10 - round(10 * keep)] * 2


def test_the_ends_come_back_under_models_of_their_own() -> None:
    a, b = pictures()
    path = interpolate(SAMPLER, Toy(0.3), a, b, [0.0, 0.5, 1.0], second_model=Toy(-0.3))
    assert float((path.states[0].x - a).abs().max()) < 1e-10
    assert float((path.states[2].x - b).abs().max()) < 1e-10


def test_one_run_for_each_end_and_each_weight() -> None:
    a, b = pictures()
    one, other = Toy(0.3), Toy(-0.3)
    path = interpolate(SAMPLER, one, a, b, [0.0, 0.5, 1.0], second_model=other)
    # Up 10 calls each; down 9 each, of both models only where both count.
    assert (len(one.batches), len(other.batches)) == (10 + 9 + 9, 10 + 9 + 9)
    assert path.calls == 2 * 10 + 3 * 9 and set(one.batches) == {2}
    same = Toy()
    interpolate(SAMPLER, same, a, b, [0.25, 0.75])
    assert len(same.batches) == 2 * 10 + 2 * 9


def test_the_model_between_may_be_anything() -> None:
    a, b = pictures()
    asked: list[float] = []

    def between(w: float) -> Toy:
        asked.append(w)
        return Toy(w)

    path = interpolate(SAMPLER, Toy(), a, b, [0.2, 0.9], between=between)
    assert asked == [0.2, 0.9]
    expected = SAMPLER.sample(Toy(0.9), slerp(*path.ends, 0.9))
    assert torch.equal(path.states[1].x, expected.x)


def test_models_that_change_along_the_run_are_mixed_time_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time is read back from the device: the run knows it."""
    a, b = pictures()
    one, other = (weighted(Toy, ramp(w, 0.0), GRID) for w in (0.3, -0.3))
    expected = interpolate(SAMPLER, lambda x, t: one(x, t), a, b, [0.25], second_model=lambda x, t: other(x, t))
    monkeypatch.setattr(Varying, "__call__", lambda *_: pytest.fail("read a time"))
    path = interpolate(SAMPLER, one, a, b, [0.25], second_model=other)
    assert torch.equal(path.states[0].x, expected.states[0].x)
    plain = interpolate(SAMPLER, Toy(0.3), a, b, [0.25], second_model=Toy(-0.3))
    assert not torch.equal(path.states[0].x, plain.states[0].x)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_between_states_of_one_length_the_length_stays_and_the_angle_grows_evenly(weight: float) -> None:
    draw = torch.Generator().manual_seed(1)
    a, b = (torch.nn.functional.normalize(torch.randn(5, 7, generator=draw, dtype=torch.float64)) for _ in range(2))
    found = slerp(state(a), state(b), weight).x
    torch.testing.assert_close(found.norm(dim=1), torch.ones(5, dtype=torch.float64))
    whole, part = (torch.arccos((a * x).sum(1).clamp(-1, 1)) for x in (b, found))
    torch.testing.assert_close(part, weight * whole, atol=1e-7, rtol=0)


def test_a_quarter_circle() -> None:
    a, b = torch.tensor([[2.0, 0.0]], dtype=torch.float64), torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    found = slerp(state(a), state(b), 1 / 3).x
    torch.testing.assert_close(found, torch.tensor([[2 * math.cos(math.pi / 6), 0.5]], dtype=torch.float64))


def test_linear_relations_between_the_members_stay() -> None:
    draw = torch.Generator().manual_seed(2)
    ends = []
    for _ in range(2):
        x, y = (torch.randn(3, 4, 2, generator=draw, dtype=torch.float64) for _ in range(2))
        ends.append(state(x, y, 2 * x - 0.5 * y))
    x, y, z = slerp(*ends, 0.37).history
    torch.testing.assert_close(z, 2 * x - 0.5 * y)


def test_parallel_states_are_joined_by_the_straight_line() -> None:
    x = torch.ones(2, 3, dtype=torch.float64)
    torch.testing.assert_close(slerp(state(x), state(2 * x), 0.25).x, 1.25 * x)
    torch.testing.assert_close(slerp(state(x), state(x), 0.25).x, x)
    # Opposite states determine no circle either; the line passes through the middle.
    assert slerp(state(x), state(-x), 0.5).x.isfinite().all()


def test_each_sample_has_its_own_angle() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    found = slerp(state(a), state(b), 0.5).x
    half = math.sqrt(0.5)
    torch.testing.assert_close(found, torch.tensor([[half, half], [1.0, 0.0]], dtype=torch.float64))


def test_on_a_gaussian_the_path_is_the_great_circle_of_the_whitened_data() -> None:
    """One Gaussian's flow is linear in x - alpha·mu, so what lies between is known in closed form."""
    grid = SCHEDULE.grid(100, "trailing")
    gaussian = GaussianMixture([[0.0] * 8], [0.7], [1.0], SCHEDULE)
    a, b = gaussian.sample_data(6, seed=1), gaussian.sample_data(6, seed=2)
    path = interpolate(Sampler("open:k=3", grid), gaussian, a, b, [0.3], schedule=SCHEDULE)
    torch.testing.assert_close(path.states[0].x, slerp(state(a), state(b), 0.3).x, atol=5e-3, rtol=0)


def test_float32_states_stay_float32() -> None:
    a, b = pictures()
    path = interpolate(Sampler("open:k=3", GRID, arithmetic="float32"), Toy(), a, b, [0.5])
    assert {x.dtype for s in (*path.ends, *path.states) for x in s.history} == {torch.float32}


def test_stored_states_are_ends_too() -> None:
    a, b = (SAMPLER.sample(Toy(), GRID.noise((2, 6), seed=n)) for n in (1, 2))
    path = interpolate(SAMPLER, Toy(), a, b, [0.0])
    assert float((path.states[0].x - a.x).abs().max()) < 1e-10
    assert float((path.ends[1].x - GRID.noise((2, 6), seed=2)).abs().max()) < 1e-10


def test_wrong_ends_and_weights_are_refused() -> None:
    a, b = pictures()
    with pytest.raises(InputError, match=r"shapes \(2, 6\) and \(1, 6\)"):
        interpolate(SAMPLER, Toy(), a, b[:1], [0.5])
    for weight in (-0.1, 1.01):
        with pytest.raises(InputError, match=f"weight {weight} is outside"):
            interpolate(SAMPLER, Toy(), a, b, [weight])
    with pytest.raises(InputError, match="weight = nan"):
        interpolate(SAMPLER, Toy(), a, b, [math.nan])
    with pytest.raises(InputError, match="keep"):
        interpolate(SAMPLER, Toy(), a, b, [0.5], keep=1.0)
    stranger = replace(SAMPLER.sample(Toy(), GRID.noise((2, 6), 0)), method="o-belm")
    with pytest.raises(InputError, match="another method"):
        interpolate(SAMPLER, Toy(), a, stranger, [0.5])
