"""The known methods on the subject's grid, in x and the network's own prediction, to compare a run with.

    x_{i-1} = Σ_j A_j x_{i-1+j} + Σ_j B_j p_{i-1+j}

Every family of the catalogue in every frame that is finite on the grid, and its exponential variants (exp-adams in the
noise frame is DEIS); and one method that is not in the catalogue, the DPM-Solver++(2M) of Lu et al. 2022 (2211.01095),
algorithm 2: in the data frame, with rho the ratio of the steps in log(alpha/sigma), its slope weights are -(1 + rho/2)
and rho·h1/(2·h2).

In the data frame the last step to clean data, sigma_0 = 0, does not exist; Euler, x_0 = D, stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from belm_runtime import methods
from belm_runtime._generated.catalogue import FAMILIES
from belm_runtime.errors import InputError
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_runtime.table import Table, coefficients

#: Most states and slopes of a relation that is looked for.
STATES, SLOPES = 5, 4
SOLVER = "dpm-solver++(2m)"
_EQUAL = {("adams", 1), ("belm", 2)}  # ddim and o-belm
#: Families that are no lines, not affine in m or of several parameters: `belm_runtime.audit.unlisted` finds these.
_NO_LINES = {"damped", "weights"}


@dataclass(frozen=True)
class Candidate:
    """A method on a grid.

    Attributes:
        name: a method string, or the name of a method that the catalogue does not have.
        method: the catalogue's method; None for others.
        frame: the frame of its relations.
        start: ``adams`` or ``ddim``.
        A: shape (N, 5), row i at index i - 1, padded with 0.
        B: shape (N, 4), likewise.
        k: steps of its relation; rows i <= N - k + 1 are main rows.
    """

    name: str
    method: Method | None
    frame: Frame
    start: str
    A: np.ndarray
    B: np.ndarray
    k: int

    def on(self, grid: Grid, prediction: str) -> Candidate:
        """The same method on another grid.

        Raises:
            InputError: no finite coefficients there.
        """
        if self.method is None:
            return solver(grid, prediction)
        return of_method(self.method, grid, prediction, self.frame, self.start)

    @property
    def window(self) -> tuple[int, int]:
        """(states, slopes) that enter its main rows."""
        # A typical row: the last may differ from the others.
        middle = min(max(len(self.A) - self.k, 0), 1)
        used = [np.flatnonzero(row[middle]) for row in (self.A, self.B)]
        return int(used[0].max(initial=0)) + 1, int(used[1].max(initial=0)) + 1


@dataclass(frozen=True)
class Line:
    """A family with one free parameter, in which its relations are affine: two members span it."""

    low: Candidate
    high: Candidate
    family: str
    whole: dict[str, int]
    parameter: str
    values: tuple[Fraction, Fraction]

    def member(self, value: Fraction) -> Candidate:
        """The member with that value.

        Raises:
            InputError: the value is outside the family's range.
        """
        method = methods.make(self.family, **self.whole, **{self.parameter: value})
        if self.low.method is not None and self.low.method.exponential:
            method = methods.exponential(method)
        return replace(self.at(float(value)), name=str(method), method=method)

    def at(self, value: float) -> Candidate:
        """The weights at a value, under the name of one end."""
        first, second = map(float, self.values)
        share = (value - first) / (second - first)
        A, B = (low + share * (high - low) for low, high in ((self.low.A, self.high.A), (self.low.B, self.high.B)))
        return replace(self.low, A=A, B=B)


def of_method(method: Method | str, grid: Grid, prediction: str, frame: Frame | str | None = None,
              start: str = "adams") -> Candidate:  # fmt: skip
    """A method of one call a step as a candidate.

    Raises:
        InputError: no finite coefficients on this grid.
    """
    method = methods.parse(method)
    frame = method.frame if frame is None else Frame.parse(frame)
    open_end = frame.q is None and grid.sigma[0] == 0
    table = coefficients(method, _above(grid) if open_end else grid, frame=frame, start=start)
    assert isinstance(table, Table)
    return _candidate(str(method), method, table, grid, prediction, open_end)


def solver(grid: Grid, prediction: str) -> Candidate:
    """DPM-Solver++(2M); a first-order step at either end where the other does not exist."""
    data = Frame.parse("data")
    open_end = grid.sigma[0] == 0
    part = _above(grid) if open_end else grid
    table = coefficients("adams:m=2", part, frame=data)
    assert isinstance(table, Table)
    logsnr = np.log(part.alpha / part.sigma)
    step = logsnr[:-1] - logsnr[1:]
    b = table.b.copy()
    rho = step[:-1] / step[1:]
    b[:-1] = np.stack([-(1 + rho / 2), rho * table.h[:-1] / (2 * table.h[1:])], 1)
    b[-1] = (-1, 0)
    own = Table(table.method, data, part, "adams", table.h, table.w, table.a, b)
    return _candidate(SOLVER, None, own, grid, prediction, open_end)


@lru_cache(maxsize=4)
def fixed(grid: Grid, prediction: str) -> tuple[Candidate, ...]:
    """All candidates without a free parameter, ddim first; no exponential variants, and none that repeats another."""
    found = [c for method in _members() if not _free(method) for c in variants(method, grid, prediction)]
    with suppress(InputError), np.errstate(all="ignore"):
        found.append(solver(grid, prediction))
    return _unlike([c for c in found if _finite(c)])


@lru_cache(maxsize=4)
def exponential(grid: Grid, prediction: str) -> tuple[Candidate, ...]:
    """The exponential variants of the methods without a free parameter; with one slope they are the methods."""
    members = [methods.exponential(method) for method in _members() if not _free(method) and method.k > 2]
    return _unlike([c for method in members for c in variants(method, grid, prediction)], fixed(grid, prediction))


def _unlike(candidates: Sequence[Candidate], before: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
    """Candidates without those that repeat an earlier one, as starting steps alone do on a short grid."""
    kept, known = list[Candidate](), [np.append(c.A, c.B) for c in before]
    for c in candidates:
        weights = np.append(c.A, c.B)
        if not known or (np.abs(np.stack(known) - weights) > 1e-9 * (1 + np.abs(weights))).any(1).all():
            kept.append(c)
            known.append(weights)
    return tuple(kept)


@lru_cache(maxsize=4)
def lines(grid: Grid, prediction: str) -> tuple[Line, ...]:
    """All families with a free parameter, the exponential variants last."""
    half, one, found = Fraction(1, 2), Fraction(1), list[Line]()
    pairs = [(low, free) for low in _members(half) if (free := _free(low))]
    for variant in (False, True):
        for low, free in pairs:
            whole = {name: int(value) for name, value in low.parameters if name != free}
            ends = low, methods.make(low.family, **whole, **{free: one})
            if variant and low.k == 2:
                continue
            made = (variants(methods.exponential(end) if variant else end, grid, prediction) for end in ends)
            found += [Line(a, b, low.family, whole, free, (half, one)) for a, b in zip(*made, strict=True)]
    return tuple(found)


def _free(method: Method) -> str:
    """The name of a family's parameter that is no whole number, or nothing."""
    return next((p["name"] for p in FAMILIES[method.family]["parameters"] if not p["whole"]), "")


