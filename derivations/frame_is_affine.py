"""X = x/w is affine in s for fixed data and noise, and its slope is f = eps - q·D.

x = alpha·D + sigma·eps, w = alpha + q·sigma, s = sigma/w. Since alpha/w = 1 - q·s,

    X = x/w = (1 - q s)·D + s·eps = D + s·(eps - q·D),

an affine function of s whose slope is f. In the data frame X = x/sigma, u = alpha/sigma: X = u·D + eps, slope D.
The paper states q = 0 only (eq 5).
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import ALPHA, DATA, EPS, SIGMA, D, Frame, Q
from belm_theory.verdict import proved

CLAIM = Claim(
    "frame-is-affine",
    "For fixed (D, eps), X = x/w is affine in s with slope f: eps - q·D for every q >= 0, D in the data frame.",
    ("alpha + q·sigma != 0 (data frame: sigma != 0)",),
    "this project; q = 0 is BELM, eq 5",
)


def derive() -> Certificate:
    """Both frames as identities of rational functions."""
    x = ALPHA * D + SIGMA * EPS
    general = Frame(Q)
    affine = D + general.coordinate() * general.slope()
    assert sp.cancel(x / general.weight() - affine) == 0
    data = EPS + DATA.coordinate() * DATA.slope()
    assert sp.cancel(x / DATA.weight() - data) == 0
    evidence = (identity(x / general.weight(), affine), identity(x / DATA.weight(), data))
    return Certificate(CLAIM, proved("x/w = D + s·(eps - q·D); x/sigma = eps + u·D"), evidence)
