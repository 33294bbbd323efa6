"""The picture of a judgement: generation error, seed error and amplification of each method, on the grids of its rows.

One point a method and grid: geometric means over all settings, of RMS errors relative to O-BELM's on the pipeline's
usual grid. Left, generation against seed error; right, generation against amplification in inversion. Down and left is
better. A method that has no point, for want of an inverse, is a line at its generation error on the designed grid.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from belm.design.judge import USUAL
from belm.design.judged import BARE, DESIGNED, OVERFLOW, Row, balanced, geometric, ratios
from belm.design.space import NEUTRAL
from belm_runtime.files import write

#: Methods in the figure: name, colour (Okabe and Ito), marker.
SHOWN: dict[str, tuple[str, str, str]] = {
    "ddim": ("DDIM", "#555555", "s"), "edict": ("EDICT", "#cc79a7", "P"), "bdia:gamma=1": ("BDIA", "#e69f00", "v"),
    "o-belm": ("O-BELM", "#d55e00", "X"), "adams:m=2": ("Adams 2", "#56b4e9", "^"),
    NEUTRAL: ("echo 4, θ=1", "#009e73", "D"),
    BARE[0]: ("exp-open 3", "#000000", "*"),
    DESIGNED: ("designed", "#0072b2", "o"),
}  # fmt: skip
_MOST = 30.0
#: Where a name stands beside its point, in points.
_BESIDE = {"bdia:gamma=1": (8, -4), DESIGNED: (-6, 8), "edict": (7, 3), "ddim": (-36, -4), BARE[0]: (-8, -15)}


def points(rows: Sequence[Row], kind: str) -> dict[tuple[str, str], dict[str, float | None]]:
    """Per (method, grid): generation and seed error relative to O-BELM on the usual grid, and amplification.

    Args:
        rows: the judgement.
        kind: ``mixture`` or ``digits``.
    """
    chosen = [row for row in rows if row["problem"].split()[0] == kind]
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for pair in sorted({(row["method"], row["grid"]) for row in chosen if row["grid"] in (USUAL, DESIGNED)}):
        mine = [row for row in chosen if (row["method"], row["grid"]) == pair]
        seeds = any(row["seed"] is not None for row in mine)
        growth = [row["amplification"] for row in mine if row["amplification"] is not None]
        found[pair] = {
            "generation": balanced(ratios(chosen, "generation", pair, ("o-belm", USUAL))),
            "seed": balanced(ratios(chosen, "seed", pair, ("o-belm", USUAL))) if seeds else None,
            "amplification": geometric(min(value, OVERFLOW**3) for value in growth) if growth else None,
        }
    return found


def figure(rows: Sequence[Row], out: Path) -> None:
    """Draw it.

    Args:
        rows: the judgement of mixtures, digits or both.
        out: a PNG file.

    Raises:
        InputError: the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    kinds = [kind for kind in ("mixture", "digits") if any(row["problem"].startswith(kind) for row in rows)]
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        canvas = Figure(figsize=(9.6, 4.4 * len(kinds)), dpi=150, layout="constrained")
        panels = canvas.subplots(len(kinds), 2, squeeze=False)
        for (left, right), kind in zip(panels, kinds, strict=True):
            found = points(rows, kind)
            name = {"mixture": "held-out mixtures", "digits": "digits network"}[kind]
            _panel(left, found, "seed", f"{name}: seed error from x_0 alone")
            _panel(right, found, "amplification", f"{name}: amplification in inversion")
        canvas.legend(handles=_legend(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", metadata={"Software": None})
    write(out, buffer.getvalue())


def _panel(axes: Any, found: dict[tuple[str, str], dict[str, float | None]], what: str, title: str) -> None:
    ends: dict[str, dict[str, tuple[float, float]]] = {}
    for (method, grid), values in found.items():
        across, up = values["generation"], values[what]
        if method not in SHOWN or across is None:
            continue
        if up is None:
            if grid == DESIGNED:
                _line(axes, across, method)
            continue
        _, colour, marker = SHOWN[method]
        place = min(across, _MOST), min(up, _MOST) if what == "seed" else up
        ends.setdefault(method, {})[grid] = place
        axes.plot(*place, marker=marker, markersize=9, color=colour, linestyle="none",
                  markerfacecolor=colour if grid == DESIGNED else "white", markeredgewidth=1.8)  # fmt: skip
    for method, places in ends.items():
        name, colour, _ = SHOWN[method]
        if len(places) == 2:
            axes.plot(*zip(places[USUAL], places[DESIGNED], strict=True), color=colour, linewidth=1, alpha=0.45)
        beyond = places[DESIGNED]
        over = beyond[0] >= _MOST or (what == "seed" and beyond[1] >= _MOST)
        text, beside = f"{name} (beyond)" if over else name, _BESIDE.get(method, (7, -11))
        axes.annotate(text, beyond, xytext=beside, textcoords="offset points", color=colour, fontsize=9)
    axes.set(xscale="log", yscale="log", title=title, xlabel="generation error / O-BELM's on the usual grid",
             ylabel="seed error / O-BELM's on the usual grid" if what == "seed" else "amplification in x")  # fmt: skip
    axes.grid(which="major", color="#e4e4e4")
    axes.set_axisbelow(True)
    low, high = axes.get_xlim()
    axes.margins(y=0.1)
    # Room for the names at the right.
    axes.set_xlim(low, high * math.sqrt(high / low) ** 0.35)


def _line(axes: Any, across: float, method: str) -> None:
    name, colour, _ = SHOWN[method]
    axes.axvline(across, color=colour, linestyle=(0, (4, 2)), linewidth=1.2)
    axes.annotate(name, (across, 0.02), xycoords=("data", "axes fraction"), xytext=(3, 0), textcoords="offset points",
                  color=colour, fontsize=9, rotation=90, va="bottom")  # fmt: skip


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D

    common: dict[str, Any] = {"marker": "o", "color": "#333333", "linestyle": "none", "markersize": 7}
    return [
        Line2D([], [], markerfacecolor="white", label="on the usual (leading) grid", **common),
        Line2D([], [], label="on the designed grid", **common),
        Line2D([], [], color="#333333", linestyle=(0, (4, 2)), label="no inverse, on the designed grid"),
    ]
