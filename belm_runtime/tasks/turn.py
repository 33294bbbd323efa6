"""Up to a node and down again: what every task is made of."""

from __future__ import annotations

from dataclasses import dataclass

from belm_runtime.errors import InputError
from belm_runtime.models import finite
from belm_runtime.sampler import Sampler
from belm_runtime.state import State


@dataclass(frozen=True)
class Turned:
    """A way up and down.

    Attributes:
        turn: the state where it turned, x_N or x at a node below.
        state: the state at node 0.
    """

    turn: State
    state: State

    @property
    def calls(self) -> int:
        """Model calls of both ways."""
        return self.turn.calls + self.state.calls


def turning_node(sampler: Sampler, keep: float) -> int:
    """Where to turn so that a fraction of the steps, those next to the noise, is left out both ways.

    The way down goes on from all k states at the turning node and below, so it makes nodes turn - k … 0: with keep = 0
    all but the first k - 1 steps.

    Args:
        sampler: the sampler.
        keep: in [0, 1); 0 turns at the noise itself.

    Raises:
        InputError: keep out of range, or so large that no step is left.
    """
    steps, k = sampler.grid.steps, 1 if sampler.method.stages else sampler.method.k
    if not 0 <= finite("keep", keep) < 1:
        raise InputError(f"keep = {keep} is outside [0, 1); 0 turns at the noise, 0.2 leaves out a fifth of the steps")
    turn = steps - round(keep * steps)
    if turn < k:
        raise InputError(
            f"keep = {keep} of {steps} steps turns at node {turn}; {sampler.method} changes nothing below node {k}: "
            f"keep at most {max(0, steps - k) / steps:.3g}, or take more steps"
        )
    return turn
