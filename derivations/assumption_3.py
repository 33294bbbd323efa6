"""The paper's Assumption 3 has the wrong sign: under it O-BELM is unstable.

"sbar strictly concave in i" means h_i > h_{i+1}. Then g_i = (h_i/h_{i+1})² > 1 and the differences d_{i-1} = -g_i·d_i
grow at every step. On the concave grid h_i = 2^{-i} the product over n steps is 4^n: no bound exists.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, at, growth
from belm_theory.verdict import refuted

CLAIM = Claim(
    "assumption-3",
    "O-BELM is zero-stable in sampling when sbar is strictly concave in i.",
    ("h_i > h_{i+1} > 0",),
    "BELM, Assumption 3 and prop 5 as printed",
    "o-belm",
)


def derive() -> Certificate:
    """Exact companion products on h_i = 2^{-i}, over 10 and 20 steps."""
    relation = o_belm()
    point = {"h1": sp.Integer(1), "h2": sp.Rational(1, 2)}
    weights = relation.at(**point).a
    assert weights == (-3, 4)
    evidence = (
        at(point, relation.a[1], "==", 4),
        growth([weights] * 10, 4**10),
        growth([weights] * 20, 4**20),
    )
    return Certificate(CLAIM, refuted("h_i = 2^{-i}: the norm after n steps is at least 4^n"), evidence)