def _members(value: Fraction | None = None) -> Iterator[Method]:
    """One member of each family and shape, real parameters at the given value; schemes and no lines are left out."""
    for family, facts in FAMILIES.items():
        if facts["stages"] or family in _NO_LINES:
            continue
        real = {p["name"]: value for p in facts["parameters"] if not p["whole"] and value is not None}
        shapes = [p for p in facts["parameters"] if p["whole"]]
        for shape in range(shapes[0]["low"], shapes[0]["high"] + 1) if shapes else (0,):
            if (family, shape) not in _EQUAL:
                yield methods.make(family, **({shapes[0]["name"]: shape} if shapes else {}), **real)


def variants(
    method: Method, grid: Grid, prediction: str, frames: tuple[str, ...] = ("noise", "flow", "data")
) -> Iterator[Candidate]:
    """The method in these frames, its natural one first, with either start; ddim is the same in all of them."""
    ordered = sorted(frames, key=lambda frame: frame != str(method.frame))
    for frame in ordered[:1] if method.family == "ddim" else ordered:
        for start in ("adams", "ddim") if method.k > 2 else ("adams",):
            try:
                with np.errstate(all="ignore"):
                    made = of_method(method, grid, prediction, frame, start)
            except InputError:
                continue
            if _finite(made):
                yield made


def _candidate(
    name: str, method: Method | None, table: Table, grid: Grid, prediction: str, open_end: bool
) -> Candidate:  # fmt: skip
    n = grid.steps
    A, B = np.zeros((n, STATES)), np.zeros((n, SLOPES))
    with np.errstate(all="ignore"):
        a, b = table.x_form(prediction)
        if open_end:
            last = coefficients("ddim", grid)
            (first_a, first_b) = (form[:1] for form in last.x_form(prediction))
            A[0, :2], B[0, :1] = first_a, first_b
    A[n - len(a) :, : a.shape[1]], B[n - len(b) :, : b.shape[1]] = a, b
    return Candidate(name, method, table.frame, table.start, A, B, table.k)


def _above(grid: Grid) -> Grid:
    """The grid without node 0.

    Raises:
        InputError: nothing is left.
    """
    return Grid.from_arrays(*(getattr(grid, key)[1:] for key in ("alpha", "sigma", "timesteps")))


def _finite(candidate: Candidate) -> bool:
    return bool(np.isfinite(candidate.A).all() and np.isfinite(candidate.B).all())
