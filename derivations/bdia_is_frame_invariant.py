"""BDIA is the same sampler in every frame.

In x and eps it reads (BELM, eq 24)

    x_{i-1} = gamma·x_{i+1} + (alpha_{i-1}/alpha_i - gamma·alpha_{i+1}/alpha_i)·x_i
              + (sigma_{i-1} - alpha_{i-1}·sigma_i/alpha_i - gamma·(sigma_{i+1} - alpha_{i+1}·sigma_i/alpha_i))·eps_i.

Our rule g = gamma·w_{i+1}/w_{i-1} makes A_2 = w_{i-1}·g/w_{i+1} = gamma, a number that no frame can change; the rest
follows because the slope weight integrates constant slopes exactly. The paper writes q = 0 only (eq 38).
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import DATA, Frame, Q
from belm_theory.method import Relation
from belm_theory.verdict import proved
from belm_theory.xform import levels, predictions, states, x_step

CLAIM = Claim(
    "bdia-is-frame-invariant",
    "BDIA with any gamma, run in any frame q >= 0 or in the data frame, is the recurrence that its authors print.",
    ("alpha0, alpha1, alpha2 > 0", "0 <= q"),
    "BELM, eq 24 and 38 (for q = 0); the other frames: this project",
    "bdia",
)


def printed(gamma: sp.Expr) -> sp.Expr:
    """BDIA in x and eps, eq 24."""
    alpha, sigma = levels(2)
    (x1, x2), (eps,) = states(2), predictions(2)
    ratios = [alpha[0] / alpha[1], alpha[2] / alpha[1]]
    slope = sigma[0] - ratios[0] * sigma[1] - gamma * (sigma[2] - ratios[1] * sigma[1])
    return gamma * x2 + (ratios[0] - gamma * ratios[1]) * x1 + slope * eps


def derive() -> Certificate:
    """The step as it runs for symbolic q, and in the data frame, against eq 24."""
    bdia = method("bdia")
    assert isinstance(bdia, Relation)
    theirs = printed(bdia.parameters[0])
    general, data = x_step(bdia, Frame(Q)), x_step(bdia, DATA)
    assert sp.cancel(general - theirs) == 0 and sp.cancel(data - theirs) == 0
    goals = (
        identity("BDIA in frame q", general, theirs, where=["0 <= sigma0", "0 <= sigma1", "0 <= sigma2"]),
        identity("BDIA in the data frame", data, theirs, where=["sigma0, sigma1, sigma2 > 0"]),
    )
    return Certificate(CLAIM, proved("the step contains no q; A_2 = gamma"), goals)
