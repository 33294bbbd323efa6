"""BDIA's inversion amplifies by 1/gamma at every step, on every grid: K_inversion >= gamma^{-n} over n rows.

In a frame with weights w the relation of step i has g_i = gamma·w_{i+1}/w_{i-1}, and its inverse multiplies differences
D_i = X_{i-1} - X_i by -1/g_i. Over the rows m, …, n the product telescopes,

    P = Π 1/g_i = gamma^{-(n-m+1)}·w_m·w_{m-1}/(w_n·w_{n+1}),

and D_{n+1} = ±P·D_m. The difference of (1, -1) is 2, that of two numbers below P is less than 2P: K_inversion >= P in
the frame. In x = w·X start from (x_{m-1}, x_m) = (1, -w_m/w_{m-1}): it has maximum norm 1 where w does not grow towards
the noise, its difference is D_m = 2/w_{m-1}, and if both |x_n|, |x_{n+1}| were below gamma^{-(n-m+1)} then

    |D_{n+1}| < gamma^{-(n-m+1)}·(1/w_n + 1/w_{n+1}) <= gamma^{-(n-m+1)}·2·w_m/(w_n·w_{n+1}) = P·|D_m|,

a contradiction. So K_inversion over n rows is at least gamma^{-n} in x and in the frame, for every schedule whose w
does not grow towards the noise: alpha in the noise frame (all schedules), w = 1 for rectified flow in the velocity
frame. With gamma = 1/2 and 50 steps that is 2^49 = 5.6·10^14. At gamma = 1 nothing of this is left: on constant w the
weights are (0, 1), open BELM with k = 2, neutral.
"""

import sympy as sp

from belm_theory.catalogue import bdia
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality
from belm_theory.inequality import decide
from belm_theory.stability import homogeneous_weights
from belm_theory.verdict import proved

CLAIM = Claim(
    "bdia-inversion-growth",
    "For 0 < gamma < 1 the inversion of BDIA over n rows amplifies at least by gamma^{-n}, in the frame and in x, on "
    "every grid whose frame weights w do not grow towards the noise: it is not zero-stable.",
    ("0 < gamma < 1", "0 < w2 <= w1 <= w0"),
    "this project",
    "bdia",
)


def shown(says: str, left: sp.Expr, relation: str, right: sp.Expr, *where: str) -> Record:
    """An inequality, decided by z3 here and recorded for the checker."""
    assert decide(f"{left} {relation} {right}", [*CLAIM.hypotheses, *where]).outcome == "proved"
    return inequality(says, left, relation, right, where=where)


def derive() -> Certificate:
    """The difference map, the telescoping product, and the two contradictions."""
    gamma, w0, w1, w2 = sp.symbols("gamma w0:3", positive=True)
    relation = bdia(gamma)
    first, second = homogeneous_weights(relation, "inversion")
    old, older, x, y, w3, wm = sp.symbols("old older x y w3 wm")
    g = relation.a[1]
    G = w0 / (gamma * w2)
    assert sp.cancel(G * g) == 1
    following = G.subs({w0: w1, w2: w3}, simultaneous=True)
    # c stands for gamma^{-n}·w_m·w_{m-1}; w_m is below, with w_n = w1 and w_{n+1} = w2. Equalities are text: SymPy
    # would cancel them to one side, and leave the checker nothing to do.
    moved = first * old + second * older - old
    goals = (
        identity("inversion multiplies a difference by -1/g", moved, -G * (old - older)),
        identity("one row: P = w_m·w_{m-1}/(gamma·w_m·w_{m+1})", f"1/({g})", "w1*w0/(gamma*w1*w2)"),
        identity("one row more: P·(1/g) has gamma^{-1} and the next pair of weights", f"c/(w1*w2)*({following})",
                 "c/gamma/(w2*w3)", where=["w3 > 0"]),
        shown("numbers below 1 differ by less than 2: the frame's K is at least P", x - y, "<", sp.Integer(2),
              "-1 < x < 1", "-1 < y < 1"),
        shown("P >= gamma^{-n}: the weights' factor is at least 1 (w_m = wm <= w_{m-1}, w_n = w1)",
              wm**2 / (w1 * w2), ">=", sp.Integer(1), "w1 <= wm"),
        shown("(1, -w_m/w_{m-1}) has maximum norm 1", w1 / w0, "<=", sp.Integer(1)),
        identity("its difference in X is 2/w_{m-1}", "1/w0 - (-w1/w0)/w1", "2/w0"),
        shown("in x: 1/w_n + 1/w_{n+1} <= 2·w_m/(w_n·w_{n+1})", 1 / w1 + 1 / w2, "<=", 2 * wm / (w1 * w2),
              "w1 <= wm"),
        shown("each row multiplies the bound by 1/gamma > 1", 1 / gamma, ">", sp.Integer(1)),
    )  # fmt: skip
    neutral = str(g).replace("gamma", "(1)").replace("w0", "w2")
    steps = (identity("at gamma = 1 and equal weights a_2 = 1: open BELM", neutral, 1),)
    witness = "Π 1/g = gamma^{-n}·w_m·w_{m-1}/(w_n·w_{n+1}) multiplies differences"
    return Certificate(CLAIM, proved(witness), goals, steps, (relation,))
