"""Every consistent 2-step BELM is BDIA with a per-step gamma.

Consistency is E_0 = E_1 = 0, for free a_1, a_2, b_1:

    E_0 = 1 - a_1 - a_2,    E_1 = -a_1·h_1 - a_2·(h_1 + h_2) - b_1·h_1.

BDIA has a_2 = gamma·w_2/w_0, which takes the value a_2 for gamma = a_2·w_0/w_2. With that gamma

    a_1 - a_1(BDIA) = -E_0,    b_1 - b_1(BDIA) = E_0 - E_1/h_1,

so the weights are BDIA's exactly when the relation is consistent. O-BELM is BDIA with
gamma_i = (h_i/h_{i+1})²·w_{i-1}/w_{i+1}. The paper shows one direction (A.7: BDIA is a BELM).
"""

import sympy as sp

from belm_theory.catalogue import method, o_belm
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.grid import positions
from belm_theory.method import Relation
from belm_theory.verdict import proved

CLAIM = Claim(
    "two-step-is-bdia",
    "Every 2-step BELM with order >= 1 is BDIA with gamma_i = a_{i,2}·w_{i-1}/w_{i+1}.",
    ("h1 > 0", "w0, w2 > 0"),
    "BELM, A.7 (one direction); this project",
)


def derive() -> Certificate:
    """Differences from BDIA as combinations of E_0 and E_1."""
    bdia = method("bdia")
    assert isinstance(bdia, Relation)
    a1, a2, b1 = sp.symbols("a1 a2 b1")
    (h1, h2), (_, s1, s2), (w0, _, w2) = bdia.h, positions(bdia.h), bdia.w
    first, second = 1 - a1 - a2, -a1 * s1 - a2 * s2 - b1 * h1
    excess = (-first, sp.Integer(0), first - second / h1)
    for ours, theirs, error in zip((a1, a2, b1), (*bdia.a, *bdia.b), excess, strict=True):
        assert sp.cancel(ours - theirs.subs(bdia.parameters[0], a2 * w0 / w2) - error) == 0

    def at(gamma: sp.Expr, weight: sp.Expr) -> str:
        # As text, so that nothing is cancelled before the checker sees it.
        return str(weight).replace("gamma", f"({gamma})")

    chosen, optimal = a2 * w0 / w2, (h1 / h2) ** 2 * w0 / w2
    goals = (
        identity("a_1 is BDIA's if E_0 = 0", a1, f"{at(chosen, bdia.a[0])} + {excess[0]}"),
        identity("a_2 is BDIA's for this gamma", a2, at(chosen, bdia.a[1])),
        identity("b_1 is BDIA's if E_0 = E_1 = 0", b1, f"{at(chosen, bdia.b[0])} + {excess[2]}"),
    )
    step = identity("O-BELM's gamma", at(optimal, bdia.a[1]), o_belm().a[1], where=["h2 > 0"])
    return Certificate(CLAIM, proved("a_1, a_2 and b_1 differ from BDIA's by E_0 and E_1 only"), goals, (step,))
