"""Schur–Cohn minors against exact root counts, numpy away from the circle, and samples of the parameters."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from belm_theory.roots import Z, count_roots
from belm_theory.schur import inside, matrix, minors

THETA, ETA = sp.symbols("theta eta", positive=True)


def random_polynomials(seed: int, number: int) -> list[list[int]]:
    rng = random.Random(seed)
    found = [[rng.choice([-1, 1]) * rng.randint(1, 12), *(rng.randint(-6, 6) for _ in range(rng.randint(1, 5)))]
             for _ in range(number)]  # fmt: skip
    return [coefficients for coefficients in found if any(coefficients[1:])]


def test_random_polynomials_against_exact_root_counts_and_numpy() -> None:
    outcomes = set()
    for coefficients in random_polynomials(1, 150):
        count = count_roots(sp.Poly(coefficients, Z))
        found = inside(sp.Poly(coefficients, Z))
        outcomes.add(found.outcome)
        degree = len(coefficients) - 1
        assert (found.outcome == "proved") is (count.inside == degree)
        if found.outcome == "refuted":
            assert count.outside >= 1
        moduli = np.abs(np.roots(coefficients))
        if np.all(np.abs(moduli - 1) > 1e-3):  # near the circle floating point decides nothing
            assert (found.outcome == "proved") is bool(np.all(moduli < 1))
    assert outcomes == {"proved", "refuted", "undecided"}


def test_a_regular_matrix_has_as_many_negative_eigenvalues_as_roots_lie_outside() -> None:
    tried = 0
    for coefficients in random_polynomials(2, 120):
        found = [sp.Integer(1), *minors(list(map(sp.Integer, coefficients)))]
        if 0 in found:
            continue
        tried += 1
        # Jacobi: sign changes in the leading minors count the negative eigenvalues.
        negative = sum(1 for before, after in pairwise(found) if before * after < 0)
        assert negative == count_roots(sp.Poly(coefficients, Z)).outside
    assert tried > 80


def test_the_matrix_of_a_quadratic() -> None:
    a, b, c = sp.symbols("a b c")
    assert matrix([a, b, c]) == sp.Matrix([[a**2 - c**2, a * b - b * c], [a * b - b * c, a**2 - c**2]])


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_parasitic_roots_of_blends_for_all_theta_against_numbers(k: int) -> None:
    q = sp.Poly(Z ** (k - 1) + THETA * sum(Z**m for m in range(k - 1)), Z)
    assert inside(q, (THETA,)).outcome == "proved"
    reciprocal = sp.Poly(list(reversed(q.all_coeffs())), Z)
    assert inside(reciprocal, (THETA,)).outcome == "refuted"
    for theta in map(sp.Rational, ("1/50", "1/2", "49/50")):
        assert inside(sp.Poly(q.as_expr().subs(THETA, theta), Z)).outcome == "proved"
        assert np.all(np.abs(np.roots([float(c.subs(THETA, theta)) for c in q.all_coeffs()])) < 1)


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        (Z + THETA, "proved"),
        (Z + THETA * ETA, "proved"),
        (Z + 1 / THETA, "refuted"),
        (Z**2 - THETA * Z + THETA, "proved"),
        (Z**2 + (1 + THETA) * Z + THETA, "undecided"),  # the root -1 stays on the circle
        (Z + 3 * THETA / 2, "undecided"),  # inside for theta < 2/3 only
        (Z**2 - 2 * Z - THETA, "refuted"),
        (Z - THETA / (1 + THETA), "proved"),
        (sp.Integer(3) + 0 * Z, "proved"),  # no roots at all
    ],
)
def test_polynomials_with_parameters(expression: sp.Expr, outcome: str) -> None:
    found = inside(sp.Poly(expression, Z), (THETA, ETA))
    assert found.outcome == outcome
    assert found.witness.startswith("Schur–Cohn")
    rng = random.Random(3)
    for _ in range(20):
        point = {s: sp.Rational(rng.randint(1, 99), 100) for s in (THETA, ETA)}
        count = count_roots(sp.Poly(expression.subs(point), Z))
        if outcome == "proved":
            assert count.on + count.outside == 0
        elif outcome == "refuted":
            assert count.outside > 0


def test_other_symbols_are_positive_and_unbounded() -> None:
    h = sp.Symbol("h", positive=True)
    assert inside(sp.Poly(Z - h / (1 + h), Z)).outcome == "proved"
    assert inside(sp.Poly(Z - h, Z)).outcome == "undecided"
