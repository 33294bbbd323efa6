"""The runs of the demo: every method at the same number of model calls, there and back.

With x_N the noise and x_0 the picture, each method on the same schedule gives

    sample      x_N -> x_0,
    state       (x_0, …, x_{k-1}) -> x_N -> x_0     the exact inverse, from the last k states,
    alone       x_0 -> x_N -> x_0                   the inverse started anew from the picture,
    error       RMS(x_0 - reference),               reference: the same ODE in very many steps,
    rounding    RMS(x_N recovered - x_N),           predicted: amplification · machine epsilon.

EDICT calls the model twice a step and therefore takes half the steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from belm_runtime import AmplificationWarning, Grid, Sampler, Schedule, methods
from belm_runtime.amplification import amplification_along
from belm_runtime.digits import denoiser
from belm_runtime.models import Model

METHODS = ("ddim", "edict:p=0.93", "bdia:gamma=0.5", "o-belm", "open:k=3", "blend:k=3,theta=0.8")
REFERENCE, REFERENCE_SPACING = "adams:m=4", "power:p=1.5"

Tick = Callable[[float], None]


@dataclass(frozen=True)
class Plan:
    """How much is measured; the defaults are the demo, tests take less.

    Attributes:
        seed: of the noise.
        methods: method strings.
        calls: model calls of every run of the two ways; even, so that EDICT takes half as many steps.
        sweep: model calls of the accuracy curve.
        batch: pictures; sample j has the class j mod 10.
        reference: steps of the reference; half as many check it.
        spacing: where every grid but the reference's puts its nodes. All "trailing" grids start at one noise level.
    """

    seed: int = 0
    methods: tuple[str, ...] = METHODS
    calls: int = 50
    sweep: tuple[int, ...] = (10, 20, 50, 100)
    batch: int = 20
    reference: int = 800
    spacing: str = "trailing"

    @property
    def labels(self) -> list[int]:
        """The class of each sample."""
        return [j % 10 for j in range(self.batch)]

    def steps(self, method: str, calls: int) -> int:
        """Steps that `calls` model calls pay for."""
        return calls // 2 if methods.parse(method, calls).stages else calls

    def grid(self, method: str, calls: int) -> Grid:
        """The method's grid for that many model calls."""
        return SCHEDULE.grid(self.steps(method, calls), self.spacing)


#: The schedule that the embedded model was trained on.
SCHEDULE = Schedule.preset("ddpm")


@dataclass(frozen=True)
class Ways:
    """What one method did: its picture, the two ways back, and what the theory predicts.

    Attributes:
        method: the method string.
        steps: N.
        calls: model calls of the sampling run, counted.
        sample: x_0, float64 of shape (batch, 1, 8, 8).
        noise_state: x_N recovered from the stored state; None without an exact inverse.
        sample_state: x_0 made again from `noise_state`.
        noise_alone: x_N found from x_0 alone.
        sample_alone: x_0 made again from `noise_alone`.
        amplification: of the inversion, by coordinates, ``x`` and ``frame``.
        along: its growth over the nodes, pairs (timestep, factor in x).
        rounding: measured and predicted error of the recovered noise, by arithmetic.
        notes: warnings of the sampler.
        path: pairs (timestep, x) of the run to x_0 and back, in order.
    """

    method: str
    steps: int
    calls: int
    sample: Tensor
    noise_state: Tensor | None
    sample_state: Tensor | None
    noise_alone: Tensor
    sample_alone: Tensor
    amplification: dict[str, float]
    along: list[tuple[float, float]]
    rounding: dict[str, dict[str, float]]
    notes: list[str]
    path: list[tuple[float, Tensor]]


def rms(difference: Tensor) -> float:
    """The root mean square over all entries."""
    return float(difference.square().mean().sqrt())


def start(plan: Plan) -> Tensor:
    """The noise x_N that every run starts from: one tensor, since all grids share node N."""
    return plan.grid("ddim", plan.calls).noise((plan.batch, 1, 8, 8), seed=plan.seed)


