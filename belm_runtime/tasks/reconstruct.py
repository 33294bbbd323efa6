"""Reconstruct: data to noise and back, under one model.

    x_0 … x_{k-1}  ──invert──►  x_N … x_{N-k+1}  ──sample──►  x_0 … x_{k-1}

All k states at the noise lead back to x_0 up to rounding, also if x_0 was all there was to begin with. The noise x_N
alone leads back approximately: a run from it makes the states beside it anew.
"""

from __future__ import annotations

import torch

from belm_runtime.run import Model
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule
from belm_runtime.state import State
from belm_runtime.tasks.turn import Turned


def reconstruct(
    sampler: Sampler, model: Model, x: torch.Tensor | State, *, schedule: Schedule | None = None, alone: bool = False
) -> Turned:
    """Invert and sample again.

    Model calls: N up and N - 1 down with k = 3 states (k - 2 slopes are evaluated again), N down from x_N alone; a
    schedule adds a few for the start.

    Args:
        sampler: an invertible method on a grid.
        model: the model, both ways.
        x: a State at node 0, or x_0 of shape (batch, …).
        schedule: the grid's schedule, of use with a bare x_0: see `Sampler.invert`.
        alone: go back from x_N alone.

    Raises:
        InputError: as `Sampler.invert`.
        NotFiniteError: a NaN or overflow, with its step and node.
    """
    turn = sampler.invert(model, x, schedule=schedule)
    return Turned(turn, sampler.sample(model, turn.x if alone else turn))
