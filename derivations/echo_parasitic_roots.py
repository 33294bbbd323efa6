"""Echo BELM: every parasitic root has the same modulus r, r^{k-1} = theta.

Write theta = r^{k-1}. The relation compares the newest step with the oldest,

    X_{i-1} - X_i = -r^{k-1}·(X_{i+k-2} - X_{i+k-1}) + slopes,

so with slopes left out the differences d_i = X_{i-1} - X_i obey d_i = -r^{k-1}·d_{i+k-1} and nothing else:

    rho = z^k - z^{k-1} + r^{k-1}·z - r^{k-1} = (z - 1)·(z^{k-1} + r^{k-1}).

Put z = r·y: z^{k-1} + r^{k-1} = r^{k-1}·(y^{k-1} + 1), and the roots of y^{k-1} + 1 are simple and lie on the unit
circle. So r alone says how fast sampling forgets, by r a step, and inversion amplifies, by 1/r a step; at theta = 1 the
method is neutral both ways. Blend has one modulus for k = 2 and 3 only (blend_parasitic_moduli).
"""

import sympy as sp

from belm_theory.catalogue import echo
from belm_theory.certificate import Certificate, Claim, identity, roots, schur
from belm_theory.roots import Z, count_roots
from belm_theory.schur import inside
from belm_theory.stability import characteristic
from belm_theory.verdict import proved

CLAIM = Claim(
    "echo-parasitic-roots",
    "For 0 < r < 1 and k = 2 … 5 the parasitic roots of echo BELM with theta = r^{k-1} are r times the roots of "
    "y^{k-1} + 1: simple and of modulus r; those of its inverse have modulus 1/r.",
    ("0 < r < 1",),
    "this project",
    "echo",
)


def derive() -> Certificate:
    """Factor rho both ways for symbolic r, and count the roots of y^{k-1} + 1."""
    r, y = sp.Symbol("r", positive=True), sp.Symbol("y")
    goals = []
    for k in range(2, 6):
        rest = Z ** (k - 1) + r ** (k - 1)
        rho, back = (characteristic(echo(k, r ** (k - 1)), way).as_expr() for way in ("sampling", "inversion"))
        reciprocal = Z ** (k - 1) + r ** (1 - k)
        assert sp.expand(rho - (Z - 1) * rest) == 0 and sp.cancel(back - (Z - 1) * reciprocal) == 0
        circle = sp.Poly(Z ** (k - 1) + 1, Z)
        count = count_roots(circle)
        assert (count.on, count.repeated_on) == (k - 1, False)
        assert inside(sp.Poly(rest, Z), (r,)).outcome == "proved"
        goals.append(identity(f"k = {k}: rho = (z - 1)(z^{k - 1} + r^{k - 1})", rho, (Z - 1) * rest))
        goals.append(identity(f"k = {k}: the inverse has the inverse roots", back, (Z - 1) * reciprocal))
        goals.append(
            identity(f"k = {k}: z = r·y", (r * y) ** (k - 1) + r ** (k - 1), r ** (k - 1) * (y ** (k - 1) + 1))
        )
        goals.append(
            roots(f"k = {k}: y^{k - 1} + 1 has simple roots on the circle", circle.all_coeffs(), 0, k - 1, 0, True)
        )
        goals.append(schur(f"k = {k}: sampling damps them", sp.Poly(rest, Z).all_coeffs()))
    return Certificate(CLAIM, proved("rho = (z - 1)(z^{k-1} + r^{k-1})"), tuple(goals))
