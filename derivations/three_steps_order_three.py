"""A barrier: no 3-step BELM of order 3 is zero-stable on uniform grids.

Order 3 leaves one free number beta = b_2, and rho = (z - 1)(z² + (10 - 5 beta)/4·z - (2 + beta)/4) =: (z - 1)·q(z).
If beta < 2 then q(-1) = beta - 2 < 0, so q has a real root below -1. If beta > 2 the product of its roots is
-(2 + beta)/4 < -1. If beta = 2 then q = z² - 1 and z = 1 is a double root of rho. Each case fails the root condition.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, roots, signs
from belm_theory.roots import Z
from belm_theory.verdict import refuted

CLAIM = Claim(
    "three-steps-order-three",
    "There is a zero-stable 3-step BELM of order 3 on uniform grids.",
    ("h_i = h",),
    "this project",
)


def derive() -> Certificate:
    """Solve the order conditions and decide the three cases of beta."""
    a = sp.symbols("a1:4")
    b1, beta = sp.symbols("b1 beta")
    conditions = [
        (1 if m == 0 else 0)
        - sum(weight * j**m for j, weight in enumerate(a, 1))
        - sum(slope * m * j ** max(m - 1, 0) for j, slope in enumerate((b1, beta), 1))
        for m in range(4)
    ]
    (solution,) = sp.solve(conditions, [*a, b1], dict=True)
    rho = Z**3 - sum(weight * Z ** (3 - j) for j, weight in enumerate(a, 1))
    rho = sp.expand(rho.subs(solution))
    q = Z**2 + (10 - 5 * beta) / 4 * Z - (2 + beta) / 4
    assert sp.expand(rho - (Z - 1) * q) == 0
    below, product = sp.expand(q.subs(Z, -1)), sp.expand(-q.subs(Z, 0))
    two = sp.Poly((Z - 1) * q.subs(beta, 2), Z)
    evidence = (
        identity(rho, (Z - 1) * q),
        # beta = 2 - gap: q(-1) < 0.
        signs([(-below).subs(beta, 2 - sp.Symbol("gap"))], positive=["gap"], strict=True),
        # beta = 2 + gap: minus the product of the roots exceeds 1.
        signs([(product - 1).subs(beta, 2 + sp.Symbol("gap"))], positive=["gap"], strict=True),
        roots(two.all_coeffs(), 0, 3, 0, False),
    )
    witness = "beta < 2: a root below -1; beta > 2: root product below -1; beta = 2: double root"
    return Certificate(CLAIM, refuted(witness), evidence)
