"""Schedulers of diffusers, and ours: what they are, measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

diffusers = pytest.importorskip("diffusers")

from belm_runtime import InputError, Schedule  # noqa: E402
from belm_runtime.audit import Report, audit, of_scheduler  # noqa: E402
from belm_runtime.pipelines import BELMScheduler, FlowBELMScheduler  # noqa: E402

torch.set_num_threads(1)
# NumPy on how their schedulers turn a tensor into an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SD15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
FREE = "free:s=0.03/0.3/0.85"
LEADING = {**SD15, "timestep_spacing": "leading"}


def examined(scheduler: Any, expect: str | None = None, steps: int = 10, **options: Any) -> Report:
    return audit(of_scheduler(scheduler, steps, **options), expect=expect)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("final", [True, False])
def test_ddim_of_diffusers_is_ddim(spacing: str, prediction: str, final: bool) -> None:
    settings = {**SD15, "timestep_spacing": spacing, "prediction_type": prediction, "set_alpha_to_one": final}
    report = examined(diffusers.DDIMScheduler(**settings, clip_sample=False), "ddim")
    assert report.sound and not report.notes and report.method is not None and report.method.deviation < 1e-6
    assert report.invertible is not None and not report.invertible[0]


def test_ddim_of_diffusers_clips_unless_told_not_to() -> None:
    report = examined(diffusers.DDIMScheduler(**SD15), "ddim")
    assert [fault.kind for fault in report.faults] == ["clipping"] and not report.sound
    assert report.invertible is not None and not report.invertible[0]


def test_ddims_own_rule_for_the_next_time_misses_grids_that_do_not_divide() -> None:
    """It goes to t - T//N; trailing with 15 steps is not spaced evenly in whole numbers."""
    report = examined(diffusers.DDIMScheduler(**SD15, timestep_spacing="trailing", clip_sample=False), "ddim", steps=15)
    (fault,) = report.faults
    assert fault.kind == "noise-level"
    assert "ends at the noise level of timestep 933 where the grid has 932" in fault.words
    scheduler = diffusers.DDIMScheduler(**SD15, timestep_spacing="trailing")
    scheduler.set_timesteps(15)
    spacing = -np.diff(scheduler.timesteps.numpy(), append=-1)
    assert fault.steps == tuple((np.flatnonzero(spacing != 1000 // 15) + 1).tolist())


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_euler_is_ddim_once_its_scaling_is_undone(spacing: str, prediction: str) -> None:
    settings = {**SD15, "timestep_spacing": spacing, "prediction_type": prediction}
    report = examined(diffusers.EulerDiscreteScheduler(**settings), "ddim")
    assert report.sound and report.method is not None and report.method.deviation < 2e-6


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_euler_is_ddim_on_the_flow(shift: float) -> None:
    report = examined(diffusers.FlowMatchEulerDiscreteScheduler(shift=shift), "ddim")
    assert report.sound and report.setting["prediction"] == "flow" and report.rows[0].t == 1000


def test_dpm_solver_2m_is_recognised_and_is_not_adams_2() -> None:
    report = examined(diffusers.DPMSolverMultistepScheduler(**LEADING))
    assert report.method is not None and report.nearest is not None and report.order is not None
    assert report.method.name == "dpm-solver++(2m)" and report.method.exact and not report.method.catalogued
    assert (report.nearest.name, report.nearest.frame) == ("exp-adams:m=2", "data")
    assert report.nearest.differing[0] == 2
    assert (report.order["on_this_grid"], report.order["on_smooth_grids"]) == (1, 2)
    assert "not in the catalogue" in report.verdict


def test_linear_multistep_is_adams_4_in_the_noise_frame() -> None:
    # Its weights are integrals by quadrature: many steps take long.
    subject = replace(of_scheduler(diffusers.LMSDiscreteScheduler(**LEADING), 10), remake=None)
    assert audit(subject, expect="adams:m=4", frame="noise").sound
    assert not audit(subject, expect="adams:m=4").sound


def test_stochastic_schedulers_and_those_with_other_calls() -> None:
    assert "draws fresh noise" in examined(diffusers.EulerAncestralDiscreteScheduler(**SD15)).verdict
    heun = examined(diffusers.HeunDiscreteScheduler(**SD15)).verdict
    assert "called 19 times, at 10 different times, on a grid of 10 steps" in heun


@pytest.mark.parametrize(
    ("scheduler", "name"),
    [
        (diffusers.DPMSolverMultistepScheduler(**SD15, use_karras_sigmas=True), "dpm-solver++(2m)"),
        (diffusers.DPMSolverMultistepScheduler(**SD15, use_lu_lambdas=True), "dpm-solver++(2m)"),
        (diffusers.DPMSolverMultistepScheduler(**SD15, use_exponential_sigmas=True), "dpm-solver++(2m)"),
        (diffusers.EulerDiscreteScheduler(**SD15, use_karras_sigmas=True), "ddim"),
    ],
    ids=["karras", "lu", "exponential", "euler"],
)
def test_levels_that_share_a_rounded_time(scheduler: Any, name: str) -> None:
    """Karras's levels lie so near to each other that several have one whole time, with 80 steps at the latest."""
    report = examined(scheduler, steps=25)
    assert report.setting["steps"] == 25 and report.method is not None
    assert report.method.name == name and report.method.exact and not report.faults


def test_a_last_step_that_does_not_move() -> None:
    with pytest.raises(InputError, match="DEISMultistepScheduler on 10 steps make no grid: node 1"):
        examined(diffusers.DEISMultistepScheduler(**SD15, use_karras_sigmas=True))


def test_ddim_inverse_undoes_the_algebra_only() -> None:
    forward = diffusers.DDIMScheduler(**SD15, clip_sample=False, set_alpha_to_one=False)
    report = examined(forward, "ddim", inverse=diffusers.DDIMInverseScheduler.from_config(forward.config))
    assert report.method is not None and report.method.exact and not report.sound
    assert report.inverse is not None and report.inverse.holds is False and report.inverse.step == 1
    assert report.inverse.replay < 1e-6 and report.inverse.live > 1e-3
    assert "asked at t = 1 on the finished sample x_0" in report.inverse.words


def test_dpm_solver_inverse_asks_at_other_times() -> None:
    forward = diffusers.DPMSolverMultistepScheduler(**LEADING)
    found = examined(forward, inverse=diffusers.DPMSolverMultistepInverseScheduler.from_config(forward.config)).inverse
    assert found is not None and found.holds is False and found.replay > 1e-2
    assert "asked at t = 1, where sampling never asked it; the nearest is t = 91" in found.words


@pytest.mark.parametrize(
    ("scheduler", "method"),
    [
        (BELMScheduler(**SD15), "blend:k=3,theta=0.8"),
        (BELMScheduler(method="open:k=3", prediction_type="v_prediction"), "open:k=3"),
        (BELMScheduler(method="o-belm", set_alpha_to_one=False, **SD15), "o-belm"),
        (FlowBELMScheduler(shift=3.0), "blend:k=3,theta=0.8"),
        (BELMScheduler(method="o-belm", timestep_spacing=FREE, **SD15), "o-belm"),
        (BELMScheduler(method="open:k=3", timestep_spacing="bent:A=0.12,B=6,C=0.75", **SD15), "open:k=3"),
    ],
    ids=["blend", "open", "o-belm", "flow", "free", "bent"],
)
def test_our_schedulers_are_what_they_say_and_their_inverse_is_one(scheduler: Any, method: str) -> None:
    report = examined(scheduler, method)
    assert report.sound and report.inverse is not None and report.inverse.holds is True
    assert report.method is not None and report.method.deviation < 1e-12


class OffByOne(diffusers.DDIMScheduler):
    """Its timesteps are one less than they should be."""

    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        super().set_timesteps(*args, **kwargs)
        self.timesteps = self.timesteps - 1


class Dropped(diffusers.DDIMScheduler):
    """The factor `* pred_epsilon` is missing in the direction."""

    def step(self, model_output: Any, timestep: Any, sample: Any, **kwargs: Any) -> Any:
        moved = super().step(model_output, timestep, sample, **kwargs)
        before = timestep - self.config.num_train_timesteps // self.num_inference_steps
        alpha = self.alphas_cumprod[before] if before >= 0 else self.final_alpha_cumprod
        return (moved.prev_sample + (1 - alpha) ** 0.5 * (1 - model_output),)


def test_broken_schedulers() -> None:
    grid = Schedule.preset("sd15").grid(10)
    report = examined(OffByOne(**SD15, clip_sample=False), "ddim", expected=grid)
    assert [fault.kind for fault in report.faults] == ["timestep", "reading"] and not report.sound
    assert report.method is not None and report.method.exact and "on another grid" in report.faults[1].words
    assert "called at t = 900 where the grid has t = 901; all 10 are off by -1" in report.faults[0].words
    (fault,) = examined(Dropped(**SD15, clip_sample=False), "ddim").faults
    assert fault.kind == "missing-factor" and "`* noise_pred` was dropped" in fault.words


def test_schedulers_that_cannot_be_audited() -> None:
    with pytest.raises(InputError, match="runs from the data to the noise"):
        examined(diffusers.DDIMInverseScheduler())
    euler = diffusers.EulerDiscreteScheduler(**LEADING)
    with pytest.raises(InputError, match="scales its sample"):
        examined(euler, inverse=diffusers.DDIMInverseScheduler.from_config(euler.config))
    with pytest.raises(InputError, match="neither alphas_cumprod nor sigmas"):
        examined(diffusers.IPNDMScheduler())
    with pytest.raises(InputError, match=r"^HeliosScheduler.set_timesteps\(10\) failed: KeyError: None$"):
        examined(diffusers.HeliosScheduler())
