"""The x-form: a relation in x and eps, which no longer depends on a frame.

With X = x/w and f = P·eps + R·x at each node,

    A_j = w_0 (a_j/w_j + b_j h_j R_j),    B_j = w_0 b_j h_j P_j,    h_j = s_j - s_{j-1},

in the symbols alpha0 … alphak, sigma0 … sigmak of the nodes i-1 … i-1+k. Two methods are the same sampler exactly when
their x-forms are equal.
"""

from __future__ import annotations

from itertools import pairwise

import sympy as sp

from belm_theory.frame import ALPHA, SIGMA, Frame
from belm_theory.method import Relation


def levels(k: int) -> tuple[tuple[sp.Symbol, ...], tuple[sp.Symbol, ...]]:
    """The symbols alpha0 … alphak and sigma0 … sigmak."""
    return sp.symbols(f"alpha0:{k + 1}", positive=True), sp.symbols(f"sigma0:{k + 1}", positive=True)


def states(k: int) -> tuple[sp.Symbol, ...]:
    """The symbols x1 … xk of the states that a relation reads."""
    return sp.symbols(f"x1:{k + 1}")


def predictions(k: int) -> tuple[sp.Symbol, ...]:
    """The symbols eps1 … epsk-1 of the noise predicted at its interior nodes."""
    return sp.symbols(f"eps1:{k}")


def x_step(relation: Relation, frame: Frame) -> sp.Expr:
    """The x_{i-1} that a relation makes in a frame, as it is run there, with nothing multiplied out.

    Args:
        relation: coefficients in steps h and, where used, weights w.
        frame: any frame; q may be symbolic.

    Returns:
        An expression in the states x1 … xk, the predictions eps1 … epsk-1 and the levels.
    """
    alpha, sigma = levels(relation.k)
    s = [frame.coordinate(a, o) for a, o in zip(alpha, sigma, strict=True)]
    w = [frame.weight(a, o) for a, o in zip(alpha, sigma, strict=True)]
    h = [after - before for before, after in pairwise(s)]
    table = dict(zip(relation.h, h, strict=True)) | dict(zip(relation.w, w, strict=False))
    P, R = frame.slope_from("epsilon")
    total = sp.Integer(0)
    for j, (x, a) in enumerate(zip(states(relation.k), relation.a, strict=True), 1):
        total += a.subs(table) * x / w[j]
    for j, (eps, b) in enumerate(zip(predictions(relation.k), relation.b, strict=True), 1):
        here = {ALPHA: alpha[j], SIGMA: sigma[j]}
        total += b.subs(table) * h[j - 1] * (P.subs(here) * eps + R.subs(here) * states(relation.k)[j - 1])
    return w[0] * total


def x_form(relation: Relation, frame: Frame) -> tuple[tuple[sp.Expr, ...], tuple[sp.Expr, ...]]:
    """(A, B) of a relation run in a frame, as rational functions of the levels: the coefficients of `x_step`."""
    made = x_step(relation, frame)
    A, B = (tuple(sp.factor(sp.diff(made, symbol)) for symbol in symbols)
            for symbols in (states(relation.k), predictions(relation.k)))  # fmt: skip
    return A, B
