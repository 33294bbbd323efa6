"""O-BELM's inversion is not zero-stable on the grids on which its sampling is.

The inverse relation has weights (1 - 1/g, 1/g) with 1/g = (h_{i+1}/h_i)² >= 1: what sampling damps, inversion
amplifies. On h_i = 2^i, where K_sampling = 1, a perturbation grows by 4 at every inversion step. The paper states
stability for sampling only. A round trip is exact in exact arithmetic; its rounding errors are not small for that
reason.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, growth
from belm_theory.stability import homogeneous_weights
from belm_theory.verdict import refuted

CLAIM = Claim(
    "o-belm-inversion-is-stable",
    "O-BELM is zero-stable in inversion wherever it is in sampling.",
    ("0 < h_i <= h_{i+1}",),
    "implied by reading BELM, prop 5, in both directions",
    "o-belm",
)


def derive() -> Certificate:
    """Exact inverse companion products for step ratio 2."""
    relation = o_belm().at(h1=sp.Integer(1), h2=sp.Integer(2))
    weights = homogeneous_weights(relation, "inversion")
    assert weights == (-3, 4)
    evidence = (growth([weights] * 10, 4**10), growth([weights] * 20, 4**20))
    return Certificate(CLAIM, refuted("h_i = 2^i: the norm after n inversion steps is at least 4^n"), evidence)
