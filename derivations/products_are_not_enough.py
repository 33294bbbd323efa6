"""Bounded products of g do not make a 2-step method stable: their alternating sums must be bounded too.

With d_i = X_i - X_{i+1} one has d_{i-1} = -g_i·d_i, and X is recovered by summing d. On the grid of steps 1, 2, 1, 2,
… O-BELM has g = 1/4, 4, 1/4, 4, …: every product lies in [1/4, 4], but over each pair of steps the sum of d moves by
the same amount with the same sign, and X drifts linearly. The telescoping argument for O-BELM therefore needs
monotone steps (or a bound on the alternating sums), not bounded step ratios alone.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, growth
from belm_theory.verdict import refuted

CLAIM = Claim(
    "bounded-products-suffice",
    "O-BELM is zero-stable whenever all products of (h_i/h_{i+1})² are bounded.",
    ("1/4 <= h_m²/h_n² <= 4 for all m, n",),
    "this project (a shortcut often taken in 2-step arguments)",
    "o-belm",
)


def derive() -> Certificate:
    """Exact products over 20, 40 and 80 alternating steps: the norm doubles with their number."""
    relation = o_belm()
    pair = [relation.at(h1=sp.Integer(h1), h2=sp.Integer(h2)).a for h1, h2 in ((1, 2), (2, 1))]
    evidence = tuple(growth(pair * n, sp.Rational(3 * n, 2)) for n in (10, 20, 40))
    return Certificate(CLAIM, refuted("steps 1, 2, 1, 2, …: the norm over 2n steps is at least 3n/2"), evidence)
