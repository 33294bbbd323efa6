"""Coefficient tables: what a method's relation is on an actual grid.

Row i makes x_{i-1}. In the frame (paper's normalisation) and in x, which no longer depends on a frame:

    X_{i-1} = Σ_j a_j X_{i-1+j} + Σ_j b_j h_{i-1+j} f_{i-1+j},
    x_{i-1} = Σ_j A_j x_{i-1+j} + Σ_j B_j eps_{i-1+j}.

With f = P·prediction + R·x and X = x/w one has, for any prediction in place of eps,

    A_j = w_{i-1}(a_j/w_{i-1+j} + b_j h_{i-1+j} R_{i-1+j}),    B_j = w_{i-1} b_j h_{i-1+j} P_{i-1+j}.

The first k - 1 rows (i = N … N-k+2) are start rows: Adams–Bashforth of rising order, or DDIM throughout. Exponential
variants start with exponential rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from belm_runtime import designs, exponential, methods
from belm_runtime.designs import STARTS
from belm_runtime.errors import InputError, unknown
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_runtime.stages import StageTable

Scalars = tuple[Any, ...]


@dataclass(frozen=True)
class Row:
    """One relation of a table; i is the node it starts from, so it makes x_{i-1}.

    Attributes:
        i: from N down to 1.
        start: whether this is a start row.
        a: k weights of the frame's states.
        b: k - 1 weights of the frame's slopes, to be multiplied by h.
        A: k weights of x; None where no x-form exists (alpha_N = 0).
        B: k - 1 weights of eps; None likewise.
    """

    i: int
    start: bool
    a: Scalars
    b: Scalars
    A: Scalars | None
    B: Scalars | None


@dataclass(frozen=True)
class Table:
    """The relations of a method on a grid, as arrays; row index i - 1.

    Attributes:
        method: the method.
        frame: the frame its relations are written in.
        grid: the grid.
        start: ``adams`` or ``ddim``.
        h: steps s_i - s_{i-1}, N entries.
        w: frame weights, N + 1 entries.
        a: N rows of k weights.
        b: N rows of k - 1 weights.
    """

    method: Method
    frame: Frame
    grid: Grid
    start: str
    h: np.ndarray
    w: np.ndarray
    a: np.ndarray
    b: np.ndarray

    @property
    def k(self) -> int:
        """Steps of the relation."""
        return self.method.k

    def is_start(self, i: int) -> bool:
        """Whether row i is a start row."""
        return i > self.grid.steps - self.k + 1

    def x_form(self, prediction: str = "epsilon") -> tuple[np.ndarray, np.ndarray]:
        """(A, B) of every row for a prediction; entries are not finite where no x-form exists.

        Args:
            prediction: ``epsilon`` (what tables print), ``v``, ``sample`` or ``flow``.
        """
        n, k = self.a.shape
        with np.errstate(divide="ignore", invalid="ignore"):
            P, R = self.slopes(prediction)
        A, B = np.zeros_like(self.a), np.zeros_like(self.b)
        for j in range(1, k + 1):
            # Start rows are padded: the nodes they would not reach have weight 0.
            node = np.minimum(np.arange(n) + j, n)
            A[:, j - 1] = self.w[:-1] * self.a[:, j - 1] / self.w[node]
            if j < k:
                bh = self.w[:-1] * self.b[:, j - 1] * self.h[node - 1]
                used = bh != 0
                A[used, j - 1] += bh[used] * R[node][used]
                B[used, j - 1] = bh[used] * P[node][used]
        return A, B

    def slopes(self, prediction: str) -> tuple[np.ndarray, np.ndarray]:
        """(P, R) of f = P·prediction + R·x at nodes 1 … N; index 0 is not used by any row and holds zeros."""
        alpha, sigma = self.grid.alpha, self.grid.sigma
        P, R = np.zeros_like(self.w), np.zeros_like(self.w)
        if self.w.dtype == object:
            pairs = [self._slope(prediction, alpha[i], sigma[i]) for i in range(1, len(alpha))]
            P[1:], R[1:] = [p for p, _ in pairs], [r for _, r in pairs]
        else:
            P[1:], R[1:] = self.frame.slope(prediction, alpha[1:], sigma[1:])
        return P, R

    def _slope(self, prediction: str, alpha: Fraction, sigma: Fraction) -> tuple[Any, Any]:
        """(P, R) at a node of an exact grid; fractions have no infinity, so NaN stands for what does not exist."""
        try:
            return self.frame.slope(prediction, alpha, sigma)
        except ZeroDivisionError:
            return math.nan, math.nan

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows from i = N down to 1."""
        A, B = self.x_form()
        exists = [all(map(math.isfinite, (*a, *b))) for a, b in zip(A.tolist(), B.tolist(), strict=True)]
        lists = [array.tolist() for array in (self.a, self.b, A, B)]
        return tuple(
            Row(i, self.is_start(i), tuple(a), tuple(b), tuple(A) if ok else None, tuple(B) if ok else None)
            for i, (a, b, A, B, ok) in reversed(list(enumerate(zip(*lists, exists, strict=True), 1)))
        )


