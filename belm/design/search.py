"""The search: what is certified ranks and filters, training mixtures decide, a simplex refines.

    1  `budget` candidates from a Sobol sequence; each is ranked by what is exact about it: its errors on Gaussian
       data both ways, relative to O-BELM's on the pipeline's usual grid. Candidates whose rounding could grow beyond
       the limit in inversion (K in x, on every grid) are dropped.
    2  The best eighth runs on the training mixtures.
    3  Nelder and Mead's simplex goes on from the best of them, within a quarter of the budget.

The score on mixtures is the mean log ratio of generation errors, plus half that of seed errors of the neutral inverter,
plus half the log ratio of generation errors that only one single case in forty exceeds (a case is one mixture in one
setting), so that few are bad while the mean is good. The very worst says nothing: there a sample lies so near to a
border between two modes that it goes to the other one, whatever the design. Everything is a function of the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from belm.design import measure
from belm.design.candidate import Candidate, settings
from belm.design.problems import FloatArray, Problem, training
from belm_runtime.errors import InputError
from belm_runtime.sampler import Sampler

Progress = Callable[[int, int, str], None]

#: Above this growth of rounding in x a sampler warns before it inverts; a design stays below.
GROWTH_LIMIT = 1e5
#: What every design is compared with, on the grid that pipelines use.
BASELINE, USUAL = "o-belm", "leading"
#: The share of single cases that may be worse than the ratio that weighs in.
WORST = 1 / 40
#: The ranges of log10 A, log10 B, C, m and log10 q.
RANGES = ((-2.0, 0.0), (0.3, 1.7), (0.0, 4.0), (2.0, 14.0), (-0.5, 0.8))


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        family: ``echo`` or ``blend``.
        k: steps of the relation.
        q: the frame, or None to search it too.
    """

    family: str
    k: int
    q: float | None

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """The ranges of the free parameters."""
        return RANGES if self.q is None else RANGES[:4]

    def at(self, point: FloatArray) -> Candidate:
        """The candidate at a point, its parameters rounded to what one would write down."""
        low, high = np.transpose(self.ranges)
        values = np.clip(point, low, high)
        small, large, weight, damping = (
            float(f"{value:.2g}") for value in (10 ** values[0], 10 ** values[1], *values[2:4])
        )
        q = float(f"{10 ** values[4]:.2g}") if self.q is None else self.q
        return Candidate(self.family, self.k, q, damping, (small, large, weight))


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes:
        best: the candidate.
        score: its score on the training mixtures; 0 is the baseline's.
        facts: its ratios by setting, errors on Gaussian data and growth.
        ranked: how many candidates were ranked.
        dropped: how many of them exceeded the limit of growth.
        tried: all that ran on mixtures, with their scores, best first.
    """

    best: Candidate
    score: float
    facts: dict[str, Any]
    ranked: int
    dropped: int
    tried: tuple[tuple[Candidate, float], ...]


class Judge:
    """Scores of candidates, with the baseline's errors computed once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Measure the baseline in every setting."""
        self.problems, self.settings = problems, settings()
        self._scores: dict[Candidate, float] = {}
        usual = [Sampler(BASELINE, schedule.grid(n, USUAL)) for schedule, n in self.settings]
        self._gaussian = [measure.gaussian_errors(sampler) for sampler in usual]
        self._errors = np.array([_cases(sampler, sampler, problems) for sampler in usual])

    def certified(self, candidate: Candidate) -> float:
        """The mean log ratio of errors on Gaussian data; infinite above the limit of growth."""
        total = 0.0
        for (schedule, n), (generation, seed) in zip(self.settings, self._gaussian, strict=True):
            sampler = candidate.sampler(schedule, n)
            if sampler.amplification() > GROWTH_LIMIT:
                return math.inf
            twin = candidate.inverter(schedule, n)
            total += _log_ratio(measure.gaussian_errors(sampler)[0], generation)
            total += 0.5 * _log_ratio(measure.gaussian_errors(twin)[1], seed)
        return total / len(self.settings)

    def ratios(self, candidate: Candidate) -> FloatArray:
        """Errors relative to the baseline's, shape (2, settings, mixtures): generation, seed."""
        found = []
        for schedule, n in self.settings:
            found.append(_cases(candidate.sampler(schedule, n), candidate.inverter(schedule, n), self.problems))
        return np.asarray(np.array(found) / self._errors).swapaxes(0, 1)

    def score(self, candidate: Candidate) -> float:
        """The score on the training mixtures, computed once a candidate."""
        if candidate not in self._scores:
            generation, seed = np.log(self.ratios(candidate))
            worst = np.quantile(generation, 1 - WORST)
            self._scores[candidate] = float(generation.mean() + 0.5 * seed.mean() + 0.5 * worst)
        return self._scores[candidate]

    @property
    def scores(self) -> tuple[tuple[Candidate, float], ...]:
        """All that was scored, best first."""
        return tuple(sorted(self._scores.items(), key=lambda item: item[1]))


