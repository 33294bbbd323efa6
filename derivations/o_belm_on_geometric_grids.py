"""On a geometric grid O-BELM in the noise frame is the leapfrog in the data frame.

Let sbar_i = c·r^i, so sigma_i = c·r^i·alpha_i. Then g = (h_i/h_{i+1})² = 1/r² and O-BELM's step equals that of the
2-step open BELM, a = (0, 1), run in the data frame, for any alpha: A_2 = alpha_{i-1}/(alpha_{i+1}·r²) =
sigma_{i-1}/sigma_{i+1} in both, and the coefficients of x_i and eps_i agree too. Uniform log-SNR grids are geometric:
there the paper's optimal method and the leapfrog of data prediction are one sampler. On other grids they differ.
"""

import sympy as sp

from belm_theory.catalogue import o_belm, open_belm
from belm_theory.certificate import Certificate, Claim, identity, value
from belm_theory.frame import DATA, NOISE
from belm_theory.verdict import proved
from belm_theory.xform import levels, states, x_form, x_step

CLAIM = Claim(
    "o-belm-on-geometric-grids",
    "If sbar_i = c·r^i with r > 1, O-BELM in the noise frame equals open:k=2 in the data frame.",
    ("c > 0", "r > 1", "alpha0, alpha1, alpha2 > 0"),
    "this project",
    "o-belm",
)


def derive() -> Certificate:
    """Substitute the geometric levels into both steps; a grid that is not geometric tells them apart."""
    c, r = sp.symbols("c r", positive=True)
    alpha, sigma = levels(2)
    geometric = {sigma[j]: c * r**j * alpha[j] for j in range(3)}
    ours, theirs = x_step(o_belm(), NOISE), x_step(open_belm(2), DATA)
    assert sp.cancel(ours.subs(geometric) - theirs.subs(geometric)) == 0
    other = dict.fromkeys(alpha, sp.Integer(1)) | dict(zip(sigma, map(sp.Integer, (1, 2, 3)), strict=True))
    weights = [x_form(relation, frame)[0][1] for relation, frame in ((o_belm(), NOISE), (open_belm(2), DATA))]
    assert [weight.subs(other) for weight in weights] == [1, sp.Rational(1, 3)]
    return Certificate(
        CLAIM,
        proved(f"one step for all states; the weight of {states(2)[1]} is sigma0/sigma2 in both"),
        goals=(identity("the same step", ours.subs(geometric), theirs.subs(geometric)),),
        steps=(
            identity("A_2", weights[0].subs(geometric), (sigma[0] / sigma[2]).subs(geometric)),
            value("A_2 differs at sbar = 1, 2, 3", other, f"({weights[0]}) - ({weights[1]})", "==", "2/3"),
        ),
    )
