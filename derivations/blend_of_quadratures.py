"""Every BELM of stage order k - 1 is an a-weighted blend of k interpolatory quadratures.

Ask that X' = f is integrated exactly for polynomials f of degree <= k - 2, given weights a with Σ a_j = 1. That is k
- 1 linear conditions on the k - 1 slope weights; their matrix is the Vandermonde matrix of the interior nodes, scaled
by the steps, with determinant Π h_m·Π_{l < m}(s_m - s_l) > 0. So b is unique, and the blend Σ_j a_j·(X_j + ∫ P)
satisfies the conditions.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, signs
from belm_theory.grid import positions, steps
from belm_theory.quadrature import slope_weights
from belm_theory.verdict import proved

CLAIM = Claim(
    "blend-of-quadratures",
    "Given a with Σ a_j = 1, the slope weights that integrate degree <= k - 2 exactly are unique: the a-weighted "
    "quadratures.",
    ("h_i > 0", "k = 2 … 4"),
    "this project",
)


def derive() -> Certificate:
    """Conditions satisfied by the quadrature weights for symbolic a, and the determinant's sign."""
    evidence = []
    for k in (2, 3, 4):
        h, a = steps(k), sp.symbols(f"a1:{k + 1}")
        nodes, b = positions(h)[1:], slope_weights(a, h)
        for m in range(1, k):
            exact = -sum(weight * s**m for weight, s in zip(a, nodes, strict=True))
            blended = sum(w * step * m * s ** (m - 1) for w, step, s in zip(b, h, nodes, strict=False))
            assert sp.cancel(exact - blended) == 0
            evidence.append(identity(blended, exact))
        matrix = sp.Matrix(k - 1, k - 1, lambda m, j, h=h, nodes=nodes: h[j] * nodes[j] ** m)
        names = [symbol.name for symbol in h]
        evidence.append(signs([sp.factor(matrix.det())], positive=names, strict=True))
    witness = "the conditions hold identically and their determinant is positive"
    return Certificate(CLAIM, proved(witness), tuple(evidence))
