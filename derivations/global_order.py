"""The global order is the smaller one of the method's order and the order of its starting values, and no larger.

That it is at least min(p, r) is convergence. Here are problems on which it is no more, on uniform grids and for
constant weights a >= 0. Let e be exact minus computed. Where f does not depend on X, a row with local error t adds t to

    I = Σ_j l_j e_{i-1+j},    l_j = a_j + … + a_k,    l_1 = 1,

and an error of m or less in the last k states means |I| <= m·Σ l_j <= m·k (starting_values).

- X = s^{p+1} with p the order on uniform grids: every row adds the same t = E_{p+1}·h^{p+1}, E_{p+1} != 0 taken on unit
  steps. From exact starting values n rows make I = n·t. As n·h -> T some error is at least |E_{p+1}|·T·h^p/k.
- f = 0: starting errors c·h^r stay what they are, because the weights sum to 1.

So a start of order r >= p is wasted beyond p, and one of order r < p caps the method at r. On smooth grids p is
order_smooth (catalogue_orders).
"""

import sympy as sp

from belm_theory.catalogue import adams, blend, open_belm
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, orders
from belm_theory.inequality import decide
from belm_theory.method import Relation
from belm_theory.order import residual
from belm_theory.verdict import proved

CLAIM = Claim(
    "global-order-is-the-smaller",
    "With starting errors of order r a method with constant weights a >= 0 and order p on uniform grids has global "
    "order at most min(p, r): blend with p = k - 1, open with p = 2, 2, 4, 4, adams with p = m (k = 2 … 5, m = 1 … 4).",
    ("0 < theta < 1",),
    "this project",
)


def _of_size(k: int) -> list[Record]:
    """What a row does to I, and to equal errors."""
    others, e = sp.symbols(f"a2:{k + 1}"), sp.symbols(f"e1:{k + 1}")
    t, c = sp.symbols("t c")
    a = (1 - sum(others), *others)
    tails = [sum(a[j:]) for j in range(k)]
    made = sum(weight * error for weight, error in zip(a, e, strict=True)) + t
    before = sum(tail * error for tail, error in zip(tails, e, strict=True))
    after = tails[0] * made + sum(tail * error for tail, error in zip(tails[1:], e, strict=False))
    kept = sum(weight * c for weight in a)
    assert sp.expand(after - before - t) == 0 and sp.expand(kept - c) == 0
    return [
        identity(f"k = {k}: a row with local error t adds t to I", after, before + t),
        identity(f"k = {k}: equal errors stay what they are where every slope is zero", kept, c),
    ]


def _of_member(member: Relation, p: int) -> list[Record]:
    """Its order on uniform grids, and E_{p+1} on unit steps for every value of the parameter."""
    error = sp.expand(residual(member, p + 1).subs(dict.fromkeys(member.h, 1)))
    assert all(residual(member, m).subs(dict.fromkeys(member.h, 1)) == 0 for m in range(p + 1))
    assert decide(f"{error} != 0", CLAIM.hypotheses).outcome == "proved"
    goals = [orders(f"{member.name} has order {p} on uniform grids", member, p, grid="uniform")]
    if member.parameters:
        goals.append(inequality(f"{member.name}: E_{p + 1} on unit steps is not zero", error, "!=", 0))
    return goals


def derive() -> Certificate:
    """For each k what errors do, and for each member the local error that does not vanish."""
    sizes, theta = (2, 3, 4, 5), sp.Symbol("theta", positive=True)
    members = [(blend(k, theta), k - 1) for k in sizes] + [(open_belm(k), k - k % 2) for k in sizes]
    members += [(adams(k - 1), k - 1) for k in sizes]
    goals = [record for k in sizes for record in _of_size(k)]
    goals += [record for member, p in members for record in _of_member(member, p)]
    witness = "X = s^{p+1} from exact starting values, and f = 0 with starting errors c·h^r"
    return Certificate(CLAIM, proved(witness), tuple(goals), relations=tuple(member for member, _ in members))
