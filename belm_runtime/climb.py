"""The climb: the first nodes above a bare x_0, found in small steps.

An inversion of a k-step method from x_0 alone needs the states at nodes 1 … k-1 first. On the sampler's own grid they
are poor: there is no prediction at node 0, so the network is asked at (x_0, t_1), where a clean picture stands for a
noisy one, and the later the time t_1 the less it says. Here the interval up to node k - 1 gets nodes of its own,

    x_0 ── first training time ── steps h <= min(s, 1/16) in s = sigma/(alpha + sigma) ── … ── node k - 1,

on which Adams–Bashforth 2 runs upward: no step is longer than all the way before it. Its predictions at nodes 1 … k-2
are those that the inversion goes on with, so nothing is evaluated twice. benchmarks/bare_inversion.py measures what it
gains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from belm_runtime.errors import InputError
from belm_runtime.grid import Grid
from belm_runtime.models import finite
from belm_runtime.recurrence import march
from belm_runtime.run import Model, Progress, Run
from belm_runtime.schedule import Schedule
from belm_runtime.start import upward_start
from belm_runtime.table import coefficients

#: The longest step in s.
STEP = 1 / 16

_METHOD, _ORDER = "adams:m=2", 2
#: Relative difference of noise levels that float32 schedules make.
_SLACK = 1e-5


@dataclass(frozen=True)
class Climb:
    """A way up from node 0 to node `last` of a grid.

    Attributes:
        fine: its nodes.
        stops: where nodes 0 … last of the grid are among them.
        prediction: what the network predicts.
    """

    fine: Grid
    stops: tuple[int, ...]
    prediction: str

    @classmethod
    def plan(cls, schedule: Schedule, grid: Grid, last: int, prediction: str, step: float = STEP) -> Climb:
        """The climb on a schedule that the grid belongs to.

        Args:
            schedule: the schedule.
            grid: the sampler's grid.
            last: the node to reach, 1 … N.
            prediction: what the network predicts.
            step: the longest step in s, > 0.

        Raises:
            InputError: a grid of another schedule, or a step that is not positive.
        """
        if finite("the climb's step", step) <= 0:
            raise InputError(f"the climb's step = {step} must be > 0, e.g. {STEP}")
        alpha, sigma, times = (np.asarray(v[: last + 1], dtype=float) for v in (grid.alpha, grid.sigma, grid.timesteps))
        _check_levels(schedule, alpha[1:], sigma[1:], times[1:])
        nodes, stops = [(alpha[0], sigma[0], times[0])], [0]
        level = schedule.alpha_sigma(schedule.first_time)
        first = float(level[0]), float(level[1]), schedule.first_time
        for m in range(1, last + 1):
            goal = (alpha[m], sigma[m], times[m])
            if m == 1 and _s(nodes[0]) < _s(first) < _s(goal):
                nodes.append(first)
            nodes += [*_between(schedule, _s(nodes[-1]), _s(goal), step), goal]
            stops.append(len(nodes) - 1)
        return cls(Grid.from_arrays(*zip(*nodes, strict=True)), tuple(stops), prediction)

    @property
    def steps(self) -> int:
        """The number of model calls."""
        return self.fine.steps

    def run(
        self, model: Model, x: torch.Tensor, progress: Progress | None = None
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Climb.

        Args:
            model: the model.
            x: x_0, shape (batch, …), in the run's arithmetic.
            progress: called with (steps done, steps) after each step.

        Returns:
            The states at the grid's nodes last … 0, and the predictions at its nodes last-1 … 1.
        """
        table = coefficients(_METHOD, self.fine)
        relations = upward_start(table, self.prediction, self.steps, _ORDER)
        run = Run(model, self.fine, table.k, x.dtype, x, self.steps, progress)
        predictions: dict[int, torch.Tensor] = {}
        states = {0: x}

        def predict(x: torch.Tensor, node: int) -> torch.Tensor:
            found = run.predict(x, node)
            if node in self.stops[1:]:
                predictions[node] = found
            return found

        run.watch(self._noting(march(relations, [x], [], predict, _ORDER), states), 0)
        return [states[n] for n in self.stops[::-1]], [predictions[n] for n in self.stops[-2:0:-1]]

    def _noting(
        self, made: Iterator[tuple[int, torch.Tensor]], states: dict[int, torch.Tensor]
    ) -> Iterator[tuple[int, torch.Tensor]]:
        for node, x in made:
            if node in self.stops:
                states[node] = x
            yield node, x


Node = tuple[float, float, float]


def _s(node: Node) -> float:
    return node[1] / (node[0] + node[1])


def _between(schedule: Schedule, here: float, goal: float, step: float) -> list[Node]:
    """The nodes that cut the way from s = here to s = goal; none where a step starts at s = 0."""
    s = []
    while (rest := goal - here) > (longest := min(here, step)) > 0:
        # Two even steps at the end, not a long one and a short one.
        here += min(longest, rest / 2)
        s.append(here)
    cuts = np.array(s)
    times = schedule.timesteps_at(cuts / (1 - cuts))
    alpha, sigma = schedule.alpha_sigma(times)
    return list(zip(alpha.tolist(), sigma.tolist(), times.tolist(), strict=True))


def _check_levels(schedule: Schedule, alpha: np.ndarray, sigma: np.ndarray, times: np.ndarray) -> None:
    low, high = schedule.domain
    inside = (times >= low) & (times <= high)
    known = schedule.alpha_sigma(np.clip(times, low, high))
    same = inside & np.isclose(known[0], alpha, rtol=_SLACK, atol=0) & np.isclose(known[1], sigma, rtol=_SLACK, atol=0)
    if not same.all():
        i = int(np.argmin(same))
        raise InputError(
            f"the grid is not of the schedule {schedule.name!r}: node {i + 1} has sigma = {sigma[i]:.6g} at timestep "
            f"{times[i]:g}, the schedule has {float(known[1][i]):.6g} there"
        )
