"""Schur–Cohn with parameters: whether all roots of a real polynomial lie inside the unit circle.

For p(z) = c_0 z^n + … + c_n let C and D be the lower triangular Toeplitz matrices with first columns c_0, …, c_{n-1}
and c_n, …, c_1. The Schur–Cohn matrix

    Q = C·Cᵀ - D·Dᵀ

is positive definite exactly when all roots lie inside (Schur 1918); where it is regular it has as many negative
eigenvalues as roots lie outside (Cohn 1922). So with coefficients that depend on parameters the leading principal
minors of Q are rational functions of these, and their signs decide.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from belm_theory.sign import sign
from belm_theory.verdict import Verdict, proved, refuted, undecided


def matrix(coefficients: Sequence[sp.Expr]) -> sp.Matrix:
    """The Schur–Cohn matrix of a polynomial given from the highest power."""
    n = len(coefficients) - 1
    front, back = list(coefficients), list(reversed(coefficients))
    C, D = (sp.Matrix(n, n, lambda i, j, c=c: c[i - j] if i >= j else 0) for c in (front, back))
    return C * C.T - D * D.T


def minors(coefficients: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """The leading principal minors of the Schur–Cohn matrix, factored."""
    Q = matrix(coefficients)
    return tuple(sp.factor(Q[:size, :size].det(method="berkowitz")) for size in range(1, Q.rows + 1))


def inside(polynomial: sp.Poly, parameters: Sequence[sp.Symbol] = ()) -> Verdict:
    """Whether all roots lie inside the unit circle, for all parameters in the open interval (0, 1).

    Returns:
        proved if every minor is positive there; refuted if one is negative and the last does not vanish, so that a root
        lies outside, whatever the parameters; undecided where the coefficients of a minor leave its sign open.
    """
    found = minors(polynomial.all_coeffs())
    signs = [sign(minor, tuple(parameters)) for minor in found]
    if all(s == 1 for s in signs):
        return proved("Schur–Cohn: all minors are positive")
    if -1 in signs and signs[-1] in (1, -1):
        return refuted(f"Schur–Cohn: {found[signs.index(-1)]} < 0, so a root lies outside the unit circle")
    open_ones = [str(minor) for minor, s in zip(found, signs, strict=True) if s not in (1, -1)]
    return undecided(f"Schur–Cohn: the sign of {' and of '.join(open_ones) or found[0]} is not decided")
