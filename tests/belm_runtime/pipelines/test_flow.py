"""FlowBELMScheduler against FlowMatchEulerDiscreteScheduler: the same sigmas, the same first-order steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from belm_runtime import InputError, Sampler, Schedule  # noqa: E402
from belm_runtime.grid import Grid  # noqa: E402
from belm_runtime.pipelines import FlowBELMScheduler  # noqa: E402

FLUX_SIGMAS = list(np.linspace(1.0, 1 / 9, 9))
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"num_inference_steps": 10}),
    ({"shift": 3.0}, {"num_inference_steps": 28}),
    ({"shift": 3.0}, {"num_inference_steps": 1}),
    ({"shift": 0.5}, {"sigmas": FLUX_SIGMAS}),
    ({"use_dynamic_shifting": True}, {"sigmas": FLUX_SIGMAS, "mu": 1.15}),
    ({"use_dynamic_shifting": True}, {"num_inference_steps": 9, "sigmas": FLUX_SIGMAS, "mu": 0.6}),
    ({"use_dynamic_shifting": True, "time_shift_type": "linear"}, {"num_inference_steps": 6, "mu": 2.0}),
    ({"use_dynamic_shifting": True, "shift_terminal": 0.1}, {"sigmas": FLUX_SIGMAS, "mu": 1.0}),
    ({"use_karras_sigmas": True, "shift": 2.0}, {"num_inference_steps": 8}),
    ({"use_exponential_sigmas": True}, {"num_inference_steps": 8}),
    ({"use_beta_sigmas": True}, {"num_inference_steps": 8}),
    ({"shift": 3.0, "num_train_timesteps": 500}, {"num_inference_steps": 10}),
]


def network(x: Tensor, t: Any) -> Tensor:
    return torch.tanh(1.3 * x + 0.2 * math.sin(float(t) / 90)) + 0.1 * torch.cos(2 * x).roll(1, -1)


def noise(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)


def run(scheduler: Any, x: Tensor) -> Tensor:
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x, return_dict=False)[0]
    return x


@pytest.mark.parametrize(("settings", "given"), CASES)
def test_sigmas_and_euler_steps_are_those_of_diffusers(settings: dict[str, Any], given: dict[str, Any]) -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(**settings)
    ours = FlowBELMScheduler.from_config(theirs.config, method="ddim")
    assert torch.equal(ours.timesteps, theirs.timesteps) and torch.equal(ours.sigmas, theirs.sigmas)
    theirs.set_timesteps(**given)
    ours.set_timesteps(**given)
    assert torch.equal(ours.timesteps, theirs.timesteps) and torch.equal(ours.sigmas, theirs.sigmas)
    expected = run(theirs, noise().float().double())
    made = run(ours, noise().float().double())
    assert float((made - expected).abs().max()) <= 1e-6 * float(expected.abs().max())


def test_timesteps_and_sigmas_of_ones_own() -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler()
    ours = FlowBELMScheduler(method="ddim")
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(timesteps=[900.0, 500.0, 10.0], sigmas=[1.0, 0.4, 0.2])
    assert torch.equal(ours.timesteps, theirs.timesteps) and torch.equal(ours.sigmas, theirs.sigmas)
    expected = run(theirs, noise().float().double())
    made = run(ours, noise().float().double())
    assert float((made - expected).abs().max()) <= 1e-6 * float(expected.abs().max())


@pytest.mark.parametrize("method", ["open:k=2", "open:k=3", "blend:k=4,theta=0.9", "adams:m=3"])
def test_a_run_is_the_samplers_on_the_same_sigmas(method: str) -> None:
    """The state's grid counts time from 0 to 1, so a Sampler on Grid.from_arrays(1 - s, s, s) continues it."""
    scheduler = FlowBELMScheduler(shift=3.0, method=method)
    scheduler.set_timesteps(9)
    s = scheduler.sigmas.double().numpy()[::-1]
    sampler = Sampler(method, Grid.from_arrays(1 - s, s, s), prediction="flow")
    expected = sampler.sample(lambda x, t: network(x, 1000 * t[0]), noise())
    made = run(scheduler, noise())
    assert float((made - expected.x).abs().max()) <= 1e-6 * float(made.abs().max())
    assert scheduler.state.grid == expected.grid and scheduler.state.nodes == expected.nodes


@pytest.mark.parametrize("method", ["open:k=2", "open:k=3", "open:k=5", "blend:k=3,theta=0.8"])
@pytest.mark.parametrize(("settings", "given"), [case for case in CASES if case[1] != {"num_inference_steps": 1}])
def test_every_grid_inverts(settings: dict[str, Any], given: dict[str, Any], method: str) -> None:
    forward = FlowBELMScheduler(**settings, method=method)
    forward.set_timesteps(**given)
    made = run(forward, noise())
    back = forward.inverse(forward.state)
    assert torch.equal(back.sigmas, forward.sigmas.flip(0))
    assert float((run(back, back.first) - noise()).abs().max()) <= 1e-10
    # The same call, as the pipeline makes it, leads the other way too; its sigmas stay in falling order.
    back.set_timesteps(**given)
    assert torch.equal(back.sigmas, forward.sigmas.flip(0))
    assert back.timesteps.tolist() == forward.timesteps.tolist()[:0:-1]
    assert float((run(back, back.first) - noise()).abs().max()) <= 1e-10
    again = back.inverse(back.state)
    assert float((run(again, again.first) - made).abs().max()) <= 1e-10


