"""The paper's Proposition 2: with a_k != 0 a BELM relation, solved for its oldest state, is its exact inverse.

The relation makes X_{i-1} from X_i … X_{i-1+k} and the slopes f_i … f_{i+k-2}. Solved for the oldest state,

    X_{i-1+k} = (X_{i-1} - Σ_{j<k} a_j X_{i-1+j} - Σ_j b_j h_j f_j)/a_k,

it uses the same slopes at the same states, all known on the way back, because no slope sits at either end. Putting one
into the other gives back what went in, in both orders. So a step is a bijection of the k states it keeps, and a run is
a composition of bijections: exact inversion, of the last k states. The sign of the slope terms is minus; the paper
prints plus (equation_13).
"""

import re

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.verdict import proved

CLAIM = Claim(
    "proposition-2",
    "If a_k != 0, the k-step BELM relation solved for its oldest state is its exact inverse in both orders, for any a, "
    "b and slopes, k = 2 … 5.",
    (),
    "BELM, prop 2",
)


def relation(k: int) -> tuple[sp.Expr, sp.Symbol, sp.Symbol]:
    """The right-hand side of the relation with generic a, b, h, X, f; its oldest state; the newest one."""
    a, x = sp.symbols(f"a1:{k + 1}"), sp.symbols(f"X0:{k + 1}")
    b, h, f = (sp.symbols(f"{name}1:{k}") for name in ("b", "h", "f"))
    states = sum((weight * state for weight, state in zip(a, x[1:], strict=True)), sp.Integer(0))
    slopes = sum((w * step * slope for w, step, slope in zip(b, h, f, strict=True)), sp.Integer(0))
    return states + slopes, x[-1], x[0]


def written(outer: sp.Expr, at: sp.Symbol, inner: sp.Expr) -> str:
    """One way put into the other as text: SymPy would cancel it to the answer, and leave the checker nothing to do."""
    return re.sub(rf"\b{at}\b", f"({inner})", str(outer))


def derive() -> Certificate:
    """Solve for the oldest state, and make both round trips, for a_k of either sign."""
    goals = []
    for k in range(2, 6):
        there, oldest, newest = relation(k)
        (back,) = sp.solve(sp.Eq(newest, there), oldest)
        assert sp.cancel(back.subs(newest, there) - oldest) == 0 == sp.cancel(there.subs(oldest, back) - newest)
        for sign in (f"a{k} > 0", f"a{k} < 0"):
            goals += [
                identity(f"k = {k}, {sign}: back after there", written(back, newest, there), oldest, where=[sign]),
                identity(f"k = {k}, {sign}: there after back", written(there, oldest, back), newest, where=[sign]),
            ]
    return Certificate(CLAIM, proved("X_k = (X_0 - Σ_{j<k} a_j X_j - Σ b_j h_j f_j)/a_k, k = 2 … 5"), tuple(goals))
