"""The slope weights of three-step methods grow without bound when an interior step degenerates.

Two interior nodes s_i < s_{i+1} carry the quadrature. For a = (0, 0, 1)

    -b_1·h_i = ((h_i + h_{i+1})² - h_{i+2}²)/(2·h_{i+1}),

which exceeds any multiple of h_i + h_{i+1} + h_{i+2} as h_{i+1} becomes small against h_i. Convergence needs Σ|b h|
bounded (convergence), so zero-stability on every grid is not convergence on every grid. For bounded step ratios the
weights are bounded: slope_weights_of_bounded_ratios.
"""

from belm_theory.catalogue import open_belm
from belm_theory.certificate import Certificate, Claim, inequality, orders
from belm_theory.inequality import decide
from belm_theory.verdict import refuted

CLAIM = Claim(
    "slope-weights-stay-bounded",
    "There is a C with |b_1|·h_i <= C·(h_i + h_{i+1} + h_{i+2}) on every grid for open BELM with k = 3.",
    ("h1, h2, h3 > 0", "C > 0"),
    "this project",
    "open:k=3",
)


def derive() -> Certificate:
    """For any C a grid on which the weight is larger."""
    relation = open_belm(3)
    h1, h2, h3 = relation.h
    weight, total = -relation.b[0] * h1, h1 + h2 + h3
    assert decide(f"{weight} <= 10*({total})", ["h1, h2, h3 > 0"]).outcome == "refuted"
    goal = inequality("the weight is at most C times the steps; false for h_i = 2 C h_{i+1} + h_{i+2}", weight, "<=",
                      f"C*({total})", point={"h1": "2*C*h2 + h3"})  # fmt: skip
    steps = (orders("these are the slope weights of order 2", relation, 2),)
    return Certificate(CLAIM, refuted("h_i = 2·C·h_{i+1} + h_{i+2} exceeds C"), (goal,), steps, (relation,))
