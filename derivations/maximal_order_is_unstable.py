"""Maximal-order BELM with k >= 3 is not zero-stable.

On a uniform grid rho of the 3-step method is (z - 1)(z² + 10 z + 1): the root -5 - 2√6 ≈ -9.9 multiplies every
perturbation by ten at each step. The 4- and 5-step methods have roots outside the circle too. The paper proposes them
as higher-order extensions (A.5) without a stability condition.
"""

import sympy as sp

from belm_theory.catalogue import belm
from belm_theory.certificate import Certificate, Claim, roots
from belm_theory.roots import Z, count_roots
from belm_theory.stability import characteristic
from belm_theory.verdict import refuted

CLAIM = Claim(
    "maximal-order-is-stable",
    "The k-step BELM of maximal order is zero-stable on uniform grids, k = 3, 4, 5.",
    ("h_i = h",),
    "BELM, A.5",
    "belm",
)


def derive() -> Certificate:
    """Count the roots of rho for unit steps."""
    evidence = []
    for k in (3, 4, 5):
        method = belm(k)
        rho = characteristic(method.at(**{h.name: sp.Integer(1) for h in method.h}))
        count = count_roots(rho)
        assert count.outside >= 1
        evidence.append(roots(rho.all_coeffs(), count.inside, count.on, count.outside, not count.repeated_on))
        if k == 3:
            assert rho == sp.Poly((Z - 1) * (Z**2 + 10 * Z + 1), Z)
    return Certificate(CLAIM, refuted("k = 3: the root -5 - 2√6 of z² + 10 z + 1"), tuple(evidence))
