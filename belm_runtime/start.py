"""Inversion from a bare x_0: starting values upward, and DDIM-style approximate inversion.

From x_0 alone the first k - 1 nodes are not known. Adams–Bashforth of rising order runs upward over the known slopes,

    X_{m+1} = X_m + Σ_j b_j (s_{m+1-j} - s_{m+2-j}) f_{m+1-j},    j = 1 … min(m + 1, order).

There is no prediction at node 0; the network is evaluated at (x_0, timesteps[1]) in its place, read as eps with node
1's conversion, and turned into a slope with alpha_0, sigma_0. Continued over all nodes this is the approximate
inversion of a method that has no exact one. For order 1 it is DDIM inversion, explicit Euler upward; the loops of
diffusers make the same steps, but tell the network t_{m+1} where x_m stands at t_m.

Exponential variants start in the same way: log(sigma/alpha) does not exist at node 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from belm_runtime.frame import Frame
from belm_runtime.recurrence import Relation
from belm_runtime.table import Table, adams_weights


def upward_start(table: Table, prediction: str, last: int, order: int, first: int = 0) -> list[Relation]:
    """Relations that make nodes first + 1 … last from node `first` alone, by Adams–Bashforth of rising order.

    Args:
        table: frame, steps and grid.
        prediction: what the network predicts.
        last: the last node to make.
        order: highest order of the start.
        first: the node of the one known state, 0 for the data.
    """
    P, R = table.slopes(prediction)
    P[0], R[0] = _slope_at_data(table, prediction)
    return [_step(table, m, min(m + 1 - first, order), P, R) for m in range(first, last)]


def _step(table: Table, m: int, order: int, P: np.ndarray, R: np.ndarray) -> Relation:
    """The relation that makes node m + 1 from nodes m, m-1, …, in x and raw predictions."""
    h, w = table.h, table.w
    backwards = h[m::-1]
    weights = adams_weights(backwards, order)
    states: list[Any] = [w[m + 1] / w[m]] + [0] * (order - 1)
    slopes: list[Any] = []
    for j, b in enumerate(weights):
        # Upward the steps are negative: -h_{m+1-j}; b depends on their ratios only.
        weight = -w[m + 1] * b * backwards[j]
        states[j] = states[j] + weight * R[m - j]
        slopes.append(weight * P[m - j])
    plain = (lambda v: v) if h.dtype == object else float
    return Relation(m, m + 1, tuple(map(plain, states)), tuple(map(plain, slopes)))


def _slope_at_data(table: Table, prediction: str) -> tuple[Any, Any]:
    """(P, R) at node 0 for a prediction made at (x_0, timesteps[1])."""
    alpha, sigma = table.grid.alpha, table.grid.sigma
    eps_p, eps_r = Frame.parse("noise").slope(prediction, alpha[1], sigma[1])
    on_eps, on_x = table.frame.slope("epsilon", alpha[0], sigma[0])
    return on_eps * eps_p, on_eps * eps_r + on_x
