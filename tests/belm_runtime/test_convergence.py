"""Observed orders on a Gaussian with a known solution, on the smooth grid t_i = S(i/N), S' > 0, of the flow.

From exact starting values the global order is the catalogue's `order_smooth`. The default start makes its first step
with Euler, whose local error is O(h²); in a zero-stable method it stays O(h²) down to the data, so the global order is
min(order_smooth, 2), whatever the later start rows do. An inversion from a bare x_0 starts with an Euler step upward,
with the slope taken at (x_0, t_1) instead of (x_0, t_0), an error of O(h) in the slope and so O(h²) in the state: the
same cap.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from belm_runtime import Grid, Sampler, Schedule, methods
from belm_runtime.mixture import GaussianMixture, reference

GAUSSIAN = GaussianMixture([[0.7, -0.4]], [[0.5, 0.8]], [1.0], Schedule.preset("flow"))
NOISE = torch.tensor([[1.0, -0.6], [-0.3, 0.9]], dtype=torch.float64)
STABLE = [fact for fact in methods.catalogue() if fact["sampling"][0] != "refuted"]
NEUTRAL = [f"open:k={k}" for k in (2, 3, 4, 5)]


def grid(n: int, top: float = 0.8) -> Grid:
    """t = S(i/n) from 0.2 to `top` with S'(0) : S'(1) = 0.7 : 1.3, away from both singular ends."""
    u = np.linspace(0, 1, n + 1)
    t = 0.2 + (top - 0.2) * (u + 0.3 * u * (u - 1))
    return Grid.from_arrays(1 - t, t, t)


def levels(nodes: Grid, i: int) -> tuple[float, float]:
    return float(nodes.alpha[i]), float(nodes.sigma[i])


def exact(nodes: Grid, i: int) -> Tensor:
    return GAUSSIAN.exact(NOISE, levels(nodes, -1), levels(nodes, i))


def started(sampler: Sampler) -> Any:
    """The k exact states at the noise end; EDICT's registers both start there by definition."""
    if sampler.method.stages:
        return NOISE
    n, k = sampler.grid.steps, sampler.method.k
    nodes = range(n - k + 1, n + 1)
    return sampler.state([exact(sampler.grid, i) for i in nodes], nodes)


def slope(steps: list[int], errors: list[float]) -> float:
    """The exponent p of errors ~ N^-p, by least squares."""
    return -float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def sampling_error(method: str, n: int, known: bool, top: float = 0.8, **options: Any) -> float:
    sampler = Sampler(method, grid(n, top), **options)
    state = sampler.sample(GAUSSIAN, started(sampler) if known else NOISE)
    return float((state.x - exact(sampler.grid, 0)).abs().max())


@pytest.mark.parametrize("fact", STABLE, ids=lambda fact: fact["method"])
def test_order_from_exact_starting_values(fact: dict[str, Any]) -> None:
    steps = [120, 170, 240]
    order = slope(steps, [sampling_error(fact["method"], n, known=True) for n in steps])
    assert order == pytest.approx(fact["order_smooth"], abs=0.1)


@pytest.mark.parametrize("start", ["adams", "ddim"])
@pytest.mark.parametrize("fact", STABLE, ids=lambda fact: fact["method"])
def test_order_from_the_start_rows(fact: dict[str, Any], start: str) -> None:
    # Multiples of every k: the roots of unity of the open methods come round in step.
    steps = [180, 360]
    order = slope(steps, [sampling_error(fact["method"], n, known=False, start=start) for n in steps])
    assert order == pytest.approx(min(fact["order_smooth"], 2), abs=0.1)


def test_first_and_second_order_as_the_paper_and_the_theory_have_them() -> None:
    named = {fact["method"]: fact["order_smooth"] for fact in STABLE}
    assert (named["edict:p=0.93"], named["bdia:gamma=0.5"], named["bdia:gamma=1"], named["o-belm"]) == (1, 1, 2, 2)


@pytest.mark.parametrize("frame", ["noise", "flow", "data", 0.5, 3])
@pytest.mark.parametrize(("method", "order"), [("blend:k=3", 2), ("open:k=4", 4), ("o-belm", 2), ("adams:m=3", 3)])
def test_order_does_not_depend_on_the_frame(method: str, order: int, frame: Any) -> None:
    # Up to t = 0.5 only: in the noise frame sbar = t/(1 - t) bends away, and order 4 shows later and later.
    steps = [200, 400]
    errors = [sampling_error(method, n, known=True, top=0.5, frame=frame) for n in steps]
    assert slope(steps, errors) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("method", ["blend:k=3", "open:k=3", "o-belm", "adams:m=2"])
def test_second_order_on_a_mixture_of_two(method: str) -> None:
    mixture = GaussianMixture([[0.8], [-0.6]], [0.4, 0.3], [1, 2], Schedule.preset("flow"))
    x = torch.tensor([[0.2], [-0.7], [1.1]], dtype=torch.float64)
    end = reference(mixture, x, levels(grid(9), -1), levels(grid(9), 0))
    steps = [150, 300]
    errors = [float((Sampler(method, grid(n)).sample(mixture, x).x - end).abs().max()) for n in steps]
    assert slope(steps, errors) == pytest.approx(2, abs=0.1)


def test_maximal_order_three_step_belm_is_consistent_and_diverges() -> None:
    def one_step(n: int) -> float:
        sampler = Sampler("belm:k=3", grid(n, top=0.5))
        made = sampler.sample(GAUSSIAN, started(sampler), stop=n - 3).x
        return float((made - exact(sampler.grid, n - 3)).abs().max())

    (order,) = (fact["order"] for fact in methods.catalogue() if fact["method"] == "belm:k=3")
    assert order == 4
    assert slope([192, 384], [one_step(n) for n in (192, 384)]) == pytest.approx(order + 1, abs=0.1)
    errors = [sampling_error("belm:k=3", n, known=True) for n in (10, 20, 40)]
    assert errors[0] > 1 and errors[1] > 1e6 * errors[0] and errors[2] > 1e12 * errors[1]
    # Each further step multiplies by about the parasitic root of the uniform grid, 5 + 2·sqrt(6).
    growth = (errors[2] / errors[1]) ** (1 / 20)
    assert growth == pytest.approx(5 + 2 * math.sqrt(6), rel=0.25)


@pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")
@pytest.mark.parametrize("method", [*NEUTRAL, "o-belm", "bdia:gamma=1"])
def test_inversion_from_bare_data_recovers_the_seed_with_order_two(method: str) -> None:
    steps = [120, 240]
    errors = [inversion_error(method, n) for n in steps]
    assert slope(steps, errors) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(("method", "order"), [("ddim", 1), ("adams:m=2", 2), ("blend:k=3", 2)])
def test_order_of_approximate_inversion(method: str, order: int) -> None:
    steps = [120, 240]
    errors = [inversion_error(method, n, approximate=True) for n in steps]
    assert slope(steps, errors) == pytest.approx(order, abs=0.1)


def test_damped_methods_lose_the_seed_of_a_bare_sample_as_fast_as_their_roots_say() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = [inversion_error("blend:k=3", n) for n in (60, 120)]
    # Parasitic roots of modulus sqrt(4/5): the start's error grows like 0.8^(-N/2).
    assert math.log(errors[1] / errors[0]) == pytest.approx(30 * math.log(1.25), rel=0.25)


def inversion_error(method: str, n: int, **options: Any) -> float:
    nodes = grid(n)
    back = Sampler(method, nodes).invert(GAUSSIAN, exact(nodes, 0), **options)
    return float((back.x - NOISE).abs().max())
