"""Schedulers in the manner of diffusers as subjects, known by what they have, not by their class.

The loop is a pipeline's:

    scheduler.set_timesteps(N);  sample = x·init_noise_sigma
    for t in scheduler.timesteps:  sample = scheduler.step(model(scheduler.scale_model_input(sample, t), t), t, sample)

so the network sees x = alpha·D + sigma·eps whatever coordinates the scheduler keeps. The levels of the grid are the
scheduler's own `sigmas` where it has them (sigma of a flow, else sigma/alpha), else those of its alphas_cumprod at its
timesteps; a scheduler of this package has the grid itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from belm_runtime.audit.subject import Run, Subject, attempted, final
from belm_runtime.errors import InputError
from belm_runtime.grid import Grid
from belm_runtime.models import Model
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule
from belm_runtime.state import State

_PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample", "flow_prediction": "flow"}


def is_scheduler(value: Any) -> bool:
    """Whether it has what a pipeline's loop calls."""
    return all(callable(getattr(value, name, None)) for name in ("set_timesteps", "step"))


def of_scheduler(
    scheduler: Any, steps: int, *, name: str | None = None, expected: Grid | None = None, inverse: Any = None
) -> Subject:
    """A subject from a scheduler.

    Args:
        scheduler: an object with set_timesteps, timesteps, step and a config.
        steps: N.
        name: for display; default its class.
        expected: the grid it should follow from node 1 on; default what its own attributes say.
        inverse: the claimed inverse, a scheduler that runs from x_0 to x_N; default the scheduler's own `inverse`.

    Raises:
        InputError: no timesteps for this N, no levels to be read, or a scheduler that runs from the data to the noise.
    """
    attempted(f"{type(scheduler).__name__}.set_timesteps({steps})", lambda: scheduler.set_timesteps(steps))
    times = np.asarray(torch.as_tensor(scheduler.timesteps).double().cpu())
    if len(times) > 1 and times[0] < times[-1]:
        kind = type(scheduler).__name__
        raise InputError(f"{kind} runs from the data to the noise; audit it as the inverse of its sampler")
    own = _grid(scheduler, times)
    if expected is not None:
        keys = ("alpha", "sigma", "timesteps")
        nodes = (np.append(getattr(own, key)[0], getattr(expected, key)[1:]) for key in keys)
        own = Grid.from_arrays(*nodes, schedule=expected.schedule, spacing=expected.spacing)
    scaled = not _sees_the_sample(scheduler)
    if scaled and inverse is not None:
        kind = type(scheduler).__name__
        raise InputError(f"{kind} scales its sample for the network; an inverse of such a scheduler cannot be audited")
    return Subject(
        name or type(scheduler).__name__, partial(_run, scheduler, steps), own, _prediction(scheduler),
        _invert(scheduler, inverse, steps), float(own.alpha[0]) if scaled else 1.0, _times(scheduler),
        None if expected is not None else lambda n: of_scheduler(scheduler, n),
    )  # fmt: skip


def _run(scheduler: Any, steps: int, model: Model, x: Tensor) -> Any:
    """A pipeline's loop; the scheduler's state instead of the sample where it keeps one of ours."""
    scheduler.set_timesteps(steps)
    sample = _loop(scheduler, model, x * float(getattr(scheduler, "init_noise_sigma", 1.0)))
    state = getattr(scheduler, "state", None)
    return state if isinstance(state, State) else sample


def _loop(scheduler: Any, model: Model, sample: Tensor) -> Tensor:
    scale = getattr(scheduler, "scale_model_input", None)
    for t in scheduler.timesteps:
        seen = sample if scale is None else scale(sample, t)
        output = model(seen, torch.full((len(seen),), float(t), dtype=torch.float64))
        moved = scheduler.step(output, t, sample)
        sample = final(getattr(moved, "prev_sample", moved))
    return sample


