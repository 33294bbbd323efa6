"""A first Euler step caps the global order at 2, whatever the order of the method.

Take f = s, X = s²/2, on a uniform grid. Methods of order >= 2 are exact for it, so the whole error is the starting
error: the first Euler step misses by h²/2, and the Adams–Bashforth rows of order >= 2 that follow carry it on. In what
follows the error obeys the homogeneous relation, for which

    I = Σ_j l_j e_{i-1+j},    l_j = a_j + … + a_k,

is invariant. With a >= 0 the l_j do not increase with j, so |I| <= max|e|·Σ_{j<=k} l_j at the end and |I| =
(h²/2)·Σ_{j<k} l_j at the start give

    max |e| >= (h²/2)·(k - 1)/k    among the last k states, for every N.

So the default start (a first Euler step, then Adams–Bashforth of rising order) costs nothing to methods of order <= 2
and caps the others at 2; open BELM with k = 4 shows order 2.00 with it and 4.00 from exact starting values. The paper
starts with one DDIM step, enough for k = 2.
"""

import sympy as sp

from belm_theory.catalogue import adams, blend, open_belm
from belm_theory.certificate import Certificate, Claim, identity, inequality, orders
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "starting-values-cap-the-order",
    "Started with an Euler step, a method with weights a >= 0 and order >= 2 has global order at most 2: for f = s on "
    "uniform steps h some of the last k errors is at least (h²/2)·(k - 1)/k (k = 2 … 5).",
    ("a2, a3, a4, a5 >= 0", "rest >= 0"),
    "this project",
)


def derive() -> Certificate:
    """The invariant, the error of the first step, and the bound; rest is what a_1 adds to the other weights."""
    goals = []
    s, h, rest = sp.symbols("s h rest")
    goals.append(identity("the first Euler step misses X = s²/2 by h²/2", (s - h) ** 2 / 2 - (s**2 / 2 - h * s),
                          h**2 / 2))  # fmt: skip
    second = adams(2)
    goals.append(orders("Adams–Bashforth rows of order 2 are exact for X = s²/2", second, 2))
    for k in range(2, 6):
        others, e = sp.symbols(f"a2:{k + 1}"), sp.symbols(f"e1:{k + 1}")
        a = (1 - sum(others), *others)
        tails = [sum(a[j:]) for j in range(k)]
        before = sum(t * x for t, x in zip(tails, e, strict=True))
        new = sum(weight * x for weight, x in zip(a, e, strict=True))
        after = tails[0] * new + sum(t * x for t, x in zip(tails[1:], e, strict=False))
        assert sp.expand(after - before) == 0
        goals.append(identity(f"k = {k}: I is the same after a step", after, before))
        # a_1 = rest >= 0 is free here: the bound is homogeneous in a.
        tails = [sum((rest, *others)[j:]) for j in range(k)]
        left, right = (k - 1) * sum(tails), k * sum(tails[:-1])
        assert decide(f"{left} <= {right}", [f"a{j} >= 0" for j in range(2, k + 1)] + ["rest >= 0"]).outcome == "proved"
        goals.append(inequality(f"k = {k}: l_k, the smallest l_j, is not negative", tails[-1], ">=", 0))
        goals.append(inequality(f"k = {k}: (k - 1)·Σ l_j <= k·Σ_{{j<k}} l_j", left, "<=", right))
    examples = (open_belm(4), blend(4, sp.Rational(4, 5)))
    steps = [orders(f"{one.name} is of order >= 2, exact for X = s²/2", one) for one in examples]
    witness = "I = (h²/2)·Σ_{j<k} l_j at the start is invariant, so the last k errors cannot all be small"
    return Certificate(CLAIM, proved(witness), tuple(goals), tuple(steps), (second, *examples))
