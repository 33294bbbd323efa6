"""The damped method's constants of inversion in exact arithmetic, against the bounds of its derivation."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import pairwise
from math import factorial, prod

import pytest

from belm_runtime import Schedule, coefficients
from belm_runtime.amplification import amplification

Grid = list[Fraction]


def exp_below(x: Fraction, terms: int = 60) -> Fraction:
    """A partial sum of e^x, x >= 0: below it, so a bound that holds with it holds."""
    return sum((x**n / factorial(n) for n in range(terms)), Fraction(0))


def inversion_constant(h: Grid, k: int, m: Fraction) -> Fraction:
    """max(1, ‖S_n … S_p‖) over all rows p <= n, the inverse steps X_{i+k-1} = q X_{i-1} + (1 - q) X_i on unit states.

    Row i of N steps h_1 … h_N (h[0] … here): q = 1 + m·(h_{i+1} + … + h_{i+k-1}).
    """
    rows = len(h) - k + 1
    q = [1 + m * sum(h[i : i + k - 1]) for i in range(1, rows + 1)]
    largest = Fraction(1)
    for first in range(rows):
        states = [[Fraction(int(i == j)) for j in range(k)] for i in range(k)]
        for factor in q[first:]:
            old, older = states[-k + 1], states[-k]
            states.append([factor * x + (1 - factor) * y for x, y in zip(older, old, strict=True)])
            largest = max(largest, sum(map(abs, states[-1])))
    return largest


def random_grid(seed: int, n: int) -> Grid:
    """Rational steps whose ratios reach 10^3, of length 1 or less."""
    rng = random.Random(seed)
    raw = [Fraction(rng.choice([1, 3, 10, 40, 200, 1000]) + rng.randint(0, 3)) for _ in range(n)]
    total = sum(raw) * rng.choice([1, 2])
    steps = [Fraction(int(step / total * 4096) + 1, 4096 + n) for step in raw]
    assert sum(steps) <= 1
    return sorted(steps) if seed % 3 == 0 else steps


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(9))
def test_the_bounds_hold_on_random_grids(seed: int, k: int) -> None:
    n, m = random.Random(seed).choice([(6, 8), (12, 30), (20, 8), (20, 1)])
    h, m = random_grid(seed, n), Fraction(m, 2)
    found, length = inversion_constant(h, k, m), m * sum(h)
    lengths = [sum(h[i : i + k - 1]) for i in range(1, len(h) - k + 2)]
    assert found <= prod(1 + 2 * m * each for each in lengths)
    assert found <= exp_below(2 * (k - 1) * length)
    if k == 2:
        assert found <= 2 * exp_below(length) - 1
    if k == 3:
        falls = sum((max(Fraction(0), a - b) for a, b in pairwise(lengths)), Fraction(0))
        assert falls <= sum(h) and (falls == 0 or h != sorted(h))
        assert found <= 1 + 4 * length * exp_below(length + Fraction(2, 3) * m * falls)


def test_the_bound_of_two_steps_is_nearly_reached() -> None:
    h = [Fraction(1, 40)] * 40
    found = inversion_constant(h, 2, Fraction(4))
    # d grows by q = 1.1 a step, and the alternating sum by half of it: K is near q^39.
    assert Fraction(9, 10) * Fraction(11, 10) ** 39 < found < 2 * exp_below(Fraction(4)) - 1


def test_the_constant_is_that_of_the_runtime() -> None:
    grid = Schedule.preset("sd15").grid(12)
    for k in (2, 3, 4, 5):
        table = coefficients(f"damped:k={k},m=5", grid)
        h = [Fraction(float(step)) for step in table.h]
        exact = inversion_constant(h, k, Fraction(5))
        assert amplification(table, "inversion", "frame") == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize("preset", ["sd15", "ddpm", "flow"])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace", "karras", "power:p=1.5", "designed"])
def test_on_the_schedules_grids_the_number_of_steps_does_not_matter(preset: str, spacing: str) -> None:
    schedule = Schedule.preset(preset)
    if preset == "flow" and spacing in ("leading", "karras"):
        pytest.skip("a continuous flow has no such grid")
    for k in (2, 3, 4, 5):
        # The rate in m·s of the fastest parasitic root, near a root of unity, for small steps; measured, not proved.
        rate = (k - 1) / k * max(1 - math.cos(2 * math.pi * j / k) for j in range(1, k))
        for n in (10, 100, 999):
            table = coefficients(f"damped:k={k}", schedule.grid(n, spacing))
            found, exponent = amplification(table, "inversion", "frame"), 8 * float(table.h.sum())
            assert 2 < found < 2 * math.exp(rate * exponent)
            proved = 1 + 4 * exponent * math.exp(5 / 3 * exponent) if k == 3 else math.exp(2 * (k - 1) * exponent)
            assert found < proved
