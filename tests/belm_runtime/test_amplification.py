"""Stability constants against products taken one by one, and against perturbations that are really run."""

from __future__ import annotations

import itertools
import math
import re
import time
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from belm_runtime import (
    AmplificationWarning,
    BareInversionWarning,
    Grid,
    Sampler,
    Schedule,
    UnstableWarning,
    coefficients,
)
from belm_runtime.amplification import amplification, amplification_along, step_matrices

METHODS = ["o-belm", "bdia:gamma=0.5", "bdia:gamma=1", "open:k=2", "open:k=3", "open:k=5", "blend:k=2", "blend:k=3"]
METHODS += ["blend:k=4,theta=0.6", "belm:k=3", "edict", "edict:p=0.7"]
METHODS += ["damped:k=2", "damped:k=3", "weights:k=3,a2=-0.4,a3=-0.3"]
DIRECTIONS = ["sampling", "inversion"]


def geometric(ratio: float, n: int) -> Grid:
    """sbar_i = ratio^i, so that h_i/h_{i+1} = 1/ratio everywhere; alpha = 1."""
    return Grid.from_arrays([1.0] * (n + 1), ratio ** np.arange(n + 1.0), np.arange(n + 1.0))


def companion(method: str, grid: Grid, coordinates: str) -> list[np.ndarray]:
    """The step maps, i = N - k + 1 … 1, written out from the rows of the table."""
    table = coefficients(method, grid)
    if table.method.stages:
        p = float(dict(table.method.parameters)["p"])
        mixing = np.array([[p, 1 - p], [(1 - p) * p, p + (1 - p) * (1 - p)]])
        ratio = grid.alpha[:-1] / grid.alpha[1:] if coordinates == "x" else np.ones(grid.steps)
        return [ratio[i - 1] * mixing for i in range(grid.steps, 0, -1)]
    k, w = table.k, table.w
    maps = []
    for row in table.rows:
        if not row.start:
            top = [row.a[j] * (w[row.i - 1] / w[row.i + j] if coordinates == "x" else 1.0) for j in range(k)]
            maps.append(np.array([top, *np.eye(k)[: k - 1].tolist()]))
    return maps


def largest_product(maps: list[np.ndarray]) -> float:
    """max(1, the norm of every contiguous product), each multiplied up from scratch."""
    norms = [1.0]
    for first, last in itertools.combinations_with_replacement(range(len(maps)), 2):
        product = np.eye(len(maps[0]))
        for matrix in maps[first : last + 1]:
            product = matrix @ product
        norms.append(np.abs(product).sum(1).max())
    return max(norms)


@pytest.mark.parametrize("coordinates", ["frame", "x"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("schedule", "spacing"), [("sd15", "leading"), ("ddpm", "karras")])
def test_products_one_by_one(method: str, direction: Any, coordinates: Any, schedule: str, spacing: str) -> None:
    grid = Schedule.preset(schedule).grid(9, spacing)
    maps = companion(method, grid, coordinates)
    if direction == "inversion":
        maps = [np.linalg.inv(matrix) for matrix in reversed(maps)]
    found = amplification(coefficients(method, grid), direction, coordinates)
    assert found == pytest.approx(largest_product(maps), rel=1e-9)
    assert Sampler(method, grid).amplification(direction, coordinates) == found


@pytest.mark.filterwarnings("ignore::belm_runtime.sampler.AmplificationWarning")
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_perturbed_states_stay_within_the_constant_and_reach_it(method: str, direction: str) -> None:
    """A network that predicts the frame's slope, and predicts 0, leaves the homogeneous relation; all signs are run."""
    grid = Schedule.preset("ddpm").grid(8, "trailing")
    prediction = {"noise": "epsilon", "flow": "flow"}[str(coefficients(method, grid).frame)]
    sampler = Sampler(method, grid, prediction=prediction)
    k, n = sampler.method.k, grid.steps
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=k)), dtype=torch.float64)
    edict = bool(sampler.method.stages)
    reached = 1.0
    for m in range(n + 1 if edict else n - k + 2):
        nodes = [m, m] if edict else list(range(m, m + k))
        state = sampler.state(list(signs.T), nodes)
        if direction == "sampling":
            grown = [sampler.sample(zero, state, stop=stop) for stop in range(m)]
        else:
            grown = [sampler.invert(zero, state, stop=stop) for stop in range(nodes[-1] + 1, n + 1)]
        reached = max([reached, *(float(x.abs().max()) for s in grown for x in s.history)])
    assert reached == pytest.approx(sampler.amplification(direction, "x"), rel=1e-9)


def zero(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x)


