"""A BELM of stage order k - 1 is an a-weighted blend of k interpolatory quadratures, and every such blend is one.

Ask that X' = f is integrated exactly for polynomials f of degree <= k - 2, given weights a with Σ a_j = 1. That is k
- 1 linear conditions on the k - 1 slope weights; their matrix is the Vandermonde matrix of the interior nodes, scaled
by the steps, with determinant Π h_m·Π_{l < m}(s_m - s_l) > 0. So b is unique, and the blend Σ_j a_j·(X_j + ∫ P),
whose quadratures are exact to that degree, is the solution.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, orders, unique
from belm_theory.frame import NOISE
from belm_theory.grid import positions, steps
from belm_theory.method import Relation
from belm_theory.order import order
from belm_theory.quadrature import panel, slope_weights
from belm_theory.sign import sign
from belm_theory.verdict import proved

CLAIM = Claim(
    "blend-of-quadratures",
    "Given a with Σ a_j = 1, exactly one choice of slope weights integrates degree <= k - 2 exactly: the a-weighted "
    "blend of the quadratures over the interior nodes (k = 2 … 5).",
    ("h2, h3, h4 > 0",),
    "this project",
)


def derive() -> Certificate:
    """For symbolic a: the blend has order k - 1, its slope weights are the weighted panels, and no others will do."""
    goals, relations = [], []
    for k in (2, 3, 4, 5):
        h, free = steps(k), sp.symbols(f"a2:{k + 1}")
        a = (1 - sum(free), *free)
        b = slope_weights(a, h)
        relation = Relation(f"blend of {k}", k, NOISE, a, b, h, parameters=free)
        assert order(relation) == k - 1
        nodes = positions(h)[1:]
        matrix = sp.Matrix(k - 1, k - 1, lambda m, j, h=h, nodes=nodes: h[j] * nodes[j] ** m)
        assert sign(sp.factor(matrix.det())) == 1
        goals.append(orders(f"k = {k}: the blend has order {k - 1} on every grid", relation, k - 1))
        goals.append(unique(f"k = {k}: given a, no other slope weights have it", k, k - 1, "b"))
        for m in range(1, k):
            blended = sum(weight * panel(j, m, h) for j, weight in enumerate(a, 1))
            assert sp.cancel(b[m - 1] * h[m - 1] - blended) == 0
            goals.append(identity(f"k = {k}: b_{m} h_{m} is the blend of the panels", b[m - 1] * h[m - 1], blended))
        relations.append(relation)
    witness = "order k - 1 for symbolic a, and a Vandermonde determinant that is positive"
    return Certificate(CLAIM, proved(witness), tuple(goals), relations=tuple(relations))
