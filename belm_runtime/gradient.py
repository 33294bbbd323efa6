"""Gradients through a whole run in the memory of a few steps: the states are made again, backwards, not stored.

A run is a chain of assignments x_target = own·x_old + Σ c·x + Σ b·p(x). With L a function of its last states and
v = dL/dx the way back carries, from the last assignment to the first,

    v_old += own·v_target,    v_x += c·v_target,    u_x += b·v_target,

and when all that reads p(x) is done, one call of the network at x gives p again, and from it

    v_x += (dp/dx)ᵀ·u_x,    dL/dw += (dp/dw)ᵀ·u_x    for every declared tensor w.

The same call is what the inverse needs, x_old = (x_target - Σ c·x - Σ b·p(x))/own. So the way back costs one forward
and one backward pass of the network a step, and holds the last k states, whatever the number of steps. In floating
point the states come back up to amplified rounding; in integers bit by bit, and rounding counts as the identity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from belm_runtime.assignment import Assignment, Key, named
from belm_runtime.errors import DriftError
from belm_runtime.integer import Step, increment, to_integers
from belm_runtime.state import State

Predict = Callable[[torch.Tensor, int], torch.Tensor]
#: How far the first states may be from themselves after the way back, relative to their size or a standard deviation.
DRIFT = 1e-3


class Course:
    """A run that is to be differentiated.

    Attributes:
        state: what the run has made, once it has run.
    """

    def __init__(
        self, run: Callable[[], State], steps: Sequence[Step], given: Sequence[Key], predict: Predict,
        spacing: Mapping[Key, float] | None, deviations: Sequence[float], device: torch.device,
        shared: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """Describe a run.

        Args:
            run: does it, without a gradient.
            steps: its steps.
            given: the names of the states it starts from.
            predict: the prediction for a state at a node, on the way back.
            spacing: of all states in integer arithmetic, else None.
            deviations: sqrt(alpha² + sigma²) of every node.
            device: where it runs.
            shared: once it has run, whether its predictions share a part of their graphs.
        """
        self.run, self.steps, self.given, self.predict, self.spacing = run, steps, given, predict, spacing
        self.deviations, self.shared = deviations, shared
        self.autocast = _autocast(device)
        self.state: State | None = None

    def differentiable(self, history: Sequence[torch.Tensor], wrt: Sequence[torch.Tensor]) -> State:
        """The run's state, its history differentiable with respect to the states given and to `wrt`."""
        outputs = _Reversible.apply(self, len(history), *history, *wrt)
        assert self.state is not None
        made, self.state = self.state, None
        return State(outputs, made.nodes, made.method, made.frame, made.grid, made.steps, made.calls, made.versions,
                     made.conditions)  # fmt: skip


class _Reversible(torch.autograd.Function):
    """Saves the last states, the first ones, and what is declared; nothing in between."""

    @staticmethod
    def forward(ctx: Any, course: Course, count: int, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        course.state = course.run()
        ctx.course, ctx.count = course, count
        ctx.kept = named(course.state.nodes, course.given[-1][1] == "y")
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *course.state.history)
        return course.state.history

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[Any, ...]:
        saved, count, course = ctx.saved_tensors, ctx.count, ctx.course
        last = len(saved) - len(ctx.kept)
        given = dict(zip(course.given, saved[:count], strict=True))
        states = _states(course.spacing, dict(zip(ctx.kept, saved[last:], strict=True)))
        needed = ctx.needs_input_grad[2 + count :]
        way = _WayBack(course, states, [w for w, need in zip(saved[count:last], needed, strict=True) if need])
        way.cotangents = {key: v for key, v in zip(ctx.kept, cotangents, strict=True) if v is not None}
        with course.autocast():
            way.run(given)
        found = iter(way.totals)
        rest = [next(found) if need else None for need in needed]
        return (None, None, *(way.cotangents.get(key) for key in course.given), *rest)


