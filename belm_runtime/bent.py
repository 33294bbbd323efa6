"""The spacing bent: where its N nodes lie, as ratios sbar = sigma/alpha.

    log m + C·tau uniform,    m = (sbar + A)/(1 + sbar/B),    tau = the share of the schedule's time gone by, 0 … 1

m alone makes the nodes even near the data, geometric between A and B, and thin above B; C·tau adds nodes that are even
in time, most of which lie in the noise, where guidance needs them. Both parts increase (derivations/
designed_grid_increases.py). `belm design` searches A, B and C.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: After so many halvings an interval of log m is as short as its rounding.
_HALVINGS = 60


def bent_ratios(
    steps: int, low: float, high: float, share: Callable[[FloatArray], FloatArray], shape: tuple[float, float, float]
) -> FloatArray:
    """The N ratios sbar of bent, ascending, the last of them high.

    Args:
        steps: N.
        low: the least ratio that node 1 may have, > 0.
        high: the ratio of node N; infinite where alpha = 0.
        share: tau of sbar, 0 at sbar = 0, not decreasing, 1 at high.
        shape: (A, B, C), 0 < A < B, C >= 0.

    Returns:
        float64 of shape (N,).
    """
    small, large, weight = shape

    def bent(sbar: float) -> float:
        return math.log(large) if math.isinf(sbar) else math.log((sbar + small) / (1 + sbar / large))

    def unbent(log: FloatArray) -> FloatArray:
        m = np.exp(log)
        return np.maximum(m - small, 0) / (1 - m / large)

    bottom, top = math.log(small), bent(high) + weight
    floor = bent(low) + weight * float(share(np.array(low)))
    first = bottom + (top - bottom) / steps
    clamped = steps > 1 and first < floor
    wanted = np.linspace(floor if clamped else first, top, steps)[:-1]
    # tau is between 0 and 1, so log m lies between wanted - C and wanted.
    under, over = np.maximum(wanted - weight, bottom), np.minimum(wanted, bent(high))
    for _ in range(_HALVINGS if weight else 0):
        middle = (under + over) / 2
        above = middle + weight * share(unbent(middle)) > wanted
        under, over = np.where(above, under, middle), np.where(above, middle, over)
    sbar = np.append(unbent(over), high)
    if clamped:
        sbar[0] = low
    return sbar
