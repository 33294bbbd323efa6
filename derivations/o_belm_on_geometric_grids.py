"""On a geometric grid O-BELM in the noise frame is the leapfrog in the data frame.

Let sbar_i = c·r^i, so sigma_i = c·r^i·alpha_i. Then the x-form of O-BELM (noise frame) and of the 2-step open BELM a
= (0, 1) in the data frame are equal, for any alpha. Uniform log-SNR grids are geometric: there the paper's optimal
method and the leapfrog of data prediction are one sampler.
"""

import sympy as sp

from belm_theory.catalogue import o_belm, open_belm
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import DATA, NOISE
from belm_theory.verdict import proved
from belm_theory.xform import levels, x_form

CLAIM = Claim(
    "o-belm-on-geometric-grids",
    "If sbar_i = c·r^i, O-BELM in the noise frame equals open:k=2 in the data frame.",
    ("c > 0", "r > 1", "alpha_i > 0"),
    "this project",
    "o-belm",
)


def derive() -> Certificate:
    """Substitute the geometric levels into both x-forms."""
    c, r = sp.symbols("c r", positive=True)
    alpha, sigma = levels(2)
    geometric = {sigma[j]: c * r**j * alpha[j] for j in range(3)}
    ours = sum(x_form(o_belm(), NOISE), ())
    theirs = sum(x_form(open_belm(2), DATA), ())
    evidence = []
    for left, right in zip(ours, theirs, strict=True):
        left, right = left.subs(geometric), right.subs(geometric)
        assert sp.cancel(left - right) == 0
        evidence.append(identity(left, right))
    return Certificate(CLAIM, proved("all three coefficients of the x-form agree"), tuple(evidence))
