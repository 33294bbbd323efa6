"""Maximal-order BELM with k >= 3 is not zero-stable.

On a uniform grid, with unit steps,

    k = 3    rho = (z - 1)(z² + 10 z + 1)                                   root -5 - 2√6 ≈ -9.9
    k = 4    rho = (z - 1)(z + 1)(z² + 28 z + 1)                            root -14 - √195 ≈ -28
    k = 5    3 rho = (z - 1)(3 z⁴ + 178 z³ + 478 z² + 178 z + 3)            root between -57 and -56

so a perturbation is multiplied by ten, by 28 and by 56 at each step. For k = 5 the substitution y = z + 1/z gives
3 y² + 178 y + 472 = 0, y = (-89 ± √6505)/3: two roots outside, -56.5… and -2.3…. All these polynomials are their own
reciprocals, so inversion is as unstable as sampling. The paper proposes them as higher-order extensions (A.5) without a
stability condition; order_barriers says what order zero-stability allows.
"""

import sympy as sp

from belm_theory.catalogue import belm
from belm_theory.certificate import Certificate, Claim, identity, orders, roots, stable, value
from belm_theory.roots import Z, count_roots
from belm_theory.stability import characteristic
from belm_theory.verdict import refuted

CLAIM = Claim(
    "maximal-order-is-stable",
    "The k-step BELM of maximal order 2k - 2 is zero-stable on uniform grids, k = 3, 4, 5.",
    (),
    "BELM, A.5",
    "belm",
)
#: The parasitic factor of rho, whole numbers beside each other on either side of a root outside, and that root.
FACTORS = {
    3: (Z**2 + 10 * Z + 1, (-10, -9), -5 - 2 * sp.sqrt(6)),
    4: ((Z + 1) * (Z**2 + 28 * Z + 1), (-28, -27), -14 - sp.sqrt(195)),
    5: (3 * Z**4 + 178 * Z**3 + 478 * Z**2 + 178 * Z + 3, (-57, -56), None),
}


def derive() -> Certificate:
    """Factor rho for unit steps, count its roots, and enclose the largest."""
    relations, steps = [], []
    for k, (factor, (low, high), root) in FACTORS.items():
        method = belm(k)
        unit = method.at(**{h.name: sp.Integer(1) for h in method.h})
        relations.append(unit)
        rho = characteristic(unit)
        scale = sp.Poly(factor, Z).LC()
        assert sp.expand(scale * rho.as_expr() - (Z - 1) * factor) == 0
        assert root is None or sp.expand(factor.subs(Z, root)) == 0
        count = count_roots(rho)
        assert count.outside >= 1
        steps.append(orders(f"k = {k}: these weights have order {2 * k - 2}", unit, 2 * k - 2, grid="uniform"))
        steps.append(identity(f"k = {k}: rho has the root 1", scale * rho.as_expr(), (Z - 1) * factor))
        where = (count.inside, count.on, count.outside, not count.repeated_on)
        steps.append(roots(f"k = {k}: {count.outside} of the roots of rho outside", rho.all_coeffs(), *where))
        steps.append(value(f"k = {k}: a root between {low} and {high}", {"z": low}, factor, ">" if k % 2 else "<", 0))
        steps.append(value(f"k = {k}: the sign on the other side", {"z": high}, factor, "<" if k % 2 else ">", 0))
    goals = (stable("zero-stable on uniform grids; false for k = 3", relations[0]),)
    witness = "k = 3: the root -5 - 2√6 of z² + 10 z + 1; also for k = 4 and 5"
    return Certificate(CLAIM, refuted(witness), goals, tuple(steps), tuple(relations))
