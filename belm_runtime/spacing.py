"""Where the N nodes of a grid lie: one rule a spacing, nodes 1 … N in ascending time.

Training timesteps are 0 … T − 1, ⌊⌉ rounds half to even:

    leading      t_i = (i − 1)·⌊T/N⌋ + steps_offset
    linspace     t_i = ⌊(i − 1)(T − 1)/(N − 1)⌉, t_1 = 0 for N = 1
    trailing     t_i = ⌊i·T/N⌉ − 1
    logsnr       log sbar uniform from timestep 0 to timestep T − 1
    karras       sbar^(1/7) uniform from timestep 0 to timestep T − 1 (Karras et al., arXiv 2206.00364, eq 5)
    power:p      t_i = T·(i/N)^p − 1, not rounded; below 0 the time is taken literally
    designed     log m + C·tau uniform, m = (sbar + A)/(1 + sbar/B), tau = (t + 1)/T, from sbar = 0 at i = 0 to timestep
                 T − 1; node 1 does not go below timestep steps_offset, and then the others are uniform from there on

The first three are the choices of arXiv 2305.08891, table 2, as diffusers computes them. On the flow, time is
u in 0 … 1 and then shifted, t = shift·u/(1 + (shift − 1)·u) (Esser et al., arXiv 2403.03206, eq 23):

    trailing     u_i = i/N
    linspace     u_i uniform from u_1 = the least training time to u_N = 1
    power:p      u_i = (i/N)^p

and designed is the same with tau = sigma, from the least training time to sbar = oo. What A, B and C are is the outcome
of `belm design`; the spacing was designed together with the method of the same name (`belm_runtime.methods`).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from belm_runtime.curve import Curve, Flow, ratio
from belm_runtime.designed import designed_ratios
from belm_runtime.errors import InputError, unknown
from belm_runtime.number import exact

FloatArray = NDArray[np.float64]

#: The names a spacing may have; power carries its exponent, "power:p=1.5".
SPACINGS = ("leading", "trailing", "linspace", "logsnr", "karras", "power", "designed")

#: Karras et al.'s exponent.
RHO = 7.0

_NOT_ON_FLOW = {
    "leading": "it counts whole training steps from an offset, and the flow's time is continuous",
    "logsnr": "log(sigma/alpha) runs from minus to plus infinity on the flow",
    "karras": "sigma/alpha is infinite at the flow's noise end",
}


def read_name(text: object) -> tuple[str, dict[str, str]]:
    """``"power:p=1.5"`` split into ``("power", {"p": "1.5"})``.

    Raises:
        InputError: the text is no string, or a parameter is not written key=value.
    """
    if not isinstance(text, str):
        raise InputError(f"a name such as 'leading' or 'power:p=1.5' was expected, not {text!r}")
    name, colon, rest = text.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",")] if colon else []
    if not all(key.strip() and equals and value.strip() for key, equals, value in pairs):
        raise InputError(f"parameters in {text!r} must read key=value, as in 'power:p=1.5'")
    return name.strip(), {key.strip(): value.strip() for key, _, value in pairs}


def read_spacing(text: str) -> tuple[str, Fraction | None]:
    """The spacing's name and, for power, its exponent p > 0, an exact decimal.

    Raises:
        InputError: an unknown name, a parameter where none belongs, or an exponent that is missing or no
            number.
    """
    name, parameters = read_name(text)
    if name not in SPACINGS:
        raise unknown("spacing", name, SPACINGS)
    if name != "power":
        if parameters:
            raise InputError(f"spacing {name!r} takes no parameter, but {text!r} gives one")
        return name, None
    if set(parameters) != {"p"}:
        raise InputError(f"spacing {text!r} must give the exponent p and nothing else, as in 'power:p=1.5'")
    power = exact(parameters["p"])
    if power is None or power <= 0:
        raise InputError(f"spacing {text!r}: p must be a decimal or a fraction > 0, as in 'power:p=1.5'")
    return name, power


def spell(name: str, power: Fraction | None) -> str:
    """The name as it is written, ``power:p=1.5``; what no short decimal equals stays a fraction."""
    if power is None:
        return name
    decimal = f"{float(power):.12g}"
    return f"{name}:p={decimal if Fraction(decimal) == power else power}"


def place(
    curve: Curve, name: str, power: Fraction | None, steps: int, offset: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Timesteps, alpha and sigma of nodes 1 … N.

    Args:
        curve: the schedule's curve.
        name: one of `SPACINGS`.
        power: the exponent of power, None for the others.
        steps: N.
        offset: added to leading's timesteps.

    Raises:
        InputError: the spacing does not fit the curve or the number of steps.
    """
    if name == "designed":
        return _place_designed(curve, steps, offset)
    if isinstance(curve, Flow):
        alpha, sigma = flow_nodes(name, power, steps, curve.shift, curve.resolution)
        return sigma, alpha, sigma
    last = curve.domain[1]
    if name in ("logsnr", "karras"):
        return _place_by_ratio(curve, name, steps)
    if power is None:
        times = training_times(name, steps, int(last) + 1, offset)
    else:
        times = power_times(power, steps, int(last) + 1)
    return (times, *curve.levels(times))


