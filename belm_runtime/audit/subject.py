"""What is audited: anything that turns x_N into x_0 by calling a network, in one form.

A subject is a function run(model, x) -> result and the grid it should follow. The network is ``model(x, t)``; the
result is a tensor, a tuple whose first entry is one, or an object with `.x`, and it is handed on to the claimed inverse
as it is, so that what an exact inverse needs beside x_0 can travel in it.

    of_function     run(model, x) itself, e.g. a loop of one's own
    of_step         step(model_output, timestep, sample) -> the next sample, called at the times of a grid
    of_scheduler    an object with set_timesteps and step, in the manner of diffusers
    of_sampler      `belm_runtime.Sampler`

Nothing here imports diffusers: a scheduler is known by what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from belm_runtime.errors import InputError, NotFiniteError
from belm_runtime.grid import Grid
from belm_runtime.models import Model, NoiseLevels
from belm_runtime.sampler import Sampler

Run = Callable[[Model, Any], Any]


class Times(NoiseLevels, Protocol):
    """What knows the noise levels of timesteps, and the other way round, as a schedule does."""

    def timesteps_at(self, sbar: Any, /) -> np.ndarray:
        """The timesteps at which sigma/alpha = sbar."""
        ...


@dataclass(frozen=True)
class Subject:
    """A sampler under audit.

    Attributes:
        name: for display.
        run: (model, x_N) -> result.
        grid: where it should go: levels, and the times at which the network should be called.
        prediction: what it takes the network's output for: ``epsilon``, ``v``, ``sample`` or ``flow``.
        invert: (model, result) -> result, the claimed inverse.
        finish: what x_0 is multiplied by to be alpha_0·D + sigma_0·eps; 1 unless the subject ends elsewhere.
        schedule: names the times that wrong levels belong to.
        remake: the same subject with another number of steps, which the order on smooth grids is found with.
    """

    name: str
    run: Run
    grid: Grid
    prediction: str = "epsilon"
    invert: Run | None = None
    finish: float = 1.0
    schedule: Times | None = None
    remake: Callable[[int], Subject] | None = None

    def sampled(self, model: Model, x: Tensor) -> Any:
        """What `run` returns.

        Raises:
            InputError: it failed, or returns no sample of the shape of x; in one line.
        """
        result = attempted(f"{self.name} on states of shape {tuple(x.shape)}", lambda: self.run(model, x))
        _same_shape(self.name, final(result, self.name), x)
        return result

    def undone(self, model: Model, result: Any) -> Tensor:
        """x_N as `invert` returns it; errors as in `sampled`."""
        invert, name = self.invert, f"the inverse of {self.name}"
        assert invert is not None
        back = final(attempted(name, lambda: invert(model, result)), name)
        _same_shape(name, back, final(result))
        return back.detach()


def attempted(name: str, call: Callable[[], Any]) -> Any:
    """Call what others wrote; what it raises is a wrong input of one line.

    Raises:
        InputError: it failed.
    """
    try:
        return call()
    except (InputError, NotFiniteError):
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{name} failed: {type(error).__name__}: {error}") from error


def final(result: Any, name: str = "the run") -> Tensor:
    """The sample in what a run returned.

    Raises:
        InputError: there is none.
    """
    found = result[0] if isinstance(result, tuple | list) and result else getattr(result, "x", result)
    if not isinstance(found, Tensor):
        kind = type(found).__name__
        raise InputError(f"{name} returned a {kind}; it must return a tensor, (x, …) or an object with .x")
    return found


def _same_shape(name: str, found: Tensor, given: Tensor) -> None:
    if found.shape != given.shape:
        raise InputError(f"{name} was given shape {tuple(given.shape)} and returned {tuple(found.shape)}")


def of_function(
    run: Run, grid: Grid, *, name: str = "run", prediction: str = "epsilon", invert: Run | None = None,
    schedule: Times | None = None,
) -> Subject:  # fmt: skip
    """A subject from run(model, x); see `Subject`."""
    return Subject(name, run, grid, prediction, invert, schedule=schedule)


def of_step(step: Callable[..., Any], grid: Grid, *, name: str = "step", schedule: Times | None = None,
            prediction: str = "epsilon") -> Subject:  # fmt: skip
    """A subject from one step, called at the times of nodes N … 1.

    Args:
        step: step(model_output, timestep, sample) -> the sample at the next node.
        grid: the grid.
        name: for display.
        schedule: names the times that wrong levels belong to.
        prediction: what the step takes the network's output for.
    """

    def run(model: Model, x: Tensor) -> Tensor:
        for t in grid.timesteps[:0:-1].tolist():
            x = final(step(model(x, torch.full((len(x),), t, dtype=torch.float64)), t, x))
        return x

    return Subject(name, run, grid, prediction, schedule=schedule)


def of_sampler(sampler: Sampler) -> Subject:
    """A subject from a sampler of this package, with its inverse where the method has one and the grid k steps."""
    enough = bool(sampler.method.stages) or sampler.grid.steps >= sampler.method.k
    invert = sampler.invert if sampler.method.has_inverse and enough else None
    return Subject(str(sampler.method), sampler.sample, sampler.grid, sampler.prediction, invert)
