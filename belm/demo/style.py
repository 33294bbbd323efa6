"""How the figures look: one width, made for a phone, and every curve named where it ends.

Colours are those of Okabe and Ito, told apart with all common kinds of colour vision; markers differ as well, so that
no figure rests on colour alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

WIDTH, DPI = 4.2, 230
INK = "#222222"
COLOURS = ("#555555", "#d55e00", "#e69f00", "#0072b2", "#009e73", "#cc79a7")
MARKERS = ("s", "v", "^", "D", "o", "P")
_RC: Any = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": "#888888", "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.grid": True, "grid.color": "#e4e4e4", "axes.axisbelow": True,
}  # fmt: skip

Style = tuple[str, str]


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """A colour and a marker for each method, the same in every figure."""
    return {m: (COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]) for n, m in enumerate(methods)}


def short(method: str) -> str:
    """The name as figures write it: ``blend 3, θ=0.8``."""
    name, _, rest = method.partition(":")
    greek = rest.replace("theta", "θ").replace("gamma", "γ").removeprefix("k=").replace(",", ", ")
    known = {"ddim": "DDIM", "edict": "EDICT", "bdia": "BDIA", "o-belm": "O-BELM"}
    return f"{known.get(name, name)} {greek}".strip()


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for the block."""
    with mpl.rc_context(_RC):
        yield


def canvas(height: float) -> Figure:
    """An empty figure of the common width and a height in inches."""
    return Figure(figsize=(WIDTH, height), dpi=DPI)


def margins(figure: Figure, *, left: float, right: float, top: float, bottom: float) -> None:
    """Left and right as fractions of the width, top and bottom in inches."""
    height = figure.get_figheight()
    figure.subplots_adjust(left=left, right=right, top=1 - top / height, bottom=bottom / height)


def name_ends(figure: Figure, ax: Any, ends: Mapping[str, tuple[float, float]], look: Mapping[str, Style]) -> None:
    """Write each method beside the end of its curve, moved apart where names would overlap.

    Args:
        figure: laid out already, with room to the right of the axes.
        ax: its axes.
        ends: the last point of each curve, in data coordinates.
        look: colour and marker of each.
    """
    gap = 13 * DPI / 72 / ax.get_window_extent().height
    points = {m: ax.transAxes.inverted().transform(ax.transData.transform(end)) for m, end in ends.items()}
    order = sorted(points, key=lambda m: float(points[m][1]))
    for method, y in zip(order, apart([float(points[m][1]) for m in order], gap), strict=True):
        colour, marker = look[method]
        x, end = points[method]
        ax.plot([x, 1.06], [end, y], transform=ax.transAxes, color=colour, lw=0.8, clip_on=False)
        ax.plot(1.075, y, marker, transform=ax.transAxes, color=colour, ms=5, clip_on=False)
        ax.text(1.11, y, short(method), transform=ax.transAxes, va="center", fontsize=9.5)


def apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Ascending positions moved as little as it takes to be `gap` apart: those that touch share their mean."""
    groups: list[tuple[float, int]] = []
    for position in wanted:
        groups.append((position, 1))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (upper, m), (lower, n) = groups.pop(), groups.pop()
            groups.append(((lower * n + upper * m) / (n + m), n + m))
    return [centre + gap * (i - (n - 1) / 2) for centre, n in groups for i in range(n)]


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()
