"""The designed grid: a Möbius map of sbar is geometric, and sbar increases.

The nodes are those at which log m is uniform, m = (sbar + A)/(1 + sbar/B) with bends 0 < A < B. Between two ratios,

    m(y) - m(x) = (y - x)·(1 - A/B)/((1 + x/B)(1 + y/B)) > 0    for y > x >= 0,

so m increases and so do the nodes; the inverse is sbar = (m - A)/(1 - m/B) for A <= m < B, and m -> B as sbar -> oo, so
that a grid may reach alpha = 0. The spacing of sbar is (sbar + A)(sbar + B)/(B - A) for a unit of log m: uniform below
A, geometric between, thin above B.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "designed-grid-increases",
    "For 0 < A < B the map m = (sbar + A)/(1 + sbar/B) increases for sbar >= 0, its inverse is (m - A)/(1 - m/B), "
    "it stays below B, and sbar moves by (sbar + A)(sbar + B)/(B - A) for a unit of log m.",
    ("0 < A < B", "0 <= x < y"),
    "this project",
)


def derive() -> Certificate:
    """The difference of two values, the inverse, the upper end, and the spacing."""
    A, B, x, y = (sp.Symbol(name, positive=True) for name in "ABxy")

    def bent(s: sp.Expr) -> sp.Expr:
        return (s + A) / (1 + s / B)

    difference = (y - x) * (1 - A / B) / ((1 + x / B) * (1 + y / B))
    spacing = (x + A) * (x + B) / (B - A)
    assert sp.cancel(bent(y) - bent(x) - difference) == 0
    assert sp.cancel((bent(x) - A) / (1 - bent(x) / B) - x) == 0
    assert sp.cancel(bent(x) / sp.diff(bent(x), x) - spacing) == 0
    assert decide("(y - x)*(B - A) > 0", CLAIM.hypotheses).outcome == "proved"
    goals = (
        identity("m(y) - m(x)", bent(y) - bent(x), difference),
        inequality("it is positive", difference, ">", 0),
        identity("the inverse", (bent(x) - A) / (1 - bent(x) / B), x),
        identity("B - m = B(B - A)/(B + sbar)", B - bent(x), B * (B - A) / (B + x)),
        inequality("so m stays below B", bent(x), "<", B),
        identity("the spacing: m/m'", bent(x) / sp.diff(bent(x), x), spacing),
    )
    return Certificate(CLAIM, proved("m(y) - m(x) = (y - x)(1 - A/B)/((1 + x/B)(1 + y/B))"), goals)
