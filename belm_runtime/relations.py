"""The relations of a table in x and raw predictions, as the steps of a run in either direction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from belm_runtime.errors import InputError
from belm_runtime.recurrence import Relation, way_down, way_up
from belm_runtime.stages import StageTable
from belm_runtime.start import upward_start
from belm_runtime.table import Table


class Relations:
    """The steps of a k-step method on its grid."""

    def __init__(self, table: Table, prediction: str) -> None:
        """Of a table, for a model that predicts so."""
        self.table, self.prediction = table, prediction

    @cached_property
    def _forms(self) -> tuple[list[list[float]], list[list[float]]]:
        A, B = self.table.x_form(self.prediction)
        return A.tolist(), B.tolist()

    @cached_property
    def _downward(self) -> list[Relation]:
        return way_down(*self._forms, self.table.grid.steps, 0)

    @cached_property
    def depth(self) -> int:
        """How many states a run holds: k for an invertible method, fewer where the oldest never enter."""
        # A slope is evaluated again on entry, so its state is kept even where R = 0 and it enters as a slope only.
        return max(max(len(r.states), len(r.slopes)) for r in self._downward)

    def downward(self, here: int, stop: int, known: int) -> list[Relation]:
        """The sampling steps from node `here` to node `stop`.

        Args:
            here: the newest node.
            stop: the last node to make.
            known: how many states the history holds.

        Raises:
            InputError: fewer than the steps need.
        """
        relations = self._downward[self.table.grid.steps - here : self.table.grid.steps - stop]
        needed = max((max(len(r.states), len(r.slopes)) - n for n, r in enumerate(relations)), default=1)
        if needed > known:
            raise InputError(
                f"continuing {self.table.method} at node {here} needs the last {needed} states; "
                f"this state holds {known}"
            )
        return relations

    def upward(self, here: int, stop: int, known: int | None, approximate: bool = False) -> list[Relation]:
        """The inversion steps from node `here` to node `stop`.

        Args:
            here: the newest node.
            stop: the last node to make.
            known: how many states the history holds; k are needed. None: node `here` stands alone, and the first
                k - 1 steps are Adams–Bashforth of rising order.
            approximate: Adams–Bashforth all the way.

        Raises:
            InputError: fewer than k states.
        """
        k, steps = self.table.k, self.table.grid.steps
        if known is None:
            last = stop if approximate else min(here + k - 1, stop)
            start = upward_start(self.table, self.prediction, last, k - 1, first=here)
            return start + way_up(*self._forms, last, stop)
        if known < k and stop > here:
            reason = "" if k <= steps else f", and a grid of fewer than {k} steps has no row to invert"
            method = self.table.method
            raise InputError(f"inverting {method} needs the last {k} states; this state holds {known}{reason}")
        return way_up(*self._forms, here, stop)


def refuse_short(table: Table | StageTable, need: str) -> None:
    """Refuse a grid of fewer steps than the relation has: every step is one of the start, and x_N is not kept.

    Args:
        table: the method on its grid.
        need: who needs more, as in ``integers need``.

    Raises:
        InputError: how many steps there are, and how many it takes.
    """
    k, steps = table.method.k, table.grid.steps
    if not table.method.stages and steps < k:
        count = f"{steps} step{'s' * (steps > 1)}"
        raise InputError(f"{table.method.brief} has no row to invert on a grid of {count}; {need} {k} or more")


def kept(relations: Sequence[Relation], nodes: Sequence[int], depth: int) -> list[int]:
    """The nodes of the states that are there after a run, newest first."""
    made = [relation.target for relation in reversed(relations)]
    return [*made, *nodes][:depth] if made else list(nodes)
