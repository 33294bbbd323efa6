"""The designed grid: log m + C·tau is uniform, m a Möbius map of sbar, and sbar increases.

m = (sbar + A)/(1 + sbar/B) with bends 0 < A < B; tau, the share of the schedule's time gone by at sbar, does not
decrease with sbar; C >= 0. Between two ratios,

    m(y) - m(x) = (y - x)·(1 - A/B)/((1 + x/B)(1 + y/B)) > 0    for y > x >= 0,

so m increases, and log m + C·tau with it, and so do the nodes. The inverse of m is sbar = (m - A)/(1 - m/B) for
A <= m < B, and m -> B as sbar -> oo, so that a grid may reach alpha = 0. Since 0 <= tau < 1 below node N, log m lies
between u - C and u where log m + C·tau = u: there a node is found by halving. For C = 0 the spacing of sbar is
(sbar + A)(sbar + B)/(B - A) for a unit of log m: uniform below A, geometric between, thin above B. C·tau adds nodes
uniform in time.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "designed-grid-increases",
    "For 0 < A < B, C >= 0 and a share of time tau in [0, 1] that does not decrease, m = (sbar + A)/(1 + sbar/B) and "
    "with it log m + C·tau increase for sbar >= 0; the inverse of m is (m - A)/(1 - m/B), m stays below B, and sbar "
    "moves by (sbar + A)(sbar + B)/(B - A) for a unit of log m.",
    ("0 < A < B", "0 <= x < y", "C >= 0", "p <= q", "r < 1"),
    "this project",
    granted=("log increases",),
)


def derive() -> Certificate:
    """The difference of two values, the inverse, the upper end, and the spacing."""
    A, B, x, y = (sp.Symbol(name, positive=True) for name in "ABxy")
    C, p, q, r = (sp.Symbol(name, real=True) for name in "Cpqr")

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
        inequality("C·tau does not decrease, tau from p at x to q at y", C * (q - p), ">=", 0),
        inequality("C·tau is at most C, tau = r below node N: log m >= u - C where log m + C·tau = u", C * r, "<=", C),
        identity("the inverse", (bent(x) - A) / (1 - bent(x) / B), x),
        identity("B - m = B(B - A)/(B + sbar)", B - bent(x), B * (B - A) / (B + x)),
        inequality("so m stays below B", bent(x), "<", B),
        identity("the spacing: m/m'", bent(x) / sp.diff(bent(x), x), spacing),
    )
    return Certificate(CLAIM, proved("m(y) - m(x) = (y - x)(1 - A/B)/((1 + x/B)(1 + y/B))"), goals)
