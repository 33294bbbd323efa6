"""The paper's Corollary 1: orders of accuracy of DDIM, BDIA and O-BELM.

A method has order p if its local error is O(h^{p+1}) on every grid: E_0 = … = E_p = 0 for all steps, and E_{p+1} is not
zero. The leading terms of Proposition 3 give 1, 1 and 2. BDIA's order rises for no gamma: its leading error
(h_i² - gamma·h_{i+1}²·w_{i+1}/w_{i-1})/2 is positive on steps 2, 1 with equal w. (On smooth grids it is small for gamma
= 1, and the order there is 2: see catalogue_orders.) The paper's Table 1 also lists EDICT, with order 0: refuted in
edict_has_order_1.
"""

from belm_theory.catalogue import ddim, method, o_belm
from belm_theory.certificate import Certificate, Claim, inequality, orders
from belm_theory.inequality import decide
from belm_theory.method import Relation
from belm_theory.order import local_error, order
from belm_theory.verdict import proved

CLAIM = Claim(
    "corollary-1",
    "DDIM and BDIA have order 1 and O-BELM has order 2 on every grid, for every gamma <= 1 and in every frame.",
    ("gamma <= 1",),
    "BELM, Corollary 1 (ddim, bdia, o-belm)",
)


def derive() -> Certificate:
    """Both sides of each order: the residuals that vanish, and the leading error that does not."""
    bdia = method("bdia")
    assert isinstance(bdia, Relation)
    claimed = ((ddim(), 1), (bdia, 1), (o_belm(), 2))
    assert all(order(relation) == p for relation, p in claimed)
    (h1, h2), (w0, _, w2) = bdia.h, bdia.w
    leading = local_error(bdia).coefficient.subs({h1: 2, h2: 1, w0: 1, w2: 1})
    assert decide(f"{leading} > 0", CLAIM.hypotheses).outcome == "proved"
    goals = [orders(f"{relation.name} has order {p}", relation, p) for relation, p in claimed]
    goals.append(inequality("BDIA's leading error on steps 2, 1 with equal w is not zero", leading, ">", 0))
    witness = "leading errors h_i²/2, (h_i² - g·h_{i+1}²)/2, -h_i²(h_i + h_{i+1})/6"
    return Certificate(CLAIM, proved(witness), tuple(goals), relations=tuple(relation for relation, _ in claimed))
