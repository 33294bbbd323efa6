"""X = x/w is affine in s for fixed data and noise, and its slope is f = eps - q·D.

x = alpha·D + sigma·eps, w = alpha + q·sigma, s = sigma/w. Since alpha/w = 1 - q·s,

    X = x/w = (1 - q s)·D + s·eps = D + s·(eps - q·D),

an affine function of s whose slope is f, wherever w > 0: for q >= 0 as long as alpha > 0, and for q > 0 also at
alpha = 0. In the data frame X = x/sigma, u = alpha/sigma: X = eps + u·D, slope D. The paper states q = 0 only: its
equations 6 and 11 are d(x/alpha) = eps·d(sigma/alpha).
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import ALPHA, DATA, EPS, SIGMA, D, Frame, Q
from belm_theory.verdict import proved

CLAIM = Claim(
    "frame-is-affine",
    "For fixed (D, eps), wherever w > 0, X = x/w is affine in s with slope f: X = D + s·f, f = eps - q·D, for every "
    "q >= 0; X = eps + s·f, f = D in the data frame.",
    (),
    "this project; q = 0 is BELM, eq 6 and 11",
)


def derive() -> Certificate:
    """Both frames as identities of rational functions; three domains cover all levels with w > 0."""
    x, general = ALPHA * D + SIGMA * EPS, Frame(Q)
    state, affine = x / general.weight(), D + general.coordinate() * general.slope()
    in_data, affine_in_data = x / DATA.weight(), EPS + DATA.coordinate() * DATA.slope()
    assert sp.cancel(state - affine) == 0 and sp.cancel(in_data - affine_in_data) == 0
    goals = (
        identity("X = D + s·f, alpha > 0", state, affine, where=["0 < alpha", "0 <= sigma", "0 <= q"]),
        identity("X = D + s·f, also at alpha = 0", state, affine, where=["0 <= alpha", "0 < sigma", "0 < q"]),
        identity("X = eps + s·f in the data frame", in_data, affine_in_data, where=["0 < sigma"]),
    )
    return Certificate(CLAIM, proved("x/w = D + s·(eps - q·D); x/sigma = eps + u·D"), goals)
