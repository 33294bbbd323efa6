"""A point of the search space: a method, a frame and a grid, for every number of steps at once.

Method     a = (1 - theta, 0, …, 0, theta) (blend) or (1, 0, …, -theta, theta) (echo) with theta = (N/(N + m))^{k-1}:
           a damping that inversion undoes by about (1 + m/N)^N < e^m, whatever N.
Frame      any q >= 0.
Grid       the designed spacing with its shape (`belm_runtime.bent`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from belm_runtime.bent import bent_ratios
from belm_runtime.errors import InputError, unknown
from belm_runtime.grid import Grid
from belm_runtime.methods import Method, make
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule

FAMILIES = ("echo", "blend")
SCHEDULES = ("sd15", "ddpm")
STEPS = (10, 20, 50, 100)
#: What inverts a bare x_0 on a design's grid: neutral, so that errors of the start are not amplified.
NEUTRAL = "echo:k=4,theta=1"


@dataclass(frozen=True)
class Candidate:
    """A design.

    Attributes:
        family: ``echo`` or ``blend``.
        k: steps of the relation, 2 … 5.
        q: the frame.
        damping: m >= 0.
        shape: (A, B, C) of the spacing.
    """

    family: str
    k: int
    q: float
    damping: float
    shape: tuple[float, float, float]

    def __post_init__(self) -> None:
        """Refuse what lies outside the space.

        Raises:
            InputError: an unknown family, or a number out of range.
        """
        if self.family not in FAMILIES:
            raise unknown("family", self.family, FAMILIES)
        if self.k not in range(2, 6):
            raise InputError(f"k = {self.k} is outside its range; it must be a whole number in [2, 5]")
        small, large, weight = self.shape
        if not (0 < small < large < np.inf and all(0 <= value < np.inf for value in (self.q, self.damping, weight))):
            raise InputError(f"{self}: q, damping and C must be >= 0, and 0 < A < B")

    def method(self, steps: int) -> Method:
        """The catalogue's member on a grid of N steps."""
        r = Fraction(steps) / (steps + Fraction(str(self.damping)))
        return make(self.family, k=self.k, theta=r ** (self.k - 1))

    def grid(self, schedule: Schedule, steps: int) -> Grid:
        """The grid of N steps on a variance-preserving schedule."""
        begin, last = schedule.domain
        low, high = np.divide(*schedule.alpha_sigma(np.array([float(schedule.steps_offset), last]))[::-1]).tolist()

        def share(sbar: np.ndarray) -> np.ndarray:
            return (schedule.timesteps_at(sbar) - begin) / (last - begin)

        sbar = np.append(0.0, bent_ratios(steps, low, high, share, self.shape))
        scale = np.hypot(1, sbar)
        times = np.append(0.0, schedule.timesteps_at(sbar[1:]))
        return Grid.from_arrays(1 / scale, sbar / scale, times, schedule=schedule.name, spacing="designed")

    def sampler(self, schedule: Schedule, steps: int) -> Sampler:
        """The method on the grid, in the frame."""
        return Sampler(self.method(steps), self.grid(schedule, steps), frame=self.q)

    def inverter(self, schedule: Schedule, steps: int) -> Sampler:
        """What inverts a bare x_0 on the same grid, in the same frame."""
        return Sampler(NEUTRAL, self.grid(schedule, steps), frame=self.q)


def settings(schedules: Iterable[str] = SCHEDULES, steps: Iterable[int] = STEPS) -> list[tuple[Schedule, int]]:
    """The schedules and numbers of steps that a design is for."""
    counts = tuple(steps)
    return [(Schedule.preset(name), count) for name in schedules for count in counts]
