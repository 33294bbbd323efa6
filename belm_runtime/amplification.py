"""Stability constants of an actual table, in floating point.

R_i is the companion matrix of row i on (X_i, …, X_{i+k-1}), start rows left out;

    K = max(1, max over all contiguous products of ‖R … R‖_oo),

of the R_i for sampling, of their inverses in inverse order for inversion. In x the states are multiplied by w.
EDICT: the full-step map on (x/alpha, y/alpha). These are floating-point estimates for warnings and reports.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from belm_runtime.stages import StageTable, register_of
from belm_runtime.table import Table

Direction = Literal["sampling", "inversion"]
WAYS: tuple[Direction, Direction] = ("sampling", "inversion")

#: Above this amplification in x an inversion from a state warns: float64 rounding alone may then exceed 1e-11.
WARN = 1e5
#: Above this one an inversion of a bare x_0 warns: from there on a picture made again from the noise alone is further
#: off than with DDIM inversion, which needs no exact inverse (medians of benchmarks/bare_inversion.py).
WARN_BARE = 30


class AmplificationWarning(UserWarning):
    """Inversion amplifies rounding by a large factor; the message names it."""


class BareInversionWarning(AmplificationWarning):
    """Inversion of a bare x_0 amplifies the error of its start; the message names the factor."""


class UnstableWarning(UserWarning):
    """Sampling itself amplifies errors: the method is not zero-stable; the message names the factor."""


def step_matrices(table: Table | StageTable, coordinates: Literal["frame", "x"] = "frame") -> np.ndarray:
    """The homogeneous step maps in order of sampling, i = N-k+1 … 1 (EDICT: N … 1); shape (rows, k, k)."""
    if isinstance(table, StageTable):
        return _stage_matrices(table, coordinates)
    k, n = table.k, table.grid.steps
    order = np.arange(n - k + 1, 0, -1)
    a = np.asarray(table.a, dtype=float)[order - 1]
    if coordinates == "x":
        w = np.asarray(table.w, dtype=float)
        a = a * w[order - 1, None] / w[order[:, None] + np.arange(k)]
    return companions(a)


def companions(a: np.ndarray) -> np.ndarray:
    """The companion matrices of rows of k weights; shape (rows, k, k)."""
    rows, k = a.shape
    matrices = np.zeros((rows, k, k))
    matrices[:, 1:, :-1] = np.eye(k - 1)
    matrices[:, 0, :] = a
    return matrices


def amplification(
    table: Table | StageTable,
    direction: Direction = "inversion",
    coordinates: Literal["frame", "x"] = "x",
) -> float:
    """K of the table in a direction; inf if the method is not invertible and inversion is asked for."""
    return max(1.0, float(amplification_along(table, direction, coordinates).max(initial=1.0)))


def amplification_along(
    table: Table | StageTable,
    direction: Direction = "inversion",
    coordinates: Literal["frame", "x"] = "x",
) -> np.ndarray:
    """For each step of the run, the largest norm of a contiguous product that ends with it."""
    return growth(step_matrices(table, coordinates), direction)


def growth(matrices: np.ndarray, direction: Direction = "inversion") -> np.ndarray:
    """`amplification_along` for step maps in order of sampling, shape (rows, k, k)."""
    if direction == "inversion":
        if len(matrices) and (np.abs(np.linalg.det(matrices)) == 0).any():
            return np.full(len(matrices), np.inf)
        matrices = np.linalg.inv(matrices[::-1])
    largest = np.zeros(len(matrices))
    products = np.empty_like(matrices)
    with np.errstate(over="ignore", invalid="ignore"):
        for n, matrix in enumerate(matrices):
            # products[m] is R_n … R_m: extend every product by one factor, and start a new one.
            products[:n] = matrix @ products[:n]
            products[n] = matrix
            largest[n] = np.abs(products[: n + 1]).sum(-1).max()
    return np.nan_to_num(largest, nan=np.inf, posinf=np.inf)


def warn(factor: float, what: str, arithmetic: str, bare: bool) -> None:
    """Warn of an inversion that amplifies too much.

    Args:
        factor: K in x.
        what: what amplifies, for the message.
        arithmetic: ``float64`` or ``float32``, of the states.
        bare: whether the inversion starts from x_0 alone, with the error of a start, or from a state, with rounding.
    """
    if bare and factor > WARN_BARE:
        message = (
            f"{what} from a bare x_0 amplifies the error of its start by up to {factor:.1e} in x; from {WARN_BARE} on "
            "DDIM inversion is usually better: use open:k=3, which does not amplify, or keep the state"
        )
        warnings.warn(message, BareInversionWarning, stacklevel=5)
    elif not bare and factor > WARN:
        rounding = factor * float(np.finfo(arithmetic).eps)
        message = (
            f"{what} amplifies rounding by up to {factor:.1e} in x ({arithmetic}: about {rounding:.0e} relative); "
            "open:k=3 inverts with little amplification"
        )
        warnings.warn(message, AmplificationWarning, stacklevel=5)


def unstable(table: Table | StageTable) -> str | None:
    """In words, why sampling amplifies errors: parasitic roots outside the unit circle, or a K above `WARN`.

    Weights >= 0 and two-register schemes do not. Constant weights are judged by their roots, others by K alone.
    """
    if isinstance(table, StageTable):
        return None
    rows = np.asarray(table.a, dtype=float)[: max(0, table.grid.steps - table.k + 1)]
    if (rows >= 0).all():
        return None
    factor = growth(step_matrices(table), "sampling").max(initial=1.0)
    reason = f"sampling with {table.method} on this grid amplifies errors by up to {factor:.1e}"
    if (rows == rows[0]).all():
        root = np.abs(np.linalg.eigvals(companions(rows[:1]))).max()
        # The root 1 belongs to every method; a double one would be off by the square root of rounding.
        return f"{reason}: a parasitic root has modulus {root:.4g} > 1" if root > 1 + 1e-6 else None
    return f"{reason}: it is not zero-stable there" if factor > WARN else None


def _stage_matrices(table: StageTable, coordinates: str) -> np.ndarray:
    alpha = np.asarray(table.grid.alpha, dtype=float)
    matrices = []
    for row in table.stage_rows("epsilon"):
        registers = {"x": np.array([1.0, 0.0]), "y": np.array([0.0, 1.0])}
        for stage in row.stages:
            registers[register_of(stage.target)] = sum(
                (float(c) * registers[register_of(name)] for name, c in stage.terms), np.zeros(2)
            )
        scale = alpha[row.i] / alpha[row.i - 1] if coordinates == "frame" else 1.0
        matrices.append(scale * np.stack([registers["x"], registers["y"]]))
    return np.stack(matrices)
