"""The sampler on tensors: both ways, continued, on every kind of prediction, and every refusal in words."""

from __future__ import annotations

import re
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from sampler_runs import ALL, INVERTIBLE, SD15, noise, same, toy
from torch import Tensor

from belm_runtime import AmplificationWarning, Grid, InputError, Sampler, Schedule
from belm_runtime.mixture import GaussianMixture
from belm_runtime.models import PREDICTIONS, mixing

# ---- arithmetic and shapes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (1, 4), (3, 16), (1, 3, 8, 8), (3, 2, 5), (2, 1, 3, 4, 5)])
@pytest.mark.parametrize("method", ["ddim", "o-belm", "blend:k=3", "edict"])
def test_any_shape_and_each_sample_on_its_own(method: str, shape: tuple[int, ...]) -> None:
    sampler, x = Sampler(method, SD15.grid(8)), noise(*shape)
    state = sampler.sample(toy, x)
    assert state.x.shape == shape and state.x.dtype == torch.float64 and state.nodes[0] == 0
    last = sampler.sample(toy, x[-1:])
    assert torch.allclose(last.x, state.x[-1:], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", ALL)
def test_float32_states_follow_float64(method: str) -> None:
    grid, x = SD15.grid(12), noise(2, 6)
    double = Sampler(method, grid).sample(toy, x)
    single = Sampler(method, grid, arithmetic="float32").sample(toy, x)
    assert {h.dtype for h in single.history} == {torch.float32} and {h.dtype for h in double.history} == {torch.float64}
    error = float((single.x - double.x).abs().max())
    assert 0 < error < 1e-4


@pytest.mark.parametrize("given", [torch.float16, torch.bfloat16, torch.float32])
def test_the_model_sees_states_and_times_in_the_samplers_arithmetic(given: torch.dtype) -> None:
    seen: list[tuple[Any, ...]] = []

    def model(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x.dtype, t.dtype, t.shape, t.tolist()))
        return toy(x, t).to(given)

    grid = SD15.grid(10)
    for arithmetic, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        seen.clear()
        state = Sampler("o-belm", grid, arithmetic=arithmetic).sample(model, noise(3, 4, dtype=given))
        assert state.x.dtype == dtype
        expected = [(dtype, dtype, (3,), [t] * 3) for t in grid.timesteps[:0:-1].tolist()]
        assert seen == expected


