"""One form for every step: a state is made from an older one that enters as it is, and from others.

    x_target = own·x_old + Σ c·x + Σ b·prediction

A relation is one assignment: row i makes x_{i-1} and keeps the oldest state, own = A_k. A stage of a two-register
method is one too and keeps its own register. Every state has a name that is given once, so the way back is the same
assignments in reverse, each solved for its old state. Start rows keep no state and have no way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from belm_runtime.recurrence import Relation
from belm_runtime.stages import StageRow, StageTable, register_of
from belm_runtime.table import Table

#: A state: its node and its name, ``x`` but for the registers of a two-register method.
Key = tuple[int, str]


def named(nodes: Sequence[int], registers: bool) -> list[Key]:
    """The names of states at nodes, or of the two registers of a two-register method."""
    return list(zip(nodes, ("x", "y") if registers else ("x",) * len(nodes), strict=True))


@dataclass(frozen=True)
class Assignment:
    """x_target = own·x_old + Σ c·x + Σ b·prediction.

    Attributes:
        target: what is made.
        old: the state that is kept whole, or None for a start row, which has no inverse.
        own: its coefficient, not 0.
        states: pairs (state, c).
        slopes: triples (state, node, b): b times the prediction for that state at the timestep of that node.
    """

    target: Key
    old: Key | None
    own: float
    states: tuple[tuple[Key, float], ...]
    slopes: tuple[tuple[Key, int, float], ...]

    @property
    def linear(self) -> tuple[tuple[Key, float], ...]:
        """All states with their coefficients."""
        return self.states if self.old is None else ((self.old, self.own), *self.states)

    def solved(self) -> Assignment:
        """The same equation solved for the old state."""
        assert self.old is not None
        states = tuple((key, -c / self.own) for key, c in self.states)
        return Assignment(self.old, self.target, 1 / self.own, states, ())


def of_relations(A: Sequence[Sequence[Any]], B: Sequence[Sequence[Any]]) -> dict[int, tuple[Assignment, ...]]:
    """The assignments of a table in x-form by the node they make; row i is at index i - 1 and makes node i - 1."""
    n, k = len(A), len(A[0])
    made: dict[int, tuple[Assignment, ...]] = {}
    for i in range(n, 0, -1):
        states = tuple(((i - 1 + j, "x"), float(c)) for j, c in enumerate(A[i - 1], 1) if c != 0)
        slopes = tuple(((i - 1 + j, "x"), i - 1 + j, float(b)) for j, b in enumerate(B[i - 1], 1) if b != 0)
        if i <= n - k + 1:
            (old, own), states = states[-1], states[:-1]
            made[i - 1] = (Assignment((i - 1, "x"), old, own, states, slopes),)
        else:
            made[i - 1] = (Assignment((i - 1, "x"), None, 0.0, states, slopes),)
    return made


def of_stages(rows: Iterable[StageRow]) -> dict[int, tuple[Assignment, ...]]:
    """The assignments of a two-register method by the node they make, each stage from its own register's last value."""
    made: dict[int, tuple[Assignment, ...]] = {}
    for row in rows:
        slots: dict[str, Key] = {"x": (row.i, "x"), "y": (row.i, "y")}
        stages = []
        for stage in row.stages:
            target, slot = (row.i - 1, stage.target), register_of(stage.target)
            pairs = [(slots[register_of(name)], float(c)) for name, c in stage.terms]
            own = sum(c for key, c in pairs if key == slots[slot])
            others = tuple((key, c) for key, c in pairs if key != slots[slot])
            source = () if stage.source is None else ((slots[register_of(stage.source)], row.i, float(stage.slope)),)
            stages.append(Assignment(target, slots[slot], own, others, source))
            slots[slot] = target
        made[row.i - 1] = tuple(stages)
    return made


def of_table(table: Table | StageTable, prediction: str) -> dict[int, tuple[Assignment, ...]]:
    """The assignments of a method on a grid, by the node they make."""
    if isinstance(table, StageTable):
        return of_stages(table.stage_rows(prediction))
    A, B = table.x_form(prediction)
    return of_relations(A.tolist(), B.tolist())


def of_start(relation: Relation) -> Assignment:
    """A step of an inversion from x_0 alone, which keeps no state whole."""
    states = tuple(((relation.node - n, "x"), float(c)) for n, c in enumerate(relation.states) if c != 0)
    slopes = tuple(((relation.node - n, "x"), relation.node - n, float(b)) for n, b in enumerate(relation.slopes) if b)
    return Assignment((relation.target, "x"), None, 0.0, states, slopes)
