"""Rigorous stability constants of a method on a concrete grid: the generated functions on balls.

Levels are enclosed from the schedule's exact definition where it has one and the timesteps are whole (sd15, ddpm);
otherwise the grid's stored numbers are read as exact binary fractions. The weights come from the very functions that
the runtime uses, evaluated on Arb balls, and `belm_theory.balls` multiplies the companion matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from belm_runtime.exponential import Levels
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_runtime.table import on_grid
from belm_theory import balls

_DEFINED = "the schedule's exact definition"
_STORED = "the grid's stored numbers, read as exact fractions"
#: How far a float64 table of levels may be from its definition.
_ROUNDING = 1e-9
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Setting:
    """A method on a grid in balls: exact levels, in a frame that is finite there."""

    method: Method
    frame: Frame
    levels: list[tuple[Any, Any]]
    source: str

    def maps(self) -> tuple[list[Any], list[Any], list[list[Any]]]:
        """Step matrices in the frame and in x, and |b_{i,j} h_{i-1+j}| of the rows i = N-k+1 … 1 (EDICT: none)."""
        if self.method.stages:
            return *_stages(self.method, self.levels), []
        s = [self.frame.coordinate(alpha, sigma) for alpha, sigma in self.levels]
        w = [self.frame.weight(alpha, sigma) for alpha, sigma in self.levels]
        found = _relations(self.method.plain, [after - before for before, after in pairwise(s)], w)
        return (*found[:2], self._exponential(found[0])) if self.method.exponential and self.method.k > 2 else found

    def _exponential(self, in_frame: list[Any]) -> list[list[Any]]:
        """|B| of the main rows, from the first lines of their companion matrices, which are their weights a."""
        a = np.array([matrix.table()[0] for matrix in in_frame[::-1]], dtype=object).reshape(len(in_frame), -1)
        alpha, sigma = zip(*self.levels, strict=True)
        found = Levels(self.frame, alpha, sigma, balls.logarithm).slope_weights(a)
        return [[abs(weight) for weight in row] for row in found[::-1]]


def prepare(method: Method | str, grid: Grid, frame: Frame | str | None = None) -> Setting:
    """The method, the frame and the enclosed levels.

    Raises:
        InputError: a frame that is not finite on this grid.
    """
    method, chosen, _ = on_grid(method, grid, frame)
    return Setting(method, chosen, *_levels(grid))


def enclosures(
    method: Method | str, grid: Grid, *, frame: Frame | str | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """K in both directions, in the frame and in x, and the nodes at which the paper's hypothesis fails.

    Args:
        method: object or string.
        grid: the grid.
        frame: default the method's natural frame.
        progress: called with (products done, products).

    Returns:
        JSON-able: ``hypothesis_fails_at`` (nodes i with not h_i < h_{i+1} in sbar), ``K_sampling``, ``K_inversion``,
        ``K_sampling_x``, ``K_inversion_x`` with outward-rounded decimal bounds (None: not invertible), ``levels``.

    Raises:
        InputError: a frame that is not finite on this grid.
    """
    setting = prepare(method, grid, frame)
    levels, stored = setting.levels, setting.source == _STORED
    in_frame, in_x, _ = setting.maps()
    # Stored numbers are fractions, so that equal steps can be told apart from close ones.
    pairs = [tuple(map(Fraction, pair)) for pair in zip(grid.alpha, grid.sigma, strict=True)] if stored else levels
    failing = balls.failing_nodes([sigma / alpha for alpha, sigma in pairs if alpha != 0])
    found: dict[str, Any] = {"frame": str(setting.frame), "levels": setting.source}
    found["hypothesis_fails_at"] = failing
    total = 4 * len(in_frame)
    for number, (name, matrices) in enumerate((("", in_frame), ("_x", in_x))):
        ways = {f"K_sampling{name}": list(matrices), f"K_inversion{name}": _inverses(matrices)}
        for offset, (key, chain) in enumerate(ways.items()):
            done = (2 * number + offset) * len(in_frame)
            report = None if progress is None else (lambda n, _, done=done: progress(done + n, total))
            found[key] = None if chain is None else balls.enclose(chain, report).decimals()
    return found


def _levels(grid: Grid) -> tuple[list[tuple[Any, Any]], str]:
    """(alpha, sigma) of every node as balls, and where they come from."""
    stored = [(balls.exact(Fraction(a)), balls.exact(Fraction(o))) for a, o in zip(grid.alpha, grid.sigma, strict=True)]
    clean = grid.sigma[0] == 0
    times = [float(t) for t in grid.timesteps[1 if clean else 0 :]]
    if grid.schedule not in balls.DEFINITIONS or not all(t.is_integer() and 0 <= t < 1000 for t in times):
        return stored, _STORED
    known = balls.schedule_levels(grid.schedule, [int(t) for t in times])
    levels = [stored[0], *known] if clean else known
    # The schedule of a grid is a name for display: only numbers that agree with it are replaced.
    gaps = [abs(m - n) for mine, its in zip(stored, levels, strict=True) for m, n in zip(mine, its, strict=True)]
    close = all(gap < _ROUNDING for gap in gaps) and (not clean or grid.alpha[0] == 1)
    return (levels, _DEFINED) if close else (stored, _STORED)


def _relations(method: Method, h: list[Any], w: list[Any]) -> tuple[list[Any], list[Any], list[list[Any]]]:
    """Companion matrices of the main rows i = N-k+1 … 1 in the frame, and of x, and |b h| of the same rows."""
    k, in_frame, in_x, slopes = method.k, [], [], []
    for i in range(len(h) - k + 1, 0, -1):
        nodes = {f"w{j}": w[i - 1 + j] for j in range(k + 1)}
        steps = {f"h{j}": h[i - 2 + j] for j in range(1, k + 1)}
        a, b = (list(map(_ball, weights)) for weights in method.coefficients(steps, nodes, convert=balls.exact))
        in_frame.append(balls.companion(a))
        in_x.append(balls.companion(balls.scaled(a, w[i - 1 : i + k])))
        slopes.append([abs(weight * h[i - 1 + j]) for j, weight in enumerate(b)])
    return in_frame, in_x, slopes


def _ball(weight: Any) -> Any:
    return weight if isinstance(weight, balls.Ball) else balls.exact(weight)


def _stages(method: Method, levels: list[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    """The full-step map on (x/alpha, y/alpha) with every slope zero, and the same map on (x, y)."""
    weights = method.coefficients({"h1": balls.exact(1)}, {}, convert=balls.exact)
    slots = {"x": [balls.exact(1), balls.exact(0)], "y": [balls.exact(0), balls.exact(1)]}
    for (target, operands), coefficients in zip(method.stages, weights, strict=True):
        linear = [(c, slots[o[0]]) for o, c in zip(operands, coefficients, strict=True) if not o.startswith("f(")]
        slots[target[0]] = [sum((c * vector[m] for c, vector in linear), balls.exact(0)) for m in range(2)]
    in_frame = balls.matrix([slots["x"], slots["y"]])
    ratios = [before[0] / after[0] for before, after in pairwise(levels)]
    return [in_frame] * len(ratios), [in_frame * ratio for ratio in reversed(ratios)]


def _inverses(matrices: list[Any]) -> list[Any] | None:
    try:
        return [matrix.inv() for matrix in reversed(matrices)]
    except ZeroDivisionError:
        return None
