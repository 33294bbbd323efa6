"""Guidance that changes along the run.

Classifier-free guidance with weight w(u) in place of a number, u = t/t_N running from 0 at the data to 1 at the noise:

    prediction = negative + w(u)·(model - negative).

Where w(u) is 1 only `model` is called, where it is 0 only `negative`: a weight that acts on a part of the way costs
nothing elsewhere. A run knows its times as Python floats, so choosing the model does not wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from torch import Tensor

from belm_runtime.grid import Grid
from belm_runtime.models import Model, as_model, finite, guided

Weight = Callable[[float], float]


class Varying:
    """A model that depends on the time.

    Attributes:
        at: the model at a time.
    """

    def __init__(self, make: Callable[[float], Any]) -> None:
        """A model from a function of the time.

        Args:
            make: time -> model(x, t); anything that `belm_runtime.models.as_model` takes. Called once for each time.
        """
        self.at: Callable[[float], Model] = lru_cache(maxsize=None)(lambda time: as_model(make(time)))

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The prediction at t, for callers other than a run; reads t on the host, which waits for the device."""
        return self.at(float(t.max()))(x, t)


def at_time(model: Any, time: float) -> Model:
    """The model that a run calls at a time."""
    return model.at(time) if isinstance(model, Varying) else as_model(model)


def through(model: Any, call: Callable[[Model, Tensor, Tensor], Tensor]) -> Model:
    """The model with each of its calls made by call(model, x, t)."""
    inner = as_model(model)
    if isinstance(inner, Varying):
        return Varying(lambda time: partial(call, inner.at(time)))
    return partial(call, inner)


def mixed(first: Any, second: Any, weight: float) -> Model:
    """The predictions of two models in one proportion, (1 - w)·first + w·second; either may change along the run."""
    if not isinstance(first, Varying) and not isinstance(second, Varying):
        return guided(second, first, weight)
    return Varying(lambda time: guided(at_time(second, time), at_time(first, time), weight))


def weighted(make: Callable[[float], Any], weight: Weight | float, grid: Grid) -> Model:
    """The model under a weight that may change along the run.

    Args:
        make: weight -> model, e.g. ``lambda w: digits.denoiser(8, w, network=network)``; called once for each weight.
        weight: a number, or w(u).
        grid: the grid of the run; its last time is u = 1.

    Raises:
        InputError: a weight that is not finite, at any node of the grid.
    """
    if not callable(weight):
        return as_model(make(finite("guidance", weight)))
    last, of = float(grid.timesteps[-1]) or 1.0, lru_cache(maxsize=None)(make)
    for time in grid.timesteps:
        finite(f"guidance at u = {float(time) / last:g}", weight(float(time) / last))
    of(float(weight(1.0)))  # A wrong condition is found here, not at the first step.
    return Varying(lambda time: of(float(weight(time / last))))


def guided_along(model: Any, negative: Any, weight: Weight | float, grid: Grid) -> Model:
    """Classifier-free guidance with a weight along the run, as `belm_runtime.models.guided` does with a number.

    Args:
        model: the model under the wanted condition.
        negative: the model under the null or unwanted condition.
        weight: a number, or w(u).
        grid: the grid of the run.
    """
    return weighted(lambda w: guided(model, negative, w), weight, grid)


def ramp(noise: float, data: float) -> Weight:
    """A weight that runs evenly in time from one value at the noise to another at the data."""
    top, bottom = finite("guidance at the noise", noise), finite("guidance at the data", data)
    return lambda u: bottom + (top - bottom) * u
