"""The step functions: the same code on tensors and on exact scalars, in both directions.

A relation is a list of coefficients, newest state first, whatever the direction:

    new = Σ state coefficient · state + Σ prediction coefficient · prediction.

Sampling reads a row as it stands (newest = node i). Inversion reads it solved for its oldest state (paper, prop 2),

    x_{i-1+k} = (x_{i-1} - Σ_{j<k} A_j x_{i-1+j} - Σ_j B_j p_{i-1+j}) / A_k,    newest = node i+k-2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from belm_runtime.stages import StageRow, register_of

Predict = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Relation:
    """One step in either direction.

    Attributes:
        node: where the model is evaluated, on the newest state.
        target: the node that the step makes.
        states: coefficients of the states, newest first.
        slopes: coefficients of the predictions, newest first.
    """

    node: int
    target: int
    states: tuple[Any, ...]
    slopes: tuple[Any, ...]


def downward(i: int, A: Sequence[Any], B: Sequence[Any]) -> Relation:
    """Row i as a sampling step: nodes i, i+1, … make node i - 1."""
    return Relation(i, i - 1, _trimmed(A), _trimmed(B))


def upward(i: int, A: Sequence[Any], B: Sequence[Any]) -> Relation:
    """Row i solved for its oldest state: nodes i+k-2, …, i-1 make node i + k - 1; A_k must not be zero."""
    k, last = len(A), A[-1]
    states = (*(-coefficient / last for coefficient in reversed(A[:-1])), 1 / last)
    return Relation(i + k - 2, i + k - 1, states, tuple(-coefficient / last for coefficient in reversed(B)))


def way_down(A: Sequence[Sequence[Any]], B: Sequence[Sequence[Any]], here: int, stop: int) -> list[Relation]:
    """The sampling steps from node `here` to node `stop`; A, B are the x-form, row i at index i - 1."""
    return [downward(i, A[i - 1], B[i - 1]) for i in range(here, stop, -1)]


def way_up(A: Sequence[Sequence[Any]], B: Sequence[Sequence[Any]], here: int, stop: int) -> list[Relation]:
    """The inversion steps from node `here` >= k - 1 to node `stop`, each made by the row that reaches its node."""
    k = len(A[0])
    return [upward(i, A[i - 1], B[i - 1]) for i in range(here - k + 2, stop - k + 2)]


def _trimmed(coefficients: Sequence[Any]) -> tuple[Any, ...]:
    """Without trailing zeros, so that states and predictions that do not enter are not kept."""
    kept = list(coefficients)
    while kept and kept[-1] == 0:
        kept.pop()
    return tuple(kept)


def combine(pairs: Iterable[tuple[Any, Any]]) -> Any:
    """Σ coefficient · operand, accumulated in place on tensors, without temporaries."""
    total: Any = None
    for coefficient, operand in pairs:
        if isinstance(coefficient, int | float) and coefficient == 0:
            continue
        if isinstance(operand, torch.Tensor):
            # An exact grid has fractions for coefficients; they meet a tensor as the nearest floats.
            coefficient = float(coefficient)
        if total is None:
            total = coefficient * operand
        elif isinstance(total, torch.Tensor):
            total.add_(operand, alpha=coefficient)
        else:
            total = total + coefficient * operand
    return total


def march(
    relations: Sequence[Relation], states: list[Any], slopes: list[Any], predict: Predict, keep: int
) -> Iterator[tuple[int, Any]]:
    """Run relations one after the other; one model call each.

    Args:
        relations: the steps, in order.
        states: known states, newest first; changed in place, at most `keep` are held.
        slopes: predictions at the nodes of `states` from the second on; changed in place.
        predict: prediction of a state at a node.
        keep: how many states to hold.

    Yields:
        (node made, its state) after each step.
    """
    older_slopes = max((len(relation.slopes) for relation in relations), default=1) - 1
    for relation in relations:
        slopes.insert(0, predict(states[0], relation.node))
        known = zip((*relation.states, *relation.slopes),
                    (*states[: len(relation.states)], *slopes[: len(relation.slopes)]), strict=True)  # fmt: skip
        new = combine(known)
        states.insert(0, new)
        del states[keep:], slopes[older_slopes:]
        yield relation.target, new


def march_stages(
    rows: Iterable[StageRow], registers: dict[str, Any], predict: Predict, inverse: bool = False
) -> Iterator[tuple[int, Any]]:
    """Run a two-register scheme; two model calls a row.

    Args:
        rows: from i = N down when sampling, from 1 up when inverting.
        registers: ``x`` and ``y``; changed in place.
        predict: prediction of a register's raw value at a node.
        inverse: undo the stages, last first.

    Yields:
        (node made, register x) after each row.
    """
    for row in rows:
        for stage in reversed(row.stages) if inverse else row.stages:
            # Names of the paper (x, x_inter, …) stand in two slots: each stage overwrites its own slot.
            slot = register_of(stage.target)
            terms = [(c, register_of(name)) for name, c in stage.terms]
            own = sum(c for c, name in terms if name == slot)
            others = [(c, registers[name]) for c, name in terms if name != slot]
            if stage.source is not None:
                others.append((stage.slope, predict(registers[register_of(stage.source)], row.i)))
            if inverse:
                pairs = [(1 / own, registers[slot]), *((-c / own, value) for c, value in others)]
            else:
                pairs = [(own, registers[slot]), *others]
            registers[slot] = combine(pairs)
        yield (row.i if inverse else row.i - 1), registers["x"]
