"""Root counts against numpy away from the circle, and against products of factors whose roots are known."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sympy as sp

from belm_theory.roots import RootCount, Z, count_roots


def poly(expression: sp.Expr | int) -> sp.Poly:
    return sp.Poly(sp.sympify(expression), Z)


@pytest.mark.parametrize("degree", range(1, 9))
def test_random_integer_polynomials_against_numpy(degree: int) -> None:
    rng = random.Random(degree)
    tried = 0
    while tried < 25:
        coefficients = [rng.randint(-9, 9) for _ in range(degree + 1)]
        if coefficients[0] == 0:
            continue
        moduli = np.abs(np.roots(coefficients))
        # numpy drops trailing zeros into roots at 0; near the circle its verdict is not to be trusted.
        if np.any(np.abs(moduli - 1) < 1e-3):
            continue
        tried += 1
        found = count_roots(sp.Poly(coefficients, Z))
        assert (found.inside, found.on, found.outside) == (int(np.sum(moduli < 1)), 0, int(np.sum(moduli > 1)))
        assert found.repeated_on is False


#: Factors with (inside, on, outside) known from theory: cyclotomic, Pisot-like, reciprocal pairs, Salem.
KNOWN: list[tuple[sp.Expr, tuple[int, int, int]]] = [
    *((sp.cyclotomic_poly(n, Z), (0, int(sp.totient(n)), 0)) for n in (1, 2, 3, 4, 5, 6, 8, 12)),
    (Z, (1, 0, 0)),
    (2 * Z - 1, (1, 0, 0)),
    (3 * Z**2 + 2 * Z + 1, (2, 0, 0)),
    (5 * Z**3 - Z - 3, (3, 0, 0)),
    (Z + 3, (0, 0, 1)),
    (Z**2 + Z + 4, (0, 0, 2)),
    (Z**2 - Z - 1, (1, 0, 1)),
    (Z**2 + 10 * Z + 1, (1, 0, 1)),
    (Z**3 - Z - 1, (2, 0, 1)),
    (5 * Z**2 - 6 * Z + 5, (0, 2, 0)),
    # Lehmer's Salem polynomial: eight roots on the circle that are no roots of unity, one pair off it at 1.176.
    (Z**10 + Z**9 - Z**7 - Z**6 - Z**5 - Z**4 - Z**3 + Z + 1, (1, 8, 1)),
]


@pytest.mark.parametrize(("factor", "counts"), KNOWN, ids=lambda value: str(value))
def test_known_factors(factor: sp.Expr, counts: tuple[int, int, int]) -> None:
    assert count_roots(poly(factor)) == RootCount(*counts, repeated_on=False)


def test_random_products_of_known_factors() -> None:
    rng = random.Random(5)
    on_circle = {factor for factor, (_, on, _) in KNOWN if on}
    for _ in range(40):
        chosen = [(*rng.choice(KNOWN), rng.choice([1, 1, 2, 3])) for _ in range(rng.randint(1, 4))]
        product = sp.prod([poly(factor) ** n for factor, _, n in chosen])
        inside, on, outside = (sum(n * counts[c] for _, counts, n in chosen) for c in range(3))
        powers: dict[sp.Expr, int] = {}
        for factor, _, n in chosen:
            powers[factor] = powers.get(factor, 0) + n
        repeated = any(n > 1 and factor in on_circle for factor, n in powers.items())
        found = count_roots(product * rng.choice([1, -3, sp.Rational(2, 7)]))
        assert found == RootCount(inside, on, outside, repeated)
        assert found.satisfies_root_condition is (outside == 0 and not repeated)


@pytest.mark.parametrize("distance", [sp.Rational(1, 10**30), -sp.Rational(1, 10**30)])
def test_a_root_at_distance_1e_minus_30_from_the_circle(distance: sp.Rational) -> None:
    # Floating point cannot tell these three apart.
    found = count_roots(poly((Z - 1) * (Z - 1 - distance) * (Z**2 + 1)))
    assert (found.inside, found.on, found.outside) == ((0, 3, 1) if distance > 0 else (1, 3, 0))
    assert found.repeated_on is False


@pytest.mark.parametrize("offset", [0, sp.Rational(1, 10**20), -sp.Rational(1, 10**20)])
def test_a_complex_pair_on_or_next_to_the_circle(offset: sp.Rational) -> None:
    # z² - (6/5) z + (1 + offset): modulus sqrt(1 + offset).
    found = count_roots(poly(Z**2 - sp.Rational(6, 5) * Z + 1 + offset))
    place = 1 + int(sp.sign(offset))
    assert [found.inside, found.on, found.outside] == [2 * int(index == place) for index in range(3)]


def test_high_multiplicities() -> None:
    found = count_roots(poly(Z**4 * (Z - 1) ** 5 * (Z + 1) * (2 * Z + 1) ** 3))
    assert found == RootCount(7, 6, 0, repeated_on=True)
    assert not found.satisfies_root_condition
    assert count_roots(poly((Z**2 + 1) ** 2)) == RootCount(0, 4, 0, repeated_on=True)


def test_repeated_roots_off_the_circle_are_allowed() -> None:
    found = count_roots(poly((2 * Z - 1) ** 4 * (Z - 1)))
    assert found == RootCount(4, 1, 0, repeated_on=False)
    assert found.satisfies_root_condition


def test_constants_and_other_generators() -> None:
    assert count_roots(poly(7)) == RootCount(0, 0, 0, repeated_on=False)
    other = sp.Symbol("x")
    assert count_roots(sp.Poly(other**3 - 8, other)) == RootCount(0, 0, 3, repeated_on=False)
    assert count_roots(sp.Poly((other**2 - 1) * other, other)) == RootCount(1, 2, 0, repeated_on=False)
