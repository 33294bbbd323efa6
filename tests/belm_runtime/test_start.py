"""Starting an inversion from a bare x_0: exact on polynomials, DDIM at order 1, consistent with the rows after."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from belm_runtime import Grid, InputError, Sampler, Schedule, coefficients
from belm_runtime.frame import Frame
from belm_runtime.models import PREDICTIONS, mixing
from belm_runtime.start import upward_start

FRAMES: list[Any] = ["noise", "flow", "data", Fraction(1, 2)]
levels = st.fractions(Fraction(1, 7), 3, max_denominator=7)


@st.composite
def rational_grids(draw: st.DrawFn) -> Grid:
    alpha = draw(st.lists(levels, min_size=7, max_size=7))
    sbar = np.cumsum(draw(st.lists(levels, min_size=7, max_size=7)))
    return Grid.from_arrays(alpha, [a * s for a, s in zip(alpha, sbar, strict=True)], range(7))


def prediction_for(kind: str, frame: Frame, grid: Grid, i: int, x: Fraction, f: Fraction) -> Fraction:
    """The prediction at node i that stands for the slope f; at node 0 it is read as node 1's network would mean it."""
    alpha, sigma = grid.alpha[i], grid.sigma[i]
    # f = eps - q·D (D itself in the data frame), and x = alpha·D + sigma·eps.
    eps = (x - alpha * f) / sigma if frame.q is None else (alpha * f + frame.q * x) / (alpha + frame.q * sigma)
    alpha, sigma = grid.alpha[max(i, 1)], grid.sigma[max(i, 1)]
    data_weight, noise_weight = (Fraction(c) for c in mixing(kind, alpha, sigma))
    return data_weight * (x - sigma * eps) / alpha + noise_weight * eps


@given(grid=rational_grids())
@settings(max_examples=8)
@pytest.mark.parametrize(("first", "order"), [(0, 1), (0, 2), (0, 3), (0, 4), (2, 3)])
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_each_step_is_exact_for_polynomials_below_its_order(kind: str, first: int, order: int, grid: Grid) -> None:
    for frame in map(Frame.parse, FRAMES):
        table = coefficients("open:k=3", grid, frame=frame)
        s, w = frame.coordinate(grid.alpha, grid.sigma), frame.weight(grid.alpha, grid.sigma)
        for m, step in enumerate(upward_start(table, kind, 6, order, first), first):
            rising = min(m + 1 - first, order)
            assert (step.node, step.target, len(step.states), len(step.slopes)) == (m, m + 1, rising, rising)
            for degree in range(rising):
                x, f = w * s ** (degree + 1), (degree + 1) * s**degree
                known = range(m, m - rising, -1)
                p = [prediction_for(kind, frame, grid, i, x[i], f[i]) for i in known]
                made = sum(c * x[i] for c, i in zip(step.states, known, strict=True))
                assert made + sum(c * v for c, v in zip(step.slopes, p, strict=True)) == x[m + 1]


@given(grid=rational_grids(), x=levels, eps=levels)
@settings(max_examples=10)
def test_the_first_step_is_ddim_inversion_in_every_frame(grid: Grid, x: Fraction, eps: Fraction) -> None:
    (a0, a1), (s0, s1) = grid.alpha[:2], grid.sigma[:2]
    for frame in FRAMES:
        (step,) = upward_start(coefficients("open:k=3", grid, frame=frame), "epsilon", 1, 2)
        assert step.states[0] * x + step.slopes[0] * eps == a1 / a0 * x + (s1 - a1 / a0 * s0) * eps


# ---- through the sampler -----------------------------------------------------------------------------------


