"""Constant weights are zero-stable in both directions exactly when all roots of rho are simple and on the circle.

The inverse relation of X_{i-1} = Σ a_j X_{i-1+j} has the polynomial rho*(z) = -z^k·rho(1/z)/a_k: its roots are the
inverses of those of rho (none is 0, since rho(0) = -a_k), with the same multiplicities. By the root condition

    sampling is stable    <=>  every root has |z| <= 1, and is simple where |z| = 1;
    inversion is stable   <=>  every root has |1/z| <= 1, and is simple where |1/z| = 1.

A root with modulus m < 1 has an inverse with modulus 1/m > 1, and one with m > 1 breaks the first condition; so both
hold exactly when all roots lie on the circle and are simple. Then |a_k|, the product of the moduli, is 1: a method that
damps anything in sampling amplifies in inversion. Open BELM is of this kind (open_is_neutral), blends with theta < 1
are not (blend_damps); at even k BELM of the largest stable order must be (order_barriers).
"""

import sympy as sp

from belm_theory.catalogue import interpolatory
from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.frame import FLOW
from belm_theory.roots import Z
from belm_theory.stability import characteristic
from belm_theory.verdict import proved

CLAIM = Claim(
    "neutral-both-ways",
    "A k-step BELM with constant weights is zero-stable in both directions exactly when all roots of rho are simple "
    "and on the unit circle; then |a_k| = 1 (k = 2 … 5).",
    (),
    "this project",
    granted=(
        "products of one companion matrix are bounded exactly when all roots of its characteristic polynomial have "
        "modulus at most 1 and those of modulus 1 are simple (root condition)",
        "a polynomial of degree k is its first coefficient times the product of z - z_m over its k roots",
    ),
)


def derive() -> Certificate:
    """The inverse's polynomial is the reciprocal one; simple roots stay simple; what is inside comes out."""
    goals = []
    for k in range(2, 6):
        a = sp.symbols(f"a2:{k + 1}")
        relation = interpolatory("general", FLOW, (1 - sum(a), *a), parameters=a)
        rho, back = (characteristic(relation, way).as_expr() for way in ("sampling", "inversion"))
        reciprocal = sp.expand(Z**k * rho.subs(Z, 1 / Z))
        assert sp.cancel(-a[-1] * back - reciprocal) == 0
        for sign in (f"a{k} > 0", f"a{k} < 0"):
            says = f"k = {k}, {sign}: the inverse has the polynomial -z^k·rho(1/z)/a_k"
            goals.append(identity(says, back, -(Z**k) * rho.subs(Z, 1 / Z) / a[-1], where=[sign, "z > 0"]))
        # rho(0) as text: SymPy would reduce it to -a_k, and leave the checker nothing to do.
        goals.append(identity(f"k = {k}: rho(0) = -a_k, so no root is 0 and |a_k| is the product of the moduli",
                              str(rho).replace("z", "(0)"), -a[-1]))  # fmt: skip
        moduli = sp.symbols(f"m1:{k + 1}")
        where = [f"0 < {m} <= 1" for m in moduli]
        goals.append(inequality(f"k = {k}: moduli at most 1 multiply to at most 1, those of rho to |a_k|, of the "
                                "inverse to 1/|a_k|", sp.prod(moduli), "<=", 1, where=where))  # fmt: skip
    r, q, m = sp.symbols("r q m")
    goals += [
        identity("a double root r becomes the double root 1/r: (1/z - r)²·z²·q = (1 - r·z)²·q",
                 (1 / Z - r) ** 2 * Z**2 * q, (1 - r * Z) ** 2 * q, where=["z > 0"]),
        inequality("a root inside leaves the disc when it is inverted", 1 / m, ">", 1, where=["0 < m < 1"]),
        inequality("a root on or outside the circle stays in it", 1 / m, "<=", 1, where=["m >= 1"]),
    ]  # fmt: skip
    return Certificate(CLAIM, proved("inversion inverts the roots of rho: both conditions leave |z| = 1"), tuple(goals))
