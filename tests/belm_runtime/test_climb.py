"""The climb to the first nodes above a bare x_0: its nodes, its calls, what it gains, and that it stays exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from belm_runtime import Grid, InputError, Sampler, Schedule
from belm_runtime.climb import STEP, Climb
from belm_runtime.mixture import GaussianMixture
from belm_runtime.models import PREDICTIONS

GRIDS = [("ddpm", "leading"), ("ddpm", "trailing"), ("sd15", "trailing"), ("sd15", "karras"), ("flow", "trailing")]
METHODS = ["open:k=2", "open:k=3", "open:k=5", "blend:k=3,theta=0.9"]


class Recorder:
    """A smooth network that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, bytes]] = []

    @property
    def times(self) -> list[float]:
        return [t for t, _ in self.asked]

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.asked.append((float(t[0]), x.numpy().tobytes()))
        return torch.tanh(x + t.reshape(-1, *(1,) * (x.ndim - 1)) / 1000)


def picture() -> Tensor:
    return torch.linspace(-0.9, 0.9, 12, dtype=torch.float64).reshape(2, 6)


def s(grid: Grid) -> np.ndarray:
    return grid.sigma / (grid.alpha + grid.sigma)


@pytest.mark.parametrize(("name", "spacing"), GRIDS)
@pytest.mark.parametrize("steps", [6, 50])
def test_no_step_is_longer_than_the_way_before_it(name: str, spacing: str, steps: int) -> None:
    schedule = Schedule.preset(name)
    grid = schedule.grid(steps, spacing)
    climb = Climb.plan(schedule, grid, 3, "v")
    at = s(climb.fine)
    longest = np.minimum(at[1:-1], STEP)
    assert (np.diff(at)[1:] <= longest * (1 + 1e-12)).all()
    for i, stop in enumerate(climb.stops):
        assert (climb.fine.alpha[stop], climb.fine.sigma[stop]) == (grid.alpha[i], grid.sigma[i])
        assert climb.fine.timesteps[stop] == grid.timesteps[i]
    assert climb.fine.timesteps[1] == min(schedule.first_time, grid.timesteps[1])
    alpha, sigma = schedule.alpha_sigma(climb.fine.timesteps[1:])
    np.testing.assert_allclose(climb.fine.alpha[1:], alpha, rtol=1e-12)
    np.testing.assert_allclose(climb.fine.sigma[1:], sigma, rtol=1e-12)


@pytest.mark.parametrize(("name", "spacing"), GRIDS)
@pytest.mark.parametrize("steps", [6, 50])
def test_no_step_to_a_node_is_a_mere_rest(name: str, spacing: str, steps: int) -> None:
    schedule = Schedule.preset(name)
    climb = Climb.plan(schedule, schedule.grid(steps, spacing), 3, "v")
    for low, high in zip(climb.stops, climb.stops[1:], strict=False):
        lengths = np.diff(s(climb.fine))[max(low, 1) : high]  # The first of all goes to where training began.
        assert (lengths[1:] >= lengths[:-1] / 2).all()


def test_the_first_node_is_the_first_training_time() -> None:
    ddpm, flow = Schedule.preset("ddpm"), Schedule.preset("flow")
    assert Climb.plan(ddpm, ddpm.grid(20, "trailing"), 1, "epsilon").fine.timesteps[1] == 0
    assert Climb.plan(flow, flow.grid(20), 1, "v").fine.timesteps[1] == 1 / 1000
    # Below it there is nothing to learn: a grid that starts lower keeps its own first step.
    low = ddpm.grid(100, "power:p=2")
    assert low.timesteps[1] < 0
    assert Climb.plan(ddpm, low, 1, "epsilon").fine == Grid.from_arrays(low.alpha[:2], low.sigma[:2], low.timesteps[:2])


@pytest.mark.parametrize(("name", "spacing"), GRIDS)
@pytest.mark.parametrize("method", METHODS)
def test_no_model_call_is_made_twice(name: str, spacing: str, method: str) -> None:
    schedule, model = Schedule.preset(name), Recorder()
    grid = schedule.grid(12, spacing)
    sampler = Sampler(method, grid, prediction="v")
    back = sampler.invert(model, picture(), schedule=schedule)
    k = sampler.method.k
    climb = Climb.plan(schedule, grid, k - 1, "v")
    assert back.calls == len(model.asked) == climb.steps + 12 - k + 1
    assert len(set(model.asked)) == len(model.asked)
    # x_0 is asked about at the climb's first time, then every node below N at its own.
    assert model.times == [climb.fine.timesteps[1], *climb.fine.timesteps[1:-1], *grid.timesteps[k - 1 : -1]]
    assert back.nodes == tuple(range(12, 12 - k, -1))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_the_state_leads_back_to_x0(method: str, prediction: str) -> None:
    schedule = Schedule.preset("sd15")
    sampler = Sampler(method, schedule.grid(15, "trailing"), prediction=prediction)
    back = sampler.invert(Recorder(), picture(), schedule=schedule)
    again = sampler.sample(Recorder(), back)
    assert float((again.x - picture()).abs().max()) < 1e-10


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize(("name", "allowed"), [("ddpm", 1.25), ("sd15", 2)])  # sd15 begins at three times the noise.
def test_little_is_lost_against_a_start_from_the_true_states(name: str, allowed: float, spacing: str) -> None:
    """Against the closed form of one Gaussian: narrow data, which a clean picture at a noisy time misleads most."""
    schedule = Schedule.preset(name)
    grid = schedule.grid(20, spacing)
    gaussian = GaussianMixture([[0.5] * 6], [0.2], [1.0], schedule)
    x0 = gaussian.sample_data(20, seed=3)
    true = [gaussian.exact(x0, (1.0, 0.0), (grid.alpha[i], grid.sigma[i])) for i in (2, 1, 0, -1)]
    sampler = Sampler("open:k=3", grid)
    found = [
        sampler.invert(gaussian, x0), sampler.invert(gaussian, x0, schedule=schedule),
        sampler.invert(gaussian, sampler.state(true[:3], (2, 1, 0))),
    ]  # fmt: skip
    plain, climbed, floor = (float((back.x - true[-1]).norm()) for back in found)
    assert climbed < allowed * floor and climbed < plain


