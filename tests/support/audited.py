"""Samplers for audits, right and wrong, written as their papers print them and not with the runtime's tables."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from belm_runtime import Schedule

SCHEDULE = Schedule.preset("sd15")
STEPS = 10
GRID = SCHEDULE.grid(STEPS)
ALPHA, SIGMA, TIMES = GRID.alpha.tolist(), GRID.sigma.tolist(), GRID.timesteps.tolist()


def at(x: Tensor, t: float) -> Tensor:
    return torch.full((len(x),), t, dtype=torch.float64)


def ddim(
    model: Any, x: Tensor, *, direction: Any = lambda eps: eps, told: float = 0, ends: float = 0, starts: float = 0,
    scaled: bool = True, factor: dict[int, float] | None = None, clip: bool = False, noisy: bool = False,
) -> Tensor:  # fmt: skip
    """DDIM (eq 12 of its paper), with the mistakes that one makes."""
    for i in range(STEPS, 0, -1):
        a, s, before, after = ALPHA[i], SIGMA[i], ALPHA[i - 1], SIGMA[i - 1]
        if ends and i > 1:
            before, after = map(float, SCHEDULE.alpha_sigma(TIMES[i - 1] + ends))
        eps = model(x if scaled else x / a, at(x, TIMES[i] + told))
        if starts:
            a, s = map(float, SCHEDULE.alpha_sigma(TIMES[i] + starts))
        data = (x - s * eps) / a
        if clip:
            data = data.clamp(-1, 1)
        x = (before * data + after * direction(eps)) * (factor or {}).get(i, 1.0)
        if noisy:
            x = x + 0.01 * torch.randn_like(x)
    return x


def ddim_inversion(model: Any, x: Tensor) -> Tensor:
    """What is called DDIM inversion: the same relation, the network asked at the state that is known."""
    for i in range(1, STEPS + 1):
        eps = model(x, at(x, TIMES[i]))
        x = (x - (SIGMA[i - 1] - ALPHA[i - 1] / ALPHA[i] * SIGMA[i]) * eps) * ALPHA[i] / ALPHA[i - 1]
    return x


def edict(
    model: Any, x: Tensor, p: float = 0.93, first: str = "y", second: str = "x", *,
    minus: int = 0, at_once: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """EDICT (eq 14 of its paper); `first` and `second` say at which registers the network is asked.

    minus: the node i whose second stage has the wrong sign; at_once: both registers are mixed at once.
    """
    y = x.clone()
    for i in range(STEPS, 0, -1):
        A = ALPHA[i - 1] / ALPHA[i]
        B = SIGMA[i - 1] - A * SIGMA[i]
        x = A * x + B * model(x if first == "x" else y, at(x, TIMES[i]))
        y = A * y + (-B if i == minus else B) * model(x if second == "x" else y, at(x, TIMES[i]))
        mixed = p * x + (1 - p) * y
        x, y = mixed, p * y + (1 - p) * (x if at_once else mixed)
    return x, y


def edict_inverse(model: Any, pair: tuple[Tensor, Tensor], p: float = 0.93, swapped: bool = False) -> Any:
    """EDICT's way back (eq 15); swapped: the two halves of the mixing undone in the wrong order."""
    x, y = pair
    for i in range(1, STEPS + 1):
        A = ALPHA[i - 1] / ALPHA[i]
        B = SIGMA[i - 1] - A * SIGMA[i]
        if swapped:
            x = (x - (1 - p) * y) / p
            y = (y - (1 - p) * x) / p
        else:
            y = (y - (1 - p) * x) / p
            x = (x - (1 - p) * y) / p
        y = (y - B * model(x, at(x, TIMES[i]))) / A
        x = (x - B * model(y, at(x, TIMES[i]))) / A
    return x, y


def multistep(
    model: Any, x: Tensor, A: Any, B: Any, *, given: Any = lambda i, states: states[0], dropped: Any = ()
) -> Tensor:  # fmt: skip
    """The relations with the given weights, rows i at index i - 1.

    `given` chooses what the network is given at node i among the states, newest first; (i, j) in `dropped` says that in
    row i the weight B_j multiplies nothing.
    """
    states, slopes = [x], list[Tensor]()
    for i in range(STEPS, 0, -1):
        slopes.insert(0, model(given(i, states), at(x, TIMES[i])))
        outputs = [torch.ones_like(x) if (i, j) in dropped else p for j, p in enumerate(slopes, 1)]
        terms = [*zip(A[i - 1].tolist(), states, strict=False), *zip(B[i - 1].tolist(), outputs, strict=False)]
        states.insert(0, sum((c * v for c, v in terms), torch.zeros_like(x)))
    return states[0]
