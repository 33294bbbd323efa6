"""What the tests of both schedulers run them on: a network, noise, and a loop such as a pipeline's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from belm_runtime.pipelines import BELMScheduler, FlowBELMScheduler

BOTH = [BELMScheduler, FlowBELMScheduler]
SHAPE = (2, 4, 6, 5)


def network(x: Tensor, t: Any) -> Tensor:
    """Nonlinear, and never waits for the device."""
    return torch.tanh(1.3 * x + 0.2) + 0.1 * torch.cos(2 * x).roll(1, -1) + t.to(torch.float64) * 1e-4


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape or SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def ready(cls: Any = BELMScheduler, steps: int = 10, method: str = "open:k=3", **settings: Any) -> Any:
    scheduler = cls(method=method, **settings)
    scheduler.set_timesteps(steps)
    return scheduler


def on(scheduler: Any, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    for t in scheduler.timesteps[start:stop]:
        x = scheduler.step(network(x, t), t, x, return_dict=False)[0]
    return x
