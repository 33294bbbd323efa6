"""The problem with a known answer: data that is a mixture of Gaussians, under any schedule.

With data D ~ Σ_m w_m N(mu_m, diag c_m²) in d dimensions and noise eps ~ N(0, 1) the state
x = alpha·D + sigma·eps has the density

    p(x) = Σ_m w_m N(x; alpha·mu_m, diag V_m),    V_m = alpha²·c_m² + sigma²,

and with the responsibilities r_m = P(component m | x) the perfect network is known:

    eps = −sigma·∇ log p(x) = E[eps | x] = sigma·Σ_m r_m (x − alpha·mu_m)/V_m,
    D   = E[D | x]          = Σ_m r_m (mu_m + alpha·c_m²·(x − alpha·mu_m)/V_m).

Both are written as posterior means, so nothing is divided by alpha or sigma: D stays right at alpha = 0 and
eps goes to 0 with sigma. For one component the sampling ODE d xbar/d sbar = eps has the solution xbar − mu ∝
sqrt(c² + sbar²), that is x − alpha·mu ∝ sqrt(V); for more components `reference` integrates numerically.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from belm_runtime.errors import InputError, NotFiniteError
from belm_runtime.models import NoiseLevels, levels, mixing

#: A noise level, alpha or sigma: a number, or a 1-D array or tensor with one entry per sample.
Level = ArrayLike | Tensor


class GaussianMixture:
    """The exact network for data from a mixture of Gaussians; call it as `model(x, t)`.

    Attributes:
        means: mu, float64 of shape (components, d).
        scales: c, float64 of shape (components, d).
        weights: w, float64 of shape (components,), summing to 1.
        schedule: reads t as (alpha, sigma).
        prediction: what `model(x, t)` returns, one of `belm_runtime.models.PREDICTIONS`.
    """

    def __init__(
        self,
        means: ArrayLike,
        scales: ArrayLike,
        weights: ArrayLike,
        schedule: NoiseLevels,
        prediction: str = "epsilon",
    ) -> None:
        """A mixture from its parameters.

        Args:
            means: mu, shape (components, d).
            scales: c > 0, shape (components,), or (components, d) for one deviation per coordinate.
            weights: w > 0, shape (components,); divided by their sum.
            schedule: any object with `alpha_sigma(t) -> (alpha, sigma)`.
            prediction: one of `belm_runtime.models.PREDICTIONS`.

        Raises:
            InputError: shapes that do not belong together, a parameter that is not finite, a scale or weight
                that is not positive, or an unknown prediction type.
        """
        mu, c, w = (np.array(value, dtype=np.float64) for value in (means, scales, weights))
        if mu.ndim != 2 or mu.size == 0:
            raise InputError(f"means have shape {mu.shape}; it must be (components, d)")
        if w.shape != mu.shape[:1]:
            raise InputError(f"weights have shape {w.shape}; it must be {mu.shape[:1]}, one per component")
        if c.shape not in (mu.shape, mu.shape[:1]):
            raise InputError(f"scales have shape {c.shape}; it must be {mu.shape[:1]} or {mu.shape}")
        for name, value, low in (("means", mu, -math.inf), ("scales", c, 0.0), ("weights", w, 0.0)):
            if not ((value > low) & (value < math.inf)).all():
                raise InputError(f"{name} = {value.tolist()} must be finite{'' if low else ' and positive'}")
        mixing(prediction, 1.0, 0.0)
        self.means = torch.from_numpy(mu)
        self.scales = torch.from_numpy(np.broadcast_to(c.reshape(len(w), -1), mu.shape).copy())
        self.weights = torch.from_numpy(w / w.sum())
        self.schedule = schedule
        self.prediction = prediction

    @classmethod
    def random(
        cls, dimension: int, components: int, seed: int, schedule: NoiseLevels, prediction: str = "epsilon"
    ) -> GaussianMixture:
        """A member of a family: mu ~ N(0, 1), c log-uniform in [0.1, 1], w uniform on the simplex."""
        if dimension < 1 or components < 1:
            raise InputError(f"dimension = {dimension}, components = {components}; both must be at least 1")
        draw = np.random.default_rng(seed)
        means = draw.standard_normal((components, dimension))
        scales = 10.0 ** draw.uniform(-1.0, 0.0, components)
        return cls(means, scales, draw.dirichlet(np.ones(components)), schedule, prediction)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The prediction at x of shape (batch, *event), t of shape (batch,) or (1,); dtype and shape of x."""
        alpha, sigma = levels(self.schedule, t)
        denoised, epsilon = self.posterior(x, alpha, sigma)
        column = (-1, *(1,) * (x.ndim - 1))
        data_weight, noise_weight = mixing(
            self.prediction,
            torch.as_tensor(alpha, dtype=denoised.dtype, device=x.device).reshape(column),
            torch.as_tensor(sigma, dtype=denoised.dtype, device=x.device).reshape(column),
        )
        return (data_weight * denoised + noise_weight * epsilon).to(x.dtype)

    def denoised(self, x: Tensor, alpha: Level, sigma: Level) -> Tensor:
        """The data D = E[D | x] at given levels; dtype and shape of x."""
        return self.posterior(x, alpha, sigma)[0].to(x.dtype)

    def epsilon(self, x: Tensor, alpha: Level, sigma: Level) -> Tensor:
        """The noise eps = E[eps | x] = −sigma·∇ log p(x) at given levels; dtype and shape of x."""
        return self.posterior(x, alpha, sigma)[1].to(x.dtype)

    def posterior(self, x: Tensor, alpha: Level, sigma: Level) -> tuple[Tensor, Tensor]:
        """Both posterior means (D, eps), of x's shape, in float32 or better.

        Args:
            x: shape (batch, *event); the event has d entries.
            alpha: signal level >= 0, a number or shape (batch,).
            sigma: noise level >= 0, not 0 together with alpha.

        Raises:
            InputError: an event that does not have d entries, or levels of another length than the batch.
        """
        # Responsibilities in half precision would be noise, so low-precision states are lifted to float32.
        dtype = torch.promote_types(x.dtype, torch.float32)
        mu, c, w = (value.to(x.device, dtype) for value in (self.means, self.scales, self.weights))
        n, d = len(x), mu.shape[1]
        if math.prod(x.shape[1:]) != d:
            raise InputError(f"x has shape {tuple(x.shape)}; it must be (batch, …) with {d} entries a sample")
        a, s = (torch.as_tensor(v, dtype=dtype, device=x.device).reshape(-1, 1, 1) for v in (alpha, sigma))
        if not {len(a), len(s)} <= {1, n}:
            raise InputError(f"{len(a)} alpha and {len(s)} sigma for a batch of {n}; give one or {n} of each")
        variance = a**2 * c**2 + s**2
        gap = x.to(dtype).reshape(n, 1, d) - a * mu
        slope = gap / variance
        share = (w.log() - 0.5 * (gap * slope + variance.log()).sum(-1)).softmax(-1).unsqueeze(-1)
        denoised = (share * (mu + a * c**2 * slope)).sum(1)
        epsilon = (share * (s * slope)).sum(1)
        return denoised.reshape(x.shape), epsilon.reshape(x.shape)

    def sample_data(self, n: int, seed: int) -> Tensor:
        """As many draws of D, float64 of shape (n, d), from a CPU generator with this seed."""
        generator = torch.Generator().manual_seed(seed)
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn((n, self.means.shape[1]), generator=generator, dtype=torch.float64)
        return self.means[component] + self.scales[component] * noise

    def exact(self, x: Tensor, start: tuple[Level, Level], stop: tuple[Level, Level]) -> Tensor:
        """The sampling ODE solved for one Gaussian: x − alpha·mu scales like sqrt(alpha²·c² + sigma²).

        Args:
            x: state at `start`, shape (batch, *event).
            start: the levels (alpha, sigma) of x.
            stop: the levels to go to, in either direction.

        Returns:
            The state at `stop`, dtype and shape of x.

        Raises:
            InputError: more than one component; there `reference` integrates the ODE.
        """
        if len(self.weights) != 1:
            raise InputError(f"exact needs one component, not {len(self.weights)}; use reference instead")
        a0, s0, a1, s1 = (torch.as_tensor(level, dtype=torch.float64).reshape(-1, 1) for level in (*start, *stop))
        mu, c = self.means, self.scales
        growth = torch.sqrt((a1**2 * c**2 + s1**2) / (a0**2 * c**2 + s0**2))
        end = a1 * mu + growth * (x.cpu().to(torch.float64).reshape(len(x), -1) - a0 * mu)
        return end.reshape(x.shape).to(x.device, x.dtype)


