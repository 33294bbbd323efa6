"""Whether a claimed inverse is one.

Two tests. The *replay* answers the inverse's calls with the outputs that sampling got at the same times: an inverse
then has to pass through the very states on which sampling called the network, and to end at x_N. It tells apart two
things that a figure of error cannot: whether the algebra of each step is undone, and whether the network is asked at
the states that it was asked at before. The *live* run uses a smooth nonlinear network both ways and measures the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from belm_runtime.audit.probe import Call, Forms
from belm_runtime.audit.subject import Subject, final
from belm_runtime.errors import InputError, NotFiniteError

_BATCH = (8, 1, 2, 2)
_EPSILON = 2.0**-52


@dataclass(frozen=True)
class Inverse:
    """What was found about a claimed inverse.

    Attributes:
        holds: whether it is one, up to rounding; None where amplified rounding hides the answer, or where an iteration
            leads back that need not do so with another network.
        replay: how far from x_N the replay ends, relative.
        live: how far from x_N the live run ends, relative.
        step: the first of its steps, counted from 1, at which the network is asked at another state or time; or None.
        words: what is wrong, or what was found right.
    """

    holds: bool | None
    replay: float
    live: float
    step: int | None
    words: str


class Replay:
    """A network that answers as it did at the same time, on the nearest state."""

    def __init__(self, calls: list[Call], outputs: Tensor) -> None:
        """The calls of sampling and what they were answered, shape (calls, batch, …)."""
        self.calls, self.outputs = calls, outputs
        self.asked = list[tuple[Call, int]]()

    def __call__(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The output of the call of sampling that this one repeats."""
        call = Call(x.detach().double().clone(), float(torch.as_tensor(t).reshape(-1)[0]))
        away = [abs(known.t - call.t) for known in self.calls]
        near = [n for n, gap in enumerate(away) if gap <= min(away) + 1e-9]
        n = min(near, key=lambda m: _gap(self.calls[m].x, call.x))
        self.asked.append((call, n))
        return self.outputs[n].to(x.dtype)


def check(subject: Subject, forms: Forms, tolerance: float, amplification: float | None = None) -> Inverse:
    """Whether `subject.invert` undoes `subject.run`.

    Args:
        subject: a subject with a claimed inverse.
        forms: its forms, for the number of calls and the size of numbers that it does not clip.
        tolerance: relative deviations up to this are rounding.
        amplification: the largest K of the inversion, where it is known.

    Raises:
        InputError: the subject claims no inverse.
    """
    if subject.invert is None:
        raise InputError(f"{subject.name} claims no inverse")
    draw = torch.Generator().manual_seed(1)
    outputs = torch.randn(forms.calls, *_BATCH, generator=draw, dtype=torch.float64) * forms.size
    x = torch.randn(*_BATCH, generator=draw, dtype=torch.float64) * forms.size
    recorded = _Recorder(outputs)
    result = subject.sampled(recorded, x.clone())
    replay = Replay(recorded.calls, outputs)
    back = final(subject.undone(replay, result)).double()
    # The noise is what the network saw of it first: schedulers may scale x_N.
    left = _relative(back, _ending(subject, x, recorded))
    step, words = _first_wrong(replay, recorded, final(result).double(), tolerance, left)
    live = _live(subject, forms.size, x)
    if max(left, live) <= tolerance:
        if step is None:
            return Inverse(True, left, live, None, words)
        words = (
            f"it leads back, but asks the network elsewhere too, first at its call {step}, as an iteration does; "
            "whether that converges depends on the network"
        )
        return Inverse(None, left, live, step, words)
    # Rounding is relative to the states, which may be much larger than x_N, to which the results are.
    largest = max(float(call.x.abs().max()) for call in recorded.calls) / _size(recorded.calls[0].x)
    explained = (amplification or 0.0) * largest * max(forms.rounding, _EPSILON)
    if max(left, live) <= explained or (not np.isfinite(live) and explained > 1):
        words = (
            f"inversion multiplies rounding by up to {amplification or 1:.0e}, which hides whether it is an inverse in "
            "exact arithmetic; audit it with fewer steps"
        )
        return Inverse(None, left, live, step, words)
    if step is None and left <= tolerance:
        words = "the replay leads back, but a network that depends on x is not undone"
    return Inverse(False, left, live, step, words)


class _Recorder:
    def __init__(self, outputs: Tensor) -> None:
        self.outputs, self.calls = outputs, list[Call]()

    def __call__(self, x: Tensor, t: Tensor | float) -> Tensor:
        self.calls.append(Call(x.detach().double().clone(), float(torch.as_tensor(t).reshape(-1)[0])))
        return self.outputs[len(self.calls) - 1].to(x.dtype)


def _ending(subject: Subject, x: Tensor, recorded: _Recorder) -> Tensor:
    """x_N as the network saw it."""
    return recorded.calls[0].x if recorded.calls else x


def _first_wrong(
    replay: Replay, recorded: _Recorder, sample: Tensor, tolerance: float, left: float
) -> tuple[int | None, str]:
    """The first call of the inverse that repeats no call of sampling, in words."""
    unit = 1.0 if max(abs(c.t) for c in recorded.calls) > 1 else 1e-3
    for m, (call, n) in enumerate(replay.asked):
        right = recorded.calls[n]
        if abs(call.t - right.t) > 0.5 * unit:
            return m + 1, (
                f"the network is asked at t = {call.t:g}, where sampling never asked it; the nearest is t = {right.t:g}"
            )
        if _gap(call.x, right.x) <= tolerance * _size(right.x):
            continue
        states = [*(c.x for c in recorded.calls), sample]
        known = [k for k, state in enumerate(states) if _gap(call.x, state) <= tolerance * _size(state)]
        closes = left <= tolerance
        algebra = "although each step's algebra is undone" if closes else "and the algebra does not close either"
        if known:
            finished = known[0] == len(recorded.calls)
            other = "the finished sample x_0" if finished else f"the state of t = {recorded.calls[known[0]].t:g}"
            return m + 1, (
                f"the network is asked at t = {call.t:g} on {other}, where sampling asked it on the state of t = "
                f"{right.t:g}: the prediction is not the one to be undone, {algebra}"
            )
        return m + 1, f"the network is asked at t = {call.t:g} on a state that sampling never had, {algebra}"
    if left > tolerance:
        return None, "the network is asked as in sampling, but the steps do not lead back to x_N"
    if not replay.asked:
        return None, "it never asks the network: all that it needs travels in what sampling returns"
    return None, "wherever it asks the network it is on a state, and at a time, at which sampling asked"


def _live(subject: Subject, size: float, x: Tensor) -> float:
    """What is left of a round trip with a smooth nonlinear network; inf if it overflows."""
    first = list[Tensor]()

    def network(z: Tensor, t: Tensor | float) -> Tensor:
        time = float(torch.as_tensor(t).reshape(-1)[0])
        first.append(z.detach().double().clone())
        u = z.double() / size
        answer = 0.7 * torch.tanh(1.3 * u + 0.2) + 0.1 * torch.cos(2 * u).roll(1, -1) + 1e-4 * time
        return (size * answer).to(z.dtype)

    result = subject.sampled(network, x.clone())
    start = first[0]
    try:
        return _relative(final(subject.undone(network, result)).double(), start)
    except NotFiniteError:
        return float("inf")


def _relative(found: Tensor, right: Tensor) -> float:
    return _gap(found, right) / _size(right)


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _size(x: Tensor) -> float:
    return max(float(x.abs().max()), 1e-300)
