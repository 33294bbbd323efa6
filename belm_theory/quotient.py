"""Rational functions: their factors, and sums of fractions, which are zero or not, as one quotient.

A sum Σ coefficient · polynomial that is not zero at one rational point is not the zero function. One that is zero there
is the zero function exactly when its numerator over a common denominator is the zero polynomial. The least common
multiple of factored denominators needs no polynomial gcd, which is what makes large sums affordable.

Polynomials are factored by python-flint. SymPy finds the same factors, but its algorithm draws random evaluation
points, and unlucky ones cost minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import sympy as sp
from flint import Ordering, fmpq, fmpq_mpoly_ctx
from sympy.polys.rings import PolyElement

#: Pairs (rational function, polynomial in the ring of the symbols over the rationals).
Terms = Sequence[tuple[sp.Expr, PolyElement]]


def factored(expression: sp.Expr) -> sp.Expr:
    """A rational function as a number times powers of irreducible polynomials."""
    numerator, denominator = (factor_list(part) for part in sp.fraction(sp.together(expression)))
    powers = [f**n for f, n in numerator[1]] + [f**-n for f, n in denominator[1]]
    number, product = numerator[0] / denominator[0], sp.Mul(*powers)
    # SymPy would multiply a number into a lone sum; -1 is written into it.
    return sp.Mul(number, product, evaluate=number**2 == 1 or not product.is_Add)


def factor_list(polynomial: sp.Expr) -> tuple[sp.Rational, list[tuple[sp.Expr, int]]]:
    """The number and the irreducible factors, primitive with positive leading coefficient, of a polynomial."""
    number, powers = sp.Integer(1), Counter[sp.Expr]()
    for base, n in polynomial.as_powers_dict().items():  # a product is not multiplied out
        content, factors = _irreducible(base)
        number *= content**n
        for factor, m in factors:
            powers[factor] += int(n) * m
    return number, list(powers.items())


@cache
def _irreducible(polynomial: sp.Expr) -> tuple[sp.Rational, list[tuple[sp.Expr, int]]]:
    if not polynomial.free_symbols:
        return sp.Rational(polynomial), []
    expanded = sp.Poly(polynomial, domain=sp.QQ)
    ring = fmpq_mpoly_ctx.get([f"v{n}" for n in range(len(expanded.gens))], Ordering.lex)
    number, factors = ring.from_dict({e: fmpq(int(c.p), int(c.q)) for e, c in expanded.terms()}).factor()

    def written(factor: Any) -> sp.Expr:
        terms = {exponents: _rational(c) for exponents, c in factor.terms()}
        return sp.Poly(terms, *expanded.gens, domain=sp.QQ).as_expr()

    return _rational(number), [(written(factor), int(n)) for factor, n in factors]


def _rational(number: fmpq) -> sp.Rational:
    return sp.Rational(int(number.p), int(number.q))


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
    listed = [factor_list(denominator) for _, denominator in fractions]
    common: dict[sp.Expr, int] = {}
    for _, factors in listed:
        for factor, power in factors:
            common[factor] = max(power, common.get(factor, 0))
    total = ring.zero
    for (numerator, _), (constant, factors), (_, polynomial) in zip(fractions, listed, terms, strict=True):
        missing = {f: int(n - dict(factors).get(f, 0)) for f, n in common.items()}
        lift = prod((ring.from_expr(f) ** n for f, n in missing.items()), start=ring.one)
        total += ring.from_expr(numerator / constant) * lift * polynomial
    return total, sp.prod([f**n for f, n in common.items()])


def _value(polynomial: PolyElement, point: Sequence[sp.Integer]) -> sp.Expr:
    return sum(
        (c * sp.prod([s**n for s, n in zip(point, powers, strict=True)]) for powers, c in polynomial.terms()),
        sp.Integer(0),
    )
