"""Every consistent 2-step BELM is BDIA with a per-step gamma.

Consistency is E_0 = E_1 = 0. E_0 = 0 leaves one number, a = (1 - g, g); E_1 = 0 then fixes the slope weight,
b_1·h_1 = -(h_1 + g·h_2). BDIA's weight g = gamma·w_2/w_0 takes every value g > 0 with gamma = g·w_0/w_2, and its b is
the same expression: O-BELM is BDIA with gamma_i = (h_i/h_{i+1})²·w_{i-1}/w_{i+1}.
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.grid import positions
from belm_theory.method import Relation
from belm_theory.verdict import proved

CLAIM = Claim(
    "two-step-is-bdia",
    "Every 2-step BELM with order >= 1 is BDIA with gamma_i = a_{i,2}·w_{i-1}/w_{i+1}.",
    ("h_i > 0", "w_i > 0"),
    "BELM, A.6 (one direction); this project",
)


def derive() -> Certificate:
    """Solve E_1 = 0 for b and compare with BDIA at the gamma above."""
    bdia = method("bdia")
    assert isinstance(bdia, Relation)
    g, b = sp.symbols("g b")
    _, s1, s2 = positions(bdia.h)
    first = 0 - (1 - g) * s1 - g * s2 - b * bdia.h[0]
    (consistent,) = sp.solve(first, b)
    gamma = g * bdia.w[0] / bdia.w[2]
    theirs = bdia.b[0].subs(bdia.parameters[0], gamma)
    assert sp.cancel(consistent - theirs) == 0
    assert sp.cancel(bdia.a[1].subs(bdia.parameters[0], gamma) - g) == 0
    evidence = (identity(theirs, consistent), identity(bdia.a[1].subs(bdia.parameters[0], gamma), g),
                identity(first.subs(b, consistent), 0))  # fmt: skip
    return Certificate(CLAIM, proved("b_1 = -(h_1 + g·h_2)/h_1 in both"), evidence)
