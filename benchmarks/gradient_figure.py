"""What reversible gradients are off by, and the memory they take: docs/images/gradients.png.

    belm bench gradient-figure [--out docs/images/gradients.png]

Embedded model in float64, ddpm schedule, two samples; L = Σ x_0², differentiated by the noise. For two methods,
|g - h|/|h| of the reversible gradient g against h, the gradient of the same run from stored states: the recurrence
written out for autograd, each of its states set to the stored one, so that the rounding of the run itself is in both.
What is left is the drift of the states on the way back, and the rounding of the sums. A line ends where the sampler
refuses: DriftError, or integers that do not fit. Below: the most bytes that live in tensors at once, against plain
autograd.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from gradient_cost import LiveBytes, once
from matplotlib.axes import Axes
from torch import Tensor

from belm.demo import style
from belm_runtime import AmplificationWarning, InputError, Sampler, Schedule, digits
from belm_runtime.assignment import of_table
from belm_runtime.errors import DriftError

#: Two-step methods and their steps.
STEPS = {"o-belm": (10, 20, 50, 100, 200, 400), "bdia:gamma=0.5": (10, 20, 30, 40, 50, 60)}
MEMORY = (10, 20, 50, 100, 200)
ARITHMETIC = {"float32": style.COLOURS[1], "float64": style.COLOURS[3], "integer": style.COLOURS[4]}
BATCH = 2
Model = Callable[[Tensor, Tensor], Tensor]


def stored(sampler: Sampler, model: Model, noise: Tensor) -> dict[int, Tensor]:
    """All states of a run of a two-step method, taken one step at a time."""
    steps = sampler.grid.steps
    states, state = {steps: sampler.rounded(noise)}, sampler.sample(model, noise, stop=steps - 1)
    for node in range(steps - 1, -1, -1):
        states[node] = state.x
        state = sampler.sample(model, state, stop=max(node - 1, 0))
    return states


def from_stored(sampler: Sampler, model: Model, noise: Tensor) -> Tensor:
    """dL/dnoise by autograd through the recurrence, every state the stored one."""
    kept, rows, steps = stored(sampler, model, noise), of_table(sampler.table, "epsilon"), sampler.grid.steps
    leaf = kept[steps].clone().requires_grad_()
    x, slopes = {(steps, "x"): leaf}, {}
    for node in range(steps - 1, -1, -1):
        (a,) = rows[node]
        for key, at, _ in a.slopes:
            if key not in slopes:
                slopes[key] = model(x[key], torch.full((len(leaf),), float(sampler.grid.timesteps[at])))
        made = sum(c * x[key] for key, c in a.linear) + sum(b * slopes[key] for key, _, b in a.slopes)
        x[a.target] = made + (kept[node] - made).detach()
    (found,) = torch.autograd.grad(x[0, "x"].square().sum(), leaf)
    return found


def error(method: str, steps: int, arithmetic: str, model: Model) -> float | None:
    """How far the reversible gradient is from that of the stored states; None where it is refused."""
    grid = Schedule.preset("ddpm").grid(steps)
    noise = grid.noise((BATCH, 1, 8, 8), seed=0)
    try:
        sampler = Sampler(method, grid, arithmetic=arithmetic)
        found = once(sampler, model, noise, "reversible")
    except (DriftError, InputError):
        return None
    expected = from_stored(sampler, model, noise)
    return float((found - expected).norm() / expected.norm())


def memory(method: str, steps: int, gradient: str, model: Model) -> float:
    """Megabytes."""
    sampler = Sampler(method, Schedule.preset("ddpm").grid(steps))
    with LiveBytes() as live:
        once(sampler, model, sampler.grid.noise((BATCH, 1, 8, 8), seed=0), gradient)
    return live.most / 1e6


def panel(axes: Axes, method: str, errors: dict[str, dict[int, float | None]]) -> None:
    """The errors of one method, every line named where it ends."""
    lowest = {}
    for arithmetic, colour in ARITHMETIC.items():
        found = {n: e for n, e in errors[arithmetic].items() if e is not None}
        if not found:
            continue
        axes.plot(list(found), list(found.values()), "o-", color=colour, markersize=4, linewidth=1.6)
        refused = "" if len(found) == len(STEPS[method]) else ", then refused"
        lowest[arithmetic + refused] = (colour, list(found.items())[-1])
    for name, (colour, end) in lowest.items():
        shift = (7, -9 if name.startswith("integer") else 2)
        axes.annotate(name, end, shift, textcoords="offset points", color=colour, fontsize=9.5)
    axes.set_title(style.short(method), fontsize=10.5, loc="left")
    scale(axes, STEPS[method], "error of dL/dnoise", (1e-18, 1))
    if len({b - a for a, b in pairwise(STEPS[method])}) == 1:
        axes.set_xscale("linear")
        axes.set_xticks(STEPS[method])


def scale(axes: Axes, steps: Sequence[int], label: str, limits: tuple[float, float]) -> None:
    """Logarithmic both ways."""
    axes.set(xscale="log", yscale="log", ylabel=label, ylim=limits)
    axes.set_xticks(steps, [str(n) for n in steps])
    axes.minorticks_off()


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/gradients.png"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", AmplificationWarning)
    model = digits.denoiser(label=[3, 8], dtype=torch.float64)
    errors: dict[str, dict[str, dict[int, float | None]]] = {}
    for method, steps in STEPS.items():
        errors[method] = {}
        for arithmetic in ARITHMETIC:
            errors[method][arithmetic] = {n: error(method, n, arithmetic, model) for n in steps}
            shown = " ".join("refused" if e is None else f"{e:.1e}" for e in errors[method][arithmetic].values())
            print(f"{method:16}{arithmetic:10}{shown}", flush=True)
    bytes_ = {kind: [memory("o-belm", n, kind, model) for n in MEMORY] for kind in ("autograd", "reversible")}
    for kind, values in bytes_.items():
        print(f"{kind:11}" + " ".join(f"{value:.2f}" for value in values) + " MB")
    with style.styled():
        figure = style.canvas(6.6)
        *above, below = figure.subplots(3)
        style.margins(figure, left=0.17, right=0.76, top=0.3, bottom=0.45)
        figure.subplots_adjust(hspace=0.5)
        for axes, method in zip(above, STEPS, strict=True):
            panel(axes, method, errors[method])
        for (name, values), colour in zip(bytes_.items(), (style.COLOURS[0], style.COLOURS[4]), strict=True):
            below.plot(MEMORY, values, "o-", color=colour, markersize=4, linewidth=1.6)
            below.annotate(name, (MEMORY[-1], values[-1]), (7, -3), textcoords="offset points", color=colour,
                           fontsize=9.5)  # fmt: skip
        below.set_title("Memory", fontsize=10.5, loc="left")
        scale(below, MEMORY, "MB alive at once", (0.3, 1000))
        below.set_xlabel("steps")
        chosen.out.write_bytes(style.png(figure))


if __name__ == "__main__":
    main()
