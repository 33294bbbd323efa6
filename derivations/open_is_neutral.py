"""Open BELM is neutral: zero-stable in both directions on every grid.

a = (0, …, 0, 1): rho = z^k - 1, the k-th roots of unity, simple and on the circle; the inverse relation has the same
weights. Both companion matrices are permutations, so K = 1 both ways. Conversely, both directions of a
constant-weight method are zero-stable only if all roots lie on the circle and are simple, since inversion inverts the
roots.
"""

from belm_theory.catalogue import open_belm
from belm_theory.certificate import Certificate, Claim, roots, signs
from belm_theory.roots import count_roots
from belm_theory.stability import characteristic, homogeneous_weights
from belm_theory.verdict import proved

CLAIM = Claim(
    "open-is-neutral",
    "Open BELM has K = 1 in sampling and in inversion on every grid, k = 2 … 5.",
    (),
    "this project",
    "open",
)


def derive() -> Certificate:
    """Roots and weights in both directions."""
    evidence = []
    for k in range(2, 6):
        method = open_belm(k)
        for direction in ("sampling", "inversion"):
            count = count_roots(characteristic(method, direction))
            assert (count.on, count.repeated_on) == (k, False)
            evidence.append(roots(characteristic(method, direction).all_coeffs(), 0, k, 0, True))
            evidence.append(signs(homogeneous_weights(method, direction), positive=[]))
    return Certificate(CLAIM, proved("rho = z^k - 1 in both directions; weights >= 0"), tuple(evidence))
