"""Where runs go on a grid: the relations from any node, in one direction, to one end."""

from __future__ import annotations

from functools import cached_property

import torch

from belm_runtime.errors import InputError
from belm_runtime.grid import Grid, whole
from belm_runtime.pipelines.course import Course, Leg, legs
from belm_runtime.recurrence import Relation, way_down
from belm_runtime.sampler import Sampler
from belm_runtime.state import State
from belm_runtime.table import Table, coefficients


class Route:
    """A direction and an end on the grid of a sampler.

    Attributes:
        sampler: method, grid and arithmetic.
        downwards: towards the data.
        stop: the last node that a run makes.
    """

    def __init__(
        self, sampler: Sampler, *, downwards: bool = True, stop: int | None = None, approximate: bool = False
    ) -> None:
        """Check the direction and the end.

        Args:
            sampler: method, grid and arithmetic.
            downwards: towards the data.
            stop: the last node to make; default 0 downwards and N upwards.
            approximate: upwards, Adams–Bashforth instead of the inverse relation.

        Raises:
            InputError: a method without inverse, or an end outside the grid.
        """
        steps = sampler.grid.steps
        if downwards:
            sampler.check_stability()
        elif not approximate:
            sampler.check_inverse()
        self.sampler, self.downwards, self._approximate = sampler, downwards, approximate
        self.begin = steps if downwards else 0
        self.stop = steps - self.begin if stop is None else whole("stop", stop, 0, steps)
        # A run of fewer than k steps keeps the noise itself: with it the state is complete.
        self._depth = sampler.method.k if sampler.method.has_inverse else sampler.depth

    @cached_property
    def _whole(self) -> list[Leg]:
        """The way from the begin: a plan asks for it, and then the run."""
        return legs(self._relations(self.begin, None))

    def visits(self, origin: State | None) -> list[int]:
        """The nodes at which the network is called, from a State or from a bare sample at the begin."""
        if origin is not None:
            return self.course(origin).visits
        return [leg.node for leg in self._whole]

    def course(self, x: torch.Tensor | State, node: int = 0) -> Course:
        """A run from x.

        Args:
            x: a tensor of shape (batch, …) at `node`, from which a new history starts, or a State.
            node: where a bare tensor stands.

        Raises:
            InputError: x does not fit the sampler or the route.
        """
        states, nodes = self.sampler.entry(x, node, self.downwards)
        known = len(states) if isinstance(x, State) else None
        begins = (nodes[0], known) == (self.begin, None)
        ahead = self._whole if begins else legs(self._relations(nodes[0], known))
        return Course(ahead, states, nodes, self._depth)

    def _relations(self, here: int, known: int | None) -> list[Relation]:
        """The steps from node `here` to the end; `known` states are given, None: node `here` alone."""
        if (here < self.stop) if self.downwards else (here > self.stop):
            way = "down" if self.downwards else "up"
            raise InputError(f"a run {way} from node {here} cannot stop at node {self.stop}")
        if self.downwards:
            return _descent(self.sampler, here, self.stop, known or 1)
        assert self.sampler.relations is not None
        return self.sampler.relations.upward(here, self.stop, known, self._approximate)


def _descent(sampler: Sampler, here: int, stop: int, known: int) -> list[Relation]:
    """The sampling steps from node `here` to node `stop`; fewer than k known states start from the oldest of them."""
    table, grid, oldest = sampler.table, sampler.grid, here + known - 1
    if known < sampler.method.k and 0 < oldest < grid.steps:
        # Start rows stand at the top of a table: this is the table of the grid that ends at the oldest state.
        part = (array[: oldest + 1] for array in (grid.alpha, grid.sigma, grid.timesteps))
        table = coefficients(sampler.method, Grid.from_arrays(*part), frame=sampler.frame, start=table.start)
    assert isinstance(table, Table)
    A, B = table.x_form(sampler.prediction)
    return way_down(A.tolist(), B.tolist(), here, stop)
