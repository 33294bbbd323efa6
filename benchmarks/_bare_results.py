"""Means, table and figure of benchmarks/bare_inversion.py: errors against steps, and the loss that K brings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from belm.demo.style import COLOURS, INK, MARKERS, WIDTH, canvas, png, styled
from belm_runtime.amplification import WARN_BARE

Row = Mapping[str, Any]

#: The problem whose pictures were made on the grid that they are inverted on.
SAME = "digits of the same grid"

#: Method and start of each curve, its name, and its colour and marker.
CURVES = (
    ("ddim", "adams", "DDIM inversion"), ("o-belm", "adams", "O-BELM"),
    ("blend:k=3,theta=0.8", "adams", "blend 3, θ=0.8"), ("open:k=3", "adams", "open 3, plain start"),
    ("open:k=3", "climb", "open 3, small first steps"),
)  # fmt: skip
_TOP = {"seed": 5.0, "again": 5.0}
_TITLES = {"seed": "error of the noise found from x_0 alone", "again": "error of the picture made again from it"}
_PANEL, _GAP = 2.05, 0.72


def mean(rows: Sequence[Row], field: str, **where: Any) -> float:
    """The geometric mean of a field over the rows that agree with `where`."""
    values = [r[field] for r in rows if r[field] is not None and all(r[k] == v for k, v in where.items())]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def means(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The geometric means of a kind of problem, for each method, start and number of steps."""
    found = []
    kinds = ("digits", "real digits", SAME, "mixture")
    ways = list(dict.fromkeys((row["method"], row["start"]) for row in rows))
    for kind, (method, start), steps in product(kinds, ways, sorted({row["steps"] for row in rows})):
        of = {"method": method, "start": start, "steps": steps}
        chosen = [row for row in rows if row["problem"].split(" d=")[0] == kind]
        errors = {field: float(f"{mean(chosen, field, **of):.3g}") for field in ("seed", "again")}
        found.append({"kind": kind, **of, **{k: v if math.isfinite(v) else None for k, v in errors.items()}})
    return found


def table(found: list[dict[str, Any]]) -> None:
    """Print the means, seed / again."""
    steps = sorted({row["steps"] for row in found})
    for kind in dict.fromkeys(row["kind"] for row in found):
        print(f"\n{kind}: RMS error of the seed / of the picture made again from it")
        print(f"{'method':22}{'start':13}" + "".join(f"{n:>18}" for n in steps))
        for method, start in dict.fromkeys((row["method"], row["start"]) for row in found):
            line = [r for r in found if (r["kind"], r["method"], r["start"]) == (kind, method, start)]
            cells = "".join(f"{r['seed'] or math.nan:>9.2g} {r['again'] or math.nan:<8.2g}" for r in line)
            print(f"{method:22}{start:13}{cells}")


def draw(rows: Sequence[Row]) -> bytes:
    """The figure.

    Args:
        rows: what was measured.
    """
    with styled():
        height = 3 * (_PANEL + _GAP) + 0.15
        figure = canvas(height)
        panels = [_panel(figure, n, height) for n in range(3)]
        digits = [row for row in rows if row["problem"] == "digits"]
        for ax, field in zip(panels, ("seed", "again"), strict=False):
            _curves(ax, digits, field)
        panels[0].legend(loc="upper left", bbox_to_anchor=(-0.02, 1.0), fontsize=7.2, frameon=False, ncols=2,
                         handlelength=1.6, columnspacing=1.0, borderaxespad=0.2)  # fmt: skip
        _losses(panels[2], rows)
        return png(figure)


def _panel(figure: Figure, n: int, height: float) -> Any:
    bottom = height - (n + 1) * (_PANEL + _GAP) + 0.42
    return figure.add_axes((0.6 / WIDTH, bottom / height, 1 - 0.72 / WIDTH, _PANEL / height))


def _curves(ax: Any, rows: Sequence[Row], field: str) -> None:
    """One panel against the number of steps; values beyond the top are cut off."""
    steps = sorted({row["steps"] for row in rows})
    for (method, start, name), colour, marker in zip(CURVES, COLOURS, MARKERS, strict=False):
        values = [mean(rows, field, method=method, start=start, steps=n) for n in steps]
        ax.loglog(steps, values, color=colour, marker=marker, ms=5, lw=1.8, label=name, clip_on=True)
    ax.minorticks_off()
    ax.set_xticks(steps, [str(n) for n in steps])
    low = 0.006 if field == "again" else 0.07
    ax.set_ylim(low, _TOP[field] * (6 if field == "seed" else 1))
    ax.set_title(f"{_TITLES[field]} (RMS)", loc="left", fontsize=9.5)
    ax.set_xlabel("steps", fontsize=9)


def _losses(ax: Any, rows: Sequence[Row]) -> None:
    """Picture errors of all methods relative to DDIM inversion from the same start, against K, with their medians."""
    rival = {_case(row): row["again"] for row in rows if row["method"] == "ddim"}
    points = [
        (row["K"], row["again"] / rival[_case(row)]) for row in rows
        if row["K"] is not None and row["start"] == "climb" and math.isfinite(row["again"])
    ]  # fmt: skip
    K, loss = zip(*points, strict=True)
    ax.loglog(K, loss, "o", color=COLOURS[3], ms=3, alpha=0.3, mec="none")
    for half in range(16):
        if near := [v for k, v in points if half <= 2 * math.log10(k) < half + 1]:
            ax.plot([10 ** (half / 2), 10 ** (half / 2 + 0.5)], [median(near)] * 2, color=INK, lw=2.2)
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.axvline(WARN_BARE, color=COLOURS[1], lw=1.6, ls="--")
    ax.text(WARN_BARE * 1.3, 4e8, f"warns above {WARN_BARE}", color=COLOURS[1], fontsize=9, va="top")
    ax.text(8e7, 0.3, "better than DDIM inversion", fontsize=8, ha="right", va="top")
    ax.set(xlim=(0.8, 1e8), ylim=(0.01, 1e9))
    ax.minorticks_off()
    ax.set_title("picture: error relative to DDIM inversion, and median", loc="left", fontsize=9.5)
    ax.set_xlabel("amplification K of the inversion in x", fontsize=9)


def _case(row: Row) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("problem", "schedule", "spacing", "steps", "start"))
