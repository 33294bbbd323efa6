"""Two steps: the product of companion matrices in closed form, and the stability constant.

Let X_{i-1} = (1 - g_i) X_i + g_i X_{i+1}, with matrix R_i = [[1 - g_i, g_i], [1, 0]]. The product R_m … R_n is

    [[1 + S, -S], [1 + S', -S']],    S = -g_n + g_n g_{n-1} - … ± g_n…g_m,    S' the same sum without its last term.

Induction: R_n is it with S = -g_n and S' = 0. Multiplied by R_{m-1}, with p = S - S' the last term, S becomes
(1 - g)·S + g·S' = S - g·p, which is the sum with one more term, and S' becomes S. The maximum norm of a row is
|1 + S| + |S| = max(1, |1 + 2S|). So over all starts and ends

    K = max(1, max |1 + 2S|) <= 1 + 2·max |S|,

and a family of 2-step methods is zero-stable exactly when its alternating sums S are bounded. Bounded products are not
enough (products_are_not_enough) but necessary: S - S' is the product, so K >= max g_n…g_m.

For O-BELM g_i = (h_i/h_{i+1})² and the products telescope to (h_m/h_{n+1})². The inverse relation has the weights
(1 - 1/g, 1/g): inversion is the same with 1/g_m, 1/g_{m+1}, … up to 1/g_n.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.frame import NOISE
from belm_theory.grid import steps
from belm_theory.method import Relation
from belm_theory.stability import homogeneous_weights
from belm_theory.verdict import proved

CLAIM = Claim(
    "two-step-closed-form",
    "For a 2-step method the product of companion matrices from step n to step m is [[1 + S, -S], [1 + S', -S']] with "
    "S the alternating sum of the products g_n, g_n g_{n-1}, …, g_n…g_m and S' the same to g_n…g_{m+1}. Hence K is the "
    "maximum of 1 and of |1 + 2S| over all starts and ends; for O-BELM g_n…g_m = (h_m/h_{n+1})².",
    ("g > 0",),
    "this project",
)


def closed(S: sp.Expr, before: sp.Expr) -> sp.Matrix:
    """The closed form."""
    return sp.Matrix([[1 + S, -S], [1 + before, -before]])


def derive() -> Certificate:
    """Base and step of the induction, in both directions; the norm; the telescoping product."""
    h, g = steps(2), sp.Symbol("g", positive=True)
    relation = Relation("two-step", 2, NOISE, (1 - g, g), (-(h[0] + g * h[1]) / h[0],), h, parameters=(g,))
    S, p, T, zero = *sp.symbols("S p T"), sp.Integer(0)
    # The statements are text where SymPy would simplify them to their results, and leave the checker nothing to do.
    goals = [
        identity("sampling, one step: S = -g", "(1 - g)*X1 + g*X2", "(1 + (-g))*X1 - (-g)*X2"),
        identity("inversion, one step, the relation solved for its oldest state: S = -1/g", "(X0 - (1 - g)*X1)/g",
                 "(1 + (-1/g))*X1 - (-1/g)*X0"),
    ]  # fmt: skip
    for direction, factor in (("sampling", g), ("inversion", 1 / g)):
        R = sp.Matrix([homogeneous_weights(relation, direction), (1, 0)])
        left, right = R * closed(S, S - p), closed(S - factor * p, S)
        assert (R - closed(-factor, zero)).applyfunc(sp.cancel) == sp.zeros(2, 2)
        assert (left - right).applyfunc(sp.cancel) == sp.zeros(2, 2)
        for column in (0, 1):
            entry = f"{direction}, one step more: the last term p becomes -g·p, entry 1{column + 1}"
            goals.append(identity(entry, left[0, column], right[0, column]))
    goals += [
        inequality("row norm |1 + S| + |S| = 1 + 2S for S >= 0, at least 1", 1 + S + S, ">=", 1, where=["S >= 0"]),
        identity("row norm |1 + S| + |S| = 1 for -1 <= S <= 0", "(1 + S) + (-S)", 1),
        inequality("there |1 + 2S| <= 1", 1 + 2 * S, "<=", 1, where=["S <= 0"]),
        inequality("on both sides", -1, "<=", 1 + 2 * S, where=["-1 <= S"]),
        inequality("row norm -1 - 2S for S <= -1, at least 1", -(1 + S) - S, ">=", 1, where=["S <= -1"]),
        inequality("|1 + 2S| <= 1 + 2T, from above", 1 + 2 * S, "<=", 1 + 2 * T, where=["S <= T"]),
        inequality("from below", -(1 + 2 * S), "<=", 1 + 2 * T, where=["-T <= S"]),
    ]
    ratio = o_belm().a[1]
    h1, h2, h3, h4 = sp.symbols("h1:5", positive=True)
    following = ratio.subs({h1: h2, h2: h3}, simultaneous=True)
    assert sp.cancel((h3 / h4) ** 2 * following - (h2 / h4) ** 2) == 0
    where = ["h1, h2, h3, h4 > 0"]
    goals += [
        identity("O-BELM: g_i = (h_i/h_{i+1})²", ratio, "(h1/h2)**2", where=where),
        identity("(h_m/h_{n+1})²·g_{m-1} = (h_{m-1}/h_{n+1})²", f"(h3/h4)**2*({following})", "(h2/h4)**2", where=where),
    ]
    x, y = sp.symbols("x y")
    steps_ = (
        inequality("numbers below 1 in modulus differ by less than 2: |1 + 2S|, |1 + 2S'| < |p| is impossible", x - y,
                   "<", 2, where=["-1 < x < 1", "-1 < y < 1"]),
        identity("for they differ by 2p, p the product", "(1 + 2*S) - (1 + 2*(S - p))", 2 * p),
    )  # fmt: skip
    witness = "induction over the steps; |1 + S| + |S| = max(1, |1 + 2S|)"
    return Certificate(CLAIM, proved(witness), tuple(goals), steps_)
