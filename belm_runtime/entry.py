"""Whether a sampler can start from a tensor, or go on with a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from belm_runtime.errors import InputError
from belm_runtime.run import described
from belm_runtime.state import State


def check_start(x: Any) -> None:
    """Refuse what is no batch of states.

    Raises:
        InputError: what it is instead.
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.dim() < 1:
        raise InputError(f"x must be a floating tensor of shape (batch, …), not {described(x)}")


def check_state(state: State, names: Mapping[str, str], steps: int, registers: bool) -> None:
    """Refuse a state of another run, or one that is none.

    Args:
        state: the state.
        names: method, frame and grid that it should name.
        steps: N.
        registers: whether it should hold two registers at one node.

    Raises:
        InputError: what is wrong is named.
    """
    for name, value in names.items():
        if (theirs := getattr(state, name)) != value:
            if name == "grid":  # Two fingerprints alone would not say what to change.
                theirs, value = f"{theirs[:8]} of {state.steps} steps", f"{value[:8]} of {steps} steps"
            raise InputError(f"the state has another {name}: {theirs[:40]!r}, this sampler has {value[:40]!r}")
    if odd := [h for h in state.history if not isinstance(h, torch.Tensor) or not h.is_floating_point()]:
        raise InputError(f"a state's history must hold floating tensors, not {described(odd[0])}")
    shapes, nodes = {tuple(h.shape) for h in state.history}, sorted(state.nodes)
    if registers:
        right, wanted = len(nodes) == 2 and nodes[0] == nodes[1], "two registers at one node"
    else:
        right, wanted = nodes == list(range(nodes[0], nodes[-1] + 1)) if nodes else False, "consecutive nodes"
    inside = bool(nodes) and nodes[0] >= 0 and nodes[-1] <= steps
    if len(shapes) != 1 or len(state.history) != len(nodes) or not inside or not right:
        raise InputError(
            f"the state's nodes {list(state.nodes)} and shapes {sorted(shapes)} do not make a history; "
            f"{names['method']} needs {wanted} within 0 … {steps} and one shape"
        )
