"""Rectified flow is the flow frame q = 1.

With alpha = 1 - t, sigma = t the weight of frame q is w = alpha + q·sigma = 1 + (q - 1)·t. It is 1 at every t exactly
for q = 1; then X = x, s = sigma/w = t, and x = (1 - t)·D + t·eps = D + t·(eps - D): the state itself is affine in t and
its slope is f = eps - D, what a flow-matching network predicts.

For any other schedule with alpha, sigma >= 0, not both zero, s = sigma/(alpha + sigma) = sbar/(1 + sbar) is the time of
the rectified flow through the same data and noise: it runs from 0 at sigma = 0 to 1 at alpha = 0 and grows with sbar.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.frame import ALPHA, EPS, FLOW, SIGMA, D, Frame, Q
from belm_theory.verdict import proved

CLAIM = Claim(
    "rectified-flow-is-the-flow-frame",
    "alpha = 1 - t, sigma = t is the frame q = 1 with w = 1, s = t, f = eps - D and no other finite frame; for every "
    "schedule s in this frame grows from 0 at sigma = 0 to 1 at alpha = 0.",
    (),
    "this project; Liu et al. 2022 (2209.03003) for the schedule, time reversed",
)

NOISY, CLEAN = ["0 <= alpha", "0 < sigma"], ["0 < alpha", "0 <= sigma"]


def derive() -> Certificate:
    """W for symbolic q; the state as an affine function of t; bounds, ends and growth of s."""
    t = sp.Symbol("t", positive=True)
    weight = Frame(Q).weight(1 - t, t)
    assert sp.expand(weight - 1 - (Q - 1) * t) == 0
    assert FLOW.weight(1 - t, t) == 1 and FLOW.coordinate(1 - t, t) == t and FLOW.slope() == EPS - D
    s = FLOW.coordinate()
    before, after = (FLOW.coordinate(*sp.symbols(f"alpha{i} sigma{i}", positive=True)) for i in (0, 1))
    goals = (
        identity("w = 1 for all t only if q = 1", weight, 1 + (Q - 1) * t),
        identity("s = t/w", Frame(Q).coordinate(1 - t, t), t / (1 + (Q - 1) * t), where=["0 < q", "0 < t <= 1"]),
        identity("x = D + t·f", (1 - t) * D + t * EPS, D + t * FLOW.slope()),
        inequality("s >= 0 for any schedule, noise > 0", 0, "<=", s, where=NOISY),
        inequality("s <= 1, noise > 0", s, "<=", 1, where=NOISY),
        inequality("s >= 0, data > 0", 0, "<=", s, where=CLEAN),
        inequality("s < 1, data > 0", s, "<", 1, where=CLEAN),
        identity("s = 1 at alpha = 0", str(s).replace("alpha", "0"), 1, where=["0 < sigma"]),
        identity("s = 0 at sigma = 0", str(s).replace("sigma", "0"), 0, where=["0 < alpha"]),
        inequality("s grows with sbar", before, "<", after,
                   where=["0 < alpha0", "0 <= sigma0", "0 < alpha1", "sigma0*alpha1/alpha0 < sigma1"]),
        identity("s = sbar/(1 + sbar)", s, (SIGMA / ALPHA) / (1 + SIGMA / ALPHA), where=CLEAN),
    )  # fmt: skip
    return Certificate(CLAIM, proved("w - 1 = (q - 1)·t; s = sbar/(1 + sbar)"), goals)
