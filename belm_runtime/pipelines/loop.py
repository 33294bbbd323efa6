"""The loop's side of a scheduler: which step a call is, which state it continues from, what is kept.

A pipeline hands each result back as the next sample. As long as it is the very tensor, unwritten, the run continues
from the state behind it, which may be of higher precision; any other sample starts a new history at its node. No step
waits for the device: each leaves the sum of its state there, and the last one reads them all before it returns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from belm_runtime.errors import InputError, NotFiniteError
from belm_runtime.grid import Grid, whole
from belm_runtime.pipelines.course import Course
from belm_runtime.pipelines.route import Route
from belm_runtime.sampler import Sampler
from belm_runtime.state import State


class HistoryWarning(UserWarning):
    """A run lost its history and started a new one."""


class Loop:
    """A grid, the run on it, and the sample that was handed out last.

    Attributes:
        config: the settings of the scheduler; read here are method, frame, start, arithmetic and inverse.
        timesteps: what the network is told at each step of a run.
        num_inference_steps: N of the grid; None before there is one.
    """

    config: Any
    timesteps: torch.Tensor
    num_inference_steps: int | None = None
    _prediction: str
    _route: Route | None = None
    _visits: Sequence[int] = ()
    _sums: Sequence[torch.Tensor] = ()
    _course: Course | None = None
    _origin: State | None = None
    _stop: int | None = None
    _approximate = False
    _step_index: int | None = None
    _begin_index: int | None = None

    # ---- the plan of a run -------------------------------------------------------------------------------------------

    def _set_out(self, grid: Grid, node_times: torch.Tensor, device: Any) -> None:
        """Make the coefficients and the timesteps; `node_times` are the network's at nodes 1 … N."""
        config = self.config
        sampler = Sampler(
            config.method, grid, arithmetic=config.arithmetic, frame=config.frame, prediction=self._prediction,
            start=config.start,
        )  # fmt: skip
        self._route = Route(sampler, downwards=not config.inverse, stop=self._stop, approximate=self._approximate)
        self._visits = self._route.visits(self._origin)
        # Node 0 has no time of its own: there the network is told node 1's.
        chosen = node_times[[max(node, 1) - 1 for node in self._visits]]
        self._node_times, self._times = node_times, chosen.tolist()
        self.timesteps = chosen.to(device)
        self.num_inference_steps = grid.steps
        self._begin_index = None
        self._reset()

    @property
    def sampler(self) -> Sampler:
        """Method and grid of the run, for a loop of one's own.

        Raises:
            InputError: before `set_timesteps`.
        """
        if self._route is None:
            raise InputError("call set_timesteps first: it makes the grid")
        return self._route.sampler

    @property
    def node_times(self) -> torch.Tensor:
        """What the network is told at nodes 1 … N of that grid."""
        self.sampler  # noqa: B018
        return self._node_times

    def _reset(self) -> None:
        self._course, self._step_index, self._warned = None, None, False

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Start the next run at this index of `timesteps`, with a new history there (image-to-image)."""
        self._begin_index = whole("begin_index", begin_index, 0, len(self._visits) if self._route else None)
        self._reset()

    @property
    def begin_index(self) -> int | None:
        """Where the run starts, if a pipeline said so."""
        return self._begin_index

    @property
    def step_index(self) -> int | None:
        """The index of the next step; None before the first."""
        return self._step_index

    # ---- what a run keeps -----------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The last states of the run, k of them after enough steps; the tensors are copies.

        Raises:
            InputError: no step has been made, or someone has written into a kept state.
            NotFiniteError: a step of the run made a NaN or overflowed.
        """
        course, route = self._course, self._route
        if course is None and route and self._origin and not self._visits:
            course = route.course(self._origin)
        if course is None or route is None:
            raise InputError("there is no state before the first step of a run")
        if not course.intact():
            raise InputError("a sample of this run was written into after it was handed out; the states are lost")
        self._check_finite()
        made = route.sampler.state([x.detach().clone() for x in course.states], course.nodes)
        return replace(made, calls=course.calls)

    @property
    def first(self) -> torch.Tensor:
        """The sample that a run from a State starts with, in the arithmetic of the states; `set_timesteps` first."""
        if self._origin is None or self._route is None:
            raise InputError("only a run from a State has a first sample, and only after set_timesteps")
        return self._route.course(self._origin).handed_on

    # ---- one step ----------------------------------------------------------------------------------------------------

    def _advanced(self, model_output: torch.Tensor, timestep: Any, sample: torch.Tensor) -> torch.Tensor:
        index = self._index_of(timestep)
        new = self._course_at(index, sample).advance(model_output)
        torch.sum(new.detach() if new.requires_grad else new, dim=None, out=self._sums[index])
        self._step_index = index + 1
        if index + 1 == len(self._visits):
            self._check_finite()
        result = new if new.dtype is sample.dtype else new.to(sample.dtype)
        self._last = result, result._version
        return result

    def _index_of(self, timestep: Any) -> int:
        """Which step a timestep belongs to, found without waiting for the device."""
        due, count = self._step_index, len(self._visits)
        if due is None:
            if self._route is None:
                raise InputError("call set_timesteps before step")
            if (self._begin_index or 0) == count:
                raise InputError("this run has no steps: it begins at the node where it stops")
            if self._begin_index is not None:
                return self._begin_index
        elif due == count:
            self._reset()
            return self._index_of(timestep)
        if isinstance(timestep, torch.Tensor):
            # What a loop over `timesteps` yields are views into it: their place tells the index.
            place = (timestep.data_ptr() - self.timesteps.data_ptr()) / self.timesteps.element_size()
            if place == due or place in range(count):
                return int(place)
            if due is not None and timestep.device.type != "cpu":
                return due
        return self._nearest(float(timestep))

    def _nearest(self, time: float) -> int:
        times, due = self._times, self._step_index
        if due is not None and times[due] == time:
            return due
        index = min(range(len(times)), key=lambda n: abs(times[n] - time))
        if times[index] != time and index != due:
            self._warn(f"timestep {time:g} is none of this run's; its nearest, {times[index]:g}, is taken instead")
        return index

    def _course_at(self, index: int, sample: torch.Tensor) -> Course:
        """The run that goes on from this sample: the one under way, or a new one."""
        course = self._course
        if course is None:
            return self._start(index, sample)
        last, version = self._last
        if sample is last and version == last._version and index == self._step_index and course.intact():
            return course
        self._warn(
            f"the sample of step {index + 1} is not the last result as it was handed out, so the kept states do not "
            "lead to it; the history starts anew there"
        )
        return self._start(index, sample)

    def _start(self, index: int, sample: torch.Tensor) -> Course:
        """A run from this sample; the first one of a State must be the State's own."""
        assert self._route is not None
        origin = self._origin
        if origin is None or self._course is not None:
            course = self._route.course(sample, self._visits[index])
        else:
            course = self._route.course(replace(origin, history=tuple(x.to(sample.device) for x in origin.history)))
            first = course.handed_on.to(sample.dtype)
            if index or first.shape != sample.shape or not torch.equal(first, sample):
                raise InputError(
                    "a run from a State starts with its own sample: hand over scheduler.first, in the dtype of the "
                    "model, at the first of scheduler.timesteps"
                )
        if self._course is None:
            self._sums = course.states[0].new_zeros(len(self._visits)).unbind()
        self._course = course
        return course

    def _warn(self, message: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(f"{message} (said once a run)", HistoryWarning, stacklevel=6)

    def _check_finite(self) -> None:
        """Read the sums of all steps at once, and name the first that was not finite."""
        sums = torch.stack(tuple(self._sums)).tolist() if self._sums else []
        bad = [n for n, total in enumerate(sums) if not math.isfinite(total)]
        if bad:
            node, way = self._visits[bad[0]], 1 if self.config.inverse else -1
            self._reset()
            raise NotFiniteError(
                f"step {bad[0] + 1} of {len(self._visits)}, from node {node} to node {node + way}: the model's output "
                "or the state is not finite (NaN or overflow)"
            )
