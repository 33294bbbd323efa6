"""The sample x_0 alone does not determine the noise; the last k states do.

Take N = 2, a 2-step BELM with weight g > 0 and the usual first step of DDIM. In the frame

    X_1 = X_2 - h_2·f_2(X_2),    X_0 = (1 - g)·X_1 + g·X_2 - (h_1 + g·h_2)·f_1(X_1).

For a network with f_2 = 0, f_1(X) = d·X, d = 1/(h_1 + g·h_2), every noise X_2 leads to X_0 = 0. A map that is not
injective has no inverse, exact or not. The pair (X_0, X_1) does determine X_2, by the relation solved for it; with X_0
and a guess of X_1 that is wrong by delta, X_2 is wrong by -((1 - g)/g)·delta plus what the slope makes of delta.

The paper states exact inversion for the recurrence, and says in C.1 that two intermediates have to be stored. Inverting
a real picture starts from x_0 only; then the start of the inversion decides what is found.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.frame import NOISE
from belm_theory.grid import steps
from belm_theory.inverse import inverse
from belm_theory.method import Relation
from belm_theory.order import order
from belm_theory.verdict import refuted

CLAIM = Claim(
    "x0-alone-determines-the-noise",
    "With a 2-step BELM after a first DDIM step, different noises X_2 give different samples X_0, for every network "
    "with f_2 = 0 and f_1(X) = d·X.",
    ("h1, h2, g > 0", "noise < other"),
    "a reading of BELM, prop 2, that C.1 warns of",
)


def derive() -> Certificate:
    """Run two steps from two noises; choose d; go back from the pair, and from a wrong one."""
    g, d, f1, f2, delta = sp.symbols("g d f1 f2 delta", positive=True)
    noise, other = sp.symbols("noise other")
    h1, h2 = h = steps(2)
    relation = Relation("two-step", 2, NOISE, (1 - g, g), (-(h1 + g * h2) / h1,), h, parameters=(g,))
    assert order(relation) == 1

    def step(newer: sp.Expr, older: sp.Expr, slope: sp.Expr) -> sp.Expr:
        return (1 - g) * newer + g * older - (h1 + g * h2) * slope

    def run(start: sp.Expr) -> sp.Expr:
        # f_2 = 0: the first step stays where it is.
        return step(start, start, d * start)

    back = inverse(relation)

    def undone(sample: sp.Expr, newer: sp.Expr, slope: sp.Expr) -> sp.Expr:
        return back.c[0] * sample + back.c[1] * newer + back.d[0] * h1 * slope

    collapse = 1 / (h1 + g * h2)
    assert sp.cancel(run(noise).subs(d, collapse)) == 0
    first = noise - h2 * f2
    there = undone(step(first, noise, f1), first, f1)
    wrong = undone(step(first, noise, f1), first + delta, f1) - noise
    assert sp.cancel(there - noise) == 0 == sp.cancel(wrong + (1 - g) / g * delta)
    return Certificate(
        CLAIM,
        refuted("d = 1/(h_1 + g·h_2): X_0 = 0 for every X_2"),
        goals=(inequality("X_0 differs", run(noise), "!=", run(other), point={"d": collapse}),),
        steps=(
            identity("(X_0, X_1) gives X_2 back, for any slopes", there, noise),
            identity("X_1 + delta for X_1 moves X_2", wrong, -(1 - g) / g * delta),
            inequality("with zero slopes X_0 tells them apart", run(noise).subs(d, 0), "<", run(other).subs(d, 0)),
            identity("all noises lead to 0", str(run(noise)).replace("d*", f"({collapse})*"), 0),
        ),
    )
