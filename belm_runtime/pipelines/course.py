"""A run in progress, driven from outside: a pipeline calls the network and hands over one output a step.

The relations are a sampler's own, newest state first. A run that continues from a State needs the slopes of its older
states again; it first visits those nodes and hands on the states that it knows, so that the pipeline calls the network
on them:

    visits, k = 3, from nodes 0 1 2 towards the noise      1  2  3 … N-1
    handed on                                              2  3  4 … N      (x_2 is known, x_3 is made)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from belm_runtime.recurrence import Relation, combine


class Course:
    """The states of a run, newest first, and the relations ahead.

    A slope is added to every relation it enters as soon as it is known, and not kept: a network may hand back the same
    buffer each time.

    Attributes:
        states: the states held, newest first.
        nodes: their nodes.
        visits: the node at which the network is called, for each step of the run.
        calls: how many outputs of the network were taken.
    """

    def __init__(self, relations: Sequence[Relation], states: list[torch.Tensor], nodes: list[int], depth: int) -> None:
        """Prepare the run.

        Args:
            relations: the steps from the newest state, as a `Route` finds them.
            states: states in the arithmetic of the run, newest first; they are the run's from now on.
            nodes: their nodes.
            depth: how many states to hold at least.
        """
        self.states, self.nodes, self.calls = states, nodes, 0
        self._relations, self._dtype = relations, states[0].dtype
        self._reach = max((len(r.slopes) for r in relations), default=1)
        self._behind = max((len(r.slopes) - n for n, r in enumerate(relations)), default=1) - 1
        self.visits = [*nodes[self._behind : 0 : -1], *(relation.node for relation in relations)]
        self._keep = max(depth, *(len(r.states) for r in relations), 0)
        self._sums: list[torch.Tensor | None] = [None] * self._reach
        self._versions = [x._version for x in states]

    @property
    def handed_on(self) -> torch.Tensor:
        """The state on which the network is called next."""
        return self.states[max(self._behind - self.calls, 0)]

    def advance(self, output: torch.Tensor) -> torch.Tensor:
        """The state that follows `handed_on`, given the network's output on it."""
        at, sums = self.calls - self._behind, self._sums
        self.calls += 1
        slope = output if output.dtype is self._dtype else output.to(self._dtype)
        # sums[n] belongs to the relation n steps ahead; the slope enters it with its n-th coefficient.
        for n in range(max(-at, 0), min(self._reach, len(self._relations) - at)):
            coefficients = self._relations[at + n].slopes
            if n < len(coefficients):
                sums[n] = combine(((coefficients[n], slope),), sums[n])
        total = sums.pop(0)
        sums.append(None)
        if at < 0:
            return self.handed_on
        relation = self._relations[at]
        known = zip(relation.states, self.states[: len(relation.states)], strict=True)
        new = combine(known, total)
        self.states.insert(0, new)
        self.nodes.insert(0, relation.target)
        self._versions.insert(0, new._version)
        del self.states[self._keep :], self.nodes[self._keep :], self._versions[self._keep :]
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
