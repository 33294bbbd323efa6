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


def x_form(relation: Relation, frame: Frame) -> tuple[tuple[sp.Expr, ...], tuple[sp.Expr, ...]]:
    """(A, B) of a relation run in a frame, as rational functions of the levels.

    Args:
        relation: coefficients in steps h and, where used, weights w.
        frame: any frame; q may be symbolic.
    """
    alpha, sigma = levels(relation.k)
    s = [frame.coordinate(a, o) for a, o in zip(alpha, sigma, strict=True)]
    w = [frame.weight(a, o) for a, o in zip(alpha, sigma, strict=True)]
    h = [after - before for before, after in pairwise(s)]
    table = dict(zip(relation.h, h, strict=True)) | dict(zip(relation.w, w, strict=False))
    P, R = frame.slope_from("epsilon")
    states, slopes = [], []
    for j in range(1, relation.k + 1):
        state = relation.a[j - 1].subs(table) / w[j]
        if j < relation.k:
            here = {ALPHA: alpha[j], SIGMA: sigma[j]}
            weight = relation.b[j - 1].subs(table) * h[j - 1]
            state += weight * R.subs(here)
            slopes.append(sp.factor(w[0] * weight * P.subs(here)))
        states.append(sp.factor(w[0] * state))
    return tuple(states), tuple(slopes)
