"""The BDIA inversion released with the paper does not go back the way that BDIA came.

From a bare x_0 the inversion has to begin with a one-step method. The released file samplers/BDIA.py means DDIM's
inversion (eq 8) but leaves out the factor eps of its last term (reported there as issue 13):

    x_1 = (alpha_1/alpha_0)·x_0 + (sigma_1 - alpha_1·sigma_0/alpha_0)            instead of (…)·eps.

Where the prediction is a constant eps, DDIM and BDIA are exact and x_0 = alpha_0·D + sigma_0·eps belongs to x_1 =
alpha_1·D + sigma_1·eps. With the factor that x_1 is found; without it x_1 is wrong by (1 - eps) times
sigma_1 - alpha_1·sigma_0/alpha_0, positive where sbar_1 > sbar_0: every pixel gets the same number where DDIM adds the
predicted noise.

The reconstruction error cannot show it. BDIA's step from the pair (x_2, x_1) returns x_0 whatever x_1 was, as long as
x_2 was made from it by the inverse step. The latents are what suffers, and edits made from them.
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import NOISE
from belm_theory.method import Relation
from belm_theory.verdict import refuted
from belm_theory.xform import levels, predictions, states, x_step

CLAIM = Claim(
    "released-bdia-inversion",
    "For a constant prediction eps the first step of the released BDIA inversion, x_1 = (alpha_1/alpha_0)·x_0 + "
    "(sigma_1 - alpha_1·sigma_0/alpha_0), finds the x_1 from which x_0 was made.",
    ("alpha0 > 0",),
    "code of BELM: samplers/BDIA.py, latent_to_intermediate",
    "bdia",
)


def derive() -> Certificate:
    """The first step with and without the factor eps; and the round trip that hides it."""
    alpha, sigma = levels(2)
    D, x0, (_, x2), (eps,) = sp.Symbol("D"), sp.Symbol("x0"), states(2), predictions(2)
    data, target = (alpha[i] * D + sigma[i] * eps for i in (0, 1))
    drift, shift = alpha[1] / alpha[0] * data, sigma[1] - alpha[1] / alpha[0] * sigma[0]
    assert sp.expand(drift + shift * eps - target) == 0
    error = sp.expand(drift + shift - target)
    assert sp.expand(error - shift * (1 - eps)) == 0
    bdia = method("bdia")
    assert isinstance(bdia, Relation)
    there = x_step(bdia, NOISE)
    (back,) = sp.solve(sp.Eq(there, x0), x2)
    assert sp.cancel(there.subs(x2, back) - x0) == 0
    return Certificate(
        CLAIM,
        refuted("x_1 is wrong by (sigma_1 - alpha_1·sigma_0/alpha_0)·(1 - eps); right only for eps = 1"),
        goals=(identity("x_1 without the factor eps", drift + shift, target),),
        steps=(
            identity("x_1 with the factor eps", drift + shift * eps, target),
            identity("the error", drift + shift - target, shift * (1 - eps)),
            identity("from the pair (x_2, x_1) BDIA returns x_0, whatever x_1 is",
                     str(there).replace(str(x2), f"({back})"), x0,
                     where=["gamma, alpha1, alpha2 > 0"]),
        ),
    )  # fmt: skip
