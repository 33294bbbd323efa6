"""Enclosures of K against products of 50-digit matrices whose weights are written here from the papers."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import mpmath
import pytest

from belm.enclose import enclosures
from belm_runtime import Grid, Schedule, coefficients
from belm_runtime.amplification import amplification
from belm_runtime.design import Design
from belm_runtime.errors import InputError
from belm_theory import balls

GRIDS = [("sd15", "leading", 24), ("ddpm", "trailing", 17)]
METHODS = ["o-belm", "bdia:gamma=0.5", "bdia:gamma=1", "blend:k=3,theta=0.8", "blend:k=4,theta=0.6", "open:k=3",
           "open:k=2", "edict:p=0.93", "ddim", "adams:m=2", "belm:k=3"]  # fmt: skip
BY_HAND = [name for name in METHODS if not name.startswith("belm")]
KEYS = {"": "frame", "_x": "x"}
mp50 = mpmath.mp.clone()
mp50.dps = 50


@cache
def training_levels(schedule: str) -> list[tuple[Any, Any]]:
    """(alpha, sigma) of all 1000 timesteps at 50 digits, from the printed betas."""
    product, found = mp50.mpf(1), []
    low, high = (mp50.mpf(text) for text in {"sd15": ("0.00085", "0.012"), "ddpm": ("0.0001", "0.02")}[schedule])
    for t in range(1000):
        share = mp50.mpf(t) / 999
        if schedule == "sd15":
            beta = (mp50.sqrt(low) + share * (mp50.sqrt(high) - mp50.sqrt(low))) ** 2
        else:
            beta = low + share * (high - low)
        product *= 1 - beta
        found.append((mp50.sqrt(product), mp50.sqrt(1 - product)))
    return found


def node_levels(grid: Grid) -> list[tuple[Any, Any]]:
    return [(mp50.mpf(1), mp50.mpf(0)), *(training_levels(grid.schedule)[int(t)] for t in grid.timesteps[1:])]


def weights(method: str, i: int, levels: list[tuple[Any, Any]]) -> list[Any]:
    """a_{i,1} … a_{i,k}: eq 18 (O-BELM), eq 38 (BDIA), constants for the rest."""
    family, _, rest = method.partition(":")
    values = dict(item.split("=") for item in filter(None, rest.split(",")))
    k = int(values.get("k", int(values.get("m", 1)) + 1))
    theta = mp50.mpf(values.get("theta", 1))
    if family == "o-belm":
        sbar = [sigma / alpha for alpha, sigma in levels]
        g = ((sbar[i] - sbar[i - 1]) / (sbar[i + 1] - sbar[i])) ** 2
        return [1 - g, g]
    if family == "bdia":
        g = mp50.mpf(values["gamma"]) * levels[i + 1][0] / levels[i - 1][0]
        return [1 - g, g]
    if family in ("ddim", "adams"):
        return [mp50.mpf(1)] + [mp50.mpf(0)] * (k - 1)
    return [1 - theta, *[mp50.mpf(0)] * (k - 2), theta]


def step_maps(method: str, grid: Grid, coordinates: str) -> list[Any]:
    levels = node_levels(grid)
    if method.startswith("edict"):
        p = mp50.mpf(method.partition("=")[2])
        mixing = mp50.matrix([[p, 1 - p], [(1 - p) * p, p + (1 - p) ** 2]])
        ratios = [levels[i - 1][0] / levels[i][0] for i in range(grid.steps, 0, -1)]
        return [mixing * ratio if coordinates == "x" else mixing for ratio in ratios]
    in_flow = method.partition(":")[0] in ("open", "blend", "ddim", "adams")
    w = [alpha + sigma if in_flow else alpha for alpha, sigma in levels]
    maps = []
    k = len(weights(method, 1, levels))
    for i in range(grid.steps - k + 1, 0, -1):
        top = weights(method, i, levels)
        if coordinates == "x":
            top = [a * w[i - 1] / w[i + j] for j, a in enumerate(top)]
        maps.append(mp50.matrix([top, *[[int(r == c) for c in range(k)] for r in range(k - 1)]]))
    return maps


def brute_force(maps: list[Any]) -> Any:
    largest = mp50.mpf(1)
    for first in range(len(maps)):
        product = mp50.eye(maps[0].rows)
        for matrix in maps[first:]:
            product = matrix * product
            largest = max(largest, *(sum(abs(product[r, c]) for c in range(product.cols)) for r in range(product.rows)))
    return largest


@cache
def enclosed(method: str, schedule: str, spacing: str, steps: int) -> dict[str, Any]:
    return enclosures(method, Schedule.preset(schedule).grid(steps, spacing))


@pytest.mark.parametrize("suffix", ["", "_x"])
@pytest.mark.parametrize(("schedule", "spacing", "steps"), GRIDS)
@pytest.mark.parametrize("method", BY_HAND)
def test_enclosures_contain_products_of_fifty_digits(method, schedule, spacing, steps, suffix):
    found = enclosed(method, schedule, spacing, steps)
    assert found["levels"] == "the schedule's exact definition"
    maps = step_maps(method, Schedule.preset(schedule).grid(steps, spacing), KEYS[suffix])
    if method in ("ddim", "adams:m=2"):
        assert found[f"K_inversion{suffix}"] is None
        ways = {"sampling": maps}
    else:
        ways = {"sampling": maps, "inversion": [mp50.inverse(matrix) for matrix in reversed(maps)]}
    for direction, chain in ways.items():
        bounds = found[f"K_{direction}{suffix}"]
        value, slack = brute_force(chain), mp50.mpf("1e-35")
        lower, upper = mp50.mpf(bounds["lower"]), mp50.mpf(bounds["upper"])
        assert lower <= value * (1 + slack) and value * (1 - slack) <= upper
        assert 1 <= lower <= upper < lower * (1 + mp50.mpf("1e-10"))


@pytest.mark.parametrize(("schedule", "spacing", "steps"), GRIDS)
@pytest.mark.parametrize("method", METHODS)
def test_agreement_with_the_floating_point_estimate(method, schedule, spacing, steps):
    table = coefficients(method, Schedule.preset(schedule).grid(steps, spacing))
    found = enclosed(method, schedule, spacing, steps)
    for direction in ("sampling", "inversion"):
        for suffix, coordinates in KEYS.items():
            bounds, estimate = found[f"K_{direction}{suffix}"], amplification(table, direction, coordinates)
            if bounds is None:
                assert estimate == float("inf")
            else:
                assert estimate == pytest.approx(float(Fraction(bounds["upper"])), rel=1e-9)


@pytest.mark.parametrize("method", ["ddim", "adams:m=2", "bdia:gamma=0.5", "bdia:gamma=1", "blend:k=4,theta=0.6",
                                    "open:k=3", "edict:p=0.93"])  # fmt: skip
def test_nonnegative_weights_have_the_constant_one_in_sampling(method):
    for grid in GRIDS:
        bounds = enclosed(method, *grid)["K_sampling"]
        assert Fraction(bounds["lower"]) == 1 and Fraction(bounds["upper"]) <= 1 + Fraction(1, 10**11)


def test_o_belm_exceeds_one_exactly_where_the_hypothesis_fails():
    fails = enclosed("o-belm", "sd15", "leading", 24)
    assert fails["hypothesis_fails_at"] and Fraction(fails["K_sampling"]["lower"]) > 1
    holds = enclosed("o-belm", "ddpm", "leading", 10)
    assert not holds["hypothesis_fails_at"] and Fraction(holds["K_sampling"]["upper"]) <= 1 + Fraction(1, 10**11)


@pytest.mark.parametrize(
    ("schedule", "spacing", "steps"), [*GRIDS, ("sd15", "trailing", 200), ("ddpm", "linspace", 60)]
)
def test_failing_nodes_against_fifty_digits(schedule, spacing, steps):
    grid = Schedule.preset(schedule).grid(steps, spacing)
    sbar = [sigma / alpha for alpha, sigma in node_levels(grid)]
    h = [after - before for before, after in pairwise(sbar)]
    expected = [i for i in range(1, grid.steps) if not h[i - 1] < h[i]]
    if steps < 100:
        assert enclosures("open:k=2", grid)["hypothesis_fails_at"] == expected
    levels = balls.schedule_levels(schedule, [int(t) for t in grid.timesteps[1:]])
    assert balls.failing_nodes([balls.exact(0), *(sigma / alpha for alpha, sigma in levels)]) == expected


def test_equal_steps_of_an_exact_grid_fail_the_strict_hypothesis():
    thirds = [Fraction(i, 3) for i in range(8)]
    found = enclosures("o-belm", Grid.from_arrays([Fraction(1)] * 8, thirds, thirds))
    assert found["hypothesis_fails_at"] == [1, 2, 3, 4, 5, 6]
    assert "stored numbers" in found["levels"]
    for key in ("K_sampling", "K_inversion", "K_sampling_x", "K_inversion_x"):
        # g = 1 is the leapfrog: a permutation.
        assert Fraction(found[key]["lower"]) == 1 and Fraction(found[key]["upper"]) <= 1 + Fraction(1, 10**11)


def test_stored_grids_contain_an_exact_computation():
    """O-BELM on sbar = 0, 1, 3, 4, 6, 7 …: g alternates between 1/4 and 4, in fractions."""
    sbar = [Fraction(3 * i // 2) for i in range(1, 10)]
    found = enclosures("o-belm", Grid.from_arrays([Fraction(1)] * 9, [v - 1 for v in sbar], sbar))
    h = [after - before for before, after in pairwise(sbar)]
    assert set(h) == {1, 2}
    maps = [mp50.matrix([[1 - g, g], [1, 0]]) for g in ((mp50.mpf(int(x)) / int(y)) ** 2 for x, y in pairwise(h))]
    chains = {"K_sampling": maps[::-1], "K_inversion": [mp50.inverse(matrix) for matrix in maps]}
    for key, chain in chains.items():
        value = brute_force(chain)
        assert mp50.mpf(found[key]["lower"]) <= value <= mp50.mpf(found[key]["upper"])
    assert found["hypothesis_fails_at"] == [i for i in range(1, 8) if h[i - 1] >= h[i]]


def test_a_grid_that_only_carries_a_schedules_name_keeps_its_own_numbers():
    grid = Schedule.preset("sd15").grid(9)
    other = Grid.from_arrays(grid.alpha, grid.sigma * 1.01, grid.timesteps, schedule="sd15")
    beyond = Grid.from_arrays(grid.alpha, grid.sigma, grid.timesteps + 900, schedule="sd15")
    for changed in (other, beyond):
        assert "stored numbers" in enclosures("o-belm", changed)["levels"]
    estimate = amplification(coefficients("bdia:gamma=1", other), "inversion")
    found = enclosures("bdia:gamma=1", other)["K_inversion_x"]
    assert estimate == pytest.approx(float(Fraction(found["upper"])), rel=1e-9)


def test_frames_and_their_limits():
    flow = Schedule.preset("flow").grid(8)
    assert enclosures("o-belm", flow, frame="flow")["frame"] == "flow"
    with pytest.raises(InputError, match=r"alpha_N = 0.*frame='flow'"):
        enclosures("o-belm", flow)
    with pytest.raises(InputError, match=r"alpha_N = 0.*another method"):
        enclosures("edict", flow)
    with pytest.raises(InputError, match="sigma_0 > 0"):
        enclosures("open:k=2", flow, frame="data")
    first = Schedule.preset("sd15").grid(8, "leading", end="first")
    data = enclosures("open:k=2", first, frame="data")
    assert (data["frame"], data["levels"]) == ("data", "the schedule's exact definition")
    # On alpha_N = 0 the last step in sbar is infinite: no hypothesis can fail before it.
    assert enclosures("open:k=2", flow)["hypothesis_fails_at"] == []


@pytest.mark.parametrize(("module", "function"), [("o_belm", "o_belm"), ("blend", "blend_3"), ("edict", "edict")])
def test_a_tampered_generated_function_changes_the_constant(monkeypatch, module, function):
    import importlib

    name = {"o_belm": "o-belm", "blend": "blend:k=3", "edict": "edict"}[module]
    grid = Schedule.preset("sd15").grid(8)
    before = enclosures(name, grid)
    generated = importlib.import_module(f"belm_runtime._generated.{module}")
    original = getattr(generated, function)

    def tampered(*arguments: Any) -> Any:
        first, *others = original(*arguments)
        return [first[0] * 3, *first[1:]], *others

    monkeypatch.setattr(generated, function, tampered)
    after = enclosures(name, grid)
    assert Fraction(after["K_sampling"]["lower"]) > Fraction(before["K_sampling"]["upper"])


def test_progress_reaches_the_total():
    seen: list[tuple[int, int]] = []
    enclosures("o-belm", Schedule.preset("sd15").grid(9), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 32) for n in range(1, 33)]


def test_a_design_brings_its_frame(tmp_path) -> None:
    path = str(tmp_path / "own.json")
    Design("own", "blend:k=3", Fraction(8), "q=1/2", "adams", "leading", "open:k=3").write(path)
    grid = Schedule.preset("ddpm").grid(8)
    assert enclosures(path, grid) == enclosures("blend:k=3,theta=0.25", grid, frame="q=1/2")
    assert enclosures(path, grid, frame="flow") == enclosures("blend:k=3,theta=0.25", grid, frame="flow")
