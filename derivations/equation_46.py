"""The paper's equation 46 labels its rows by the member that is made, equation 45 by the one before it.

A.8 interleaves EDICT as z_{4l} = x_i, z_{4l-1} = y_i, z_{4l-2} = x_inter, z_{4l-3} = y_inter, z_{4l-4} = x_{i-1}, at
the levels alpha_{4l} = alpha_{4l-1} = alpha_i, alpha_{4l-2} = sqrt(alpha_i·alpha_{i-1}), alpha_{4l-3} = alpha_{i-1}
(eq 41), with steps h_{4l-1} = h_{4l-2} = H/2, H = sbar_i - sbar_{i-1}, and h = 0 for the other two (eq 44). Eq 45
reads

    zbar_{j-1} = a_{j,2}·zbar_{j+1} + a_{j,1}·zbar_j + b_{j,1}·h_j·eps(zbar_j),

so a row is labelled by its middle member j and makes zbar_{j-1}. With r_{i-1}, r_i, r_{i+1} the roots of the alphas,
eq 46 lists

    j = 4l: p·r_{i+1}/r_i, 1 - p, 0     4l-1: p, 1 - p, 0     4l-2: r_{i-1}/r_i, 0, -2 r_{i-1}/r_i     4l-3: 1, 0, -2

for a_{j,2}, a_{j,1}, b_{j,1}. Read so, x_inter = z_{4l-2} is made by the row j = 4l-1, that is without any slope; the
slope of the row j = 4l-3 meets h_{4l-3} = 0; no row makes what eq 40 makes. Read with the label of the member that is
made, j - 1 in place of j (h_j stays), all four rows are right: the labels are off by one.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, value
from belm_theory.verdict import refuted

CLAIM = Claim(
    "equation-46-labels",
    "In eq 45 with the labels of eq 46 the row j = 4l-1 makes x_inter as EDICT does.",
    ("r0, r1 > 0",),
    "BELM (NeurIPS 2024), eq 40–46 (A.8) as printed",
    "edict",
)

p, r0, r1, r2, sigma0, sigma1 = sp.symbols("p r0 r1 r2 sigma0 sigma1", positive=True)
#: zbar_{4l-4} … zbar_{4l+1}, and the noise predicted at zbar_{4l-1} and zbar_{4l-2}.
z0, z1, z2, z3, z4, z5, eps3, eps2 = sp.symbols("z0:6 eps3 eps2")
HALF = (sigma1 / r1**2 - sigma0 / r0**2) / 2
SLOPE = sigma0 - r0**2 / r1**2 * sigma1

#: What eq 40 makes, divided by the levels of eq 41.
MADE = {
    "y_i": (p * (r1**2 * z5) + (1 - p) * (r1**2 * z4)) / r1**2,
    "x_inter": (r0**2 / r1**2 * (r1**2 * z4) + SLOPE * eps3) / (r0 * r1),
    "y_inter": (r0**2 / r1**2 * (r1**2 * z3) + SLOPE * eps2) / r0**2,
    "x_{i-1}": (p * (r0 * r1 * z2) + (1 - p) * (r0**2 * z1)) / r0**2,
    "y_{i-1}": (p * (r0**2 * z1) + (1 - p) * (r0**2 * z0)) / r0**2,
}
#: Eq 45 with the coefficients of eq 46 under their printed labels, and the steps of eq 44.
PRINTED = {
    "y_i": p * r2 / r1 * z5 + (1 - p) * z4,
    "x_inter": p * z4 + (1 - p) * z3,
    "y_inter": r0 / r1 * z3 - 2 * r0 / r1 * HALF * eps2,
    "x_{i-1}": z2,
}
#: The same with the coefficients labelled by what is made.
SHIFTED = {
    "x_inter": r0 / r1 * z4 - 2 * r0 / r1 * HALF * eps3,
    "y_inter": z3 - 2 * HALF * eps2,
    "x_{i-1}": p * r1 / r0 * z2 + (1 - p) * z1,
    "y_{i-1}": p * z1 + (1 - p) * z0,
}


def derive() -> Certificate:
    """Compare both readings with eq 40."""
    assert all(sp.cancel(row - MADE[name]) != 0 for name, row in PRINTED.items())
    assert all(sp.cancel(row - MADE[name]) == 0 for name, row in SHIFTED.items())
    numbers = {p: sp.Rational(9, 10), r0: 1, r1: sp.Rational(1, 2), r2: sp.Rational(1, 4), sigma0: 0, sigma1: 1,
               z0: 1, z1: 2, z2: 3, z3: 4, z4: 5, z5: 6, eps3: 7, eps2: 8}  # fmt: skip
    goal = identity("the row j = 4l-1 makes x_inter", PRINTED["x_inter"], MADE["x_inter"])
    steps = [
        value(f"nor does a row make {name}", numbers, row, "!=", MADE[name])
        for name, row in PRINTED.items() if name != "x_inter"
    ]  # fmt: skip
    steps += [identity(f"label j - 1 makes {name}", row, MADE[name]) for name, row in SHIFTED.items()]
    witness = "x_inter would be p·x_i + (1 - p)·y_i, without a slope; with label j - 1 for j all rows are right"
    return Certificate(CLAIM, refuted(witness), (goal,), tuple(steps))
