"""Blend BELM damps in sampling and amplifies in inversion, for every theta below 1.

rho = z^k - (1 - theta)·z^{k-1} - theta = (z - 1)·(z^{k-1} + theta·(z^{k-2} + … + 1)). Let |z| = 1 be a root: then 1 =
|(1 - theta)·z^{-1} + theta·z^{-k}| <= 1 with equality only if both terms point the same way, z^{-1} = z^{-k} = 1. At
z = 1 the second factor is 1 + (k - 1)·theta, not zero. With |z| > 1 the left side wins. So the k - 1 parasitic roots
lie strictly inside; their product is ±theta, so in inversion some root has modulus at least theta^{-1/(k-1)} > 1.
"""

import sympy as sp

from belm_theory.catalogue import blend
from belm_theory.certificate import Certificate, Claim, identity, roots, signs
from belm_theory.roots import Z, count_roots
from belm_theory.stability import characteristic
from belm_theory.verdict import proved

CLAIM = Claim(
    "blend-damps",
    "For 0 < theta < 1 the parasitic roots of blend BELM lie strictly inside the unit circle, with product ±theta.",
    ("0 < theta < 1", "k = 2 … 5"),
    "this project",
    "blend",
)


def derive() -> Certificate:
    """The factorisation for symbolic theta, and exact root counts at theta = 4/5, 3/5 and 99/100."""
    theta = sp.Symbol("theta", positive=True)
    evidence = []
    for k in range(2, 6):
        rho = Z**k - (1 - theta) * Z ** (k - 1) - theta
        rest = Z ** (k - 1) + theta * sum(Z**m for m in range(k - 1))
        assert sp.expand(rho - (Z - 1) * rest) == 0
        evidence += [identity(rho, (Z - 1) * rest), identity(rest.subs(Z, 0), theta)]
        evidence.append(signs([rest.subs(Z, 1)], positive=[], unit=["theta"], strict=True))
        for value in ("4/5", "3/5", "99/100"):
            polynomial = characteristic(blend(k, sp.Rational(value)))
            count = count_roots(polynomial)
            assert (count.inside, count.on) == (k - 1, 1)
            evidence.append(roots(polynomial.all_coeffs(), k - 1, 1, 0, True))
    return Certificate(CLAIM, proved("rho = (z - 1)(z^{k-1} + theta(z^{k-2} + … + 1))"), tuple(evidence))
