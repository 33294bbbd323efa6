"""Edit: up with the model of what a picture is, down with the model of what it should be.

    x_0  ──invert, source──►  node turn  ──sample, target──►  edited x_0

The way down goes on from all k states at the turning node; their slopes are evaluated again, with the target. If target
and source are the same model, the picture comes back up to rounding: what changes is what the models disagree on. The
fewer steps lie below the turning node, the more stays as it was.
"""

from __future__ import annotations

import torch

from belm_runtime.run import Model
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule
from belm_runtime.state import State
from belm_runtime.tasks.turn import Turned, turning_node


def edit(
    sampler: Sampler, source: Model, target: Model, x: torch.Tensor | State, *, keep: float = 0.0,
    schedule: Schedule | None = None,
) -> Turned:  # fmt: skip
    """Change a picture by changing its condition.

    Model calls: the source's `turn` up (from a State k - 2 more and k - 1 fewer), the target's turn - 1 down for k > 2.

    Args:
        sampler: an invertible method on a grid.
        source: the model under the condition that describes x.
        target: the model under the condition wanted, e.g. with guidance; see `belm_runtime.guidance` for guidance that
            changes along the run.
        x: a State at node 0, or x_0 of shape (batch, …).
        keep: the fraction of the steps, those next to the noise, that is left out both ways.
        schedule: the grid's schedule, of use with a bare x_0: see `Sampler.invert`.

    Returns:
        The turning state and the edited one.

    Raises:
        InputError: as `Sampler.invert`; keep out of range.
        NotFiniteError: a NaN or overflow, with its step and node.
    """
    turn = sampler.invert(source, x, stop=turning_node(sampler, keep), schedule=schedule)
    return Turned(turn, sampler.sample(target, turn))
