"""Maximal-order weights against a linear solve of the 2k - 1 order conditions in Fractions."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
import sympy as sp

from belm_theory.grid import steps
from belm_theory.maximal import maximal_order, newton_conditions


def eliminate(rows: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gauss–Jordan elimination with exact pivots; fails if the matrix is singular."""
    n = len(rows)
    table = [[*row, value] for row, value in zip(rows, right, strict=True)]
    for column in range(n):
        pivot = next(r for r in range(column, n) if table[r][column] != 0)
        table[column], table[pivot] = table[pivot], table[column]
        table[column] = [entry / table[column][column] for entry in table[column]]
        for r in range(n):
            if r != column:
                factor = table[r][column]
                table[r] = [x - factor * y for x, y in zip(table[r], table[column], strict=True)]
    return [row[-1] for row in table]


def solve_order_conditions(h: list[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """(a, b) from X(s_0) = Σ a_j X(s_j) + Σ b_j h_j X'(s_j) for X = (s + 1)^d, d = 0 … 2k - 2."""
    k = len(h)
    s = [1 + sum(h[:j], Fraction(0)) for j in range(k + 1)]
    degrees = range(2 * k - 1)
    states = [[s[j] ** d for j in range(1, k + 1)] for d in degrees]
    slopes = [[h[j - 1] * d * s[j] ** (d - 1) if d else Fraction(0) for j in range(1, k)] for d in degrees]
    rows = [[*left, *right] for left, right in zip(states, slopes, strict=True)]
    solution = eliminate(rows, [s[0] ** d for d in degrees])
    return solution[:k], solution[k:]


def random_steps(rng: random.Random, k: int) -> list[Fraction]:
    return [Fraction(rng.randint(1, 50), rng.randint(1, 50)) for _ in range(k)]


def exact(values: tuple[sp.Expr, ...]) -> list[Fraction]:
    return [Fraction(int(v.p), int(v.q)) for v in values]


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_weights_solve_the_order_conditions_on_random_grids(k: int) -> None:
    rng = random.Random(10 + k)
    for _ in range(10):
        h = random_steps(rng, k)
        a, b = maximal_order([sp.Rational(step.numerator, step.denominator) for step in h])
        assert (exact(a), exact(b)) == solve_order_conditions(h)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_symbolic_weights_equal_those_of_a_rational_grid(k: int) -> None:
    rng = random.Random(20 + k)
    symbols = steps(k)
    a, b = maximal_order(symbols)
    h = random_steps(rng, k)
    table = {symbol: sp.Rational(step.numerator, step.denominator) for symbol, step in zip(symbols, h, strict=True)}
    assert (exact([w.subs(table) for w in a]), exact([w.subs(table) for w in b])) == solve_order_conditions(h)


def test_two_steps_are_the_papers_o_belm() -> None:
    # BELM, eq 18: h_i²/h_{i+1}² on the oldest state, (h_{i+1}² - h_i²)/h_{i+1}² on the middle one,
    # -h_i (h_i + h_{i+1})/h_{i+1} on the slope.
    h1, h2 = steps(2)
    a, b = maximal_order((h1, h2))
    assert sp.cancel(a[1] - h1**2 / h2**2) == 0
    assert sp.cancel(a[0] - (h2**2 - h1**2) / h2**2) == 0
    assert sp.cancel(b[0] * h1 + h1 * (h1 + h2) / h2) == 0


@pytest.mark.parametrize(
    ("k", "a", "b"),
    [(2, ["0", "1"], ["-2"]), (3, ["-9", "9", "1"], ["-6", "-6"]), (4, ["-28", "0", "28", "1"], ["-12", "-36", "-12"])],
)
def test_uniform_steps(k: int, a: list[str], b: list[str]) -> None:
    # k = 3: y_{n+3} + 9 y_{n+2} - 9 y_{n+1} - y_n = 6 h (f_{n+2} + f_{n+1}), the textbook's unstable explicit method.
    found = maximal_order([sp.Rational(5, 3)] * k)
    assert found == (tuple(map(sp.Rational, a)), tuple(map(sp.Rational, b)))


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_exact_on_a_random_polynomial_of_degree_2k_minus_2_and_not_of_2k_minus_1(k: int) -> None:
    rng = random.Random(30 + k)
    s = sp.Symbol("s")
    h = [sp.Rational(step.numerator, step.denominator) for step in random_steps(rng, k)]
    nodes = [sum(h[:j], sp.Integer(0)) for j in range(k + 1)]
    a, b = maximal_order(h)
    for degree in (2 * k - 2, 2 * k - 1):
        state = sp.Poly([1] + [rng.randint(-9, 9) for _ in range(degree)], s)
        slope = state.diff(s)
        made = sum(w * state.eval(x) for w, x in zip(a, nodes[1:], strict=True))
        made += sum(w * step * slope.eval(x) for w, step, x in zip(b, h, nodes[1:], strict=False))
        # The first polynomial that is missed leaves the product of its zeros: E_{2k-1} = -s_k Π s_j².
        missed = 0 if degree == 2 * k - 2 else -nodes[-1] * sp.prod([x**2 for x in nodes[1:-1]])
        assert state.eval(0) - made == missed


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_triangular_conditions_have_the_determinant_of_the_powers(k: int) -> None:
    """Newton polynomials are monic, so the determinant is that of the conditions in 1, s, s², … in the same order."""
    rng = random.Random(20 + k)
    h = [sp.Rational(str(step)) for step in random_steps(rng, k)]
    s = [sum(h[: j + 1]) for j in range(k)]
    data = [(node, slope) for node in s[:-1] for slope in (0, 1)] + [(s[-1], 0)]
    powers = [[m * x ** (m - 1) if slope and m else x**m * (1 - slope) for x, slope in data] for m in range(2 * k - 1)]
    conditions = newton_conditions(h)
    assert conditions.is_upper
    assert conditions.det() == sp.Matrix(powers).det() != 0
