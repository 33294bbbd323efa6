"""Grids: what they accept, float and exact, how they are told apart, and the noise they draw."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from belm_runtime.errors import InputError
from belm_runtime.grid import Grid
from belm_runtime.schedule import Schedule

ALPHA, SIGMA, TIMES = [1.0, 0.9, 0.5, 0.0], [0.0, 0.3, 0.8, 1.0], [0, 0, 10, 20]


def test_a_grid_keeps_its_arrays_read_only() -> None:
    alpha = np.array(ALPHA)
    grid = Grid.from_arrays(alpha, SIGMA, TIMES, schedule="mine", spacing="odd")
    alpha[0] = 7
    assert grid.alpha.tolist() == ALPHA and grid.sigma.tolist() == SIGMA and grid.timesteps.tolist() == TIMES
    assert grid.alpha.dtype == grid.timesteps.dtype == np.float64
    assert grid.steps == 3 and not grid.exact
    assert grid.sbar.tolist() == [0, 0.3 / 0.9, 0.8 / 0.5, np.inf]
    for array in (grid.alpha, grid.sigma, grid.timesteps):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2
    assert repr(grid) == f"Grid(mine, odd, steps=3, {grid.fingerprint[:8]})"


def test_fingerprint_is_of_the_numbers_alone() -> None:
    grid = Grid.from_arrays(ALPHA, SIGMA, TIMES)
    renamed = Grid.from_arrays(ALPHA, [-0.0, 0.3, 0.8, 1.0], TIMES, schedule="other")
    assert grid == renamed and hash(grid) == hash(renamed) and grid.fingerprint == renamed.fingerprint
    arrays = [np.array(values, dtype="<f8").tobytes() + b";" for values in (ALPHA, SIGMA, TIMES)]
    assert grid.fingerprint == hashlib.sha256(b"".join(arrays)).hexdigest()
    changes: list[list[float]] = [[1, 0.9, 0.5, 1e-9], [0, 0.3, 0.8, 1.5], [0, 0, 10, 21]]
    for i, changed in enumerate(changes):
        other: list[list[Any]] = [ALPHA, SIGMA, TIMES]
        other[i] = changed
        assert Grid.from_arrays(*other) != grid
    assert grid != "grid"


@st.composite
def rational_nodes(draw: st.DrawFn) -> tuple[list[Fraction], list[Fraction]]:
    """Rational alpha and sigma of 2 … 8 nodes, sigma/alpha increasing."""
    steps = draw(st.lists(st.fractions(Fraction(1, 50), 3, max_denominator=50), min_size=1, max_size=7))
    alpha = [draw(st.fractions(Fraction(1, 50), 2, max_denominator=50)) for _ in range(len(steps) + 1)]
    sbar = [sum(steps[:i], Fraction(0)) for i in range(len(alpha))]
    return alpha, [a * s for a, s in zip(alpha, sbar, strict=True)]


@given(nodes=rational_nodes())
def test_exact_grids_stay_exact(nodes: tuple[list[Fraction], list[Fraction]]) -> None:
    alpha, sigma = nodes
    grid = Grid.from_arrays(alpha, sigma, range(len(alpha)))
    assert grid.exact and grid.alpha.dtype == grid.sigma.dtype == object
    assert all(type(value) is Fraction for value in [*grid.alpha, *grid.sigma])
    assert grid.alpha.tolist() == alpha and grid.sbar.tolist() == [s / a for a, s in zip(*nodes, strict=True)]
    assert grid.timesteps.dtype == np.float64
    texts = [",".join(map(str, alpha)), ",".join(map(str, sigma))]
    times = grid.timesteps.tobytes()
    digest = hashlib.sha256(f"{texts[0]};{texts[1]};".encode() + times + b";")
    assert grid.fingerprint == digest.hexdigest()


@given(nodes=rational_nodes(), data=st.data())
def test_swapped_or_repeated_nodes_are_refused(
    nodes: tuple[list[Fraction], list[Fraction]], data: st.DataObject
) -> None:
    alpha, sigma = nodes
    i = data.draw(st.integers(1, len(alpha) - 1))
    again = Grid.from_arrays([*alpha[:i], *alpha[i:]], sigma, range(len(alpha)))
    assert again.steps == len(alpha) - 1
    double = Fraction(2)
    with pytest.raises(InputError, match=rf"^node {i + 1} \(.*\) repeats node {i} "):
        Grid.from_arrays(
            [*alpha[: i + 1], double * alpha[i], *alpha[i + 1 :]],
            [*sigma[: i + 1], double * sigma[i], *sigma[i + 1 :]],
            range(len(alpha) + 1),
        )
    with pytest.raises(InputError, match=rf"falls from node {i} \(.*\) to node {i + 1} "):
        Grid.from_arrays(
            [*alpha[: i + 1], double * alpha[i], *alpha[i + 1 :]],
            [*sigma[: i + 1], sigma[i], *sigma[i + 1 :]],
            range(len(alpha) + 1),
        )


def test_exact_timesteps_and_an_infinite_end() -> None:
    half = Fraction(1, 2)
    grid = Grid.from_arrays([1, half, 0], [0, half, 1], [0, half, 1])
    assert grid.exact and grid.timesteps.tolist() == [0, half, 1] and grid.timesteps.dtype == object
    assert grid.sbar.tolist() == [0, 1, np.inf]
    assert "exact" in repr(grid)
    assert grid != Grid.from_arrays([1, 0.5, 0], [0, 0.5, 1], [0, 0.5, 1])


def test_an_increase_smaller_than_a_division_can_see_counts_in_exact_grids() -> None:
    tiny = Fraction(1, 10**40)
    grid = Grid.from_arrays([1, 1, 1], [0, Fraction(1), 1 + tiny], [0, 1, 2])
    assert grid.sbar[2] - grid.sbar[1] == tiny


@pytest.mark.parametrize(
    ("alpha", "sigma", "times", "message"),
    [
        ([1, 0.9], [0, 0.1], [0, 1, 2], r"one length of 2 or more, not \[2, 2, 3\]"),
        ([1], [0], [0], r"not \[1, 1, 1\]"),
        ([[1, 0.9]], [0, 0.1], [0, 1], r"alpha must be one-dimensional, not of shape \(1, 2\)"),
        ([1, "a"], [0, 0.1], [0, 1], "alpha must hold real numbers"),
        ([1, [2, 3]], [0, 0.1], [0, 1], "alpha must be a list of numbers"),
        ([1, np.nan], [0, 0.1], [0, 1], r"alpha\[1\] = nan must be finite"),
        ([1, 0.9], [0, np.inf], [0, 1], r"sigma\[1\] = inf must be finite"),
        ([1, 0.9], [0, 0.1], [0, np.nan], r"timesteps\[1\] = nan must be finite"),
        ([1, 0, 0.5], [0, 0.5, 0.8], [0, 1, 2], r"alpha\[1\] = 0.0 must be > 0"),
        ([1, -0.5], [0, 0.5], [0, 1], r"alpha\[1\] = -0.5 must be ≥ 0"),
        ([1, 0.5], [-0.1, 0.5], [0, 1], r"sigma\[0\] = -0.1 must be ≥ 0"),
        ([0.1, 1], [1, 0], [0, 1], r"sigma\[1\] = 0.0 must be > 0"),
        ([1, 0.9, 0.9], [0, 0.3, 0.3], [0, 1, 2], r"^node 2 \(alpha = 0.9, sigma = 0.3\) repeats node 1 "),
        ([1, 0.9, 0.95], [0, 0.3, 0.2], [0, 1, 2], "falls from node 1 .* to node 2 "),
        ([1, Fraction(1, 2)], [0, 0.5], [0, 1], r"sigma\[0\] = 0.0 is no exact number"),
    ],
)
def test_wrong_nodes_are_named(alpha: list[object], sigma: list[object], times: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Grid.from_arrays(alpha, sigma, times)
    assert "\n" not in str(caught.value)


def test_only_levels_must_increase_not_timesteps() -> None:
    assert Schedule.preset("ddpm").grid(10).timesteps[:2].tolist() == [0, 0]
    assert Grid.from_arrays([1, 0.9, 0.5], [0, 0.3, 0.8], [0, 20, 10]).steps == 2


@pytest.mark.parametrize("grid", [Schedule.preset("sd15").grid(50), Schedule.preset("flow").grid(10)])
def test_noise_is_the_standard_normal_of_its_seed_and_index(grid: Grid) -> None:
    noise = grid.noise((5, 2, 3), 11)
    assert noise.shape == (5, 2, 3) and noise.dtype == torch.float64 and noise.device.type == "cpu"
    key = np.array([11, 3], dtype=np.uint64)
    own = np.random.Generator(np.random.Philox(key=key)).standard_normal((2, 3))
    assert (noise[3].numpy() == own).all()
    assert torch.equal(grid.noise((2, 2, 3), 11, first=3), noise[3:])
    assert torch.equal(grid.noise((5, 2, 3), 11, dtype=torch.float32), noise.float())
    assert not torch.equal(grid.noise((1, 2, 3), 12, first=2), noise[3:4])
    assert not torch.equal(grid.noise((1, 2, 3), 2**32, first=0), grid.noise((1, 2, 3), 0, first=1))


def test_samples_look_standard_normal_and_independent() -> None:
    draws = Schedule.preset("sd15").grid(10).noise((400, 100), 0).numpy()
    assert abs(draws.mean()) < 0.02 and abs(draws.var() - 1) < 0.03
    correlation = np.corrcoef(draws) - np.eye(400)
    assert abs(correlation).max() < 0.6 and abs(correlation.mean()) < 1e-3


def test_noise_has_the_variance_of_node_n() -> None:
    plain = Schedule.preset("flow").grid(4).noise((3, 4), 0)
    exploding = Schedule.from_sigmas([0.5, 1.0, 3.0]).grid(3, "trailing").noise((3, 4), 0)
    torch.testing.assert_close(exploding, plain * 10**0.5, rtol=1e-15, atol=0)
    partial = Grid.from_arrays([1, 0.6], [0, 0.6], [0, 1]).noise((3, 4), 0)
    torch.testing.assert_close(partial, plain * 0.72**0.5, rtol=1e-15, atol=0)
    exact = Grid.from_arrays([1, Fraction(3, 5)], [0, Fraction(4, 5)], [0, 1]).noise((3, 4), 0)
    assert torch.equal(exact, plain)


def test_rounding_does_not_scale_the_noise() -> None:
    levels = Schedule.preset("sd15").alpha_sigma(np.arange(900, 1000))
    plain = Schedule.preset("flow").grid(4).noise((2, 3), 0)
    off = 0
    for alpha, sigma in zip(*levels, strict=True):
        off += alpha**2 + sigma**2 != 1
        assert torch.equal(Grid.from_arrays([1, alpha], [0, sigma], [0, 1]).noise((2, 3), 0), plain)
    assert off > 10


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((), {}, "at least one entry"),
        ((0, 3), {}, "every entry of shape must be a whole number ≥ 1, not 0"),
        ((2, 1.5), {}, "not 1.5"),
        ((2,), {"seed": -1}, "seed must be a whole number from 0"),
        ((2,), {"seed": None}, "not None"),
        ((2,), {"first": -1}, "first must be a whole number"),
        ((2,), {"dtype": torch.int64}, "floating dtype"),
    ],
)
def test_wrong_noise_is_named(shape: tuple[int, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Schedule.preset("sd15").grid(4).noise(shape, **{"seed": 0, **options})  # type: ignore[arg-type]
