"""From forms to relations: the fewest states and slopes that make each state, and how they differ from a candidate's.

Call n is made at node i = N - n, and row i is the relation that makes node i - 1,

    Z_{n+1} = Σ_j A_j Z_{n+1-j} + Σ_j B_j e_{n+1-j} + C e_1,

e_m being the unit vector of p_m. The first rows do not determine their coefficients alone: what is not determined is
taken as near as possible to a candidate's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from belm_runtime.audit.candidates import SLOPES, STATES, Candidate
from belm_runtime.audit.probe import Forms

Window = tuple[int, int]
#: Directions of weights that a row shows at less than this share of its largest are not read off it.
_DETERMINED = 1e-3
#: Rounding times this is felt beside a tolerance of 1e-5, tenfold.
_FELT = 1e6
#: All windows, the smallest first.
WINDOWS = sorted(((s, m) for s in range(1, STATES + 1) for m in range(1, SLOPES + 1)), key=lambda w: (sum(w), w[0]))


@dataclass(frozen=True)
class Relation:
    """The recovered row i: x_{i-1} = Σ A_j x_{i-1+j} + Σ B_j p_{i-1+j} + C.

    Attributes:
        i: the node it starts from.
        A: 5 weights of states.
        B: 4 weights of predictions.
        C: a constant, 0 in every correct sampler.
        window: how many states and slopes it needs.
        residual: what it leaves of the state it makes.
    """

    i: int
    A: np.ndarray
    B: np.ndarray
    C: float
    window: Window
    residual: float


@lru_cache(maxsize=1024)
def columns(forms: Forms, n: int) -> tuple[list[str], np.ndarray]:
    """Names and forms of what may make Z_{n+1}: A_1 …, B_1 …, C."""
    width = forms.Z.shape[1]
    states = [(f"A_{j}", forms.Z[n + 1 - j]) for j in range(1, min(STATES, n + 1) + 1)]
    slopes = [(f"B_{j}", np.eye(width)[n + 2 - j]) for j in range(1, min(SLOPES, n + 1) + 1)]
    named = [*states, *slopes, ("C", np.eye(width)[-1])]
    return [name for name, _ in named], np.stack([form for _, form in named], 1)


def residual(forms: Forms, candidate: Candidate, n: int) -> np.ndarray:
    """What the candidate's row leaves of Z_{n+1}."""
    names, table = columns(forms, n)
    return forms.Z[n + 1] - table @ expected(candidate, forms.calls - n, names)


def expected(candidate: Candidate, i: int, names: list[str]) -> np.ndarray:
    """The candidate's coefficients of row i, in the order of `columns`."""
    states, slopes = (sum(name[0] == kind for name in names) for kind in "AB")
    return np.concatenate([candidate.A[i - 1, :states], candidate.B[i - 1, :slopes], [0.0]])


@lru_cache(maxsize=1024)
def scale(forms: Forms, n: int) -> np.ndarray:
    """The sizes that the coordinates of a deviation at step n are measured by: of one coordinate in the states near.

    Entries of a batch are rounded by themselves, so where x_N enters with 2e4 a prediction that enters with 1 is not
    blurred by that; but intermediate results of a step may be as large, which rounding of 1e-7 makes felt.
    """
    near = np.abs(forms.Z[max(n + 1 - STATES, 0) : n + 2])
    felt = min(1.0, _FELT * forms.rounding) * near.max()
    return np.maximum(near.max(0), max(1.0, felt))


def share(left: np.ndarray, size: np.ndarray) -> float:
    """The largest coordinate of what is left, each relative to its size."""
    return float((np.abs(left) / size).max())


def window_of(forms: Forms, tolerance: float) -> Window:
    """The smallest window that fits most rows that it could be told from: those with more forms than weights."""
    best = WINDOWS[-1]
    for s, m in WINDOWS:
        rows = range(s + m - 1, forms.calls)
        fits = [_fit(forms, n, (s, m))[1] <= tolerance for n in rows]
        if fits and 2 * sum(fits) > len(fits):
            return s, m
    return best


def recover(forms: Forms, window: Window, near: Candidate, tolerance: float) -> list[Relation]:
    """The relations of a run, rows N … 1.

    Args:
        forms: one call a step.
        window: that of most rows.
        near: where a row leaves its coefficients open, this candidate's are taken.
        tolerance: of the residual.
    """
    found = []
    for n in range(forms.calls):
        names, table = columns(forms, n)
        prior = expected(near, forms.calls - n, names)
        deviation = difference(forms, near, n, window, tolerance)
        coefficients = prior + deviation
        if not _explains(forms, n, deviation, near, tolerance):
            coefficients, _ = _smallest(forms, n, window, tolerance)
        coefficients = _measured(table, forms.Z[n + 1], coefficients)
        left = share(forms.Z[n + 1] - table @ coefficients, scale(forms, n))
        found.append(_relation(forms.calls - n, names, coefficients, left, tolerance))
    return found