def reference(plan: Plan, tick: Tick) -> tuple[Tensor, float]:
    """The fine solution from the same noise, and its own error.

    Returns:
        x_0, and the RMS distance to the solution with half the steps: since halving the step of a method of
        order >= 1 at least halves its error, the finer one is nearer to the truth than that.
    """
    network, x = _ticking(denoiser(plan.labels), tick, plan.reference * 3 // 2), start(plan)
    fine, coarse = (
        Sampler(REFERENCE, SCHEDULE.grid(steps, REFERENCE_SPACING)).sample(network, x).x
        for steps in (plan.reference, plan.reference // 2)
    )
    return fine, rms(fine - coarse)


def accuracy(plan: Plan, solution: Tensor, tick: Tick) -> dict[str, list[tuple[int, float]]]:
    """For each method the pairs (model calls, RMS distance to the solution)."""
    network = _ticking(denoiser(plan.labels), tick, sum(plan.sweep) * len(plan.methods))
    curves: dict[str, list[tuple[int, float]]] = {method: [] for method in plan.methods}
    for method in plan.methods:
        for calls in plan.sweep:
            state = Sampler(method, plan.grid(method, calls)).sample(network, start(plan))
            curves[method].append((state.calls, rms(state.x - solution)))
    return curves


def two_ways(plan: Plan, tick: Tick) -> list[Ways]:
    """Every method there and back with its state (float64 throughout), from x_0 alone, and there and back in float32.

    The runs from x_0 alone keep float64 states but use the float32 network: their errors are far above its rounding.
    """
    # A float64 call takes as long as 2.5 float32 calls; a way back with the state is made where there is one.
    exact = sum(map(invertible, plan.methods))
    work = plan.calls * (2.5 * (len(plan.methods) + 2 * exact) + 2 * (len(plan.methods) + exact))
    double = _ticking(denoiser(plan.labels, dtype=torch.float64), tick, work / 2.5)
    single = _ticking(denoiser(plan.labels), tick, work)
    return [_there_and_back(plan, method, double, single) for method in plan.methods]


def invertible(method: str) -> bool:
    """Whether the derivation gives the method an exact inverse."""
    return bool(next(fact["invertible"] for fact in methods.catalogue() if fact["method"] == method))


def _there_and_back(plan: Plan, method: str, double: Model, single: Model) -> Ways:
    grid, noise, exact = plan.grid(method, plan.calls), start(plan), invertible(method)
    sampler, path = Sampler(method, grid), list[tuple[float, Tensor]]()
    recorded = _recording(double, path)
    with _noted() as notes:
        state = sampler.sample(recorded, noise)
        path.append((0.0, state.x))
        back = sampler.invert(recorded, state).x if exact else None
        rounding = {"float64": _rounding(sampler, back - noise)} if back is not None else {}
        if exact:
            rounding["float32"] = _round_trip(Sampler(method, grid, arithmetic="float32"), single, noise)
        seed = sampler.invert(single, state.x, approximate=not exact).x
    return Ways(
        method, grid.steps, state.calls, state.x, back,
        sampler.sample(double, back).x if back is not None else None,
        seed, sampler.sample(single, seed).x,
        {c: sampler.amplification(coordinates=c) for c in ("x", "frame")} if exact else {},
        _along(sampler) if exact else [], rounding, list(dict.fromkeys(notes)),
        path if back is None else [*path, (float(grid.timesteps[-1]), back)],
    )  # fmt: skip


def _round_trip(sampler: Sampler, model: Model, noise: Tensor) -> dict[str, float]:
    begin = noise.to(sampler.dtype)
    return _rounding(sampler, sampler.invert(model, sampler.sample(model, begin)).x - begin)


def _rounding(sampler: Sampler, difference: Tensor) -> dict[str, float]:
    """Measured beside predicted: one rounding of a state of size 1, amplified."""
    return {
        "measured": rms(difference.double()),
        "predicted": sampler.amplification() * torch.finfo(sampler.dtype).eps,
    }


def _along(sampler: Sampler) -> list[tuple[float, float]]:
    """The amplification of the way back up to each node it makes, against that node's timestep."""
    factors = amplification_along(sampler.table, "inversion", "x")
    nodes = sampler.grid.timesteps[-len(factors) :]
    return [(float(t), float(factor)) for t, factor in zip(nodes, factors, strict=True)]


def _ticking(model: Model, tick: Tick, total: float) -> Model:
    """The model, reporting the fraction 1/total of the work at each call."""

    def called(x: Tensor, t: Tensor) -> Tensor:
        prediction = model(x, t)
        tick(1 / total)
        return prediction

    return called


def _recording(model: Model, path: list[tuple[float, Tensor]]) -> Model:
    """The model, keeping a copy of every state it is called on, with its timestep."""

    def called(x: Tensor, t: Tensor) -> Tensor:
        path.append((float(t[0]), x.clone()))
        return model(x, t)

    return called


@contextmanager
def _noted() -> Iterator[list[str]]:
    """Collect the sampler's amplification warnings as notes; other warnings go on as they were."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AmplificationWarning)
        yield notes
    for warning in caught:
        if issubclass(warning.category, AmplificationWarning):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
