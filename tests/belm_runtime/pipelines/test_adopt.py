"""From the config of another scheduler: what is kept, what is translated, what is refused, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

diffusers = pytest.importorskip("diffusers")

from belm_runtime import InputError, methods  # noqa: E402
from belm_runtime.pipelines import BELMScheduler, FlowBELMScheduler  # noqa: E402

SD15: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
KARRAS = [e.name for e in diffusers.schedulers.KarrasDiffusionSchedulers if e.name != "EDMEulerScheduler"]
#: DPMSolverSDEScheduler stands for an ImportError where torchsde is missing.
AT_HAND = [name for name in KARRAS if not isinstance(getattr(diffusers, name), diffusers.utils.DummyObject)]
FITTING: dict[str, dict[str, Any]] = {
    "DDIMScheduler": {"clip_sample": False}, "DDPMScheduler": {"clip_sample": False},
    "PNDMScheduler": {"steps_offset": 1},
}  # fmt: skip


def other(name: str, **settings: Any) -> Any:
    return getattr(diffusers, name)(**FITTING.get(name, {}) | settings)


# ---- from and to every scheduler of the family -------------------------------------------------------------------


@pytest.mark.parametrize("saved", [False, True], ids=["made", "loaded"])
@pytest.mark.parametrize("name", AT_HAND)
def test_the_noise_schedule_of_any_karras_scheduler_is_kept(name: str, saved: bool, tmp_path: Path) -> None:
    """Their defaults too: some start at other betas, and a saved config holds them as if they were chosen."""
    for settings in ({}, SD15):
        theirs = other(name, **settings)
        if saved:
            theirs.save_pretrained(tmp_path)
            theirs = type(theirs).from_pretrained(tmp_path)
        ours = BELMScheduler.from_config(theirs.config)
        assert torch.equal(ours.alphas_cumprod, theirs.alphas_cumprod.float())
        for key in ("timestep_spacing", "steps_offset", "prediction_type", "num_train_timesteps"):
            assert ours.config[key] == theirs.config.get(key, ours.config[key])
        ours.set_timesteps(10)


@pytest.mark.parametrize("name", AT_HAND)
def test_there_and_back(name: str) -> None:
    ours = BELMScheduler(
        **SD15, steps_offset=1, prediction_type="v_prediction", timestep_spacing="trailing", set_alpha_to_one=False,
        method="open:k=4", frame="flow", start="ddim", arithmetic="float32", trained_betas=[0.1, 0.2],
    )  # fmt: skip
    theirs = getattr(diffusers, name).from_config(ours.config)
    assert theirs.config.beta_start == 0.00085
    back = BELMScheduler.from_config(theirs.config)
    assert {key: back.config[key] for key in ours.config} == dict(ours.config)
    assert dict(BELMScheduler.from_config(ours.config).config) == dict(ours.config)


def test_a_scheduler_that_diffusers_knows_by_name_only() -> None:
    config = {"_class_name": "DPMSolverSDEScheduler", "beta_start": 0.01, "beta_end": 0.02, "beta_schedule": "linear"}
    assert BELMScheduler.from_config(config).config.beta_start == 0.01


def test_every_listed_compatible_is_there() -> None:
    assert sorted(cls.__name__ for cls in BELMScheduler().compatibles) == sorted(KARRAS)
    assert FlowBELMScheduler().compatibles == []


@pytest.mark.parametrize(
    ("name", "settings", "shift"),
    [
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, 3.0),
        ("FlowMatchHeunDiscreteScheduler", {"shift": 2.0}, 2.0),
        ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 5.0}, 5.0),
        ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 4.0}, 4.0),
        ("DEISMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 4.0}, 4.0),
        ("SASolverScheduler", {"use_flow_sigmas": True, "flow_shift": 4.0}, 4.0),
        ("DPMSolverSinglestepScheduler", {"use_flow_sigmas": True, "flow_shift": 1.5}, 1.5),
    ],
)
def test_the_shift_of_any_flow_scheduler_is_kept(name: str, settings: dict[str, Any], shift: float) -> None:
    if "use_flow_sigmas" in settings:
        settings |= {"prediction_type": "flow_prediction"}
    theirs = getattr(diffusers, name)(**settings, num_train_timesteps=500)
    str(theirs)  # writes its name into the config, as saving does
    ours = FlowBELMScheduler.from_config(theirs.config)
    assert ours.shift == shift and len(ours) == 500 and ours.config.spacing is None
    ours.set_timesteps(10)
    again = FlowBELMScheduler.from_config(ours.config)
    assert dict(again.config) == dict(ours.config) and not again.config.use_flow_sigmas


def test_the_shifts_of_a_multistep_flow_are_followed() -> None:
    settings = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "use_dynamic_shifting": True}
    theirs = diffusers.UniPCMultistepScheduler(**settings, shift_terminal=0.1)
    ours = FlowBELMScheduler.from_config(theirs.config)
    ours.set_timesteps(sigmas=[1.0, 0.5, 0.25], mu=0.8)
    assert ours.config.shift_terminal == 0.1 and float(ours.sigmas[-2]) == pytest.approx(0.1)


# ---- what is translated ---------------------------------------------------------------------------------------------


def test_the_end_point_follows_whichever_setting_was_in_force() -> None:
    """DDIM and PNDM say set_alpha_to_one, the others final_sigmas_type; a config may carry both along."""
    ends = {
        "pndm": other("PNDMScheduler", set_alpha_to_one=False, steps_offset=1),
        "euler": other("EulerDiscreteScheduler", final_sigmas_type="sigma_min", timestep_spacing="trailing"),
        "zero": other("EulerDiscreteScheduler", final_sigmas_type="zero"),
        "plain": other("EulerDiscreteScheduler"),
        "ddim": other("DDIMScheduler", set_alpha_to_one=True),
    }
    found = {
        key: BELMScheduler.from_config(scheduler.config).config.set_alpha_to_one for key, scheduler in ends.items()
    }
    assert found == {"pndm": False, "euler": False, "zero": True, "plain": True, "ddim": True}
    # PNDM's choice survives a solver that was never asked about the end, and yields to one that was.
    for chosen, end in (({}, False), ({"final_sigmas_type": "zero"}, True)):
        solver = diffusers.DPMSolverMultistepScheduler.from_config(ends["pndm"].config, **chosen)
        assert BELMScheduler.from_config(solver.config).config.set_alpha_to_one is end


@pytest.mark.parametrize(
    ("setting", "spacing"),
    [("use_karras_sigmas", "karras"), ("use_exponential_sigmas", "logsnr"), ("use_lu_lambdas", "logsnr")],
)
def test_ways_to_spread_sigma_become_spacings(setting: str, spacing: str) -> None:
    theirs = diffusers.DPMSolverMultistepScheduler(**{setting: True})
    ours = BELMScheduler.from_config(theirs.config)
    assert ours.config.timestep_spacing == spacing
    assert BELMScheduler.from_config(theirs.config, **{setting: False}).config.timestep_spacing == "linspace"


def test_what_an_earlier_scheduler_left_behind_does_not_count() -> None:
    """DDPM clips; the solver made from it does not, and its config still says so."""
    clipped = diffusers.DDPMScheduler(clip_sample=True)
    solver = diffusers.DPMSolverMultistepScheduler.from_config(clipped.config)
    solver.register_to_config(clip_sample=True)
    str(solver)
    assert BELMScheduler.from_config(solver.config).config.clip_sample is False
    assert BELMScheduler.from_config(solver.config, method="open:k=3").config.method == "open:k=3"


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("DDIMScheduler", {"clip_sample": True}, "clip_sample=True clips the predicted data, which is not linear in x"),
        (
            "DDPMScheduler",
            {"thresholding": True, "clip_sample": False},
            "thresholding=True rescales the predicted data by its own quantiles",
        ),
        ("EDMEulerScheduler", {}, "EDMEulerScheduler cannot be converted: sigma_data=0.5 scales what goes into its"),
        ("LCMScheduler", {"clip_sample": False}, "timestep_scaling=10.0 belongs to a consistency model"),
        ("TCDScheduler", {}, "timestep_scaling=10.0 belongs to a consistency model"),
        ("CogVideoXDDIMScheduler", {}, "snr_shift_scale=3.0 moves the noise schedule of its network"),
        (
            "EulerDiscreteScheduler",
            {"timestep_type": "continuous", "prediction_type": "v_prediction"},
            "timestep_type='continuous' counts time in log sigma",
        ),
        (
            "EulerDiscreteScheduler",
            {"use_beta_sigmas": True},
            "use_beta_sigmas=True has no counterpart.*=False to drop",
        ),
        ("UniPCMultistepScheduler", {"use_flow_sigmas": True}, "is flow matching; use FlowBELMScheduler"),
        (
            "UniPCMultistepScheduler",
            {"prediction_type": "flow_prediction"},
            "prediction_type='flow_prediction' of UniPCMultistepScheduler is flow matching; use FlowBELMScheduler",
        ),
        ("FlowMatchEulerDiscreteScheduler", {}, "shift=1.0 is flow matching; use FlowBELMScheduler"),
        ("IPNDMScheduler", {}, "IPNDMScheduler has no beta schedule to read; its config has: num_train_timesteps"),
        ("DDPMWuerstchenScheduler", {}, "DDPMWuerstchenScheduler has no beta schedule to read"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_reason(name: str, settings: dict[str, Any], message: str) -> None:
    theirs = getattr(diffusers, name)(**settings)
    str(theirs)
    with pytest.raises(InputError, match=message) as caught:
        BELMScheduler.from_config(theirs.config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "FlowMatchEulerDiscreteScheduler",
            {"stochastic_sampling": True},
            "stochastic_sampling=True draws fresh noise",
        ),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "invert_sigmas=True runs time from 0 to 1"),
        ("FlowMatchLCMScheduler", {"scale_factors": [1.0, 2.0]}, "changes the size of the sample on the way"),
        ("DDIMScheduler", {}, "DDIMScheduler is no flow matching: use_flow_sigmas is not set; use BELMScheduler"),
        ("UniPCMultistepScheduler", {"use_flow_sigmas": True}, "with prediction_type='epsilon' is no velocity"),
        (
            "DPMSolverMultistepScheduler",
            {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "use_lu_lambdas": True},
            "use_lu_lambdas=True of DPMSolverMultistepScheduler together with use_flow_sigmas has no counterpart",
        ),
        ("IPNDMScheduler", {}, "IPNDMScheduler has no flow shift to read"),
    ],
)
def test_what_is_no_flow_is_refused_with_the_reason(name: str, settings: dict[str, Any], message: str) -> None:
    theirs = getattr(diffusers, name)(**settings)
    str(theirs)
    with pytest.raises(InputError, match=message) as caught:
        FlowBELMScheduler.from_config(theirs.config)
    assert "\n" not in str(caught.value)


def test_a_refused_setting_can_be_dropped_by_name() -> None:
    clipped = diffusers.DDPMScheduler(clip_sample=True, thresholding=True)
    with pytest.raises(InputError, match="use clip_sample=False"):
        BELMScheduler.from_config(clipped.config, thresholding=False)
    assert not BELMScheduler.from_config(clipped.config, clip_sample=False, thresholding=False).config.thresholding
    noisy = diffusers.FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
    assert not FlowBELMScheduler.from_config(noisy.config, stochastic_sampling=False).config.stochastic_sampling


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "edict:p=0.93"}, "calls the model twice a step, but a pipeline calls it once"),
        ({"method": "o-blem"}, "unknown method 'o-blem'; did you mean 'o-belm'"),
        ({"method": "blend:k=3,theta=2"}, "theta = 2 is outside its range"),
        ({"frame": "nosie"}, "unknown frame 'nosie'; did you mean 'noise'"),
        ({"start": "dim"}, "unknown start 'dim'; did you mean 'ddim'"),
        ({"arithmetic": "float16"}, "unknown arithmetic 'float16'"),
        ({"prediction_type": "eps"}, "unknown prediction_type 'eps'; did you mean 'epsilon'"),
        ({"timestep_spacing": "trialing"}, "unknown spacing 'trialing'; did you mean 'trailing'"),
        ({"beta_schedule": "quadratic"}, "unknown beta_schedule 'quadratic'"),
        ({"mehtod": "open:k=3"}, "unknown setting 'mehtod'; did you mean 'method'"),
    ],
)
def test_wrong_settings_are_found_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BELMScheduler.from_config(diffusers.PNDMScheduler().config, **settings)


def test_methods_and_frames_may_be_objects_and_are_kept_as_text() -> None:
    scheduler = BELMScheduler(method=methods.blend(k=3, theta="4/5"), frame=1, trained_betas=np.array([0.1, 0.2]))
    assert scheduler.config.method == "blend:k=3,theta=0.8" and scheduler.config.frame == "flow"
    assert scheduler.config.trained_betas == [0.1, 0.2] and '"method": "blend:k=3,theta=0.8"' in str(scheduler)
