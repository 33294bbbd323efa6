"""What the settings of another scheduler mean here, and which of them no exactly invertible method can follow.

Settings of two kinds arrive in one config: those that describe the network (its noise schedule, what it predicts), and
those of the sampler that was used. A config also carries along what earlier schedulers left behind; only what the
scheduler that wrote it reads counts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import diffusers
from diffusers.utils import DummyObject

from belm_runtime.errors import InputError

Config = dict[str, Any]
_Rule = tuple[Callable[[Any], bool], str]


def _given(value: Any) -> bool:
    return value is not None


#: Settings that stop a conversion, for networks that predict eps, v or the sample.
_NOT_DIFFUSION: Mapping[str, _Rule] = {
    "use_flow_sigmas": (bool, "is flow matching; use FlowBELMScheduler"),
    "shift": (_given, "is flow matching; use FlowBELMScheduler"),
    "sigma_data": (_given, "scales what goes into its network and comes out (EDM), which no other scheduler does"),
    "snr_shift_scale": (_given, "moves the noise schedule of its network by a rule of its own (CogVideoX)"),
    "timestep_scaling": (_given, "belongs to a consistency model, which follows no ODE"),
    "timestep_type": ("continuous".__eq__, "counts time in log sigma, other than the networks of eps, v or the sample"),
    "use_beta_sigmas": (bool, "has no counterpart among the spacings; pass use_beta_sigmas=False to drop it"),
}

#: The same for flow matching.
_NOT_FLOW: Mapping[str, _Rule] = {
    "stochastic_sampling": (bool, "draws fresh noise in each step, which no inverse can undo; pass False to drop it"),
    "invert_sigmas": (bool, "runs time from 0 to 1 and predicts the opposite velocity (Mochi)"),
    "scale_factors": (_given, "changes the size of the sample on the way"),
    "stages": (_given, "changes the size of the sample on the way"),
}

#: Spacings of the project for the ways in which diffusers spreads sigma.
_SPREADS = {"use_karras_sigmas": "karras", "use_exponential_sigmas": "logsnr", "use_lu_lambdas": "logsnr"}


def for_diffusion(config: Mapping[str, Any], target: type) -> Config:
    """The settings of `BELMScheduler`, the target, for the config of a scheduler of eps, v or the sample.

    Raises:
        InputError: a setting that cannot be followed, with the reason.
    """
    name, read = _in_force(config, target)
    _refuse(name, read, _NOT_DIFFUSION)
    if read.get("prediction_type") == "flow_prediction":
        raise InputError(f"prediction_type='flow_prediction' of {name} is flow matching; use FlowBELMScheduler")
    if "beta_schedule" not in read:
        raise InputError(f"{name} has no beta schedule to read; its config has: {', '.join(sorted(read)) or 'nothing'}")
    adopted = {key: value for key, value in config.items() if key != "_use_default_values"}
    for key in {"clip_sample", "thresholding"} - set(read):
        adopted.pop(key, None)
    chosen = set(read) - set(config.get("_use_default_values", ()))
    if "final_sigmas_type" in (read if "set_alpha_to_one" not in config else chosen):
        adopted["set_alpha_to_one"] = read["final_sigmas_type"] == "zero"
    for key, spacing in _SPREADS.items():
        if read.get(key):
            adopted["timestep_spacing"] = spacing
    return adopted


def for_flow(config: Mapping[str, Any], target: type) -> Config:
    """The settings of `FlowBELMScheduler`, the target, for the config of a flow matching scheduler.

    Raises:
        InputError: a setting that cannot be followed, with the reason.
    """
    name, read = _in_force(config, target)
    _refuse(name, read, _NOT_FLOW)
    adopted = {key: value for key, value in config.items() if key not in ("_use_default_values", "use_flow_sigmas")}
    if "beta_schedule" in read:
        # Schedulers of both worlds: flow matching is a switch in them, and the grid of sigmas one of their own.
        if not read.get("use_flow_sigmas"):
            raise InputError(f"{name} is no flow matching: use_flow_sigmas is not set; use BELMScheduler")
        if read.get("prediction_type") != "flow_prediction":
            raise InputError(f"{name} with prediction_type={read.get('prediction_type')!r} is no velocity eps - D")
        if spread := next((key for key in (*_SPREADS, "use_beta_sigmas") if read.get(key)), None):
            raise InputError(f"{spread}=True of {name} together with use_flow_sigmas has no counterpart here")
        adopted["shift"] = read.get("flow_shift", 1.0)
    elif "shift" not in read:
        raise InputError(f"{name} has no flow shift to read; its config has: {', '.join(sorted(read)) or 'nothing'}")
    return adopted


def _in_force(config: Mapping[str, Any], target: type) -> tuple[str, Config]:
    """The name of the scheduler that wrote a config, and the settings that it reads.

    Of a config that was never saved, and so does not name its scheduler, everything counts; likewise of a scheduler
    that diffusers knows by name only, for want of another package.
    """
    name = config.get("_class_name")
    owner = target if name == target.__name__ else getattr(diffusers, str(name), None)
    known = config if owner is None or isinstance(owner, DummyObject) else inspect.signature(owner).parameters
    read = {key: value for key, value in config.items() if key in known and not key.startswith("_")}
    return name or "the scheduler", read


def _refuse(name: str, read: Config, rules: Mapping[str, _Rule]) -> None:
    for key, (applies, reason) in rules.items():
        if key in read and applies(read[key]):
            raise InputError(f"{name} cannot be converted: {key}={read[key]!r} {reason}")