def search(space: Space, budget: int, seed: int, progress: Progress | None = None) -> Outcome:
    """Search a space.

    Args:
        space: what is searched.
        budget: how many candidates are ranked; three eighths as many run on mixtures.
        seed: of the training family and of the candidates.
        progress: called with (done, in all, note).

    Raises:
        InputError: a budget below 16, or no candidate within the limit of growth.
    """
    if budget < 16:
        raise InputError(f"budget = {budget} is too small; it must be at least 16")
    eighth, done, judge = budget // 8, 0, Judge(training(seed))
    whole = budget + 8 * 3 * eighth

    def tell(cost: int, note: str) -> None:
        nonlocal done
        done += cost
        if progress:
            progress(min(done, whole), whole, note)

    low, high = np.transpose(space.ranges)
    size = math.ceil(math.log2(budget))
    points = qmc.scale(qmc.Sobol(len(low), seed=seed).random_base2(size)[:budget], low, high)
    ranked = []
    for point in points:
        ranked.append((judge.certified(space.at(point)), tuple(point)))
        tell(1, "ranking by Gaussian data")
    dropped = sum(math.isinf(rank) for rank, _ in ranked)
    if dropped == budget:
        raise InputError(
            f"none of {budget} candidates keeps growth in inversion below {GROWTH_LIMIT:g}; raise --budget"
        )
    best = (math.inf, points[0])
    for rank, point in sorted(ranked)[:eighth]:
        if math.isfinite(rank):
            best = min(best, (judge.score(space.at(np.array(point))), point))
        tell(8, "training mixtures")

    def refined(point: FloatArray) -> float:
        candidate = space.at(point)
        outside = float(np.maximum(np.maximum(low - point, point - high), 0).sum())
        value = judge.score(candidate) if math.isfinite(judge.certified(candidate)) else 1e3
        tell(8, "refining")
        return value + outside

    simplex = np.array(best[1]) + np.vstack([np.zeros(len(low)), np.diag(0.1 * (high - low))])
    options = {"maxfev": 2 * eighth, "initial_simplex": simplex}
    minimize(refined, np.array(best[1]), method="Nelder-Mead", options=options)
    found, score = judge.scores[0]
    return Outcome(found, score, facts(judge, found), budget, dropped, judge.scores)


def as_record(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON-able data."""
    tried = [{**asdict(candidate), "score": score} for candidate, score in outcome.tried]
    counts = {"ranked": outcome.ranked, "dropped": outcome.dropped}
    return {"best": asdict(outcome.best), "score": outcome.score, **counts, **outcome.facts, "tried": tried}


def facts(judge: Judge, candidate: Candidate) -> dict[str, Any]:
    """What the search knows of a candidate, setting by setting."""
    rows = []
    for (schedule, n), generation, seed in zip(judge.settings, *judge.ratios(candidate), strict=True):
        sampler = candidate.sampler(schedule, n)
        rows.append({
            "schedule": schedule.name, "steps": n, "method": str(sampler.method),
            "generation ratio": float(np.exp(np.log(generation).mean())),
            "generation ratio, one case in forty exceeds": float(np.quantile(generation, 1 - WORST)),
            "seed ratio of the neutral inverter": float(np.exp(np.log(seed).mean())),
            "gaussian generation errors": measure.gaussian_errors(sampler)[0].tolist(),
            "amplification in inversion": sampler.amplification(),
            "growth on Gaussian data": {way: measure.growth(sampler, way) for way in ("sampling", "inversion")},
        })  # fmt: skip
    return {"settings": rows}


def _cases(sampler: Sampler, twin: Sampler, problems: tuple[Problem, ...]) -> tuple[FloatArray, FloatArray]:
    """Errors of generation, and of the seed by the twin, of all mixtures of all problems."""
    down = [measure.generation_errors(sampler, problem) for problem in problems]
    return np.concatenate(down), np.concatenate([measure.seed_errors(twin, problem) for problem in problems])


def _log_ratio(errors: FloatArray, baseline: FloatArray) -> float:
    with np.errstate(all="ignore"):
        logs = np.log(np.clip(errors, 1e-9, 1e9) / np.clip(baseline, 1e-9, 1e9))
    return float(np.where(np.isfinite(logs), logs, math.log(1e9)).mean())
