"""Frames: one picture for noise-, data- and velocity-prediction, and for flow matching.

A diffusion state is x = alpha·D + sigma·eps with data D and noise eps. For q >= 0 let

    w = alpha + q·sigma,    X = x / w,    s = sigma / w.

Then alpha/w = 1 - q·s, so X = D + s·(eps - q·D): X is affine in s for fixed (D, eps) and

    dX/ds = f = eps - q·D.

q = 0 is the paper's frame (xbar, sbar; arXiv 2410.07273, eq 6 and 11), q = 1 the velocity frame. The limit q -> oo,
rescaled, is the data frame: w = sigma, X = x/sigma, s = u = alpha/sigma, dX/du = D.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

ALPHA, SIGMA, X, D, EPS, PREDICTION = sp.symbols("alpha sigma x D epsilon prediction", positive=True)
Q = sp.Symbol("q", nonnegative=True)

#: What a network may predict, as (coefficient of D, coefficient of eps).
PREDICTIONS: dict[str, tuple[sp.Expr, sp.Expr]] = {
    "epsilon": (sp.Integer(0), sp.Integer(1)),
    "v": (-SIGMA, ALPHA),
    "sample": (sp.Integer(1), sp.Integer(0)),
    "flow": (sp.Integer(-1), sp.Integer(1)),
}


@dataclass(frozen=True)
class Frame:
    """The coordinates X = x/w, s in which a method is linear with slope f.

    Attributes:
        q: a rational or symbol >= 0, or ``sympy.oo`` for the data frame.
    """

    q: sp.Expr

    def __post_init__(self) -> None:
        """Refuse a negative q: w could vanish between data and noise."""
        if self.q.is_negative:
            raise ValueError(f"frame q = {self.q} is negative; q must be 0 (noise), positive, or oo (data)")

    @property
    def is_data(self) -> bool:
        """Whether this is the data frame, the rescaled limit q -> oo."""
        return self.q is sp.oo

    def weight(self, alpha: sp.Expr = ALPHA, sigma: sp.Expr = SIGMA) -> sp.Expr:
        """The divisor w of the state: alpha + q·sigma, or sigma in the data frame."""
        return sigma if self.is_data else alpha + self.q * sigma

    def coordinate(self, alpha: sp.Expr = ALPHA, sigma: sp.Expr = SIGMA) -> sp.Expr:
        """The independent variable s = sigma/w, or u = alpha/sigma in the data frame."""
        return alpha / sigma if self.is_data else sigma / self.weight(alpha, sigma)

    def slope(self, data: sp.Expr = D, noise: sp.Expr = EPS) -> sp.Expr:
        """The slope f = dX/ds: eps - q·D, or D in the data frame."""
        return data if self.is_data else noise - self.q * data

    def slope_from(self, prediction: str) -> tuple[sp.Expr, sp.Expr]:
        """The slope as a linear function of what the network gives: f = P·prediction + R·x.

        Solves x = alpha·D + sigma·eps together with the definition of the prediction for (D, eps).

        Args:
            prediction: a key of `PREDICTIONS`.

        Returns:
            (P, R) as expressions in alpha and sigma.
        """
        on_data, on_noise = PREDICTIONS[prediction]
        solution = sp.solve(
            [sp.Eq(X, ALPHA * D + SIGMA * EPS), sp.Eq(PREDICTION, on_data * D + on_noise * EPS)], [D, EPS], dict=True
        )[0]
        slope = sp.expand(self.slope(solution[D], solution[EPS]))
        return sp.factor(slope.coeff(PREDICTION)), sp.factor(slope.coeff(X))


NOISE = Frame(sp.Integer(0))
FLOW = Frame(sp.Integer(1))
DATA = Frame(sp.oo)
NAMED: dict[str, Frame] = {"noise": NOISE, "flow": FLOW, "data": DATA}


def frame_name(frame: Frame) -> str:
    """The name of a frame: ``noise``, ``flow``, ``data``, ``q=…``, or ``q`` where it is a symbol."""
    written = frame.q.name if isinstance(frame.q, sp.Symbol) else f"q={frame.q}"
    return next((name for name, known in NAMED.items() if known == frame), written)
