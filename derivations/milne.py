"""Open BELM with k = 4 on uniform grids is Milne's predictor.

Milne 1926, forwards in t: y_{n+1} = y_{n-3} + (4h/3)·(2 f_n - f_{n-1} + 2 f_{n-2}). Our index runs from noise to data,
so the integration goes by -h:

    X_{i-1} = X_{i+3} - (4h/3)·(2 f_i - f_{i+1} + 2 f_{i+2}),    b = (-8/3, 4/3, -8/3).

The rule is symmetric about its middle node, so it integrates one degree more than interpolation promises: order 4 on
uniform grids (and on smooth ones), order 3 on others, where the weights are no longer these.
"""

import re

from belm_theory.catalogue import open_belm
from belm_theory.certificate import Certificate, Claim, identity, orders
from belm_theory.order import order, order_smooth
from belm_theory.verdict import proved

CLAIM = Claim(
    "open-4-is-milne",
    "On uniform grids open:k=4 is Milne's predictor: a = (0, 0, 0, 1), b = -(4/3)·(2, -1, 2), order 4; on every grid "
    "its order is 3.",
    ("h > 0",),
    "this project; Milne 1926; Hairer, Nørsett, Wanner, III.1",
    "open",
)


def derive() -> Certificate:
    """The weights where all steps are h; the orders."""
    relation = open_belm(4)
    assert relation.a == (0, 0, 0, 1) and (order(relation), order_smooth(relation)) == (3, 4)
    goals = [orders("order 4 on uniform grids", relation, 4, grid="uniform"), orders("order 3 on every grid", relation)]
    for j, (weight, milne) in enumerate(zip(relation.b, ("-8/3", "4/3", "-8/3"), strict=True), 1):
        assert str(weight.subs(dict.fromkeys(relation.h, 1))) == milne
        # As text, so that nothing is cancelled before the checker sees it.
        goals.append(identity(f"b_{j}, all steps h", re.sub(r"h\d", "h", str(weight)), milne))
    step = orders("order 4 on smooth grids", relation, 4, grid="smooth")
    return Certificate(CLAIM, proved("b = (-8/3, 4/3, -8/3)"), tuple(goals), (step,), (relation,))
