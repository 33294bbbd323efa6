"""BDIA with gamma = 0 is DDIM, and has no inverse.

gamma multiplies the oldest state and every term that came with it (eq 24); without it the DDIM step is left. Two
histories that differ in x_{i+1} only then lead to the same (x_{i-1}, x_i): what a sampler with an exact inverse keeps
is lost. Nor does x_{i-1} alone determine x_i: where the network's prediction is eps(x) = c·x with c = -A/B, A and B
the coefficients of the DDIM step, every x_i is sent to 0.

The paper's FID table takes for BDIA on CelebA-HQ the gamma that its grid search found best (Tables 3 and 6, 10 steps:
27.41, the entry of gamma = 0.0; DDIM has 27.13), and keeps it for more steps (C.2). So that column is DDIM, up to the
random seeds, and no competitor with exact inversion.
"""

import sympy as sp

from belm_theory.catalogue import ddim, method
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import NOISE
from belm_theory.inverse import invertible
from belm_theory.method import Relation
from belm_theory.verdict import proved
from belm_theory.xform import levels, predictions, states, x_form, x_step

CLAIM = Claim(
    "bdia-without-gamma-is-ddim",
    "BDIA with gamma = 0 is the DDIM step; its step forgets x_{i+1}, and some networks make it send every x_i to 0.",
    ("alpha0, alpha1 > 0", "sigma0*alpha1/alpha0 < sigma1"),
    "BELM, Tables 3 and 6 (BDIA on CelebA-HQ); this project",
    "bdia",
)


def derive() -> Certificate:
    """Put gamma = 0 into the step as it runs; compare with DDIM; collapse x_i by a linear prediction."""
    bdia = method("bdia")
    assert isinstance(bdia, Relation)
    (gamma,), (x1, x2), (eps,) = bdia.parameters, states(2), predictions(2)
    made, euler = x_step(bdia, NOISE), x_step(ddim(), NOISE)
    assert sp.cancel(made.subs(gamma, 0) - euler) == 0 and invertible(bdia.at(gamma=sp.Integer(0))).outcome == "refuted"
    other = sp.Symbol("x2_other")
    assert sp.cancel(made - made.subs(x2, other) - gamma * (x2 - other)) == 0
    (A, _), (B,) = x_form(ddim(), NOISE)
    assert sp.cancel(euler.subs(eps, -A / B * x1)) == 0
    alpha, sigma = levels(2)
    printed = alpha[0] / alpha[1] * x1 + (sigma[0] - alpha[0] / alpha[1] * sigma[1]) * eps
    # As text, so that nothing is cancelled before the checker sees it.
    without = str(made).replace("gamma", "0")
    positive = ["alpha2 > 0"]
    goals = (
        identity("BDIA with gamma = 0 is DDIM", without, printed, where=positive),
        identity("x_{i+1} may be another", without, without.replace("x2", "x2_other"), where=positive),
        identity("eps(x) = -(A/B)·x sends x_i to 0", str(printed).replace("eps1", f"(-({A})/({B})*x1)"), 0),
    )
    steps = (
        identity("for gamma > 0 x_{i+1} is seen", made - made.subs(x2, other), gamma * (x2 - other), where=positive),
    )
    return Certificate(CLAIM, proved("a_2 = gamma·alpha_{i+1}/alpha_{i-1} = 0"), goals, steps)
