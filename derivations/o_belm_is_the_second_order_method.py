"""O-BELM is the one 2-step BELM with order 2 on every grid.

The three conditions E_0 = E_1 = E_2 = 0 are linear in (a_1, a_2, b_1). Their determinant is h_1·h_2², not zero for
positive steps, so there is exactly one solution; it is the paper's equation 18. Its leading local error is
-h_1²(h_1 + h_2)/6·X''', so it is O((h_i + h_{i+1})³) as the paper's Corollary 1 says.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity, orders, unique
from belm_theory.grid import positions, steps
from belm_theory.order import order
from belm_theory.sign import sign
from belm_theory.verdict import proved

CLAIM = Claim(
    "o-belm-is-the-second-order-method",
    "a = (1 - h_i²/h_{i+1}², h_i²/h_{i+1}²), b = -(h_i + h_{i+1})/h_{i+1} is the only 2-step BELM of order 2 on every "
    "grid.",
    ("h2 > 0",),
    "BELM, eq 18 and Corollary 1",
    "o-belm",
)


def _met(conditions: sp.Matrix, weights: tuple[sp.Expr, ...]) -> list[str]:
    """What the weights make of each condition, as text: SymPy would simplify it to what the checker is to find."""
    return [" + ".join(f"({factor})*({weight})" for factor, weight in zip(row, weights, strict=True))
            for row in conditions.tolist()]  # fmt: skip


def derive() -> Certificate:
    """Solve the conditions, put the printed coefficients into them, and show that the determinant cannot vanish."""
    relation = o_belm()
    h1, h2 = steps(2)
    _, s1, s2 = positions((h1, h2))
    conditions = sp.Matrix([[1, 1, 0], [s1, s2, h1], [s1**2, s2**2, 2 * h1 * s1]])
    determinant = sp.factor(conditions.det())
    solution = conditions.LUsolve(sp.Matrix([1, 0, 0]))
    printed = (1 - h1**2 / h2**2, h1**2 / h2**2, -(h1 + h2) / h2)
    for ours, solved, theirs in zip((*relation.a, *relation.b), solution, printed, strict=True):
        assert sp.cancel(ours - theirs) == 0 and sp.cancel(solved - theirs) == 0
    assert order(relation) == 2 and sign(determinant)
    leading = -(h1**2) * (h1 + h2) / 6
    goals = (
        orders("order 2 with its leading error", relation, 2, leading=leading),
        unique("no other weights have order 2", 2, 2),
        *(
            identity(f"the printed weights are exact for X = {power}", met, int(power == "1"))
            for power, met in zip(("1", "s", "s²"), _met(conditions, printed), strict=True)
        ),
    )
    witness = f"the conditions have determinant {determinant}; order 2 exactly"
    return Certificate(CLAIM, proved(witness), goals, relations=(relation,))
