"""The sampler: a method on a grid, run in both directions on any model.

    sampler = Sampler("o-belm", grid)
    state = sampler.sample(model, noise)        # x_N -> x_0, one model call a step (EDICT two)
    back = sampler.invert(model, state)         # the same relations solved for their oldest state

A run holds the last k states and the slopes that enter, combines them in place, and reads nothing back from the
device until it is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import overload

import numpy as np
import torch

from belm_runtime.amplification import AmplificationWarning, BareInversionWarning, amplification, amplification_along
from belm_runtime.amplification import warn as warn_of
from belm_runtime.arithmetic import ARITHMETIC, Integer, read_arithmetic
from belm_runtime.assignment import Key, of_table
from belm_runtime.climb import Climb
from belm_runtime.errors import InputError, unknown
from belm_runtime.exact import Exact
from belm_runtime.frame import Frame
from belm_runtime.gradient import Course
from belm_runtime.grid import Grid
from belm_runtime.integer import Step
from belm_runtime.methods import Method, parse
from belm_runtime.models import PREDICTIONS
from belm_runtime.recurrence import Relation, march, march_stages, way_down, way_up
from belm_runtime.run import Model, Progress, Run, described
from belm_runtime.schedule import Schedule
from belm_runtime.stages import StageTable
from belm_runtime.start import upward_start
from belm_runtime.state import State
from belm_runtime.table import Table, coefficients
from belm_runtime.watched import Watched, declare

__all__ = ["ARITHMETIC", "AmplificationWarning", "BareInversionWarning", "Sampler"]

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
        exact: the integers of ``arithmetic="integer"``, else None.
    """

    def __init__(
        self, method: Method | str, grid: Grid, *,
        arithmetic: str | Integer = "float64", frame: Frame | str | float | None = None, prediction: str = "epsilon",
        start: str = "adams", progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Build the coefficient table; everything wrong with the call is found here.

        Args:
            method: object or string, e.g. ``"blend:k=3,theta=0.8"``.
            grid: the grid, N steps.
            arithmetic: ``float64`` or ``float32``, the dtype of the states whatever the model runs in; or ``integer``
                for a round trip that is exact to the last bit, with options as in ``integer:bound=32,batch=16``.
            frame: default the method's natural frame.
            prediction: ``epsilon``, ``v`` (alpha·eps - sigma·D), ``sample`` (D) or ``flow`` (eps - D).
            start: ``adams`` (rising order) or ``ddim`` (the paper's).
            progress: called with (steps done, steps) after each step.

        Raises:
            InputError: unknown names, or a frame or prediction that is not finite on this grid; for integers also a
                method without inverse, or a range that does not fit.
        """
        if prediction not in PREDICTIONS:
            raise unknown("prediction", prediction, PREDICTIONS)
        self.method, self.grid, self.prediction = parse(method), grid, prediction
        options, self.dtype = read_arithmetic(arithmetic)
        self.arithmetic, self.progress = str(arithmetic), progress
        self.table: Table | StageTable = coefficients(self.method, grid, frame=frame, start=start)
        self.frame = self.table.frame
        if grid.alpha[-1] == 0 and prediction == "epsilon":
            raise InputError("alpha_N = 0: epsilon says nothing about the data there; predict v, sample or flow")
        self.exact = None if options is None else Exact(options, self.table, prediction)

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
        if isinstance(self.table, StageTable):
            return self._stages(model, x, history, range(here, stop, -1))
        relations = self._downward[self.grid.steps - here : self.grid.steps - stop]
        self._refuse_too_short(relations, history)
        return self._relations(model, x, history, nodes, relations)

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
        if approximate and isinstance(self.table, StageTable):
            raise InputError(f"{self.method} has no approximate inversion; its exact one costs the same")
        if approximate and self.exact is not None:
            raise InputError("approximate inversion is not exact in any arithmetic; use it with arithmetic='float64'")
        if not approximate:
            self.check_inverse(stop, bare=bare)
        history, nodes = self.entry(x, 0, downwards=False)
        here = max(nodes)
        if not here <= stop <= self.grid.steps:
            raise InputError(f"stop = {stop} is not between the state's node {here} and N = {self.grid.steps}")
        if isinstance(self.table, StageTable):
            return self._stages(model, x, history, range(here + 1, stop + 1), inverse=True)
        relations = self.upward(here, stop, None if bare else len(history), approximate)
        last = min(self.method.k - 1, stop)
        if not bare or schedule is None or not last:
            return self._relations(model, x, history, nodes, relations)
        climb = Climb.plan(schedule, self.grid, last, self.prediction)
        total = climb.steps + len(relations) - last
        history, slopes = climb.run(model, history[0], self._share(0, total))
        nodes, progress = list(range(last, -1, -1)), self._share(climb.steps, total)
        done = self._relations(model, x, history, nodes, relations[last:], slopes, progress)
        return replace(done, calls=done.calls + climb.steps)

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
            names = self.names(x.nodes)
            return replace(x, history=tuple(self._rounded(h, key) for h, key in zip(x.history, names, strict=True)))
        return self._rounded(x, (self.grid.steps if node is None else node, "x"))

    def _rounded(self, x: torch.Tensor, key: Key) -> torch.Tensor:
        return x.to(self.dtype) if self.exact is None else self.exact.rounded(x, key)

    def names(self, nodes: Sequence[int]) -> list[Key]:
        """The names of states at nodes: EDICT's registers are x and y."""
        return list(zip(nodes, ("x", "y") if self.method.stages else ("x",) * len(nodes), strict=True))

    def amplification(self, direction: str = "inversion", coordinates: str = "x") -> float:
        """K of this table: how much a perturbation of the states can grow (see `belm_runtime.amplification`)."""
        return amplification(self.table, direction, coordinates)  # type: ignore[arg-type]

    # ---- the relations of this grid -------------------------------------------------------------------------------

    @cached_property
    def _forms(self) -> tuple[list[list[float]], list[list[float]]]:
        assert isinstance(self.table, Table)
        A, B = self.table.x_form(self.prediction)
        return A.tolist(), B.tolist()

    @cached_property
    def _downward(self) -> list[Relation]:
        return way_down(*self._forms, self.grid.steps, 0)

    @cached_property
    def depth(self) -> int:
        """How many states a run holds: k for an invertible method, fewer where the oldest never enter."""
        if isinstance(self.table, StageTable):
            return 2
        # A slope is evaluated again on entry, so its state is kept even where R = 0 and it enters as a slope only.
        return max(max(len(r.states), len(r.slopes)) for r in self._downward)

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
        assert isinstance(self.table, Table)
        k = self.method.k
        if known is None:
            last = stop if approximate else min(here + k - 1, stop)
            start = upward_start(self.table, self.prediction, last, k - 1, first=here)
            return start + way_up(*self._forms, last, stop)
        if known < k and stop > here:
            reason = "" if k <= self.grid.steps else f", and a grid of fewer than {k} steps has no row to invert"
            raise InputError(f"inverting {self.method} needs the last {k} states; this state holds {known}{reason}")
        return way_up(*self._forms, here, stop)

    def _refuse_too_short(self, relations: list[Relation], history: list[torch.Tensor]) -> None:
        needed = max((max(len(r.states), len(r.slopes)) - n for n, r in enumerate(relations)), default=1)
        if needed > len(history):
            raise InputError(
                f"continuing {self.method} at node {relations[0].node} needs the last {needed} states; "
                f"this state holds {len(history)}"
            )

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

    @cached_property
    def _growth(self) -> np.ndarray:
        return amplification_along(self.table, "inversion", "x")

    # ---- running ----------------------------------------------------------------------------------------------------

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
            self._check_state(x)
            history, nodes = list(x.history), list(x.nodes)
        else:
            if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.dim() < 1:
                raise InputError(f"x must be a floating tensor of shape (batch, …), not {described(x)}")
            twice = isinstance(self.table, StageTable)
            history, nodes = [x] * (2 if twice else 1), [node] * (2 if twice else 1)
        device = history[0].device
        if device.type == "mps" and self.dtype is torch.float64:
            raise InputError("float64 does not exist on mps; use arithmetic='float32' or move the run to the cpu")
        # A State is the same set of nodes for both directions.
        order = sorted(range(len(nodes)), key=lambda n: nodes[n] if downwards else -nodes[n])
        return [history[n].to(self.dtype, copy=True) for n in order], [nodes[n] for n in order]

    def _check_state(self, state: State) -> None:
        mine = {"method": str(self.method), "frame": str(self.frame), "grid": self.grid.fingerprint}
        for name, value in mine.items():
            if (theirs := getattr(state, name)) != value:
                raise InputError(f"the state has another {name}: {theirs[:40]!r}, this sampler has {value[:40]!r}")
        if odd := [h for h in state.history if not isinstance(h, torch.Tensor) or not h.is_floating_point()]:
            raise InputError(f"a state's history must hold floating tensors, not {described(odd[0])}")
        shapes, nodes = {tuple(h.shape) for h in state.history}, sorted(state.nodes)
        if isinstance(self.table, StageTable):
            right, wanted = len(nodes) == 2 and nodes[0] == nodes[1], "two registers at one node"
        else:
            right, wanted = nodes == list(range(nodes[0], nodes[-1] + 1)) if nodes else False, "consecutive nodes"
        inside = bool(nodes) and nodes[0] >= 0 and nodes[-1] <= self.grid.steps
        if len(shapes) != 1 or len(state.history) != len(nodes) or not inside or not right:
            raise InputError(
                f"the state's nodes {list(state.nodes)} and shapes {sorted(shapes)} do not make a history; "
                f"{self.method} needs {wanted} within 0 … {self.grid.steps} and one shape"
            )

    def _relations(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], nodes: list[int],
        relations: list[Relation], slopes: list[torch.Tensor] | None = None, progress: Progress | None = None,
    ) -> State:  # fmt: skip
        if self.exact is not None:
            made = [relation.target for relation in reversed(relations)]
            kept = [*made, *nodes][: self.depth] if made else nodes
            steps = self.exact.along(relations, nodes, alone=not isinstance(x, State))
            return self._integers(model, x, history, nodes, steps, kept, progress)
        run = Run(model, self.grid, self.method.k, self.dtype, history[0], len(relations), progress or self.progress)
        if slopes is None:
            slopes = [run.predict(x, node) for x, node in self._reevaluate(history, nodes, relations)]
        made = run.watch(march(relations, history, slopes, run.predict, self._keep(relations)), nodes[0])
        nodes = (made[::-1] + nodes)[: len(history)]
        return self._finished(history, nodes, run)

    def _share(self, before: int, total: int) -> Progress | None:
        """The progress of a run that is a part of a longer one."""
        told = self.progress
        return None if told is None else lambda done, _: told(before + done, total)

    def _keep(self, relations: list[Relation]) -> int:
        return max(self.depth, *(len(r.states) for r in relations)) if relations else self.depth

    def _reevaluate(
        self, history: list[torch.Tensor], nodes: list[int], relations: list[Relation]
    ) -> list[tuple[torch.Tensor, int]]:
        """The older states whose slopes the first relations still need: k - 2 of them for a full history."""
        if not relations or len(history) == 1:
            return []
        needed = max((len(r.slopes) - n for n, r in enumerate(relations)), default=0) - 1
        return [(x, node) for x, node in list(zip(history, nodes, strict=True))[1 : needed + 1] if node > 0]

    def _stages(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], span: range, inverse: bool = False
    ) -> State:
        assert isinstance(self.table, StageTable)
        here = span.start - 1 if inverse else span.start
        if self.exact is not None:
            steps = self.exact.through(span, inverse, alone=not isinstance(x, State))
            node = steps[-1].node if steps else here
            return self._integers(model, x, history, [here, here], steps, [node, node])
        rows = {row.i: row for row in self.table.stage_rows(self.prediction)}
        registers = {"x": history[0], "y": history[1]}
        run = Run(model, self.grid, self.method.k, self.dtype, history[0], len(span), self.progress)
        made = run.watch(march_stages([rows[i] for i in span], registers, run.predict, inverse), here)
        node = made[-1] if made else here
        return self._finished([registers["x"], registers["y"]], [node, node], run)

    def _integers(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], nodes: list[int],
        steps: list[Step], kept: list[int], progress: Progress | None = None,
    ) -> State:  # fmt: skip
        assert self.exact is not None
        states, conditions, calls = self.exact.run(model, x, history, nodes, steps, kept, progress or self.progress)
        return replace(self.state(states, kept), calls=calls, conditions=conditions)

    # ---- gradients --------------------------------------------------------------------------------------------------

    def _differentiable(
        self, model: Model, x: torch.Tensor | State, stop: int, wrt: Sequence[torch.Tensor] | None
    ) -> State:
        self.check_inverse()
        if not self.method.stages and self.grid.steps < self.method.k:
            raise InputError(
                f"{self.method} has no row to invert on a grid of {self.grid.steps} steps; a reversible gradient needs "
                f"{self.method.k} or more"
            )
        states = list(x.history) if isinstance(x, State) else [x]
        declared = declare(model, states, wrt)
        with torch.enable_grad():
            history, nodes = self.entry(x, self.grid.steps, downwards=True)
        bare = replace(x, history=tuple(h.detach() for h in states)) if isinstance(x, State) else x.detach()
        watched = Watched(model, declared)
        rows = of_table(self.table, self.prediction) if self.exact is None else self.exact.lattice.rows
        steps = [Step(node, rows[node]) for node in range(min(nodes) - 1, stop - 1, -1)]
        again = self._run(model, x, history[0])
        course = Course(
            lambda: self._sample(watched.model, bare, stop), steps, self.names(nodes),
            again.predict, None if self.exact is None else self.exact.lattice.spacing, history[0].device,
        )  # fmt: skip
        return course.differentiable(history, declared)

    def _run(self, model: Model, x: torch.Tensor | State, like: torch.Tensor) -> Run:
        """A run on this grid, in the sampler's arithmetic."""
        if self.exact is not None:
            return self.exact.evaluating(model, x, like)
        return Run(model, self.grid, self.method.k, self.dtype, like, 0, None)

    def _finished(self, history: list[torch.Tensor], nodes: list[int], run: Run) -> State:
        return replace(self.state(history, nodes), calls=run.calls)
