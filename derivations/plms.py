"""Adams–Bashforth 4 on uniform grids has the weights of PLMS, the sampler known as PNDM; PLMS itself is not Adams.

On uniform grids the quadrature weights of four slopes are (55, -59, 37, -9)/24. PNDM's linear multistep part (Liu et
al. 2022, eq 12) combines the last four predictions with these numbers and makes a DDIM step with the result,

    X_{i-1} = X_i - h_i·(55 eps_i - 59 eps_{i+1} + 37 eps_{i+2} - 9 eps_{i+3})/24    in the noise frame,

whatever the steps h are there. Uniform timesteps are not uniform in sbar, and off uniform grids fixed weights keep only
what holds for every grid: they sum to 1, so the order is 1; the leading error has the factor 12 h_1 - 31 h_2 + 28 h_3 -
9 h_4, whose numbers sum to 0, so the order on smooth grids is 2. Adams–Bashforth with weights that follow the steps has
order 4 on every grid.
"""

import re

import sympy as sp

from belm_theory.catalogue import adams
from belm_theory.certificate import Certificate, Claim, identity, orders
from belm_theory.frame import NOISE
from belm_theory.method import Relation
from belm_theory.order import order, order_smooth
from belm_theory.verdict import proved

CLAIM = Claim(
    "adams-4-has-the-weights-of-plms",
    "On uniform grids adams:m=4 weighs the slopes by (55, -59, 37, -9)/24, as PLMS (PNDM) does on all grids; it has "
    "order 4 on every grid, PLMS order 1, and 2 on smooth grids.",
    ("h > 0",),
    "this project; Liu et al. 2022 (2202.09778), eq 12; Hairer, Nørsett, Wanner, III.1",
    "adams",
)
WEIGHTS = tuple(sp.Rational(weight, 24) for weight in (55, -59, 37, -9))


def derive() -> Certificate:
    """The weights where all steps are h; the order of both on general grids."""
    relation = adams(4)
    h = relation.h
    fixed = tuple(-weight * h[0] / step for weight, step in zip(WEIGHTS, h, strict=False))
    plms = Relation("plms", 5, NOISE, relation.a, fixed, h)
    assert (order(relation), order(plms), order_smooth(plms)) == (4, 1, 2)
    goals = []
    for j, (weight, number) in enumerate(zip(relation.b, WEIGHTS, strict=True), 1):
        assert weight.subs(dict.fromkeys(h, 1)) == -number
        # As text, so that nothing is cancelled before the checker sees it.
        goals.append(identity(f"b_{j}, all steps h", re.sub(r"h\d", "h", str(weight)), -number))
    goals += [
        orders("adams:m=4 has order 4", relation),
        orders("PLMS has order 1", plms),
        orders("PLMS has order 2 on smooth grids", plms, 2, grid="smooth"),
    ]
    step = orders("PLMS has order 4 on uniform grids", plms, 4, grid="uniform")
    return Certificate(CLAIM, proved("b = -(55, -59, 37, -9)/24"), tuple(goals), (step,), (relation, plms))
