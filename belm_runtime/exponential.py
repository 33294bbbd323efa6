"""Exponential variants at run time: slope weights of interpolation in log-SNR, from the levels of a grid.

The generated functions take s, l = log(s/(1 - q s)) and v = log(1 - q s) of a relation's nodes and give B_1 … B_{k-1},
which multiply the slopes. B is what is left of much larger terms, about s·dl^k of s for steps dl in l, so that floats
would lose k times the digits that neighbouring levels share. The functions run on decimals of 100 digits instead: two
float64 levels differ by 1e-16 at least, five times 16 digits may go, and B is rounded once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np

from belm_runtime._generated import exponential as generated
from belm_runtime.errors import InputError
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid

#: Decimal digits in which weights are computed.
DIGITS = 100
#: The longest relation in the frames 0 < q < oo; from the next one on the integrals are dilogarithms.
LONGEST_ELSEWHERE = max(int(name.removeprefix("frame_")) for name in vars(generated) if name.startswith("frame_"))


class Levels:
    """The nodes of a grid as the generated functions take them, in any scalars that have a logarithm.

    Attributes:
        frame: the frame.
        s: coordinates, an array of objects.
        logs: log(s/(1 - q s)); where s = 0 any number will do, for it enters as s·l^m -> 0.
        rest: log(1 - q s), in the frames 0 < q < oo only.
    """

    def __init__(self, frame: Frame, alpha: Sequence[Any], sigma: Sequence[Any], log: Callable[[Any], Any]) -> None:
        """Of levels, numbers of one type with the logarithm `log`."""
        self.frame, pairs = frame, list(zip(alpha, sigma, strict=True))
        self.s = _objects(frame.coordinate(a, o) for a, o in pairs)
        ratios = ((a, o) if frame.q is None else (o, a) for a, o in pairs)
        self.logs = _objects(0 if top == 0 else log(top / bottom) for top, bottom in ratios)
        self.rest = _objects(log(a / frame.weight(a, o)) for a, o in pairs) if frame.q else None

    def slope_weights(self, a: np.ndarray, first: int = 0) -> np.ndarray:
        """B of the relations that make the nodes first, first + 1, …; shape (rows, k - 1).

        Args:
            a: weights of the states, shape (rows, k), k > 2; nodes beyond the last must have weight 0.
            first: the first node that is made.
        """
        rows, k = a.shape
        # The generated function reads node k even where a_k = 0 and there is none.
        nodes = [np.minimum(np.arange(first, first + rows) + j, len(self.s) - 1) for j in range(k + 1)]
        values = [*a.T, *(self.s[n] for n in nodes), *(self.logs[n] for n in nodes)]
        if self.rest is None:
            return np.stack(getattr(generated, f"noise_{k}")(*values), 1)
        q, rest = self.frame.number(self.s[-1]), (self.rest[n] for n in nodes)
        return np.stack(getattr(generated, f"frame_{k}")(q, *values, *rest), 1)


def slope_weights(
    frame: Frame, grid: Grid, a: np.ndarray, b: np.ndarray, h: np.ndarray, counts: Sequence[int]
) -> np.ndarray:
    """The exponential b of every row, in the paper's normalisation; row index i - 1.

    Args:
        frame: one that `check` admits.
        grid: of floats.
        a: weights of the states, N rows.
        b: the plain method's, which stays where a row has one slope.
        h: steps, N entries.
        counts: how many slopes each row interpolates.
    """
    if max(counts) == 1:
        return b
    b = b.copy()
    digits = DIGITS + len(str((frame.q or 0).denominator))  # as many as 1 - q·s needs beside them
    with localcontext(Context(prec=digits)):
        alpha, sigma = (list(map(Decimal, levels.tolist())) for levels in (grid.alpha, grid.sigma))
        levels = Levels(frame, alpha, sigma, Decimal.ln)
        for count in sorted(set(counts) - {1}):
            rows = np.flatnonzero(np.asarray(counts) == count)  # consecutive: the main rows, or one start row
            weights = _objects(map(Decimal, a[rows, : count + 1].ravel().tolist())).reshape(len(rows), count + 1)
            B = levels.slope_weights(weights, int(rows[0])).astype(float)
            b[rows, :count] = B / h[rows[:, None] + np.arange(count)]
    return b


def check(method: str, k: int, frame: Frame, grid: Grid) -> None:
    """Refuse what slopes in log-SNR cannot run on.

    Args:
        method: for messages.
        k: steps of its relation; with 2 it has one slope, and no logarithm enters.
        frame: the frame.
        grid: the grid.

    Raises:
        InputError: an exact grid, alpha_N = 0, or a frame in which the weights are not elementary.
    """
    if k == 2:
        return
    if grid.alpha.dtype == object:
        raise InputError(f"{method} needs logarithms of the levels, which are no fractions; use a grid of floats")
    if grid.alpha[-1] == 0:
        raise InputError(
            f"{method} needs alpha > 0, but this grid has alpha_N = 0 (log(sigma/alpha) is infinite there); use a "
            "method without exp-, such as blend:k=3"
        )
    if frame.q and k > LONGEST_ELSEWHERE:
        raise InputError(
            f"{method} has k = {k} and no elementary weights in the frame {frame}: exp- methods run with k <= 5 in the "
            f"noise and data frames, with k <= {LONGEST_ELSEWHERE} in the others"
        )


def _objects(values: Any) -> np.ndarray:
    listed = list(values)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array
