"""The grid: N + 1 nodes from data to noise, the only thing a coefficient depends on.

Node i carries (alpha_i, sigma_i, t_i); a state there is x_i = alpha_i·D + sigma_i·eps.

    i         0 ── 1 ── 2 ── … ── N
    alpha     1    …    falls     (0 allowed at N only)
    sigma     0    > 0  …         (sigma_0 = 0 unless the grid ends at a training node)
    sbar = sigma/alpha            strictly increasing

A sampler moves in sbar, so sbar alone must increase; the timesteps t_i are only what the network is told, and
t_0 may equal t_1. The increase is tested without a division,

    sigma_i·alpha_{i−1} > sigma_{i−1}·alpha_i,

which holds for alpha_N = 0 too and is exact for fractions. A grid of `fractions.Fraction` stays exact:
identities that rounding would hide can then be tested as equalities.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from numbers import Rational
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from belm_runtime.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from torch import dtype as Dtype

Nodes = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """The nodes of a sampler; build it with `Schedule.grid` or `Grid.from_arrays`.

    Attributes:
        alpha: N + 1 weights of the data, read-only float64, or objects of type Fraction in an exact grid.
        sigma: N + 1 weights of the noise, likewise.
        timesteps: N + 1 times for the network, 0 … T − 1 (flow: 0 … 1), read-only float64, or Fractions where
            fractions were given.
        schedule, spacing: names for display.
    """

    alpha: Nodes
    sigma: Nodes
    timesteps: Nodes
    schedule: str = "arrays"
    spacing: str = "arrays"

    def __post_init__(self) -> None:
        raw = {name: _read(name, getattr(self, name)) for name in ("alpha", "sigma", "timesteps")}
        exact = _holds_fractions(raw["alpha"]) or _holds_fractions(raw["sigma"])
        for name, values in raw.items():
            rational = exact if name != "timesteps" else _holds_fractions(values)
            array = _as_fractions(name, values) if rational else _as_floats(name, values)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        self._check_lengths()
        self._check_levels()
        self._check_increase()

    @classmethod
    def from_arrays(
        cls,
        alpha: ArrayLike | Sequence[Any],
        sigma: ArrayLike | Sequence[Any],
        timesteps: ArrayLike | Sequence[Any],
        *,
        schedule: str = "arrays",
        spacing: str = "arrays",
    ) -> Grid:
        """A grid from its nodes, index 0 = data, index N = noise.

        Args:
            alpha: N + 1 numbers > 0; the last may be 0. Fractions make the grid exact.
            sigma: N + 1 numbers, sigma[0] ≥ 0 and the others > 0.
            timesteps: N + 1 finite numbers, given to the network as they are.
            schedule: name of the schedule, for display.
            spacing: name of the spacing, for display.

        Raises:
            InputError: a length, a value or the order of the nodes is wrong; the message names the node.
        """
        levels = _read("alpha", alpha), _read("sigma", sigma), _read("timesteps", timesteps)
        return cls(*levels, schedule, spacing)

    @property
    def steps(self) -> int:
        """The number of steps N, one less than the number of nodes."""
        return len(self.alpha) - 1

    @property
    def exact(self) -> bool:
        """Whether alpha and sigma are fractions."""
        return self.alpha.dtype == object

    @property
    def sbar(self) -> Nodes:
        """The N + 1 ratios sigma/alpha; infinite at node N when alpha_N = 0."""
        ratio = self.sigma[:-1] / self.alpha[:-1]
        last = self.sigma[-1] / self.alpha[-1] if self.alpha[-1] else math.inf
        return np.append(ratio, np.array([last], dtype=self.alpha.dtype))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the three arrays: little-endian bytes, or the text of exact numbers."""
        digest = hashlib.sha256()
        for array in (self.alpha, self.sigma, self.timesteps):
            floats = array.dtype != object
            digest.update(array.astype("<f8").tobytes() if floats else ",".join(map(str, array)).encode())
            digest.update(b";")
        return digest.hexdigest()

    def noise(self, shape: Sequence[int], seed: int, *, dtype: Dtype | None = None, first: int = 0) -> Tensor:
        """The noise x_N itself, drawn on the CPU; sample j is a function of (seed, j) alone.

        x_N = c·z with z standard normal and c² = alpha_N² + sigma_N²: the variance that data of variance 1
        has at node N. Sample j comes from the counter-based generator Philox with the key (seed, j), in
        float64, and is rounded to `dtype` at the end: batches may be cut anywhere, drawn in any order.

        Args:
            shape: (batch, …); the first dimension counts the samples.
            seed: 0 … 2^64 − 1.
            dtype: a floating torch type, float64 by default.
            first: the index j of the first sample, so that a shard draws samples first … first + batch − 1.

        Raises:
            InputError: the shape is empty or not of positive whole numbers, the seed or `first` is out of
                range, or `dtype` is not a floating type.
        """
        import torch

        dtype = torch.float64 if dtype is None else dtype
        if not dtype.is_floating_point:
            raise InputError(f"noise needs a floating dtype such as torch.float32, not {dtype}")
        sizes = [whole("every entry of shape", size, 1) for size in shape]
        if not sizes:
            raise InputError("shape must be (batch, …) with at least one entry, not ()")
        seed, first = whole("seed", seed, 0, 2**64 - 1), whole("first", first, 0, 2**63)
        draws = np.empty(sizes, dtype=np.float64)
        for j in range(sizes[0]):
            key = np.array([seed, first + j], dtype=np.uint64)
            draws[j] = np.random.Generator(np.random.Philox(key=key)).standard_normal(sizes[1:])
        return torch.from_numpy(draws * self._deviation()).to(dtype)

    def _deviation(self) -> float:
        """sqrt(alpha_N² + sigma_N²), where a sum that rounding alone keeps from 1 counts as 1."""
        variance = float(self.alpha[-1]) ** 2 + float(self.sigma[-1]) ** 2
        return 1.0 if abs(variance - 1) <= 4 * np.finfo(np.float64).eps else math.sqrt(variance)

    def _check_lengths(self) -> None:
        lengths = [len(self.alpha), len(self.sigma), len(self.timesteps)]
        if not 2 <= min(lengths) == max(lengths):
            raise InputError(f"alpha, sigma and timesteps must have one length of 2 or more, not {lengths}")

    def _check_levels(self) -> None:
        for i, (alpha, sigma) in enumerate(zip(self.alpha, self.sigma, strict=True)):
            if alpha < 0 or (alpha == 0 and i < self.steps):
                place = "must be > 0" if i < self.steps else "must be ≥ 0"
                raise InputError(f"alpha[{i}] = {alpha} {place} (index 0 is data; only alpha[N] may be 0)")
            if sigma < 0 or (sigma == 0 and i > 0):
                place = "must be > 0" if i else "must be ≥ 0"
                raise InputError(f"sigma[{i}] = {sigma} {place} (index 0 is data; only sigma[0] may be 0)")

    def _check_increase(self) -> None:
        for i in range(1, len(self.alpha)):
            here, before = self.sigma[i] * self.alpha[i - 1], self.sigma[i - 1] * self.alpha[i]
            if here > before:
                continue
            old, new = (f"node {n} (alpha = {self.alpha[n]}, sigma = {self.sigma[n]})" for n in (i - 1, i))
            if here == before:
                raise InputError(f"{new} repeats {old}: sigma/alpha must increase")
            raise InputError(f"sigma/alpha falls from {old} to {new}: it must increase")

    def __eq__(self, other: object) -> bool:
        return self.fingerprint == other.fingerprint if isinstance(other, Grid) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        kind = ", exact" if self.exact else ""
        return f"Grid({self.schedule}, {self.spacing}, steps={self.steps}{kind}, {self.fingerprint[:8]})"


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """`value` as an int that is ≥ low and, where it is given, ≤ high.

    Raises:
        InputError: the value is no whole number or out of range.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        limits = f"≥ {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name} must be a whole number {limits}, not {value!r}")
    return number


def _read(name: str, values: object) -> Nodes:
    """A one-dimensional array of whatever numbers were given."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a list of numbers: {error}") from None
    if array.ndim != 1:
        raise InputError(f"{name} must be one-dimensional, not of shape {array.shape}")
    return array


def _holds_fractions(values: Nodes) -> bool:
    """Whether any entry is a Fraction: the sign that exact numbers are meant."""
    return values.dtype == object and any(isinstance(value, Fraction) for value in values)


def _as_fractions(name: str, values: Nodes) -> Nodes:
    """An object array of Fractions; a float among them is refused, since it would hide a rounding."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        if not isinstance(value, Rational):
            raise InputError(f"{name}[{i}] = {value} is no exact number; give a Fraction or an int")
        # int(): a numpy integer inside a Fraction would keep its 64 bits and overflow later.
        array[i] = Fraction(int(value.numerator), int(value.denominator))
    return array


def _as_floats(name: str, values: Nodes) -> Nodes:
    """A float64 array of finite numbers, with −0 turned into 0."""
    try:
        array = values.astype(np.float64) + 0.0
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must hold real numbers: {error}") from None
    if not np.isfinite(array).all():
        i = int(np.argmin(np.isfinite(array)))
        raise InputError(f"{name}[{i}] = {array[i]} must be finite")
    return array
