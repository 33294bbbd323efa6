"""O-BELM is not the same sampler in every frame.

In frame q its old state enters with A_2 = w_{i-1}·(h_i/h_{i+1})²/w_{i+1}, and the steps h of s = sigma/w depend on q.
The two functions of the levels are not identical; one set of rational levels shows by how much they differ.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity, value
from belm_theory.frame import FLOW, NOISE
from belm_theory.verdict import refuted
from belm_theory.xform import levels, x_form

CLAIM = Claim(
    "o-belm-is-frame-invariant",
    "O-BELM has the same x-form in the noise frame and in the velocity frame.",
    ("alpha0, alpha1, alpha2 > 0", "0 < sigma0", "sigma0*alpha1/alpha0 < sigma1", "sigma1*alpha2/alpha1 < sigma2"),
    "this project",
    "o-belm",
)

LEVELS = {
    "alpha0": sp.Integer(1), "sigma0": sp.Rational(1, 4), "alpha1": sp.Integer(1), "sigma1": sp.Rational(1, 2),
    "alpha2": sp.Integer(1), "sigma2": sp.Integer(1),
}  # fmt: skip


def derive() -> Certificate:
    """Compare A_2 in both frames, and evaluate it at one rational grid."""
    noise, flow = (x_form(o_belm(), frame)[0][1] for frame in (NOISE, FLOW))
    point = {symbol: LEVELS[symbol.name] for symbol in sum(levels(2), ())}
    values = [expression.subs(point) for expression in (noise, flow)]
    assert values[0] != values[1]
    witness = f"at levels {', '.join(f'{k} = {v}' for k, v in LEVELS.items())}: A_2 = {values[0]} and {values[1]}"
    return Certificate(
        CLAIM,
        refuted(witness),
        goals=(identity("A_2 is the same function in both frames", noise, flow),),
        steps=(value("A_2 differs at one grid", LEVELS, noise, "!=", flow),),
    )
