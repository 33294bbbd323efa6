"""Damping that depends on the number of steps: amplification in inversion stays below e^m however many there are.

Blend BELM with k = 3 and theta = (N/(N + m))² on a grid of N steps is the method of the design `designed`, m = 9.3. Its
weights are not negative, so K = 1 in sampling (nonnegative_weights), and its parasitic roots are a conjugate pair,

    rho = (z - 1)·(z² + theta·z + theta),    |z|² = theta,    |z| = N/(N + m)

(blend_inversion_growth). Inversion multiplies the parasitic modes by 1/|z| = 1 + m/N a step, over N steps by

    (1 + m/N)^N < e^m.

A fixed theta has no such bound: theta^{-N/2} grows without end. More steps need less damping, and the rule gives it:
|z| rises to 1 with N. Order 2 on every grid, whatever theta.
"""

import sympy as sp

from belm_theory.catalogue import blend
from belm_theory.certificate import Certificate, Claim, identity, inequality, orders, schur
from belm_theory.inequality import decide
from belm_theory.order import order
from belm_theory.roots import Z
from belm_theory.stability import characteristic
from belm_theory.verdict import proved

CLAIM = Claim(
    "designed-damping",
    "Blend BELM with k = 3 and theta = (N/(N + m))² has order 2 and a conjugate pair of parasitic roots of modulus "
    "N/(N + m) < 1: inversion amplifies them by 1 + m/N a step, over N steps by less than e^m.",
    ("N > 0", "m > 0"),
    "this project",
    "blend",
    granted=(
        "a real quadratic with negative discriminant has two conjugate roots, whose product is |z|²",
        "(1 + m/N)^N < e^m",
    ),
)


def derive() -> Certificate:
    """The characteristic polynomial with theta a function of N and m, its discriminant and its roots' modulus."""
    N, m, theta = (sp.Symbol(name, positive=True) for name in ("N", "m", "theta"))
    relation = blend(3, theta)
    modulus = N / (N + m)
    damped = modulus**2
    rho = characteristic(relation).as_expr().subs(theta, damped)
    rest = Z**2 + damped * Z + damped
    assert sp.cancel(rho - (Z - 1) * rest) == 0
    assert order(relation) == 2
    discriminant = damped**2 - 4 * damped
    assert decide("N < N + m", CLAIM.hypotheses).outcome == "proved"
    assert rest.subs(Z, 0) == modulus**2
    # As text: SymPy would reduce it to its value, and leave the checker nothing to do.
    at_0 = str(rho).replace("z", "(0)")
    goals = (
        orders("order 2 on every grid", relation, 2),
        identity("rho = (z - 1)(z² + theta·z + theta)", rho, (Z - 1) * rest),
        inequality("its discriminant is negative: |z|² = theta", discriminant, "<", 0),
        identity("the product of the parasitic roots is the square of N/(N + m), for rho(0) = (0 - 1)·(N/(N + m))²",
                 at_0, "(0 - 1)*(N/(N + m))**2"),
        inequality("sampling damps them", modulus, "<", 1),
        identity("inversion amplifies them by 1 + m/N a step", 1 / modulus, 1 + m / N),
    )  # fmt: skip
    steps = (schur("both parasitic roots lie inside the unit circle", [1, damped, damped]),)
    return Certificate(CLAIM, proved("|z| = N/(N + m), so 1/|z| = 1 + m/N"), goals, steps, (relation,))
