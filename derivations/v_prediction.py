"""The v of v-prediction is not the slope of the flow frame.

v = alpha·eps - sigma·D (Salimans, Ho 2022), f = eps - D: at D = 1, eps = 0 they are -sigma and -1, at D = 0, eps = 1
alpha and 1. They are equal for all (D, eps) only at alpha = sigma = 1, and proportional only where alpha = sigma. What
holds is a combination with the state: solving x = alpha·D + sigma·eps and v for (D, eps),

    (alpha² + sigma²)·D = alpha·x - sigma·v,    (alpha² + sigma²)·eps = sigma·x + alpha·v,

so in frame q, with w = alpha + q·sigma,

    f = eps - q·D = (w·v + (sigma - q·alpha)·x)/(alpha² + sigma²).

A network that predicts v, run where f is expected, is another ODE: a wrong sample without an error message.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, value
from belm_theory.frame import ALPHA, EPS, FLOW, PREDICTIONS, SIGMA, D, Frame, Q
from belm_theory.verdict import refuted

CLAIM = Claim(
    "v-prediction-is-the-flow-slope",
    "The v of v-prediction, alpha·eps - sigma·D, is the slope of the flow frame, eps - D.",
    ("alpha > 0",),
    "this project; Salimans, Ho 2022 (2202.00512) for v",
)


def derive() -> Certificate:
    """Compare the two; derive the relation that holds from the definition of v."""
    on_data, on_noise = PREDICTIONS["v"]
    v, x = on_data * D + on_noise * EPS, ALPHA * D + SIGMA * EPS
    size = ALPHA**2 + SIGMA**2
    f = (Frame(Q).weight() * v + (SIGMA - Q * ALPHA) * x) / size
    assert sp.cancel(f - Frame(Q).slope()) == 0 and sp.expand(v - FLOW.slope()) != 0
    P, R = Frame(Q).slope_from("v")
    assert sp.cancel(P - Frame(Q).weight() / size) == 0 and sp.cancel(R - (SIGMA - Q * ALPHA) / size) == 0
    point = {ALPHA: sp.Rational(3, 5), SIGMA: sp.Rational(4, 5), D: 1, EPS: 0}
    return Certificate(
        CLAIM,
        refuted("alpha = 3/5, sigma = 4/5, D = 1, eps = 0: v = -4/5, f = -1"),
        goals=(identity("v = f", v, FLOW.slope()),),
        steps=(
            value("v at D = 1, eps = 0 is -sigma", point, v, "==", sp.Rational(-4, 5)),
            value("f there is -1", point, FLOW.slope(), "==", -1),
            identity("f in frame q from v and x", f, Frame(Q).slope()),
        ),
    )
