"""The paper's Proposition 3, line by line: local errors of DDIM, BDIA and O-BELM.

    DDIM     h_i²/2·X''                           O(h_i²)
    BDIA     (h_i² - g·h_{i+1}²)/2·X'', 0 < g <= 1   O((h_i + h_{i+1})²)
    O-BELM   -h_i²(h_i + h_{i+1})/6·X'''             O((h_i + h_{i+1})³)

The bounds are inequalities of polynomials with coefficients of one sign. EDICT's line is decided in
edict_has_order_1.
"""

import sympy as sp

from belm_theory.catalogue import ddim, method, o_belm
from belm_theory.certificate import Certificate, Claim, orders, signs
from belm_theory.frame import NOISE
from belm_theory.grid import steps
from belm_theory.method import Relation
from belm_theory.order import local_error
from belm_theory.verdict import proved

CLAIM = Claim(
    "proposition-3",
    "Leading local errors are bounded by h_i² (DDIM), (h_i + h_{i+1})² (BDIA, 0 < g <= 1), (h_i + h_{i+1})³ (O-BELM).",
    ("h_i > 0", "0 < g <= 1"),
    "BELM, prop 3 (without EDICT)",
)


def derive() -> Certificate:
    """Leading coefficients, and the two inequalities -bound <= coefficient <= bound for each."""
    h1, h2 = steps(2)
    g = sp.Symbol("g", positive=True)
    two_step = Relation("bdia", 2, NOISE, (1 - g, g), (-(h1 + g * h2) / h1,), (h1, h2), parameters=(g,))
    assert isinstance(method("bdia"), Relation)
    bounds = ((ddim(), h1**2), (two_step, (h1 + h2) ** 2), (o_belm(), (h1 + h2) ** 3))
    evidence = []
    for relation, bound in bounds:
        leading = local_error(relation).coefficient
        inequalities = [bound - leading, bound + leading]
        evidence.append(orders(relation))
        evidence.append(signs(inequalities, positive=["h1", "h2"], unit=["g"]))
    return Certificate(CLAIM, proved("bound ± leading coefficient has coefficients of one sign"), tuple(evidence))
