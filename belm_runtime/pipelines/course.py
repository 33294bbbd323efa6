"""A run in progress, driven from outside: a pipeline calls the network and hands over one output a step.

The relations are a sampler's own, newest state first. A run that continues from a State needs the slopes of its older
states again; it first visits those nodes and hands on the states that it knows, so that the pipeline calls the network
on them:

    visits, k = 3, from nodes 0 1 2 towards the noise      1  2  3 … N-1
    handed on                                              2  3  4 … N      (x_2 is known, x_3 is made)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from belm_runtime.recurrence import Relation

Terms = tuple[tuple[int, float], ...]


class Leg(NamedTuple):
    """One call of the network, and what becomes of its output.

    Attributes:
        node: where the network is called.
        target: the node of the state that is handed on.
        slopes: pairs (relations ahead, coefficient): where the slope enters, 0 for this relation.
        states: pairs (place, coefficient), newest state first; None where the state at the target is known.
    """

    node: int
    target: int
    slopes: Terms
    states: Terms | None


def legs(relations: Sequence[Relation]) -> list[Leg]:
    """The calls that a run of these relations needs, those that only evaluate older slopes again first."""
    if not relations:
        return []
    reach = max(len(relation.slopes) for relation in relations)
    behind = max(len(relation.slopes) - n for n, relation in enumerate(relations)) - 1
    begin, step = relations[0].node, relations[0].target - relations[0].node
    found = []
    for at in range(-behind, len(relations)):
        entered = [(n, relations[at + n].slopes) for n in range(max(-at, 0), min(reach, len(relations) - at))]
        slopes = tuple((n, row[n]) for n, row in entered if n < len(row) and row[n] != 0)
        states = tuple((n, c) for n, c in enumerate(relations[at].states) if c != 0) if at >= 0 else None
        node = begin + at * step
        found.append(Leg(node, node + step, slopes, states))
    return found


class Course:
    """The states of a run, newest first, and the legs ahead.

    A slope is added to every relation it enters as soon as it is known, and not kept: a network may hand back the same
    buffer each time.

    Attributes:
        states: the states held, newest first.
        nodes: their nodes.
        calls: how many outputs of the network were taken.
    """

    def __init__(self, ahead: Sequence[Leg], states: list[torch.Tensor], nodes: list[int], depth: int) -> None:
        """Prepare the run.

        Args:
            ahead: the legs from the newest state on.
            states: states in the arithmetic of the run, newest first; they are the run's from now on.
            nodes: their nodes.
            depth: how many states to hold at least.
        """
        self.states, self.nodes, self.calls = states, nodes, 0
        self._legs, self._dtype = ahead, states[0].dtype
        self._behind = sum(leg.states is None for leg in ahead)
        places = [place for leg in ahead for place, _ in leg.states or ()]
        self._keep = max(depth, max(places, default=0) + 1)
        self._sums: list[torch.Tensor | None] = [None] * max((n + 1 for leg in ahead for n, _ in leg.slopes), default=1)
        self._versions = [x._version for x in states]

    @property
    def visits(self) -> list[int]:
        """The node at which the network is called, for each step of the run."""
        return [leg.node for leg in self._legs]

    @property
    def handed_on(self) -> torch.Tensor:
        """The state on which the network is called next."""
        return self.states[max(self._behind - self.calls, 0)]

    def advance(self, output: torch.Tensor) -> torch.Tensor:
        """The state that follows `handed_on`, given the network's output on it: its terms in place, no temporaries."""
        _, target, slopes, places = self._legs[self.calls]
        self.calls += 1
        slope = output if output.dtype is self._dtype else output.to(self._dtype)
        states, sums = self.states, self._sums
        for n, coefficient in slopes:
            total = sums[n]
            sums[n] = slope * coefficient if total is None else total.add_(slope, alpha=coefficient)
        new = sums.pop(0)
        sums.append(None)
        if places is None:
            return self.handed_on
        for place, coefficient in places:
            new = states[place] * coefficient if new is None else new.add_(states[place], alpha=coefficient)
        assert new is not None
        states.insert(0, new)
        self.nodes.insert(0, target)
        self._versions.insert(0, new._version)
        if len(states) > self._keep:
            del states[-1], self.nodes[-1], self._versions[-1]
        return new

    def intact(self) -> bool:
        """Whether nobody has written into a state since it was made; what is handed on may be held by others."""
        return [x._version for x in self.states] == self._versions

    def __getstate__(self) -> dict[str, Any]:
        """A copy's tensors count from 0 again, so the counts are taken anew: all of them, or none that fits."""
        return {**self.__dict__, "_versions": self.intact()}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._versions = [x._version for x in self.states] if kept["_versions"] else []
