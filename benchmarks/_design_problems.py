"""The problems of benchmarks/design.py: held-out mixtures and the embedded digits model, with and without guidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from belm_runtime import Grid, Sampler, Schedule, digits
from belm_runtime.bent import bent_ratios
from belm_runtime.mixture import GaussianMixture, reference
from belm_runtime.models import guided

#: Dimension, components and seed of each held-out mixture (GaussianMixture.random), and how many of the components are
#: the wanted class under guidance. What was learnt from the first group went into the training problems.
SEEN = (
    (2, 3, 1001, 1), (3, 8, 1002, 3), (6, 5, 1003, 2), (16, 10, 1004, 4), (32, 6, 1005, 2),
    (2, 4, 2001, 1), (2, 9, 2002, 2), (5, 6, 2003, 2), (12, 8, 2004, 1), (32, 5, 2005, 1), (64, 8, 2006, 3),
)  # fmt: skip
FRESH = ((2, 5, 3001, 1), (3, 7, 3002, 2), (8, 6, 3003, 2), (16, 9, 3004, 3), (32, 6, 3005, 1), (64, 7, 3006, 2))
#: Samples of a mixture, and of the digits model: classes 0 … 9.
BATCH, PICTURES, FINE = 16, 10, 500


@dataclass(frozen=True)
class Mixture:
    """A held-out mixture under guidance."""

    dimension: int
    components: int
    seed: int
    wanted: int
    guidance: float
    kind: str = "mixture"

    @property
    def name(self) -> str:
        """The name in rows."""
        return f"{self.kind} {self.seed}"

    def noise(self, grid: Grid) -> torch.Tensor:
        """x_N of its samples."""
        return grid.noise((BATCH, self.dimension), seed=self.seed)

    def grid(self, grid: Grid) -> Grid:
        """The grid as this problem's model knows it."""
        return grid

    def known(self, schedule: Schedule) -> Schedule:
        """The schedule whose timesteps the model is told."""
        return schedule

    def parts(self, schedule: Any) -> tuple[GaussianMixture, GaussianMixture]:
        """The wanted class, and everything."""
        whole = GaussianMixture.random(self.dimension, self.components, self.seed, schedule)
        few = slice(self.wanted)
        return GaussianMixture(whole.means[few], whole.scales[few], whole.weights[few], schedule), whole

    def model(self, schedule: Schedule) -> Callable[..., torch.Tensor]:
        """The network, under guidance."""
        wanted, whole = self.parts(schedule)
        return whole if self.guidance == 1 else guided(wanted, whole, self.guidance)

    def solution(self, grid: Grid) -> torch.Tensor:
        """x_0 of the ODE from the noise at the top of a grid."""
        wanted, whole = self.parts(None)
        return reference(Guided(wanted, whole, self.guidance), self.noise(grid), top(grid), (1.0, 0.0), 1e-10, 1e-11)


class Guided:
    """Guided posterior means, for the reference: eps is guided, and D = (x - sigma·eps)/alpha."""

    def __init__(self, wanted: GaussianMixture, whole: GaussianMixture, guidance: float) -> None:
        self.wanted, self.whole, self.guidance = wanted, whole, guidance

    def posterior(self, x: torch.Tensor, alpha: float, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Both posterior means, guided."""
        (D, eps), w = self.whole.posterior(x, alpha, sigma), self.guidance
        if w == 1:
            return D, eps
        other = self.wanted.posterior(x, alpha, sigma)
        return D + w * (other[0] - D), eps + w * (other[1] - eps)


@dataclass(frozen=True)
class Digits:
    """The embedded model, all ten classes, under guidance."""

    guidance: float
    kind = name = "digits"

    @cached_property
    def _model(self) -> Callable[..., torch.Tensor]:
        return digits.denoiser(label=list(range(PICTURES)), guidance=self.guidance)

    def noise(self, grid: Grid) -> torch.Tensor:
        """x_N of its samples."""
        return grid.noise((PICTURES, 1, 8, 8), seed=7)

    def grid(self, grid: Grid) -> Grid:
        """The same levels, with the timesteps that this model knows them by."""
        times = np.append(0.0, Schedule.preset("ddpm").timesteps_at(grid.sbar[1:]))
        return Grid.from_arrays(grid.alpha, grid.sigma, times, schedule=grid.schedule, spacing=grid.spacing)

    def known(self, schedule: Schedule) -> Schedule:
        """The schedule whose timesteps the model is told."""
        return Schedule.preset("ddpm")

    def model(self, schedule: Schedule) -> Callable[..., torch.Tensor]:
        """The network, under guidance."""
        return self._model

    def solution(self, grid: Grid) -> torch.Tensor:
        """Adams–Bashforth 3 on a fine grid from the same level, in another spacing than those compared."""
        low, high = float(Schedule.preset("ddpm").grid(1, "leading").sbar[1]), float(grid.sbar[-1])
        sbar = np.append(0.0, bent_ratios(FINE, low, high, np.zeros_like, (0.02, 30.0, 0.0)))
        fine = Grid.from_arrays(1 / np.hypot(1, sbar), sbar / np.hypot(1, sbar), np.zeros(FINE + 1))
        return Sampler("adams:m=3", self.grid(fine)).sample(self._model, self.noise(grid)).x


def top(grid: Grid) -> tuple[float, float]:
    """The levels (alpha, sigma) where the noise is."""
    return float(grid.alpha[-1]), float(grid.sigma[-1])
