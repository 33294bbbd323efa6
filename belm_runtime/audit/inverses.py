"""Whether a claimed inverse is one.

Two tests. The *replay* answers the inverse's calls with the outputs that sampling got at the same times: an inverse
then has to pass through the very states on which sampling called the network, and to end at x_N. It tells apart two
things that a figure of error cannot: whether the algebra of each step is undone, and whether the network is asked at
the states that it was asked at before. The *live* run uses a smooth nonlinear network both ways and measures the rest.

In both, another sample is made before the way back: what an inverse needs has to travel in what sampling returned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from belm_runtime.audit.probe import Call, Forms, Script
from belm_runtime.audit.subject import Subject, final
from belm_runtime.errors import InputError, NotFiniteError

_BATCH = (8, 1, 2, 2)
_EPSILON = 2.0**-52
#: More than rounding grows from one call to the next.
_JUMP = 1e3
#: What rounding in float32 may do to the network's outputs, and more.
_DISTURBANCE = 1e-6


@dataclass(frozen=True)
class Inverse:
    """What was found about a claimed inverse.

    Attributes:
        holds: whether it is one, up to rounding; None where amplified rounding hides the answer, or where it leads
            back that need not do so with another network.
        replay: how far from x_N the replay ends, relative; None where a sampler draws noise or is not linear.
        live: how far from x_N the live run ends, relative.
        step: the first of its steps, counted from 1, at which the network is asked at another state or time; or None.
        words: what is wrong, or what was found right.
    """

    holds: bool | None
    replay: float | None
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
        call = Call.of(x, t)
        call.answered(self.outputs[0])
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
    x, outputs = _drawn(forms.calls, forms.size)
    found = _judged(subject, forms, tolerance, amplification, x, outputs, between=True)
    if found.holds is False and _judged(subject, forms, tolerance, amplification, x, outputs, between=False).holds:
        words = "it leads back only right after its own sampling: what it needs is not in what sampling returned"
        return replace(found, step=None, words=words)
    if not found.holds or forms.clipped_at is None:
        return found
    large = _live(subject, 1.0, x / forms.size)
    if large <= tolerance:
        return found
    return replace(found, holds=False, live=large, words="it leads back only for values too small to be clipped")


def check_live(subject: Subject, tolerance: float) -> Inverse:
    """The same for a sampler that draws noise or is not linear: there are no outputs to be replayed."""
    network, result = _sampled(subject, 1.0, _drawn(1, 1.0)[0])
    back, other = (_undone(subject, network.disturbed(share), result) for share in (0.0, _DISTURBANCE))
    live = _relative(back, network.first)
    if live <= tolerance:
        return Inverse(None, None, live, None, "the relations of the sampler are unknown, and one network says little")
    if not live > 10 * _relative(other, back):
        words = f"outputs that differ by {_DISTURBANCE:.0e} lead as far from x_N; audit it with fewer steps"
        return Inverse(None, None, live, None, words)
    return Inverse(False, None, live, None, "a network that depends on x is not undone")


def _drawn(calls: int, size: float) -> tuple[Tensor, Tensor]:
    """x_N, and outputs of the network."""
    draw = torch.Generator().manual_seed(1)
    outputs = torch.randn(calls, *_BATCH, generator=draw, dtype=torch.float64) * size
    return torch.randn(*_BATCH, generator=draw, dtype=torch.float64) * size, outputs


def _judged(
    subject: Subject, forms: Forms, tolerance: float, amplification: float | None, x: Tensor, outputs: Tensor,
    between: bool,
) -> Inverse:  # fmt: skip
    """What both runs say; `between`: with another sample made before the way back."""
    recorded = Script(outputs)
    result = subject.sampled(recorded, x.clone())
    if between:
        subject.sampled(Script(outputs.flip(1)), 0.5 * x)
    replay = Replay(recorded.calls, outputs)
    back = subject.undone(replay, result).double()
    # The noise is what the network saw of it first: schedulers may scale x_N.
    left = _relative(back, recorded.calls[0].x)
    rounding = max(forms.rounding, _EPSILON)
    step, words = _first_wrong(replay, recorded, final(result).detach().double(), tolerance, rounding, left)
    live = _live(subject, forms.size, x, between)
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
    explained = (amplification or 0.0) * largest * rounding if replay.asked else 0.0
    if max(left, live) <= explained or (not np.isfinite(live) and explained > 1):
        words = (
            f"inversion multiplies rounding by up to {amplification or 1:.0e}, which hides whether it is an inverse in "
            "exact arithmetic; audit it with fewer steps"
        )
        return Inverse(None, left, live, step, words)
    if not np.isfinite(left):
        words = "it ends in numbers that are not finite"
    elif step is None and left <= tolerance:
        words = "the replay leads back, but a network that depends on x is not undone"
    return Inverse(False, left, live, step, words)


def _first_wrong(
    replay: Replay, recorded: Script, sample: Tensor, tolerance: float, rounding: float, left: float
) -> tuple[int | None, str]:
    """The first call of the inverse that repeats no call of sampling, in words."""
    if not replay.asked:
        returned = "what sampling saved, states or predictions" if left <= tolerance else "what is not x_N"
        return None, f"it never asks the network: it returns {returned}"
    unit = 1.0 if max(abs(c.t) for c in recorded.calls) > 1 else 1e-3
    away = [_gap(call.x, recorded.calls[n].x) / _size(recorded.calls[n].x) for call, n in replay.asked]
    wrong = max([*away, left]) > tolerance
    closes = left <= tolerance
    algebra = "although each step's algebra is undone" if closes else "and the algebra does not close either"
    for m, (call, n) in enumerate(replay.asked):
        right = recorded.calls[n]
        if abs(call.t - right.t) > 0.5 * unit:
            return m + 1, (
                f"the network is asked at t = {call.t:g}, where sampling never asked it; the nearest is t = {right.t:g}"
            )
        # An error that is smaller than the tolerance where it is made, and grows, is first seen as a jump.
        seen = min(tolerance, _JUMP * max([*away[:m], rounding])) if wrong else tolerance
        if away[m] <= seen:
            continue
        states = [*(c.x for c in recorded.calls), sample]
        known = [k for k, state in enumerate(states) if _gap(call.x, state) <= seen * _size(state)]
        if known:
            finished = known[0] == len(recorded.calls)
            other = "the finished sample x_0" if finished else f"the state of t = {recorded.calls[known[0]].t:g}"
            return m + 1, (
                f"the network is asked at t = {call.t:g} on {other}, where sampling asked it on the state of t = "
                f"{right.t:g}: the prediction is not the one to be undone, {algebra}"
            )
        made = f", made after its call {m}" if m else ""
        return m + 1, f"the network is asked at t = {call.t:g} on a state that sampling never had{made}, {algebra}"
    if left > tolerance:
        return None, "the network is asked as in sampling, but the steps do not lead back to x_N"
    return None, "wherever it asks the network it is on a state, and at a time, at which sampling asked"


class _Smooth:
    """A smooth nonlinear network, which keeps what it was given first."""

    def __init__(self, size: float) -> None:
        """`size` is that of the states."""
        self.size, self.first = size, torch.empty(0)

    def __call__(self, x: Tensor, t: Tensor | float) -> Tensor:
        call = Call.of(x, t)
        if not len(self.first):
            self.first = call.x
        u = call.x / self.size
        answer = 0.7 * torch.tanh(1.3 * u + 0.2) + 0.1 * torch.cos(2 * u).roll(1, -1) + 1e-4 * call.t
        return (self.size * answer).to(x.dtype)

    def disturbed(self, share: float) -> Callable[[Tensor, Tensor | float], Tensor]:
        """The network with outputs that differ by this share."""
        return lambda x, t: self(x, t) * (1 + share)


def _sampled(subject: Subject, size: float, x: Tensor, between: bool = True) -> tuple[_Smooth, Any]:
    """A network and what sampling with it returned."""
    network = _Smooth(size)
    result = subject.sampled(network, x.clone())
    if between:
        subject.sampled(network, 0.5 * x)
    return network, result


def _undone(subject: Subject, network: Callable[[Tensor, Tensor | float], Tensor], result: Any) -> Tensor:
    """Where the way back ends; infinite if it overflows."""
    try:
        return subject.undone(network, result).double()
    except NotFiniteError:
        return torch.full(_BATCH, torch.inf, dtype=torch.float64)


def _live(subject: Subject, size: float, x: Tensor, between: bool = True) -> float:
    """What is left of a round trip with a network that depends on x."""
    network, result = _sampled(subject, size, x, between)
    return _relative(_undone(subject, network, result), network.first)


def _relative(found: Tensor, right: Tensor) -> float:
    return _gap(found, right) / _size(right)


def _gap(a: Tensor, b: Tensor) -> float:
    """The largest difference; inf where there is none."""
    gap = float((a - b).abs().max())
    return gap if gap == gap else float("inf")


def _size(x: Tensor) -> float:
    return max(float(x.abs().max()), 1e-300)
