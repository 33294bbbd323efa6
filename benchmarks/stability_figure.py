"""Stability constants against the number of steps, both ways: docs/images/stability-constants.png.

Lines: K in the frame in floating point (belm_runtime.amplification). Markers at N = 10 and 100: rigorous enclosures
(belm.enclose), far narrower than the markers; the script fails if a line misses one by more than 1e-9.

    python benchmarks/stability_figure.py [--out docs/images/stability-constants.png]
"""

from __future__ import annotations

import argparse
import os
from fractions import Fraction
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from belm.enclose import enclosures
from belm_runtime import Schedule, coefficients
from belm_runtime.amplification import WAYS, Direction, amplification

#: Told apart in every common kind of colour blindness; the labels stand at the lines.
METHODS = {"o-belm": "#D55E00", "bdia:gamma=1": "#0072B2", "open:k=3": "#009E73", "blend:k=3,theta=0.8": "#AA4499"}
#: Leading grids only where N divides 1000: otherwise they stop short of the noise.
STEPS = {
    "trailing": (5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 250, 320, 400, 500, 640, 800,
                 1000),
    "leading": (5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500),
}  # fmt: skip
STYLE = {"trailing": "-", "leading": (0, (4, 2))}
RIGOROUS = (10, 100)
#: Right ends of the labels.
LABELS: tuple[tuple[str, Direction, float, float, str], ...] = (
    ("sd15", "sampling", 40, 25, "o-belm"), ("ddpm", "sampling", 200, 7, "o-belm"),
    ("sd15", "inversion", 13, 3e4, "o-belm"), ("ddpm", "inversion", 13, 8e7, "o-belm"),
    ("sd15", "inversion", 1050, 18, "bdia:gamma=1"), ("ddpm", "inversion", 1050, 2.2e3, "bdia:gamma=1"),
    ("sd15", "inversion", 1050, 1.9, "open:k=3"), ("ddpm", "inversion", 1050, 1.9, "open:k=3"),
    ("sd15", "inversion", 155, 1.5e9, "blend:k=3,theta=0.8"), ("ddpm", "inversion", 155, 1.5e9, "blend:k=3,theta=0.8"),
)  # fmt: skip
TOP = {"sampling": 3e3, "inversion": 1e10}


def panel(axes: Axes, schedule: str, direction: Direction, enclosed: dict[tuple[str, str, str, int], dict]) -> None:
    """Lines and markers of one schedule in one direction."""
    preset = Schedule.preset(schedule)
    for method, colour in METHODS.items():
        for spacing, style in STYLE.items():
            values = {n: amplification(coefficients(method, preset.grid(n, spacing)), direction, "frame")
                      for n in STEPS[spacing]}  # fmt: skip
            axes.plot(list(values), list(values.values()), color=colour, linestyle=style, linewidth=1.7, clip_on=True)
            for n in RIGOROUS:
                bounds = enclosed[method, schedule, spacing, n][f"K_{direction}"]
                upper = Fraction(bounds["upper"])
                if abs(float(upper) / values[n] - 1) > 1e-9:
                    raise ArithmeticError(f"{method}, {schedule}, {spacing}, {n}: {values[n]} is not within {bounds}")
                axes.plot(n, float(upper), "o", markersize=5, markerfacecolor="white", markeredgecolor=colour,
                          markeredgewidth=1.4, zorder=3)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(4.5, 1150), ylim=(0.4, TOP[direction]))
    axes.set_xticks([5, 10, 20, 50, 100, 200, 500, 1000], ["5", "10", "20", "50", "100", "200", "500", "1000"])
    axes.minorticks_off()
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def annotate(panels: dict[tuple[str, Direction], Axes]) -> None:
    """Titles, and labels at the lines in the colours of their methods."""
    for (schedule, direction), axes in panels.items():
        name = {"sd15": "Stable Diffusion (sd15)", "ddpm": "DDPM"}[schedule]
        axes.set_title(f"{name}: {direction}", fontsize=11, loc="left")
    for schedule, way, x, y, method in LABELS:
        axes, colour = panels[schedule, way], METHODS[method]
        axes.text(x, y, method, color=colour, fontsize=10, fontweight="bold", ha="right")
    for schedule, peak in (("sd15", 800), ("ddpm", 63)):
        axes = panels[schedule, "sampling"]
        axes.text(1050, 0.55, "open, blend, bdia: 1", color="#333333", fontsize=10, fontweight="bold", ha="right")
        line = {"arrowstyle": "-", "color": "#999999"}
        axes.annotate("N = 640: timesteps rounded,\nuneven steps", (600, peak), (430, peak), arrowprops=line,
                      color="#555555", fontsize=9, ha="right", va="center")  # fmt: skip


def draw(out: Path) -> None:
    """Compute and write the picture under a temporary name first."""
    enclosed = {
        (method, schedule, spacing, n): enclosures(method, Schedule.preset(schedule).grid(n, spacing))
        for method in METHODS for schedule in ("sd15", "ddpm") for spacing in STYLE for n in RIGOROUS
    }  # fmt: skip
    figure, grid = plt.subplots(2, 2, figsize=(8, 6.6), sharex=True, sharey="row", layout="constrained")
    panels = {(s, d): grid[row][column] for column, s in enumerate(("sd15", "ddpm"))
              for row, d in enumerate(WAYS)}  # fmt: skip
    for (schedule, direction), axes in panels.items():
        panel(axes, schedule, direction, enclosed)
    annotate(panels)
    for row, direction in enumerate(WAYS):
        grid[row][0].set_ylabel(f"K_{direction}")
        grid[1][row].set_xlabel("number of steps N")
    figure.suptitle("Stability constants in the method's frame: solid trailing, dashed leading;\n"
                    "circles are rigorous enclosures", fontsize=11)  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    figure.savefig(temporary, dpi=200, format="png")
    os.replace(temporary, out)


if __name__ == "__main__":
    images = Path(__file__).parent.parent / "docs/images"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=images / "stability-constants.png")
    draw(parser.parse_args().out)
