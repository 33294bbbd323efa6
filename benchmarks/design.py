"""The designed method and grid, judged on what the search never saw: held-out mixtures and the embedded digits model.

    python benchmarks/design.py [--out docs/images/design-pareto.png] [--json benchmarks/design.json] [--only mixtures]

Generation error: RMS distance of x_0 from a fine solution of the ODE from the same x_N, node N of the grid in question.
Seed error: RMS distance of the noise that inversion recovers from that solution alone. Equal model calls everywhere:
EDICT, with two calls a step, takes half the steps. The digits model was trained on the levels of ddpm; on sd15's grids
it is told the ddpm timestep of the same sigma/alpha.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from belm.design.judged import targets
from belm.design.pareto import figure
from belm_runtime import Grid, Sampler, Schedule, digits, methods
from belm_runtime.mixture import GaussianMixture, reference
from belm_runtime.models import guided
from belm_runtime.spacing import designed_ratios

SCHEDULES, GRIDS, STEPS, GUIDANCE = ("sd15", "ddpm"), ("leading", "trailing", "designed"), (10, 20, 50, 100), (1.0, 3.0)
METHODS = ("ddim", "edict", "bdia:gamma=1", "o-belm", "adams:m=2", "open:k=3", "blend:k=3,theta=0.8",
           "echo:k=4,theta=1", "designed")  # fmt: skip
#: On the trailing grid only what the wanted figures compare.
ON_TRAILING = ("ddim", "o-belm", "adams:m=2", "echo:k=4,theta=1", "designed")
#: Dimension, components and seed of each held-out mixture (GaussianMixture.random), and how many of the components are
#: the wanted class under guidance.
HELD_OUT = ((2, 3, 1001, 1), (3, 8, 1002, 3), (6, 5, 1003, 2), (16, 10, 1004, 4), (32, 6, 1005, 2))
#: Samples of a mixture, and of the digits model: classes 0 … 9.
BATCH, PICTURES, FINE = 16, 10, 500


@dataclass(frozen=True)
class Mixture:
    """A held-out mixture under guidance."""

    dimension: int
    components: int
    seed: int
    wanted: int
    guidance: float

    @property
    def name(self) -> str:
        """The name in rows."""
        return f"mixture {self.seed}"

    def noise(self, grid: Grid) -> torch.Tensor:
        """x_N of its samples."""
        return grid.noise((BATCH, self.dimension), seed=self.seed)

    def grid(self, grid: Grid) -> Grid:
        """The grid as this problem's model knows it."""
        return grid

    def parts(self, schedule: Any) -> tuple[GaussianMixture, GaussianMixture]:
        """The wanted class, and everything."""
        whole = GaussianMixture.random(self.dimension, self.components, self.seed, schedule)
        few = slice(self.wanted)
        return GaussianMixture(whole.means[few], whole.scales[few], whole.weights[few], schedule), whole

    def model(self, schedule: Schedule) -> Callable[..., torch.Tensor]:
        """The network, under guidance."""
        wanted, whole = self.parts(schedule)
        return whole if self.guidance == 1 else guided(wanted, whole, self.guidance)

    def solution(self, grid: Grid) -> torch.Tensor:
        """x_0 of the ODE from the noise at the top of a grid."""
        wanted, whole = self.parts(None)
        return reference(Guided(wanted, whole, self.guidance), self.noise(grid), _top(grid), (1.0, 0.0), 1e-10, 1e-11)


