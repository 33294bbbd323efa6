"""O-BELM on geometric grids: K_sampling = 1, and K_inversion in closed form.

On h_i = c·r^i with r >= 1 the weights are constant, a = (1 - r^{-2}, r^{-2}): nonnegative, so K_sampling = 1. Inversion
multiplies differences by -G, G = r². By two_step_closed_form its products have the alternating sums

    S_n = -G + G² - … ± G^n = -G·(1 - (-G)^n)/(1 + G),

and K = max(1, max |1 + 2S_n|). With p = G^n: |1 + 2S_n| is (2Gp + G - 1)/(1 + G) for odd and (2Gp - G + 1)/(1 + G) for
even n. Both are at least 1 and the sequence does not decrease, so over n rows

    K_inversion = (2·r^{2n+2} - (-1)^n·(r² - 1))/(1 + r²):

it grows like r^{2n}, between M = r^{2n} and 2M - 1 (o_belm_inversion_constant). In the data frame O-BELM is leapfrog
there (o_belm_on_geometric_grids), which has K = 1 both ways: a constant belongs to a frame, which says what is held
fixed while the states are perturbed, here eps, there D.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.stability import homogeneous_weights
from belm_theory.verdict import proved

CLAIM = Claim(
    "o-belm-geometric-constants",
    "On grids h_i = c·r^i, r >= 1, O-BELM has K_sampling = 1, and over n rows K_inversion = (2·r^{2n+2} - "
    "(-1)^n·(r² - 1))/(1 + r²).",
    ("r >= 1",),
    "this project",
    "o-belm",
)


def derive() -> Certificate:
    """Weights for h_2 = r·h_1; S_n by induction; the norms of odd and even numbers of rows, and their order."""
    relation = o_belm()
    h1, h2 = relation.h
    r, p, s = sp.symbols("r p s")
    G = r**2
    a = [weight.subs(h2, r * h1) for weight in relation.a]
    back = [weight.subs(h2, r * h1) for weight in homogeneous_weights(relation, "inversion")]
    assert sp.cancel(a[1] - 1 / G) == 0 == sp.cancel(back[1] - G)
    # As text, which SymPy would simplify to the results: the checker simplifies it.
    own = [str(weight).replace("h2", "(r*h1)") for weight in relation.a]
    inverse = str(homogeneous_weights(relation, "inversion")[1]).replace("h2", "(r*h1)")
    closed = -G * (1 - s) / (1 + G)  # s = (-G)^n
    odd, even = (2 * G * p + G - 1) / (1 + G), (2 * G * p - G + 1) / (1 + G)
    grown, positive = ["p >= 1"], ["h1 > 0"]
    for text in (f"{odd} >= 1", f"{even} >= 1", f"({even.subs(p, G * p)}) >= ({odd})"):
        assert decide(text, [*CLAIM.hypotheses, *grown]).outcome == "proved"
    goals = (
        identity("a_2 = r^{-2}", own[1], r**-2, where=positive),
        identity("a_1 = 1 - r^{-2}", own[0], 1 - r**-2, where=positive),
        inequality("a_1 >= 0, a_2 > 0 and they sum to 1: K_sampling = 1", 1 - r**-2, ">=", 0),
        identity("inversion has 1/g = r²", inverse, G, where=positive),
        identity("S_0 = 0", str(closed).replace("s", "(-r**2)**0"), 0),
        identity("S_{n+1} = S_n + (-G)^{n+1}", closed.subs(s, -G * s), closed - G * s),
        identity("odd n, (-G)^n = -p: -1 - 2S", -1 - 2 * closed.subs(s, -p), odd),
        identity("even n, (-G)^n = p: 1 + 2S", 1 + 2 * closed.subs(s, p), even),
        inequality("both are at least 1: odd", odd, ">=", 1, where=grown),
        inequality("both are at least 1: even", even, ">=", 1, where=grown),
        inequality("from odd n to n + 1 it does not decrease", even.subs(p, G * p), ">=", odd, where=grown),
        inequality("from even n to n + 1 it does not decrease", odd.subs(p, G * p), ">=", even, where=grown),
    )
    return Certificate(CLAIM, proved("S_n = -r²·(1 - (-r²)^n)/(1 + r²)"), goals)
