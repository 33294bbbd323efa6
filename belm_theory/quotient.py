"""Sums of fractions whose denominators are products of known factors: zero or not, and as one quotient.

A sum Σ coefficient · polynomial that is not zero at one rational point is not the zero function. One that is zero there
is the zero function exactly when its numerator over a common denominator is the zero polynomial. The least common
multiple of factored denominators needs no polynomial gcd, which is what makes large sums affordable.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import sympy as sp
from sympy.polys.rings import PolyElement

#: Pairs (rational function, polynomial in the ring of the symbols over the rationals).
Terms = Sequence[tuple[sp.Expr, PolyElement]]


def is_zero(terms: Terms, symbols: tuple[sp.Symbol, ...]) -> bool:
    """Whether Σ coefficient · polynomial vanishes identically.

    Args:
        terms: coefficients in the symbols, polynomials in `sympy.QQ[symbols].ring`.
        symbols: the symbols.
    """
    point = [sp.Integer(sp.prime(10 * n)) for n in range(1, len(symbols) + 1)]
    here = dict(zip(symbols, point, strict=True))
    values = [coefficient.subs(here) * _value(polynomial, point) for coefficient, polynomial in terms]
    if all(value.is_Rational for value in values) and sum(values) != 0:
        return False
    return not one_quotient(terms, symbols)[0]


def one_quotient(terms: Terms, symbols: tuple[sp.Symbol, ...]) -> tuple[PolyElement, sp.Expr]:
    """Σ coefficient · polynomial as an expanded numerator, zero exactly when the sum is, and a factored denominator.

    Args:
        terms: as for `is_zero`.
        symbols: the symbols.
    """
    ring = sp.QQ[symbols].ring
    fractions = [sp.fraction(sp.together(coefficient)) for coefficient, _ in terms]
    factored = [sp.factor_list(denominator, *symbols) for _, denominator in fractions]
    common: dict[sp.Expr, int] = {}
    for _, factors in factored:
        for factor, power in factors:
            common[factor] = max(power, common.get(factor, 0))
    total = ring.zero
    for (numerator, _), (constant, factors), (_, polynomial) in zip(fractions, factored, terms, strict=True):
        missing = {f: int(n - dict(factors).get(f, 0)) for f, n in common.items()}
        lift = prod((ring.from_expr(f) ** n for f, n in missing.items()), start=ring.one)
        total += ring.from_expr(numerator / constant) * lift * polynomial
    return total, sp.prod([f**n for f, n in common.items()])


def _value(polynomial: PolyElement, point: Sequence[sp.Integer]) -> sp.Expr:
    return sum(
        (c * sp.prod([s**n for s, n in zip(point, powers, strict=True)]) for powers, c in polynomial.terms()),
        sp.Integer(0),
    )
