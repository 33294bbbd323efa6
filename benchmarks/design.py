"""The designed method and grid, judged on what the search never saw: held-out mixtures and the embedded digits model.

    python benchmarks/design.py [--out docs/images/design-pareto.png] [--json benchmarks/design.json] [--only digits]
    python benchmarks/design.py --tables benchmarks/design.json     the tables (and the figure) of a record

Generation error: RMS distance of x_0 from a fine solution of the ODE from the same x_N, node N of the grid in question.
Seed error: RMS distance of the noise that inversion recovers from that solution alone. Equal model calls everywhere:
EDICT, with two calls a step, takes half the steps. The digits model was trained on the levels of ddpm; on sd15's grids
it is told the ddpm timestep of the same sigma/alpha.

A second list compares inversions whose first nodes are found in small steps (`Sampler.invert(..., schedule=...)`).
That costs some calls more, at few steps as many again, so the others get them: a grid of the same spacing with
as many steps as ours took calls.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _design_problems import FRESH, SEEN, Digits, Mixture, top
from _design_tables import tables
from rich.progress import track

from belm.design.judged import BARE, COMPARED, SEEN_KIND, targets
from belm.design.pareto import figure
from belm_runtime import Grid, Sampler, Schedule
from belm_runtime.files import write

SCHEDULES, GRIDS, STEPS, GUIDANCE = ("sd15", "ddpm"), ("leading", "trailing", "designed"), (10, 20, 50, 100), (1.0, 3.0)
METHODS = ("ddim", "edict", "bdia:gamma=1", "o-belm", "adams:m=2", "blend:k=3,theta=0.8", *BARE, "designed")
#: What the wanted figures compare: all that is run on the trailing grid, and on the mixtures seen before.
WANTED = ("ddim", "o-belm", "adams:m=2", *BARE, "designed")
#: The lists of the record, and groups of problems by the word that chooses them.
LISTS = ("rows", "small steps")
ONLY = ("mixtures", "seen", "digits")


def problems(only: str | None) -> list[Mixture | Digits]:
    """What judges, at each guidance: fresh mixtures, those whose outcome has been looked at, and the digits model."""
    groups: dict[str, list[Mixture | Digits]] = {
        "mixtures": [Mixture(*shape, guidance) for guidance in GUIDANCE for shape in FRESH],
        "seen": [Mixture(*shape, guidance, SEEN_KIND) for guidance in GUIDANCE for shape in SEEN],
        "digits": [Digits(guidance) for guidance in GUIDANCE],
    }
    return [problem for name in ONLY if only in (None, name) for problem in groups[name]]


class Judge:
    """All that is measured on one problem; solutions are kept by the level of their noise."""

    def __init__(self, problem: Mixture | Digits) -> None:
        self.problem = problem
        self._solved: dict[float, torch.Tensor] = {}

    def rows(self) -> Iterator[dict[str, Any]]:
        """All methods on all grids."""
        for name, spacing in product(SCHEDULES, GRIDS):
            few = spacing == "trailing" or self.problem.kind == SEEN_KIND
            for calls, method in product(STEPS, WANTED if few else METHODS):
                grid = self._grid(name, calls // 2 if method == "edict" else calls, spacing)
                model = self.problem.model(Schedule.preset(name))
                found = measured(sampler(method, grid), model, self.problem.noise(grid), self._solution(grid))
                yield self._setting(name, spacing) | {"calls": calls, "method": method} | found

    def small_steps(self) -> Iterator[dict[str, Any]]:
        """Seed errors of the bare inverters with small first steps, and of the others at as many calls."""
        for name, spacing, steps, method in product(SCHEDULES, GRIDS, STEPS, BARE):
            schedule = Schedule.preset(name)
            grid, model = self._grid(name, steps, spacing), self.problem.model(schedule)
            known = self.problem.known(schedule)
            state = sampler(method, grid).invert(model, self._solution(grid), schedule=known)
            setting = self._setting(name, spacing) | {"calls": state.calls, "steps": steps, "method": method}
            ours, others = state.x - self.problem.noise(grid), {}
            for other in COMPARED:
                finer = self._grid(name, state.calls, spacing)
                others[other] = _seed(Sampler(other, finer), model, self.problem.noise(finer), self._solution(finer))
            yield setting | {"seed": float(ours.square().mean().sqrt())} | others

    def _setting(self, schedule: str, spacing: str) -> dict[str, Any]:
        return {"problem": self.problem.name, "guidance": self.problem.guidance, "schedule": schedule, "grid": spacing}

    def _grid(self, schedule: str, steps: int, spacing: str) -> Grid:
        return self.problem.grid(Schedule.preset(schedule).grid(steps, spacing))

    def _solution(self, grid: Grid) -> torch.Tensor:
        level = top(grid)[1]
        if level not in self._solved:
            self._solved[level] = self.problem.solution(grid)
        return self._solved[level]


def sampler(text: str, grid: Grid) -> Sampler:
    """The sampler of a method by name, so that a design comes with its frame and start, or of "METHOD in FRAME"."""
    method, _, frame = text.partition(" in ")
    return Sampler(method, grid, frame=frame or None)


def measured(sampler: Sampler, model: Any, noise: torch.Tensor, solution: torch.Tensor) -> dict[str, float | None]:
    """Generation error, seed error and amplification; None where a run overflows, or there is no inverse."""
    invertible = sampler.method.has_inverse
    return {
        "generation": _rms(lambda: sampler.sample(model, noise).x - solution),
        "seed": _seed(sampler, model, noise, solution),
        "amplification": sampler.amplification() if invertible else None,
    }  # fmt: skip


def _seed(sampler: Sampler, model: Any, noise: torch.Tensor, solution: torch.Tensor) -> float | None:
    """The seed error; of DDIM by its approximate inversion, of others without inverse there is none."""
    ddim = str(sampler.method) == "ddim"
    if not (ddim or sampler.method.has_inverse):
        return None
    return _rms(lambda: sampler.invert(model, solution, approximate=ddim).x - noise)


def _rms(difference: Callable[[], torch.Tensor]) -> float | None:
    try:
        return float(difference().square().mean().sqrt())
    except ArithmeticError:
        return None


def written(record: dict[str, Any]) -> str:
    """JSON with a line for each row, errors to four digits."""

    def lines(rows: list[dict[str, Any]]) -> str:
        short = [{k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()} for row in rows]
        return "[\n" + ",\n".join(json.dumps(row) for row in short) + "\n]"

    rest = json.dumps({name: value for name, value in record.items() if name not in LISTS}, indent=1)
    return rest.removesuffix("\n}") + "".join(f',\n "{name}": {lines(record[name])}' for name in LISTS) + "\n}\n"


def main() -> None:
    """Measure, print the targets, write the record and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=ONLY)
    parser.add_argument("--tables", type=Path)
    chosen = parser.parse_args()
    if chosen.tables:
        record = json.loads(chosen.tables.read_text(encoding="utf-8"))
        print(tables(record))
        if chosen.out:
            figure([row for row in record["rows"] if not row["problem"].startswith(SEEN_KIND)], chosen.out)
        return
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    begin, found, small = time.time(), list[dict[str, Any]](), list[dict[str, Any]]()
    for problem in track(problems(chosen.only), "judging"):
        judge = Judge(problem)
        found += judge.rows()
        small += [] if problem.kind == SEEN_KIND else judge.small_steps()
    machine = f"{platform.machine()}, torch {torch.__version__}, one thread, {time.time() - begin:.0f} s"
    new, old = ([row for row in found if not row["problem"].startswith(kind)] for kind in (SEEN_KIND, "mixture"))
    record = {
        "machine": machine, "targets": targets(new, small) if new else [],
        "targets, mixtures seen before": targets(old) if old else [], "rows": found, "small steps": small,
    }  # fmt: skip
    print(machine)
    for group in ("targets", "targets, mixtures seen before"):
        print(f"\n{group}")
        for target in record[group]:
            print(f"{target['met']!s:6}{target['value']:8.3f} {target['wanted']:>8}  {target['what']}")
    if chosen.json:
        write(chosen.json, written(record).encode())
    if chosen.out and new:
        figure(new, chosen.out)


if __name__ == "__main__":
    main()
