"""The orders of the whole catalogue: on every grid, and on smooth grids.

Computed from each relation's residuals E_m with symbolic steps (belm_theory.order) and compared with what is claimed
for it. On smooth grids neighbouring steps agree to first order, which lifts open BELM with even k and BDIA with gamma
= 1 by one. The claim is refuted, and names the members, if any order differs.
"""

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, orders
from belm_theory.method import Relation
from belm_theory.order import order, order_smooth
from belm_theory.verdict import proved, refuted

CLAIM = Claim(
    "catalogue-orders",
    "Orders (every grid, smooth grids): ddim 1, 1; bdia 1, 1 and 1, 2 for gamma = 1; o-belm 2, 2; edict 1, 1; "
    "open k - 1, and k for even k; blend k - 1; adams m; belm 2k - 2.",
    ("h_i > 0", "k <= 4", "0 < theta < 1"),
    "BELM, Corollary 1 (ddim, bdia, o-belm); this project",
)

CLAIMED: tuple[tuple[str, dict[str, str], int, int], ...] = (
    ("ddim", {}, 1, 1), ("bdia", {"gamma": "1/2"}, 1, 1), ("bdia", {"gamma": "1"}, 1, 2), ("o-belm", {}, 2, 2),
    ("edict", {"p": "93/100"}, 1, 1),
    ("open", {"k": "2"}, 1, 2), ("open", {"k": "3"}, 2, 2), ("open", {"k": "4"}, 3, 4),
    *(("blend", {"k": str(k), "theta": "4/5"}, k - 1, k - 1) for k in (2, 3, 4)),
    *(("adams", {"m": str(m)}, m, m) for m in (1, 2, 3)),
    *(("belm", {"k": str(k)}, 2 * k - 2, 2 * k - 2) for k in (2, 3, 4)),
)  # fmt: skip


def derive() -> Certificate:
    """Compute both orders of every member."""
    evidence, wrong = [], []
    for family, parameters, every, smooth in CLAIMED:
        member = method(family, **parameters)
        found = order(member)
        if found != every or order_smooth(member) != smooth:
            wrong.append(f"{member.name} has order {found} on every grid; ({every}, {smooth}) is claimed")
        elif isinstance(member, Relation):
            evidence.append(orders(member))
    verdict = refuted("; ".join(wrong)) if wrong else proved(f"{len(CLAIMED)} members agree")
    return Certificate(CLAIM, verdict, tuple(evidence))
