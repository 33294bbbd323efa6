"""What is wanted of a design, computed from the rows of its judgement.

A row holds problem, guidance, schedule, grid, calls, method, and the errors measured. A run that overflowed counts as
`OVERFLOW`, so that it cannot improve a mean. A row of the second list holds the seed error of a bare inverter with
small first steps, how many calls it took, and the errors of those it is compared with, at as many calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from belm.design.judge import USUAL
from belm.design.space import NEUTRAL

Row = Mapping[str, Any]
#: What an error counts as where the run overflowed.
OVERFLOW = 1e6
_SETTING = ("problem", "guidance", "schedule", "calls")
#: The name of the designed pair.
DESIGNED = "designed"
#: What inverts a bare x_0, by itself and with small first steps, and what it is compared with. A method may say its
#: frame: "METHOD in FRAME".
BARE, COMPARED = ("exp-open:k=3 in flow", "open:k=3", NEUTRAL), ("o-belm", "ddim")
#: The kind of mixtures whose outcome has been looked at.
SEEN_KIND = "seen"


def ratios(
    rows: Sequence[Row], what: str, ours: tuple[str, str], other: tuple[str, str]
) -> dict[tuple[Any, ...], float]:
    """Our error over the other's, by (problem, guidance, schedule, calls).

    Args:
        rows: the judgement.
        what: ``generation`` or ``seed``.
        ours: method and grid.
        other: method and grid.
    """
    mine, theirs = (
        {tuple(r[key] for key in _SETTING): counted(r[what]) for r in rows if (r["method"], r["grid"]) == pair}
        for pair in (ours, other)
    )
    return {setting: value / theirs[setting] for setting, value in mine.items()}


def geometric(values: Iterable[float]) -> float:
    """The geometric mean."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def balanced(found: Mapping[tuple[Any, ...], float]) -> float:
    """The geometric mean in which all mixtures together weigh as much as each trained model."""
    kinds: dict[str, list[float]] = {}
    for (problem, *_), value in found.items():
        kinds.setdefault(problem.split()[0], []).append(value)
    return geometric(geometric(values) for values in kinds.values())


def targets(rows: Sequence[Row], small: Sequence[Row] = ()) -> list[dict[str, Any]]:
    """Every wanted figure: what, its value, the bound, and whether it is met.

    Args:
        rows: the judgement.
        small: inversions with small first steps.
    """
    found = []

    def add(what: str, values: Mapping[tuple[Any, ...], float], bound: float, worst: bool = False) -> None:
        value = max(values.values()) if worst else balanced(values)
        found.append({"what": what, "value": value, "wanted": f"<= {bound:g}", "met": value <= bound,
                      "kinds": _by_kind(values)})  # fmt: skip

    grids = sorted({row["grid"] for row in rows}, key=lambda name: (name == DESIGNED, name))
    for grid in grids:
        same = ("generation", (DESIGNED, grid))
        add(f"generation, designed / o-belm, both on {grid}", ratios(rows, *same, ("o-belm", grid)), 0.6)
        add(f"generation, designed / adams:m=2, both on {grid}", ratios(rows, *same, ("adams:m=2", grid)), 0.95)
    pair = ratios(rows, "generation", (DESIGNED, DESIGNED), ("o-belm", USUAL))
    add(f"generation, designed on designed / o-belm on {USUAL}", pair, 0.25)
    add("the same, worst case", pair, 1.05, worst=True)
    run = {row["method"] for row in rows}
    for grid, method, other in product(grids, (each for each in BARE if each in run), COMPARED):
        add(f"seed from x_0, {method} / {other}, both on {grid}",
            ratios(rows, "seed", (method, grid), (other, grid)), 0.5)  # fmt: skip
    for grid, method, other in product(grids if small else (), BARE, COMPARED):
        add(f"seed from x_0, {method} in small first steps / {other} at as many calls, both on {grid}",
            at_equal_calls(small, grid, method, other), 0.5)  # fmt: skip
    return found


def at_equal_calls(small: Iterable[Row], grid: str, method: str, other: str) -> dict[tuple[Any, ...], float]:
    """Seed error with small first steps over the other's at as many calls, by (problem, guidance, schedule, steps)."""
    return {
        (row["problem"], row["guidance"], row["schedule"], row["steps"]): counted(row["seed"]) / counted(row[other])
        for row in small if (row["grid"], row["method"]) == (grid, method)
    }  # fmt: skip


def _by_kind(values: Mapping[tuple[Any, ...], float]) -> dict[str, float]:
    kinds: dict[str, list[float]] = {}
    for (problem, guidance, schedule, calls), value in values.items():
        for key in (problem.split()[0], f"{problem.split()[0]}, {schedule}", f"{problem.split()[0]}, {calls} calls",
                    f"{problem.split()[0]}, guidance {guidance:g}"):  # fmt: skip
            kinds.setdefault(key, []).append(value)
    return {key: geometric(found) for key, found in kinds.items()}


def counted(error: float | None) -> float:
    """An error as it enters a mean."""
    return OVERFLOW if error is None or not math.isfinite(error) else min(error, OVERFLOW)
