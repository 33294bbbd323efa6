"""`FlowBELMScheduler`: exactly invertible sampling for flow matching, as in Stable Diffusion 3 and Flux."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.configuration_utils import register_to_config

from belm_runtime.designs import rule_of
from belm_runtime.errors import InputError
from belm_runtime.grid import Grid
from belm_runtime.pipelines import adopt
from belm_runtime.pipelines.base import MultistepScheduler
from belm_runtime.schedule import Schedule


class FlowBELMScheduler(MultistepScheduler, FlowMatchEulerDiscreteScheduler):
    """A method of the catalogue as a scheduler of diffusers, for networks that predict the velocity eps - D.

        pipe.scheduler = FlowBELMScheduler.from_config(pipe.scheduler.config)

    The sigmas, all their shifts and `scale_noise` are FlowMatchEulerDiscreteScheduler's own; only the step differs.
    """

    #: The spread of FlowMatchEulerDiscreteScheduler, as grids and the records of runs call it.
    OWN_SPACING: ClassVar[str] = "diffusers"

    _compatibles: ClassVar[list[str]] = []
    _prediction = "flow"

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        shift: float = 1.0,
        use_dynamic_shifting: bool = False,
        base_shift: float | None = 0.5,
        max_shift: float | None = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        invert_sigmas: bool = False,
        shift_terminal: float | None = None,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        time_shift_type: str = "exponential",
        stochastic_sampling: bool = False,
        spacing: str | None = None,
        method: Any = "blend:k=3,theta=0.8",
        frame: Any = None,
        start: str | None = None,
        arithmetic: str = "float64",
        inverse: bool = False,
    ) -> None:
        """Check the settings; those up to stochastic_sampling are FlowMatchEulerDiscreteScheduler's.

        Args:
            num_train_timesteps: T; the network counts time from 0 to T.
            shift: the fixed shift of the sigmas.
            use_dynamic_shifting: shift by `mu` of set_timesteps instead.
            base_shift: for the pipeline's mu.
            max_shift: for the pipeline's mu.
            base_image_seq_len: for the pipeline's mu.
            max_image_seq_len: for the pipeline's mu.
            invert_sigmas: must be False.
            shift_terminal: where the last sigma before 0 is stretched to.
            use_karras_sigmas: spread the sigmas as Karras et al.
            use_exponential_sigmas: spread them evenly in their logarithm.
            use_beta_sigmas: spread them by a beta distribution; needs SciPy.
            time_shift_type: exponential or linear, for dynamic shifting.
            stochastic_sampling: must be False.
            spacing: trailing, linspace or power:p=1.5, shifted like diffusers' own spread, or bent, free or a design;
                None or diffusers for the own spread.
            method: object or string of the catalogue, or a design, designed or the path of its file.
            frame: flow, a number or data; default the design's, or the method's natural frame. The noise end has
                alpha = 0.
            start: adams (rising order) or ddim (the paper's); default the design's, or adams.
            arithmetic: float64 or float32, the dtype of the states whatever the model runs in.
            inverse: run from the data to the noise; see `inverse`.

        Raises:
            InputError: a setting that is unknown or cannot be followed.
        """
        self._check_settings()
        adopt.for_flow(self.config, type(self))
        if spacing == self.OWN_SPACING:
            spacing = None
            self.register_to_config(spacing=None)
        if spacing is not None:
            # A design's spacing is kept as its rule, so that a saved scheduler needs no file for it.
            self.register_to_config(spacing=rule_of(spacing)[0])
        # FluxPipeline passes sigmas of its own unless the config says so.
        self.register_to_config(use_flow_sigmas=spacing is not None)
        theirs = inspect.signature(FlowMatchEulerDiscreteScheduler).parameters
        FlowMatchEulerDiscreteScheduler.__init__(self, **{k: v for k, v in self.config.items() if k in theirs})
        self.register_to_config(_use_default_values=[])

    @classmethod
    def _adopted(cls, config: dict[str, Any]) -> dict[str, Any]:
        return adopt.for_flow(config, cls)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
        timesteps: Sequence[float] | None = None,
    ) -> None:
        """Make the grid of the next run, in this order whatever the direction: from the noise to the data.

        Args:
            num_inference_steps: N.
            device: where `timesteps` will lie.
            sigmas: N sigmas before shifting, falling, without the final 0.
            mu: the shift, with use_dynamic_shifting.
            timesteps: N times for the network.

        Raises:
            ValueError: what FlowMatchEulerDiscreteScheduler refuses, and InputError: values that make no grid.
        """
        spacing = self.config.spacing
        if spacing is not None and sigmas is None and timesteps is None:
            grid = self._schedule(mu).grid(num_inference_steps, spacing)  # type: ignore[arg-type]
            times = torch.from_numpy(grid.timesteps[1:] * self.config.num_train_timesteps).float()
        else:
            given = {"sigmas": sigmas, "timesteps": timesteps, "mu": mu}
            given = {name: value for name, value in given.items() if value is not None}
            FlowMatchEulerDiscreteScheduler.set_timesteps(self, num_inference_steps, **given)
            s = self.sigmas.double().numpy()[::-1]
            grid = Grid.from_arrays(1 - s, s, s, schedule="flow", spacing=self.OWN_SPACING)
            times = self.timesteps.flip(0)
        self._set_out(grid, times, device)

    def _set_out(self, grid: Grid, node_times: torch.Tensor, device: Any) -> None:
        super()._set_out(grid, node_times, device)
        sigmas = torch.from_numpy(grid.sigma.copy()).float().to(device)
        self.sigmas = sigmas if self.config.inverse else sigmas.flip(0)

    @property
    def schedule(self) -> Schedule:
        """The flow that the network was trained on."""
        return Schedule.preset("flow", resolution=len(self))

    @property
    def time_scale(self) -> float:
        """What the network is told, as a multiple of the schedule's time."""
        return float(self.config.num_train_timesteps)

    def _schedule(self, mu: float | None) -> Schedule:
        """The flow with the shift that is in force."""
        if not self.config.use_dynamic_shifting:
            return Schedule.preset("flow", shift=self.shift, resolution=len(self))
        if mu is None:
            raise InputError("use_dynamic_shifting needs mu in set_timesteps")
        shift = math.exp(mu) if self.config.time_shift_type == "exponential" else mu
        return Schedule.preset("flow", shift=shift, resolution=len(self))
