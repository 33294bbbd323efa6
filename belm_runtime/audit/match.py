"""Which method a run is, or the nearest.

A run is a method's if every row of the method holds between its forms: then both make the same states from the same
noise and the same network. Parameters (theta, gamma) are affine in a row's residual, so each row gives a value; the
median over the rows is one that a fault at a few of them does not move. Of methods that do not match, the nearest is
the one with most rows in common; among the best of these the one that the fewest changed coefficients turn into the
run; then the one with the window of the run, then with the smallest deviations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from belm_runtime.audit.candidates import SOLVER, Candidate, Line, fixed, lines
from belm_runtime.audit.probe import Forms
from belm_runtime.audit.relations import Window, changes, residual, scale, window_of
from belm_runtime.errors import InputError
from belm_runtime.grid import Grid

#: How many candidates are compared coefficient by coefficient.
_SHORTLIST = 12
#: A fitted parameter this near to a simple fraction is that fraction.
_SIMPLE, _NEAR = 100, 2e-4


@dataclass(frozen=True)
class Match:
    """A candidate and how far the run is from it.

    Attributes:
        candidate: the method.
        deviations: for rows N … 1 what the row leaves, relative to the size of the state.
        tolerance: what counts as rounding.
        window: (states, slopes) that most rows of the run need.
    """

    candidate: Candidate
    deviations: np.ndarray
    tolerance: float
    window: Window

    @property
    def exact(self) -> bool:
        """Whether every row holds."""
        return bool((self.deviations <= self.tolerance).all())

    @property
    def differing(self) -> list[int]:
        """The steps n = 0 … N - 1 whose row does not hold."""
        return np.flatnonzero(~(self.deviations <= self.tolerance)).tolist()

    @property
    def _rank(self) -> tuple[int, int, int, float]:
        count = len(self.differing)
        most = count if 2 * count <= len(self.deviations) else len(self.deviations)
        return (most, self.candidate.window != self.window, self.candidate.name == SOLVER and most > 0,
                float(np.minimum(self.deviations, 1).sum()))  # fmt: skip


def nearest(forms: Forms, grid: Grid, prediction: str, tolerance: float) -> tuple[Match, Match]:
    """The nearest method, and the nearest of the catalogue; the same unless the first is none of the catalogue's."""
    window = window_of(forms, tolerance)
    known = [compare(forms, c, window, tolerance) for c in fixed(grid, prediction)]
    if not any(match.exact and match.candidate.method for match in known):
        fitted = [compare(forms, c, window, tolerance) for c in _fitted(forms, grid, prediction)]
        first = min(known, key=lambda match: match._rank)
        # A parameter that is free to fit is no evidence unless more rows hold by it.
        known += [match for match in fitted if match._rank[:2] < first._rank[:2]]
    own = [match for match in known if match.candidate.method is not None]
    return _best(forms, known), _best(forms, own)


def _best(forms: Forms, matches: list[Match]) -> Match:
    """The nearest: by rows that hold, then by changed coefficients among the first few."""
    first, *others = sorted(matches, key=lambda match: match._rank)[:_SHORTLIST]
    if first.exact:
        return first
    return min([first, *others], key=lambda match: (match._rank[0], _changes(forms, match), *match._rank[1:]))


def _changes(forms: Forms, match: Match) -> float:
    """How many coefficients of a row that does not hold have to change, on average."""
    counts = [changes(forms, match.candidate, n, match.tolerance) for n in match.differing]
    return sum(counts) / len(counts)


def compare(forms: Forms, candidate: Candidate, window: Window, tolerance: float) -> Match:
    """How far a run is from a candidate; window: what most rows of the run need."""
    left = [np.abs(folded(residual(forms, candidate, n), n)).max() / scale(forms, n) for n in range(forms.calls)]
    plain = [np.abs(residual(forms, candidate, n)).max() / scale(forms, n) for n in range(forms.calls)]
    # A row that holds once a constant is read as a prediction's weight is nearer, but does not hold.
    values = np.where(np.array(plain) <= tolerance, plain, np.maximum(left, 2 * tolerance))
    return Match(candidate, values, tolerance, window)


def folded(left: np.ndarray, n: int) -> np.ndarray:
    """A residual with its constant added to the newest prediction: what a forgotten factor `· prediction` leaves."""
    together = left.copy()
    together[n + 1] += together[-1]
    together[-1] = 0
    return together


def _fitted(forms: Forms, grid: Grid, prediction: str) -> Iterator[Candidate]:
    for line in lines(grid, prediction):
        value = _parameter(forms, line)
        if value is None:
            continue
        try:
            yield line.member(value, grid, prediction)
        except InputError:
            continue


def _parameter(forms: Forms, line: Line) -> Fraction | None:
    """The median of the values that the main rows ask for."""
    first, second = line.values
    found = []
    for n in range(line.low.k - 1, forms.calls):
        low, high = residual(forms, line.low, n), residual(forms, line.high, n)
        slope = (high - low) / float(second - first)
        if (size := float(slope @ slope)) > 0:
            found.append(float(first) - float(low @ slope) / size)
    if not found:
        return None
    value = float(np.median(found))
    simple = Fraction(value).limit_denominator(_SIMPLE)
    return simple if abs(simple - value) < _NEAR / _SIMPLE else Fraction(f"{value:.8f}")
