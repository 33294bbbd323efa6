"""The paper's Assumption 3 has the wrong sign: under it O-BELM is unstable.

"sbar strictly concave in i" means h_i > h_{i+1}. Then g_i = (h_i/h_{i+1})² > 1 and the differences d_{i-1} = -g_i·d_i
grow at every step. On the concave grid h_i = 2^{-i} the weights are (-3, 4) at every step: rho = (z - 1)(z + 4), and
the product over n steps grows like 4^n. No bound exists.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, stable, value
from belm_theory.roots import count_roots
from belm_theory.stability import characteristic
from belm_theory.verdict import refuted

CLAIM = Claim(
    "assumption-3",
    "O-BELM is zero-stable in sampling when sbar is strictly concave in i.",
    ("0 < h2 < h1",),
    "BELM, Assumption 3 and prop 5 as printed",
    "o-belm",
)


def derive() -> Certificate:
    """The grid of steps 1, 1/2, 1/4, … satisfies the hypothesis, and a root lies outside the unit circle."""
    relation = o_belm()
    half = sp.Rational(1, 2)
    here = relation.at(h1=sp.Integer(1), h2=half)
    assert here.a == (-3, 4) and count_roots(characteristic(here)).outside == 1
    goals = (stable("bounded products on every concave grid; false on h_i = 2^{-i}", relation, grid=[1], ratio=half),)
    steps = (value("a_2 = g is 4 there", {"h1": 1, "h2": half}, relation.a[1], "==", 4),)
    witness = "h_i = 2^{-i}: rho = (z - 1)(z + 4), a perturbation grows by 4 at every step"
    return Certificate(CLAIM, refuted(witness), goals, steps, (relation,))
