"""Where the N nodes of a grid lie: one rule a spacing (`belm_runtime.spacing`), nodes 1 … N in ascending time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from belm_runtime.bent import bent_ratios
from belm_runtime.curve import Curve, Flow, ratio
from belm_runtime.errors import InputError
from belm_runtime.free import free_ratios
from belm_runtime.spacing import Spacing

FloatArray = NDArray[np.float64]
Nodes = tuple[FloatArray, FloatArray, FloatArray]

_NOT_ON_FLOW = {
    "leading": "it counts whole training steps from an offset, and the flow's time is continuous",
    "logsnr": "log(sigma/alpha) runs from minus to plus infinity on the flow",
    "karras": "sigma/alpha is infinite at the flow's noise end",
}


def place(curve: Curve, spacing: Spacing, steps: int, offset: int) -> Nodes:
    """Timesteps, alpha and sigma of nodes 1 … N.

    Args:
        curve: the schedule's curve.
        spacing: the rule.
        steps: N.
        offset: added to leading's timesteps; the least timestep of floored, bent and free.

    Raises:
        InputError: the spacing does not fit the curve or the number of steps.
    """
    if spacing.name in ("bent", "free"):
        return _place_from_data(curve, spacing, steps, offset)
    if isinstance(curve, Flow):
        alpha, sigma = flow_nodes(spacing, steps, curve.shift, curve.resolution)
        return sigma, alpha, sigma
    last = curve.domain[1]
    if spacing.name in ("logsnr", "karras"):
        return _place_by_ratio(curve, spacing, steps)
    if spacing.name in ("power", "floored"):
        # Power's times begin at -1, and are taken literally.
        floor = _least(spacing, offset, last) if spacing.name == "floored" else -1.0
        times = power_times(spacing.number("p"), steps, int(last) + 1, (floor + 1) / (last + 1))
        times[0] = max(times[0], floor)  # to the bit
    else:
        times = training_times(spacing.name, steps, int(last) + 1, offset)
    return (times, *curve.levels(times))


def _place_by_ratio(curve: Curve, spacing: Spacing, steps: int) -> Nodes:
    """The nodes of logsnr and karras; the two ends are training nodes to the bit."""
    last = curve.domain[1]
    low, high = ratio(curve, 0.0), ratio(curve, last)
    if np.isinf(high):
        raise InputError(
            f"spacing {spacing.name!r} needs a finite sigma/alpha at the last training node, but alpha is 0 there "
            "(zero terminal SNR); use trailing, linspace or power"
        )
    sbar = ratios(spacing, steps, low, high)
    times, (alpha, sigma) = curve.times(sbar), curve.split(sbar)
    times[[0, -1]] = ends = np.array([0.0 if steps > 1 else last, last])
    (alpha[[0, -1]], sigma[[0, -1]]) = curve.levels(ends)
    return times, alpha, sigma


def _place_from_data(curve: Curve, spacing: Spacing, steps: int, offset: int) -> Nodes:
    """The nodes of bent and free; the ends that are training nodes are so to the bit."""
    flow = isinstance(curve, Flow)
    last = curve.domain[1]
    least = curve.least if isinstance(curve, Flow) else _least(spacing, float(offset), last)
    low, high = ratio(curve, least), ratio(curve, last)
    sbar = _ratios_from_data(curve, spacing, steps, low, high)
    with np.errstate(invalid="ignore"):
        times, (alpha, sigma) = curve.times(sbar), curve.split(sbar)
    for i, time, end in ((0, least, low), (-1, last, high)):
        if sbar[i] == end:
            times[i] = time
            alpha[i], sigma[i] = curve.levels(np.asarray(time))
    return (sigma if flow else times), alpha, sigma


def _ratios_from_data(curve: Curve, spacing: Spacing, steps: int, low: float, high: float) -> FloatArray:
    """The N ratios of bent or free, the first not below low, the last of them high."""
    if spacing.name == "free":
        return free_ratios(steps, low, high, tuple(map(float, spacing["s"])))  # type: ignore[arg-type]
    begin, last = curve.domain
    shape = spacing.number("A"), spacing.number("B"), spacing.number("C")
    return bent_ratios(steps, low, high, lambda sbar: (curve.times(sbar) - begin) / (last - begin), shape)


def training_times(name: str, steps: int, training_steps: int, offset: int) -> FloatArray:
    """The N whole timesteps of leading, linspace or trailing, ascending.

    Raises:
        InputError: more steps than training timesteps, or leading timesteps that run past T − 1.
    """
    if steps > training_steps:
        raise InputError(f"{steps} steps are more than the schedule's {training_steps} timesteps")
    if name == "linspace":
        return np.linspace(0, training_steps - 1, steps).round()
    if name == "trailing":
        # Ties i·T/N = … + 1/2 fall as arange rounds, so the same call as in diffusers gives its numbers;
        # for some N it returns one value too many, a timestep −1, which the slice drops.
        return np.round(np.arange(training_steps, 0, -training_steps / steps))[:steps][::-1] - 1.0
    times = np.arange(steps, dtype=np.float64) * (training_steps // steps) + offset
    if times[-1] > training_steps - 1:
        raise InputError(
            f"leading with {steps} steps and offset {offset} runs past the schedule, to timestep "
            f"{times[-1]:.0f} of {training_steps - 1}; use fewer steps or spacing='trailing'"
        )
    return times


def power_times(power: float, steps: int, training_steps: int, least: float = 0.0) -> FloatArray:
    """The N real timesteps T·u_i^p − 1, ascending, the last exactly T − 1.

    Args:
        power: p.
        steps: N.
        training_steps: T.
        least: the share of the time below which node 1 does not go; 0 for power.
    """
    return training_steps * np.power(_places(power, steps, least), power) - 1.0


def _places(power: float, steps: int, least: float) -> FloatArray:
    """u_i = i/N, or uniform from the place of the least time on where u_1 would lie below it."""
    first = least ** (1 / power)
    return _index(steps) / steps if steps == 1 or first <= 1 / steps else np.linspace(first, 1, steps)


def _least(spacing: Spacing, offset: float, last: float) -> float:
    """The least timestep of a rule that has one."""
    if offset >= last:
        raise InputError(f"spacing {spacing.name!r} starts at timestep {offset:g}, but the schedule ends at {last:g}")
    return offset


def ratios(spacing: Spacing, steps: int, low: float, high: float) -> FloatArray:
    """The N ratios sbar = sigma/alpha of logsnr or karras, ascending from low to high, both exact.

    Args:
        spacing: logsnr or karras.
        steps: N; for N = 1 the only node is high.
        low: sbar at timestep 0, > 0.
        high: sbar at timestep T − 1, finite.

    Returns:
        float64 of shape (N,).

    Raises:
        InputError: a rho so small that numbers overflow.
    """
    weight = (_index(steps) - 1) / max(steps - 1, 1)
    if spacing.name == "logsnr":
        sbar = np.exp((1 - weight) * np.log(low) + weight * np.log(high))
    else:
        rho = spacing.number("rho")
        with np.errstate(over="ignore", invalid="ignore"):
            # In units of low, so that a small rho overflows as late as can be.
            sbar = low * (1 - weight + weight * np.float64(high / low) ** (1 / rho)) ** rho
        if not np.isfinite(sbar).all():
            raise InputError(f"spacing {str(spacing)!r}: rho is too small for sigma/alpha from {low:.3g} to {high:.3g}")
    sbar[0], sbar[-1] = low, high
    return np.asarray(sbar, dtype=np.float64)


def flow_nodes(spacing: Spacing, steps: int, shift: float, resolution: int) -> tuple[FloatArray, FloatArray]:
    """The levels (alpha, sigma) of the flow at nodes 1 … N; the timestep is sigma itself.

    alpha is built from 1 − u, not from 1 − t, so that it keeps its relative accuracy next to the noise.

    Args:
        spacing: trailing, linspace, power or floored.
        steps: N.
        shift: > 0; 1 leaves u as it is.
        resolution: the network's training times are 1/resolution, …, 1; linspace starts at the first.

    Raises:
        InputError: the spacing has no meaning on the flow; the message says why.
    """
    if reason := _NOT_ON_FLOW.get(spacing.name):
        raise InputError(f"spacing {spacing.name!r} is not for the flow: {reason}; use trailing, linspace or power")
    i = _index(steps)
    if spacing.name in ("power", "floored"):
        power = spacing.number("p")
        u = _places(power, steps, 1 / resolution if spacing.name == "floored" else 0.0)
        time, rest = np.power(u, power), -np.expm1(power * np.log(u))
    elif spacing.name == "linspace":
        # diffusers shifts this first time here and all of them below; its grids hold it shifted twice.
        least = shift / (resolution - 1 + shift)
        back = (steps - i) / max(steps - 1, 1)
        time, rest = (1 - back) + back * least, back * (1 - least)
    else:
        time, rest = i / steps, (steps - i) / steps
    scale = 1 + (shift - 1) * time if shift >= 1 else shift + (1 - shift) * rest
    return rest / scale, shift * time / scale


def _index(steps: int) -> FloatArray:
    """1 … N."""
    return np.arange(1, steps + 1, dtype=np.float64)
