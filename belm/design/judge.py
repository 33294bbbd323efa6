"""Scores of designs relative to a baseline's, which is measured once: certified ones, and on training mixtures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from belm.design import measure
from belm.design.problems import FloatArray, Problem
from belm_runtime.design import Design
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule

SCHEDULES = ("sd15", "ddpm")
STEPS = (10, 20, 50, 100)
#: At most so many steps are few.
FEW = 20
#: Above this growth of rounding in x a sampler warns before it inverts; a design stays below.
GROWTH_LIMIT = 1e5
#: What every design is compared with, on the grid that pipelines use.
BASELINE, USUAL = "o-belm", "leading"
#: The share of single cases that may be worse than the ratio that weighs in.
WORST = 1 / 40
#: Weights of a certified score: Gaussian generation and seed errors, slope noise, bounds in sampling and inversion;
#: rounded from a fit to the scores of random designs on training mixtures.
WEIGHTS = (0.25, 0.1, 1.0, 0.25, 0.25)


def settings(schedules: Iterable[str] = SCHEDULES, steps: Iterable[int] = STEPS) -> list[tuple[Schedule, int]]:
    """The schedules and numbers of steps that a design is for."""
    counts = tuple(steps)
    return [(Schedule.preset(name), count) for name in schedules for count in counts]


class Judge:
    """Scores of designs; errors of the baseline and of designs on mixtures are computed once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Prepare the baseline in every setting."""
        self.problems, self.settings = problems, settings()
        self._baseline = [Sampler(BASELINE, schedule.grid(n, USUAL)) for schedule, n in self.settings]
        self._cases: dict[tuple[Design, int], FloatArray] = {}

    @property
    def schedules(self) -> list[Schedule]:
        """The schedules of the settings, each once."""
        return list({schedule.name: schedule for schedule, _ in self.settings}.values())

    @cached_property
    def _certified(self) -> list[FloatArray]:
        return [_quantities(sampler, sampler) for sampler in self._baseline]

    @cached_property
    def _errors(self) -> list[FloatArray]:
        return [self._measured(sampler, sampler) for sampler in self._baseline]

    def certified(self, design: Design) -> float:
        """The weighted mean log ratio of `WEIGHTS`' quantities; infinite above the limit of growth."""
        total = 0.0
        for (schedule, n), baseline in zip(self.settings, self._certified, strict=True):
            sampler = design.sampler(schedule, n)
            if not sampler.amplification() <= GROWTH_LIMIT:
                return math.inf
            total += float(np.dot(WEIGHTS, _quantities(sampler, design.inverting(schedule, n)) - baseline))
        return total / len(self.settings)

    def ratios(self, design: Design, few: bool = False) -> FloatArray:
        """Errors relative to the baseline's, shape (2, settings, mixtures): generation, seed."""
        chosen = [i for i, (_, n) in enumerate(self.settings) if n <= FEW or not few]
        return np.array([self._ratio(design, i) for i in chosen]).swapaxes(0, 1)

    def score(self, design: Design, few: bool = False) -> float:
        """The score on the training mixtures; few: at few steps only."""
        generation, seed = np.log(self.ratios(design, few))
        worst = np.quantile(generation, 1 - WORST)
        return float(generation.mean() + 0.5 * seed.mean() + worst)

    def facts(self, design: Design) -> list[dict[str, Any]]:
        """What is known of a design, setting by setting."""
        rows = []
        for (schedule, n), generation, seed in zip(self.settings, *self.ratios(design), strict=True):
            sampler = design.sampler(schedule, n)
            rows.append({
                "schedule": schedule.name, "steps": n, "method": str(sampler.method),
                "generation ratio": float(np.exp(np.log(generation).mean())),
                "generation ratio, one case in forty exceeds": float(np.quantile(generation, 1 - WORST)),
                "seed ratio of the inverter": float(np.exp(np.log(seed).mean())),
                "gaussian generation errors": measure.gaussian_errors(sampler)[0].tolist(),
                "sum of local errors": np.abs(measure.local_errors(sampler)).sum(0).tolist(),
                "amplification in inversion": sampler.amplification(),
                "growth on Gaussian data": {way: measure.growth(sampler, way) for way in ("sampling", "inversion")},
            })  # fmt: skip
        return rows

    def _ratio(self, design: Design, i: int) -> FloatArray:
        if (design, i) not in self._cases:
            schedule, n = self.settings[i]
            found = self._measured(design.sampler(schedule, n), design.inverting(schedule, n))
            self._cases[design, i] = found / self._errors[i]
        return self._cases[design, i]

    def _measured(self, sampler: Sampler, twin: Sampler) -> FloatArray:
        """Errors of generation, and of the seed by the twin, of all mixtures of all problems."""
        down = [measure.generation_errors(sampler, problem) for problem in self.problems]
        up = [measure.seed_errors(twin, problem) for problem in self.problems]
        return np.array([np.concatenate(down), np.concatenate(up)])


def _quantities(sampler: Sampler, twin: Sampler) -> FloatArray:
    """Logs of what `WEIGHTS` weighs: means over deviations of the errors and the noise, and the two bounds."""
    generation, seed = measure.gaussian_errors(sampler)[0], measure.gaussian_errors(twin)[1]
    bounds = [[measure.error_bound(sampler, "sampling")], [measure.error_bound(twin, "inversion")]]
    with np.errstate(all="ignore"):
        logs = [np.log(np.clip(np.nan_to_num(values, nan=1e9), 1e-9, 1e9)).mean()
                for values in (generation, seed, measure.slope_noise(sampler), *map(np.array, bounds))]  # fmt: skip
    return np.array(logs)
