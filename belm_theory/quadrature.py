"""Slope weights by interpolatory quadrature: the BELM map.

Give weights a_1 … a_k with Σ a_j = 1 and ask that f is integrated exactly for polynomials of degree <= k-2.
Then b is fixed:

    X_0 = Σ_j a_j (X_j + ∫_{s_j}^{s_0} P(s) ds),    P interpolates f at the interior nodes s_1 … s_{k-1},

so b_m·h_m = Σ_j a_j ∫_{s_j}^{s_0} l_m(s) ds with the Lagrange basis l_m of the interior nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from belm_theory.grid import positions
from belm_theory.quotient import factored


def panel(j: int, m: int, h: Sequence[sp.Expr]) -> sp.Expr:
    """The integral ∫_{s_j}^{s_0} l_m(s) ds over the interior nodes s_1 … s_{k-1}.

    Args:
        j: the node, 1 … k, at which the integral starts.
        m: the interior node, 1 … k-1, whose basis polynomial is integrated.
        h: the k steps.
    """
    s = sp.Dummy("s")
    nodes = positions(h)
    interior = nodes[1:-1]
    numerator = sp.Poly(sp.prod([s - node for index, node in enumerate(interior) if index != m - 1]), s)
    denominator = sp.prod([interior[m - 1] - node for index, node in enumerate(interior) if index != m - 1])
    return -numerator.integrate().eval(nodes[j]) / denominator


def slope_weights(a: Sequence[sp.Expr], h: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """The weights b_1 … b_{k-1} (paper's normalisation: b_m multiplies h_m f_m) that belong to a.

    Args:
        a: k weights; their sum is 1 for a consistent method.
        h: k steps, symbols or rationals.

    Returns:
        b, factored.
    """
    k = len(a)
    return tuple(
        factored(sum((a[j - 1] * panel(j, m, h) for j in range(1, k + 1) if a[j - 1] != 0), sp.Integer(0)) / h[m - 1])
        for m in range(1, k)
    )
