"""The order barriers of zero-stable BELM on uniform grids: k for even k, k - 1 for odd k, in one direction or both.

`belm_theory.barriers` has the argument (Dahlquist's, with the two missing slopes): a combination of the order
conditions in which b cancels leaves positive multiples of coefficients r_m that the root condition makes nonnegative.
They vanish; r_1 cannot. Order k for even k leaves no r_m with even m: R is odd, all roots are on the circle and the
inverse is stable too. The orders that remain are reached by open BELM, which is neutral, so one direction allows no
more than both.
"""

from belm_theory.barriers import Barrier, barrier
from belm_theory.catalogue import open_belm
from belm_theory.certificate import Certificate, Claim, Record, orders, stable
from belm_theory.certificate import barrier as recorded
from belm_theory.verdict import proved

CLAIM = Claim(
    "order-barriers",
    "On uniform grids a zero-stable k-step BELM has order at most k for even k and k - 1 for odd k (k = 2 … 5). Open "
    "BELM reaches it and is stable in both directions; for even k only methods stable in both directions reach it.",
    (),
    "this project, after Dahlquist 1956",
    granted=("a real polynomial whose roots all have real part <= 0 has coefficients of one sign",),
)
#: The largest order by k, on uniform grids.
LARGEST = {2: 2, 3: 2, 4: 4, 5: 4}


def _recorded(found: Barrier, says: str) -> Record:
    return recorded(says, found.steps, found.order, found.multipliers, found.positive, found.conclusion)


def derive() -> Certificate:
    """Barriers above the largest order, neutrality at it for even k, and open BELM as the example that reaches it."""
    goals, examples = [], [open_belm(k) for k in LARGEST]
    for example, (k, largest) in zip(examples, LARGEST.items(), strict=True):
        above = barrier(k, largest + 1)
        assert above.conclusion == "none"
        goals.append(_recorded(above, f"no zero-stable {k}-step BELM has order {largest + 1}"))
        goals.append(orders(f"open:k={k} has order {largest}", example, largest, grid="uniform"))
        for direction in ("sampling", "inversion"):
            goals.append(stable(f"open:k={k} is zero-stable in {direction}", example, direction))
        if k % 2 == 0:
            at = barrier(k, largest)
            assert at.conclusion == "neutral"
            goals.append(_recorded(at, f"a zero-stable {k}-step BELM of order {largest} has all roots on the circle"))
    witness = "k = 2 … 5: largest order " + ", ".join(map(str, LARGEST.values()))
    return Certificate(CLAIM, proved(witness), tuple(goals), relations=tuple(examples))
