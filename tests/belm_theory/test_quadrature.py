"""Slope weights against SymPy's finite-difference weights, the moment conditions and the classical tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
import sympy as sp
from sympy.calculus.finite_diff import finite_diff_weights

from belm_theory.grid import positions, steps
from belm_theory.quadrature import panel, slope_weights


def random_steps(rng: random.Random, k: int) -> list[sp.Rational]:
    return [sp.Rational(rng.randint(1, 60), rng.randint(1, 60)) for _ in range(k)]


def random_weights(rng: random.Random, k: int) -> list[sp.Rational]:
    """k weights of either sign with sum 1."""
    free = [sp.Rational(rng.randint(-30, 30), rng.randint(1, 20)) for _ in range(k - 1)]
    return [*free, 1 - sum(free)]


def unit(k: int, j: int) -> list[sp.Integer]:
    return [sp.Integer(int(i == j)) for i in range(1, k + 1)]


def integral_by_taylor(nodes: list[sp.Rational], start: sp.Rational) -> list[sp.Rational]:
    """∫_start^0 l_m(s) ds for each m: Σ_d l_m^{(d)}(0)·(-start^{d+1})/(d+1)! with SymPy's derivative weights at 0."""
    derivatives = finite_diff_weights(len(nodes) - 1, nodes, 0)
    return [
        sum(-derivatives[d][-1][m] * start ** (d + 1) / sp.factorial(d + 1) for d in range(len(nodes)))
        for m in range(len(nodes))
    ]


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_slope_weights_against_sympys_interpolation_weights(k: int) -> None:
    rng = random.Random(100 + k)
    for _ in range(8):
        h, a = random_steps(rng, k), random_weights(rng, k)
        nodes = [sum(h[:j], sp.Integer(0)) for j in range(k + 1)]
        panels = [integral_by_taylor(nodes[1:-1], nodes[j]) for j in range(1, k + 1)]
        wanted = [sum(a[j] * panels[j][m] for j in range(k)) / h[m] for m in range(k - 1)]
        assert list(slope_weights(a, h)) == wanted


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_relation_is_exact_on_polynomials_of_degree_k_minus_1_and_generally_not_beyond(k: int) -> None:
    rng = random.Random(200 + k)
    for _ in range(8):
        h, a = random_steps(rng, k), random_weights(rng, k)
        b = slope_weights(a, h)
        s = [Fraction(int(p.p), int(p.q)) for p in (sum(h[:j], sp.Integer(0)) for j in range(k + 1))]
        a_, b_, h_ = ([Fraction(int(v.p), int(v.q)) for v in values] for values in (a, b, h))

        def residual(d: int, s=s, a_=a_, b_=b_, h_=h_) -> Fraction:
            shifted = [node + 1 for node in s]  # X = (s + 1)^d: no node is a zero of X or X'
            states = sum(w * x**d for w, x in zip(a_, shifted[1:], strict=True))
            slopes = sum(w * step * d * x ** (d - 1) for w, step, x in zip(b_, h_, shifted[1:], strict=False) if d)
            return shifted[0] ** d - states - slopes

        assert [residual(d) for d in range(k)] == [0] * k
        assert residual(k) != 0


@pytest.mark.parametrize(
    ("m", "textbook"),
    [(1, ["1"]), (2, ["3/2", "-1/2"]), (3, ["23/12", "-16/12", "5/12"]), (4, ["55/24", "-59/24", "37/24", "-9/24"])],
)
def test_adams_bashforth_on_uniform_steps(m: int, textbook: list[str]) -> None:
    # The relation steps towards decreasing s: b is minus the textbook's beta.
    b = slope_weights(unit(m + 1, 1), [sp.Rational(2, 7)] * (m + 1))
    assert [-w for w in b] == [sp.Rational(w) for w in textbook]


def test_variable_step_adams_bashforth_2() -> None:
    h1, h2, h3 = steps(3)
    b = slope_weights(unit(3, 1), (h1, h2, h3))
    assert sp.cancel(b[0] + 1 + h1 / (2 * h2)) == 0
    assert sp.cancel(b[1] * h2 - h1**2 / (2 * h2)) == 0


@pytest.mark.parametrize(
    ("k", "textbook"),
    [(2, ["2"]), (3, ["3/2", "3/2"]), (4, ["8/3", "-4/3", "8/3"]), (5, ["55/24", "5/24", "5/24", "55/24"])],
    ids=["midpoint", "two-point", "Milne's predictor", "four-point"],
)
def test_open_newton_cotes_on_uniform_steps(k: int, textbook: list[str]) -> None:
    b = slope_weights(unit(k, k), [sp.Rational(3, 5)] * k)
    assert [-w for w in b] == [sp.Rational(w) for w in textbook]


def test_nystrom_three_on_uniform_steps() -> None:
    # y_{n+1} = y_{n-1} + h (7 f_n - 2 f_{n-1} + f_{n-2}) / 3
    b = slope_weights(unit(4, 2), [sp.Integer(1)] * 4)
    assert [-w for w in b] == [sp.Rational(7, 3), sp.Rational(-2, 3), sp.Rational(1, 3)]


def test_weights_are_linear_in_a() -> None:
    rng = random.Random(7)
    h = random_steps(rng, 4)
    first, second, t = random_weights(rng, 4), random_weights(rng, 4), sp.Rational(3, 11)
    mixed = [t * u + (1 - t) * v for u, v in zip(first, second, strict=True)]
    blended = [t * u + (1 - t) * v for u, v in zip(slope_weights(first, h), slope_weights(second, h), strict=True)]
    assert list(slope_weights(mixed, h)) == blended


def lagrange(m: int, nodes: Sequence[sp.Expr], s: sp.Expr) -> sp.Expr:
    """The Lagrange basis polynomial l_m(s): 1 at nodes[m], 0 at the others."""
    others = [node for index, node in enumerate(nodes) if index != m]
    return sp.prod([(s - node) / (nodes[m] - node) for node in others], sp.Integer(1))


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_panel_is_the_integral_of_the_lagrange_basis(k: int) -> None:
    rng = random.Random(300 + k)
    s = sp.Symbol("s")
    h = random_steps(rng, k)
    nodes = positions(h)
    for m in range(1, k):
        basis = lagrange(m - 1, nodes[1:-1], s)
        assert [basis.subs(s, node) for node in nodes[1:-1]] == unit(k - 1, m)
        for j in range(1, k + 1):
            assert panel(j, m, h) == sp.integrate(sp.expand(basis), (s, nodes[j], nodes[0]))


def test_positions_are_the_partial_sums() -> None:
    assert positions([sp.Integer(3), sp.Rational(1, 2), sp.Integer(5)]) == (0, 3, sp.Rational(7, 2), sp.Rational(17, 2))
    assert [symbol.name for symbol in steps(3)] == ["h1", "h2", "h3"]
    assert all(symbol.is_positive for symbol in steps(3))
