"""Grids of steps: the symbols h_1 … h_k of one relation, and the positions of its nodes.

The relation that makes X_{i-1} sees the nodes i-1 … i-1+k. Shifted so that s_{i-1} = 0 they lie at

    s_j = h_1 + … + h_j,    h_j standing for h_{i-1+j} = s_{i-1+j} - s_{i-2+j},    j = 0 … k.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp


def steps(k: int) -> tuple[sp.Symbol, ...]:
    """The k symbolic steps of one relation, positive and otherwise free: the general variable grid."""
    return sp.symbols(f"h1:{k + 1}", positive=True)


def weights(k: int) -> tuple[sp.Symbol, ...]:
    """The k + 1 symbolic frame weights w_0 … w_k at the nodes i-1 … i-1+k, for rules that use them."""
    return sp.symbols(f"w0:{k + 1}", positive=True)


def positions(h: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """The nodes s_0 = 0, s_1 = h_1, …, s_k = h_1 + … + h_k."""
    nodes = [sp.Integer(0)]
    for step in h:
        nodes.append(nodes[-1] + step)
    return tuple(nodes)


def smooth_steps(k: int, eta: sp.Symbol, terms: int) -> tuple[sp.Expr, ...]:
    """The steps of a smooth grid s_i = S(i·eta), expanded: h_j = S(j·eta) - S((j-1)·eta).

    Args:
        k: number of steps.
        eta: the grid parameter 1/N.
        terms: how many derivatives S1, S2, … of S to keep.

    Returns:
        k polynomials in eta without constant term.
    """
    derivatives = sp.symbols(f"S1:{terms + 1}")
    return tuple(
        sum(
            (d * sp.Rational(j**m - (j - 1) ** m, sp.factorial(m)) * eta**m for m, d in enumerate(derivatives, 1)),
            sp.Integer(0),
        )
        for j in range(1, k + 1)
    )


def smooth_weights(k: int, eta: sp.Symbol, terms: int) -> tuple[sp.Expr, ...]:
    """The frame weights on a smooth grid, w_j = W(j·eta), expanded in eta."""
    derivatives = sp.symbols(f"W0:{terms + 1}", positive=True)
    return tuple(
        sum((d * sp.Rational(j**m, sp.factorial(m)) * eta**m for m, d in enumerate(derivatives)), sp.Integer(0))
        for j in range(k + 1)
    )