@pytest.mark.parametrize("method", ALL)
def test_predictions_of_one_model_give_one_trajectory(method: str) -> None:
    grid = Schedule.preset("ddpm").grid(15, "trailing")
    level = {float(t): (float(a), float(s)) for t, a, s in zip(grid.timesteps, grid.alpha, grid.sigma, strict=True)}

    def model(kind: str) -> Any:
        def predict(x: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = level[float(t[0])]
            eps = toy(x, t)
            data_weight, noise_weight = mixing(kind, alpha, sigma)
            return data_weight * (x - sigma * eps) / alpha + noise_weight * eps

        return predict

    ends = [Sampler(method, grid, prediction=kind).sample(model(kind), noise(2, 5)) for kind in PREDICTIONS]
    for end in ends[1:]:
        assert torch.allclose(end.x, ends[0].x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["ddim", "bdia:gamma=1"])
def test_frame_invariant_methods_sample_the_same_in_every_frame(method: str) -> None:
    grid = SD15.grid(10, "trailing", end="first")
    ends = [Sampler(method, grid, frame=frame).sample(toy, noise(2, 5)).x for frame in ("noise", "flow", "data", 0.5)]
    assert all(torch.allclose(end, ends[0], rtol=1e-11, atol=1e-11) for end in ends[1:])


# ---- calls and continuing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [None, "noise"])
@pytest.mark.parametrize("method", ALL)
def test_a_run_in_parts_is_the_run_bit_for_bit(method: str, frame: Any) -> None:
    grid, x = SD15.grid(12), noise(3, 4)
    sampler = Sampler(method, grid, frame=frame)
    whole = sampler.sample(toy, x)
    cost = 2 if method == "edict" else 1
    assert whole.calls == 12 * cost and whole.nodes[0] == 0
    for stop in range(12, -1, -1):
        part = sampler.sample(toy, x, stop=stop)
        assert part.nodes[0] == stop and part.calls == (12 - stop) * cost
        rest = sampler.sample(toy, part)
        assert same(rest, whole)
        # On entry the slopes of the k - 2 older states are evaluated again, near the noise fewer exist.
        again = 0 if method == "edict" or stop == 0 else min(sampler.method.k - 2, 12 - stop)
        assert rest.calls == stop * cost + again
    three = sampler.sample(toy, sampler.sample(toy, sampler.sample(toy, x, stop=9), stop=5))
    assert same(three, whole)


@pytest.mark.parametrize("method", INVERTIBLE)
def test_an_inversion_in_parts_is_the_inversion_bit_for_bit(method: str) -> None:
    sampler = Sampler(method, SD15.grid(12))
    state = sampler.sample(toy, noise(3, 4))
    whole = sampler.invert(toy, state)
    cost, k = (2, 1) if method == "edict" else (1, sampler.method.k)
    assert whole.nodes[0] == 12 and whole.calls == (12 - k + 1) * cost + max(k - 2, 0)
    for stop in range(max(k - 1, 1), 13):
        part = sampler.invert(toy, state, stop=stop)
        assert part.nodes[0] == stop
        assert same(sampler.invert(toy, part), whole)


def test_stopping_where_one_stands_costs_nothing() -> None:
    for method in ("open:k=4", "edict"):
        sampler = Sampler(method, SD15.grid(10))
        state = sampler.sample(toy, noise(2, 3), stop=4)
        for still in (sampler.sample(toy, state, stop=4), sampler.invert(toy, state, stop=max(state.nodes))):
            assert still.calls == 0 and sorted(still.nodes) == sorted(state.nodes)


@pytest.mark.parametrize("method", ["o-belm", "open:k=3", "edict"])
def test_known_states_can_be_handed_in(method: str) -> None:
    sampler = Sampler(method, SD15.grid(10))
    whole = sampler.sample(toy, noise(2, 3))
    part = sampler.sample(toy, noise(2, 3), stop=3)
    for order in (1, -1):
        again = sampler.state(part.history[::order] if method != "edict" else part.history, part.nodes[::order])
        assert same(sampler.sample(toy, again), whole)


def test_progress_is_told_of_every_step() -> None:
    told: list[tuple[int, int]] = []
    sampler = Sampler("open:k=3", SD15.grid(5), progress=lambda done, total: told.append((done, total)))
    state = sampler.sample(toy, noise(2, 3))
    assert told == [(n, 5) for n in range(1, 6)]
    told.clear()
    sampler.invert(toy, state)
    assert told == [(1, 3), (2, 3), (3, 3)]


# ---- there and back ----------------------------------------------------------------------------------------

GRIDS = [("sd15", "leading", 50), ("sd15", "logsnr", 10), ("ddpm", "leading", 50), ("ddpm", "karras", 20)]


@pytest.mark.parametrize(("schedule", "spacing", "steps"), GRIDS)
@pytest.mark.parametrize("method", [*INVERTIBLE, "bdia:gamma=0.5", "belm:k=3"])
def test_round_trips_keep_nine_digits_or_warn(method: str, schedule: str, spacing: str, steps: int) -> None:
    preset = Schedule.preset(schedule)
    grid = preset.grid(steps, spacing)
    model, x = GaussianMixture.random(6, 3, 1, preset), grid.noise((3, 6), seed=5)
    sampler = Sampler(method, grid)
    state, factor = sampler.sample(model, x), sampler.amplification()
    if factor > 1e5:
        words = re.escape(f"inverting {method} on this grid amplifies rounding by up to {factor:.1e} in x")
        with pytest.warns(AmplificationWarning, match=words) as caught:
            sampler.invert(model, state)
        assert caught[0].filename == __file__
        return
    back = sampler.invert(model, state)
    assert back.nodes[0] == steps
    assert float((back.x - x).abs().max()) <= 1e-9 * float(x.abs().max())
    again = sampler.sample(model, back)
    assert again.nodes[0] == 0
    assert float((again.x - state.x).abs().max()) <= 1e-9 * float(state.x.abs().max())


def test_float32_warns_with_its_own_rounding() -> None:
    sampler = Sampler("bdia:gamma=0.5", SD15.grid(30), arithmetic="float32")
    with pytest.warns(AmplificationWarning, match=r"float32: about .*; open:k=3 inverts with little"):
        sampler.invert(toy, sampler.sample(toy, noise(2, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Sampler("open:k=3", SD15.grid(30), arithmetic="float32").invert(toy, noise(2, 3))


# ---- alpha_N = 0 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ["flow", 0.5, 3, "data"])
@pytest.mark.parametrize("method", ["o-belm", "bdia:gamma=0.5", "open:k=3", "blend:k=3", "blend:k=5", "adams:m=2"])
def test_pure_noise_at_the_top_works_away_from_the_noise_frame(method: str, frame: Any) -> None:
    flow = Schedule.preset("flow")
    grid = flow.grid(16)
    if frame == "data":
        t = np.linspace(0.1, 1, 17)
        grid = Grid.from_arrays(1 - t, t, t)
    assert grid.alpha[-1] == 0
    x = grid.noise((4, 3), seed=1)
    ends = []
    for kind in ("v", "sample", "flow"):
        sampler = Sampler(method, grid, frame=frame, prediction=kind)
        model = GaussianMixture.random(3, 2, 7, flow, kind)
        ends.append(sampler.sample(model, x))
        assert torch.allclose(ends[-1].x, ends[0].x, rtol=1e-9, atol=1e-9)
        if not method.startswith(("ddim", "adams")):
            back = sampler.invert(model, ends[-1])
            assert back.nodes[0] == 16 and torch.allclose(back.x, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("o-belm", {"prediction": "v"}, "o-belm in the noise frame needs alpha > 0.*alpha_N = 0"),
        ("edict", {"prediction": "v"}, "edict:p=0.93 in the noise frame needs alpha > 0"),
        ("open:k=3", {"prediction": "flow", "frame": "noise"}, "open:k=3 in the noise frame"),
        ("open:k=3", {}, "alpha_N = 0: epsilon says nothing about the data there; predict v, sample or flow"),
    ],
)
def test_pure_noise_at_the_top_is_refused_where_it_cannot_work(method: str, options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Sampler(method, Schedule.preset("flow").grid(10), **options)


@pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")
def test_grids_of_fractions_run_on_tensors_too() -> None:
    t = [Fraction(n, 9) for n in range(9)]
    exact = Grid.from_arrays([1 - v for v in t], t, t)
    floats = Grid.from_arrays(*([float(v) for v in row] for row in (exact.alpha, exact.sigma, exact.timesteps)))
    for method in ("o-belm", "blend:k=3", "edict"):
        ends = [Sampler(method, grid).sample(toy, noise(2, 3)).x for grid in (exact, floats)]
        assert torch.allclose(*ends, rtol=1e-12, atol=1e-12)
        Sampler(method, exact).invert(toy, ends[0])
