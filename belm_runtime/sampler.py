"""The sampler: a method on a grid, run in both directions on any model.

    sampler = Sampler("o-belm", grid)
    state = sampler.sample(model, noise)        # x_N -> x_0, one model call a step (EDICT two)
    back = sampler.invert(model, state)         # the same relations solved for their oldest state

The sampler says what is to be run, in which order and on what; `Floats` or `Exact` run it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import overload

import numpy as np
import torch

from belm_runtime.amplification import (
    AmplificationWarning,
    BareInversionWarning,
    UnstableWarning,
    amplification,
    amplification_along,
    unstable,
)
from belm_runtime.amplification import warn as warn_of
from belm_runtime.arithmetic import ARITHMETIC, Integer, read_arithmetic
from belm_runtime.assignment import named
from belm_runtime.climb import Climb
from belm_runtime.entry import check_start, check_state
from belm_runtime.errors import InputError, unknown
from belm_runtime.exact import Exact
from belm_runtime.floats import Floats
from belm_runtime.frame import Frame
from belm_runtime.gradient import Course
from belm_runtime.grid import Grid
from belm_runtime.integer import Step
from belm_runtime.methods import Method
from belm_runtime.models import PREDICTIONS
from belm_runtime.recurrence import Relation
from belm_runtime.relations import Relations, refuse_short
from belm_runtime.run import Made, Model, Progress
from belm_runtime.schedule import Schedule
from belm_runtime.stages import StageTable
from belm_runtime.state import State
from belm_runtime.table import Table, coefficients
from belm_runtime.watched import Watched, declare

__all__ = ["ARITHMETIC", "AmplificationWarning", "BareInversionWarning", "Sampler", "UnstableWarning"]

GRADIENTS = ("reversible", "autograd")


class Sampler:
    """A method on a grid.

    Attributes:
        method: the method.
        grid: the grid.
        frame: the frame of its relation.
        prediction: what the model predicts.
        dtype: the dtype of the states.
        table: the coefficient table.
        relations: its steps in both directions; None for a two-register method.
        exact: the integers of ``arithmetic="integer"``, else None.
    """

    def __init__(
        self, method: Method | str, grid: Grid, *,
        arithmetic: str | Integer = "float64", frame: Frame | str | float | None = None, prediction: str = "epsilon",
        start: str | None = None, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Build the coefficient table; everything wrong with the call is found here.

        Args:
            method: object or string, e.g. ``"blend:k=3,theta=0.8"``; a design, by name or path, brings frame and start.
            grid: the grid, N steps.
            arithmetic: ``float64`` or ``float32``, the dtype of the states whatever the model runs in; or ``integer``
                for a round trip that is exact to the last bit, with options as in ``integer:bound=32,batch=16``.
            frame: default the design's, or the method's natural frame.
            prediction: ``epsilon``, ``v`` (alpha·eps - sigma·D), ``sample`` (D) or ``flow`` (eps - D).
            start: ``adams`` (rising order) or ``ddim`` (the paper's); default the design's, or adams.
            progress: called with (steps done, steps) after each step.

        Raises:
            InputError: unknown names, or a frame or prediction that is not finite on this grid; for integers also a
                method without inverse, a grid shorter than its relation, or a range that does not fit.
        """
        if prediction not in PREDICTIONS:
            raise unknown("prediction", prediction, PREDICTIONS)
        self.grid, self.prediction = grid, prediction
        options, self.dtype = read_arithmetic(arithmetic)
        self.arithmetic, self.progress = str(arithmetic), progress
        self.table: Table | StageTable = coefficients(method, grid, frame=frame, start=start)
        self.method, self.frame = self.table.method, self.table.frame
        if grid.alpha[-1] == 0 and prediction == "epsilon":
            raise InputError("alpha_N = 0: epsilon says nothing about the data there; predict v, sample or flow")
        self._registers = isinstance(self.table, StageTable)
        self.relations = None if isinstance(self.table, StageTable) else Relations(self.table, prediction)
        self.exact = None if options is None else Exact(options, self.table, prediction)
        self._arithmetic = self.exact or Floats(self.dtype, self.table, prediction)

    def __repr__(self) -> str:
        """The method, frame, grid and arithmetic."""
        return f"Sampler({self.method}, {self.grid!r}, frame={self.frame}, arithmetic={self.arithmetic})"

    # ---- the two ways -------------------------------------------------------------------------------------------

    def sample(
        self, model: Model, x: torch.Tensor | State, *, stop: int = 0, gradient: str | None = None,
        wrt: Sequence[torch.Tensor] | None = None,
    ) -> State:  # fmt: skip
        """Run towards the data.

        Args:
            model: ``model(x, t) -> prediction``, x of shape (batch, …), t of shape (batch,).
            x: x_N of shape (batch, …), or a State to continue from exactly.
            stop: the node to stop at, 0 for the data.
            gradient: None for a result without one; ``reversible`` makes the result differentiable in constant memory
                (`belm_runtime.gradient`), ``autograd`` by storing every step.
            wrt: for ``reversible``, the tensors to differentiate by; default: x and the parameters of a module.

        Returns:
            The state whose newest node is `stop`.

        Raises:
            InputError: wrong shapes, a foreign state, a bad stop; a gradient that would be silently zero or wrong.
            NotFiniteError: a NaN or overflow, with its step and node.
        """
        if gradient not in (None, *GRADIENTS):
            raise unknown("gradient", gradient, GRADIENTS)
        self.check_stability()
        if gradient == "reversible":
            return self._differentiable(model, x, stop, wrt)
        if wrt is not None:
            raise InputError("wrt is for gradient='reversible'; autograd itself finds what requires a gradient")
        if gradient == "autograd" and self.exact is not None:
            raise InputError("autograd sees integers as constants; use gradient='reversible', or float64")
        with torch.set_grad_enabled(gradient == "autograd"):
            return self._sample(model, x, stop)

    def _sample(self, model: Model, x: torch.Tensor | State, stop: int) -> State:
        history, nodes = self.entry(x, self.grid.steps, downwards=True)
        here = min(nodes)
        if not 0 <= stop <= here:
            raise InputError(f"stop = {stop} is not between 0 and the state's node {here}")
        relations = [] if self.relations is None else self.relations.downward(here, stop, len(history))
        return self._run(model, x, history, nodes, relations, range(here, stop, -1))

    @torch.no_grad()
    def invert(
        self, model: Model, x: torch.Tensor | State, *, stop: int | None = None, approximate: bool = False,
        schedule: Schedule | None = None,
    ) -> State:  # fmt: skip
        """Run towards the noise.

        A State holds the k states that make the inverse exact in exact arithmetic; in floating point its rounding is
        amplified, see `amplification`. A bare x_0 starts the inversion anew and recovers the noise approximately.

        Args:
            model: as in `sample`.
            x: a State, or x_0 of shape (batch, …).
            stop: the node to stop at, default N.
            approximate: use Adams–Bashforth upward instead of the inverse relation: DDIM inversion for ``ddim``.
            schedule: the grid's schedule, of use with a bare x_0: the first k - 1 nodes are then found in small steps
                (`belm_runtime.climb`), at the price of a few model calls.

        Returns:
            The state whose newest node is `stop`.

        Raises:
            InputError: a method without inverse, wrong shapes, a foreign or too short state.
            NotFiniteError: a NaN or overflow, with its step and node.
        """
        stop = self.grid.steps if stop is None else stop
        bare = not isinstance(x, State)
        if approximate and not bare:
            raise InputError("approximate inversion starts from a bare x_0, not from a State")
        if approximate and self._registers:
            raise InputError(f"{self.method} has no approximate inversion; its exact one costs the same")
        if approximate and self.exact is not None:
            raise InputError("approximate inversion is not exact in any arithmetic; use it with arithmetic='float64'")
        if not approximate:
            self.check_inverse(stop, bare=bare)
        history, nodes = self.entry(x, 0, downwards=False)
        here = max(nodes)
        if not here <= stop <= self.grid.steps:
            raise InputError(f"stop = {stop} is not between the state's node {here} and N = {self.grid.steps}")
        span = range(here + 1, stop + 1)
        if self.relations is None:
            return self._run(model, x, history, nodes, [], span, inverse=True)
        relations = self.relations.upward(here, stop, None if bare else len(history), approximate)
        last = min(self.method.k - 1, stop)
        if bare and schedule is not None and last:
            climb = Climb.plan(schedule, self.grid, last, self.prediction)
            return self._climbed(model, history[0], climb, relations[last:])
        return self._run(model, x, history, nodes, relations, span, inverse=True)

    def state(self, history: Sequence[torch.Tensor], nodes: Sequence[int]) -> State:
        """A state of this sampler from known values, e.g. reference starting values.

        Args:
            history: states x of shape (batch, …); EDICT: the registers (x, y).
            nodes: their node indices, consecutive; EDICT: the same node twice.
        """
        names = str(self.method), str(self.frame), self.grid.fingerprint
        return State(tuple(history), tuple(map(int, nodes)), *names, self.grid.steps)

    @overload
    def rounded(self, x: torch.Tensor, node: int | None = None) -> torch.Tensor: ...
    @overload
    def rounded(self, x: State) -> State: ...
    def rounded(self, x: torch.Tensor | State, node: int | None = None) -> torch.Tensor | State:
        """What a run makes of x at a node (default N), or of a state: in its arithmetic, on the grid of integers."""
        if isinstance(x, State):
            keys = named(x.nodes, self._registers)
            return replace(x, history=tuple(map(self._arithmetic.rounded, x.history, keys)))
        return self._arithmetic.rounded(x, (self.grid.steps if node is None else node, "x"))

    def amplification(self, direction: str = "inversion", coordinates: str = "x") -> float:
        """K of this table: how much a perturbation of the states can grow (see `belm_runtime.amplification`)."""
        return amplification(self.table, direction, coordinates)  # type: ignore[arg-type]

    @property
    def depth(self) -> int:
        """How many states a run holds: k for an invertible method, fewer where the oldest never enter."""
        return 2 if self.relations is None else self.relations.depth

    # ---- what a run needs -------------------------------------------------------------------------------------------

    def check_inverse(self, stop: int | None = None, *, bare: bool = False) -> None:
        """Refuse a method without inverse; warn where inverting amplifies rounding, or the error of a bare start.

        Args:
            stop: the node the inversion goes up to, default N.
            bare: whether it starts from x_0 alone.

        Raises:
            InputError: the method has a_k = 0.
        """
        if not self.method.has_inverse:
            raise InputError(
                f"{self.method} has a_k = 0 and cannot be inverted exactly; choose an invertible method such as "
                "open:k=3, or pass approximate=True with a bare x_0"
            )
        if self.exact is not None and not bare:
            return  # Integers are not rounded on the way back from a state.
        # Steps that make node `stop` or a lower one; the start makes the first ones.
        rows = None if stop is None else max(0, stop - (0 if self.method.stages else self.method.k - 1))
        factor = max(1.0, float(self._growth[:rows].max(initial=1.0)))
        warn_of(factor, f"inverting {self.method} on this grid", self.arithmetic, bare)

    def check_stability(self) -> None:
        """Warn where sampling amplifies errors (`UnstableWarning`): a method that is not zero-stable on this grid."""
        if self._unstable:
            warnings.warn(self._unstable, UnstableWarning, stacklevel=3)

    @cached_property
    def _growth(self) -> np.ndarray:
        return amplification_along(self.table, "inversion", "x")

    @cached_property
    def _unstable(self) -> str | None:
        return unstable(self.table)

    def entry(self, x: torch.Tensor | State, node: int, downwards: bool) -> tuple[list[torch.Tensor], list[int]]:
        """The states to start from and their nodes, in the sampler's arithmetic and its own memory.

        Args:
            x: a tensor of shape (batch, …) at `node`, or a State.
            node: where a bare tensor stands.
            downwards: the direction of the run; the newest state of that direction comes first.

        Raises:
            InputError: no floating tensor, a foreign state, or a device without float64.
        """
        if isinstance(x, State):
            names = {"method": str(self.method), "frame": str(self.frame), "grid": self.grid.fingerprint}
            check_state(x, names, self.grid.steps, self._registers)
            history, nodes = list(x.history), list(x.nodes)
        else:
            check_start(x)
            count = 2 if self._registers else 1
            history, nodes = [x] * count, [node] * count
        device = history[0].device
        if device.type == "mps" and self.dtype is torch.float64:
            raise InputError("float64 does not exist on mps; use arithmetic='float32' or move the run to the cpu")
        # A State is the same set of nodes for both directions.
        order = sorted(range(len(nodes)), key=lambda n: nodes[n] if downwards else -nodes[n])
        return [history[n].to(self.dtype, copy=True) for n in order], [nodes[n] for n in order]

    # ---- running ----------------------------------------------------------------------------------------------------

    def _run(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], nodes: list[int],
        relations: list[Relation], span: range, inverse: bool = False,
    ) -> State:  # fmt: skip
        if self.relations is None:
            return self._made(self._arithmetic.through(model, x, history, span, inverse, self.progress))
        return self._made(self._arithmetic.along(model, x, history, nodes, relations, self.depth, self.progress))

    def _climbed(self, model: Model, x: torch.Tensor, climb: Climb, relations: list[Relation]) -> State:
        """The first nodes by a climb, the rest by the relations, as one run."""
        total, nodes = climb.steps + len(relations), list(range(len(climb.stops) - 1, -1, -1))
        self._arithmetic.check_climb(x, nodes, relations)
        history, slopes = climb.run(self._arithmetic.seen(model, x), x, self._share(0, total))
        progress = self._share(climb.steps, total)
        done = self._made(self._arithmetic.along(model, x, history, nodes, relations, self.depth, progress, slopes))
        return replace(done, calls=done.calls + climb.steps)

    def _share(self, before: int, total: int) -> Progress | None:
        """The progress of a run that is a part of a longer one."""
        told = self.progress
        return None if told is None else lambda done, _: told(before + done, total)

    def _made(self, made: Made) -> State:
        state = self.state(made.history, made.nodes)
        return replace(state, calls=made.calls, conditions=dict(made.conditions))

    # ---- gradients --------------------------------------------------------------------------------------------------

    def _differentiable(
        self, model: Model, x: torch.Tensor | State, stop: int, wrt: Sequence[torch.Tensor] | None
    ) -> State:
        self.check_inverse()
        refuse_short(self.table, "a reversible gradient needs")
        states = list(x.history) if isinstance(x, State) else [x]
        declared = declare(model, states, wrt)
        with torch.enable_grad():
            history, nodes = self.entry(x, self.grid.steps, downwards=True)
        bare = replace(x, history=tuple(h.detach() for h in states)) if isinstance(x, State) else x.detach()
        watched = Watched(model, declared)
        arithmetic, rows = self._arithmetic, self._arithmetic.rows
        steps = [Step(node, rows[node]) for node in range(min(nodes) - 1, stop - 1, -1)]
        deviations = np.hypot(self.grid.alpha.astype(float), self.grid.sigma.astype(float)).tolist()

        @torch.enable_grad()
        def run() -> State:
            # As the model is watched: integers take down whether its kernels made a graph.
            return self._sample(watched.model, bare, stop)

        course = Course(
            run, steps, named(nodes, self._registers),
            arithmetic.evaluating(model, x, history[0]).predict, arithmetic.spacing, deviations, history[0].device,
            lambda: watched.shared,
        )  # fmt: skip
        with torch.enable_grad():
            return course.differentiable(history, declared)