def _measured(table: np.ndarray, made: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights that hold up to rounding, moved to what the run itself shows, as far as it determines them."""
    used = np.flatnonzero(weights)
    better = weights.copy()
    better[used] += np.linalg.lstsq(table[:, used], made - table @ weights, rcond=_DETERMINED)[0]
    return better


def fitted(forms: Forms, window: Window, tolerance: float) -> list[Relation]:
    """Rows N … 1 without a candidate: the weights of the window, or of the smallest that fits."""
    found = []
    for n in range(forms.calls):
        names, _ = columns(forms, n)
        weights, left = _smallest(forms, n, window, tolerance)
        found.append(_relation(forms.calls - n, names, weights, left, tolerance))
    return found


def difference(forms: Forms, near: Candidate, n: int, window: Window, tolerance: float) -> np.ndarray:
    """The simplest change of coefficients that makes the candidate's row true; zeros where it is true already.

    In this order: one coefficient, two that changed places, any two (where the row determines them), all in the window
    of the run, in that of run and candidate, all there are; of several of a kind the one that leaves least.
    """
    names, table = columns(forms, n)
    left, size, count = residual(forms, near, n), scale(forms, n), len(names)
    right = expected(near, forms.calls - n, names)
    both = max(window[0], near.window[0]), max(window[1], near.window[1])
    order = sorted(range(count), key=lambda c: (names[c] == "C", int(names[c][2:] or 0), names[c]))
    # Forms of step n have n + 3 coordinates: x_N, p_0 … p_n and 1. Early ones are explained by almost any coefficients,
    # so only those that are used elsewhere are asked.
    determined = sum(_within(name, window) for name in names) <= n + 3
    likely = [c for c in order if n >= sum(both) or _within(names[c], both)]
    pairs = list(combinations(likely, 2))

    scaled, rest = table / size[:, None], left / size

    def tried(changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return changes, np.abs(rest - changes @ scaled.T).max(1, initial=0.0)

    def solved(sets: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.array(sets)
        changes = np.zeros((len(sets), count))
        np.put_along_axis(changes, chosen, np.linalg.pinv(scaled[:, chosen].transpose(1, 0, 2)) @ rest, 1)
        return tried(changes)

    def groups() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield tried(np.zeros((1, count)))
        yield solved([[c] for c in likely])
        swaps = [_swap(right, p, q) for p, q in pairs if right[p] * right[q] != 0 and names[p][0] == names[q][0]]
        yield tried(np.array(swaps).reshape(-1, count))
        if determined:
            yield solved(pairs)
        for block in (window, both):
            yield solved([[c for c in order if _within(names[c], block)]])

    for changes, lefts in groups():
        if len(lefts) and lefts.min() <= tolerance:
            # A small difference is within the tolerance of many changes, but of one only down to rounding.
            return np.asarray(changes[int((lefts <= max(10 * lefts.min(), 1e-9)).argmax())])
    return np.asarray(solved([order])[0][0])


def _swap(right: np.ndarray, p: int, q: int) -> np.ndarray:
    change = np.zeros(len(right))
    change[p], change[q] = right[q] - right[p], right[p] - right[q]
    return change


def _within(name: str, window: Window) -> bool:
    return name == "C" or int(name[2:]) <= window["AB".index(name[0])]


def _explains(forms: Forms, n: int, change: np.ndarray, near: Candidate, tolerance: float) -> bool:
    _, table = columns(forms, n)
    return share(residual(forms, near, n) - table @ change, scale(forms, n)) <= tolerance


def _fit(forms: Forms, n: int, window: Window) -> tuple[np.ndarray, float]:
    """The weights of a window and what they leave, relative."""
    names, table = columns(forms, n)
    inside = [c for c, name in enumerate(names) if _within(name, window)]
    size = scale(forms, n)
    solved, *_ = np.linalg.lstsq(table[:, inside] / size[:, None], forms.Z[n + 1] / size, rcond=None)
    weights = np.zeros(len(names))
    weights[inside] = solved
    return weights, share(forms.Z[n + 1] - table @ weights, size)


def determined(own: Sequence[Relation], k: int) -> list[Relation]:
    """Of rows N … 1 those after the first k - 1 with no more weights than coordinates: x_N, p_0 … p_n and 1."""
    return [row for n, row in enumerate(own) if n >= max(k - 1, sum(row.window) - 2)]


def _smallest(forms: Forms, n: int, window: Window, tolerance: float) -> tuple[np.ndarray, float]:
    """The weights of the given window, or of the smallest that fits."""
    for candidate in (window, *WINDOWS):
        weights, left = _fit(forms, n, candidate)
        if left <= tolerance:
            break
    return weights, left


def _relation(i: int, names: list[str], weights: np.ndarray, left: float, tolerance: float) -> Relation:
    found = dict(zip(names, weights.tolist(), strict=True))
    A = np.array([found.get(f"A_{j}", 0.0) for j in range(1, STATES + 1)])
    B = np.array([found.get(f"B_{j}", 0.0) for j in range(1, SLOPES + 1)])
    small = min(tolerance / 100, 1e-8)
    used = [int(np.flatnonzero(np.abs(v) > small).max(initial=0)) + 1 for v in (A, B)]
    return Relation(i, A, B, found["C"], (used[0], used[1]), left)
