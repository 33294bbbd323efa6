"""O-BELM's growth on variance-preserving schedules: the proved bounds against numbers of mpmath at 50 digits."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import pairwise

import mpmath
import pytest

from belm_theory.two_step import stability_constant

#: beta(t) = 1 + t, so that b0 = 1, b1 = 2 and sbar(1) = sqrt(e^{3/2} - 1) > 1.
LOW, HIGH = 1, 2


def fraction(x: mpmath.mpf) -> Fraction:
    return Fraction(mpmath.nstr(x, 40))


@cache
def grid(N: int) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """(sbar_0 … sbar_N, h_1 … h_N) on t_i = i/N."""
    with mpmath.workdps(50):
        times = [mpmath.mpf(i) / N for i in range(N + 1)]
        sbar = tuple(fraction(mpmath.sqrt(mpmath.expm1(t + t**2 / 2))) for t in times)
    return sbar, tuple(after - before for before, after in pairwise(sbar))


@cache
def sampling_constant(N: int) -> Fraction:
    _, h = grid(N)
    return stability_constant([(before / after) ** 2 for before, after in pairwise(h)][::-1])


@pytest.mark.parametrize("N", [2, 8, 32, 64])
def test_the_constant_lies_between_the_proved_bounds(N: int) -> None:
    with mpmath.workdps(50):
        E = fraction(mpmath.exp(HIGH))
    below = 2 * LOW**2 * N / (HIGH**2 * E**2)
    above = 1 + 8 * (Fraction(HIGH, LOW) ** 4 + 2) * E**2 * HIGH * N / LOW**2
    _, h = grid(N)
    assert below <= (h[0] / h[-1]) ** 2 <= sampling_constant(N) <= above


def test_the_constant_is_proportional_to_the_number_of_steps() -> None:
    for N in (16, 32):
        ratio = sampling_constant(2 * N) / sampling_constant(N)
        assert Fraction(9, 5) < ratio < Fraction(11, 5)


@pytest.mark.parametrize("N", [16, 64])
def test_what_the_upper_bound_rests_on(N: int) -> None:
    sbar, h = grid(N)
    beta = [Fraction(1) + Fraction(i, N) for i in range(N + 1)]
    u = [(h[j - 1] / (beta[j] * beta[j - 1])) ** 2 for j in range(1, N + 1)]
    below_one = sum(s <= 1 for s in sbar) - 1  # cells 1 … below_one end at sbar <= 1
    assert 2 < below_one < N - 2
    assert all(after <= before for before, after in pairwise(u[:below_one]))
    assert all(after >= before for before, after in pairwise(h[below_one + 1 :]))
    with mpmath.workdps(50):
        E = fraction(mpmath.exp(HIGH))
    assert max(h) ** 2 <= E * HIGH / N
    assert min(h) ** 2 >= Fraction(LOW**2) / (4 * E * N**2)
