"""How much O-BELM's inversion amplifies where its sampling is stable: (h_N/h_1)² up to a factor of 2.

Inversion multiplies differences by -G_i, G_i = 1/g_i = (h_{i+1}/h_i)², and by two_step_closed_form K_inversion =
max(1, max |1 + 2S|) with S = -t_m + t_{m+1} - … ± t_n, t_j = G_m…G_j = (h_{j+1}/h_m)². Let G_i >= 1, so that the terms
grow. Then by induction

    after an odd number of steps   -t <= S <= -1,        after an even number    0 <= S <= t - 1,

t being the last term: in both cases |1 + 2S| <= 2t - 1. And K_inversion >= t, because (1 + 2S) - (1 + 2S') = ±2t.
Together, with M = max t,

    M <= K_inversion <= 2M - 1,    and for growing steps M = (h_N/h_1)².

Both ends are sharp: the steps 1, h reach 2M - 1; with N steps that grow slowly S is near t/2 and K near M. The argument
for the upper bound uses only G_i >= 1, the lower bound nothing: on every grid K_inversion >= max over m < n of
(h_n/h_m)², and K_sampling >= max over m < n of (h_m/h_n)².
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.stability import homogeneous_weights
from belm_theory.verdict import proved

CLAIM = Claim(
    "o-belm-inversion-constant",
    "On every grid with 0 < h_1 <= h_2 <= … <= h_N O-BELM has M <= K_inversion <= 2M - 1 with M = (h_N/h_1)².",
    ("0 < h1 <= h2",),
    "this project",
    "o-belm",
)


def derive() -> Certificate:
    """The induction over the inverse steps, u and v standing for the slack in the bounds of S."""
    relation = o_belm()
    h1, h2 = relation.h
    G = homogeneous_weights(relation, "inversion")[1]
    assert sp.cancel(G - (h2 / h1) ** 2) == 0
    u, v, x, y = sp.symbols("u v x y")
    t_now = 1 + u + v
    t_next, slack = G * t_now, ["u, v >= 0"]
    odd, even = -1 - u, u  # -t <= S <= -1 and 0 <= S <= t - 1 for t = 1 + u + v
    after_odd, after_even = odd + t_next, even - t_next
    claims = (
        ("one step, S = -G: S <= -1", -G, "<=", -1, []),
        ("from odd to even, S + t': S >= 0", after_odd, ">=", 0, slack),
        ("from odd to even: S <= t' - 1", after_odd, "<=", t_next - 1, slack),
        ("from even to odd, S - t': S <= -1", after_even, "<=", -1, slack),
        ("from even to odd: S >= -t'", after_even, ">=", -t_next, slack),
        ("the norm after an odd number, -1 - 2S, is at most 2t - 1", -1 - 2 * odd, "<=", 2 * t_now - 1, slack),
        ("the norm after an even number, 1 + 2S, is at most 2t - 1", 1 + 2 * even, "<=", 2 * t_now - 1, slack),
        ("|1 + 2S|, |1 + 2S'| < t is impossible when they differ by 2t (in units of t)", x - y, "<", 2,
         ["-1 < x < 1", "-1 < y < 1"]),
    )  # fmt: skip
    for _, left, relation_, right, where in claims:
        given = [*CLAIM.hypotheses, *where]
        assert decide(f"{left} {relation_} {right}", given).outcome == "proved"
    goals = [inequality(says, left, sign, right, where=where) for says, left, sign, right, where in claims]
    p, S, h3, hm = sp.symbols("p S h3 hm", positive=True)
    following = G.subs({h1: h2, h2: h3}, simultaneous=True)
    assert sp.cancel((h2 / hm) ** 2 * following - (h3 / hm) ** 2) == 0
    goals += [
        identity("t telescopes: (h_n/h_m)²·G_n = (h_{n+1}/h_m)²", f"(h2/hm)**2*({following})", "(h3/hm)**2",
                 where=["hm, h3 > 0"]),
        inequality("the largest t is (h_N/h_1)²: it grows with n", (h2 / hm) ** 2, ">=", (h1 / hm) ** 2,
                   where=["hm > 0"]),
    ]  # fmt: skip
    steps = (
        identity("a further step turns S into S - G·p, p = S - S' the last term", (1 - G) * S + G * (S - p), S - G * p),
        identity("2S changes by twice the last term", f"(1 + 2*(S - ({G})*p)) - (1 + 2*S)", -2 * G * p),
    )
    witness = "-t <= S <= -1 after odd, 0 <= S <= t - 1 after even numbers of steps, t = (h_{n+1}/h_m)²"
    return Certificate(CLAIM, proved(witness), tuple(goals), steps, (relation,))
