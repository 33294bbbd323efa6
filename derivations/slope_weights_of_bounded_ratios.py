"""Where step ratios are bounded, so are the slope weights of three-step blends.

With h_i <= R·h_{i+1} and h_{i+2} <= R·h_{i+1} every |b_j|·h_j of the blend with k = 3 is at most (R + 1)·(h_i + h_{i+1}
+ h_{i+2}), for every theta. So Σ|b h| is at most a multiple of the length of the grid, and the exponent of
convergence_bound stays bounded as N grows. Without such an R it need not: slope_weights_blow_up.
"""

import sympy as sp

from belm_theory.catalogue import blend
from belm_theory.certificate import Certificate, Claim, inequality, orders
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "slope-weights-for-bounded-ratios",
    "If h_i, h_{i+2} <= R·h_{i+1} then |b_j|·h_j <= (R + 1)·(h_i + h_{i+1} + h_{i+2}) for blend BELM with k = 3 and "
    "every theta.",
    ("0 < h2", "R > 0", "0 < h1 <= R*h2", "0 < h3 <= R*h2", "0 < theta <= 1"),
    "this project",
    "blend:k=3",
)


def derive() -> Certificate:
    """Both slope weights between plus and minus the bound."""
    theta, R = sp.symbols("theta R", positive=True)
    relation = blend(3, theta)
    bound = (R + 1) * sum(relation.h)
    goals = []
    for j, (b, h) in enumerate(zip(relation.b, relation.h, strict=False), 1):
        weight = sp.together(b * h)
        assert decide(f"-({bound}) <= {weight} <= {bound}", CLAIM.hypotheses).outcome == "proved"
        goals.append(inequality(f"b_{j} h_{j} is at most the bound", weight, "<=", bound))
        goals.append(inequality(f"b_{j} h_{j} is at least minus the bound", -bound, "<=", weight))
    steps = (orders("these are the slope weights of order 2", relation, 2),)
    return Certificate(CLAIM, proved("two inequalities a weight"), tuple(goals), steps, (relation,))
