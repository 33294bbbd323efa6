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


@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(5, 4), Fraction(3)])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_constants_of_o_belm_on_geometric_grids(ratio: Fraction, n: int) -> None:
    G = ratio**2
    assert stability_constant([1 / G] * n) == 1
    assert stability_constant([G] * n) == by_products([G] * n) == (2 * G ** (n + 1) - (-1) ** n * (G - 1)) / (1 + G)


@pytest.mark.parametrize("seed", range(4))
def test_inversion_of_bdia_amplifies_at_least_by_gamma_to_the_minus_n(seed: int) -> None:
    rng = random.Random(seed)
    gamma, n = Fraction(rng.randint(1, 9), 10), 8
    w = sorted((Fraction(rng.randint(1, 40), 8) for _ in range(n + 2)), reverse=True)
    inverse = [w[i - 1] / (gamma * w[i + 1]) for i in range(1, n + 1)]
    product = gamma**-n * w[0] * w[1] / (w[n] * w[n + 1])
    assert gamma**-n <= product <= stability_constant(inverse) <= 2 * product - 1
    # In x: rows and columns scaled by w.
    total, before = list(alternating_sums(inverse))[-1], list(alternating_sums(inverse))[-2]
    rows = [(w[n + 1], 1 + total, -total), (w[n], 1 + before, -before)]
    assert max(scale * (abs(new / w[1]) + abs(old / w[0])) for scale, new, old in rows) >= gamma**-n