class _WayBack:
    """The way back of one course.

    Attributes:
        cotangents: v by state.
        totals: dL/dw of every w.
    """

    def __init__(self, course: Course, states: _Floats | _Integers, wrt: Sequence[torch.Tensor]) -> None:
        self.course, self.states, self.wrt = course, states, wrt
        self.cotangents: dict[Key, torch.Tensor] = {}
        self.on_predictions: dict[Key, torch.Tensor] = {}
        self.predictions: dict[Key, torch.Tensor] = {}
        self.totals: list[torch.Tensor | None] = [None] * len(wrt)
        every = [a for step in course.steps for a in step.assignments]
        self.maker = {a.old: a for a in every if a.old is not None}
        self.nodes = {key: node for a in every for key, node, _ in a.slopes}
        # How many states still have to be made again with the help of each prediction.
        self.uses = Counter(key for a in every if a.old is not None for key, _, _ in a.slopes)

    def run(self, given: Mapping[Key, torch.Tensor]) -> None:
        """From the last states to the given ones.

        Raises:
            DriftError: the given states are not what comes back.
        """
        for step in reversed(self.course.steps):
            for a in reversed(step.assignments):
                self._visit(a.target)
                if (v := self.cotangents.pop(a.target, None)) is not None:
                    _spread(self.cotangents, a.linear, v)
                    _spread(self.on_predictions, [(key, b) for key, _, b in a.slopes], v)
        drifts = []
        # The prediction for one register is needed to find the other.
        for key in sorted(given, key=lambda key: key not in self.on_predictions):
            if key in self.maker:
                self._find(key)
                drifts.append(self.states.drift(key, given[key], self.course.deviations[key[0]]))
            self.states.enter({key: given[key]})
            self._visit(key)
        if drifts:
            self._compare(float(torch.stack(drifts).amax()))

    def _compare(self, drift: float) -> None:
        if not drift <= self.states.allowed:
            raise DriftError(
                f"the states that the run started from come back with a relative error of {drift:.1e}: gradients would "
                f"be wrong; {self.states.advice}"
            )

    def _visit(self, key: Key) -> None:
        """Carry what is due at the prediction for a state over to the state and the declared tensors."""
        if (u := self.on_predictions.pop(key, None)) is None:
            return
        self._find(key)
        leaf, prediction = self._graphed(key)
        if self.uses[key]:
            self.predictions[key] = prediction.detach()
        if not prediction.requires_grad:
            return
        sources = [leaf, *self.wrt]
        v, *found = torch.autograd.grad(prediction, sources, u, retain_graph=self.course.shared(), allow_unused=True)
        if v is not None:
            _spread(self.cotangents, [(key, 1.0)], v)
        for n, w in enumerate(found):
            if w is not None:
                total = self.totals[n]
                self.totals[n] = w if total is None else total + w

    def _graphed(self, key: Key) -> tuple[torch.Tensor, torch.Tensor]:
        """The leaf that a state is in the graph of its prediction, and the prediction, as on the way there."""
        with torch.enable_grad():
            leaf = self.states.x(key).detach().requires_grad_()
            return leaf, self.course.predict(leaf, self.nodes[key])

    def _find(self, key: Key) -> None:
        """Make a state again, by the assignment that it was the old state of."""
        if key in self.states.values:
            return
        a = self.maker[key]
        for other in (a.target, *(name for name, _ in a.states)):
            self._find(other)
        for other, _, _ in a.slopes:
            if other not in self.predictions:
                self._find(other)
                self.predictions[other] = self._graphed(other)[1].detach()
        self.states.undo(a, self.predictions)
        del self.states.values[a.target]
        for other, _, _ in a.slopes:
            self.uses[other] -= 1
            if not self.uses[other]:
                del self.predictions[other]


def _spread(into: dict[Key, torch.Tensor], pairs: Sequence[tuple[Key, float]], v: torch.Tensor) -> None:
    for key, c in pairs:
        into[key] = into[key].add(v, alpha=c) if key in into else v * c


class _Floats:
    """States in floating point, made again up to amplified rounding."""

    allowed = DRIFT
    advice = "use arithmetic='integer' or a method that amplifies less, and a model that has not changed meanwhile"

    def __init__(self, values: dict[Key, torch.Tensor]) -> None:
        self.values = values

    def x(self, key: Key) -> torch.Tensor:
        return self.values[key]

    def enter(self, given: Mapping[Key, torch.Tensor]) -> None:
        self.values.update(given)

    def undo(self, a: Assignment, predictions: Mapping[Key, torch.Tensor]) -> None:
        total = self.values[a.target]
        for key, c in a.states:
            total = torch.sub(total, self.values[key], alpha=c)
        for key, _, b in a.slopes:
            total = torch.sub(total, predictions[key], alpha=b)
        assert a.old is not None
        self.values[a.old] = total / a.own

    def drift(self, key: Key, x: torch.Tensor, deviation: float) -> torch.Tensor:
        # A run may start from 0, of which no error is a small part.
        return (self.values[key] - x).norm() / x.norm().clamp_min(deviation * max(x.numel(), 1) ** 0.5)


class _Integers(_Floats):
    """States in integers, made again bit by bit."""

    allowed = 0.0
    advice = "the model has changed since, or does not give the same bits again"

    def __init__(self, values: dict[Key, torch.Tensor], spacing: Mapping[Key, float]) -> None:
        self.spacing = spacing
        super().__init__({})
        self.enter(values)
        like = next(iter(self.values.values()))
        self.scratch = torch.empty_like(like), torch.empty_like(like)

    def x(self, key: Key) -> torch.Tensor:
        return self.values[key] * self.spacing[key]

    def enter(self, given: Mapping[Key, torch.Tensor]) -> None:
        self.values.update({key: to_integers(x, self.spacing[key]) for key, x in given.items()})

    def undo(self, a: Assignment, predictions: Mapping[Key, torch.Tensor]) -> None:
        assert a.old is not None
        change = increment(a, self.values, predictions, self.spacing, self.scratch)
        self.values[a.old] = self.values[a.target] - change

    def drift(self, key: Key, x: torch.Tensor, deviation: float) -> torch.Tensor:
        spacing = self.spacing[key]
        return super().drift(key, to_integers(x, spacing), deviation / abs(spacing))


def _states(spacing: Mapping[Key, float] | None, values: dict[Key, torch.Tensor]) -> _Floats | _Integers:
    return _Floats(values) if spacing is None else _Integers(values, spacing)


def _autocast(device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """The state of autocast now, for a way back that may be started in another."""
    if not hasattr(torch, "get_autocast_dtype"):  # before torch 2.4
        return nullcontext
    dtype, enabled = torch.get_autocast_dtype(device.type), torch.is_autocast_enabled(device.type)
    return lambda: torch.autocast(device.type, dtype=dtype, enabled=enabled)
