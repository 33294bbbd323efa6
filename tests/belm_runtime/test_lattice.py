"""Spacings and ranges: the recurrence of the spacings, what a run needs, and the bound of what rounding does to it."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from belm_runtime import Grid, InputError, Schedule, coefficients
from belm_runtime.assignment import Assignment, of_relations, of_stages
from belm_runtime.lattice import COARSE, FINE, RANGE, Lattice, drift, fitted

METHODS = ["o-belm", "bdia:gamma=0.5", "open:k=3", "blend:k=3,theta=0.8", "blend:k=5", "edict:p=0.93"]


def lattice(method: str, grid: Grid, bound: float = 32.0) -> Lattice:
    table = coefficients(method, grid)
    if method.startswith("edict"):
        return fitted(method, grid, of_stages(table.stage_rows("epsilon")), bound)
    return fitted(method, grid, of_relations(*(array.tolist() for array in table.x_form())), bound)


def sizes(grid: Grid) -> np.ndarray:
    return np.hypot(grid.alpha, grid.sigma)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("schedule", ["ddpm", "sd15", "cosine"])
@pytest.mark.parametrize("method", METHODS)
def test_the_old_state_enters_with_coefficient_one_and_every_state_fits(
    method: str, schedule: str, spacing: str
) -> None:
    grid = Schedule.preset(schedule).grid(20, spacing)
    found = lattice(method, grid)
    for assignments in found.rows.values():
        for a in assignments:
            if a.old is not None:
                assert abs(a.own * found.spacing[a.old] / found.spacing[a.target] - 1) < 1e-15
            else:
                assert math.frexp(found.spacing[a.target])[0] == 0.5, "a chain begins at a power of two"
    relative = {key: abs(c) / sizes(grid)[key[0]] for key, c in found.spacing.items()}
    assert max(relative.values()) <= COARSE
    assert found.room == pytest.approx(15 / 16 * RANGE * min(relative.values())) and found.room >= 32


def test_the_coarsest_spacing_is_fine_where_there_is_room_and_no_coarser_than_needed_elsewhere() -> None:
    grid = Schedule.preset("ddpm").grid(50, "trailing")
    easy, hard = lattice("open:k=3", grid), lattice("bdia:gamma=0.5", grid)
    coarsest = [max(abs(c) / sizes(grid)[key[0]] for key, c in found.spacing.items()) for found in (easy, hard)]
    assert FINE / 2 < coarsest[0] <= FINE < coarsest[1]
    # With powers of two, the room is less than twice what was asked for.
    assert easy.room > 1e4 and 32 <= hard.room < 64


def test_a_smaller_bound_gives_finer_spacings() -> None:
    grid = Schedule.preset("ddpm").grid(50, "trailing")
    usual, small = lattice("bdia:gamma=0.5", grid), lattice("bdia:gamma=0.5", grid, 8.0)
    assert all(small.spacing[key] == c / 4 for key, c in usual.spacing.items())
    assert usual.fingerprint != small.fingerprint == lattice("bdia:gamma=0.5", grid, 8.0).fingerprint


def test_known_spacings() -> None:
    grid = Schedule.preset("sd15").grid(20)
    w = grid.alpha + grid.sigma
    bdia, blend, edict = (lattice(m, grid).spacing for m in ("bdia:gamma=0.5", "blend:k=3,theta=0.8", "edict:p=0.9"))
    for i in range(18):
        assert bdia[i, "x"] == pytest.approx(0.5 * bdia[i + 2, "x"], rel=1e-14)
        assert blend[i, "x"] / w[i] == pytest.approx(0.8 * blend[i + 3, "x"] / w[i + 3], rel=1e-14)
        for register in "xy":
            before, after = (edict[n, register] / grid.alpha[n] for n in (i + 1, i))
            assert after == pytest.approx(0.9 * before, rel=1e-14)


def test_negative_weights_make_negative_spacings() -> None:
    # A maximal-order relation has a_k < 0 here.
    grid = Grid.from_arrays([1, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5], range(6))
    rows = of_relations(*(array.tolist() for array in coefficients("belm:k=3", grid).x_form()))
    found = fitted("belm:k=3", grid, rows, 32.0)
    signs = {key: math.copysign(1, c) for key, c in found.spacing.items()}
    assert all(signs[a.target] == signs[a.old] * math.copysign(1, a.own) for (a,) in rows.values() if a.old)
    assert found.room >= 32


@pytest.mark.parametrize(
    ("method", "steps", "words"),
    [
        # 32·2^50 / (15/16·2^51) = 17.1, and the next power of two.
        ("bdia:gamma=0.5", 100, r"spacing changes by a factor 2\^50.*coarsest is 2\^5 of one, and 2\^-20 is the limit"),
        ("bdia:gamma=0.01", 1000, r"factor 2\^inf"),
        # In x/alpha it is 2^100; alpha grows by 2^7.3 on the way.
        ("edict:p=0.5", 100, r"factor 2\^93"),
        ("belm:k=3", 50, r"each rounding is amplified.*node \d+; use fewer steps"),
    ],
)
def test_what_does_not_fit_is_refused(method: str, steps: int, words: str) -> None:
    with pytest.raises(InputError, match=f"does not fit {method.partition(':')[0]}.*{words}"):
        lattice(method, Schedule.preset("ddpm").grid(steps, "trailing"))


def test_the_number_of_steps_that_fits_is_the_derived_one() -> None:
    # derivations/integer_range.py: 25 rows of a chain fit BDIA with gamma = 1/2, which are 51 steps.
    lattice("bdia:gamma=0.5", Schedule.preset("sd15").grid(51))
    with pytest.raises(InputError, match=r"the coarsest is 2\^-19 of one, and 2\^-20 is the limit"):
        lattice("bdia:gamma=0.5", Schedule.preset("sd15").grid(52))


def rounded_run(method: str, grid: Grid, found: Lattice, seed: int) -> dict[tuple[int, str], Fraction]:
    """How far rounding moves every state of a run with random predictions, all of it in fractions."""
    random = np.random.default_rng(seed)
    spacing = {key: Fraction(c) for key, c in found.spacing.items()}
    start = Fraction(random.standard_normal())
    exact = {(grid.steps, r): start for r in "xy"}
    held = {key: round(x / spacing[key]) * spacing[key] for key, x in exact.items() if key in spacing}
    predictions: dict[tuple[int, str], Fraction] = {}
    for i in range(grid.steps - 1, -1, -1):
        for a in found.rows[i]:
            drawn = [(b, predictions.setdefault(key, Fraction(random.standard_normal()))) for key, _, b in a.slopes]
            p = sum((Fraction(b) * prediction for b, prediction in drawn), Fraction(0))
            for states in (exact, held):
                x = sum((Fraction(c) * states[key] for key, c in a.linear), p)
                states[a.target] = round(x / spacing[a.target]) * spacing[a.target] if states is held else x
    return {key: abs(held[key] - exact[key]) for key in held}


@pytest.mark.parametrize("method", METHODS)
def test_the_bound_of_what_rounding_does_holds_and_is_not_far_off(method: str) -> None:
    grid = Schedule.preset("ddpm").grid(16, "trailing")
    found = lattice(method, grid)
    assignments = [a for i in range(15, -1, -1) for a in found.rows[i]]
    given = sorted({key for a in assignments for key, _ in a.linear} - {a.target for a in assignments})
    bound = drift(assignments, given, found.spacing, 32.0)
    runs = [rounded_run(method, grid, found, seed) for seed in range(3)]
    for key, limit in bound.items():
        assert all(moved[key] <= limit for moved in runs), key
    worst = max(float(max(moved[key] for moved in runs)) / bound[key] for key in bound)
    assert worst > 1e-3


def test_the_bound_follows_cancellations_and_growth() -> None:
    # x_2 = x_1 - x_0 and x_1 = x_0 + its rounding: x_2 holds the rounding of x_1 and its own, not that of x_0.
    key = [(n, "x") for n in range(4)]
    chain = [
        Assignment(key[1], key[0], 1.0, (), ()),
        Assignment(key[2], key[1], 1.0, ((key[0], -1.0),), ()),
        Assignment(key[3], key[2], 1000.0, (), ()),
    ]
    spacing = {key[0]: 1e6, key[1]: 1.0, key[2]: 1.0, key[3]: 1000.0}
    found = drift(chain, key[:1], spacing, 0.0)
    float64 = 2.0**-53 * RANGE
    assert found[key[1]] >= 1e6 / 2
    assert found[key[2]] < 1 + 12 * 1e6 * float64
    assert found[key[3]] > 999 * found[key[2]]