def test_o_belm_telescopes_to_squares_of_step_ratios() -> None:
    """Differences d_{i-1} = -g_i·d_i: on steps growing by r, an inversion of m rows multiplies them by r^{2m}."""
    r, n = 1.5, 12
    inverse = amplification(coefficients("o-belm", geometric(r, n)), "inversion", "frame")
    d = np.cumsum(np.array([(-(r**2)) ** m for m in range(n)]))
    # From (x_0, x_1) = (-1, 1) the difference is 2, and x_N = 1 + 2·(r² - r⁴ + …) in modulus.
    assert inverse == pytest.approx(np.abs(2 * d - 1).max(), rel=1e-9)
    assert amplification(coefficients("o-belm", geometric(r, n)), "sampling", "frame") == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("theta", "n"), [("0.8", 12), ("0.6", 30), ("1/3", 21)])
def test_two_step_blend_grows_by_its_root(theta: str, n: int) -> None:
    """k = 2: the parasitic root is -theta, so inversion multiplies a difference by 1/theta a step."""
    root = 1 / float(Fraction(theta))
    table = coefficients(f"blend:k=2,theta={theta}", geometric(1.1, n), frame="noise")
    differences = np.cumsum((-root) ** np.arange(n))
    assert amplification(table, "inversion", "frame") == pytest.approx(np.abs(2 * differences - 1).max(), rel=1e-9)
    assert amplification(table, "sampling", "frame") == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_open_methods_are_neutral_both_ways_in_their_frame(k: int) -> None:
    for schedule, spacing in itertools.product(["sd15", "ddpm"], ["leading", "logsnr"]):
        table = coefficients(f"open:k={k}", Schedule.preset(schedule).grid(40, spacing))
        assert amplification(table, "sampling", "frame") == amplification(table, "inversion", "frame") == 1
        # In x the constant is at most the spread of w = alpha + sigma, 1 … sqrt(2).
        assert amplification(table, "inversion", "x") <= math.sqrt(2)


def test_edicts_mixing_matrix() -> None:
    """In x/alpha every row is the same matrix with eigenvalues 1 and p²; the inverse grows like p^{-2N}."""
    table = coefficients("edict:p=0.9", Schedule.preset("sd15").grid(20))
    matrices = step_matrices(table, "frame")
    assert np.allclose(matrices, matrices[0], rtol=1e-12)
    assert sorted(np.linalg.eigvals(matrices[0]).real) == pytest.approx([0.81, 1.0], rel=1e-12)
    assert amplification(table, "sampling", "frame") == pytest.approx(1, abs=1e-12)
    inverse = amplification_along(table, "inversion", "frame")
    assert inverse[-1] / inverse[-2] == pytest.approx(1 / 0.81, rel=0.02)


@pytest.mark.parametrize("method", ["ddim", "adams:m=3", "bdia:gamma=0"])
def test_without_an_inverse_inversion_is_infinite(method: str) -> None:
    table = coefficients(method, Schedule.preset("sd15").grid(12))
    assert amplification(table, "inversion") == math.inf
    assert amplification(table, "sampling", "frame") == pytest.approx(1, abs=1e-12)


def test_start_rows_are_left_out_and_short_grids_have_no_rows() -> None:
    table = coefficients("open:k=4", Schedule.preset("sd15").grid(9))
    assert step_matrices(table).shape == (6, 4, 4)
    short = coefficients("open:k=4", Schedule.preset("sd15").grid(2))
    assert step_matrices(short).shape == (0, 4, 4)
    assert amplification(short, "inversion") == amplification(short, "sampling") == 1


def test_overflow_is_infinite_not_nan() -> None:
    table = coefficients("belm:k=5", Schedule.preset("sd15").grid(500, "trailing"))
    assert amplification(table, "sampling") == math.inf


def test_exact_grids_have_constants_too() -> None:
    levels = [Fraction(12 - n, 12) for n in range(10)]
    exact = Grid.from_arrays(levels, [1 - a for a in levels], [1 - a for a in levels])
    floats = Grid.from_arrays(*([float(v) for v in row] for row in (exact.alpha, exact.sigma, exact.timesteps)))
    for method in ("o-belm", "edict", "blend:k=3"):
        one, other = (amplification(coefficients(method, grid), "inversion") for grid in (exact, floats))
        assert one == pytest.approx(other, rel=1e-9)


def test_a_thousand_steps_are_cheap() -> None:
    table = coefficients("blend:k=3", Schedule.preset("ddpm").grid(1000, "trailing"))
    begin = time.perf_counter()
    assert amplification(table) > 1e40
    assert time.perf_counter() - begin < 2


