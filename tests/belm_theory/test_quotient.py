"""Sums of fractions: zero or not, and as one quotient, against SymPy's cancel."""

from __future__ import annotations

import random

import pytest
import sympy as sp

from belm_theory.quotient import Terms, factor_list, factored, is_zero, one_quotient

SYMBOLS = sp.symbols("x y z", positive=True)
RING = sp.QQ[SYMBOLS].ring
X, Y, Z = SYMBOLS


def plain(terms: Terms) -> sp.Expr:
    return sp.Add(*(coefficient * polynomial.as_expr() for coefficient, polynomial in terms))


def random_terms(seed: int) -> Terms:
    generator = random.Random(seed)

    def polynomial() -> sp.Expr:
        return sum((generator.randint(-2, 2) * sp.prod(generator.choices(SYMBOLS, k=2)) for _ in range(3)), X)

    return [(polynomial() / ((X + Y) * (Y + Z) ** generator.randint(0, 2)), RING(polynomial())) for _ in range(4)]


@pytest.mark.parametrize("seed", range(8))
def test_one_quotient_is_the_sum(seed):
    terms = random_terms(seed)
    numerator, denominator = one_quotient(terms, SYMBOLS)
    assert sp.cancel(numerator.as_expr() / denominator - plain(terms)) == 0
    assert is_zero(terms, SYMBOLS) == (sp.cancel(plain(terms)) == 0)


@pytest.mark.parametrize("seed", range(8))
def test_a_sum_less_itself_is_zero(seed):
    terms = random_terms(seed)
    rest = (-sp.cancel(plain(terms)), RING.one)
    assert is_zero([*terms, rest], SYMBOLS)
    assert not is_zero([*terms, rest, (X / 10**30, RING.one)], SYMBOLS)


def test_a_sum_that_vanishes_at_the_point_that_is_tried_is_not_taken_for_zero():
    point = [sp.prime(10 * n) for n in (1, 2, 3)]
    here = dict(zip(SYMBOLS, point, strict=True))
    line = X * point[1] - Y * point[0]
    assert line.subs(here) == 0
    assert not is_zero([(line / (X + Y), RING.one)], SYMBOLS)


def test_a_pole_at_the_point_that_is_tried_decides_nothing():
    pole = 1 / (X * sp.prime(20) - Y * sp.prime(10))
    assert not is_zero([(pole, RING.one), (pole, RING.one)], SYMBOLS)
    assert is_zero([(pole, RING.one), (-pole, RING.one)], SYMBOLS)


@pytest.mark.parametrize("seed", range(8))
def test_factored_is_what_sympy_factors(seed):
    whole = sp.Mul(*(plain(random_terms(10 * seed + n)) for n in range(2)))
    found = factored(sp.expand(sp.fraction(sp.together(whole))[0]) / sp.denom(sp.together(whole)))
    assert found == sp.factor(whole) and str(found) == str(sp.factor(whole))


@pytest.mark.parametrize(
    "text", ["0", "-3/7", "x", "-x - y", "2*x + 2*y", "(x**2 - y**2)/(x + y)**3", "(x/3 - y)/(2*z)", "1/(y - x)"]
)
def test_factored_keeps_sympy_s_form(text):
    expression = sp.sympify(text, locals={s.name: s for s in SYMBOLS})
    assert factored(expression) == sp.factor(expression) and str(factored(expression)) == str(sp.factor(expression))


def test_factors_multiply_to_the_polynomial():
    polynomial = -((X**2 - Y**2) ** 2) * (3 * X / 7 - Z) / 5
    number, factors = factor_list(polynomial)
    assert sp.expand(number * sp.prod([f**n for f, n in factors]) - polynomial) == 0
    assert sorted((str(f), n) for f, n in factors) == [("3*x - 7*z", 1), ("x + y", 2), ("x - y", 2)]
