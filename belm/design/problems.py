"""Training problems: stacks of Gaussian mixtures, whose perfect network is known, evaluated all at once.

Kinds, since real data is none of them: few components with deviations of every size, alike in no two directions; few
round components, in a plane, in eight and in 32 dimensions; and clouds, many narrow components on a curved sheet,
which is what a finite data set looks like to its diffusion model. Each kind stands once by itself and once under
guidance: a part of the components is the wanted class, and eps = eps_all + w·(eps_class - eps_all).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
#: The log-weight of a component that does not belong to the wanted class.
_EXCLUDED = -60.0
#: The size of the flaws: two percent of eps.
FLAW = 0.02


@dataclass(frozen=True, eq=False)
class Flaw:
    """What a trained network adds to the perfect one: a small error that is rough in x and in time.

    A sum of waves, size·√(2/J)·Σ_j c_j cos(omega_j·x + nu_j·log sbar + phi_j): of root mean square `size`. The flawed
    field is what the problem's solution follows, as samples of a network follow the network.

    Attributes:
        size: root mean square of an entry, against 1 for eps itself.
        directions: c, shape (J, d), entries of variance 1.
        waves: omega, shape (J, d).
        rates: nu, shape (J,).
        phases: phi, shape (J,).
    """

    size: float
    directions: FloatArray
    waves: FloatArray
    rates: FloatArray
    phases: FloatArray

    @classmethod
    def drawn(cls, draw: np.random.Generator, size: float, dimension: int, count: int = 16) -> Flaw:
        """A flaw with |omega| about 2 and nu about 2: one wave a unit of x and of log sbar."""
        shape = (count, dimension)
        waves = 2 * draw.standard_normal(shape) / np.sqrt(dimension)
        rates, phases = 2 * draw.standard_normal(count), draw.uniform(0, 2 * np.pi, count)
        return cls(size, draw.standard_normal(shape), waves, rates, phases)

    def __call__(self, x: FloatArray, alpha: float, sigma: float) -> FloatArray:
        """The error at x of shape (…, d)."""
        # At sigma = 0 time stands still: the waves are bounded, so any finite logarithm will do.
        time = np.log(max(sigma / alpha, 1e-3))
        waves = np.cos(x @ self.waves.T + (self.rates * time + self.phases))
        return np.asarray(self.size * np.sqrt(2 / len(self.rates)) * (waves @ self.directions))


@dataclass(frozen=True, eq=False)
class Problem:
    """A stack of mixtures of one shape, with noise to start from.

    Attributes:
        name: the kind and the guidance.
        means: mu, shape (stack, components, d).
        scales: c > 0, shape (stack, components, d).
        weights: w, shape (stack, components), each row summing to 1.
        wanted: which components are the wanted class, shape (components,).
        guidance: w; at 1 there is no class and no guidance.
        noise: z, standard normal, shape (stack, batch, d); x_N = z on a variance-preserving schedule.
        flaw: what is added to eps, a function of x and log(sigma/alpha), or None: see `Flaw`.
    """

    name: str
    means: FloatArray
    scales: FloatArray
    weights: FloatArray
    wanted: NDArray[np.bool_]
    guidance: float
    noise: FloatArray
    flaw: Flaw | None = None
    _solved: dict[float, FloatArray] = field(default_factory=dict, repr=False)

    def epsilon(self, x: FloatArray, alpha: float, sigma: float) -> FloatArray:
        """The noise E[eps | x] at levels (alpha, sigma), sigma > 0, guided; shape of x."""
        variance = (alpha * self.scales[:, None]) ** 2 + sigma**2
        gap = x[:, :, None, :] - alpha * self.means[:, None]
        slope = gap / variance
        logs = np.log(self.weights)[:, None] - 0.5 * ((gap * slope).sum(-1) + np.log(variance).sum(-1))
        found = _mean(logs, sigma * slope)
        if self.guidance != 1:
            chosen = _mean(logs + np.where(self.wanted, 0.0, _EXCLUDED), sigma * slope)
            found = found + self.guidance * (chosen - found)
        return found if self.flaw is None else found + self.flaw(x, alpha, sigma)

    def solution(self, alpha: float, sigma: float) -> FloatArray:
        """x_0 of the ODE from x = noise at levels (alpha, sigma), to about 1e-7; kept for the next call.

        Integrated by DOP853 in the flow frame, as in `belm_runtime.mixture.reference`.
        """
        from scipy.integrate import solve_ivp

        key = sigma / alpha
        if key not in self._solved:
            shape = self.noise.shape

            def slope(s: float, flat: FloatArray) -> FloatArray:
                x = flat.reshape(shape)
                eps = self.epsilon(x, 1 - s, s)
                return (eps - (x - s * eps) / (1 - s)).ravel()

            span = (sigma / (alpha + sigma), 0.0)
            # sigma = 0 itself is never evaluated: the last stage lies at the end, where eps is 0/1 and finite.
            found = solve_ivp(slope, span, self.noise.ravel() / (alpha + sigma), method="DOP853", rtol=1e-8, atol=1e-9)
            if not found.success:
                raise ArithmeticError(f"{self.name}: the reference stopped at s = {found.t[-1]}: {found.message}")
            self._solved[key] = found.y[:, -1].reshape(shape)
        return self._solved[key]


def _mean(logs: FloatArray, values: FloatArray) -> FloatArray:
    share = np.exp(logs - logs.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    return np.asarray((share[..., None] * values).sum(2))


def training(seed: int, *, guidance: tuple[float, ...] = (1.0, 3.0), batch: int = 8) -> tuple[Problem, ...]:
    """The training family, a function of the seed alone."""
    return tuple(_family(np.random.default_rng([seed, 20241]), guidance, batch))


def _family(draw: np.random.Generator, guidance: tuple[float, ...], batch: int) -> Iterator[Problem]:
    kinds = {"uneven": _uneven(draw, 3, 4, 4), "round": _round(draw, 3, 3, 8), "cloud": _cloud(draw, 3, 24, 8),
             "plane": _round(draw, 4, 3, 2), "high": _round(draw, 3, 6, 32)}  # fmt: skip
    for name, (means, scales, weights) in kinds.items():
        stack, components, dimension = means.shape
        noise = draw.standard_normal((stack, batch, dimension))
        wanted = np.arange(components) < max(components // 4, 1)
        flaw = Flaw.drawn(draw, FLAW, dimension)
        for weight in guidance:
            problem = Problem(f"{name}, guidance {weight:g}", means, scales, weights, wanted, weight, noise)
            yield problem
            yield replace(problem, name=f"flawed {problem.name}", flaw=flaw, _solved={})


def _uneven(draw: np.random.Generator, *shape: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    means = draw.standard_normal(shape) * draw.uniform(0.3, 1, (shape[0], *shape[1:]))
    return means, 10 ** draw.uniform(np.log10(0.03), 0, shape), draw.dirichlet(np.ones(shape[1]), shape[0])


def _round(draw: np.random.Generator, *shape: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    scales = np.broadcast_to(10 ** draw.uniform(-1, 0, (*shape[:2], 1)), shape)
    return draw.standard_normal(shape), scales, draw.dirichlet(np.ones(shape[1]), shape[0])


def _cloud(draw: np.random.Generator, *shape: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    stack, components, dimension = shape
    sheet = draw.standard_normal((stack, components, 3)) @ draw.standard_normal((stack, 3, dimension))
    scales = np.broadcast_to(np.geomspace(0.05, 0.15, stack)[:, None, None], shape)
    return np.tanh(sheet), scales, np.full(shape[:2], 1 / components)