# ---- warnings ------------------------------------------------------------------------------------------------


def warned(sampler: Sampler, x: Any, **options: Any) -> list[type]:
    """The kinds of warnings of an inversion, most special first."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sampler.invert(zero, x, **options)
    return [w.category for w in caught]


@pytest.mark.parametrize("theta", ["0.95", "0.9", "0.85", "0.8", "0.6"])
@pytest.mark.parametrize("steps", [10, 30, 60])
def test_a_bare_start_warns_from_thirty_on_and_a_state_from_a_hundred_thousand(theta: str, steps: int) -> None:
    sampler = Sampler(f"blend:k=3,theta={theta}", Schedule.preset("ddpm").grid(steps))
    x, factor = sampler.grid.noise((1, 2), 0), sampler.amplification()
    assert warned(sampler, x) == ([BareInversionWarning] if factor > 30 else [])
    state = sampler.sample(zero, x)
    assert warned(sampler, state) == ([AmplificationWarning] if factor > 1e5 else [])


def test_only_the_way_that_is_gone_counts() -> None:
    """An edit that turns half-way does not meet what the other half would amplify."""
    sampler = Sampler("blend:k=3,theta=0.8", Schedule.preset("ddpm").grid(50))
    x = sampler.grid.noise((1, 2), 0)
    growth = amplification_along(sampler.table, "inversion", "x")
    for stop in (2, 3, 20, 25, 30, 50):
        # Row n of the growth makes node n + k; the start makes the nodes below.
        expected = growth[: stop - 2].max(initial=1.0) > 30
        assert warned(sampler, x, stop=stop) == ([BareInversionWarning] if expected else [])
    assert not warned(sampler, x, stop=20) and warned(sampler, x, stop=30)


def test_the_warning_names_factor_and_advice() -> None:
    sampler = Sampler("o-belm", Schedule.preset("sd15").grid(20))
    words = f"o-belm .* bare x_0 .* {re.escape(f'{sampler.amplification():.1e}')} in x; from 30 on .* open:k=3"
    with pytest.warns(BareInversionWarning, match=words) as caught:
        sampler.invert(zero, sampler.grid.noise((1, 2), 0))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("method", ["open:k=2", "open:k=3", "open:k=4"])
def test_the_neutral_methods_never_warn(method: str) -> None:
    for name, spacing in (("ddpm", "leading"), ("sd15", "trailing")):
        sampler = Sampler(method, Schedule.preset(name).grid(100, spacing))
        assert not warned(sampler, sampler.grid.noise((1, 2), 0))


def said(method: str, steps: int) -> list[str]:
    """What sampling with a method warns of."""
    sampler = Sampler(method, Schedule.preset("ddpm").grid(steps))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sampler.sample(zero, sampler.grid.noise((1, 2), 0))
    assert {w.category for w in caught} <= {UnstableWarning}
    return [str(w.message) for w in caught]


@given(
    modulus=st.sampled_from([Fraction(n, 20) for n in (4, 12, 18, 19, 21, 22, 26, 30)]),
    sign=st.sampled_from([-1, 1]),
    other=st.fractions(Fraction(-9, 10), Fraction(9, 10), max_denominator=10),
)
def test_sampling_warns_of_a_root_outside_the_unit_circle_and_names_it(
    modulus: Fraction, sign: int, other: Fraction
) -> None:
    # (z - 1)(z - r)(z - other): c_1 = -(r + other), c_2 = r·other; a_2 = c_1 - c_2, a_3 = c_2.
    r = sign * modulus
    found = said(f"weights:k=3,a2={-(r + other) - r * other},a3={r * other}", 12)
    assert len(found) == (modulus > 1)
    assert all(f"a parasitic root has modulus {float(modulus):.4g} > 1" in message for message in found)


def test_sampling_with_maximal_order_belm_warns_by_its_constant_on_the_grid() -> None:
    (message,) = said("belm:k=3", 30)
    factor = amplification(coefficients("belm:k=3", Schedule.preset("ddpm").grid(30)), "sampling", "frame")
    assert f"up to {factor:.1e}: it is not zero-stable there" in message and factor > 1e5


@pytest.mark.parametrize("method", ["o-belm", "echo:k=4,theta=1", "damped:k=4", "edict", "weights:k=3,a2=1"])
def test_sampling_with_a_zero_stable_method_does_not_warn(method: str) -> None:
    assert said(method, 100) == []


def test_approximate_inversion_does_not_warn() -> None:
    sampler = Sampler("blend:k=3,theta=0.5", Schedule.preset("ddpm").grid(50))
    assert not warned(sampler, sampler.grid.noise((1, 2), 0), approximate=True)
