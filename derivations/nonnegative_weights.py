"""Nonnegative weights are stable on every grid, with constant 1.

If all a_j >= 0 (they sum to 1), every companion matrix is row-stochastic; products of row-stochastic matrices are
row-stochastic; the maximum norm of each is 1. Hence K_sampling = 1 for Adams–Bashforth, open and blend BELM, whatever
the steps: their weights are constants in [0, 1]. No such simple bound comes from a root condition.
"""

import sympy as sp

from belm_theory.catalogue import adams, blend, open_belm
from belm_theory.certificate import Certificate, Claim, stable
from belm_theory.stability import zero_stable
from belm_theory.verdict import proved

CLAIM = Claim(
    "nonnegative-weights",
    "Adams–Bashforth, open and blend BELM have K_sampling = 1 on every grid (k <= 5).",
    ("0 < theta <= 1",),
    "this project",
)


def derive() -> Certificate:
    """Signs and sums of the weights of every member."""
    theta = sp.Symbol("theta", positive=True)
    members = [adams(m) for m in range(1, 5)]
    members += [open_belm(k) for k in range(2, 6)] + [blend(k, theta) for k in range(2, 6)]
    for member in members:
        found = zero_stable(member)
        assert (found.outcome, found.witness) == ("proved", "weights >= 0 with sum 1: K = 1")
    goals = tuple(stable(f"{member.name} has K = 1", member, constant=1) for member in members)
    witness = "every a_j >= 0 and they sum to 1: row-stochastic companion matrices"
    return Certificate(CLAIM, proved(witness), goals, relations=tuple(members))
