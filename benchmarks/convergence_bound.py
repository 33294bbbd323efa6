"""How loose the explicit error bound is: observed error and bound on one Gaussian with a known solution.

Data N(0.3, 0.5²), the sampling ODE in the noise frame f = eps, where d eps/d xbar = sbar/(c² + sbar²) <= 1/(2c). The
default start (Adams–Bashforth) makes the k starting values; local errors come from the exact solution. Two bounds: one
with the single constant L = 1/(2c), one with the constant of each node (belm.bound).

    python benchmarks/convergence_bound.py [--schedule sd15] [--spacing trailing] [--steps 10 50 200]
"""

from __future__ import annotations

import math

import numpy as np
import torch
from _arguments import Parser, at_least

from belm.bound import ErrorBound, error_bound, local_errors
from belm_runtime import Grid, Sampler, Schedule, coefficients
from belm_runtime.mixture import GaussianMixture

MEAN, WIDTH = 0.3, 0.5
METHODS = ("ddim", "bdia:gamma=0.5", "bdia:gamma=1", "o-belm", "open:k=2", "open:k=3", "blend:k=3,theta=0.8",
           "adams:m=2")  # fmt: skip


def measure(method: str, schedule: str, spacing: str, steps: int) -> tuple[float, ErrorBound, ErrorBound]:
    """The largest error over all nodes in xbar, and the bound with one L and with one L a node."""
    torch.set_num_threads(1)
    preset = Schedule.preset(schedule)
    grid = preset.grid(steps, spacing)
    gaussian = GaussianMixture([[MEAN]], [WIDTH], [1.0], preset)
    seed = grid.noise((8, 1), seed=0).double()
    sbar = grid.sbar[:, None, None]
    gap = (seed.numpy() / grid.alpha[-1] - MEAN) * np.sqrt((WIDTH**2 + sbar**2) / (WIDTH**2 + sbar[-1] ** 2))
    states, slopes = MEAN + gap, sbar * gap / (WIDTH**2 + sbar**2)
    sampler, table = Sampler(method, grid, frame="noise"), coefficients(method, grid, frame="noise")
    state = sampler.sample(gaussian, seed, stop=max(steps - table.k + 1, 0))
    start = max(off(x, grid, states, node) for x, node in zip(state.history, state.nodes, strict=True))
    worst = start
    for node in range(steps - table.k, -1, -1):
        state = sampler.sample(gaussian, state, stop=node)
        worst = max(worst, off(state.x, grid, states, node))
    tau = local_errors(table, states, slopes)
    each = (grid.sbar / (WIDTH**2 + grid.sbar**2)).tolist()
    one, sharp = (error_bound(method, grid, L, tau, start, frame="noise") for L in (1 / (2 * WIDTH), each))
    return worst, one, sharp


def off(x: torch.Tensor, grid: Grid, states: np.ndarray, node: int) -> float:
    """The error of a state x at a node, in xbar."""
    return float(np.abs(x.numpy() / grid.alpha[node] - states[node]).max())


def power(log10: float) -> str:
    """A number by its logarithm, which may lie beyond floats."""
    return f"{10**log10:.1e}" if abs(log10) < 300 else f"10^{log10:.0f}"


def main() -> None:
    """Print the table."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--schedule", default="sd15")
    parser.add_argument("--spacing", default="trailing")
    parser.add_argument("--steps", type=at_least(1), nargs="+", default=[10, 50, 200])
    options = parser.parse_args()
    print(f"{options.schedule}, {options.spacing}; errors in xbar, largest over all nodes\n")
    print("| method | N | K | error | bound, L of each node | ratio | bound, L = 1/(2c) | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for method in METHODS:
        for steps in options.steps:
            error, one, sharp = measure(method, options.schedule, options.spacing, steps)
            assert error <= sharp.value <= one.value
            columns = [f"{error:.1e}"]
            for bound in (sharp, one):
                columns += [power(bound.log10), power(bound.log10 - math.log10(error))]
            print(f"| {method} | {steps} | {float(sharp.constant):.3g} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
