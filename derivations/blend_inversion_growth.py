"""Blend BELM with k = 2 or 3: inversion amplifies by exactly theta^{-1/(k-1)} a step.

The parasitic roots are those of q = z^{k-1} + theta·(z^{k-2} + … + 1) (blend_damps).

    k = 2    q = z + theta: the root -theta.
    k = 3    q = z² + theta·z + theta has the discriminant theta·(theta - 4) < 0: two complex conjugate roots, whose
             product theta is the square of their modulus.

So for 0 < theta < 1 every parasitic root has modulus theta^{1/(k-1)} < 1 and is simple; the inverse relation has the
root 1 and roots of modulus theta^{-1/(k-1)}, and its powers grow like theta^{-n/(k-1)}: not faster, because the roots
are simple, and not slower, because a root of that modulus is there. At 50 steps and k = 3 that is 265 for theta = 0.8,
3.5·10⁵ for theta = 0.6. For k = 4 and 5 the moduli differ (blend_parasitic_moduli).
"""

import sympy as sp

from belm_theory.catalogue import blend
from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.roots import Z
from belm_theory.stability import characteristic
from belm_theory.verdict import proved

CLAIM = Claim(
    "blend-inversion-growth",
    "For 0 < theta < 1 and k = 2, 3 all parasitic roots of blend BELM are simple and have modulus theta^{1/(k-1)}: "
    "inversion over n steps amplifies like theta^{-n/(k-1)}.",
    ("0 < theta < 1",),
    "this project",
    "blend",
    granted=("a real quadratic with negative discriminant has two conjugate roots, whose product is |z|²",),
)


def derive() -> Certificate:
    """Factor rho and its inverse for symbolic theta; the sign of the discriminant."""
    theta = sp.Symbol("theta", positive=True)
    goals = []
    for k, rest in ((2, Z + theta), (3, Z**2 + theta * Z + theta)):
        rho, back = (characteristic(blend(k, theta), way).as_expr() for way in ("sampling", "inversion"))
        reciprocal = sp.expand(Z ** (k - 1) * rest.subs(Z, 1 / Z) / theta)
        assert sp.expand(rho - (Z - 1) * rest) == 0 and sp.cancel(back - (Z - 1) * reciprocal) == 0
        goals.append(identity(f"k = {k}: rho = (z - 1)·q", rho, (Z - 1) * rest))
        goals.append(identity(f"k = {k}: the inverse has the inverse roots", back, (Z - 1) * reciprocal))
    discriminant = sp.discriminant(sp.Poly(Z**2 + theta * Z + theta, Z))
    assert decide(f"{discriminant} < 0", CLAIM.hypotheses).outcome == "proved"
    # As text: SymPy would reduce it to 0, and leave the checker nothing to do.
    at_root = str(characteristic(blend(2, theta)).as_expr()).replace("z", "(-theta)")
    goals += [
        identity("k = 2: the root of q is -theta", at_root, 0),
        identity("k = 3: the discriminant D of q = z² + theta·z + theta, 4·q = (2·z + theta)² - D",
                 4 * (Z**2 + theta * Z + theta), f"(2*z + theta)**2 - ({discriminant})"),
        inequality("it is negative: |z|² = theta", discriminant, "<", 0),
        inequality("the modulus of the inverse's parasitic roots, or its square, is above 1", 1 / theta, ">", 1),
    ]  # fmt: skip
    witness = "k = 2: -theta; k = 3: a conjugate pair with product theta"
    return Certificate(CLAIM, proved(witness), tuple(goals))
