"""The search: what is certified ranks and filters, training mixtures decide, a simplex refines.

    1  `budget` points are ranked by what is exact about them on Gaussian data, relative to O-BELM on the pipeline's
       usual grid: errors of generation and of the seed, the response to noise in the slopes, and in both directions
       the bound growth · Σ |local errors| on the actual grid. Those whose rounding could grow beyond the limit in
       inversion (K in x, on every grid) are dropped. Every cell gets its share, then the better half of the cells,
       and so on.
    2  The best sixteenth, few of a kind, runs on the training mixtures at few steps; the better half of those in full.
    3  Nelder and Mead's simplex goes on from the best three, each of another kind, and then from the best of all with
       its grid's nodes set free.

The score on mixtures is the mean log ratio of generation errors, plus half that of seed errors of the neutral inverter,
plus the log ratio of generation errors that only one single case in forty exceeds (a case is one mixture in one
setting), so that few are bad while the mean is good. The very worst says nothing: there a sample lies so near to a
border between two modes that it goes to the other one, whatever the design. Everything is a function of the seed. The
best design gets the inverter that scores best with it; its final score is with that one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from belm.design import space
from belm.design.judge import Judge
from belm.design.problems import training
from belm.design.space import Cell
from belm_runtime import designs
from belm_runtime.design import Design
from belm_runtime.errors import InputError

Progress = Callable[[int, int, str], None]
Point = tuple[float, ...]
#: What may invert a bare x_0 on a design's grid; the better of them is kept.
INVERTERS = ("open:k=3", "exp-open:k=3", "echo:k=4,theta=1")
#: Of one kind (rule, k, slopes, spacing) so many points go on to the mixtures, and so many kinds are refined.
ALIKE, REFINED = 2, 3
#: What a step costs, in candidates ranked: a run on mixtures at few steps, and in full.
_FEW, _FULL = 6, 32


@dataclass(frozen=True)
class Found:
    """A point that was looked at.

    Attributes:
        cell: its cell.
        point: its numbers.
        rank: its certified score; infinite where it was dropped.
        few: its score on mixtures at few steps, or None.
        score: its score on mixtures, or None.
    """

    cell: Cell
    point: Point
    rank: float
    few: float | None = None
    score: float | None = None

    @property
    def design(self) -> Design:
        """The design at the point."""
        return self.cell.at(self.point)

    @property
    def kind(self) -> tuple[str, int, str, str]:
        """Rule, k, slopes and spacing."""
        return self.cell.rule, self.cell.k, self.cell.slopes, self.cell.spacing


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes:
        best: the design.
        score: its score on the training mixtures, its own inverter included; 0 is the baseline's.
        searched: its score with the inverter that all points have while the search goes on.
        facts: its ratios by setting, errors on Gaussian data, bounds and growth.
        shipped: scores of the designs in the catalogue, each with its own inverter, for comparison.
        looked: all points, those with a score first, best first.
        ranked: how many of them were ranked; the others came of refining.
    """

    best: Design
    score: float
    searched: float
    facts: list[dict[str, Any]]
    shipped: dict[str, float]
    looked: tuple[Found, ...]
    ranked: int


