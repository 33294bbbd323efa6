"""A first Euler step caps the global order at 2, whatever the order of the method.

Take f = s, X = s²/2. Methods that are exact for it carry the starting error on and add none: the first Euler step, of
size h_N, misses by h_N²/2; Adams–Bashforth rows of order >= 2 pass this error on, further Euler rows add their own
h²/2. From then on the error obeys the homogeneous relation, for which with constant weights a

    I = Σ_j l_j e_{i-1+j},    l_j = a_j + … + a_k,

is invariant. Let |e| <= m in the last k states. With a >= 0 the l_j do not increase with j, and

    m·Σ_{j<=k} l_j >= I >= (h_N²/2)·Σ_{j<k} l_j >= (h_N²/2)·(k - 1)/k·Σ_{j<=k} l_j.

So m >= (h_N²/2)·(k - 1)/k, on every grid of every length. Exact for X = s²/2 are blend and open BELM with k >= 3 and
Adams–Bashforth with m >= 2 on every grid, and open BELM with k = 2 on uniform ones. O-BELM's weights depend on the
grid; its differences d_i = e_i - e_{i+1} obey d_{i-1} = -(h_i/h_{i+1})²·d_i, so |d_i| = h_{i+1}²/2 at every node, and
of two neighbouring errors one is at least h²/4.

The two starts that run are Adams–Bashforth of rising order (the default) and DDIM (the paper's); the first row of both
is an Euler step. Both cost nothing to methods of order <= 2 and cap the others at 2. What a start of order r gives is
in convergence and global_order.
"""

import sympy as sp

from belm_theory.catalogue import adams, blend, ddim, o_belm, open_belm
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, orders
from belm_theory.inequality import decide
from belm_theory.order import order
from belm_theory.verdict import proved

CLAIM = Claim(
    "starting-values-cap-the-order",
    "Started with an Euler step, a method that is exact for X = s²/2 has global order at most 2: for f = s one of the "
    "last k errors is at least (h_N²/2)·(k - 1)/k, if a is constant and >= 0 (k = 2 … 5), or h_1²/4 for O-BELM.",
    ("a1, a2, a3, a4, a5 >= 0",),
    "this project",
)


def _shown(says: str, left: sp.Expr, relation: str, right: sp.Expr, where: tuple[str, ...] = ()) -> Record:
    names = {s.name for s in (left - right).free_symbols}
    given = [f"{name} >= 0" for name in sorted(names) if name.startswith("a")]
    assert decide(f"{left} {relation} {right}", [*given, *where]).outcome == "proved"
    return inequality(says, left, relation, right, where=where)


def _of_size(k: int) -> list[Record]:
    """The invariant, its value after the start, and the bound; e_1 … e_k are the errors, newest first."""
    a, e = sp.symbols(f"a1:{k + 1}"), sp.symbols(f"e1:{k + 1}")
    h, m = sp.symbols(f"h1:{k}"), sp.Symbol("m")
    made = sum(weight * error for weight, error in zip(a, e, strict=True))
    tails = [sum(a[j:]) for j in range(k)]
    total = sum(tail * error for tail, error in zip(tails, e, strict=True))
    after = tails[0] * made + sum(tail * error for tail, error in zip(tails[1:], e, strict=False))
    normal = {a[0]: 1 - sum(a[1:])}
    assert sp.expand((after - total).subs(normal)) == 0
    # After r Euler rows of steps h1, h2, … the error is (h1² + … + hr²)/2, at most what further rows add to the first.
    euler = [sum(step**2 for step in h[: k - 1 - j]) / 2 for j in range(k)]
    started = sum(tail * error for tail, error in zip(tails, euler, strict=True))
    least = h[0] ** 2 / 2 * sum(tails[:-1])
    gaps = sp.symbols(f"d1:{k + 1}")
    below = total.subs({error: m - gap for error, gap in zip(e, gaps, strict=True)})
    return [
        identity(f"k = {k}: I is the same after a step", after.subs(normal), total.subs(normal)),
        _shown(f"k = {k}: with Euler rows I is at least what the first of them makes", started, ">=", least),
        _shown(f"k = {k}: with e_j = m - d_j <= m, I is at most m·Σ l_j", below, "<=", m * sum(tails),
               tuple(f"{gap} >= 0" for gap in gaps)),
        _shown(f"k = {k}: (k - 1)·Σ l_j <= k·Σ_{{j<k}} l_j", (k - 1) * sum(tails), "<=", k * sum(tails[:-1])),
    ]  # fmt: skip


def derive() -> Certificate:
    """The error of the first step, what passes it on, and the bound for each k."""
    theta = sp.Symbol("theta", positive=True)
    first, second, belm = ddim(), open_belm(2), o_belm()
    exact = (*(blend(k, theta) for k in (3, 4, 5)), *(open_belm(k) for k in (3, 4, 5)), *(adams(m) for m in (2, 3, 4)))
    assert all(order(relation) >= 2 for relation in exact)
    h1, h2 = belm.h
    goals = [orders("an Euler step misses X = s²/2 by h²/2", first, 1, leading=h1**2 / 2)]
    goals += [orders(f"{one.name} is exact for X = s²/2 on every grid", one) for one in exact]
    goals.append(orders("open:k=2 is exact for X = s²/2 on uniform grids", second, 2, grid="uniform"))
    goals += [record for k in (2, 3, 4, 5) for record in _of_size(k)]
    assert sp.cancel(belm.a[1] * h2**2 / 2 - h1**2 / 2) == 0 and order(belm) == 2
    goals.append(orders("o-belm is exact for X = s²/2 on every grid", belm, 2))
    goals.append(identity("o-belm: a difference of h_{i+1}²/2 becomes one of h_i²/2", f"({belm.a[1]})*h2**2/2",
                          h1**2 / 2, where=["h2 > 0"]))  # fmt: skip
    witness = "I >= (h_N²/2)·Σ_{j<k} l_j after the start is invariant, so the last k errors cannot all be small"
    return Certificate(CLAIM, proved(witness), tuple(goals), relations=(first, second, belm, *exact))
