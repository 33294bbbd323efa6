"""BELMScheduler's grids and first-order steps against diffusers' own, and the grids that only it has."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from diffusers.schedulers import AysSchedules  # noqa: E402

from belm_runtime import InputError, Sampler, Schedule  # noqa: E402
from belm_runtime.design import Design  # noqa: E402
from belm_runtime.pipelines import BELMScheduler  # noqa: E402

SD15: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
DDPM: dict[str, Any] = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
PREDICTIONS = ["epsilon", "v_prediction", "sample"]


def network(x: Tensor, t: Any) -> Tensor:
    """Nonlinear, different at each timestep, of the size of noise, data or v."""
    return torch.tanh(1.3 * x + 0.2 * np.sin(float(t) / 90)) + 0.1 * torch.cos(2 * x).roll(1, -1)


def noise() -> Tensor:
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def run(scheduler: Any, x: Tensor) -> Tensor:
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x).prev_sample
    return x


def ddim(**settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return diffusers.DDIMScheduler(**{"clip_sample": False} | settings)


# ---- the same timesteps, the same first-order steps -----------------------------------------------------------


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("config", [SD15, DDPM, DDPM | {"num_train_timesteps": 200}], ids=["sd15", "ddpm", "short"])
def test_timesteps_are_those_of_diffusers(config: dict[str, Any], spacing: str) -> None:
    theirs, ours = ddim(**config, timestep_spacing=spacing), BELMScheduler(**config, timestep_spacing=spacing)
    assert torch.equal(ours.timesteps, theirs.timesteps)
    for steps in (1, 2, 3, 7, 10, 28, 30, 49, 50, 100, 199):
        theirs.set_timesteps(steps)
        ours.set_timesteps(steps)
        # Their trailing rule yields one value too many for some numbers of steps, a timestep -1.
        assert ours.timesteps.dtype == theirs.timesteps.dtype == torch.int64
        assert torch.equal(ours.timesteps, theirs.timesteps[:steps]) and ours.num_inference_steps == steps
        assert set(theirs.timesteps[steps:].tolist()) <= {-1}


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("config", "spacing", "steps", "last", "gap"),
    [
        (SD15, "leading", 50, True, None),
        (SD15, "leading", 50, False, None),
        (SD15, "leading", 7, True, None),
        (DDPM | {"steps_offset": 2}, "leading", 30, False, None),
        (SD15, "trailing", 50, True, None),
        (SD15, "trailing", 50, False, None),
        (DDPM, "trailing", 10, True, None),
        # linspace ends at timestep 0, so a step from there to the first training node would go nowhere
        (SD15, "linspace", 10, True, 111),
        (DDPM | {"num_train_timesteps": 40}, "linspace", 40, True, None),
    ],
)
def test_ddim_is_diffusers_ddim(
    config: dict[str, Any], spacing: str, steps: int, last: bool, gap: int | None, prediction: str
) -> None:
    """`gap` tells their step the distance of the timesteps, where T//N is another number."""
    settings = config | {"timestep_spacing": spacing, "prediction_type": prediction, "set_alpha_to_one": last}
    theirs, ours = ddim(**settings), BELMScheduler(**settings, method="ddim")
    theirs.set_timesteps(steps)
    ours.set_timesteps(steps)
    if gap is not None:
        theirs.num_inference_steps = len(theirs.alphas_cumprod) // gap
    expected = run(theirs, noise())
    assert float((run(ours, noise()) - expected).abs().max()) <= 1e-6 * float(expected.abs().max())


@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
@pytest.mark.parametrize("method", ["ddim", "adams:m=1"])
def test_ddim_with_zero_terminal_snr(prediction: str, method: str) -> None:
    settings = SD15 | {
        "timestep_spacing": "trailing", "prediction_type": prediction, "rescale_betas_zero_snr": True
    }  # fmt: skip
    theirs, ours = ddim(**settings), BELMScheduler(**settings, method=method, frame="flow")
    theirs.set_timesteps(25)
    ours.set_timesteps(25)
    assert ours.timesteps[0] == 999 and ours.alphas_cumprod[-1] == 0
    expected = run(theirs, noise())
    assert float((run(ours, noise()) - expected).abs().max()) <= 1e-6 * float(expected.abs().max())


