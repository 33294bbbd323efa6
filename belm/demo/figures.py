"""The figures of the report as PNG: accuracy, rounding, growth along the way back, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from belm.demo.findings import number, traveller
from belm.demo.measure import Ways
from belm.demo.pictures import journey, picture_name, remakes
from belm.demo.style import INK, canvas, margins, name_ends, png, short, styled, styles

#: Arithmetic: colour of its bars, and of the text on them.
_BARS = {"float64": ("#0072b2", "white"), "float32": ("#e69f00", INK)}
_SHOWN = (3, 5, 8)


def draw(ways: Sequence[Ways], record: Mapping[str, Any]) -> dict[str, bytes]:
    """All figures, by file name.

    Args:
        ways: the runs.
        record: as in results.json.
    """
    shown = next(w for w in ways if w.method == traveller(record))
    images = {
        "journey.png": journey(shown, [j for j in _SHOWN if j < len(shown.sample)]),
        "accuracy.png": accuracy(record["error_by_model_calls"], record["reference"]["rms_to_half_the_steps"]),
        "rounding.png": rounding(ways),
        "along.png": along(ways),
    }
    return images | {picture_name(w.method): remakes(w, _captions(record["methods"][w.method])) for w in ways}


def accuracy(curves: Mapping[str, Sequence[Sequence[float]]], floor: float) -> bytes:
    """RMS distance to the fine solution against model calls, both logarithmic.

    Args:
        curves: pairs (model calls, distance) by method.
        floor: the reference's own error.
    """
    look = styles(list(curves))
    with styled():
        figure = canvas(3.8)
        ax = figure.subplots()
        for method, (colour, marker) in look.items():
            calls, errors = zip(*curves[method], strict=True)
            ax.loglog(calls, errors, color=colour, marker=marker, ms=5, lw=1.8)
        ticks = sorted({int(calls) for curve in curves.values() for calls, _ in curve})
        ax.minorticks_off()
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.set_xlabel("model calls (time spent)")
        ax.set_title("distance to the true solution (RMS)", loc="left", fontsize=10)
        figure.text(0.145, 0.1 / 3.8, f"the reference itself is good to about {number(floor)}", fontsize=8.5)
        margins(figure, left=0.145, right=0.67, top=0.32, bottom=0.72)
        name_ends(figure, ax, {m: (curve[-1][0], curve[-1][1]) for m, curve in curves.items()}, look)
        return png(figure)


def rounding(ways: Sequence[Ways]) -> bytes:
    """Round-trip errors in float64 and float32: bars measured, diamonds predicted."""
    shown = [way for way in ways if way.rounding]
    values = [f[key] for way in shown for f in way.rounding.values() for key in ("measured", "predicted")]
    # The axis starts far enough to the left for the shortest bar to carry its number.
    low, high = min(values) * 1e-7, max(max(values) * 1e2, 1e6)
    with styled():
        figure = canvas(0.56 * len(shown) + 1.25)
        ax = figure.subplots()
        for n, way in enumerate(shown):
            for m, (arithmetic, (colour, on)) in enumerate(_BARS.items()):
                found, y = way.rounding[arithmetic], n + 0.2 * (2 * m - 1)
                ax.barh(y, found["measured"], height=0.37, color=colour, zorder=2)
                ax.plot(found["predicted"], y, "D", ms=5, mfc="white", mec=INK, mew=1.2, zorder=4)
                ax.text(low * 2, y, number(found["measured"]), va="center", fontsize=8.5, color=on)
        ax.set(xscale="log", xlim=(low, high), ylim=(len(shown) - 0.45, -0.95))
        ax.set_yticks(range(len(shown)), [_two_lines(short(way.method)) for way in shown])
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.axvline(1, color=INK, lw=1, ls=":", zorder=3)
        ax.annotate(
            "as large as\nthe noise itself", (1, -0.92), (4, 0), textcoords="offset points", va="top", fontsize=8.5
        )
        ax.set_xlabel("error of the recovered noise (RMS)")
        margins(figure, left=0.185, right=0.97, top=0.35, bottom=0.5)
        _key(figure)
        return png(figure)


def along(ways: Sequence[Ways]) -> bytes:
    """How far the way back has amplified a disturbance when it reaches each timestep."""
    shown, look = {w.method: w.along for w in ways if w.along}, styles([w.method for w in ways])
    with styled():
        figure = canvas(3.6)
        ax = figure.subplots()
        for method, points in shown.items():
            timesteps, factors = zip(*points, strict=True)
            colour, marker = look[method]
            ax.semilogy(timesteps, factors, color=colour, marker=marker, markevery=0.2, ms=5, lw=1.8)
        ax.set_xlim(0, 1000)
        ax.minorticks_off()
        ax.set_xlabel("timestep: 0 is the picture, 999 the noise")
        ax.set_title("growth of a disturbance on the way back", loc="left", fontsize=10)
        margins(figure, left=0.145, right=0.67, top=0.32, bottom=0.5)
        name_ends(figure, ax, {method: points[-1] for method, points in shown.items()}, look)
        return png(figure)


def _captions(measured: Mapping[str, Any]) -> list[str]:
    state, alone = measured["from_state"], measured["from_sample_alone"]["sample"]
    again = "made again from the stored state" + (f": off by {number(state['sample'])}" if state else "")
    return ["samples", again, f"made again from the picture alone: off by {number(alone)}"]


def _two_lines(name: str) -> str:
    """A parameter that has a name goes below: the labels stand beside narrow bars."""
    head, gap, tail = name.rpartition(" ")
    return f"{head}\n{tail}" if gap and "=" in tail else name


def _key(figure: Figure) -> None:
    """What bars and diamonds mean, above the axes."""
    y = 1 - 0.15 / figure.get_figheight()
    for x, (arithmetic, (colour, _)) in zip((0.19, 0.44), _BARS.items(), strict=True):
        figure.add_artist(Line2D([x], [y], marker="s", color="none", mfc=colour, mec=colour, ms=7))
        figure.text(x + 0.03, y, arithmetic, va="center", fontsize=9.5)
    figure.add_artist(Line2D([0.69], [y], marker="D", color="none", mfc="white", mec=INK, ms=5))
    figure.text(0.72, y, "predicted", va="center", fontsize=9.5)
