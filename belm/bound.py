"""The global error bound on a concrete grid, in exact fractions: derivations/convergence_bound.py with its numbers.

With K the stability constant in sampling, tau_i the local error of row i, L_m a Lipschitz constant of f in X at node m
and beta_i = Σ_j L_{i-1+j}·|b_{i,j} h_{i-1+j}|,

    ‖error‖_oo <= K·(start + Σ|tau_i|)·Π(1 + K·beta_i)    over the rows i = N-k+1 … 1, at every node that they make.

One number L for all nodes gives the familiar K·L·Σ|b h| in the exponent. A constant for each node gives far less where
f flattens: in the noise frame the slope of one Gaussian has L(s) = s/(c² + s²), which is 1/(2c) at most, but over a
grid that ends at s_N it sums to about log(s_N/c) instead of s_N/(2c). K and beta are upper ends of balls, other
numbers are read as the exact fractions that they are, so the bound is not below the true one. Rounding in a run is a
local error too; it is not counted unless the caller adds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from belm.enclose import Setting, prepare
from belm_runtime.errors import InputError
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_runtime.table import Table
from belm_theory import balls
from belm_theory.convergence import product_bound

Number = int | float | Fraction


@dataclass(frozen=True)
class ErrorBound:
    """The bound and what it is made of.

    Attributes:
        constant: an upper bound of K.
        start: the largest error of the k starting values.
        local: |tau_i| of the main rows.
        slopes: upper bounds of beta_i, Lipschitz constants included, of the rows i = N-k+1 … 1.
        value: the bound, in the frame's X.
    """

    constant: Fraction
    start: Fraction
    local: tuple[Fraction, ...]
    slopes: tuple[Fraction, ...]
    value: Fraction

    @property
    def log10(self) -> float:
        """log10 of the value, which may lie beyond the range of floats; -inf for 0."""
        top, bottom = self.value.numerator, self.value.denominator
        return math.log10(top) - math.log10(bottom) if top else -math.inf


def error_bound(
    method: Method | str, grid: Grid, lipschitz: Number | Sequence[Number], local: Iterable[Number],
    start: Number = 0, *, frame: Frame | str | None = None,
) -> ErrorBound:  # fmt: skip
    """K·(start + Σ|tau_i|)·Π(1 + K·beta_i), exactly.

    Args:
        method: object or string; EDICT is not a relation and has no such bound here.
        grid: the grid.
        lipschitz: L of f in the frame's X >= 0: one number, or N + 1 numbers, one a node.
        local: |tau_i| of the N - k + 1 main rows, or upper bounds of them; only their sum enters.
        start: the largest error of the k starting values.
        frame: default the method's natural frame.

    Raises:
        InputError: EDICT; a frame that is not finite on this grid; a number that is negative or not finite, or not as
            many numbers as there are nodes and rows.
    """
    setting = prepare(method, grid, frame)
    if setting.method.stages:
        raise InputError(f"{setting.method} has two registers; the error bound is for relations such as o-belm")
    rows = max(grid.steps - setting.method.k + 1, 0)
    given = [lipschitz] * (grid.steps + 1) if isinstance(lipschitz, int | float | Fraction) else list(lipschitz)
    sizes = _fractions("lipschitz", given, grid.steps + 1, "nodes")
    errors = _fractions("local", list(local), rows, "main rows")
    (first,) = _fractions("start", [start], 1, "number")
    constant, slopes = _constant_and_slopes(setting, sizes)
    value = product_bound(constant, first, errors, slopes, Fraction(1))
    return ErrorBound(constant, first, tuple(errors), tuple(slopes), value)


def local_errors(table: Table, states: np.ndarray, slopes: np.ndarray) -> list[float]:
    """|tau_i| of the main rows i = N-k+1 … 1: how far an exact solution is from satisfying each relation.

    Args:
        table: the relations.
        states: X at nodes 0 … N of the exact solution, shape (N + 1, …), in the table's frame.
        slopes: f at the same nodes; node 0 and node N are not used.
    """
    found = []
    for i in range(table.grid.steps - table.k + 1, 0, -1):
        made = sum((a * states[i + j] for j, a in enumerate(table.a[i - 1])), np.zeros_like(states[0]))
        for j, b in enumerate(table.b[i - 1]):
            made = made + b * table.h[i - 1 + j] * slopes[i + j]
        found.append(float(np.abs(states[i - 1] - made).max()))
    return found


def _constant_and_slopes(setting: Setting, lipschitz: list[Fraction]) -> tuple[Fraction, list[Fraction]]:
    """Upper bounds of K and of beta_i, rows i = N-k+1 … 1."""
    matrices, _, weights = setting.maps()
    sizes = [balls.exact(value) for value in lipschitz]
    slopes = []
    for i, row in zip(range(len(weights), 0, -1), weights, strict=True):
        total = sum((weight * sizes[i + j] for j, weight in enumerate(row)), balls.exact(0))
        slopes.append(balls.upper(total))
    return balls.enclose(matrices).upper, slopes


def _fractions(name: str, values: list[Number], count: int, what: str) -> list[Fraction]:
    if len(values) != count:
        raise InputError(f"{name} has {len(values)} entries; it needs {count}, one for each of the {what}")
    for value in values:
        if not 0 <= value < math.inf:
            raise InputError(f"{name} = {value} must be finite and at least 0")
    return [Fraction(value) for value in values]
