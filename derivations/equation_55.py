"""The paper's equation 55 prints 3/2 where its own expansion gives 1/2.

For a 2-step relation with a_2 = g the consistent b leaves E_2 = h_i² - g·h_{i+1}², so the local error in x is
alpha_{i-1}·E_2/2!·eps' = (alpha_{i-1}/2)(h_i² - g h_{i+1}²)·eps' + O(h³). The printed factor 3/2 is refuted by the
coefficient itself. Nothing that follows in the paper depends on the number: the term vanishes for the same g.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, orders
from belm_theory.frame import NOISE
from belm_theory.grid import steps
from belm_theory.method import Relation
from belm_theory.order import local_error
from belm_theory.verdict import refuted

CLAIM = Claim(
    "equation-55-constant",
    "The local error of a consistent 2-step BELM starts with (3/2)·alpha_{i-1}·(h_i² - g·h_{i+1}²)·eps'.",
    (),
    "BELM, eq 55",
)


def derive() -> Certificate:
    """Compute the leading term for symbolic g and compare it with the printed one."""
    h1, h2 = steps(2)
    g = sp.Symbol("g", positive=True)
    relation = Relation("two-step", 2, NOISE, (1 - g, g), (-(h1 + g * h2) / h1,), (h1, h2), parameters=(g,))
    leading = local_error(relation).coefficient
    printed = sp.Rational(3, 2) * (h1**2 - g * h2**2)
    assert sp.cancel(leading - (h1**2 - g * h2**2) / 2) == 0 != sp.cancel(leading - printed)
    return Certificate(
        CLAIM,
        refuted(f"the leading coefficient is {leading}: 1/2, not 3/2"),
        goals=(orders("order 1, leading term with the printed 3/2", relation, leading=printed),),
        steps=(orders("order 1, leading term with 1/2", relation),),
        relations=(relation,),
    )
