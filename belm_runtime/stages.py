"""Two-register schemes on a grid: EDICT's stages in x-form, and their way back.

A stage writes target = Σ coefficient · operand. In the frame the operands are registers and slopes f(register) at
node i; in x a slope f = P·prediction + R·x brings a second term on its register. Registers x, y stand for the states
at node i, the stages' targets are scaled as at node i - 1. Every stage keeps its own register with a nonzero
coefficient, so the stages are undone in reverse order.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method


@dataclass(frozen=True)
class Stage:
    """One assignment: target = own·(old value of its register) + Σ linear + slope·prediction(source).

    Attributes:
        target: the name that is written, e.g. ``x_inter``.
        terms: pairs (register, coefficient), the stage's own register first.
        source: the register whose prediction enters, or None.
        slope: the coefficient of that prediction.
    """

    target: str
    terms: tuple[tuple[str, Any], ...]
    source: str | None
    slope: Any


@dataclass(frozen=True)
class StageRow:
    """The stages that make the registers at node i - 1 from those at node i."""

    i: int
    stages: tuple[Stage, ...]
    start: bool = False


@dataclass(frozen=True)
class StageTable:
    """The stages of a two-register method on a grid.

    Attributes:
        method: the method (EDICT).
        frame: the frame its stages are written in.
        grid: the grid.
        h: steps, N entries.
        w: frame weights, N + 1 entries.
    """

    method: Method
    frame: Frame
    grid: Grid
    h: np.ndarray
    w: np.ndarray
    start: str = "none"

    @property
    def k(self) -> int:
        """Two: two registers at one node take the place of two states."""
        return self.method.k

    @cached_property
    def rows(self) -> tuple[StageRow, ...]:
        """The rows from i = N down to 1, predictions being eps."""
        return self.stage_rows("epsilon")

    def stage_rows(self, prediction: str) -> tuple[StageRow, ...]:
        """The rows in x-form for a prediction type.

        Args:
            prediction: ``epsilon``, ``v``, ``sample`` or ``flow``.
        """
        exact = self.h.dtype == object
        rows = []
        for i in range(len(self.h), 0, -1):
            alpha, sigma = self.grid.alpha[i], self.grid.sigma[i]
            P, R = self.frame.slope(prediction, alpha, sigma)
            weights = self.method.coefficients({"h1": self.h[i - 1]}, {}, Fraction if exact else float)
            scale = {"x": self.w[i], "y": self.w[i]}
            stages = []
            for (target, operands), coefficients in zip(self.method.stages, weights, strict=True):
                pairs = zip(operands, coefficients, strict=True)
                stages.append(_stage(target, tuple(pairs), scale, self.w[i - 1], P, R))
                scale[target] = self.w[i - 1]
            rows.append(StageRow(i, tuple(stages)))
        return tuple(rows)


def _stage(target: str, pairs: tuple[tuple[str, Any], ...], scale: dict[str, Any], w: Any, P: Any, R: Any) -> Stage:
    """One stage in x: operands divided by their own frame weight, the target multiplied by its own."""
    terms: dict[str, Any] = {}
    source, slope = None, 0
    for operand, coefficient in pairs:
        if operand.startswith("f("):
            # The slope is taken at node i from the register's raw value, as EDICT's network sees it.
            source, slope = operand[2:-1], w * coefficient * P
            if R != 0:
                terms[source] = terms.get(source, 0) + w * coefficient * R
        else:
            terms[operand] = terms.get(operand, 0) + w * coefficient / scale[operand]
    return Stage(target, tuple(terms.items()), source, slope)


def register_of(target: str) -> str:
    """The register a target stands in: ``x_inter`` lives in x."""
    return target[0]