def test_shorter_steps_come_nearer_with_order_two() -> None:
    schedule = Schedule.preset("flow")
    grid = schedule.grid(4)
    gaussian = GaussianMixture([[0.5] * 6], [0.8], [1.0], schedule, "flow")
    x0 = gaussian.sample_data(10, seed=3)
    goal = gaussian.exact(x0, (1.0, 0.0), (grid.alpha[2], grid.sigma[2]))
    errors = []
    for step in (1 / 40, 1 / 80):
        states, predictions = Climb.plan(schedule, grid, 2, "flow", step).run(gaussian, x0)
        errors.append(float((states[0] - goal).norm()))
        assert len(states) == 3 and len(predictions) == 1 and torch.equal(states[2], x0)
    assert 3 < errors[0] / errors[1] < 5


def test_ddim_inversion_may_climb_too() -> None:
    schedule, model = Schedule.preset("ddpm"), Recorder()
    grid = schedule.grid(10, "trailing")
    gaussian = GaussianMixture([[0.5] * 6], [0.2], [1.0], schedule)
    x0 = gaussian.sample_data(20, seed=3)
    seed = gaussian.exact(x0, (1.0, 0.0), (grid.alpha[-1], grid.sigma[-1]))
    for method in ("ddim", "adams:m=3"):
        sampler = Sampler(method, grid)
        plain, climbed = (sampler.invert(gaussian, x0, approximate=True, schedule=k).x - seed for k in (None, schedule))
        assert float(climbed.norm()) < float(plain.norm())
        sampler.invert(model, picture(), approximate=True, schedule=schedule)
        assert len(set(model.asked)) == len(model.asked)
        model.asked.clear()


def test_what_needs_no_climb_does_not_climb() -> None:
    schedule = Schedule.preset("ddpm")
    grid = schedule.grid(8, "trailing")
    for method, calls in (("edict", 16), ("open:k=3", 8)):
        sampler = Sampler(method, grid)
        known = sampler.sample(Recorder(), grid.noise((2, 6), 0)) if method != "edict" else picture()
        plain, told = (sampler.invert(Recorder(), known, schedule=s) for s in (None, schedule))
        assert torch.equal(plain.x, told.x) and plain.calls == told.calls <= calls
    assert Sampler("open:k=3", grid).invert(Recorder(), picture(), stop=0, schedule=schedule).calls == 0


def test_it_stops_where_it_is_told() -> None:
    schedule = Schedule.preset("ddpm")
    sampler = Sampler("open:k=4", schedule.grid(8, "trailing"))
    for stop in (1, 2, 3, 5):
        back = sampler.invert(Recorder(), picture(), stop=stop, schedule=schedule)
        assert back.nodes == tuple(range(stop, max(stop - 4, -1), -1))
        assert torch.equal(back.history[-1], picture()) == (stop <= 3)


def test_progress_runs_once_from_the_first_step_to_the_last() -> None:
    told: list[tuple[int, int]] = []
    schedule = Schedule.preset("ddpm")
    sampler = Sampler("open:k=3", schedule.grid(9, "trailing"), progress=lambda *now: told.append(now))
    back = sampler.invert(Recorder(), picture(), schedule=schedule)
    assert told == [(n, back.calls) for n in range(1, back.calls + 1)]


def test_float32_states_stay_float32() -> None:
    schedule = Schedule.preset("ddpm")
    sampler = Sampler("open:k=3", schedule.grid(9, "trailing"), arithmetic="float32")
    back = sampler.invert(Recorder(), picture(), schedule=schedule)
    assert {x.dtype for x in back.history} == {torch.float32}


def test_another_schedule_is_refused() -> None:
    ddpm, sd15 = Schedule.preset("ddpm"), Schedule.preset("sd15")
    with pytest.raises(InputError, match=r"not of the schedule 'sd15': node 1 has sigma = .* at timestep 124"):
        Sampler("open:k=3", ddpm.grid(8, "trailing")).invert(Recorder(), picture(), schedule=sd15)
    with pytest.raises(InputError, match="not of the schedule 'flow'"):
        Sampler("open:k=3", ddpm.grid(8)).invert(Recorder(), picture(), schedule=Schedule.preset("flow"))
    with pytest.raises(InputError, match="step = 0"):
        Climb.plan(ddpm, ddpm.grid(8), 2, "epsilon", 0)


def test_a_grid_that_ends_at_the_first_training_node_climbs_from_there() -> None:
    schedule, model = Schedule.preset("ddpm"), Recorder()
    grid = schedule.grid(8, "trailing", end="first")
    sampler = Sampler("open:k=3", grid)
    back = sampler.invert(model, picture(), schedule=schedule)
    assert float((sampler.sample(model, back).x - picture()).abs().max()) < 1e-10
    assert Climb.plan(schedule, grid, 2, "epsilon").fine.sigma[0] == grid.sigma[0] > 0
