"""Open BELM is neutral: K = 1 in both directions on every grid.

a = (0, …, 0, 1): rho = z^k - 1, the k-th roots of unity, simple and on the circle; the inverse relation has the same
weights. Both companion matrices are permutations, so K = 1 both ways. neutral_both_ways says that only roots like these
allow both directions.
"""

from belm_theory.catalogue import open_belm
from belm_theory.certificate import Certificate, Claim, roots, stable
from belm_theory.derivation import DIRECTIONS
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
    goals, steps = [], []
    members = [open_belm(k) for k in range(2, 6)]
    for method in members:
        for direction in DIRECTIONS:
            assert homogeneous_weights(method, direction) == method.a
            count = count_roots(characteristic(method, direction))
            assert (count.on, count.repeated_on) == (method.k, False)
            goals.append(stable(f"{method.name} has K = 1 in {direction}", method, direction, constant=1))
        rho = characteristic(method).all_coeffs()
        steps.append(roots(f"{method.name}: all roots of rho simple and on the circle", rho, 0, method.k, 0, True))
    witness = "rho = z^k - 1 in both directions; weights >= 0"
    return Certificate(CLAIM, proved(witness), tuple(goals), tuple(steps), tuple(members))
