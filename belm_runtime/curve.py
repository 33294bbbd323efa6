"""The curves alpha(t), sigma(t) of the three families of schedules, and their inverse t(sigma/alpha).

Variance preserving: log alphabar is stored at the training nodes t = 0 … T − 1 and at a virtual node
t = −1, where it is 0, and is linear in t between them: the variance-preserving SDE with a piecewise
constant beta. Then, with sbar = sigma/alpha,

    alpha = exp(log/2),    sigma = sqrt(−expm1(log)),    log alphabar = −log(1 + sbar²),

and 1 − alphabar, which loses its digits near the data, is never formed.

Variance exploding: alpha = 1; log sigma is linear in t between the training nodes, and sigma(−1) = 0.
Flow: alpha = 1 − t, sigma = t for t in 0 … 1.

Where one end of a piece is 0 and has no logarithm, the quantity itself is linear there: sigma of a
variance-exploding schedule from t = −1 to 0, and alpha of a zero-terminal-SNR schedule (alpha = 0 at T − 1)
from T − 2 to T − 1.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from belm_runtime.errors import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Levels = tuple[FloatArray, FloatArray]


class Curve(Protocol):
    """What a schedule asks of its curve; times and ratios come checked, arrays of any shape."""

    @property
    def domain(self) -> tuple[float, float]:
        """The least and the greatest time."""
        ...

    def levels(self, t: FloatArray) -> Levels:
        """The levels (alpha, sigma) at times t."""
        ...

    def times(self, sbar: FloatArray) -> FloatArray:
        """The times t with sigma(t)/alpha(t) = sbar."""
        ...

    def split(self, sbar: FloatArray) -> Levels:
        """The levels (alpha, sigma) with sigma/alpha = sbar."""
        ...


class Preserving:
    """alpha² + sigma² = 1, from log alphabar at t = −1 … T − 1: starts at 0, falls, may end at −inf."""

    def __init__(self, logs: FloatArray) -> None:
        self._logs = logs
        self.domain = (-1.0, len(logs) - 2.0)

    @classmethod
    def from_increments(cls, increments: FloatArray) -> Preserving:
        """From log(1 − beta_0) … log(1 − beta_{T−1}); only the last may be −inf.

        The sum is compensated (Neumaier): every log alphabar is correct to about one rounding of its own.
        """
        total = lost = 0.0
        logs = [0.0]
        for term in increments.tolist():
            new = total + term
            if math.isfinite(new):
                lost += (total - new) + term if abs(total) >= abs(term) else (term - new) + total
            total = new
            logs.append(total + lost)
        return cls(np.array(logs))

    @classmethod
    def from_betas(cls, betas: ArrayLike) -> Preserving:
        """From beta_0 … beta_{T−1}, each in (0, 1); the last may be 1."""
        values = _column("betas", betas)
        _require("betas", values, (values > 0) & ((values < 1) | _last_is(values, 1)), "in (0, 1)")
        with np.errstate(divide="ignore"):
            return cls.from_increments(np.log1p(-values))

    @classmethod
    def from_alphas_cumprod(cls, acp: ArrayLike) -> Preserving:
        """From alphabar_0 > alphabar_1 > …, each in (0, 1); the last may be 0."""
        values = _column("alphas_cumprod", acp)
        right = (np.diff(values, prepend=1.0) < 0) & ((values > 0) | _last_is(values, 0))
        _require("alphas_cumprod", values, right, "> 0 and below the entry before it (the first below 1)")
        with np.errstate(divide="ignore"):
            return cls(np.append(0.0, np.log(values)))

    def levels(self, t: FloatArray) -> Levels:
        """The levels at times in −1 … T − 1."""
        lower, upper, weight = _piece(self._logs, t)
        with np.errstate(invalid="ignore"):
            log = np.where(weight == 0, lower, (1 - weight) * lower + weight * upper)
            log = np.where((weight > 0) & np.isinf(upper), lower + 2 * np.log1p(-weight), log)
        return np.exp(log / 2), np.sqrt(-np.expm1(log)) + 0.0

    def times(self, sbar: FloatArray) -> FloatArray:
        """The times in −1 … T − 1; past the last finite logarithm the way gone is 1 − alpha/alpha_{T−2}."""
        with np.errstate(over="ignore"):
            log = -np.where(sbar < 1, np.log1p(sbar * sbar), 2 * np.log(np.hypot(1, sbar)))
        finite = self._logs[np.isfinite(self._logs)]
        t: FloatArray = np.interp(-log, -finite, np.arange(-1.0, len(finite) - 1))
        return t if len(finite) == len(self._logs) else t - np.expm1(np.minimum(log - finite[-1], 0) / 2)

    def split(self, sbar: FloatArray) -> Levels:
        """1/sqrt(1 + sbar²) and sbar/sqrt(1 + sbar²)."""
        return 1 / np.hypot(1, sbar), sbar / np.hypot(1, sbar)


class Exploding:
    """alpha = 1, from sigma at t = −1 … T − 1: first 0, rising."""

    def __init__(self, sigmas: FloatArray) -> None:
        self._sigmas = sigmas
        self.domain = (-1.0, len(sigmas) - 2.0)

    @classmethod
    def from_sigmas(cls, sigmas: ArrayLike) -> Exploding:
        """From 0 < sigma_0 < sigma_1 < … at t = 0 … T − 1."""
        values = _column("sigmas", sigmas)
        right = (np.diff(values, prepend=0.0) > 0) & (values < np.inf)
        _require("sigmas", values, right, "finite and above the entry before it (the first above 0)")
        return cls(np.append(0.0, values))

    def levels(self, t: FloatArray) -> Levels:
        """The levels at times in −1 … T − 1."""
        lower, upper, weight = _piece(self._sigmas, t)
        ratio = upper / np.where(lower == 0, upper, lower)
        return np.ones_like(t), np.where(lower == 0, weight * upper, lower * ratio**weight)

    def times(self, sbar: FloatArray) -> FloatArray:
        """The times in −1 … T − 1."""
        least = self._sigmas[1]
        log = np.log(np.maximum(sbar, least))
        above = np.interp(log, np.log(self._sigmas[1:]), np.arange(len(self._sigmas) - 1.0))
        t: FloatArray = np.where(sbar < least, sbar / least - 1, above)
        return t

    def split(self, sbar: FloatArray) -> Levels:
        """1 and sbar."""
        return np.ones_like(sbar), sbar + 0.0


class Flow:
    """alpha = 1 − t, sigma = t; `shift` and `resolution` only say where grids put their nodes."""

    domain = (0.0, 1.0)

    def __init__(self, shift: float, resolution: int) -> None:
        self.shift, self.resolution = shift, resolution

    @property
    def least(self) -> float:
        """The first training time, 1/resolution shifted."""
        return self.shift / (self.resolution - 1 + self.shift)

    def levels(self, t: FloatArray) -> Levels:
        """1 − t and t."""
        return 1 - t, t + 0.0

    def times(self, sbar: FloatArray) -> FloatArray:
        """sbar/(1 + sbar), which is 1 at infinity."""
        return self.split(sbar)[1]

    def split(self, sbar: FloatArray) -> Levels:
        """1/(1 + sbar) and sbar/(1 + sbar)."""
        with np.errstate(divide="ignore"):
            return 1 / (1 + sbar), 1 / (1 + 1 / sbar)


def ratio(curve: Curve, time: float) -> float:
    """sigma/alpha at one time; infinite where alpha = 0."""
    alpha, sigma = curve.levels(np.asarray(time))
    return float(sigma / alpha) if alpha else math.inf


def _piece(values: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The values at both ends of the piece that t lies in, and the weight of the upper end.

    `values` starts at t = −1. A node is the lower end of its piece, with weight 0: its stored value comes
    back to the bit.
    """
    index = np.floor(t + 1).astype(np.int64)
    return values[index], values[np.minimum(index + 1, len(values) - 1)], t + 1 - index


def _column(name: str, values: ArrayLike) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a list of numbers: {error}") from None
    if array.ndim != 1 or not len(array):
        raise InputError(f"{name} must be one-dimensional and not empty, not of shape {array.shape}")
    return array


def _require(name: str, values: FloatArray, right: BoolArray, wanted: str) -> None:
    if not right.all():
        i = int(np.argmin(right))
        raise InputError(f"{name}[{i}] = {values[i]} must be {wanted}")


def _last_is(values: FloatArray, allowed: float) -> BoolArray:
    """True at the last entry if it has the allowed value, False elsewhere."""
    return np.equal(values, allowed) & np.equal(np.arange(len(values)), len(values) - 1)
