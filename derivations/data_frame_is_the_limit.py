"""The data frame is the rescaled limit q -> oo.

Let q = 1/e with e > 0. Multiply the state of frame q by q and replace s by an affine function of it:

    Y = q·X = x/(sigma + e·alpha),    u = q - q²·s = alpha/(sigma + e·alpha),    dY/du = -f/q = D - e·eps.

All three are regular at e = 0, where they are the data frame, x/sigma, alpha/sigma, D; for e > 0 they differ from it by
e times something bounded. For fixed (D, eps) Y = eps + u·(D - e·eps), at e = 0 eps + u·D.

A method does not notice the change of scale: h turns into -q²·h, f into -f/q, so h·f is multiplied by q as X is, and
weights a, b that depend on ratios of steps only are unchanged. So a method run in frame q is the same method run in
(Y, u), and its coefficients tend to those in the data frame; for O-BELM's A_2 the limit is written out.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import ALPHA, DATA, EPS, SIGMA, D, Frame
from belm_theory.verdict import proved
from belm_theory.xform import levels, x_form

CLAIM = Claim(
    "data-frame-is-the-limit",
    "With q = 1/e, frame q is, up to the affine change X -> q·X, s -> q - q²·s, the frame w = sigma + e·alpha, "
    "u = alpha/w, slope D - e·eps, which differs from the data frame by multiples of e.",
    ("alpha >= 0", "sigma > 0", "e > 0"),
    "this project",
)


def second_weight(e: sp.Expr) -> sp.Expr:
    """O-BELM's A_2 in the coordinates (Y, u): w_0·(h_1/h_2)²/w_2."""
    alpha, sigma = levels(2)
    w = [s + e * a for a, s in zip(alpha, sigma, strict=True)]
    u = [a / v for a, v in zip(alpha, w, strict=True)]
    return w[0] / w[2] * ((u[1] - u[0]) / (u[2] - u[1])) ** 2


def derive() -> Certificate:
    """Each coordinate in e and its distance from the data frame; one coefficient of a method that sees the frame."""
    e = sp.Symbol("e", positive=True)
    q, frame, w, x = 1 / e, Frame(1 / e), SIGMA + e * ALPHA, ALPHA * D + SIGMA * EPS
    u, slope = ALPHA / w, D - e * EPS
    shown = {
        "q·X = x/w": (q * x / frame.weight(), x / w),
        "q - q²·s = u": (q - q**2 * frame.coordinate(), u),
        "-f/q = D - e·eps": (-frame.slope() / q, slope),
        "the state is affine in u": (x / w, EPS + u * slope),
        "u is the data frame's up to e": (u, DATA.coordinate() - e * ALPHA**2 / (SIGMA * w)),
    }
    assert [part.subs(e, 0) for part in (w, u, slope)] == [DATA.weight(), DATA.coordinate(), DATA.slope()]
    assert all(sp.cancel(ours - theirs) == 0 for ours, theirs in shown.values())
    ours, limit = (x_form(o_belm(), one)[0][1] for one in (frame, DATA))
    assert sp.cancel(ours - second_weight(e)) == 0 and sp.cancel(second_weight(sp.Integer(0)) - limit) == 0
    increasing = ["alpha0, alpha1, alpha2 > 0", "0 < sigma0", "sigma0*alpha1/alpha0 < sigma1",
                  "sigma1*alpha2/alpha1 < sigma2"]  # fmt: skip
    steps = (
        identity("h·f is multiplied by q", "(-q**2*h)*(-f/q)", "q*(h*f)", where=["q > 0"]),
        identity("O-BELM's A_2 in frame q", ours, second_weight(e), where=increasing),
        identity("at e = 0 it is that of the data frame", second_weight(sp.Integer(0)), limit, where=increasing),
    )
    return Certificate(
        CLAIM,
        proved("q·X = x/(sigma + e·alpha), q - q²·s = alpha/(sigma + e·alpha), -f/q = D - e·eps"),
        goals=tuple(identity(says, *sides) for says, sides in shown.items()),
        steps=steps,
    )
