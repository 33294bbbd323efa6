"""Balls and enclosures: levels against 50 digits, exact comparisons, outward rounding, products on exact matrices."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations_with_replacement, pairwise

import mpmath
import pytest
from flint import arb_mat
from hypothesis import given
from hypothesis import strategies as st

from belm_theory import balls
from belm_theory.balls import Enclosure, companion, enclose, exact, failing_nodes, schedule_levels

POSITIVE = st.fractions(min_value=Fraction(1, 10**6), max_value=10**40, max_denominator=10**9)


# ---- decimals -----------------------------------------------------------------------------------------------------


@given(POSITIVE, st.integers(2, 20))
def test_decimals_are_rounded_outwards_and_no_further_than_one_unit(value: Fraction, digits: int) -> None:
    text = Enclosure(value, value).decimals(digits)
    lower, upper = Fraction(text["lower"]), Fraction(text["upper"])
    assert lower <= value <= upper
    assert upper - lower <= max(value, 1) * Fraction(1, 10 ** (digits - 1))


@given(st.integers(0, 10**6), st.integers(0, 5))
def test_a_decimal_that_fits_is_written_exactly(number: int, places: int) -> None:
    value = Fraction(number, 10**places)
    text = Enclosure(value, value).decimals(12)
    assert Fraction(text["lower"]) == value == Fraction(text["upper"])


@pytest.mark.parametrize("exponent", [14, 15, 40, 5000])
def test_numbers_next_to_a_power_of_ten(exponent: int) -> None:
    power = Fraction(10) ** exponent
    for value in (power, power - Fraction(1, 7), power + Fraction(1, 7), 10 * power - 1):
        text = Enclosure(value, value).decimals(6)
        assert Fraction(text["lower"]) <= value <= Fraction(text["upper"]) <= value * Fraction(100001, 100000)
    assert Enclosure(power, power).decimals(6)["upper"] == Enclosure(power, power).decimals(6)["lower"]


def test_lower_and_upper_are_not_mixed_up() -> None:
    assert Enclosure(Fraction(4, 3), Fraction(5, 3)).decimals(4) == {"lower": "1.333", "upper": "1.667"}
    assert Enclosure(Fraction(10**20, 3), Fraction(10**20 * 2, 3)).decimals(3) == {"lower": "3.33e+19",
                                                                                "upper": "6.67e+19"}  # fmt: skip


# ---- levels -------------------------------------------------------------------------------------------------------


def reference_level(schedule: str, t: int) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Sqrt of the product of 1 - beta_s, and its complement, at 50 digits."""
    product = mpmath.mpf(1)
    for s in range(t + 1):
        share = mpmath.mpf(s) / 999
        if schedule == "sd15":
            low, high = mpmath.sqrt(mpmath.mpf("0.00085")), mpmath.sqrt(mpmath.mpf("0.012"))
            product *= 1 - (low + share * (high - low)) ** 2
        else:
            product *= 1 - (mpmath.mpf("0.0001") + share * (mpmath.mpf("0.02") - mpmath.mpf("0.0001")))
    return mpmath.sqrt(product), mpmath.sqrt(1 - product)


@pytest.mark.parametrize("schedule", ["sd15", "ddpm"])
def test_levels_against_fifty_digits(schedule: str) -> None:
    times = [999, 0, 1, 500]
    with mpmath.workdps(50):
        for t, pair in zip(times, schedule_levels(schedule, times), strict=True):
            for ball, value in zip(pair, reference_level(schedule, t), strict=True):
                middle = mpmath.mpf(ball.mid().str(60, radius=False))
                assert abs(middle - value) < mpmath.mpf("1e-47")
                # 256 bits are 77 digits; 1000 factors lose three.
                assert float(ball.rad()) < 1e-70


def test_unknown_schedule() -> None:
    with pytest.raises(KeyError, match="cosine"):
        schedule_levels("cosine", [0])


# ---- the hypothesis -----------------------------------------------------------------------------------------------


@given(st.lists(st.fractions(min_value=Fraction(1, 9), max_value=9, max_denominator=9), min_size=2, max_size=9))
def test_failing_nodes_on_exact_grids(steps: list[Fraction]) -> None:
    sbar = [sum(steps[:i], Fraction(0)) for i in range(len(steps) + 1)]
    expected = [i for i in range(1, len(steps)) if steps[i - 1] >= steps[i]]
    assert failing_nodes(sbar) == expected
    if all(before != after for before, after in pairwise(steps)):
        assert failing_nodes([exact(value) for value in sbar]) == expected


def test_balls_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ArithmeticError, match="h_1 and h_2 cannot be compared"):
        failing_nodes([exact(Fraction(i, 3)) for i in range(3)])


# ---- products -----------------------------------------------------------------------------------------------------

WEIGHTS = st.lists(st.fractions(min_value=-3, max_value=3, max_denominator=5), min_size=1, max_size=6)


def exact_constant(matrices: list[list[list[Fraction]]]) -> Fraction:
    """max(1, norms of all contiguous products), every product multiplied up from scratch in fractions."""
    largest, size = Fraction(1), range(2)
    for first, last in combinations_with_replacement(range(len(matrices)), 2):
        product = [[Fraction(int(i == j)) for j in size] for i in size]
        for m in matrices[first : last + 1]:
            product = [[sum((m[i][n] * product[n][j] for n in size), Fraction(0)) for j in size] for i in size]
        largest = max(largest, *(sum(map(abs, line), Fraction(0)) for line in product))
    return largest


@given(WEIGHTS)
def test_enclosure_contains_the_exact_constant(gs: list[Fraction]) -> None:
    rows = [(1 - g, g) for g in gs]
    found = enclose([companion([exact(a) for a in row]) for row in rows])
    value = exact_constant([[list(row), [Fraction(1), Fraction(0)]] for row in rows])
    assert found.lower <= value <= found.upper
    assert found.upper - found.lower <= value / 10**60


def test_products_are_taken_in_the_order_of_the_steps() -> None:
    """A shift after a scaling and a scaling after a shift have different norms."""
    shift, scale = arb_mat([[1, 1], [0, 1]]), arb_mat([[0, 0], [0, 3]])
    assert enclose([scale, shift]).upper == 3
    assert enclose([shift, scale]).upper == 3
    tall = arb_mat([[1, 0], [2, 0]])
    assert (enclose([tall, shift]).lower, enclose([shift, tall]).lower) == (3, 4)


def test_no_product_at_all_is_one_and_progress_counts_them() -> None:
    assert enclose([]) == Enclosure(Fraction(1), Fraction(1))
    seen: list[tuple[int, int]] = []
    enclose([companion([exact(1)])] * 3, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_scaled_weights() -> None:
    found = balls.scaled([exact(2), exact(3)], [exact(5), exact(7), exact(11)])
    assert found[0].overlaps(exact(Fraction(10, 7))) and found[1].overlaps(exact(Fraction(15, 11)))
