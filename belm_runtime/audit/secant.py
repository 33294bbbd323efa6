"""One parameter from the answer of a run that is not affine in it: Gauss and Newton's method with differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_CLOSE, _LEAST = 1e-12, 1e-3


def secant(left: Callable[[float], np.ndarray], p: float = 1.0, q: float = 0.5, rounds: int = 40) -> float:
    """The parameter in [0.001, 1] at which the least is left.

    Args:
        left: what a parameter leaves.
        p: where to begin.
        q: another value, for the first difference.
        rounds: at most; from near a few are enough.
    """
    at_p, at_q = left(p), left(q)
    for _ in range(rounds):
        slope = (at_p - at_q) / (p - q)
        if (size := float(slope @ slope)) == 0 or not np.isfinite(size):
            break
        better = float(np.clip(p - float(at_p @ slope) / size, _LEAST, 1.0))
        if abs(better - p) < _CLOSE:
            break
        p, q, at_p, at_q = better, p, left(better), at_p
    return p
