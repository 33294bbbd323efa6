"""Errors of a sampler on problems in both directions, and what is exact about it on Gaussian data.

The relations are the sampler's own, and `belm_runtime.recurrence.march` runs them: only the states are numpy stacks.

    generation error    RMS distance of x_0 from the ODE's solution from the same x_N
    seed error          RMS distance of the noise that inversion recovers from a bare x_0 of the ODE
    gaussian error      the same two for data N(0, c²), where x is multiplied by sqrt(V_0/V_N) exactly
    local errors        what each row leaves when the exact solution for data N(0, c²) is put into it: its local-error
                        constant on the actual grid times the solution's derivative, all orders included
    growth              the largest product of step matrices with the slopes of data N(0, c²) in them: how much a
                        perturbation of the states can grow, parasitic modes included
    slope noise         RMS response of x_0 to white noise in eps, independent from call to call: what a network's
                        errors come to where they are as rough as noise
    error bound         growth · Σ |local errors|: no error on Gaussian data is larger, but for the start's
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from belm.design.problems import FloatArray, Problem
from belm_runtime.recurrence import march, way_down
from belm_runtime.sampler import Sampler
from belm_runtime.table import Table

#: Deviations of the Gaussian test problems: from finer than any step to the size of the noise.
DEVIATIONS = np.array([0.05, 0.2, 1.0])
#: What a run that overflows counts as.
LARGEST = 1e3

Predict = Callable[[Any, int], Any]


def generation_errors(sampler: Sampler, problem: Problem) -> FloatArray:
    """The RMS error at x_0 of each mixture of the stack."""
    end = _run(sampler, problem.noise, _eps(sampler, problem), downwards=True)
    return _each(end - problem.solution(*_top(sampler)))


def seed_errors(sampler: Sampler, problem: Problem) -> FloatArray:
    """The RMS error, for each mixture of the stack, of the noise recovered from x_0 alone."""
    begin = problem.solution(*_top(sampler))
    return _each(_run(sampler, begin, _eps(sampler, problem), downwards=False) - problem.noise)


def gaussian_errors(sampler: Sampler) -> tuple[FloatArray, FloatArray]:
    """Errors of generation and of the seed for data N(0, c²), c in `DEVIATIONS`, from x_N = 1 and its x_0."""
    alpha, sigma = sampler.grid.alpha, sampler.grid.sigma
    variance = (alpha[:, None] * DEVIATIONS) ** 2 + sigma[:, None] ** 2

    def predict(x: FloatArray, node: int) -> FloatArray:
        return sigma[max(node, 1)] * x / variance[max(node, 1)]

    noise = np.ones_like(DEVIATIONS)
    data = noise * np.sqrt(variance[0] / variance[-1])
    down = _run(sampler, noise, predict, downwards=True) - data
    return np.abs(down), np.abs(_run(sampler, data, predict, downwards=False) - noise)


def local_errors(sampler: Sampler) -> FloatArray:
    """x_{i-1} - Σ A x_{i-1+j} - Σ B eps_{i-1+j} on the solution x = sqrt(V), V = (alpha·c)² + sigma², rows 1 … N.

    Shape (N, deviations). Start rows are rows like the others.
    """
    A, B, alpha, sigma = _rows(sampler)
    x = np.sqrt((alpha[:, None] * DEVIATIONS) ** 2 + sigma[:, None] ** 2)
    eps = sigma[:, None] / x
    n, k = A.shape
    # Start rows are padded with weights 0: the nodes beyond N that they would name do not matter.
    nodes = np.minimum(np.arange(n)[:, None] + np.arange(1, k + 1), n)
    made = np.einsum("ij,ijc->ic", A, x[nodes]) + np.einsum("ij,ijc->ic", B, eps[nodes[:, :-1]])
    return np.asarray(x[:-1] - made)


def slope_noise(sampler: Sampler) -> FloatArray:
    """Square root of Σ_i (d x_0 / d eps_i)² on data N(0, c²), c in `DEVIATIONS`: the slopes follow x, and err."""
    _, _, alpha, sigma = _rows(sampler)
    variance = (alpha[:, None] * DEVIATIONS) ** 2 + sigma[:, None] ** 2
    nodes = np.arange(len(alpha))[:, None]

    def predict(x: FloatArray, node: int) -> FloatArray:
        return sigma[node] * x / variance[node] + (nodes == node)

    response = _run(sampler, np.zeros((len(alpha), len(DEVIATIONS))), predict, downwards=True)
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt((response**2).sum(0)))


def error_bound(sampler: Sampler, direction: str) -> float:
    """The bound growth · Σ |local errors|, the largest over `DEVIATIONS`; in inversion row i is solved for its oldest.

    Args:
        sampler: of a relation.
        direction: ``sampling`` or ``inversion``.
    """
    errors = np.abs(local_errors(sampler))
    if direction == "inversion":
        oldest = np.abs(_rows(sampler)[0][:, -1])
        main = oldest > 0
        errors = errors[main] / oldest[main, None]
    return growth(sampler, direction) * float(errors.sum(0).max())


def growth(sampler: Sampler, direction: str) -> float:
    """The largest norm in x of a product of step matrices with slopes, over `DEVIATIONS`.

    Args:
        sampler: of a relation.
        direction: ``sampling`` or ``inversion``.
    """
    A, B, alpha, sigma = _rows(sampler)
    n, k = A.shape
    rows = np.arange(n - k + 1, 0, -1)
    if not len(rows):
        return 1.0
    largest = 1.0
    for c in DEVIATIONS:
        slope = sigma / ((alpha * c) ** 2 + sigma**2)
        matrices = np.zeros((len(rows), k, k))
        matrices[:, 1:, :-1] = np.eye(k - 1)
        matrices[:, 0, :] = A[rows - 1]
        matrices[:, 0, :-1] += B[rows - 1] * slope[rows[:, None] + np.arange(k - 1)]
        if direction == "inversion":
            matrices[:] = np.linalg.inv(matrices[::-1])
        largest = max(largest, _largest_product(matrices))
    return largest


def _rows(sampler: Sampler) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(A, B, alpha, sigma) as floats."""
    table = sampler.table
    assert isinstance(table, Table)
    A, B = (np.asarray(values, dtype=float) for values in table.x_form())
    return A, B, np.asarray(table.grid.alpha, dtype=float), np.asarray(table.grid.sigma, dtype=float)


