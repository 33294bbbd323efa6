"""EDICT is a 2-step BELM with period 4 in its coefficients.

Interleave the registers, …, x_i, y_i, x_inter, y_inter, x_{i-1}, y_{i-1}, …, each divided by the alpha of its level:
alpha_i for x_i and y_i, alpha_{i-1} for the rest, to which the first two stages have already moved. Every member is a
combination of the two before it,

    z_{n-1} = a_1·z_n + a_2·z_{n+1} + b·eps(z_n),

with at most one slope, at the interior member. The weights repeat with period 4: (0, 1), (0, 1), (1 - p, p),
(1 - p, p); slopes enter the first two only. They sum to 1, and a_2 is never zero, so the relation is invertible. The
embedding is algebraic: x_i and y_i share one time, so two of the four steps have length zero.

The paper (A.8) gives x_inter the level sqrt(alpha_i·alpha_{i-1}) instead. Then the weights do not sum to 1, which is
where its "order 0" comes from (see edict_has_order_1); its table of coefficients has other slips (equation_43,
equation_46).
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality
from belm_theory.inverse import invertible
from belm_theory.method import TwoRegister
from belm_theory.verdict import proved
from belm_theory.xform import levels

CLAIM = Claim(
    "edict-is-belm",
    "EDICT's four stages are 2-step BELM relations on the interleaved registers: a_1 + a_2 = 1, a_2 > 0, one slope at "
    "most, at the interior member.",
    ("0 < p", "alpha0, alpha1 > 0"),
    "BELM, eq 9 and 39; A.8 with another level for x_inter",
    "edict",
)


def printed(p: sp.Expr) -> dict[str, sp.Expr]:
    """EDICT in x and eps, eq 39; eps is the prediction at the member before."""
    (alpha0, alpha1), (sigma0, sigma1) = levels(1)
    x, y, x_inter, y_inter, eps = sp.symbols("x y x_inter y_inter eps")
    drift, slope = alpha0 / alpha1, sigma0 - alpha0 / alpha1 * sigma1
    return {
        "x_inter": drift * (alpha1 * x) + slope * eps,
        "y_inter": drift * (alpha1 * y) + slope * eps,
        "x": p * (alpha0 * x_inter) + (1 - p) * (alpha0 * y_inter),
        "y": p * (alpha0 * y_inter) + (1 - p) * (alpha0 * x),
    }


def derive() -> Certificate:
    """Each printed stage against a_1·newer + a_2·older + b·eps, with the weights of the catalogue's stage."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister) and invertible(edict).outcome == "proved"
    (alpha0, alpha1), (sigma0, sigma1) = levels(1)
    theirs = printed(edict.parameters[0])
    sequence, goals, oldest = ["x", "y"], list[Record](), []
    for stage in edict.stages:
        older, newer = sequence[-2:]
        terms = dict(stage.terms)
        assert set(terms) <= {newer, older, f"f({newer})"}
        a1, a2, b = (terms.get(name, sp.Integer(0)) for name in (newer, older, f"f({newer})"))
        b = b.subs(edict.h[0], sigma1 / alpha1 - sigma0 / alpha0)
        combined = a1 * sp.Symbol(newer) + a2 * sp.Symbol(older) + b * sp.Symbol("eps")
        assert sp.cancel(theirs[stage.target] / alpha0 - combined) == 0
        goals += [
            identity(f"{stage.target} from {newer} and {older}", f"({theirs[stage.target]})/alpha0", combined),
            identity(f"the weights of {stage.target} sum to 1", f"({a1}) + ({a2})", 1),
            inequality(f"{stage.target} keeps {older}", 0, "<", a2),
        ]
        oldest.append(a2)
        sequence.append(stage.target)
    return Certificate(CLAIM, proved(f"a_2 = {', '.join(map(str, oldest))} over a period"), tuple(goals))