def _invert(scheduler: Any, inverse: Any, steps: int) -> Run | None:
    if inverse is not None:

        def claimed(model: Model, result: Any) -> Tensor:
            inverse.set_timesteps(steps)
            return _loop(inverse, model, final(result))

        return claimed
    make: Callable[[State], Any] | None = getattr(scheduler, "inverse", None)
    if not callable(make):
        return None

    def own(model: Model, result: Any) -> Tensor:
        other = make(result)
        return _loop(other, model, other.first)

    return own if scheduler.config.get("method") and _has_inverse(scheduler) else None


def _has_inverse(scheduler: Any) -> bool:
    from belm_runtime.methods import parse

    return parse(scheduler.config["method"], steps=1).has_inverse


def _grid(scheduler: Any, times: np.ndarray) -> Grid:
    """The nodes by the scheduler's own attributes; where two calls are made at one level, each node once."""
    name, sigmas = type(scheduler).__name__, getattr(scheduler, "sigmas", None)
    own, cumulative = getattr(scheduler, "sampler", None), getattr(scheduler, "alphas_cumprod", None)
    if isinstance(own, Sampler):
        # What the network is told may be another multiple of the grid's time.
        return _named(name, own.grid.alpha, own.grid.sigma, _rising_once(times))
    if sigmas is not None and len(sigmas) == len(times) + 1 > 1:
        s, told = _nodes(np.asarray(torch.as_tensor(sigmas).double().cpu()), times)
        flow = cumulative is None or scheduler.config.get("use_flow_sigmas")
        if flow and s.max() > 1:
            raise InputError(
                f"{name} has sigmas up to {s.max():.4g} and no alphas_cumprod: neither a flow, which ends at 1, nor "
                "alpha² + sigma² = 1; audit its loop as run(model, x) on a grid of your own"
            )
        alpha, sigma = (1 - s, s) if flow else (1 / np.hypot(1, s), s / np.hypot(1, s))
        return _named(name, alpha, sigma, told)
    if cumulative is None:
        raise InputError(f"{name} has neither alphas_cumprod nor sigmas that fit its timesteps; give a grid")
    last = getattr(scheduler, "final_alpha_cumprod", None)
    if last is None:
        last = 1.0 if scheduler.config.get("set_alpha_to_one", True) else cumulative[0]
    rising = _rising_once(times)
    alpha, sigma = Schedule.from_diffusers(scheduler).alpha_sigma(rising)
    return _named(name, np.append(float(last) ** 0.5, alpha), np.append((1 - float(last)) ** 0.5, sigma), rising)


def _named(name: str, alpha: np.ndarray, sigma: np.ndarray, told: np.ndarray) -> Grid:
    try:
        return Grid.from_arrays(alpha, sigma, np.append(0.0, told), schedule=name, spacing="its own")
    except InputError as error:
        raise InputError(f"the levels of {name} on {len(told)} steps make no grid: {error}") from error


def _nodes(sigmas: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The levels at which the network is called, and the last, rising; and the times that it is told at them.

    Times are rounded, so that several levels may have the same; a level that repeats is called at twice.
    """
    new = np.append(True, np.diff(sigmas) != 0)
    new[-1] = True
    return sigmas[new][::-1].copy(), times[new[:-1]][::-1].copy()


def _rising_once(values: np.ndarray) -> np.ndarray:
    kept = values[np.append(True, np.diff(values) != 0)]
    return kept[::-1].copy()


def _sees_the_sample(scheduler: Any) -> bool:
    """Whether the network is given the scheduler's sample as it is."""
    scale = getattr(scheduler, "scale_model_input", None)
    if scale is None:
        return True
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    seen = scale(one, scheduler.timesteps[0])
    return bool(torch.equal(seen, one))


def _prediction(scheduler: Any) -> str:
    own = getattr(scheduler, "_prediction", None)
    named = scheduler.config.get("prediction_type")
    if own is None and named is None:
        return "flow"
    return own or _PREDICTIONS.get(named, named)


def _times(scheduler: Any) -> Schedule | None:
    try:
        return Schedule.from_diffusers(scheduler)
    except (InputError, AttributeError):
        return None