@pytest.mark.parametrize("method", ["open:k=3", "blend:k=4", "o-belm"])
def test_zero_terminal_snr_inverts(method: str) -> None:
    settings = SD15 | {"timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    forward = BELMScheduler(**settings, rescale_betas_zero_snr=True, method=method, frame="flow")
    forward.set_timesteps(12)
    run(forward, noise())
    back = forward.inverse(forward.state)
    assert float((run(back, back.first) - noise()).abs().max()) < 1e-10


def test_where_alpha_is_zero_the_noise_frame_is_refused_and_the_flow_frame_named() -> None:
    settings = SD15 | {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    scheduler = BELMScheduler(**settings, timestep_spacing="trailing", method="o-belm")
    with pytest.raises(InputError, match=r"o-belm in the noise frame needs alpha > 0.*use frame='flow'"):
        scheduler.set_timesteps(10)
    # leading stops short of the last training node
    BELMScheduler(**settings, method="o-belm").set_timesteps(10)
    epsilon = BELMScheduler(**settings | {"prediction_type": "epsilon"}, timestep_spacing="trailing")
    with pytest.raises(InputError, match="epsilon says nothing about the data there; predict v, sample or flow"):
        epsilon.set_timesteps(10)


# ---- steps against other derivations ----------------------------------------------------------------------------


def test_o_belm_is_the_recurrence_of_the_paper() -> None:
    """BELM, eq 18: in xbar = x/alpha and sbar = sigma/alpha, with a DDIM step at the start."""
    scheduler = BELMScheduler(**DDPM, method="o-belm")
    scheduler.set_timesteps(12)
    times = [*scheduler.timesteps.tolist()[::-1]]
    acp = scheduler.alphas_cumprod.double()
    alpha = [1.0, *(float(acp[t].sqrt()) for t in times)]
    sbar = [0.0, *(float(((1 - acp[t]) / acp[t]).sqrt()) for t in times)]
    h = [0.0, *(sbar[i] - sbar[i - 1] for i in range(1, 13))]
    x = {12: noise()}
    for i in range(12, 0, -1):
        eps = network(x[i], times[i - 1])
        if i == 12:
            xbar = x[i] / alpha[i] - h[i] * eps
        else:
            ratio = (h[i] / h[i + 1]) ** 2
            xbar = ratio * x[i + 1] / alpha[i + 1] + (1 - ratio) * x[i] / alpha[i]
            xbar = xbar - h[i] * (h[i] + h[i + 1]) / h[i + 1] * eps
        x[i - 1] = alpha[i - 1] * xbar
    made = run(scheduler, noise())
    assert float((made - x[0]).abs().max()) <= 1e-6 * float(x[0].abs().max())
    state = scheduler.state
    assert state.nodes == (0, 1) and float((state.history[1] - x[1]).abs().max()) <= 1e-6 * float(x[1].abs().max())


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("method", ["adams:m=2", "adams:m=4", "bdia:gamma=0.9", "o-belm", "open:k=4", "blend:k=5"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9])
def test_a_run_is_the_samplers(method: str, steps: int, prediction: str) -> None:
    """The same relations in two loops; the state of one continues in the other."""
    scheduler = BELMScheduler(**SD15, method=method, prediction_type=prediction, start="ddim")
    scheduler.set_timesteps(steps)
    grid = Schedule.from_diffusers(ddim(**SD15)).grid(steps)
    kind = {"v_prediction": "v"}.get(prediction, prediction)
    sampler = Sampler(method, grid, prediction=kind, start="ddim")
    expected = sampler.sample(lambda x, t: network(x, t[0]), noise())
    made = run(scheduler, noise())
    assert float((made - expected.x).abs().max()) <= 1e-11 * float(made.abs().max())
    state = scheduler.state
    assert (state.grid, state.method) == (expected.grid, expected.method)
    # Of fewer than k steps ours keeps the noise too.
    assert state.nodes[: len(expected.nodes)] == expected.nodes
    for mine, theirs in zip(state.history, expected.history, strict=False):
        assert float((mine - theirs).abs().max()) <= 1e-11 * float(theirs.abs().max())


# ---- grids of one's own --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["designed", "logsnr", "karras", "power:p=1.5"])
def test_the_projects_own_spacings(spacing: str) -> None:
    scheduler = BELMScheduler(**SD15, timestep_spacing=spacing, method="open:k=3")
    scheduler.set_timesteps(10)
    grid = Schedule.from_diffusers(ddim(**SD15)).grid(10, spacing)
    assert scheduler.timesteps.dtype == torch.float32
    assert np.allclose(scheduler.timesteps.numpy()[::-1], grid.timesteps[1:], rtol=1e-6, atol=1e-6)
    run(scheduler, noise())
    assert scheduler.state.grid == grid.fingerprint
    back = scheduler.inverse(scheduler.state)
    assert float((run(back, back.first) - noise()).abs().max()) < 1e-10


def test_the_designed_pair_by_name(tmp_path: Path) -> None:
    BELMScheduler(**SD15, timestep_spacing="designed", method="designed").save_pretrained(tmp_path)
    scheduler = BELMScheduler.from_pretrained(tmp_path)
    assert (scheduler.config.method, scheduler.config.timestep_spacing) == ("designed", "designed")
    for steps, theta in ((10, "10000/37249"), (50, "250000/351649")):
        # The method follows the number of steps, the nodes lie at or above the last training timestep.
        scheduler.set_timesteps(steps)
        assert scheduler.timesteps[0] == 999 and scheduler.timesteps[-1] >= SD15["steps_offset"]
        run(scheduler, noise())
        assert scheduler.state.method == f"blend:k=3,theta={theta}"
        back = scheduler.inverse(scheduler.state)
        assert float((run(back, back.first) - noise()).abs().max()) < 1e-10


def test_a_design_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Design("own", "blend:k=3", Fraction(8), "q=1/2", "ddim", "free:s=0.02/0.1/0.5", "open:k=3")
    own.write(tmp_path / "own.json")
    monkeypatch.chdir(tmp_path)
    BELMScheduler(**SD15, timestep_spacing="own.json", method="own.json").save_pretrained(tmp_path / "saved")
    monkeypatch.chdir(tmp_path / "saved")
    scheduler = BELMScheduler.from_pretrained(tmp_path / "saved")
    # The method depends on N, so it stays the file, by its full path; the spacing needs no file.
    assert (scheduler.config.method, scheduler.config.timestep_spacing) == (str(tmp_path / "own.json"), own.spacing)
    scheduler.set_timesteps(10)
    grid = Schedule.from_diffusers(ddim(**SD15)).grid(10, own.spacing)
    expected = Sampler("blend:k=3,theta=25/81", grid, frame=0.5, start="ddim")
    assert scheduler.sampler.grid == grid and (scheduler.sampler.table.b == expected.table.b).all()
    run(scheduler, noise())
    assert (scheduler.state.method, scheduler.state.frame) == ("blend:k=3,theta=25/81", "q=1/2")
    back = scheduler.inverse(scheduler.state)
    assert float((run(back, back.first) - noise()).abs().max()) < 1e-10
    said = BELMScheduler(**SD15, method=str(tmp_path / "own.json"), frame="flow", start="adams")
    said.set_timesteps(10)
    assert (str(said.sampler.frame), said.sampler.table.start) == ("flow", "adams")


def test_custom_timesteps() -> None:
    ays = AysSchedules["StableDiffusionTimesteps"]
    scheduler = BELMScheduler(**SD15, method="ddim")
    for given in (ays, tuple(ays), np.array(ays), torch.tensor(ays)):
        scheduler.set_timesteps(timesteps=given)
        assert scheduler.timesteps.tolist() == ays and scheduler.num_inference_steps == 10
    acp = ddim(**SD15).alphas_cumprod.double()
    x = noise()
    for t, s in zip(ays, [*ays[1:], None], strict=True):
        a, b = acp[t], acp[s] if s is not None else torch.tensor(1.0, dtype=torch.float64)
        eps = network(x, t)
        x = b.sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt() + (1 - b).sqrt() * eps
    assert float((run(scheduler, noise()) - x).abs().max()) <= 1e-6 * float(x.abs().max())
    scheduler.set_timesteps(timesteps=[900.5, 100.25])
    assert scheduler.timesteps.tolist() == [900.5, 100.25]


@pytest.mark.parametrize("name", ["StableDiffusionSigmas", "StableDiffusionXLSigmas"])
def test_custom_sigmas(name: str) -> None:
    """x/alpha steps by the differences of the sigmas that were given, the highest a little above the schedule's."""
    sigmas = AysSchedules[name]
    scheduler = BELMScheduler(**SD15, method="ddim")
    scheduler.set_timesteps(sigmas=sigmas)
    euler = diffusers.EulerDiscreteScheduler(**SD15)
    euler.set_timesteps(sigmas=sigmas)
    assert torch.allclose(scheduler.timesteps, euler.timesteps, atol=0.5) and scheduler.timesteps[0] == 999
    x = noise()
    scale = [float(np.hypot(1, s)) for s in sigmas]
    for n, t in enumerate(scheduler.timesteps):
        xbar = x * scale[n] + (sigmas[n + 1] - sigmas[n]) * network(x, t)
        x = xbar / scale[n + 1]
    assert float((run(scheduler, noise()) - x).abs().max()) <= 1e-6 * float(x.abs().max())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "takes exactly one of num_inference_steps, timesteps and sigmas"),
        ({"num_inference_steps": 5, "timesteps": [9, 5]}, "takes exactly one of"),
        ({"timesteps": []}, "must be one-dimensional and not empty"),
        ({"timesteps": [[5, 3]]}, r"must be one-dimensional and not empty, not of shape \(1, 2\)"),
        ({"timesteps": [100, 500]}, "sigma/alpha falls from node 1"),
        ({"timesteps": [500, 500]}, "repeats node 1"),
        ({"timesteps": [1000, 500]}, "timestep 1000.0 is outside the schedule"),
        ({"sigmas": [1.0, 2.0, 0.0]}, "sigma/alpha falls"),
        ({"sigmas": [1.0]}, "must have one length of 2 or more"),
        ({"num_inference_steps": 0}, "steps must be a whole number ≥ 1, not 0"),
        ({"num_inference_steps": 1001}, "1001 steps are more than the schedule's 1000 timesteps"),
        ({"num_inference_steps": 1000}, "runs past the schedule, to timestep 1000 of 999"),
    ],
)
def test_wrong_grids_are_refused(given: dict[str, Any], message: str) -> None:
    scheduler = BELMScheduler(**SD15)
    with pytest.raises(InputError, match=message):
        scheduler.set_timesteps(**given)


