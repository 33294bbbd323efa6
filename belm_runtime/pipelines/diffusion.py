"""`BELMScheduler`: exactly invertible sampling for networks that predict eps, v or the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DDPMScheduler
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers

from belm_runtime.designs import rule_of
from belm_runtime.errors import InputError, unknown
from belm_runtime.grid import Grid, Nodes
from belm_runtime.models import levels
from belm_runtime.pipelines import adopt
from belm_runtime.pipelines.base import MultistepScheduler
from belm_runtime.schedule import Schedule

#: diffusers' names of what a network predicts.
PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample"}

_CUTS = {
    "clip_sample": "clips the predicted data",
    "thresholding": "rescales the predicted data by its own quantiles",
}


class BELMScheduler(MultistepScheduler):
    """A method of the catalogue as a scheduler of diffusers, for Stable Diffusion, DDPM and their kind.

        pipe.scheduler = BELMScheduler.from_config(pipe.scheduler.config, method="blend:k=3,theta=0.8")

    Any method with one model call a step whose coefficients are finite on the grid. Samples are
    x = alpha·D + sigma·eps at every node, so nothing is scaled for the network or at the start.
    """

    _compatibles: ClassVar = [e.name for e in KarrasDiffusionSchedulers if e.name != "EDMEulerScheduler"]

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Any = None,
        clip_sample: bool = False,
        set_alpha_to_one: bool = True,
        steps_offset: int = 0,
        prediction_type: str = "epsilon",
        thresholding: bool = False,
        timestep_spacing: str = "leading",
        rescale_betas_zero_snr: bool = False,
        method: Any = "blend:k=3,theta=0.8",
        frame: Any = None,
        start: str | None = None,
        arithmetic: str = "float64",
        inverse: bool = False,
    ) -> None:
        """Read the noise schedule and check the settings.

        Args:
            num_train_timesteps: T.
            beta_start: first beta of a named schedule.
            beta_end: last beta of a named schedule.
            beta_schedule: linear, scaled_linear, squaredcos_cap_v2, or another that DDPMScheduler knows.
            trained_betas: the betas themselves, in place of a named schedule.
            clip_sample: must be False.
            set_alpha_to_one: end at clean data; False: at the first training node.
            steps_offset: what spacing leading adds to its timesteps.
            prediction_type: epsilon, v_prediction or sample.
            thresholding: must be False.
            timestep_spacing: leading, trailing, linspace, or logsnr, karras, power:p=1.5, …, or a design.
            rescale_betas_zero_snr: move the betas so that alpha is 0 at T - 1.
            method: object or string of the catalogue, or a design, designed or the path of its file.
            frame: noise, flow, data or a number; default the design's, or the method's natural frame.
            start: adams (rising order) or ddim (the paper's); default the design's, or adams.
            arithmetic: float64 or float32, the dtype of the states whatever the model runs in.
            inverse: run from the data to the noise; see `inverse`.

        Raises:
            InputError: a setting that is unknown or cannot be followed.
        """
        self._check_settings()
        for name, what in _CUTS.items():
            if self.config[name]:
                raise InputError(
                    f"{name}=True {what}, which is not linear in x and cannot be inverted; use {name}=False"
                )
        if prediction_type not in PREDICTIONS:
            raise unknown("prediction_type", prediction_type, PREDICTIONS)
        self._prediction = PREDICTIONS[prediction_type]
        # A design's spacing is kept as its rule, so that a saved scheduler needs no file for it.
        self.register_to_config(timestep_spacing=rule_of(timestep_spacing)[0])
        trained = None if trained_betas is None else np.asarray(trained_betas).tolist()
        self.register_to_config(trained_betas=trained)
        try:
            source = DDPMScheduler(
                num_train_timesteps, beta_start, beta_end, beta_schedule, trained,
                rescale_betas_zero_snr=rescale_betas_zero_snr,
            )  # fmt: skip
        except NotImplementedError:
            known = ("linear", "scaled_linear", "squaredcos_cap_v2")
            raise unknown("beta_schedule", beta_schedule, known) from None
        self.betas, self.alphas, self.alphas_cumprod = source.betas, source.alphas, source.alphas_cumprod
        self.timesteps = source.timesteps
        self._schedule = Schedule.from_diffusers(source)

    @classmethod
    def _adopted(cls, config: dict[str, Any]) -> dict[str, Any]:
        return adopt.for_diffusion(config, cls)

    @property
    def schedule(self) -> Schedule:
        """The noise levels that the network was trained on."""
        return self._schedule

    @property
    def time_scale(self) -> float:
        """What the network is told, as a multiple of the schedule's time."""
        return 1.0

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
    ) -> None:
        """Make the grid of the next run, in this order whatever the direction: from the noise to the data.

        Args:
            num_inference_steps: N.
            device: where `timesteps` will lie.
            timesteps: the N times themselves, falling, in place of the spacing.
            sigmas: N + 1 ratios sigma/alpha, falling, the last usually 0, in place of the spacing.

        Raises:
            InputError: not exactly one of the three, or values that make no grid.
        """
        if sum(given is not None for given in (num_inference_steps, timesteps, sigmas)) != 1:
            raise InputError("set_timesteps takes exactly one of num_inference_steps, timesteps and sigmas")
        # A pipeline may have rewritten steps_offset in the config.
        schedule = replace(self._schedule, steps_offset=self.config.steps_offset)
        if timesteps is not None:
            times = _rising(timesteps)
            grid = self._ended(schedule, times, *schedule.alpha_sigma(times), "timesteps")
        elif sigmas is not None:
            grid = _through_ratios(schedule, _rising(sigmas))
        else:
            whole = schedule.grid(num_inference_steps, self.config.timestep_spacing)  # type: ignore[arg-type]
            grid = self._ended(schedule, whole.timesteps[1:], whole.alpha[1:], whole.sigma[1:], whole.spacing)
        told = torch.from_numpy(grid.timesteps[1:].copy())
        # The network gets whole numbers where all are whole, and never float64, which some devices lack.
        self._set_out(grid, told.long() if bool((told == told.round()).all()) else told.float(), device)

    def _ended(self, schedule: Schedule, times: Nodes, alpha: Nodes, sigma: Nodes, spacing: str) -> Grid:
        """The grid of nodes 1 … N with the node 0 that the settings ask for."""
        first: tuple[Any, Any] = (1.0, 0.0)
        if not self.config.set_alpha_to_one:
            if times[0] <= 0:
                raise InputError(
                    f"set_alpha_to_one=False ends at timestep 0, but the last timestep is {times[0]:g} already; use "
                    "set_alpha_to_one=True, a steps_offset of 1, or timestep_spacing='trailing'"
                )
            first = schedule.alpha_sigma(0.0)
        alpha, sigma = np.append(first[0], alpha), np.append(first[1], sigma)
        return Grid.from_arrays(alpha, sigma, np.append(0.0, times), schedule=schedule.name, spacing=spacing)

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """alpha·D + sigma·eps at the timesteps, one a sample; reads them on the host."""
        alpha, sigma = self._columns(timesteps, original_samples)
        return alpha * original_samples + sigma * noise

    def get_velocity(self, sample: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """alpha·eps - sigma·D at the timesteps, one a sample."""
        alpha, sigma = self._columns(timesteps, sample)
        return alpha * noise - sigma * sample

    def _columns(self, timesteps: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pair = levels(self._schedule, timesteps.reshape(-1))
        alpha, sigma = (torch.as_tensor(v).to(like).reshape(-1, *(1,) * (like.ndim - 1)) for v in pair)
        return alpha, sigma


def _rising(values: Any) -> Nodes:
    array = np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise InputError(f"timesteps and sigmas must be one-dimensional and not empty, not of shape {array.shape}")
    return array[::-1]


def _through_ratios(schedule: Schedule, sbar: Nodes) -> Grid:
    """Nodes at given sigma/alpha; lists of sigmas are rounded, so the last may lie a little above the schedule."""
    most = schedule.alpha_sigma(schedule.domain[1])
    with np.errstate(divide="ignore"):
        times = schedule.timesteps_at(np.minimum(sbar[1:], most[1] / most[0]))
    scale = np.hypot(1, sbar)
    return Grid.from_arrays(1 / scale, sbar / scale, np.append(0.0, times), schedule=schedule.name, spacing="sigmas")
