"""Blend BELM damps in sampling and amplifies in inversion, for every theta below 1.

rho = z^k - (1 - theta)·z^{k-1} - theta = (z - 1)·q(z) with q = z^{k-1} + theta·(z^{k-2} + … + 1). The coefficients of q
do not grow from the highest power down and their ratios lie in [theta, 1], so by Eneström and Kakeya every parasitic
root has theta <= |z| <= 1, for every k. The upper end is not reached: let |z| = 1 be a root of rho, then 1 = |(1 -
theta)·z^{-1} + theta·z^{-k}| <= 1 with equality only if both terms point the same way, z^{-1} = z^{-k} = 1, and q(1) =
1 + (k - 1)·theta is not zero. For k = 2 … 5 the checker shows theta < |z| < 1 by Schur and Cohn's conditions without
either argument; for k = 2 the root is -theta itself.

Inversion inverts the roots, so each parasitic mode grows by a factor in (1, 1/theta] at every step, and some mode by at
least theta^{-1/(k-1)}, because the product of the parasitic roots is ±theta (see blend_inversion_growth).
"""

from itertools import pairwise

import sympy as sp

from belm_theory.catalogue import blend
from belm_theory.certificate import Certificate, Claim, identity, inequality, schur
from belm_theory.roots import Z
from belm_theory.schur import inside
from belm_theory.stability import characteristic
from belm_theory.verdict import proved

CLAIM = Claim(
    "blend-damps",
    "For 0 < theta < 1 the parasitic roots of blend BELM have modulus below 1 and at least theta, and their product is "
    "±theta (k = 2 … 5): sampling damps them, and inversion amplifies one of them.",
    ("0 < theta < 1",),
    "this project",
    "blend",
    granted=("the product of the roots of a polynomial is ± its last coefficient over its first (Vieta)",),
)


def derive() -> Certificate:
    """The factorisation for symbolic theta, and Schur–Cohn conditions for q and for its roots' theta/z."""
    theta = sp.Symbol("theta", positive=True)
    goals, steps = [], []
    for k in range(2, 6):
        rho = characteristic(blend(k, theta)).as_expr()
        rest = sp.Poly(Z ** (k - 1) + theta * sum(Z**m for m in range(k - 1)), Z)
        assert sp.expand(rho - (Z - 1) * rest.as_expr()) == 0
        # w = theta/z lies inside where |z| > theta.
        turned = sp.Poly(sp.cancel(rest.as_expr().subs(Z, theta / Z) * Z ** (k - 1) / theta), Z)
        ratios = [sp.cancel(after / before) for before, after in pairwise(rest.all_coeffs())]
        assert ratios == [theta] + [1] * (k - 2)
        assert inside(rest, (theta,)).outcome == "proved"
        steps.append(identity(f"k = {k}: rho = (z - 1)·q", rho, (Z - 1) * rest.as_expr()))
        goals.append(schur(f"k = {k}: |z| < 1 for the roots of q", rest.all_coeffs()))
        if k == 2:
            goals.append(identity("k = 2: the root is -theta", _at(rho, "-theta"), 0))
        else:
            assert inside(turned, (theta,)).outcome == "proved"
            goals.append(schur(f"k = {k}: |z| > theta for the roots of q", turned.all_coeffs()))
        assert rest.eval(0) == theta
        says = f"k = {k}: the product of the roots of q is ±theta, for rho(0) = (0 - 1)·theta"
        goals.append(identity(says, _at(rho, "0"), "(0 - 1)*theta"))
    goals.append(inequality("in inversion the product of the parasitic roots exceeds 1", 1 / theta, ">", 1))
    return Certificate(CLAIM, proved("rho = (z - 1)(z^{k-1} + theta(z^{k-2} + … + 1))"), tuple(goals), tuple(steps))


def _at(rho: sp.Expr, point: str) -> str:
    """Rho at a point as text: SymPy would reduce it to its value, and leave the checker nothing to do."""
    return str(rho).replace(str(Z), f"({point})")
