"""Consistent and zero-stable methods converge, with the order of their local error or of their start.

On a grid of steps h_i <= h, Σ h_i <= T, let the local errors be at most c·h_i·h^p, the starting errors c·h^r, and
Σ beta_i <= B. The local errors sum to c·h^p·T at most, and by convergence_bound the error is at most

    K·(c·h^r + c·h^p·T)·exp(K·L·B) <= K·(1 + T)·c·exp(K·L·B)·h^{min(p, r)}    for h <= 1:

it goes to 0, with order min(p, r). Adams–Bashforth, open and blend BELM have K = 1 on every grid (nonnegative_weights);
their slope weights are bounded where step ratios are (slope_weights_of_bounded_ratios). The paper (and Butcher 406D)
says that the error goes to 0 if the starting error does; here is how fast. That it is no faster is global_order; what a
low-order start costs is starting_values.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "convergence",
    "A zero-stable method of order p with starting errors O(h^r) and bounded Σ|b h| converges with order min(p, r) "
    "(p, r = 1 … 4).",
    ("0 < h <= 1", "c > 0", "T > 0", "K >= 1", "G >= 1"),
    "BELM, convergence of O-BELM; Butcher 406D; this project",
    granted=("1 + t <= e^t, so that Π(1 + K·L·beta_i) <= exp(K·L·B); in the goals G stands for this number",),
)


def derive() -> Certificate:
    """The sum of the local errors, and the bound by one power of h."""
    h, c, T, K, G, done, step = sp.symbols("h c T K G done step", positive=True)
    goals = []
    for p in range(1, 5):
        # done is the sum of the steps of the rows before.
        more = c * h**p * done + c * step * h**p
        assert sp.expand(more - c * h**p * (done + step)) == 0
        goals.append(identity(f"order {p}: local errors c·h_i·h^{p} sum to c·h^{p}·Σ h_i, one row further", more,
                              c * h**p * (done + step)))  # fmt: skip
        for r in range(1, 5):
            bound, power = K * G * (c * h**r + c * h**p * T), h ** min(p, r)
            assert decide(f"{bound} <= {K * G * (1 + T) * c * power}", CLAIM.hypotheses).outcome == "proved"
            says = f"order {p}, start {r}: the error is O(h^{min(p, r)})"
            goals.append(inequality(says, bound, "<=", K * G * (1 + T) * c * power))
    return Certificate(CLAIM, proved("K·(1 + T)·c·exp(K·L·B)·h^min(p, r) bounds the error"), tuple(goals))
