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

import numpy as np
import torch

from belm_runtime.amplification import AmplificationWarning, BareInversionWarning, amplification, amplification_along
from belm_runtime.amplification import warn as warn_of
from belm_runtime.climb import Climb
from belm_runtime.errors import InputError, unknown
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method, parse
from belm_runtime.models import PREDICTIONS
from belm_runtime.recurrence import Relation, march, march_stages, way_down, way_up
from belm_runtime.run import Model, Progress, Run, described
from belm_runtime.schedule import Schedule
from belm_runtime.stages import StageTable
from belm_runtime.start import upward_start
from belm_runtime.state import State
from belm_runtime.table import Table, coefficients

__all__ = ["ARITHMETIC", "AmplificationWarning", "BareInversionWarning", "Sampler"]

ARITHMETIC = {"float64": torch.float64, "float32": torch.float32}


class Sampler:
    """A method on a grid.

    Attributes:
        method: the method.
        grid: the grid.
        frame: the frame of its relation.
        prediction: what the model predicts.
        dtype: the dtype of the states.
        table: the coefficient table.
    """

    def __init__(
        self, method: Method | str, grid: Grid, *,
        arithmetic: str = "float64", frame: Frame | str | float | None = None, prediction: str = "epsilon",
        start: str = "adams", progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Build the coefficient table; everything wrong with the call is found here.

        Args:
            method: object or string, e.g. ``"blend:k=3,theta=0.8"``.
            grid: the grid, N steps.
            arithmetic: ``float64`` or ``float32``, the dtype of the states whatever the model runs in.
            frame: default the method's natural frame.
            prediction: ``epsilon``, ``v`` (alpha·eps - sigma·D), ``sample`` (D) or ``flow`` (eps - D).
            start: ``adams`` (rising order) or ``ddim`` (the paper's).
            progress: called with (steps done, steps) after each step.

        Raises:
            InputError: unknown names, or a frame or prediction that is not finite on this grid.
        """
        if arithmetic not in ARITHMETIC:
            raise unknown("arithmetic", arithmetic, ARITHMETIC)
        if prediction not in PREDICTIONS:
            raise unknown("prediction", prediction, PREDICTIONS)
        self.method, self.grid, self.prediction = parse(method, grid.steps), grid, prediction
        self.arithmetic, self.dtype, self.progress = arithmetic, ARITHMETIC[arithmetic], progress
        self.table: Table | StageTable = coefficients(self.method, grid, frame=frame, start=start)
        self.frame = self.table.frame
        if grid.alpha[-1] == 0 and prediction == "epsilon":
            raise InputError("alpha_N = 0: epsilon says nothing about the data there; predict v, sample or flow")

    def __repr__(self) -> str:
        """The method, frame, grid and arithmetic."""
        return f"Sampler({self.method}, {self.grid!r}, frame={self.frame}, arithmetic={self.arithmetic})"

    # ---- the two ways -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, model: Model, x: torch.Tensor | State, *, stop: int = 0) -> State:
        """Run towards the data.

        Args:
            model: ``model(x, t) -> prediction``, x of shape (batch, …), t of shape (batch,).
            x: x_N of shape (batch, …), or a State to continue from exactly.
            stop: the node to stop at, 0 for the data.

        Returns:
            The state whose newest node is `stop`.

        Raises:
            InputError: wrong shapes, a foreign state, a bad stop.
            NotFiniteError: a NaN or overflow, with its step and node.
        """
        history, nodes = self.entry(x, self.grid.steps, downwards=True)
        here = min(nodes)
        if not 0 <= stop <= here:
            raise InputError(f"stop = {stop} is not between 0 and the state's node {here}")
        if isinstance(self.table, StageTable):
            return self._stages(model, history, range(here, stop, -1))
        relations = self._downward[self.grid.steps - here : self.grid.steps - stop]
        self._refuse_too_short(relations, history)
        return self._relations(model, history, nodes, relations)

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
        if not approximate:
            self.check_inverse(stop, bare=bare)
        history, nodes = self.entry(x, 0, downwards=False)
        here = max(nodes)
        if not here <= stop <= self.grid.steps:
            raise InputError(f"stop = {stop} is not between the state's node {here} and N = {self.grid.steps}")
        if isinstance(self.table, StageTable):
            return self._stages(model, history, range(here + 1, stop + 1), inverse=True)
        relations = self.upward(here, stop, None if bare else len(history), approximate)
        last = min(self.method.k - 1, stop)
        if bare and schedule is not None and last:
            climb = Climb.plan(schedule, self.grid, last, self.prediction)
            return self._climbed(model, history[0], climb, relations[last:])
        return self._relations(model, history, nodes, relations)

    def state(self, history: Sequence[torch.Tensor], nodes: Sequence[int]) -> State:
        """A state of this sampler from known values, e.g. reference starting values.

        Args:
            history: states x of shape (batch, …); EDICT: the registers (x, y).
            nodes: their node indices, consecutive; EDICT: the same node twice.
        """
        names = str(self.method), str(self.frame), self.grid.fingerprint
        return State(tuple(history), tuple(map(int, nodes)), *names, self.grid.steps)

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
        self, model: Model, history: list[torch.Tensor], nodes: list[int], relations: list[Relation],
        slopes: list[torch.Tensor] | None = None, progress: Progress | None = None,
    ) -> State:  # fmt: skip
        run = Run(model, self.grid, self.method.k, self.dtype, history[0], len(relations), progress or self.progress)
        if slopes is None:
            slopes = [run.predict(x, node) for x, node in self._reevaluate(history, nodes, relations)]
        made = run.watch(march(relations, history, slopes, run.predict, self._keep(relations)), nodes[0])
        nodes = (made[::-1] + nodes)[: len(history)]
        return self._finished(history, nodes, run)

    def _climbed(self, model: Model, x: torch.Tensor, climb: Climb, relations: list[Relation]) -> State:
        """The first nodes by a climb, the rest by the relations, as one run."""
        total = climb.steps + len(relations)
        history, slopes = climb.run(model, x, self._share(0, total))
        nodes = list(range(len(history) - 1, -1, -1))
        done = self._relations(model, history, nodes, relations, slopes, self._share(climb.steps, total))
        return replace(done, calls=done.calls + climb.steps)

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

    def _stages(self, model: Model, history: list[torch.Tensor], span: range, inverse: bool = False) -> State:
        assert isinstance(self.table, StageTable)
        rows = {row.i: row for row in self.table.stage_rows(self.prediction)}
        registers = {"x": history[0], "y": history[1]}
        run = Run(model, self.grid, self.method.k, self.dtype, history[0], len(span), self.progress)
        here = span.start - 1 if inverse else span.start
        made = run.watch(march_stages([rows[i] for i in span], registers, run.predict, inverse), here)
        node = made[-1] if made else here
        return self._finished([registers["x"], registers["y"]], [node, node], run)

    def _finished(self, history: list[torch.Tensor], nodes: list[int], run: Run) -> State:
        return replace(self.state(history, nodes), calls=run.calls)