class Guided:
    """Guided posterior means, for the reference: eps is guided, and D = (x - sigma·eps)/alpha."""

    def __init__(self, wanted: GaussianMixture, whole: GaussianMixture, guidance: float) -> None:
        self.wanted, self.whole, self.guidance = wanted, whole, guidance

    def posterior(self, x: torch.Tensor, alpha: float, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Both posterior means, guided."""
        (D, eps), w = self.whole.posterior(x, alpha, sigma), self.guidance
        if w == 1:
            return D, eps
        other = self.wanted.posterior(x, alpha, sigma)
        return D + w * (other[0] - D), eps + w * (other[1] - eps)


@dataclass(frozen=True)
class Digits:
    """The embedded model, all ten classes, under guidance."""

    guidance: float
    name = "digits"

    @cached_property
    def _model(self) -> Callable[..., torch.Tensor]:
        return digits.denoiser(label=list(range(PICTURES)), guidance=self.guidance)

    def noise(self, grid: Grid) -> torch.Tensor:
        """x_N of its samples."""
        return grid.noise((PICTURES, 1, 8, 8), seed=7)

    def grid(self, grid: Grid) -> Grid:
        """The same levels, with the timesteps that this model knows them by."""
        times = np.append(0.0, Schedule.preset("ddpm").timesteps_at(grid.sbar[1:]))
        return Grid.from_arrays(grid.alpha, grid.sigma, times, schedule=grid.schedule, spacing=grid.spacing)

    def model(self, schedule: Schedule) -> Callable[..., torch.Tensor]:
        """The network, under guidance."""
        return self._model

    def solution(self, grid: Grid) -> torch.Tensor:
        """Adams–Bashforth 3 on a fine grid from the same level, in another spacing than those compared."""
        low, high = float(Schedule.preset("ddpm").grid(1, "leading").sbar[1]), float(grid.sbar[-1])
        sbar = np.append(0.0, designed_ratios(FINE, low, high, (0.02, 30.0)))
        fine = Grid.from_arrays(1 / np.hypot(1, sbar), sbar / np.hypot(1, sbar), np.zeros(FINE + 1))
        return Sampler("adams:m=3", self.grid(fine)).sample(self._model, self.noise(grid)).x


def problems(only: str | None) -> list[Mixture | Digits]:
    """What judges: the held-out mixtures and the digits model, at each guidance."""
    found: list[Mixture | Digits] = []
    if only != "digits":
        found += [Mixture(*shape, guidance) for guidance in GUIDANCE for shape in HELD_OUT]
    if only != "mixtures":
        found += [Digits(guidance) for guidance in GUIDANCE]
    return found


def rows(problem: Mixture | Digits) -> Iterator[dict[str, Any]]:
    """All methods on all grids for one problem."""
    solved: dict[float, torch.Tensor] = {}
    for name in SCHEDULES:
        schedule = Schedule.preset(name)
        for spacing in GRIDS:
            for calls in STEPS:
                for method in ON_TRAILING if spacing == "trailing" else METHODS:
                    resolved = methods.parse(method, calls)
                    grid = problem.grid(schedule.grid(calls // 2 if resolved.stages else calls, spacing))
                    top = float(grid.sbar[-1])
                    if top not in solved:
                        solved[top] = problem.solution(grid)
                    sampler = Sampler(resolved, grid)
                    setting = {"problem": problem.name, "guidance": problem.guidance, "schedule": name,
                               "grid": spacing, "calls": calls, "method": method}  # fmt: skip
                    yield setting | measured(sampler, problem.model(schedule), problem.noise(grid), solved[top])


def measured(sampler: Sampler, model: Any, noise: torch.Tensor, solution: torch.Tensor) -> dict[str, float | None]:
    """Generation error, seed error and amplification; None where a run overflows, or there is no inverse."""
    ddim = str(sampler.method) == "ddim"
    invertible = sampler.method.has_inverse
    return {
        "generation": _rms(lambda: sampler.sample(model, noise).x - solution),
        "seed": _rms(lambda: sampler.invert(model, solution, approximate=ddim).x - noise)
        if invertible or ddim else None,
        "amplification": sampler.amplification() if invertible else None,
    }  # fmt: skip


def _rms(difference: Callable[[], torch.Tensor]) -> float | None:
    try:
        return float(difference().square().mean().sqrt())
    except ArithmeticError:
        return None


def _top(grid: Grid) -> tuple[float, float]:
    return float(grid.alpha[-1]), float(grid.sigma[-1])


def written(record: dict[str, Any]) -> str:
    """JSON with a line for each row, errors to four digits."""
    lines = [json.dumps({k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()})
             for row in record["rows"]]  # fmt: skip
    rest = json.dumps({**record, "rows": []}, indent=1)
    return rest.removesuffix("[]\n}") + "[\n" + ",\n".join(lines) + "\n]\n}\n"


def main() -> None:
    """Measure, print the targets, write the record and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("mixtures", "digits"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    begin, found = time.time(), []
    for problem in track(problems(chosen.only), "judging"):
        found += rows(problem)
    machine = f"{platform.machine()}, torch {torch.__version__}, one thread, {time.time() - begin:.0f} s"
    record = {"machine": machine, "targets": targets(found), "rows": found}
    print(f"{machine}\n")
    for target in record["targets"]:
        print(f"{target['met']!s:6}{target['value']:8.3f} {target['wanted']:>8}  {target['what']}")
    if chosen.json:
        chosen.json.write_text(written(record), encoding="utf-8")
    if chosen.out:
        figure(found, chosen.out)


if __name__ == "__main__":
    main()