def coefficients(
    method: Method | str, grid: Grid, *, frame: Frame | str | float | None = None, start: str | None = None
) -> Any:
    """The coefficient table of a method on a grid.

    Args:
        method: object or string; a design's name or path brings its frame and start.
        grid: the grid; exact if it holds fractions.
        frame: ``noise``, ``flow``, ``data`` or a number q >= 0; default: the design's or the method's natural frame.
        start: ``adams`` (rising order) or ``ddim`` (the paper's); default: the design's, or adams.

    Returns:
        A `Table`, or a `belm_runtime.stages.StageTable` for EDICT.

    Raises:
        InputError: unknown names; a frame that is not finite on this grid; what `exponential.check` refuses.
    """
    method, chosen, usual = on_grid(method, grid, frame)
    start = usual if start is None else start
    if start not in STARTS:
        raise unknown("start", start, STARTS)
    h = np.diff(chosen.coordinate(grid.alpha, grid.sigma))
    w = chosen.weight(grid.alpha, grid.sigma)
    if method.stages:
        return StageTable(method, chosen, grid, h, w)
    a, b = _relations(method.plain, h, w, start)
    if method.exponential:
        b = exponential.slope_weights(chosen, grid, a, b, h, _slope_counts(grid.steps, method.k, start))
    return Table(method, chosen, grid, start, h, w, a, b)


def named(
    method: Method | str, steps: int, frame: Frame | str | float | None = None
) -> tuple[Method, Frame, str]:  # fmt: skip
    """The method that is named, the frame it runs in, and its usual start, on a grid of N steps.

    Frame and start are a design's; else the frame is the natural one by default, and the start adams.

    Raises:
        InputError: unknown names.
    """
    design, start = designs.find(method), STARTS[0]
    if design is None:
        method = methods.parse(method, steps)
    else:
        method, start = methods.with_damping(design.method, design.damping, steps), design.start
        frame = design.frame if frame is None else frame
    return method, method.frame if frame is None else Frame.parse(frame), start


def on_grid(
    method: Method | str, grid: Grid, frame: Frame | str | float | None = None
) -> tuple[Method, Frame, str]:  # fmt: skip
    """As `named`, and the frame is finite on this grid.

    Raises:
        InputError: unknown names; a frame that is not finite on this grid, another than a two-register method's own, or
            the data frame for a method that needs positive steps; what `exponential.check` refuses.
    """
    method, chosen, start = named(method, grid.steps, frame)
    if method.exponential:
        exponential.check(str(method), method.k, chosen, grid)
    if method.stages and chosen != method.frame:
        raise InputError(f"{method} is defined in the {method.frame} frame only, not in {chosen}")
    if chosen.q == 0 and grid.alpha[-1] == 0:
        advice = "use another method, such as blend:k=3" if method.stages else "use frame='flow' or another method"
        raise InputError(
            f"{method} in the noise frame needs alpha > 0, but this grid has alpha_N = 0 (sbar is infinite there); "
            f"{advice}"
        )
    if chosen.q is None and method.needs_positive_steps:
        raise InputError(
            f"{method} weighs the lengths of positive steps, and those of the data frame are negative; use frame='flow'"
        )
    if chosen.q is None and grid.sigma[0] == 0:
        raise InputError("the data frame needs sigma_0 > 0, but this grid has sigma_0 = 0; make it with end='first'")
    return method, chosen, start


def _relations(method: Method, h: np.ndarray, w: np.ndarray, start: str) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) of every row: the generated functions on slices of h and w, all main rows at once."""
    n, k = len(h), method.k
    convert = Fraction if h.dtype == object else float
    a, b = np.zeros((n, k), h.dtype), np.zeros((n, k - 1), h.dtype)
    main = n - k + 1
    if main > 0:
        steps = {f"h{j}": h[j - 1 : j - 1 + main] for j in range(1, k + 1)}
        weights = {f"w{j}": w[j : j + main] for j in range(k + 1)}
        main_a, main_b = method.coefficients(steps, weights, convert)
        for j, weight in enumerate(main_a):
            a[:main, j] = weight
        for j, weight in enumerate(main_b):
            b[:main, j] = weight
    for i, order in list(enumerate(_slope_counts(n, k, start), 1))[max(main, 0) :]:
        a[i - 1, 0] = 1
        b[i - 1, :order] = adams_weights(h[i - 1 :], order)
    return a, b


def _slope_counts(n: int, k: int, start: str) -> list[int]:
    """How many slopes enter the rows i = 1 … N: k - 1, and fewer in start rows."""
    return [min(k - 1, 1 if start == "ddim" and i > n - k + 1 else n - i + 1) for i in range(1, n + 1)]


def adams_weights(h: np.ndarray, order: int) -> Scalars:
    """Slope weights b of Adams–Bashforth of the given order for the steps h1, h2, … (nearest first).

    The last step of the relation does not enter b (a_k = 0), so it need not exist on the grid.
    """
    steps = {f"h{j}": h[min(j, len(h)) - 1] for j in range(1, order + 2)}
    _, b = methods.make("adams", m=order).coefficients(steps, {}, Fraction if h.dtype == object else float)
    return b