def test_an_end_at_the_first_node_needs_room_for_a_step() -> None:
    scheduler = BELMScheduler(**DDPM, set_alpha_to_one=False)
    for given in ({"num_inference_steps": 10}, {"timesteps": [500, 0]}):
        with pytest.raises(InputError, match="set_alpha_to_one=False ends at timestep 0, but the last timestep is 0"):
            scheduler.set_timesteps(**given)
    scheduler.set_timesteps(timesteps=[500, 1])


# ---- what training and image-to-image ask for ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_and_velocity_are_those_of_diffusers(dtype: torch.dtype) -> None:
    scheduler, theirs = BELMScheduler(**SD15), diffusers.DDPMScheduler(**SD15)
    x, eps, t = noise().to(dtype), noise().flip(0).to(dtype), torch.tensor([0, 777])
    for name in ("add_noise", "get_velocity"):
        made, expected = getattr(scheduler, name)(x, eps, t), getattr(theirs, name)(x, eps, t)
        assert made.dtype == dtype and torch.allclose(made, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "schedule",
    [{"beta_schedule": "squaredcos_cap_v2"}, {"beta_schedule": "sigmoid"}, {"trained_betas": [0.1, 0.2, 0.3]}],
)
def test_every_noise_schedule_of_diffusers(schedule: dict[str, Any]) -> None:
    ours, theirs = BELMScheduler(**schedule), diffusers.DDPMScheduler(**schedule)
    for name in ("betas", "alphas", "alphas_cumprod"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    ours.set_timesteps(3)


def test_any_spacing_scales_nothing() -> None:
    scheduler, x = BELMScheduler(**SD15), noise()
    assert scheduler.init_noise_sigma == 1 and scheduler.scale_model_input(x) is x
    assert scheduler.scale_model_input(x, 5) is x and len(scheduler) == 1000 and scheduler.order == 1
