"""Maximal-order BELM: all 2k - 1 coefficients solved from the order conditions E_0 = … = E_{2k-2} = 0.

The conditions say that the relation is exact on polynomials of degree <= 2k-2 (paper, A.4 and A.5). Tested on
the Hermite basis of that space (double nodes s_1 … s_{k-1}, simple node s_k) the linear system is diagonal: the
polynomial that is 1 at s_j and 0 in every other datum gives a_j as its value at s_0, and the one whose only
datum is slope 1 at s_j gives b_j·h_j. The solution is unique because the Hermite problem is.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from belm_theory.grid import positions


def maximal_order(h: Sequence[sp.Expr]) -> tuple[tuple[sp.Expr, ...], tuple[sp.Expr, ...]]:
    """The weights (a, b) of the k-step BELM of order 2k - 2, k = len(h).

    Args:
        h: the k steps, symbols or rationals.

    Returns:
        a (k entries) and b (k - 1 entries, paper's normalisation), factored.
    """
    nodes = positions(h)
    target, interior, last = nodes[0], nodes[1:-1], nodes[-1]
    a, b = [], []
    for node, step in zip(interior, h, strict=False):
        others = [other for other in interior if other != node]
        # bump(s) = Π ((s - s_m)/(s_j - s_m))² (s - s_k)/(s_j - s_k): 1 at s_j, flat zero elsewhere.
        bump = sp.prod([((target - o) / (node - o)) ** 2 for o in others]) * (target - last) / (node - last)
        slope_at_node = sum((2 / (node - o) for o in others), 1 / (node - last))
        a.append(sp.factor(bump * (1 - (target - node) * slope_at_node)))
        b.append(sp.factor(bump * (target - node) / step))
    a.append(sp.factor(sp.prod([((target - o) / (last - o)) ** 2 for o in interior])))
    return tuple(a), tuple(b)
