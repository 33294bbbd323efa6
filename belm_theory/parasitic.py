"""Constant weights and parasitic roots: the same data, written twice.

    rho(z) = z^k - Σ_j a_j z^{k-j} = (z - 1)·(z^{k-1} + c_1 z^{k-2} + … + c_{k-1})

Division by z - 1 is summation: with c_0 = 1 and c_k = 0 (the weights sum to 1)

    c_j = 1 - a_1 - … - a_j = a_{j+1} + … + a_k,        a_j = c_{j-1} - c_j.

Any c_1 … c_{k-1} will do, so a method of the BELM map is a choice of k - 1 parasitic roots, real or in conjugate pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import sympy as sp


def weights_of(c: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """The weights a_1 … a_k whose parasitic roots are those of z^{k-1} + c_1 z^{k-2} + … + c_{k-1}.

    Args:
        c: c_1 … c_{k-1}, numbers or symbols.
    """
    whole = (sp.Integer(1), *map(sp.sympify, c), sp.Integer(0))
    return tuple(before - after for before, after in pairwise(whole))


def coefficients_of(a: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """The coefficients c_1 … c_{k-1} for weights a_1 … a_k that sum to 1."""
    return tuple(sp.expand(sp.Add(*a[j:])) for j in range(1, len(a)))
