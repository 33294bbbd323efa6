"""The space that is searched: cells of choices, each with the ranges of its numbers.

    cell      rule of the weights a and k; slopes polynomial in s or in log-SNR; frame; spacing; start
    numbers   damping, weights or gamma of the rule; q where the frame is free; parameters of the spacing

A point of a cell is a `Design`, its numbers rounded to what one would write down.

    blend, echo   theta = (N/(N + m))^{k-1}: the parasitic roots have the product of moduli (N/(N + m))^{k-1}, and all
                  have N/(N + m) for echo and for blend with k <= 3, which inversion undoes by (1 + m/N)^N < e^m
    damped        theta by the length that a step covers: the same on every grid, without N
    weights       any constant a, by the moduli and angles of the parasitic roots
    bdia          a by the frame's weights w, gamma free;   o-belm   a by the ratio of steps, nothing free
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from belm_runtime.design import Design
from belm_runtime.designs import STARTS
from belm_runtime.exponential import LONGEST_ELSEWHERE

FloatArray = NDArray[np.float64]
Ranges = tuple[tuple[float, float], ...]
#: The pieces of a free grid.
PIECES = 8
#: Below this share of the way the pieces of a free grid start even in s, above it in log s.
_EVEN = 0.03
#: What inverts a bare x_0 while the search goes on: neutral, so that errors of the start are not amplified, and of
#: order 4 on smooth grids.
NEUTRAL = "echo:k=4,theta=1"


@dataclass(frozen=True)
class Rule:
    """A rule for the weights.

    Attributes:
        ks: the numbers of steps k it is searched for.
        ranges: of its numbers, for k.
        write: from k and numbers, the method string and the damping m, if it has one.
    """

    ks: tuple[int, ...]
    ranges: Callable[[int], Ranges]
    write: Callable[[int, Sequence[float]], tuple[str, str | None]]


def _short(value: float, digits: int = 2) -> str:
    """So many digits, as a decimal."""
    return np.format_float_positional(float(f"{value:.{digits}g}"), trim="-")


def _by_roots(k: int, numbers: Sequence[float]) -> tuple[str, None]:
    """Weights of given parasitic roots: pairs (modulus, angle/pi), and one negative root where k is even."""
    polynomial = np.array([1.0])
    for modulus, angle in np.reshape(numbers[: 2 * ((k - 1) // 2)], (-1, 2)):
        polynomial = np.convolve(polynomial, [1.0, -2 * modulus * np.cos(np.pi * angle), modulus**2])
    if k % 2 == 0:
        polynomial = np.convolve(polynomial, [1.0, numbers[k - 2]])
    c = np.append(polynomial[1:], 0.0)
    a = [float(f"{c[j - 1] - c[j]:.3f}") for j in range(1, k)]
    return f"weights:k={k}," + ",".join(f"a{j}={_plain(value)}" for j, value in enumerate(a, 2)), None


def _plain(value: float) -> str:
    return np.format_float_positional(value, trim="-")


def _root_ranges(k: int) -> Ranges:
    return ((0.5, 0.99), (0.3, 1.0)) * ((k - 1) // 2) + ((0.5, 0.99),) * (1 - k % 2)


RULES: dict[str, Rule] = {
    "blend": Rule((2, 3, 4, 5), lambda k: ((0, 14),), lambda k, x: (f"blend:k={k}", _short(x[0]))),
    "echo": Rule((3, 4, 5), lambda k: ((0, 14),), lambda k, x: (f"echo:k={k}", _short(x[0]))),
    "damped": Rule((2, 3, 4, 5), lambda k: ((0, 14),), lambda k, x: (f"damped:k={k},m={_short(x[0])}", None)),
    "weights": Rule((3, 4), _root_ranges, _by_roots),
    "bdia": Rule((2,), lambda k: ((0.5, 1),), lambda k, x: (f"bdia:gamma={_short(x[0])}", None)),
    "o-belm": Rule((2,), lambda k: (), lambda k, x: ("o-belm", None)),
}


def _free(numbers: Sequence[float]) -> str:
    """Knots whose steps in log(s + 0.03) are as exp(numbers)."""
    shares = np.cumsum(np.exp(numbers)) / np.exp(numbers).sum()
    s = _EVEN * ((1 + 1 / _EVEN) ** shares[:-1] - 1)
    return "free:s=" + "/".join(_short(value, 4) for value in s)


def pieces_of(s: FloatArray) -> tuple[float, ...]:
    """The numbers of the free grid through shares s_0 = 0, …, s_K = 1: the inverse of how knots are made."""
    steps = np.diff(np.log(s + _EVEN))
    return tuple((np.log(steps) - np.log(steps).mean()).tolist())


#: Spacings: the ranges of their numbers, and how they are written.
SPACINGS: dict[str, tuple[Ranges, Callable[[Sequence[float]], str]]] = {
    "bent": (
        ((-2.0, 0.0), (0.3, 1.7), (0.0, 4.0)),
        lambda x: f"bent:A={_short(10 ** x[0])},B={_short(10 ** x[1])},C={_short(x[2])}",
    ),
    "floored": (((1.0, 3.5),), lambda x: f"floored:p={_short(x[0])}"),
    "karras": (((2.0, 12.0),), lambda x: f"karras:rho={_short(x[0])}"),
    "logsnr": ((), lambda x: "logsnr"),
    "free": (((-2.0, 2.0),) * PIECES, _free),
}
#: The frames by name, and the range of log10 q where it is free.
FRAMES = {"noise": "noise", "flow": "flow", "free": None}
_Q = (-0.5, 0.8)
SLOPES = ("s", "log-snr")


@dataclass(frozen=True)
class Cell:
    """A choice of everything that is no number."""

    rule: str
    k: int
    slopes: str
    frame: str
    spacing: str
    start: str

    @property
    def ranges(self) -> Ranges:
        """Of the rule's numbers, of log10 q where the frame is free, and of the spacing's numbers."""
        q = (_Q,) if self.frame == "free" else ()
        return RULES[self.rule].ranges(self.k) + q + SPACINGS[self.spacing][0]

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """The lower and the upper ends of the ranges."""
        low, high = np.transpose(np.array(self.ranges).reshape(-1, 2))
        return low, high

    def at(self, point: Sequence[float] | FloatArray) -> Design:
        """The design at a point, brought back into the ranges."""
        values = np.clip(point, *self.bounds).tolist()
        count = len(RULES[self.rule].ranges(self.k))
        method, damping = RULES[self.rule].write(self.k, values[:count])
        frame, rest = FRAMES[self.frame], values[count:]
        if frame is None:
            frame, rest = _short(10 ** rest[0]), rest[1:]
        prefix = "exp-" if self.slopes == "log-snr" else ""
        spacing = SPACINGS[self.spacing][1](rest)
        exact = None if damping is None else Fraction(damping)
        return Design("candidate", prefix + method, exact, frame, self.start, spacing, NEUTRAL)


def freed(cell: Cell, point: Sequence[float], shares: FloatArray) -> tuple[Cell, tuple[float, ...]]:
    """The cell and point of the same method on a free grid through the given shares of s at u = j/K."""
    kept = len(cell.ranges) - len(SPACINGS[cell.spacing][0])
    return replace(cell, spacing="free"), (*point[:kept], *pieces_of(shares))


def cells(
    rules: Iterable[str] = tuple(RULES), ks: Iterable[int] = (2, 3, 4, 5), slopes: Iterable[str] = SLOPES,
    frames: Iterable[str] = tuple(FRAMES), spacings: Iterable[str] = tuple(SPACINGS), starts: Iterable[str] = STARTS,
) -> tuple[Cell, ...]:  # fmt: skip
    """All cells that exist among the choices given, in a fixed order."""
    every = product(rules, ks, slopes, frames, spacings, starts)
    return tuple(cell for choice in every if _exists(cell := Cell(*choice)))


def _exists(cell: Cell) -> bool:
    """Whether nothing in a cell is the same as in another one, or has no coefficients."""
    if cell.k not in RULES[cell.rule].ks:
        return False
    if cell.slopes == "log-snr" and (cell.k == 2 or (cell.k > LONGEST_ELSEWHERE and cell.frame != "noise")):
        return False  # With one slope there is no polynomial; many in log-SNR are elementary in the noise frame only.
    return cell.rule not in ("bdia", "o-belm") or cell.frame == "noise"
