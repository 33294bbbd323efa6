"""What recovered relations are worth: order, exact inverse, stability; computed from their coefficients alone.

In a frame X = x/w, f = P·p + R·x, the recovered A, B become

    a_j = w_{i-1+j}·(A_j - B_j·R/P)/w_{i-1},    (b h)_j = B_j/(P·w_{i-1}),

and the residual on the polynomial (s - s_{i-1})^m is, with d_j = s_{i-1+j} - s_{i-1},

    E_m = [m = 0] - Σ a_j d_j^m - Σ (b h)_j m d_j^(m-1).

The order on every grid is read off the rows of this grid: the largest p with E_0 … E_p = 0 in all main rows, up to the
rounding of the sampler. On smooth grids E_{p+1} may shrink faster than its terms when the steps are halved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from belm_runtime.amplification import WAYS, companions, growth
from belm_runtime.audit.relations import Relation
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid

#: E_m below this share of its terms is 0: levels in float32 leave 1e-5 where coefficients cancel.
ZERO = 1e-3
_HIGHEST = 10
#: How far a halving exponent may be from a whole number.
_SETTLED = 0.3


@dataclass(frozen=True)
class InFrame:
    """Main rows in a frame; arrays with one entry a row, the row of the noise end first.

    Attributes:
        frame: the frame.
        nodes: i of each row.
        a: weights of states, k of them.
        bh: weights of slopes, steps included.
        w: frame weights of all nodes.
        s: coordinates of all nodes.
    """

    frame: Frame
    nodes: np.ndarray
    a: np.ndarray
    bh: np.ndarray
    w: np.ndarray
    s: np.ndarray


def in_frame(relations: Sequence[Relation], grid: Grid, prediction: str, frame: Frame, states: int) -> InFrame | None:
    """Recovered rows in a frame; None where the frame is not finite on them.

    Args:
        relations: main rows.
        grid: the grid.
        prediction: what the network predicts.
        frame: the frame.
        states: k, how many weights of states to keep.
    """
    alpha, sigma = np.asarray(grid.alpha, float), np.asarray(grid.sigma, float)
    with np.errstate(all="ignore"):
        w, s = (np.asarray(f(alpha, sigma), float) for f in (frame.weight, frame.coordinate))
        P, R = (np.broadcast_to(np.asarray(v, float), w.shape) for v in frame.slope(prediction, alpha, sigma))
        a, bh = [], []
        for row in relations:
            here = row.i + np.arange(max(states, len(row.B)))
            near = np.minimum(here, grid.steps)
            used = row.B != 0
            shift = np.where(used, row.B * R[near[: len(row.B)]] / P[near[: len(row.B)]], 0.0)
            A = row.A.copy()
            A[: len(row.B)] -= shift
            a.append(A[:states] * w[near[:states]] / w[row.i - 1])
            bh.append(np.where(used, row.B / (P[near[: len(row.B)]] * w[row.i - 1]), 0.0))
    found = InFrame(frame, np.array([row.i for row in relations]), np.array(a), np.array(bh), w, s)
    reach = max(max(row.window) for row in relations)
    used = {min(row.i - 1 + j, grid.steps) for row in relations for j in range(reach + 1)}
    finite = all(np.isfinite(v).all() for v in (found.a, found.bh, w[list(used)], s[list(used)]))
    return found if finite else None


def shares(rows: InFrame, m: int) -> np.ndarray:
    """|E_m| of each row as a share of its terms."""
    found = []
    for i, a, bh in zip(rows.nodes, rows.a, rows.bh, strict=True):
        d = [_distances(rows.s, int(i), weights) for weights in (a, bh)]
        states = a * d[0] ** m
        slopes = bh * m * d[1] ** (m - 1) if m else np.zeros(1)
        one = float(m == 0)
        total = one + np.abs(states).sum() + np.abs(slopes).sum()
        found.append(abs(one - states.sum() - slopes.sum()) / total)
    return np.array(found)


def _distances(s: np.ndarray, i: int, weights: np.ndarray) -> np.ndarray:
    """s_{i-1+j} - s_{i-1} where a weight is not 0; coordinates that do not enter may be infinite."""
    near = np.minimum(i + np.arange(len(weights)), len(s) - 1)
    return np.where(weights != 0, s[near] - s[i - 1], 0.0)


def order(rows: InFrame) -> tuple[int, list[float]]:
    """(order on this grid, largest share of each E_m up to the first that does not vanish); -1: not even E_0 = 0."""
    largest: list[float] = []
    for m in range(_HIGHEST):
        largest.append(float(shares(rows, m).max()))
        if largest[-1] > ZERO:
            return m - 1, largest
    return len(largest) - 1, largest


def order_smooth(coarse: InFrame, fine: InFrame, p: int) -> int | None:
    """The order on smooth grids, from the main rows on a fine grid and on one of twice the steps.

    E_{p+1} has p + 1 powers of the step and perhaps more; E_{p+2} has p + 2 at least, so two conditions decide
    between p and p + 1, beyond which no method of the catalogue goes.

    Returns:
        p or p + 1; None where the share of E_{p+1} neither stays nor halves.
    """
    shrinks = float(np.log2(np.median(shares(coarse, p + 1)) / np.median(shares(fine, p + 1))))
    return p if abs(shrinks) < _SETTLED else p + 1 if shrinks > 1 - _SETTLED else None


def invertible(relations: Sequence[Relation], tolerance: float) -> tuple[bool, str]:
    """Whether each row after the start can be solved for the state that is the oldest in most, and why not."""
    lengths = [row.window[0] for row in relations]
    k = max(set(lengths), key=lengths.count)
    for row in relations:
        states, slopes = row.window
        if slopes >= states:
            return False, (
                f"row {row.i} has no state older than its oldest prediction, B_{slopes} = {row.B[slopes - 1]:.6g}: "
                f"on the way back the network needs x_{row.i + slopes - 1} before it is known"
            )
        if abs(row.A[k - 1]) <= tolerance:
            return False, f"row {row.i} has A_{k} = {row.A[k - 1]:.3g}: x_{row.i + k - 1} does not follow from it"
    return solvable(relations)


def solvable(relations: Sequence[Relation]) -> tuple[bool, str]:
    """The words for rows that can all be solved for their oldest state."""
    return True, f"A_k is not 0 and no prediction belongs to the oldest state, in all {len(relations)} main rows"


def stability(rows: InFrame, relations: Sequence[Relation], inverse: bool) -> dict[str, Any]:
    """K in both directions; None for an inversion that does not exist.

    Three ways to hold what does not matter: ``K_sampling`` and ``K_inversion`` with the slopes of the frame held fixed,
    in the frame's states; ``…_x`` the same in x; ``…_outputs`` in x with the network's own outputs held fixed, as a
    replay of recorded outputs does.

    Args:
        rows: main rows in the frame.
        relations: the same rows as they were recovered.
        inverse: whether they can be inverted.
    """
    w, k = rows.w, rows.a.shape[1]
    near = np.minimum(rows.nodes[:, None] + np.arange(k), len(w) - 1)
    with np.errstate(all="ignore"):
        in_x = rows.a * w[rows.nodes - 1, None] / w[near]
    held = np.stack([row.A[:k] for row in relations])
    found: dict[str, Any] = {}
    for name, weights in (("", rows.a), ("_x", in_x), ("_outputs", held)):
        matrices = companions(weights)
        for way in WAYS:
            exists = np.isfinite(matrices).all() and (way == "sampling" or inverse)
            largest = growth(matrices, way).max(initial=1.0) if exists else np.nan
            found[f"K_{way}{name}"] = max(1.0, float(largest)) if np.isfinite(largest) else None
    return found


def frames_of(grid: Grid) -> list[Frame]:
    """The frames in which an order is looked for."""
    return [Frame.parse(name) for name in (("noise", "flow") if grid.sigma[0] == 0 else ("noise", "flow", "data"))]


def best_frame(relations: Sequence[Relation], grid: Grid, prediction: str, first: Frame, states: int) -> InFrame | None:
    """The rows in the frame where their order is highest, the first frame before others; None if none is finite."""
    made = [in_frame(relations, grid, prediction, frame, states) for frame in (first, *frames_of(grid))]
    found = [rows for rows in made if rows is not None and len(rows.nodes)]
    return max(found, key=lambda rows: order(rows)[0], default=None)
