"""What one call of scheduler.step costs, in float32: against the arithmetic that it has to do, and against diffusers.

    belm bench step [--steps 50] [--repeats 15] [--threads 1] [--json FILE] [--out FILE]

The arithmetic is the same tensors combined in place in as many terms: one multiplication, the others added, the result
kept for the next step. A run is 50 steps in a pipeline's manner (return_dict=False, each result handed back); runs of
all candidates alternate, so that a busy machine hits them alike. Reported: the median step and the middle half of the
steps, and a whole run divided by its steps, its first and last included. The exit code is 1 if a bound is missed:

    step ≤ 2 × the arithmetic at (1, 4, 64, 64),  ≤ 1.3 × at (8, 4, 128, 128),  and below DDIMScheduler.step at both.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
from _arguments import Parser, at_least

from belm.cli.progress import bar
from belm.demo.record import machine
from belm_runtime import Schedule, coefficients
from belm_runtime.pipelines import BELMScheduler

SHAPES = {(1, 4, 64, 64): 2.0, (8, 4, 128, 128): 1.3}
TICKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
METHODS = ("ddim", "o-belm", "open:k=3", "blend:k=3,theta=0.8")
THEIRS = ("DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler")
Run = Callable[[], list[float]]


def scheduler_run(scheduler: Any, shape: tuple[int, ...], steps: int) -> Run:
    """A run that times each call of step; the outputs stand ready, a fresh sample begins it."""
    outputs = [torch.randn(shape) for _ in range(4)]

    def run() -> list[float]:
        scheduler.set_timesteps(steps)
        x, spent = torch.randn(shape), []
        for n, t in enumerate(scheduler.timesteps):
            # Some schedulers insist on being asked first.
            scheduler.scale_model_input(x, t)
            begin = time.perf_counter()
            x = scheduler.step(outputs[n % 4], t, x, return_dict=False)[0]
            spent.append(time.perf_counter() - begin)
        return spent

    return run


def arithmetic_run(states: int, slopes: int, shape: tuple[int, ...], steps: int) -> Run:
    """The least that such a step can be: the same tensors, as many terms, one multiplication and additions in place."""
    outputs = [torch.randn(shape) for _ in range(4)]

    def run() -> list[float]:
        kept, spent = [torch.randn(shape) for _ in range(states)], []
        for n in range(steps):
            begin = time.perf_counter()
            total = torch.mul(outputs[n % 4], 0.3)
            for m in range(1, slopes):
                total.add_(outputs[(n - m) % 4], alpha=0.2)
            for state in kept:
                total.add_(state, alpha=0.2)
            kept = [total, *kept[:-1]]
            spent.append(time.perf_counter() - begin)
        return spent

    return run


def terms_of(method: str, steps: int) -> tuple[int, int]:
    """How many states and slopes enter a row in the middle of the run."""
    A, B = coefficients(method, Schedule.preset("ddpm").grid(steps)).x_form()
    return int((A[steps // 2] != 0).sum()), int((B[steps // 2] != 0).sum())


def candidates(shape: tuple[int, ...], steps: int) -> dict[str, tuple[Run, int | None]]:
    """Runs by name, with the number of terms where it is ours."""
    found: dict[str, tuple[Run, int | None]] = {}
    for method in METHODS:
        scheduler = BELMScheduler(method=method, arithmetic="float32")
        found[method] = scheduler_run(scheduler, shape, steps), sum(terms_of(method, steps))
    for states, slopes in sorted({terms_of(method, steps) for method in METHODS}):
        found[f"{states + slopes} terms in place"] = arithmetic_run(states, slopes, shape, steps), None
    for name in THEIRS:
        settings = {"clip_sample": False} if name == "DDIMScheduler" else {}
        found[name] = scheduler_run(getattr(diffusers, name)(**settings), shape, steps), None
    return found


def measure(shape: tuple[int, ...], steps: int, repeats: int) -> list[dict[str, Any]]:
    """Medians and spreads in microseconds; the first two rounds are for warming up."""
    runs = candidates(shape, steps)
    spent: dict[str, list[list[float]]] = {name: [] for name in runs}
    with bar(f"timing {shape}") as progress:
        for n in range(repeats + 2):
            for name, (run, _) in runs.items():
                spent[name].append(run())
            progress(n + 1, repeats + 2)
    rows = []
    for name, (_, terms) in runs.items():
        kept = [[1e6 * second for second in run] for run in spent[name][2:]]
        low, median, high = statistics.quantiles([step for run in kept for step in run], n=4)
        whole = statistics.median(statistics.mean(run) for run in kept)
        rows.append({"shape": list(shape), "name": name, "terms": terms, "median": median, "quartiles": [low, high],
                     "run": whole})  # fmt: skip
    return rows


def verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each of our methods against its two bounds."""
    found = []
    for row in (row for row in rows if row["terms"]):
        named = {other["name"]: other["median"] for other in rows if other["shape"] == row["shape"]}
        bound = SHAPES[tuple(row["shape"])]
        ratio = row["median"] / named[f"{row['terms']} terms in place"]
        held = ratio <= bound and row["median"] < named["DDIMScheduler"]
        found.append({"shape": row["shape"], "name": row["name"], "ratio": ratio, "bound": bound,
                      "of_ddim": row["median"] / named["DDIMScheduler"], "held": held})  # fmt: skip
    return found


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """Medians and middle halves, one panel a shape; ours in colour."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(SHAPES), figsize=(9, 3.8), sharey=True, layout="constrained")
    for axes, shape in zip(panels, SHAPES, strict=True):
        mine = [row for row in rows if tuple(row["shape"]) == shape]
        for place, row in enumerate(reversed(mine)):
            colour = "#0072B2" if row["terms"] else "#D55E00" if "terms" in row["name"] else "#777777"
            axes.plot(row["quartiles"], [place, place], color=colour, linewidth=4, alpha=0.35, solid_capstyle="round")
            axes.plot(row["median"], place, "o", color=colour, markersize=6)
            axes.annotate(f"{row['median']:.0f}", (row["median"], place), (0, 6), textcoords="offset points",
                          color=colour, fontsize=9, ha="center")  # fmt: skip
        axes.set(xscale="log", title=str(shape), xlabel="microseconds a step (median, middle half)")
        labels = [f"{row['name']} ({row['terms']} terms)" if row["terms"] else row["name"] for row in reversed(mine)]
        axes.set_yticks(range(len(mine)), labels)
        axes.margins(x=0.12, y=0.08)
        low, high = axes.get_xlim()
        ticks = [tick for tick in TICKS if low <= tick <= high]
        axes.set_xticks(ticks, map(str, ticks))
        axes.minorticks_off()
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
    temporary = out.with_name(f".{out.name}.tmp")
    figure.savefig(temporary, dpi=160, format="png")
    os.replace(temporary, out)


def main() -> int:
    """Measure, print, write, and judge."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=at_least(1), default=50)
    parser.add_argument("--repeats", type=at_least(2), default=15)
    parser.add_argument("--threads", type=at_least(1), default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--out", type=Path, help="the figure")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows = [row for shape in SHAPES for row in measure(shape, chosen.steps, chosen.repeats)]
    judged = verdicts(rows)
    made_on = {**machine(), "torch_threads": chosen.threads, "diffusers": diffusers.__version__}
    print(f"{made_on['processor']}, {chosen.threads} thread(s), torch {made_on['torch']}, {chosen.steps} steps a run")
    print(f"{'shape':18}{'':28}{'median µs':>10}{'middle half':>20}{'whole run':>11}")
    for row in rows:
        low, high = row["quartiles"]
        shape = "x".join(map(str, row["shape"]))
        print(f"{shape:18}{row['name']:28}{row['median']:10.1f}{f'{low:.1f} … {high:.1f}':>20}{row['run']:11.1f}")
    for verdict in judged:
        shape = "x".join(map(str, verdict["shape"]))
        print(f"{shape:18}{verdict['name']:28}{verdict['ratio']:6.2f} × the arithmetic (bound {verdict['bound']}), "
              f"{verdict['of_ddim']:.2f} × DDIM: {'held' if verdict['held'] else 'MISSED'}")  # fmt: skip
    if chosen.json:
        record = {"machine": made_on, "steps": chosen.steps, "repeats": chosen.repeats, "rows": rows, "bounds": judged}
        chosen.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if chosen.out:
        draw(rows, chosen.out)
    return 0 if all(verdict["held"] for verdict in judged) else 1


if __name__ == "__main__":
    raise SystemExit(main())