class Posterior(Protocol):
    """What the ODE of a problem is made of."""

    def posterior(self, x: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
        """(D, eps) at a state."""
        ...


def reference(
    mixture: Posterior,
    x: Tensor,
    start: tuple[float, float],
    stop: tuple[float, float],
    rtol: float = 1e-12,
    atol: float = 1e-13,
) -> Tensor:
    """The sampling ODE integrated to high accuracy in the flow frame X = x/(alpha + sigma), dX/ds = eps − D.

    In that frame the levels are (1 − s, s) with s = sigma/(alpha + sigma), for every schedule: the posterior
    means do not change when x, alpha and sigma are scaled together. Solver: DOP853 of scipy, batch as one.

    Args:
        mixture: the problem; its schedule is not consulted.
        x: finite state at `start`, shape (batch, *event).
        start: the levels (alpha, sigma) of x.
        stop: the levels to go to, in either direction.
        rtol: relative tolerance of the solver.
        atol: absolute tolerance of the solver.

    Returns:
        The state at `stop`, float64, shape of x.

    Raises:
        InputError: scipy is missing, x is not finite, or levels whose sum is not positive.
        NotFiniteError: the integration did not reach `stop`.
    """
    try:
        solve: Any = import_module("scipy.integrate").solve_ivp
    except ImportError:
        raise InputError("reference needs scipy; install it with: pip install scipy") from None
    for pair in (start, stop):
        if not (min(pair) >= 0 and 0 < sum(pair) < math.inf):
            raise InputError(f"(alpha, sigma) = {pair}; both must be at least 0 and their sum positive")
    first, last = (sigma / (alpha + sigma) for alpha, sigma in (start, stop))

    def slope(s: float, state: np.ndarray) -> np.ndarray:
        denoised, epsilon = mixture.posterior(torch.from_numpy(state).reshape(x.shape), 1.0 - s, s)
        return (epsilon - denoised).flatten().numpy()

    begin = x.detach().cpu().to(torch.float64).flatten().numpy() / sum(start)
    if not np.isfinite(begin).all():
        raise InputError("x holds a NaN or an infinity; every entry must be finite")
    result = solve(slope, (first, last), begin, method="DOP853", rtol=rtol, atol=atol)
    if not result.success:
        raise NotFiniteError(f"the reference stopped at s = {result.t[-1]}, before {last}: {result.message}")
    return torch.from_numpy(result.y[:, -1].copy()).reshape(x.shape).to(x.device) * sum(stop)
