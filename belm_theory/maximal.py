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
from belm_theory.quotient import factored


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
        a.append(factored(bump * (1 - (target - node) * slope_at_node)))
        b.append(factored(bump * (target - node) / step))
    a.append(factored(sp.prod([((target - o) / (last - o)) ** 2 for o in interior])))
    return tuple(a), tuple(b)


def newton_conditions(h: Sequence[sp.Expr]) -> sp.Matrix:
    """The conditions on a_1, b_1·h_1, a_2, b_2·h_2, …, a_k, tested on Newton polynomials: a triangular matrix.

    Row m belongs to the polynomial that vanishes on the first m of the data P(s_1), P'(s_1), P(s_2), …, P(s_k), and
    column n holds its n-th datum. The diagonal holds products of differences of nodes, so that the weights of maximal
    order are unique wherever the nodes differ.

    Args:
        h: the k steps, symbols or rationals.
    """
    *interior, last = positions(h)[1:]
    data = [(node, slope) for node in interior for slope in (0, 1)] + [(last, 0)]
    s = sp.Dummy("s")
    polynomials = [sp.prod([s - node for node, _ in data[:m]]) for m in range(len(data))]
    return sp.Matrix([[factored(sp.diff(p, s, slope).subs(s, node)) for node, slope in data] for p in polynomials])
