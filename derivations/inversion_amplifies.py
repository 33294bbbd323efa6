"""O-BELM's inversion is not zero-stable on the grids on which its sampling is.

The inverse relation has weights (1 - 1/g, 1/g) with 1/g = (h_{i+1}/h_i)² >= 1: what sampling damps, inversion
amplifies. On h_i = 2^i, where K_sampling = 1, a perturbation grows by 4 at every inversion step. The paper states
stability for sampling only. A round trip is exact in exact arithmetic; its rounding errors are not small for that
reason. o_belm_inversion_constant says by how much they grow.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, stable, value
from belm_theory.roots import count_roots
from belm_theory.stability import characteristic, homogeneous_weights
from belm_theory.verdict import refuted

CLAIM = Claim(
    "o-belm-inversion-is-stable",
    "O-BELM is zero-stable in inversion on every grid whose steps grow towards the noise, as it is in sampling.",
    ("0 < h1 <= h2",),
    "implied by reading BELM, prop 5, in both directions",
    "o-belm",
)


def derive() -> Certificate:
    """The grid of steps 1, 2, 4, … satisfies the hypothesis, and an inverse root lies outside the unit circle."""
    relation = o_belm()
    here = relation.at(h1=sp.Integer(1), h2=sp.Integer(2))
    assert homogeneous_weights(here, "inversion") == (-3, 4)
    assert count_roots(characteristic(here, "inversion")).outside == 1
    goals = (stable("bounded inverse products; false on h_i = 2^i", relation, "inversion", grid=[1], ratio=2),)
    steps = (
        stable("sampling has K = 1 under the same hypothesis", relation, constant=1),
        value("1/g is 4 there", {"h1": 1, "h2": 2}, 1 / relation.a[1], "==", 4),
    )
    witness = "h_i = 2^i: the inverse has rho = (z - 1)(z + 4), a perturbation grows by 4 at every step"
    return Certificate(CLAIM, refuted(witness), goals, steps, (relation,))