def _largest_product(matrices: FloatArray) -> float:
    products, largest = np.empty_like(matrices), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        for n, matrix in enumerate(matrices):
            products[:n] = matrix @ products[:n]
            products[n] = matrix
            largest = max(largest, float(np.abs(products[: n + 1]).sum(-1).max()))
    return largest if math.isfinite(largest) else math.inf


def _run(sampler: Sampler, x: FloatArray, predict: Predict, downwards: bool) -> FloatArray:
    """The state at the other end; a run from the data starts from x_0 alone."""
    table, steps = sampler.table, sampler.grid.steps
    assert isinstance(table, Table) and sampler.relations is not None
    if downwards:
        A, B = table.x_form()
        relations = way_down(A.tolist(), B.tolist(), steps, 0)
    else:
        relations = sampler.relations.upward(0, steps, None, approximate=not sampler.method.has_inverse)
    with np.errstate(all="ignore"):
        *_, (_, end) = march(relations, [x], [], predict, table.k)
    return np.asarray(end)


def _eps(sampler: Sampler, problem: Problem) -> Predict:
    alpha, sigma = sampler.grid.alpha.tolist(), sampler.grid.sigma.tolist()
    # A bare x_0 is inverted by calling the model at (x_0, timesteps[1]), as in `belm_runtime.start`.
    return lambda x, node: problem.epsilon(x, alpha[max(node, 1)], sigma[max(node, 1)])


def _top(sampler: Sampler) -> tuple[float, float]:
    return float(sampler.grid.alpha[-1]), float(sampler.grid.sigma[-1])


def _each(errors: FloatArray) -> FloatArray:
    """Root mean squares, one for each mixture of the stack, each at most `LARGEST`."""
    with np.errstate(all="ignore"):
        each = np.sqrt((errors**2).mean(axis=(1, 2)))
    return np.asarray(np.where(np.isfinite(each), np.minimum(each, LARGEST), LARGEST))
