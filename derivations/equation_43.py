"""The paper's equation 43 lacks a factor 1/2.

A.8 gives EDICT's x_inter the levels alpha_{4l-2} = sqrt(alpha_i·alpha_{i-1}) (eq 41) and
sigma_{4l-2} = (sigma_i·sqrt(alpha_{i-1}/alpha_i) + sigma_{i-1}·sqrt(alpha_i/alpha_{i-1}))/2 (eq 42). Their quotient is
the mean of sbar_i and sbar_{i-1}; eq 43 prints the sum. The steps of eq 44, halves of sbar_i - sbar_{i-1}, are those of
the mean, so nothing that follows depends on the slip.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.verdict import refuted

CLAIM = Claim(
    "equation-43-sum",
    "The levels of eq 41 and 42 give x_inter sbar_{4l-2} = sigma_i/alpha_i + sigma_{i-1}/alpha_{i-1}.",
    ("r0, r1 > 0",),
    "BELM (NeurIPS 2024), eq 43 (A.8) as printed",
    "edict",
)


def derive() -> Certificate:
    """The quotient of eq 42 by eq 41, with r the roots of the alphas."""
    r0, r1, sigma0, sigma1 = sp.symbols("r0 r1 sigma0 sigma1", positive=True)
    quotient = (sigma1 * r0 / r1 + sigma0 * r1 / r0) / 2 / (r0 * r1)
    before, after = sigma0 / r0**2, sigma1 / r1**2
    assert sp.cancel(quotient - (before + after) / 2) == 0
    return Certificate(
        CLAIM,
        refuted("it is half of that, the mean"),
        goals=(identity("the printed sum", quotient, before + after),),
        steps=(
            identity("the mean", quotient, (before + after) / 2),
            identity("h_{4l-1} of eq 44", after - quotient, (after - before) / 2),
            identity("h_{4l-2} of eq 44", quotient - before, (after - before) / 2),
        ),
    )
