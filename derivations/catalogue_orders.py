"""The orders of the whole catalogue: on every grid, and on smooth grids.

The residuals E_m of each relation are computed with symbolic steps, frame weights and parameters (belm_theory.order),
so the orders hold in every frame. E_{p+1}/(p+1)!·X^{(p+1)} is the leading local error. On smooth grids s_i = S(i/N)
neighbouring steps agree to first order, which lifts open BELM with even k and BDIA with gamma = 1 by one. Elsewhere the
leading error does not vanish on uniform steps, for no value of the parameter: both orders are exact member by member.

EDICT's two registers are expanded in the step for a general slope f(s, X); x - y is multiplied by p² in every step.

The paper's Corollary 1 lists EDICT with order 0 (see edict_has_order_1). The claim is refuted, and the members are
named, if any order differs: a wrong sign, factor or index in a coefficient does that.
"""

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, Record, inequality, orders, stages
from belm_theory.inequality import decide
from belm_theory.method import Relation, TwoRegister
from belm_theory.order import local_error, order, order_smooth
from belm_theory.verdict import proved, refuted

CLAIM = Claim(
    "catalogue-orders",
    "Orders (every grid, smooth grids), parameters free: ddim 1, 1; edict 1, 1; bdia 1, 1, but 1, 2 for gamma = 1; "
    "o-belm 2, 2; open k - 1, and k on smooth grids for even k; blend k - 1; adams m; belm 2k - 2; k <= 5, m <= 4.",
    ("gamma < 1", "0 < theta < 1"),
    "BELM, Corollary 1 (ddim, bdia, o-belm); this project",
)

#: Family, parameters (those left out stay symbols), order on every grid, order on smooth grids.
CLAIMED: tuple[tuple[str, dict[str, str], int, int], ...] = (
    ("ddim", {}, 1, 1), ("edict", {}, 1, 1), ("bdia", {}, 1, 1), ("bdia", {"gamma": "1"}, 1, 2), ("o-belm", {}, 2, 2),
    *(("open", {"k": str(k)}, k - 1, k - k % 2) for k in (2, 3, 4, 5)),
    *(("blend", {"k": str(k)}, k - 1, k - 1) for k in (2, 3, 4, 5)),
    *(("adams", {"m": str(m)}, m, m) for m in (1, 2, 3, 4)),
    *(("belm", {"k": str(k)}, 2 * k - 2, 2 * k - 2) for k in (2, 3, 4, 5)),
)  # fmt: skip


def _of_relation(member: Relation, every: int, smooth: int) -> tuple[bool, list[Record]]:
    """Whether both orders are the claimed ones, and the goals that claim them."""
    goals = [orders(f"{member.name} has order {every} on every grid, with its leading error", member, every)]
    if order(member) != every:
        return False, goals
    goals.append(orders(f"{member.name} has order {smooth} on smooth grids", member, smooth, grid="smooth"))
    right = order_smooth(member) == smooth
    if member.parameters:
        ones = dict.fromkeys((*member.h, *member.w), 1)
        uniform = local_error(member).coefficient.subs(ones)
        goals.append(inequality(f"{member.name}: no parameter value has a higher order", uniform, "!=", 0))
        right &= decide(f"{uniform} != 0", CLAIM.hypotheses).outcome == "proved"
    return right, goals


def _of_stages(member: TwoRegister, claimed: int) -> tuple[bool, list[Record]]:
    (p,) = member.parameters
    right = order(member) == claimed and (member.mixing.trace() - 1 - p**2).expand() == 0
    return right, [stages(f"{member.name} has order {claimed}", member, claimed, p**2)]


def derive() -> Certificate:
    """Compute both orders of every member."""
    goals, wrong, relations = [], [], []
    for family, parameters, every, smooth in CLAIMED:
        member = method(family, **parameters)
        if isinstance(member, Relation):
            right, records = _of_relation(member, every, smooth)
            relations.append(member)
        else:
            right, records = _of_stages(member, every)
        goals += records
        if not right:
            wrong.append(f"{member.name} has order {order(member)} on every grid; ({every}, {smooth}) is claimed")
    verdict = refuted("; ".join(wrong)) if wrong else proved(f"{len(CLAIMED)} members agree")
    return Certificate(CLAIM, verdict, tuple(goals), relations=tuple(relations))
