"""Bits of the noise that a round trip loses, in float64 and in integers: docs/images/bit-errors.png.

    belm bench bit-errors-figure [--out docs/images/bit-errors.png]

Noise -> sample -> noise from the stored state, embedded model in float64, ddpm schedule, trailing spacing. Lost bits:
log2(1 + e/2^-52) with e the largest error of a pixel; 0 where every bit comes back. In integers every run that is not
refused has 0, and the script fails if one has not.
"""

from __future__ import annotations

import argparse
import math
import warnings
from pathlib import Path

import torch
from matplotlib.axes import Axes

from belm.demo import style
from belm_runtime import AmplificationWarning, InputError, Sampler, Schedule, digits

STEPS = (5, 10, 20, 30, 40, 50, 60, 80, 100, 130, 160, 200)
METHODS = ("edict:p=0.93", "bdia:gamma=0.5", "blend:k=3,theta=0.6", "o-belm", "blend:k=3,theta=0.8", "open:k=3")
BATCH = 4
#: Bits shown; beyond, nothing of the noise is left.
TOP = 58


def lost_bits(method: str, steps: int, arithmetic: str) -> float | None:
    """The bits lost by a round trip; None where it is refused."""
    grid = Schedule.preset("ddpm").grid(steps, "trailing")
    try:
        sampler = Sampler(method, grid, arithmetic=arithmetic)
    except InputError:
        return None
    model = digits.denoiser(label=list(range(BATCH)), dtype=torch.float64)
    noise = grid.noise((BATCH, 1, 8, 8), seed=0)
    back = sampler.invert(model, sampler.sample(model, noise))
    error = float((back.x - sampler.rounded(noise)).abs().max())
    return math.log2(1 + error * 2.0**52)


def draw(axes: Axes, found: dict[tuple[str, str], dict[int, float]]) -> dict[str, tuple[float, float]]:
    """One line a method in float64, dashed where integers are refused, and one line for all in integers.

    Returns:
        The end of each float64 line that is not named beside it.
    """
    look, ends = style.styles(METHODS), dict[str, tuple[float, float]]()
    for method in METHODS:
        colour, marker = look[method]
        values = {n: lost for n, lost in found[method, "float64"].items() if lost <= TOP}
        fits = [n for n in values if n in found[method, "integer"]]
        beyond = [n for n in values if n >= fits[-1]]
        axes.plot(fits, [values[n] for n in fits], color=colour, marker=marker, markersize=4, linewidth=1.6)
        axes.plot(beyond, [values[n] for n in beyond], color=colour, linestyle=(0, (2, 2)), linewidth=1.6)
        end = list(values.items())[-1]
        if end[0] < STEPS[-1] / 2:
            axes.annotate(style.short(method), end, (6, -3), textcoords="offset points", fontsize=9.5)
        else:
            ends[method] = end
    every = sorted(set().union(*(found[method, "integer"] for method in METHODS)))
    axes.plot(every, [0] * len(every), color=style.INK, linewidth=3, solid_capstyle="butt", zorder=5)
    axes.annotate(
        "integers: every bit back, all methods", (every[0], 0), (0, -14), textcoords="offset points", fontsize=9
    )
    return ends


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/bit-errors.png"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", AmplificationWarning)
    found: dict[tuple[str, str], dict[int, float]] = {}
    for method in METHODS:
        for arithmetic in ("float64", "integer"):
            bits = {n: lost_bits(method, n, arithmetic) for n in STEPS}
            found[method, arithmetic] = {
                n: lost for n, lost in bits.items() if lost is not None and math.isfinite(lost)
            }
            shown = " ".join("refused" if lost is None else f"{lost:.1f}" for lost in bits.values())
            print(f"{method:22}{arithmetic:9}{shown}", flush=True)
        if any(found[method, "integer"].values()):
            raise ArithmeticError(f"{method}: a bit was lost in integers")
    with style.styled():
        figure = style.canvas(3.9)
        axes = figure.subplots()
        axes.set(xlabel="steps", ylabel="bits of the noise lost by a round trip", ylim=(-8, TOP + 2), xlim=(0, 204))
        style.margins(figure, left=0.145, right=0.67, top=0.15, bottom=0.72)
        style.name_ends(figure, axes, draw(axes, found), style.styles(METHODS))
        figure.text(
            0.02, 0.02, "lines: float64; dashed: the range of integers does not fit", fontsize=8.5, color="#555555"
        )
        chosen.out.write_bytes(style.png(figure))


if __name__ == "__main__":
    main()
