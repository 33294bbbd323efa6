"""DDIM is explicit Euler in every frame.

DDIM keeps (D, eps) of node i and moves the levels: x_{i-1} = alpha_{i-1}·D + sigma_{i-1}·eps with
D = (x_i - sigma_i·eps)/alpha_i (Song et al. 2021, eq 12). The Euler step X_{i-1} = X_i - h_i·f_i, written in x and
eps, is the same function whatever q: its x-form does not contain q.
"""

import sympy as sp

from belm_theory.catalogue import ddim
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import DATA, Frame, Q
from belm_theory.verdict import proved
from belm_theory.xform import levels, x_form

CLAIM = Claim(
    "ddim-is-euler",
    "The Euler step in any frame q >= 0, and in the data frame, is the DDIM step.",
    ("alpha_i != 0",),
    "Song et al. 2021 (2010.02502), eq 12; BELM, eq 8",
    "ddim",
)


def derive() -> Certificate:
    """Compare the x-forms for symbolic q and in the data frame with DDIM's own formula."""
    alpha, sigma = levels(2)
    printed = (alpha[0] / alpha[1], sigma[0] - alpha[0] * sigma[1] / alpha[1])
    evidence = []
    for frame in (Frame(Q), DATA):
        (state, _), (slope,) = x_form(ddim(), frame)
        for ours, theirs in zip((state, slope), printed, strict=True):
            assert sp.cancel(ours - theirs) == 0
            evidence.append(identity(ours, theirs))
    return Certificate(CLAIM, proved("the x-form contains no q"), tuple(evidence))
