"""The spacing free: N nodes on a monotone cubic through knots, in the flow coordinate s = sbar/(1 + sbar).

With s_N the coordinate of node N (1 where alpha_N = 0), the shares r = s/s_N are given at u = j/K, and between them

    r(u) = the cubic Hermite polynomial of values r_j and slopes d_j,    r_0 = 0, r_K = 1,
    d_j  = 2·D_j·D_{j+1}/(D_j + D_{j+1}) inside,    D_j = K·(r_j − r_{j−1}),
    d_0  = max(0, (3·D_1 − D_2)/2), and likewise d_K,

the monotone cubic of Fritsch and Carlson (SIAM J. Numer. Anal. 17, 1980) with the slopes of Butland, as SciPy's
PchipInterpolator has them; SciPy is no dependency of the runtime. r increases (derivations/free_grid_increases.py), and
node i lies at u = i/N.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: After so many halvings an interval of u is as short as its rounding.
_HALVINGS = 60


class MonotoneCubic:
    """The monotone cubic r(u), 0 <= u <= 1, through r = 0, the knots and 1 at equal distances."""

    def __init__(self, knots: tuple[float, ...]) -> None:
        """From the K - 1 >= 1 inner values, 0 < r_1 < … < 1."""
        self._r = np.array([0.0, *knots, 1.0])
        D = np.diff(self._r) * (len(self._r) - 1)
        ends = [max(0.0, (3 * D[i] - D[j]) / 2) for i, j in ((0, 1), (-1, -2))]
        self._slopes = np.array([ends[0], *(2 * D[:-1] * D[1:] / (D[:-1] + D[1:])), ends[1]])

    def __call__(self, u: FloatArray) -> FloatArray:
        """The share r at u."""
        pieces = len(self._r) - 1
        j = np.minimum(np.floor(u * pieces).astype(np.int64), pieces - 1)
        t = u * pieces - j
        below, above, first, last = self._r[j], self._r[j + 1], self._slopes[j] / pieces, self._slopes[j + 1] / pieces
        value = below * (1 + 2 * t) * (1 - t) ** 2 + above * t**2 * (3 - 2 * t)
        return np.asarray(value + first * t * (1 - t) ** 2 - last * t**2 * (1 - t))

    def inverse(self, r: float) -> float:
        """The u with r(u) = r, by halving."""
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self(np.array(middle)) > r else (middle, high)
        return high


def free_ratios(steps: int, low: float, high: float, knots: tuple[float, ...]) -> FloatArray:
    """The N ratios sbar of free, ascending, the last of them high.

    Args:
        steps: N.
        low: the least ratio that node 1 may have, > 0.
        high: the ratio of node N; infinite where alpha = 0.
        knots: the inner shares, 0 < r_1 < … < r_{K−1} < 1.

    Returns:
        float64 of shape (N,).
    """
    cubic, top = MonotoneCubic(knots), 1.0 if np.isinf(high) else high / (1 + high)
    floor = low / (1 + low)
    clamped = steps > 1 and top * cubic(np.array(1 / steps)) < floor
    begin = cubic.inverse(floor / top) if clamped else 1 / steps
    s = top * cubic(np.linspace(begin, 1, steps)[:-1])
    sbar = np.append(s / (1 - s), high)
    if clamped:
        sbar[0] = low
    return sbar
