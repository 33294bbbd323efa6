"""Bounded products of g do not make a 2-step method stable: their alternating sums must be bounded too.

With d_i = X_i - X_{i+1} one has d_{i-1} = -g_i·d_i, and X is recovered by summing d. For O-BELM the products of g
telescope to (h_m/h_{n+1})², so they lie between 1/4 and 4 on every grid with steps in [1, 2). On the grid of steps 1,
3/2, 1, 3/2, … one has g = 4/9, 9/4, 4/9, …: over each pair of steps the sum of d moves by the same amount with the same
sign, and X drifts linearly. The matrix of a pair has the double eigenvalue 1 and is not the identity. The telescoping
argument for O-BELM therefore needs monotone steps (or a bound on the alternating sums, see two_step_closed_form), not
bounded step ratios alone.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, inequality, stable
from belm_theory.roots import Z
from belm_theory.stability import companion
from belm_theory.verdict import refuted

CLAIM = Claim(
    "bounded-products-suffice",
    "O-BELM is zero-stable in sampling on all grids with steps in [1, 2), where the products of g are bounded by 4.",
    ("1 <= h1 < 2", "1 <= h2 < 2"),
    "this project (a shortcut often taken in 2-step arguments)",
    "o-belm",
)


def derive() -> Certificate:
    """The double eigenvalue 1 of the product over one period of the grid 1, 3/2, 1, 3/2, …."""
    relation = o_belm()
    grid = [sp.Integer(1), sp.Rational(3, 2)]
    first, second = (relation.at(h1=h1, h2=h2) for h1, h2 in (grid, grid[::-1]))
    period = sp.Matrix(companion(first.a)) * sp.Matrix(companion(second.a))
    assert sp.factor(period.charpoly(Z).as_expr()) == (Z - 1) ** 2 and period != sp.eye(2)
    goals = (stable("bounded products; false on the steps 1, 3/2, 1, 3/2, …", relation, grid=grid),)
    h1, h2 = relation.h
    steps = (
        inequality("a product of g telescopes to (h_m/h_{n+1})², which is below 4", (h1 / h2) ** 2, "<", 4),
        inequality("and above 1/4", (h1 / h2) ** 2, ">", sp.Rational(1, 4)),
    )
    witness = "steps 1, 3/2, 1, 3/2, …: a period has the double eigenvalue 1 and is not the identity: linear growth"
    return Certificate(CLAIM, refuted(witness), goals, steps, (relation,))
