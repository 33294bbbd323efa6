"""The slope weights of three-step methods grow without bound when the interior step degenerates.

Two interior nodes s_i < s_{i+1} carry the quadrature. For a = (1 - theta, 0, theta)

    -b_1·h_i = (1 - theta)·(h_i + h_i²/(2·h_{i+1})) + theta·((h_i + h_{i+1})² - h_{i+2}²)/(2·h_{i+1}),

which exceeds any multiple of h_i + h_{i+1} + h_{i+2} as h_{i+1} becomes small against h_i, whatever theta: so do the
parts of Adams–Bashforth 2 (theta = 0) and of open BELM (theta = 1). Convergence needs Σ|b h| bounded (convergence), so
zero-stability on every grid is not convergence on every grid. For bounded step ratios the weights are bounded:
slope_weights_of_bounded_ratios.
"""

import sympy as sp

from belm_theory.catalogue import blend
from belm_theory.certificate import Certificate, Claim, inequality, orders
from belm_theory.inequality import decide
from belm_theory.verdict import refuted

CLAIM = Claim(
    "slope-weights-stay-bounded",
    "There is a C with |b_1|·h_i <= C·(h_i + h_{i+1} + h_{i+2}) on every grid for blend or open BELM with k = 3.",
    ("h1, h2, h3 > 0", "C > 0", "0 < theta <= 1"),
    "this project",
    "blend:k=3",
)


def derive() -> Certificate:
    """For any C, and for every theta, a grid on which the weight is larger."""
    theta, C = sp.symbols("theta C", positive=True)
    relation = blend(3, theta)
    h1, h2, h3 = relation.h
    weight, total = sp.together(-relation.b[0] * h1), h1 + h2 + h3
    adams, opened = h1 + h1**2 / (2 * h2), ((h1 + h2) ** 2 - h3**2) / (2 * h2)
    assert sp.cancel(weight - (1 - theta) * adams - theta * opened) == 0
    point = {h1: 2 * C * h2 + h3}
    there = f"{weight.subs(point)} > {C * total.subs(point)}"
    assert decide(there, [*CLAIM.hypotheses[1:], "h2, h3 > 0"]).outcome == "proved"
    goal = inequality("the weight is at most C times the steps; false for h_i = 2 C h_{i+1} + h_{i+2}", weight, "<=",
                      C * total, point=point)  # fmt: skip
    steps = (orders("these are the slope weights of order 2", relation, 2),)
    return Certificate(CLAIM, refuted("h_i = 2·C·h_{i+1} + h_{i+2} exceeds C, for every theta"), (goal,), steps,
                       (relation,))  # fmt: skip
