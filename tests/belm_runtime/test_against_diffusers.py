"""DDIM both ways against diffusers' own schedulers, step for step, on a fixed nonlinear network.

diffusers keeps alphas_cumprod in float32 and takes roots there, so the two agree to float32 rounding; with its
array put in float64 they agree to float64 rounding. DDIMScheduler finds the next timestep as t - T//N, which is the
next one of its own list for leading, and for trailing where N divides T; for linspace only with T = N, or after it is
told the gap.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from belm_runtime import Sampler, Schedule

diffusers = pytest.importorskip("diffusers")

KINDS = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}
SD15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
DDPM = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}


def network(x: Tensor, t: float) -> Tensor:
    """Nonlinear, different at each timestep, of the size of noise, data or v."""
    return torch.tanh(1.3 * x + 0.2 * np.sin(t / 90)) + 0.1 * torch.cos(2 * x).roll(1, -1)


def model(x: Tensor, t: Tensor) -> Tensor:
    return network(x, float(t[0]))


def noise() -> Tensor:
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def scheduler(kind: str, config: dict[str, Any], spacing: str, double: bool, inverse: bool = False, **more: Any) -> Any:
    """A DDIM scheduler of diffusers as its users set it up for a network without clipping."""
    cls = diffusers.DDIMInverseScheduler if inverse else diffusers.DDIMScheduler
    usual = {"set_alpha_to_one": True, "clip_sample": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = cls(**config, **usual | more, timestep_spacing=spacing, prediction_type=KINDS[kind])
    if double:
        made.alphas_cumprod = made.alphas_cumprod.double()
        last = "initial_alpha_cumprod" if inverse else "final_alpha_cumprod"
        setattr(made, last, getattr(made, last).double())
    return made


def sampled(ddim: Any, steps: int, gap: int | None = None) -> tuple[Tensor, list[int]]:
    """diffusers' own loop; `gap` tells step() the distance of the timesteps where T//N is another number."""
    ddim.set_timesteps(steps)
    times = ddim.timesteps.tolist()
    if gap is not None:
        ddim.num_inference_steps = len(ddim.alphas_cumprod) // gap
    x = noise()
    for t in ddim.timesteps:
        x = ddim.step(network(x, float(t)), t, x).prev_sample
    return x, times


@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-6), (True, 1e-12)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("config", "spacing", "steps", "gap"),
    [
        (SD15, "leading", 50, None),
        (SD15, "trailing", 50, None),
        (SD15, "linspace", 10, 111),
        (DDPM, "leading", 30, None),
        (DDPM, "trailing", 10, None),
        (DDPM | {"num_train_timesteps": 40}, "linspace", 40, None),
    ],
)
def test_ddim_is_diffusers_ddim(
    config: dict[str, Any], spacing: str, steps: int, gap: int | None, kind: str, double: bool, tolerance: float
) -> None:
    ddim = scheduler(kind, config, spacing, double)
    x, times = sampled(ddim, steps, gap)
    grid = Schedule.from_diffusers(ddim).grid(steps, spacing)
    assert grid.timesteps[:0:-1].tolist() == times
    state = Sampler("ddim", grid, prediction=kind).sample(model, noise())
    assert float((state.x - x).abs().max()) <= tolerance * float(x.abs().max())


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_on_the_way_agrees_too(kind: str, spacing: str) -> None:
    ddim = scheduler(kind, SD15, spacing, double=True)
    ddim.set_timesteps(20)
    sampler = Sampler("ddim", Schedule.from_diffusers(ddim).grid(20, spacing), prediction=kind)
    x, state = noise(), noise()
    for n, t in enumerate(ddim.timesteps):
        x = ddim.step(network(x, float(t)), t, x).prev_sample
        state = sampler.sample(model, state, stop=19 - n)
        assert float((state.x - x).abs().max()) <= 1e-12 * float(x.abs().max())


@pytest.mark.parametrize(
    ("kind", "spacing", "end"),
    [("epsilon", "leading", "zero"), ("v", "leading", "zero"), ("epsilon", "trailing", "first")]
    + [("v", "trailing", "first"), ("sample", "trailing", "first")],
)
def test_approximate_inversion_is_diffusers_inverse_step(kind: str, spacing: str, end: str) -> None:
    """The step from t_m to t_{m+1} is the same; the label that the network is told is not.

    Here it is t_m, the node that x_m stands at (t_1 for x_0), which makes the inversion explicit Euler upward. The
    pipelines of diffusers hand the timestep they go to, t_{m+1}, to the network as well as to the step.
    """
    more = {"set_alpha_to_one": end == "zero"}
    inverse = scheduler(kind, DDPM, spacing, double=True, inverse=True, **more)
    inverse.set_timesteps(25)
    grid = Schedule.from_diffusers(inverse).grid(25, spacing, end=end)
    assert inverse.timesteps.tolist() == grid.timesteps[1:].tolist()
    sampler = Sampler("ddim", grid, prediction=kind)
    found = sampler.invert(model, noise(), approximate=True)
    x = noise()
    for m, target in enumerate(inverse.timesteps):
        at = float(grid.timesteps[max(m, 1)])
        eps = as_epsilon(kind, network(x, at), x, grid, max(m, 1))
        # Handed over as what its scheduler reads at the level it comes from, not at the label's level.
        x = inverse.step(from_epsilon(kind, eps, x, grid, m), target, x).prev_sample
    assert float((found.x - x).abs().max()) <= 1e-12 * float(x.abs().max())


def as_epsilon(kind: str, p: Tensor, x: Tensor, grid: Any, i: int) -> Tensor:
    alpha, sigma = float(grid.alpha[i]), float(grid.sigma[i])
    return {"epsilon": p, "v": alpha * p + sigma * x, "sample": (x - alpha * p) / sigma}[kind]


def from_epsilon(kind: str, eps: Tensor, x: Tensor, grid: Any, i: int) -> Tensor:
    alpha, sigma = float(grid.alpha[i]), float(grid.sigma[i])
    data = (x - sigma * eps) / alpha
    return {"epsilon": eps, "v": alpha * eps - sigma * data, "sample": data}[kind]