def _place_by_ratio(curve: Curve, name: str, steps: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The nodes of logsnr and karras; the two ends are training nodes to the bit."""
    last = curve.domain[1]
    low, high = ratio(curve, 0.0), ratio(curve, last)
    if np.isinf(high):
        raise InputError(
            f"spacing {name!r} needs a finite sigma/alpha at the last training node, but alpha is 0 there "
            "(zero terminal SNR); use trailing, linspace or power"
        )
    sbar = ratios(name, steps, low, high)
    times, (alpha, sigma) = curve.times(sbar), curve.split(sbar)
    times[[0, -1]] = ends = np.array([0.0 if steps > 1 else last, last])
    (alpha[[0, -1]], sigma[[0, -1]]) = curve.levels(ends)
    return times, alpha, sigma


def _place_designed(curve: Curve, steps: int, offset: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The nodes of designed; the ends that are training nodes are so to the bit."""
    flow = isinstance(curve, Flow)
    least = curve.least if isinstance(curve, Flow) else float(offset)
    last = curve.domain[1]
    if least >= last:
        raise InputError(f"spacing 'designed' starts at timestep {offset}, but the schedule ends at {last:g}")
    low, high = ratio(curve, least), ratio(curve, last)
    begin = curve.domain[0]
    sbar = designed_ratios(steps, low, high, lambda each: (curve.times(each) - begin) / (last - begin))
    with np.errstate(invalid="ignore"):
        times, (alpha, sigma) = curve.times(sbar), curve.split(sbar)
    for i, time, end in ((0, least, low), (-1, last, high)):
        if sbar[i] == end:
            times[i] = time
            alpha[i], sigma[i] = curve.levels(np.asarray(time))
    return (sigma if flow else times), alpha, sigma


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


def power_times(power: Fraction, steps: int, training_steps: int) -> FloatArray:
    """The N real timesteps T·(i/N)^p − 1, ascending, the last exactly T − 1."""
    return training_steps * np.power(_index(steps) / steps, float(power)) - 1.0


def ratios(name: str, steps: int, low: float, high: float) -> FloatArray:
    """The N ratios sbar = sigma/alpha of logsnr or karras, ascending from low to high, both exact.

    Args:
        name: "logsnr" or "karras".
        steps: N; for N = 1 the only node is high.
        low: sbar at timestep 0, > 0.
        high: sbar at timestep T − 1, finite.

    Returns:
        float64 of shape (N,).
    """
    weight = (_index(steps) - 1) / max(steps - 1, 1)
    if name == "logsnr":
        sbar = np.exp((1 - weight) * np.log(low) + weight * np.log(high))
    else:
        sbar = ((1 - weight) * low ** (1 / RHO) + weight * high ** (1 / RHO)) ** RHO
    sbar[0], sbar[-1] = low, high
    return np.asarray(sbar, dtype=np.float64)


def flow_nodes(
    name: str, power: Fraction | None, steps: int, shift: float, resolution: int
) -> tuple[FloatArray, FloatArray]:
    """The levels (alpha, sigma) of the flow at nodes 1 … N; the timestep is sigma itself.

    alpha is built from 1 − u, not from 1 − t, so that it keeps its relative accuracy next to the noise.

    Args:
        name: "trailing", "linspace" or "power".
        power: the exponent of power.
        steps: N.
        shift: > 0; 1 leaves u as it is.
        resolution: the network's training times are 1/resolution, …, 1; linspace starts at the first.

    Raises:
        InputError: the spacing has no meaning on the flow; the message says why.
    """
    if name in _NOT_ON_FLOW:
        reason = _NOT_ON_FLOW[name]
        raise InputError(f"spacing {name!r} is not for the flow: {reason}; use trailing, linspace or power")
    i = _index(steps)
    if power is not None:
        time, rest = np.power(i / steps, float(power)), -np.expm1(float(power) * np.log(i / steps))
    elif name == "linspace":
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
