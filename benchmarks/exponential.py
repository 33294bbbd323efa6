"""Exponential variants: slopes interpolated in log(sigma/alpha + c) instead of the frame's own coordinate s.

    python benchmarks/exponential.py

c = 0 are the methods exp-…, whose weights are derived (in the frames 0 < q < oo for k <= 3); c > 0 stays finite at the
data, where log sbar does not. There, and where no derived weights exist, the integrals ∫ P(tau(s)) ds of the Lagrange
polynomials P are taken by Gauss and Legendre's rule with 12 points a step (after s = h·u³ in the step that ends at
sigma = 0). Where both exist they are compared, and have to agree to four digits. Ratios to the plain coordinate on the
training problems, perfect and flawed, on two grids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from belm.design import measure
from belm.design.judge import settings
from belm.design.problems import training
from belm_runtime import Sampler
from belm_runtime.errors import InputError
from belm_runtime.table import Table

#: Names of the variants and their tau, a function of sbar; None is the frame's own coordinate.
VARIANTS: dict[str, Callable[[np.ndarray], np.ndarray] | None] = {
    "s": None,
    "log sbar": lambda sbar: np.log(np.maximum(sbar, 1e-12)),
    "log(sbar + 0.03)": lambda sbar: np.log(sbar + 0.03),
    "log(sbar + 0.2)": lambda sbar: np.log(sbar + 0.2),
}
METHODS = ("adams:m=2", "blend:k=3,theta=0.7", "adams:m=3", "echo:k=4,theta=0.729")
#: The variant whose weights are derived, and how far quadrature may be from them, relative to a row's largest.
DERIVED, CLOSE = "log sbar", 1e-4
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(12)


def table_of(sampler: Sampler) -> Table:
    """The table of a relation."""
    assert isinstance(sampler.table, Table)
    return sampler.table


def variant(sampler: Sampler, name: str) -> Sampler:
    """The sampler with slopes in another coordinate: the derived method where there is one, else by quadrature."""
    tau = VARIANTS[name]
    if tau is None:
        return sampler
    found = by_quadrature(sampler, tau)
    if name != DERIVED:
        return found
    try:
        derived = Sampler(f"exp-{sampler.method}", sampler.grid, frame=sampler.frame)
    except InputError:
        return found  # dilogarithms
    right = table_of(derived).b
    gap = np.abs(right - table_of(found).b).max(1) / np.abs(right).max(1)
    assert gap.max() < CLOSE, f"{derived.method} in the frame {sampler.frame}: quadrature is {gap.max():.1e} off"
    return derived


def by_quadrature(sampler: Sampler, tau: Callable[[np.ndarray], np.ndarray]) -> Sampler:
    """The sampler with the slope weights of interpolation in tau; the weights a stay."""
    table, q = table_of(sampler), float(sampler.frame.q or 0)
    n, k = table.a.shape
    s = sampler.frame.coordinate(table.grid.alpha, table.grid.sigma)
    lower, step = s[:-1, None], np.diff(s)[:, None]
    u = (POINTS + 1) / 2
    places, weights = lower + step * u, step * WEIGHTS / 2
    places[0], weights[0] = s[1] * u**3, s[1] * 3 * u**2 * WEIGHTS / 2
    at_points, at_nodes = tau(places / (1 - q * places)), tau(s / (1 - q * s))
    b = np.zeros_like(table.b)
    for i in range(1, n + 1):
        # A step is in the integral to X_{i-1} of every state that lies beyond it.
        beyond = np.cumsum(table.a[i - 1][::-1])[::-1]
        count = np.count_nonzero(table.b[i - 1])
        nodes = at_nodes[i : i + count]
        for j in range(count):
            others = np.delete(nodes, j)
            total = sum(
                beyond[m] * (weights[i - 1 + m] * _lagrange(at_points[i - 1 + m], nodes[j], others)).sum()
                for m in range(min(k, n - i + 1))
            )
            b[i - 1, j] = -total / table.h[i - 1 + j]
    changed = Sampler(sampler.method, table.grid, frame=sampler.frame)
    changed.table = replace(table, b=b)
    return changed


def _lagrange(x: np.ndarray, node: float, others: np.ndarray) -> np.ndarray:
    return np.asarray(np.prod([(x - other) / (node - other) for other in others], axis=0) * np.ones_like(x))


def main() -> None:
    """Print the ratios to the plain coordinate."""
    problems = training(0)
    kinds = [bool(problem.flaw) for problem in problems]
    print("| method | frame | grid | tau | perfect | flawed |\n|---|---|---|---|---|---|")
    for method in METHODS:
        for frame in ("flow", "noise", 5):
            for spacing in ("leading", "designed"):
                base = None
                for name in VARIANTS:
                    logs = []
                    for schedule, steps in settings():
                        used = variant(Sampler(method, schedule.grid(steps, spacing), frame=frame), name)
                        logs.append([np.log(measure.generation_errors(used, problem)).mean() for problem in problems])
                    mean = np.array(logs).mean(0)
                    base = mean if base is None else base
                    perfect, flawed = (np.exp((mean - base)[np.array(kinds) == kind].mean()) for kind in (False, True))
                    print(f"| {method} | {frame} | {spacing} | {name} | {perfect:.2f} | {flawed:.2f} |", flush=True)


if __name__ == "__main__":
    main()
