"""Which method, start and theta invert a bare x_0 best: benchmarks/bare_inversion.json, docs/images/bare-inversion.png.

For each problem, schedule, spacing and number of steps the noise x_N that the ODE connects with x_0 is known. Measured:

    seed       RMS(x_N found from x_0 alone - x_N),
    again      RMS(picture made again from the found x_N alone - x_0),
    K          amplification of the inversion in x.

Problems: pictures that the embedded model made in 400 steps; held-out real pictures, whose seed nobody knows (again
only); pictures made on the very grid they are inverted on, without their state; draws from Gaussian mixtures in 8 and
64 dimensions, their seeds by an ODE solver.

Starts, the way to the first k - 1 nodes: `adams` (rising order) and `euler` (DDIM's) on the grid itself, `fixed point`
(the implicit DDIM step, two iterations), and `climb` (belm_runtime.climb: small steps).

    belm bench bare-inversion [--steps 10 20 50 100] [--out FILE] [--figure FILE] [--cells FILE]

The list holds geometric means over the problems of a kind, the schedules sd15 and ddpm, and the spacings leading and
trailing; --cells keeps every single figure. Half an hour on one core.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _arguments import Parser, at_least
from _bare_results import SAME, draw, means, table
from torch import Tensor

from belm.cli.progress import bar
from belm.demo.record import machine
from belm_runtime import AmplificationWarning, Grid, NotFiniteError, Sampler, Schedule, State, digits
from belm_runtime.digits.train import held_out, pictures
from belm_runtime.files import write
from belm_runtime.methods import parse
from belm_runtime.mixture import GaussianMixture, reference
from belm_runtime.models import Model, levels
from belm_runtime.recurrence import march
from belm_runtime.start import upward_start

ROOT = Path(__file__).parent.parent
APPROXIMATE = ("ddim", "adams:m=2")
METHODS = (
    *APPROXIMATE, "edict:p=0.93", "bdia:gamma=1", "bdia:gamma=0.9", "o-belm", "open:k=2", "open:k=3", "open:k=4",
    "blend:k=3,theta=0.95", "blend:k=3,theta=0.9", "blend:k=3,theta=0.8", "blend:k=3,theta=0.7", "blend:k=4,theta=0.9",
)  # fmt: skip
#: The starts of every method, and of those for which all are compared.
STARTS, ALL_STARTS = ("adams", "climb"), ("adams", "euler", "fixed point", "climb")
COMPARED = ("o-belm", "open:k=2", "open:k=3", "open:k=4", "blend:k=3,theta=0.9")
FIELDS = ("problem", "schedule", "spacing", "steps", "method", "start", "K", "calls", "seed", "again")
BATCH, FINE, ITERATIONS = 20, 400, 2


@dataclass(frozen=True)
class Problem:
    """Data whose noise is known, or not.

    Attributes:
        name: ``digits``, ``digits of the same grid``, ``real digits`` or ``mixture d=…``.
        model: model(x, t) on the schedule.
        x0: the data.
        noise: x_N, or None.
    """

    name: str
    model: Model
    x0: Tensor
    noise: Tensor | None


def problems(schedule: Schedule, grid: Grid) -> Iterator[Problem]:
    """All problems on the noise levels of a grid."""
    labels = [j % 10 for j in range(BATCH)]
    model = on_levels(digits.denoiser(labels), schedule)
    noise = grid.noise((BATCH, 1, 8, 8), seed=0)
    yield Problem("digits", model, Sampler("adams:m=4", fine(schedule, grid)).sample(model, noise).x, noise)
    yield Problem(SAME, model, Sampler("blend:k=3,theta=0.8", grid).sample(model, noise).x, noise)
    data, classes = (values[held_out(1797)][:BATCH] for values in pictures())
    yield Problem("real digits", on_levels(digits.denoiser(classes), schedule), data.double(), None)
    top = float(grid.alpha[-1]), float(grid.sigma[-1])
    for dimension, components, seed in ((8, 5, 1), (8, 5, 2), (64, 8, 3)):
        mixture = GaussianMixture.random(dimension, components, seed, schedule)
        x0 = mixture.sample_data(BATCH, seed)
        end = reference(mixture, x0, (1.0, 0.0), top, rtol=1e-9, atol=1e-10)
        yield Problem(f"mixture d={dimension}, seed {seed}", mixture, x0, end)


def on_levels(model: Model, schedule: Schedule) -> Model:
    """The embedded model on another schedule's times: it is told its own time with the same noise level."""
    own = Schedule.preset("ddpm")
    if schedule.name == own.name:
        return model

    def translated(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = levels(schedule, t)
        return model(x, torch.from_numpy(own.timesteps_at(sigma / alpha)))

    return translated


def fine(schedule: Schedule, grid: Grid) -> Grid:
    """Many nodes below the grid's last one, denser near the data, from the embedded model's least noise level up."""
    least = Schedule.preset("ddpm").alpha_sigma(0.0)
    first = float(schedule.timesteps_at(least[1] / least[0]))
    times = first + (float(grid.timesteps[-1]) - first) * (np.arange(FINE) / (FINE - 1)) ** 1.5
    alpha, sigma = schedule.alpha_sigma(times)
    return Grid.from_arrays(np.append(1.0, alpha), np.append(0.0, sigma), np.append(0.0, times))


def inverted(sampler: Sampler, problem: Problem, start: str, schedule: Schedule) -> State:
    """The noise of a problem found by a method and a start."""
    approximate = str(sampler.method) in APPROXIMATE
    if start == "adams" or start == "climb":
        known = schedule if start == "climb" else None
        return sampler.invert(problem.model, problem.x0, approximate=approximate, schedule=known)
    history, calls = (euler if start == "euler" else fixed_point)(sampler, problem)
    found = sampler.invert(problem.model, sampler.state(history[::-1], range(len(history) - 1, -1, -1)))
    return State(found.history, found.nodes, found.method, found.frame, found.grid, found.steps, found.calls + calls)


def euler(sampler: Sampler, problem: Problem) -> tuple[list[Tensor], int]:
    """States at nodes 0 … k-1 by DDIM steps upward on the grid itself."""
    last, x = sampler.method.k - 1, problem.x0
    ask = asking(problem, sampler.grid)
    steps = march(upward_start(sampler.table, "epsilon", last, 1), [x], [], ask, 1)  # type: ignore[arg-type]
    return [x, *(made for _, made in steps)], last


def fixed_point(sampler: Sampler, problem: Problem) -> tuple[list[Tensor], int]:
    """States at nodes 0 … k-1, each solving the DDIM step down from it: x = a·(state below) + b·eps(x)."""
    alpha, sigma, ask = sampler.grid.alpha, sampler.grid.sigma, asking(problem, sampler.grid)
    history, last = [problem.x0], sampler.method.k - 1
    for m in range(1, last + 1):
        a = alpha[m] / alpha[m - 1]
        x = history[-1]
        for _ in range(ITERATIONS + 1):
            x = a * history[-1] + (sigma[m] - a * sigma[m - 1]) * ask(x, m)
        history.append(x)
    return history, last * (ITERATIONS + 1)


def asking(problem: Problem, grid: Grid) -> Callable[[Tensor, int], Tensor]:
    """The model at a node, node 0 being asked at node 1's time."""
    times = [float(grid.timesteps[max(i, 1)]) for i in range(grid.steps + 1)]
    return lambda x, node: problem.model(x, torch.full((len(x),), times[node], dtype=torch.float64))


def cells(schedule: Schedule, grid: Grid) -> Iterator[dict[str, Any]]:
    """Everything measured on one grid."""
    for problem in problems(schedule, grid):
        for method in METHODS:
            if parse(method).k > grid.steps:
                continue
            sampler = Sampler(method, grid)
            starts = ("adams",) if sampler.method.stages else ALL_STARTS if method in COMPARED else STARTS
            K = None if method in APPROXIMATE else sampler.amplification()
            for start in starts:
                seed, again, calls = errors(sampler, problem, start, schedule)
                row = problem.name, schedule.name, grid.spacing, grid.steps, method, start, K, calls, seed, again
                yield dict(zip(FIELDS, row, strict=True))


def errors(sampler: Sampler, problem: Problem, start: str, schedule: Schedule) -> tuple[float | None, float, int]:
    """(seed error, error of the picture made again, calls); an overflow is an infinite error."""
    try:
        found = inverted(sampler, problem, start, schedule)
        again = rms(sampler.sample(problem.model, found.x).x - problem.x0)
    except NotFiniteError:
        return math.inf, math.inf, 0
    return None if problem.noise is None else rms(found.x - problem.noise), again, found.calls


def rms(difference: Tensor) -> float:
    """The root mean square, to four digits."""
    return float(f"{float(difference.square().mean().sqrt()):.4g}")


def main() -> None:
    """Measure, print, and write the list and the figure."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=at_least(2), nargs="+", default=[10, 20, 50, 100])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/bare_inversion.json")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs/images/bare-inversion.png")
    parser.add_argument("--cells", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", AmplificationWarning)
    rows: list[dict[str, Any]] = []
    plan = list(product(("sd15", "ddpm"), ("leading", "trailing"), chosen.steps))
    begin, total = time.monotonic(), sum(n for _, _, n in plan)
    with bar("inverting") as report:
        for done, (name, spacing, n) in enumerate(plan):
            schedule = Schedule.preset(name)
            for row in cells(schedule, schedule.grid(n, spacing)):
                rows.append(row)
                report(sum(steps for _, _, steps in plan[:done]), total, f"{name}, {spacing}, {n} steps")
    found = means(rows)
    table(found)
    seconds = round(time.monotonic() - begin)
    command = shlex.join(["belm", "bench", "bare-inversion", *sys.argv[1:]])
    record = {"command": command, "seconds": seconds, "machine": machine()}
    write(chosen.out, listed(record, found))
    if chosen.cells:
        write(chosen.cells, listed(record, rows))
    write(chosen.figure, draw(rows))


def listed(record: dict[str, Any], rows: list[dict[str, Any]]) -> bytes:
    """The record as JSON, each row on a line of its own."""
    lines = ",\n".join(json.dumps(list(row.values())) for row in rows)
    head = json.dumps({**record, "fields": list(rows[0])}, indent=1)
    return f'{head[:-2]},\n "rows": [\n{lines}\n]}}\n'.encode()


if __name__ == "__main__":
    main()
