"""Which method a run is, or the nearest.

A run is a method's if every row of the method holds between its forms: then both make the same states from the same
noise and the same network. Parameters (theta, gamma) are affine in a row's residual, so each row gives a value; the
median over the rows is one that a fault at a few of them does not move. Of methods that do not match, the nearest is
the one with most rows in common; among the best of these the one that the fewest changed coefficients turn into the
run; then the one with the window of the run, then with the smallest deviations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from belm_runtime.audit.candidates import SLOPES, SOLVER, Candidate, Line, exponential, fixed, lines
from belm_runtime.audit.probe import Forms
from belm_runtime.audit.relations import (
    Relation,
    Window,
    columns,
    determined,
    difference,
    fitted,
    residual,
    scale,
    share,
    window_of,
)
from belm_runtime.audit.unlisted import simple, unlisted
from belm_runtime.errors import InputError
from belm_runtime.grid import Grid

#: How many candidates of each kind are compared coefficient by coefficient.
_SHORTLIST = 12


@dataclass(frozen=True)
class Match:
    """A candidate and how far the run is from it.

    Attributes:
        candidate: the method.
        deviations: for rows N … 1 what the row leaves, relative to the size of the state.
        tolerance: what counts as rounding.
        window: (states, slopes) that most rows of the run need.
        fitted: whether a parameter was found from the run: it makes any run look nearer, so counts against it.
    """

    candidate: Candidate
    deviations: np.ndarray
    tolerance: float
    window: Window
    fitted: bool = False

    @property
    def exact(self) -> bool:
        """Whether every row holds."""
        return bool((self.deviations <= self.tolerance).all())

    @property
    def differing(self) -> list[int]:
        """The steps n = 0 … N - 1 whose row does not hold."""
        return np.flatnonzero(~(self.deviations <= self.tolerance)).tolist()

    @property
    def _rank(self) -> tuple[int, int, int, int, int, float]:
        count = len(self.differing)
        most = count if 2 * count <= len(self.deviations) else len(self.deviations)
        return (most, self.candidate.window != self.window, self.candidate.name == SOLVER and most > 0, self.fitted,
                count, float(np.minimum(self.deviations, 1).sum()))  # fmt: skip


def matches(forms: Forms, grid: Grid, prediction: str, tolerance: float) -> list[Match]:
    """How far a run is from every method that is looked for, the nearest by rows first.

    Members with a fitted parameter are made only where no other method matches, those with more of them last.
    """
    window = window_of(forms, tolerance)
    known = [compare(forms, c, window, tolerance) for c in fixed(grid, prediction)]
    if known and not any(match.exact and match.candidate.method for match in known):
        known += [compare(forms, c, window, tolerance) for c in exponential(grid, prediction)]
        members = _fitted(forms, grid, prediction, window)
        known += [replace(compare(forms, c, window, tolerance), fitted=True) for c in members]
        if not any(match.exact for match in known):
            own = fitted(forms, window, 1e-9)
            free = (compare(forms, c, window, tolerance) for c in unlisted(own, grid, prediction, window[0]))
            # With so many parameters only a run that holds in every row is one.
            known += [replace(match, fitted=True) for match in free if match.exact][:1]
    return sorted(known, key=lambda match: match._rank)


def nearest(forms: Forms, known: list[Match]) -> Match:
    """The nearest of ranked matches: by rows that hold, then by changed coefficients among the first few."""
    if known[0].exact:
        return known[0]
    shortlist = [m for kind in (False, True) for m in [m for m in known if m.fitted is kind][:_SHORTLIST]]
    return min(shortlist, key=lambda match: (match._rank[0], _changes(forms, match), *match._rank[1:]))


def _changes(forms: Forms, match: Match) -> float:
    """At how many nodes the terms of a row that does not hold have to change, on average.

    A slope enters a row as its A_j and its B_j, so the two count once.
    """
    near, window, counts = match.candidate, match.window, []
    for n in match.differing:
        names, _ = columns(forms, n)
        changed = np.flatnonzero(difference(forms, near, n, window, match.tolerance))
        counts.append(len({names[c][2:] for c in changed}))
    return float(np.mean(counts)) + 0.5 * match.fitted


def compare(forms: Forms, candidate: Candidate, window: Window, tolerance: float) -> Match:
    """How far a run is from a candidate; window: what most rows of the run need."""
    values = []
    for n in range(forms.calls):
        left, size = residual(forms, candidate, n), scale(forms, n)
        plain = share(left, size)
        # A row that holds once a constant is read as a prediction's weight is nearer, but does not hold.
        values.append(plain if plain <= tolerance else max(share(folded(left, n), size), 2 * tolerance))
    return Match(candidate, np.array(values), tolerance, window)


def holding(forms: Forms, candidates: Iterable[Candidate], tolerance: float) -> Match | None:
    """The first candidate whose rows all hold; the last rows, which tell methods apart, are looked at first."""
    for candidate in candidates:
        rows = range(forms.calls - 1, -1, -1)
        if all(share(residual(forms, candidate, n), scale(forms, n)) <= tolerance for n in rows):
            return compare(forms, candidate, window_of(forms, tolerance), tolerance)
    return None


def folded(left: np.ndarray, n: int) -> np.ndarray:
    """A residual with its constant given back to the row's predictions: what a forgotten factor `· prediction` leaves.

    A weight that multiplies nothing is missing in a prediction's: the constant is what the predictions lack together.
    """
    together, lacking = left.copy(), left[max(n + 2 - SLOPES, 1) : n + 2]
    if total := float(lacking.sum()):
        together[max(n + 2 - SLOPES, 1) : n + 2] = lacking * (1 + left[-1] / total)
        together[-1] = 0
    return together


def _fitted(forms: Forms, grid: Grid, prediction: str, window: Window) -> Iterator[Candidate]:
    """Members with the parameter that whole rows ask for, and with the one that their oldest state asks for."""
    own = fitted(forms, window, 1e-9)
    for line in lines(grid, prediction):
        for value in {simple(_of_rows(forms, line)), simple(_of_oldest(own, line))}:
            if value is None:
                continue
            try:
                yield line.member(value)
            except InputError:
                continue


def _of_oldest(own: list[Relation], line: Line) -> list[float]:
    """Values by the weight A_k, which faults in the slopes do not touch."""
    first, second = map(float, line.values)
    k, found = line.low.k, []
    for row in determined(own, k):
        low, high = line.low.A[row.i - 1, k - 1], line.high.A[row.i - 1, k - 1]
        if high != low:
            found.append(first + (row.A[k - 1] - low) / (high - low) * (second - first))
    return found


def _of_rows(forms: Forms, line: Line) -> list[float]:
    """Values by what the rows leave."""
    first, second = line.values
    found = []
    for n in range(line.low.k - 1, forms.calls):
        low, high = residual(forms, line.low, n), residual(forms, line.high, n)
        slope = (high - low) / float(second - first)
        if (size := float(slope @ slope)) > 0:
            found.append(float(first) - float(low @ slope) / size)
    return found
