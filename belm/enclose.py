"""Rigorous stability constants of a method on a concrete grid: the generated functions on balls.

Levels are enclosed from the schedule's exact definition where it has one and the timesteps are whole (sd15, ddpm);
otherwise the grid's stored numbers are read as exact binary fractions. The weights come from the very functions that
the runtime uses, evaluated on Arb balls, and `belm_theory.balls` multiplies the companion matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from belm_runtime import methods
from belm_runtime.errors import InputError
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_theory import balls

#: Schedules whose betas have an exact definition in `belm_theory.balls`.
_EXACT = ("sd15", "ddpm")
Progress = Callable[[int, int], None]


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
    method = methods.parse(method)
    chosen = method.frame if frame is None else Frame.parse(frame)
    levels, source = _levels(grid)
    if method.stages and chosen != method.frame:
        raise InputError(f"{method} is defined in the {method.frame} frame only, not in {chosen}")
    if chosen.q == 0 and grid.alpha[-1] == 0:
        raise InputError(f"{method} in the noise frame needs alpha > 0; this grid has alpha_N = 0: use frame='flow'")
    if chosen.q is None and grid.sigma[0] == 0:
        raise InputError("the data frame needs sigma_0 > 0; make the grid with end='first'")
    w = [chosen.weight(alpha, sigma) for alpha, sigma in levels]
    s = [chosen.coordinate(alpha, sigma) for alpha, sigma in levels]
    h = [after - before for before, after in pairwise(s)]
    in_frame, in_x = _stages(method, levels) if method.stages else _relations(method, h, w)
    finite = [sigma / alpha for alpha, sigma in levels if alpha != 0]
    found: dict[str, Any] = {"frame": str(chosen), "levels": source, "hypothesis_fails_at": balls.failing_nodes(finite)}
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
    times = grid.timesteps[1:]
    whole = all(float(t).is_integer() for t in times)
    stored = [(balls.exact(Fraction(a)), balls.exact(Fraction(o))) for a, o in zip(grid.alpha, grid.sigma, strict=True)]
    if grid.schedule not in _EXACT or not whole:
        return stored, "the grid's stored numbers, read as exact fractions"
    known = balls.schedule_levels(grid.schedule, [int(t) for t in times])
    clean = grid.sigma[0] == 0
    first = stored[0] if clean else balls.schedule_levels(grid.schedule, [int(grid.timesteps[0])])[0]
    return [first, *known], "the schedule's exact definition"


def _relations(method: Method, h: list[Any], w: list[Any]) -> tuple[list[Any], list[Any]]:
    """Companion matrices of the main rows i = N-k+1 … 1 in the frame, and of x."""
    k, in_frame, in_x = method.k, [], []
    for i in range(len(h) - k + 1, 0, -1):
        nodes = {f"w{j}": w[i - 1 + j] for j in range(k + 1)}
        steps = {f"h{j}": h[i - 2 + j] for j in range(1, k + 1)}
        weights, _ = method.coefficients(steps, nodes, convert=balls.exact)
        a = [weight if isinstance(weight, balls.Ball) else balls.exact(weight) for weight in weights]
        in_frame.append(balls.companion(a))
        in_x.append(balls.companion(balls.scaled(a, w[i - 1 : i + k])))
    return in_frame, in_x


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
