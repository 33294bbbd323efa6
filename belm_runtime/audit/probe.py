"""The probe: networks whose outputs are written beforehand, so that a linear sampler becomes a table of numbers.

If the n-th output p_n does not depend on what the network is given, the whole run is affine in x_N and p_0 … p_{M-1}.
Entries of one batch are independent runs: entry 0 is all zero, entry 1 has x_N = 1, entry m + 2 has p_m = 1. What the
network is given at call n, and what comes out at last, are then known as

    z_n = Z_n · (x_N, p_0, …, p_{M-1}, 1),    n = 0 … M,    z_M = x_0.

The pixels of a batch entry carry multiples of the probe, and two more entries a random mixture of all probes: a run
that clips, thresholds or mixes pixels does not answer them as it should. A second run tells whether noise is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from belm_runtime.audit.subject import Subject, final
from belm_runtime.errors import InputError

#: Multiples of the probe in the pixels of an entry, of shape (1, 2, 2).
PIXELS = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]], dtype=torch.float64)
#: Smaller probes, for samplers that clip large values.
SIZES = (1.0, 2.0**-10)
#: Departures from linearity below this may be rounding in float16 or bfloat16.
_HALF = 0.03


@dataclass(frozen=True)
class Call:
    """One call of the network: what it was given, and its time."""

    x: Tensor
    t: float

    @classmethod
    def of(cls, x: Tensor, t: Tensor | float) -> Call:
        """A call that keeps what it was given, whatever becomes of it."""
        return cls(x.detach().double().clone(), float(torch.as_tensor(t).reshape(-1)[0]))

    def answered(self, output: Tensor) -> Tensor:
        """An output written beforehand.

        Raises:
            InputError: it is of another shape than what the network was given.
        """
        if self.x.shape != output.shape:
            raise InputError(
                f"the network is given shape {tuple(self.x.shape)} where x_N has {tuple(output.shape)}; an audit "
                "answers one prediction for one state: leave out guidance, and whatever else changes the shape"
            )
        return output


class Script:
    """A network that answers call n with outputs[n], whatever it is given, and keeps what it was given."""

    def __init__(self, outputs: Tensor | None) -> None:
        """Outputs of shape (calls, batch, …); None answers zeros."""
        self.outputs, self.calls = outputs, list[Call]()

    def __call__(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The next output."""
        n = len(self.calls)
        self.calls.append(Call.of(x, t))
        if self.outputs is None:
            return torch.zeros_like(x)
        if n >= len(self.outputs):
            raise InputError(f"the run calls the network more than {len(self.outputs)} times, but did not before")
        return self.calls[n].answered(self.outputs[n]).to(x.dtype)


@dataclass(frozen=True, eq=False)
class Forms:
    """The answer of a sampler.

    Attributes:
        Z: shape (M + 1, M + 2): row n holds what the network is given at call n, row M the result, as coefficients of
            x_N, p_0 … p_{M-1} and 1.
        times: the time of each call.
        size: the size of the probes.
        clipped_at: the first call that does not see a linear answer to probes of size 1; None: linear throughout.
        rounding: the largest relative departure from linearity: the rounding of the sampler's arithmetic.
    """

    Z: np.ndarray
    times: np.ndarray
    size: float
    clipped_at: int | None
    rounding: float

    @property
    def calls(self) -> int:
        """M."""
        return len(self.times)


class NotLinearError(InputError):
    """The sampler is no fixed linear combination; the message says of what kind it is."""


def probe(subject: Subject, tolerance: float = 1e-5) -> Forms:
    """The affine forms of a sampler.

    Args:
        subject: the sampler.
        tolerance: departures from linearity up to this are rounding.

    Raises:
        NotLinearError: noise is drawn, or the answer is not finite, or not linear even for small probes.
        InputError: a run that fails, or returns no tensor.
    """
    count = _count(subject)
    clipped = None
    for size in SIZES:
        forms, where = _measure(subject, count, size, tolerance)
        if where is None:
            # The last row is alpha_0·D + sigma_0·eps too, wherever the subject ends.
            forms.Z[-1] *= subject.finish
            return Forms(forms.Z, forms.times, size, clipped, forms.rounding)
        clipped = where if clipped is None else clipped
    half = "; rounding in half precision looks so too: try tolerance = 0.01" if forms.rounding < _HALF else ""
    raise NotLinearError(
        f"{subject.name} is not linear in its states and the network's outputs, pixel by pixel: "
        f"{place(clipped, count)}, by {forms.rounding:.1g} of the answer even for values of size {SIZES[-1]:g}{half}"
    )


def _count(subject: Subject) -> int:
    script = Script(None)
    subject.sampled(script, torch.zeros(2, *PIXELS.shape, dtype=torch.float64))
    if not script.calls:
        raise InputError(f"{subject.name} returned without calling the network")
    return len(script.calls)


def _measure(subject: Subject, count: int, size: float, tolerance: float) -> tuple[Forms, int | None]:
    """The forms, and the first call that answers not linearly."""
    draw = torch.Generator().manual_seed(0)
    mixture = torch.randn(2, count + 1, generator=draw, dtype=torch.float64)
    unit = torch.eye(count + 1, dtype=torch.float64)
    weights = torch.cat([torch.zeros_like(unit[:1]), unit, mixture])
    seen, times = _seen(subject, weights, size)
    if (where := _first((~seen.isfinite()).flatten(1).any(1).double(), 0.0)) is not None:
        raise NotLinearError(f"{subject.name} gives numbers that are not finite, {place(where, count)}")
    again, _ = _seen(subject, weights, size)
    scale = seen.abs().amax((1, 2, 3, 4)).clamp(min=1e-300)
    if (where := _first((again - seen).abs().amax((1, 2, 3, 4)) / scale, tolerance)) is not None:
        raise NotLinearError(f"{subject.name} draws fresh noise: two equal runs differ, {place(where, count)}")
    answers = (seen - seen[:, :1]) / (size * PIXELS)
    Z = answers[:, 1 : count + 2, 0, 0, 0]
    expected = torch.einsum("bm,nm->nb", weights, Z)[..., None, None, None]
    largest = Z.abs().amax(1).clamp(min=1.0)
    # What is subtracted as the answer to zero was rounded too.
    offset = seen[:, 0].abs().amax((1, 2, 3))
    departures = (answers - expected).abs().amax((1, 2, 3, 4)) / (largest + offset / size)
    constant = seen[:, 0, 0, 0, 0]
    forms = Forms(torch.cat([Z, constant[:, None]], 1).numpy(), np.array(times), size, None, float(departures.max()))
    return forms, _first(departures, tolerance)


def _seen(subject: Subject, weights: Tensor, size: float) -> tuple[Tensor, list[float]]:
    """What the network was given and the result, shape (M + 1, batch, 1, 2, 2), and the times of the calls."""
    values = weights[:, :, None, None, None] * size * PIXELS
    script = Script(values[:, 1:].transpose(0, 1))
    result = final(subject.sampled(script, values[:, 0].clone())).detach().double()
    if len(script.calls) != weights.shape[1] - 1:
        before = weights.shape[1] - 1
        raise InputError(f"{subject.name} called the network {before} times, then {len(script.calls)} times")
    return torch.stack([*(call.x for call in script.calls), result]), [call.t for call in script.calls]


def _first(values: Tensor, tolerance: float) -> int | None:
    wrong = ~(values <= tolerance)
    return int(wrong.to(torch.int8).argmax()) if bool(wrong.any()) else None


def place(call: int | None, count: int) -> str:
    """Where something is first seen, in words."""
    return "first in the result" if call == count else f"first in what call {(call or 0) + 1} is given"
