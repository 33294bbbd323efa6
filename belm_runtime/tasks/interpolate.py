"""Interpolate: what lies between two pictures, by way of their noises.

With the states a, b at the turning node and the angle Omega between them,

    state(w) = [ sin((1 - w)·Omega)·a + sin(w·Omega)·b ] / sin(Omega)          (Shoemake 1985)

for each sample. Omega is measured on the whole state and the two weights are the same for all k members: whatever
linear relation holds between the members of a and of b then holds between those of the interpolated state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from belm_runtime.errors import InputError
from belm_runtime.guidance import mixed
from belm_runtime.models import finite
from belm_runtime.run import Model
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule
from belm_runtime.state import State
from belm_runtime.tasks.turn import turning_node

#: Below this sine of the angle the great circle is not determined by its ends.
_PARALLEL = 1e-6


@dataclass(frozen=True)
class Path:
    """Two pictures and what lies between.

    Attributes:
        ends: their states at the turning node.
        states: the states at node 0, one for each weight.
    """

    ends: tuple[State, State]
    states: tuple[State, ...]

    @property
    def calls(self) -> int:
        """Model calls of all runs."""
        return sum(state.calls for state in (*self.ends, *self.states))


def interpolate(
    sampler: Sampler, model: Model, first: Tensor | State, second: Tensor | State, weights: Sequence[float], *,
    second_model: Model | None = None, between: Callable[[float], Model] | None = None, keep: float = 0.0,
    schedule: Schedule | None = None,
) -> Path:  # fmt: skip
    """Invert two batches of pictures, and sample from the states between.

    Model calls: those of one inversion for each end and of one sampling for each weight. Weight 0 gives `first` again
    and weight 1 `second`, so they need not be among the weights.

    Args:
        sampler: an invertible method on a grid.
        model: the model that describes `first`, and `second` unless that has its own.
        first: a State at node 0, or x_0 of shape (batch, …).
        second: the same for the other end, of the same shape.
        weights: where to sample, 0 … 1.
        second_model: the model that describes `second`.
        between: the model at a weight; default: the predictions of the two mixed, (1 - w)·first + w·second.
        keep: the fraction of the steps, those next to the noise, that is left out.
        schedule: the grid's schedule, of use with bare x_0: see `Sampler.invert`.

    Raises:
        InputError: as `Sampler.invert`; weights outside 0 … 1, ends of two shapes, keep out of range.
        NotFiniteError: a NaN or overflow, with its step and node.
    """
    shapes = [tuple((end.x if isinstance(end, State) else end).shape) for end in (first, second)]
    if shapes[0] != shapes[1]:
        raise InputError(f"the ends have shapes {shapes[0]} and {shapes[1]}; they must agree")
    if wrong := [w for w in weights if not 0 <= finite("weight", w) <= 1]:
        raise InputError(f"weight {wrong[0]} is outside 0 … 1")
    other = model if second_model is None else second_model
    turn = turning_node(sampler, keep)
    a, b = (sampler.invert(own, end, stop=turn, schedule=schedule) for own, end in ((model, first), (other, second)))
    at = between or (lambda w: model if other is model else mixed(model, other, w))
    states = tuple(sampler.sample(at(w), sampler.rounded(slerp(a, b, w))) for w in weights)
    return Path((a, b), states)


def slerp(a: State, b: State, weight: float) -> State:
    """The state between two, all members with the same two weights; between parallel states the straight line.

    Args:
        a: the state at weight 0.
        b: the state at weight 1, of the same run settings and shape.
        weight: 0 … 1.
    """
    one, other = (torch.stack([x.flatten(1) for x in state.history], 1).flatten(1) for state in (a, b))
    cosine = torch.nn.functional.cosine_similarity(one, other).clamp(-1, 1)
    omega = torch.arccos(cosine)
    straight = omega.sin() < _PARALLEL
    sine = torch.where(straight, torch.ones_like(omega), omega.sin())
    on_a = torch.where(straight, torch.full_like(omega, 1 - weight), ((1 - weight) * omega).sin() / sine)
    on_b = torch.where(straight, torch.full_like(omega, weight), (weight * omega).sin() / sine)
    column = (-1, *(1,) * (a.x.dim() - 1))
    pairs = zip(a.history, b.history, strict=True)
    history = tuple(on_a.reshape(column) * x + on_b.reshape(column) * y for x, y in pairs)
    return replace(a, history=history, calls=0)
