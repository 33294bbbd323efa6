"""Floating-point arithmetic for one method on one grid: what a `Sampler` runs on unless it runs on integers.

A run holds the last k states and the slopes that enter, combines them in place, and reads nothing back from the device
until it is over.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from belm_runtime.assignment import Assignment, Key, of_table
from belm_runtime.recurrence import Relation, march, march_stages
from belm_runtime.relations import kept
from belm_runtime.run import Made, Model, Progress, Run
from belm_runtime.stages import StageTable
from belm_runtime.state import State
from belm_runtime.table import Table


class Floats:
    """A method on a grid, in floating point.

    Attributes:
        spacing: None; integers have one.
    """

    spacing = None

    def __init__(self, dtype: torch.dtype, table: Table | StageTable, prediction: str) -> None:
        """With states in a dtype."""
        self.dtype, self.table, self.prediction = dtype, table, prediction

    def rounded(self, x: torch.Tensor, key: Key) -> torch.Tensor:
        """A state in the dtype."""
        return x.to(self.dtype)

    @property
    def rows(self) -> dict[int, tuple[Assignment, ...]]:
        """The assignments of every step by the node that it makes."""
        return of_table(self.table, self.prediction)

    def seen(self, model: Model, x: torch.Tensor) -> Model:
        """The model as it is."""
        return model

    def evaluating(self, model: Model, x: torch.Tensor | State, like: torch.Tensor) -> Run:
        """A run of the model without steps."""
        return self._run(model, like, 0, None)

    def check_climb(self, x: torch.Tensor, nodes: list[int], relations: Sequence[Relation]) -> None:
        """Floats refuse nothing beforehand."""

    def along(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], nodes: list[int],
        relations: Sequence[Relation], depth: int, progress: Progress | None, slopes: list[torch.Tensor] | None = None,
    ) -> Made:  # fmt: skip
        """Run relations.

        Args:
            model: ``model(x, t) -> prediction``.
            x: what the run was started with.
            history: its states, newest first; changed in place.
            nodes: their nodes.
            relations: the steps.
            depth: how many states to keep at least.
            progress: called with (steps done, steps).
            slopes: the predictions at the older nodes; None to evaluate them again.

        Raises:
            NotFiniteError: a NaN or overflow, with its step and node.
        """
        run = self._run(model, history[0], len(relations), progress)
        if slopes is None:
            slopes = [run.predict(x, node) for x, node in _reevaluated(history, nodes, relations)]
        keep = max(depth, *(len(r.states) for r in relations)) if relations else depth
        run.watch(march(relations, history, slopes, run.predict, keep), nodes[0])
        return Made(history, kept(relations, nodes, len(history)), run.calls)

    def through(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], span: range, inverse: bool,
        progress: Progress | None,
    ) -> Made:  # fmt: skip
        """Run the rows of a two-register method.

        Args:
            model: ``model(x, t) -> prediction``.
            x: what the run was started with.
            history: its two registers.
            span: the nodes i of the rows, in order of the run.
            inverse: upwards.
            progress: called with (steps done, steps).

        Raises:
            NotFiniteError: a NaN or overflow, with its step and node.
        """
        assert isinstance(self.table, StageTable)
        rows = {row.i: row for row in self.table.stage_rows(self.prediction)}
        registers = {"x": history[0], "y": history[1]}
        here = span.start - 1 if inverse else span.start
        run = self._run(model, history[0], len(span), progress)
        made = run.watch(march_stages([rows[i] for i in span], registers, run.predict, inverse), here)
        return Made([registers["x"], registers["y"]], [made[-1] if made else here] * 2, run.calls)

    def _run(self, model: Model, like: torch.Tensor, total: int, progress: Progress | None) -> Run:
        return Run(model, self.table.grid, self.table.method.k, self.dtype, like, total, progress)


def _reevaluated(
    history: Sequence[torch.Tensor], nodes: Sequence[int], relations: Sequence[Relation]
) -> list[tuple[torch.Tensor, int]]:
    """The older states whose slopes the first relations still need: k - 2 of them for a full history."""
    if not relations or len(history) == 1:
        return []
    needed = max((len(r.slopes) - n for n, r in enumerate(relations)), default=0) - 1
    return [(x, node) for x, node in list(zip(history, nodes, strict=True))[1 : needed + 1] if node > 0]
