"""One run of a sampler: the model on the grid's timesteps, its calls counted, its failures found without waiting.

A NaN or an overflow is noted in a scalar on the device at the step where it first appears, by a sum over the state, and
read once after the loop: no step waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from belm_runtime.answer import dtype_name
from belm_runtime.errors import InputError, NotFiniteError
from belm_runtime.grid import Grid
from belm_runtime.guidance import at_time
from belm_runtime.models import as_model

Progress = Callable[[int, int], None]
Model = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Run:
    """One run: the model with its timesteps, the count of calls, and the first step that was not finite."""

    def __init__(
        self, model: Model, grid: Grid, k: int, dtype: torch.dtype, like: torch.Tensor, total: int,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        """Prepare a run of `total` steps of a k-step method on the device of `like`."""
        self.model, self.calls, self.total, self.progress = as_model(model), 0, total, progress
        self.dtype, self.keeps_slopes = dtype, k > 2
        self.times = grid.timesteps.astype(float).tolist()
        # A bare x_0 is inverted by calling the model at (x_0, timesteps[1]).
        self.times[0] = self.times[1]
        self.timesteps = torch.as_tensor(self.times, dtype=dtype).to(like.device)
        self.first_bad = torch.full((), -1, dtype=torch.int64, device=like.device)

    def predict(self, x: torch.Tensor, node: int) -> torch.Tensor:
        """The model's prediction at a node, checked in shape, in the run's arithmetic."""
        prediction = at_time(self.model, self.times[node])(x, self.timesteps[node].expand(x.shape[0]))
        self.calls += 1
        if not isinstance(prediction, torch.Tensor) or prediction.shape != x.shape:
            raise InputError(f"the model returned {described(prediction)} at node {node}; x has shape {tuple(x.shape)}")
        own = prediction.to(self.dtype)
        # A model may hand back its own buffer, or x itself; kept slopes need memory of their own.
        return own.clone() if self.keeps_slopes and own is prediction else own

    def watch(self, steps: Iterator[tuple[int, torch.Tensor]], here: int) -> list[int]:
        """Exhaust the run from node `here`, noting on the device the first bad state; raise after the last."""
        made: list[int] = []
        for n, (node, x) in enumerate(steps):
            made.append(node)
            step = torch.full_like(self.first_bad, n)
            self.first_bad = torch.where(self.bad(x) & (self.first_bad < 0), step, self.first_bad)
            if self.progress:
                self.progress(n + 1, self.total)
        if made and (n := int(self.first_bad)) >= 0:
            origin = made[n - 1] if n else here
            raise NotFiniteError(f"step {n + 1} of {len(made)}, from node {origin} to node {made[n]}: {self.reason()}")
        return made

    def bad(self, x: torch.Tensor) -> torch.Tensor:
        """Whether what a step yields is not finite, as a scalar on the device."""
        return ~x.sum().isfinite()

    def reason(self) -> str:
        """What went wrong at the first bad step, once the run is over."""
        return "the model's output or the state is not finite (NaN or overflow)"


class Made(NamedTuple):
    """What a run has made.

    Attributes:
        history: the states, newest first.
        nodes: their nodes.
        calls: model calls.
        conditions: what the bits depend on, in integer arithmetic.
    """

    history: list[torch.Tensor]
    nodes: list[int]
    calls: int
    conditions: Mapping[str, Any] = MappingProxyType({})


def graphed(model: Model, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """A prediction with its graph.

    Returns:
        The leaf that x is in the graph, what the model was given, and the prediction.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        # No leaf itself, so that an in-place change is counted and not refused by torch with words of its own.
        seen = leaf.clone()
        return leaf, seen, model(seen, t)


def described(value: Any) -> str:
    """What a value is, for an error message."""
    if isinstance(value, torch.Tensor):
        return f"a {dtype_name(value.dtype)} tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
