"""The paper's Proposition 5, under the hypothesis that its proof needs, and with the constant.

If h_i <= h_{i+1} at every node then a = (1 - h_i²/h_{i+1}², h_i²/h_{i+1}²) is nonnegative, the companion matrices are
row-stochastic, and K_sampling = 1: O-BELM is zero-stable in sampling, with the best possible constant. The hypothesis
is that sbar is *convex* in i; the paper's Assumption 3 says concave (see assumption_3).
"""

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, inequality, stable
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "proposition-5",
    "O-BELM has K_sampling = 1 on every grid whose steps grow towards the noise.",
    ("0 < h1 <= h2",),
    "BELM, prop 5, corrected",
    "o-belm",
)


def derive() -> Certificate:
    """Both weights are nonnegative, by z3 and again by the signs of their coefficients for h_2 = h_1 + gap."""
    relation = o_belm()
    for weight in relation.a:
        assert decide(f"{weight} >= 0", CLAIM.hypotheses).outcome == "proved"
    goals = (stable("a_1, a_2 >= 0 and they sum to 1: products are row-stochastic", relation, constant=1),)
    steps = (inequality("g = a_2 is at most 1", relation.a[1], "<=", 1),)
    return Certificate(CLAIM, proved("both weights are >= 0 and sum to 1"), goals, steps, (relation,))
