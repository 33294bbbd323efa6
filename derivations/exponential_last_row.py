"""The row of exp-adams:m=2 that ends at sigma = 0 has order 1: log(sigma/alpha) is singular there.

A polynomial in l = log s is no good approximation of f near s = 0, where f is smooth in s and l -> -oo. In the noise
frame, with L = l_2 - l_1 = log(s_2/s_1) and s_0 = 0, the weights are B_1 = -s_1 - s_1/L and B_2 = s_1/L. For f = s,
X = s²/2, the row misses X_0 = 0 by

    s_1²/2 + B_1 s_1 + B_2 s_2 = s_1 (s_2 - s_1)/L - s_1²/2,

and with 1 - 1/x < log x < x - 1 for x = s_2/s_1 > 1 this lies between s_1²/2 and s_1 s_2 - s_1²/2. The lower end is the
error of an Euler step: extrapolating in log-SNR to clean data is worse than not extrapolating at all. Constant slopes
are integrated exactly, so the order of the row is 1. It is one row of a run; its error, of the size of the last step
squared, is not passed on to any other. Grids that end before sigma = 0 (end='first') have no such row.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.exponential import written
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "exponential-last-row",
    "For f = s the row of exp-adams:m=2 in the noise frame that ends at s_0 = 0 misses by more than an Euler step, "
    "whose error is s_1²/2, and by less than s_1·s_2 - s_1²/2: it has order 1.",
    ("0 < s1 < s2", "(s2 - s1)/s2 < L < (s2 - s1)/s1"),
    "this project",
    "adams",
    granted=("1 - 1/x < log(x) < x - 1 for x > 1, with x = s2/s1 and L = log(x)",),
)


def derive() -> Certificate:
    """The weights at s_0 = 0, the error for f = s, and its bounds."""
    s1, s2, L = sp.symbols("s1 s2 L")
    at = dict(zip(sp.symbols("a1 a2 a3 s0"), (1, 0, 0, 0), strict=True)) | {sp.Symbol("l2"): sp.Symbol("l1") + L}
    B = [weight.subs(at) for weight in written(3, sp.Integer(0))]
    assert [sp.cancel(b) for b in B] == [sp.cancel(-s1 - s1 / L), s1 / L]
    error = s1 * (s2 - s1) / L - s1**2 / 2
    made = f"s1**2/2 + ({B[0]})*s1 + ({B[1]})*s2"
    assert sp.cancel(sp.sympify(made) - error) == 0
    goals = (
        identity("constant slopes: B_1 + B_2 = -s_1", f"({B[0]}) + ({B[1]})", "-s1"),
        identity("the error for f = s", made, error),
        inequality("more than Euler's", error, ">", s1**2 / 2),
        inequality("of the size of the step squared", error, "<", s1 * s2 - s1**2 / 2),
    )
    given = ["s1 > 0", "s2 > s1", "L*s2 > s2 - s1", "L*s1 < s2 - s1", "L > 0"]
    assert decide("2*s1*(s2 - s1) - s1**2*L > s1**2*L", given).outcome == "proved"
    return Certificate(CLAIM, proved("s_1(s_2 - s_1)/L - s_1²/2 lies between s_1²/2 and s_1 s_2 - s_1²/2"), goals)
