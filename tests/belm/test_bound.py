"""The explicit error bound against runs on one Gaussian, whose solution is known, and against a hand computation."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from belm.bound import ErrorBound, error_bound, local_errors
from belm_runtime import Grid, Sampler, Schedule, coefficients
from belm_runtime.errors import InputError
from belm_runtime.mixture import GaussianMixture

MEAN, WIDTH = 0.3, 0.5
SEED = torch.tensor([[1.2], [-0.7], [0.1]], dtype=torch.float64)
METHODS = ["ddim", "bdia:gamma=0.5", "bdia:gamma=1", "o-belm", "open:k=2", "open:k=3", "blend:k=3,theta=0.8",
           "adams:m=2"]  # fmt: skip


class Run(NamedTuple):
    error: float
    worst: float
    local: list[float]
    start: float


def lipschitz(grid: Grid, frame: str) -> list[float]:
    """|df/dX|: with gap = x - alpha·mu and V = alpha²c² + sigma², eps = sigma·gap/V, D = mu + alpha·c²·gap/V."""
    alpha, sigma, c2 = grid.alpha, grid.sigma, WIDTH**2
    variance = alpha**2 * c2 + sigma**2
    in_x, w = (sigma, alpha) if frame == "noise" else (sigma - alpha * c2, alpha + sigma)
    slope = in_x * w / variance
    # One unit in the last place upwards: the bound takes upper bounds.
    return np.nextafter(np.abs(slope), math.inf).tolist()


def run(method: str, grid: Grid, frame: str) -> Run:
    """Error at the data and at all nodes, local errors of the exact solution, error of the start; all in X."""
    prediction = "flow" if grid.schedule == "flow" else "epsilon"
    gaussian = GaussianMixture([[MEAN]], [WIDTH], [1.0], Schedule.preset(grid.schedule), prediction)
    sampler = Sampler(method, grid, frame=frame, prediction=prediction)
    nodes = [(float(a), float(o)) for a, o in zip(grid.alpha, grid.sigma, strict=True)]
    exact = [gaussian.exact(SEED, nodes[-1], pair) for pair in nodes]
    w = grid.alpha + (grid.sigma if frame == "flow" else 0)
    epsilon = [gaussian.epsilon(x, *pair) for x, pair in zip(exact, nodes, strict=True)]
    data = [gaussian.denoised(x, *pair) for x, pair in zip(exact, nodes, strict=True)]
    slopes = np.array([(e - d if frame == "flow" else e).numpy() for e, d in zip(epsilon, data, strict=True)])
    states = np.array([(x / weight).numpy() for x, weight in zip(exact, w, strict=True)])

    def error(node: int) -> float:
        x = sampler.sample(gaussian, SEED, stop=node).x / w[node]
        return float(np.abs(x.numpy() - states[node]).max())

    errors = [error(node) for node in range(grid.steps + 1)]
    table = coefficients(method, grid, frame=frame)
    return Run(errors[0], max(errors), local_errors(table, states, slopes), max(errors[grid.steps - table.k + 1 :]))


CASES = [("sd15", "leading", 10, "noise"), ("sd15", "trailing", 30, "noise"), ("sd15", "logsnr", 20, "flow"),
         ("flow", "trailing", 25, "flow")]  # fmt: skip


@pytest.mark.parametrize(("schedule", "spacing", "steps", "frame"), CASES)
@pytest.mark.parametrize("method", METHODS)
def test_observed_errors_stay_below_the_bound(method: str, schedule: str, spacing: str, steps: int, frame: str) -> None:
    grid = Schedule.preset(schedule).grid(steps, spacing)
    found = run(method, grid, frame)
    sizes = lipschitz(grid, frame)
    sharp = error_bound(method, grid, sizes, found.local, found.start, frame=frame)
    plain = error_bound(method, grid, max(sizes), found.local, found.start, frame=frame)
    rounding = 1e-11
    assert found.worst <= sharp.value + rounding
    assert sharp.value <= plain.value
    # Not by a triviality: something was made, and the bound is no astronomically large number where slopes add up.
    assert found.error > 1e-8
    if method == "ddim":
        assert sharp.value < 10_000 * found.worst


def test_in_the_noise_frame_one_over_twice_the_width_bounds_every_slope() -> None:
    for schedule in ("sd15", "ddpm"):
        assert max(lipschitz(Schedule.preset(schedule).grid(100), "noise")) <= 1 / (2 * WIDTH) * (1 + 1e-15)


@pytest.mark.parametrize(("method", "order"), [("ddim", 1), ("blend:k=3,theta=0.8", 2), ("open:k=2", 2)])
def test_the_bound_falls_with_the_order_of_the_method(method: str, order: int) -> None:
    """With exact starting values and K = 1 it is Σ|tau| up to a factor; open:k=2 has order 2 on this uniform grid."""
    values = []
    for n in (100, 200):
        t = np.linspace(0.2, 0.8, n + 1)
        grid = Grid.from_arrays(1 - t, t, t, schedule="flow")
        values.append(error_bound(method, grid, lipschitz(grid, "flow"), run_local(method, grid)).value)
    assert math.log2(values[0] / values[1]) == pytest.approx(order, abs=0.1)


def run_local(method: str, grid: Grid) -> list[float]:
    growth = np.sqrt(grid.alpha**2 * WIDTH**2 + grid.sigma**2)
    w = grid.alpha + grid.sigma
    gap = SEED.numpy().T * growth[:, None]
    variance = growth[:, None] ** 2
    x = grid.alpha[:, None] * MEAN + gap
    slope = (grid.sigma[:, None] - grid.alpha[:, None] * WIDTH**2) * gap / variance - MEAN
    return local_errors(coefficients(method, grid, frame="flow"), x / w[:, None], slope)


def test_a_bound_by_hand() -> None:
    """Leapfrog on sbar = 0 … 4: K = 1, b h = -2, so (start + Σ)·Π(1 + 2·L_i)."""
    sbar = [Fraction(i) for i in range(5)]
    grid = Grid.from_arrays([Fraction(1)] * 5, sbar, sbar)
    found = error_bound("open:k=2", grid, [0, 1, Fraction(1, 2), 3, 99], [1, 2, 4], Fraction(1, 3), frame="noise")
    assert isinstance(found, ErrorBound)
    # Rows i = 3, 2, 1 take their slope at node i; nodes 0 and 4 are never used.
    for slope, expected in zip(found.slopes, (6, 1, 2), strict=True):
        assert expected <= slope <= expected + Fraction(1, 10**60)
    value = (Fraction(1, 3) + 7) * 7 * 2 * 3
    assert value <= found.value <= value * (1 + Fraction(1, 10**60))
    assert found.log10 == pytest.approx(math.log10(value))
    assert (found.start, found.local) == (Fraction(1, 3), (1, 2, 4))


def test_the_stability_constant_enters_twice() -> None:
    """O-BELM on h = 1, 1/2: g = 4, K > 1, in the factor and in the product."""
    sbar = [Fraction(0), Fraction(2), Fraction(3)]
    grid = Grid.from_arrays([Fraction(1)] * 3, sbar, sbar)
    found = error_bound("o-belm", grid, 1, [Fraction(1, 7)])
    # a = (1 - 4, 4), ‖R‖ = 7; b h_1 = -(2 + 1)/1·2 = -6.
    exact = 7 * Fraction(1, 7) * (1 + 7 * 6)
    assert 7 <= found.constant <= 7 + Fraction(1, 10**60)
    assert exact <= found.value <= exact * (1 + Fraction(1, 10**60))


@pytest.mark.parametrize(("method", "frame"), [("exp-blend:k=4", "noise"), ("exp-adams:m=2", "flow"),
                                               ("exp-blend:k=5,theta=0.4", "data")])  # fmt: skip
def test_the_slopes_of_exponential_variants_are_those_of_the_table(method: str, frame: str) -> None:
    grid = Schedule.preset("sd15").grid(9, "trailing", end="first" if frame == "data" else "zero")
    table = coefficients(method, grid, frame=frame)
    rows = 9 - table.k + 1
    pairs = [list(zip(table.b[i - 1], table.h[i - 1 :], strict=False)) for i in range(rows, 0, -1)]
    sizes = [sum(abs(b * h) for b, h in row) for row in pairs]
    found = error_bound(method, grid, 1, [0] * rows, frame=frame)
    assert [float(beta) for beta in found.slopes] == pytest.approx(sizes, rel=1e-12)
    assert found.constant == error_bound(method.removeprefix("exp-"), grid, 1, [0] * rows, frame=frame).constant


def test_beyond_floats_and_nothing_at_all() -> None:
    grid = Schedule.preset("ddpm").grid(50)
    huge = error_bound("o-belm", grid, 10**12, [1.0] * 49)
    assert 308 < huge.log10 < 10_000
    assert error_bound("o-belm", grid, 1, [0] * 49).log10 == -math.inf


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "edict"}, "two registers"),
        ({"lipschitz": -1}, "lipschitz = -1"),
        ({"lipschitz": [1.0] * 9}, "lipschitz has 9 entries; it needs 10"),
        ({"lipschitz": math.nan}, "lipschitz = nan"),
        ({"local": [1.0] * 9}, "local has 9 entries; it needs 8"),
        ({"local": [math.inf] * 8}, "local = inf"),
        ({"start": -0.5}, "start = -0.5"),
        ({"frame": "data"}, "sigma_0 > 0"),
    ],
)
def test_wrong_input(changed: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"method": "o-belm", "lipschitz": 1, "local": [0.1] * 8, "start": 0.0}
    call = {**right, **changed}
    with pytest.raises(InputError, match=message):
        error_bound(call.pop("method"), Schedule.preset("sd15").grid(9), **call)
