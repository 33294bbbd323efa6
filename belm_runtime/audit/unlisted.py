"""Members with weights of their own, read off the rows of a run: `weights`, `damped` and their exponential variants.

In a frame the weights of the states in a recovered row are

    a_j = w_{i-1+j}·(A_j - B_j·R/P)/w_{i-1}.

If they are the same in all rows they are a member of `weights`; if a_k = 1/(1 + m·(h_{i+1} + … + h_{i+k-1})) with one
m, the run is `damped`. The medians over the rows are proposed; whether every row holds is for the caller to see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction

import numpy as np

from belm_runtime import methods
from belm_runtime.audit.candidates import Candidate, variants
from belm_runtime.audit.relations import Relation, determined
from belm_runtime.errors import InputError
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method

#: A fitted parameter this near to a simple fraction is that fraction.
_SIMPLE, _NEAR = 100, 2e-4


def unlisted(own: Sequence[Relation], grid: Grid, prediction: str, k: int) -> Iterator[Candidate]:
    """The members that the recovered rows propose, in every frame that is finite on them.

    Args:
        own: the rows as they were recovered, the noise end first.
        grid: the grid.
        prediction: what the network predicts.
        k: how many states most rows need.
    """
    for name in ("flow", "noise", "data") if 2 <= k <= 5 else ():
        with np.errstate(all="ignore"):
            a, m = _weights(determined(own, k), grid, prediction, Frame.parse(name), k)
        values = {f"a{j}": simple(a[:, j - 1]) for j in range(2, k + 1)}
        for method in _members(k, ("weights", values), ("damped", {"m": simple(m)})):
            yield from variants(method, grid, prediction, (name,))


def _members(k: int, *proposed: tuple[str, dict[str, Fraction | None]]) -> Iterator[Method]:
    """The methods with these parameters where they are known and in range, each with its exponential variant."""
    for family, values in proposed:
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values):
            continue
        with suppress(InputError):
            plain = methods.make(family, k=k, **known)
            yield plain
            if k > 2:
                yield methods.exponential(plain)


def simple(found: Sequence[float] | np.ndarray) -> Fraction | None:
    """The median of what is finite, as a simple fraction if it is near one; None if nothing is."""
    finite = np.asarray(found, float)[np.isfinite(found)]
    if not len(finite):
        return None
    value = float(np.median(finite))
    near = Fraction(value).limit_denominator(_SIMPLE)
    return near if abs(near - value) < _NEAR / _SIMPLE else Fraction(f"{value:.8f}")


def _weights(
    rows: Sequence[Relation], grid: Grid, prediction: str, frame: Frame, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The weights a of each row in a frame, and the m that each a_k asks for; not finite where the frame is not."""
    alpha, sigma = np.asarray(grid.alpha, float), np.asarray(grid.sigma, float)
    w, s = (np.broadcast_to(np.asarray(f(alpha, sigma), float), alpha.shape) for f in (frame.weight, frame.coordinate))
    P, R = (np.broadcast_to(np.asarray(v, float), alpha.shape) for v in frame.slope(prediction, alpha, sigma))
    a, m = [], []
    for row in rows:
        nodes = np.minimum(row.i + np.arange(k), grid.steps)
        slopes = np.append(row.B, 0.0)[:k]
        a.append(w[nodes] * (row.A[:k] - np.where(slopes != 0, slopes * R[nodes] / P[nodes], 0.0)) / w[row.i - 1])
        m.append((1 / a[-1][-1] - 1) / (s[nodes[-1]] - s[nodes[0]]))
    return np.array(a).reshape(-1, k), np.array(m)
