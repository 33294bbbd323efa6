"""What the sampler's tests run: its methods, a network, noise, and what makes two states the same."""

from __future__ import annotations

import torch
from torch import Tensor

from belm_runtime import Schedule, State

INVERTIBLE = ["o-belm", "bdia:gamma=0.96", "bdia:gamma=1", "open:k=2", "open:k=3", "open:k=4", "open:k=5"]
INVERTIBLE += ["blend:k=2", "blend:k=3", "blend:k=4", "blend:k=5", "edict"]
ALL = ["ddim", "adams:m=2", "adams:m=4", *INVERTIBLE]
SD15 = Schedule.preset("sd15")


def toy(x: Tensor, t: Tensor) -> Tensor:
    """A nonlinear network of any shape that mixes nothing between samples."""
    return torch.tanh(x + t.reshape(-1, *(1,) * (x.ndim - 1)) / 1000) + 0.1 * torch.sin(3 * x)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def same(one: State, other: State) -> bool:
    pairs = zip(one.history, other.history, strict=True)
    return one.nodes == other.nodes and all(torch.equal(a, b) for a, b in pairs)