@pytest.mark.parametrize("spacing", ["trailing", "linspace", "power:p=1.5"])
@pytest.mark.parametrize(
    ("settings", "mu", "shift"),
    [
        ({"shift": 3.0}, None, 3.0),
        ({"use_dynamic_shifting": True}, 0.7, math.exp(0.7)),
        ({"use_dynamic_shifting": True, "time_shift_type": "linear"}, 2.5, 2.5),
    ],
)
def test_the_projects_own_spacings(settings: dict[str, Any], mu: float | None, shift: float, spacing: str) -> None:
    scheduler = FlowBELMScheduler(**settings, spacing=spacing, method="open:k=3")
    scheduler.set_timesteps(12, mu=mu)
    grid = Schedule.preset("flow", shift=shift).grid(12, spacing)
    assert np.allclose(scheduler.timesteps.numpy()[::-1], 1000 * grid.timesteps[1:], rtol=1e-6)
    assert np.allclose(scheduler.sigmas.numpy()[::-1], grid.sigma, rtol=1e-6)
    assert scheduler.config.use_flow_sigmas  # FluxPipeline then leaves the sigmas to the scheduler
    run(scheduler, noise())
    assert scheduler.state.grid == grid.fingerprint
    scheduler.set_timesteps(sigmas=FLUX_SIGMAS, mu=mu)
    assert len(scheduler.timesteps) == 9


def test_linspace_is_what_diffusers_makes() -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    ours = FlowBELMScheduler(shift=3.0, spacing="linspace")
    theirs.set_timesteps(10)
    ours.set_timesteps(10)
    assert torch.allclose(ours.sigmas, theirs.sigmas, rtol=1e-6)


def test_the_spread_of_diffusers_has_a_name_that_a_record_can_hold() -> None:
    named = FlowBELMScheduler(shift=3.0, spacing="power:p=2")
    own, again = FlowBELMScheduler(shift=3.0), FlowBELMScheduler.from_config(named.config, spacing="diffusers")
    for scheduler in (own, again):
        scheduler.set_timesteps(10)
    assert again.sampler.grid == own.sampler.grid and own.sampler.grid.spacing == "diffusers"
    assert again.config.spacing is None and not again.config.use_flow_sigmas


def test_flux_leaves_the_sigmas_to_a_scheduler_that_has_a_spacing(tiny: Any) -> None:
    model = tiny.flux()
    model.pipe.scheduler = FlowBELMScheduler.from_config(model.pipe.scheduler.config, spacing="power:p=2")
    model.run(model.latents(), 8)
    gaps = -model.pipe.scheduler.sigmas.diff()
    assert len(gaps) == 8 and gaps[0] > 2 * gaps[-1]


# ---- the rest of the interface -----------------------------------------------------------------------------


def test_noise_is_scaled_as_in_diffusers() -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    ours = FlowBELMScheduler.from_config(theirs.config)
    x, eps = noise(torch.float32), noise(torch.float32).flip(0)
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(10)
    plain = [s.scale_noise(x, s.timesteps[[3, 7]], eps) for s in (theirs, ours)]
    assert torch.equal(*plain)
    for scheduler in (theirs, ours):
        scheduler.set_begin_index(4)
    begun = [s.scale_noise(x, s.timesteps[4:5].repeat(2), eps) for s in (theirs, ours)]
    assert torch.equal(*begun) and not torch.equal(begun[0], plain[0])
    sigma = float(ours.sigmas[4])
    assert torch.allclose(begun[1], sigma * eps + (1 - sigma) * x)


def test_settings_that_cannot_be_followed() -> None:
    with pytest.raises(InputError, match="stochastic_sampling=True draws fresh noise in each step"):
        FlowBELMScheduler(stochastic_sampling=True)
    with pytest.raises(InputError, match="invert_sigmas=True runs time from 0 to 1"):
        FlowBELMScheduler(invert_sigmas=True)
    with pytest.raises(InputError, match="spacing 'leading' is not for the flow"):
        FlowBELMScheduler(spacing="leading").set_timesteps(5)
    with pytest.raises(InputError, match="unknown spacing 'trialing'; did you mean 'trailing'"):
        FlowBELMScheduler(spacing="trialing")
    with pytest.raises(InputError, match=r"o-belm in the noise frame needs alpha > 0.*use frame='flow'"):
        FlowBELMScheduler(method="o-belm").set_timesteps(10)
    with pytest.raises(InputError, match="needs mu in set_timesteps"):
        FlowBELMScheduler(use_dynamic_shifting=True, spacing="trailing").set_timesteps(5)
    with pytest.raises(ValueError, match="mu"):
        FlowBELMScheduler(use_dynamic_shifting=True).set_timesteps(5)
    with pytest.raises(InputError, match="repeats node"):
        FlowBELMScheduler().set_timesteps(sigmas=[0.5, 0.5])


def test_o_belm_runs_in_the_flow_frame() -> None:
    forward = FlowBELMScheduler(shift=3.0, method="o-belm", frame="flow")
    forward.set_timesteps(10)
    run(forward, noise())
    back = forward.inverse(forward.state)
    assert float((run(back, back.first) - noise()).abs().max()) <= 1e-10
