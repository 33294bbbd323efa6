"""DDIM is explicit Euler in every frame.

DDIM keeps (D, eps) of node i and moves the levels: x_{i-1} = alpha_{i-1}·D + sigma_{i-1}·eps with
D = (x_i - sigma_i·eps)/alpha_i (Song et al. 2021, eq 12; BELM, eq 7),

    x_{i-1} = (alpha_{i-1}/alpha_i)·x_i + (sigma_{i-1} - alpha_{i-1}·sigma_i/alpha_i)·eps.

The Euler step X_{i-1} = X_i - h_i·f_i in the coordinates of a frame, multiplied out, is this function whatever q.
"""

import sympy as sp

from belm_theory.catalogue import ddim
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import DATA, Frame, Q
from belm_theory.verdict import proved
from belm_theory.xform import levels, predictions, states, x_step

CLAIM = Claim(
    "ddim-is-euler",
    "The Euler step in any frame q >= 0, and in the data frame, is the DDIM step.",
    ("alpha0, alpha1 > 0",),
    "Song et al. 2021 (2010.02502), eq 12; BELM, eq 7",
    "ddim",
)


def derive() -> Certificate:
    """Compare the step as it runs for symbolic q, and in the data frame, with DDIM's own formula."""
    (alpha0, alpha1, *_), (sigma0, sigma1, *_) = levels(2)
    (x, _), (eps,) = states(2), predictions(2)
    printed = alpha0 / alpha1 * x + (sigma0 - alpha0 / alpha1 * sigma1) * eps
    general, data = x_step(ddim(), Frame(Q)), x_step(ddim(), DATA)
    assert sp.cancel(general - printed) == 0 and sp.cancel(data - printed) == 0
    goals = (
        identity("Euler in frame q", general, printed, where=["0 <= q", "0 <= sigma0", "0 <= sigma1"]),
        identity("Euler in the data frame", data, printed, where=["sigma0, sigma1 > 0"]),
    )
    return Certificate(CLAIM, proved("the step contains no q"), goals)