class Recorder:
    """A smooth network that remembers its timesteps."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.times.append(float(t[0]))
        return torch.tanh(x + t.reshape(-1, *(1,) * (x.ndim - 1)) / 1000)


def picture(seed: int = 0) -> Tensor:
    return torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "karras"])
@pytest.mark.parametrize("frame", ["noise", "flow", 2])
def test_approximate_ddim_is_the_classical_loop(spacing: str, frame: Any) -> None:
    grid, model = Schedule.preset("sd15").grid(20, spacing), Recorder()
    found = Sampler("ddim", grid, frame=frame).invert(model, picture(), approximate=True)
    expected = [grid.timesteps[max(m, 1)] for m in range(20)]
    assert model.times == expected and found.calls == 20 and found.nodes == (20,)
    x = picture()
    for m in range(20):
        eps = model(x, torch.full((3,), expected[m], dtype=torch.float64))
        x = float(grid.alpha[m + 1]) * (x / float(grid.alpha[m]) + float(grid.sbar[m + 1] - grid.sbar[m]) * eps)
    assert torch.allclose(found.x, x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["open:k=2", "open:k=4", "blend:k=3", "o-belm", "adams:m=3"])
def test_approximate_inversion_is_adams_bashforth_of_the_methods_order(method: str) -> None:
    grid = Schedule.preset("ddpm").grid(12)
    sampler = Sampler(method, grid, frame="flow")
    order = sampler.method.k - 1
    like = Sampler(f"adams:m={order}", grid, frame="flow")
    one, other = (s.invert(Recorder(), picture(), approximate=True) for s in (sampler, like))
    assert torch.equal(one.x, other.x) and one.calls == 12


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_exact_inversion_of_bare_data_starts_with_the_rising_orders_too(k: int) -> None:
    grid, model = Schedule.preset("sd15").grid(20), Recorder()
    start = Sampler(f"adams:m={k - 1}", grid).invert(model, picture(), stop=k - 1, approximate=True)
    exact = Sampler(f"open:k={k}", grid).invert(model, picture(), stop=k - 1)
    assert exact.nodes == tuple(range(k - 1, -1, -1)) and torch.equal(exact.x, start.x)


@pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")
@pytest.mark.parametrize("method", ["o-belm", "open:k=3", "open:k=5", "blend:k=3", "edict"])
def test_inversion_of_bare_data_obeys_the_rows_it_inverts(method: str) -> None:
    """Sampling from the State it returns gives x_0 back, although the seed itself is approximate."""
    sampler = Sampler(method, Schedule.preset("sd15").grid(20))
    back = sampler.invert(Recorder(), picture())
    assert back.nodes[0] == 20 and back.calls == (40 if method == "edict" else 20)
    again = sampler.sample(Recorder(), back)
    assert float((again.x - picture()).abs().max()) < 1e-10


def test_stopping_inside_the_start() -> None:
    model = Recorder()
    grid = Schedule.preset("sd15").grid(20)
    state = Sampler("open:k=5", grid).invert(model, picture(), stop=2)
    assert state.nodes == (2, 1, 0) and state.calls == 2 and model.times == [grid.timesteps[1]] * 2
    assert torch.equal(state.history[2], picture())
    same = Sampler("open:k=5", grid).invert(model, picture(), stop=0)
    assert same.nodes == (0,) and same.calls == 0 and torch.equal(same.x, picture())


def test_grids_shorter_than_the_method_are_start_rows_only() -> None:
    for steps in (1, 2, 3, 4):
        sampler = Sampler("open:k=5", Schedule.preset("sd15").grid(steps))
        assert sampler.sample(Recorder(), picture()).nodes[0] == 0
        assert sampler.invert(Recorder(), picture()).nodes[0] == steps
        with pytest.raises(InputError, match=r"needs the last 5 states; this state holds .*fewer than 5 steps"):
            sampler.invert(Recorder(), sampler.sample(Recorder(), picture()))


def test_what_approximate_does_not_go_with() -> None:
    grid = Schedule.preset("sd15").grid(10)
    with pytest.raises(InputError, match=r"edict:p=0.93 has no approximate inversion"):
        Sampler("edict", grid).invert(Recorder(), picture(), approximate=True)
    sampler = Sampler("ddim", grid)
    with pytest.raises(InputError, match="approximate inversion starts from a bare x_0"):
        sampler.invert(Recorder(), sampler.sample(Recorder(), picture()), approximate=True)
