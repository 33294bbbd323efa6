"""Local error and order, computed from the relation on the variable grid.

For a polynomial X of degree m with leading coefficient 1 the relation leaves the residual

    E_m = X(s_0) - Σ_j a_j X(s_j) - Σ_j b_j h_j X'(s_j),

and once E_0 = … = E_p = 0 the value E_{p+1} does not depend on the lower terms of X: the local error is
E_{p+1}/(p+1)! · X^{(p+1)} + … . So `order` is the largest p with E_0 = … = E_p = 0 on every grid. X is taken as
the Newton polynomial (s - s_k)(s - s_{k-1})²…(s - s_1)²(s - s_0)…, cut to degree m: it spans the same spaces as
the powers and vanishes at most of the nodes, which keeps the algebra small.

`order_smooth` is the exponent of eta in the local error on grids s_i = S(i·eta), minus one: there E_{p+1} may
vanish to higher order in eta because neighbouring steps agree to first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

import sympy as sp
from sympy.polys.rings import PolyElement

from belm_theory.grid import positions, smooth_steps, smooth_weights
from belm_theory.method import Method, Relation, TwoRegister
from belm_theory.quotient import Terms, factor_list, factored, is_zero, one_quotient


@dataclass(frozen=True)
class LocalError:
    """The leading term of the local error: coefficient · X^{(derivative)}, derivative = order + 1.

    In terms of the slope, X^{(p+1)} = f^{(p)}: eps^{(p)} in the noise frame.
    """

    coefficient: sp.Expr
    derivative: int


@cache
def residual(relation: Relation, m: int) -> sp.Expr:
    """The residual E_m of the relation on the Newton polynomial of degree m, as one factored fraction."""
    numerator, denominator = one_quotient(_terms(relation, m), relation.symbols)
    return factored(numerator.as_expr()) / denominator if numerator else sp.Integer(0)


def _terms(relation: Relation, m: int) -> Terms:
    """E_m as a sum of weights times values and slopes of the Newton polynomial of degree m."""
    ring = sp.QQ[relation.symbols].ring
    nodes = [ring.from_expr(node) for node in positions(relation.h)]
    doubled = [node for node in reversed(nodes[1:-1]) for _ in range(2)]
    zeros = ([nodes[-1], *doubled] + [nodes[0]] * m)[:m]

    def value(s: PolyElement, roots: list[PolyElement]) -> PolyElement:
        return prod((s - root for root in roots), start=ring.one)

    def derivative(s: PolyElement) -> PolyElement:
        return sum((value(s, zeros[:i] + zeros[i + 1 :]) for i in range(m)), ring.zero)

    terms = [(sp.Integer(1), value(nodes[0], zeros))]
    terms += [(-a, value(s, zeros)) for a, s in zip(relation.a, nodes[1:], strict=True)]
    terms += [(-b * h, derivative(s)) for b, h, s in zip(relation.b, relation.h, nodes[1:], strict=False)]
    return [(c, v) for c, v in terms if c != 0 and v != 0]


@cache
def order(method: Method) -> int:
    """The order on every grid."""
    if isinstance(method, TwoRegister):
        return _two_register_order(method)
    m = 1  # E_0 = 1 - Σ a_j vanishes in every relation
    while is_zero(_terms(method, m), method.symbols):
        m += 1
    return m - 1


def local_error(relation: Relation) -> LocalError:
    """The leading local error E_{p+1}/(p+1)! · X^{(p+1)} on the variable grid."""
    p = order(relation)
    return LocalError(factored(residual(relation, p + 1) / sp.factorial(p + 1)), p + 1)


def order_smooth(method: Method) -> int:
    """The order on smooth grids s_i = S(i·eta) with S' > 0.

    For every m the residual E_m becomes a series in eta that starts at eta^m or later. The smallest exponent over
    m decides, since the derivatives X^{(m)} are independent.
    """
    if isinstance(method, TwoRegister):
        return _two_register_order(method)
    m = order(method) + 1
    best = _exponent(method, m)
    while m + 1 < best:
        m += 1
        if residual(method, m) != 0:
            best = min(best, _exponent(method, m))
    return best - 1


def _exponent(relation: Relation, m: int, terms: int = 4) -> int:
    """The first power of eta in E_m on a smooth grid; `terms` derivatives of S resolve exponents up to m+terms-1."""
    eta = sp.Symbol("eta", positive=True)
    table = dict(zip(relation.h, smooth_steps(relation.k, eta, terms), strict=True))
    table.update(zip(relation.w, smooth_weights(relation.k, eta, terms), strict=False))
    series = [table.get(symbol, symbol) for symbol in relation.symbols]
    ring = sp.QQ[(eta, *sorted(set().union(*(s.free_symbols for s in series)) - {eta}, key=str))].ring
    images = [ring.from_expr(sp.expand(s)) for s in series]

    def first_power(expression: sp.Expr) -> int:
        # The exponent of a product is the sum over its factors, each of which stays small.
        _, factors = factor_list(expression)
        images_of = [(image(sp.Poly(f, *relation.symbols)), n) for f, n in factors]
        return sum(n * min((powers[0] for powers in value), default=m + terms) for value, n in images_of)

    def image(polynomial: sp.Poly) -> PolyElement:
        products = (prod((s**n for s, n in zip(images, powers, strict=True) if n), start=ring.one) * c
                    for powers, c in polynomial.terms())  # fmt: skip
        return sum(products, ring.zero)

    numerator, denominator = sp.fraction(residual(relation, m))
    exponent = first_power(numerator) - first_power(denominator)
    if exponent >= m + terms:
        raise ArithmeticError(f"{relation.name}: E_{m} vanishes beyond the {terms} derivatives kept")
    return exponent


def residual_uniform(a: Sequence[sp.Expr], b: Sequence[sp.Expr], m: int) -> sp.Expr:
    """E_m on the power s^m itself for unit steps: nodes 0, 1, …, k."""
    states = sum((weight * sp.Integer(j) ** m for j, weight in enumerate(a, 1)), sp.Integer(0))
    slopes = sum((weight * m * sp.Integer(j) ** (m - 1) for j, weight in enumerate(b, 1) if m), sp.Integer(0))
    return sp.Integer(int(m == 0)) - states - slopes


def order_uniform(relation: Relation) -> int:
    """The order on uniform grids."""
    unit = relation.at(**{symbol.name: sp.Integer(1) for symbol in (*relation.h, *relation.w)})
    m = 0
    while sp.cancel(residual_uniform(unit.a, unit.b, m)) == 0:
        m += 1
    return m - 1


def _two_register_order(method: TwoRegister) -> int:
    """The order of a two-register scheme started from x = y = X(s_i), for a general slope f(s, X).

    Every register is expanded in the step h with f as a truncated Taylor polynomial in X (the stages all evaluate
    at node i, so no derivative in s appears in them, while the exact solution has one: order 1 at most unless
    the scheme compensates). The parasitic mode x - y must be damped or neutral for this to be the global order.
    """
    h = method.h[0]
    start, f0, f_x, f_s, f_xx = sp.symbols("X0 f0 f_x f_s f_xx")
    registers: dict[str, sp.Expr] = {"x": start, "y": start}

    def slope(x: sp.Expr) -> sp.Expr:
        return f0 + f_x * (x - start) + f_xx * (x - start) ** 2 / 2

    for stage in method.stages:
        registers[stage.target] = sp.expand(
            sum(
                (c * (slope(registers[o[2:-1]]) if o.startswith("f(") else registers[o]) for o, c in stage.terms),
                sp.Integer(0),
            )
        )
    # X(s_i - h) of the exact solution, with X' = f and X'' = f_s + f_x f.
    exact = start - h * f0 + h**2 * (f_s + f_x * f0) / 2
    exponents = [
        next(m for m in range(3) if sp.expand(registers[name] - exact).coeff(h, m) != 0) for name in ("x", "y")
    ]
    return min(exponents) - 1
