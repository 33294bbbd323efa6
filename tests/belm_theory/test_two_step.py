"""The closed form of 2-step products against products of companion matrices, multiplied out in fractions."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import pytest

from belm_theory.stability import companion
from belm_theory.two_step import alternating_sums, stability_constant

Matrix = list[list[Fraction]]


def multiply(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    return [[sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in columns] for row in left]


def by_products(g: list[Fraction]) -> Fraction:
    largest = Fraction(1)
    for start in range(len(g)):
        product = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
        for factor in g[start:]:
            product = multiply(companion((1 - factor, factor)), product)
            largest = max(largest, *(sum(map(abs, row)) for row in product))
    return largest


def test_a_product_is_the_closed_form() -> None:
    rng = random.Random(1)
    g = [Fraction(rng.randint(-9, 9), rng.randint(1, 9)) for _ in range(9)]
    product, before = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]], Fraction(0)
    for factor, S in zip(g, alternating_sums(g), strict=True):
        product = multiply(companion((1 - factor, factor)), product)
        assert product == [[1 + S, -S], [1 + before, -before]]
        before = S


@pytest.mark.parametrize("seed", range(4))
def test_the_constant_against_products(seed: int) -> None:
    rng = random.Random(seed)
    g = [Fraction(rng.randint(-20, 40), rng.randint(1, 20)) for _ in range(12)]
    assert stability_constant(g) == by_products(g)


def test_no_steps_and_neutral_steps() -> None:
    assert stability_constant([]) == stability_constant([Fraction(1)] * 7) == 1


@pytest.mark.parametrize("seed", range(6))
def test_inversion_of_o_belm_lies_between_m_and_2m_minus_1_on_growing_steps(seed: int) -> None:
    rng = random.Random(seed)
    h = [Fraction(rng.randint(1, 9))]
    for _ in range(12):
        h.append(h[-1] * (1 + Fraction(rng.randint(0, 5), 4 + 20 * (seed % 2))))
    inverse = [(after / before) ** 2 for before, after in pairwise(h)]
    M = (h[-1] / h[0]) ** 2
    assert M <= stability_constant(inverse) <= 2 * M - 1
    assert stability_constant([1 / G for G in reversed(inverse)]) == 1


def test_both_ends_of_that_bound_are_sharp() -> None:
    assert stability_constant([Fraction(9)]) == 2 * 9 - 1
    slow = [Fraction(100 + n, 100) for n in range(101)]
    G = [(after / before) ** 2 for before, after in pairwise(slow)]
    assert stability_constant(G) <= Fraction(101, 100) * 4  # M = 4


@pytest.mark.parametrize("seed", range(4))
def test_no_grid_amplifies_less_than_its_products(seed: int) -> None:
    rng = random.Random(seed)
    h = [Fraction(rng.randint(1, 30), rng.randint(1, 30)) for _ in range(12)]
    g = [(before / after) ** 2 for before, after in pairwise(h)]
    products = [(h[n] / h[m]) ** 2 for n in range(12) for m in range(n)]
    assert stability_constant([1 / factor for factor in g]) >= max(products)
    assert stability_constant(g[::-1]) >= max(1 / p for p in products)