class Search:
    """One search; `run` it."""

    def __init__(self, cells: Sequence[Cell], budget: int, seed: int, progress: Progress | None = None) -> None:
        """Prepare.

        Args:
            cells: what is searched.
            budget: how many points are ranked.
            seed: of the training family and of the points.
            progress: called with (done, in all, note).

        Raises:
            InputError: no cells, or a budget too small for them.
        """
        least = max(64, len(cells))
        if not cells or budget < least:
            raise InputError(f"budget = {budget} is too small: {len(cells)} cells of choices need at least {least}")
        self.cells, self.budget, self.seed, self._progress = cells, budget, seed, progress
        self._done, self._evaluations = 0, budget // 64
        rounds = 2 + REFINED + self._frees
        self._whole = budget + _FEW * (budget // 16) + _FULL * rounds * self._evaluations
        self.judge = Judge(training(seed))

    def run(self) -> Outcome:
        """Rank, run, refine.

        Raises:
            InputError: no point within the limit of growth.
        """
        ranked = self._rank()
        best = sorted((found for found in ranked if math.isfinite(found.rank)), key=_by_rank)
        if not best:
            raise InputError(f"none of {len(ranked)} points keeps growth in inversion within its limit")
        few = [self._scored(found, few=True) for found in _mixed(best, self.budget // 16)]
        full = [self._scored(found) for found in sorted(few, key=_by_few)[: 2 * self._evaluations]]
        for start in _distinct(sorted(full, key=_by_score), REFINED):
            full += self._refine(start)
        if self._frees:
            full += self._refine(self._freed(min(full, key=_by_score)))
        # A simplex begins at a point that is known; of each the first is kept, which knows most.
        looked: dict[tuple[Cell, Point], Found] = {}
        for found in (*sorted(full, key=_by_score), *few, *ranked):
            looked.setdefault((found.cell, found.point), found)
        return self._outcome(tuple(looked.values()), len(ranked))

    def _outcome(self, looked: tuple[Found, ...], ranked: int) -> Outcome:
        best = looked[0].design
        searched = self.judge.score(best)
        twins = [replace(best, inverter=inverter) for inverter in INVERTERS]
        best = min(twins, key=self.judge.score)
        shipped = {name: self.judge.score(Design.read(name)) for name in designs.shipped()}
        self._tell(self._whole, "")
        return Outcome(best, self.judge.score(best), searched, self.judge.facts(best), shipped, looked, ranked)

    @property
    def _frees(self) -> bool:
        """Whether free grids are among the cells."""
        return any(cell.spacing == "free" for cell in self.cells)

    def _freed(self, found: Found) -> Found:
        """The same method on a free grid through a design's own nodes, the mean over the schedules of their s."""
        if found.cell.spacing == "free":
            return found
        grids = [found.design.grid(schedule, space.PIECES) for schedule in self.judge.schedules]
        s = np.array([grid.sbar / (1 + grid.sbar) for grid in grids])
        return Found(*space.freed(found.cell, found.point, (s / s[:, -1:]).mean(0)), math.inf)

    def _rank(self) -> list[Found]:
        """Points of every cell, then of the better half of the cells, and so on until the budget is spent."""
        alive, found, left = list(self.cells), [], self.budget
        drawn: dict[Cell, int] = Counter()
        sequences = {
            cell: qmc.Sobol(max(len(cell.ranges), 1), seed=np.random.default_rng([self.seed, i]))
            for i, cell in enumerate(self.cells)
        }
        while left:
            for cell in alive[:left]:
                numbers = sequences[cell].random(1)[0]
                if drawn[cell] and not cell.ranges:
                    continue  # A cell without numbers is one point.
                drawn[cell] += 1
                low, high = cell.bounds
                point = tuple((low + numbers[: len(low)] * (high - low)).tolist())
                found.append(Found(cell, point, self.judge.certified(cell.at(point))))
                self._tell(1, "ranking by Gaussian data")
            left -= min(left, len(alive))
            alive = self._better(alive, found) if left else alive
        return found

    def _better(self, alive: list[Cell], found: list[Found]) -> list[Cell]:
        best: dict[Cell, float] = {}
        for each in found:
            best[each.cell] = min(best.get(each.cell, math.inf), each.rank)
        return sorted(alive, key=lambda cell: best[cell])[: max(len(alive) // 2, 8)]

    def _scored(self, found: Found, few: bool = False) -> Found:
        score = self.judge.score(found.design, few=few)
        self._tell(_FEW if few else _FULL, "training mixtures")
        return replace(found, few=score) if few else replace(found, score=score)

    def _refine(self, start: Found) -> list[Found]:
        """A simplex from a point, within its share of the budget."""
        low, high = start.cell.bounds
        made: list[Found] = []

        def value(numbers: Any) -> float:
            point = tuple(np.clip(numbers, low, high).tolist())
            rank = self.judge.certified(start.cell.at(point))
            outside = float(np.abs(numbers - np.array(point)).sum())
            self._tell(_FULL, "refining")
            if not math.isfinite(rank):
                return 1e3 + outside
            score = self.judge.score(start.cell.at(point))
            made.append(Found(start.cell, point, rank, score=score))
            return score + outside

        if len(low):
            simplex = np.array(start.point) + np.vstack([np.zeros(len(low)), np.diag(0.1 * (high - low))])
            options = {"maxfev": self._evaluations, "initial_simplex": simplex}
            minimize(value, np.array(start.point), method="Nelder-Mead", options=options)
        return made

    def _tell(self, cost: int, note: str) -> None:
        self._done = min(self._done + cost, self._whole)
        if self._progress:
            self._progress(self._done, self._whole, note)


def _by_rank(found: Found) -> float:
    return found.rank


def _by_few(found: Found) -> float:
    return math.inf if found.few is None else found.few


def _by_score(found: Found) -> float:
    return math.inf if found.score is None else found.score


def _mixed(best: Sequence[Found], count: int) -> list[Found]:
    """The best, at most `ALIKE` of a kind."""
    taken: dict[Any, int] = Counter()
    kept = []
    for found in best:
        if taken[found.kind] < ALIKE:
            taken[found.kind] += 1
            kept.append(found)
    return kept[:count]


def _distinct(best: Sequence[Found], count: int) -> list[Found]:
    """The best of each kind."""
    first: dict[Any, Found] = {}
    for found in best:
        first.setdefault(found.kind, found)
    return list(first.values())[:count]
