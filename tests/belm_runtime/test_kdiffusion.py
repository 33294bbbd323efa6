"""The k-diffusion door against its own samplers, written again from their formulas, and against known answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from belm_runtime import AmplificationWarning, InputError, NotFiniteError, Sampler, Schedule, State
from belm_runtime.kdiffusion import invert_belm, sample_belm
from belm_runtime.mixture import GaussianMixture, reference

F64 = torch.float64


class Exploding:
    """alpha = 1, sigma = t."""

    def alpha_sigma(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones_like(t), t


MIXTURE = GaussianMixture.random(3, 4, 0, Exploding(), "sample")
SINGLE = GaussianMixture([[0.5, -1.0, 2.0]], [[0.3, 1.0, 0.1]], [1.0], Exploding(), "sample")


def karras(n: int, dtype: torch.dtype = F64, low: float = 0.03) -> Tensor:
    """sigma_max = 10 … sigma_min = low uniformly in sigma^(1/7), and 0."""
    ramp = torch.linspace(10 ** (1 / 7), low ** (1 / 7), n, dtype=F64) ** 7
    return torch.cat([ramp, torch.zeros(1)]).to(dtype)


def start(sigmas: Tensor, *shape: int) -> Tensor:
    draw = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=F64)
    return (draw * sigmas[0]).to(sigmas.dtype)


def denoise(x: Tensor, sigma: Tensor) -> Tensor:
    return MIXTURE.denoised(x, 1.0, sigma)


# ---- the published samplers ----------------------------------------------------------------------------------


def euler(model: Callable[..., Tensor], x: Tensor, sigmas: Tensor) -> Tensor:
    """Euler's method on dx/dsigma = (x − D)/sigma."""
    for sigma, following in pairwise(sigmas):
        slope = (x - model(x, sigma.expand(len(x)))) / sigma
        x = x + (following - sigma) * slope
    return x


def lms(model: Callable[..., Tensor], x: Tensor, sigmas: Tensor, order: int) -> Tensor:
    """Linear multistep: the integral of the polynomial in sigma through the last slopes."""
    levels, slopes = sigmas.tolist(), list[Tensor]()
    for i in range(len(levels) - 1):
        slopes.insert(0, (x - model(x, sigmas[i].expand(len(x)))) / levels[i])
        del slopes[order:]
        nodes = levels[i::-1][: len(slopes)]
        for node, slope in zip(nodes, slopes, strict=True):
            basis = np.polynomial.Polynomial([1.0])
            for other in (other for other in nodes if other != node):
                basis *= np.polynomial.Polynomial([-other, 1.0]) / (node - other)
            area = basis.integ()
            x = x + (area(levels[i + 1]) - area(levels[i])) * slope
    return x


def dpmpp_2m(model: Callable[..., Tensor], x: Tensor, sigmas: Tensor) -> Tensor:
    """DPM-Solver++(2M), arXiv 2211.01095, algorithm 2, for alpha = 1 and lambda = −log sigma."""
    older: Tensor | None = None
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i].expand(len(x)))
        ratio = sigmas[i + 1] / sigmas[i]
        mixed = denoised
        if older is not None and ratio > 0:
            r = torch.log(sigmas[i - 1] / sigmas[i]) / -torch.log(ratio)
            mixed = (1 + 1 / (2 * r)) * denoised - older / (2 * r)
        x, older = ratio * x + (1 - ratio) * mixed, denoised
    return x


@pytest.mark.parametrize("frame", [None, "noise", "flow", 2.5])
@pytest.mark.parametrize("last", [0.0, 0.02])
def test_ddim_is_eulers_method(frame: Any, last: float) -> None:
    sigmas = karras(12)
    sigmas[-1] = last
    x = start(sigmas, 4, 3)
    ours = sample_belm(denoise, x, sigmas, disable=True, method="ddim", frame=frame)
    torch.testing.assert_close(ours, euler(denoise, x, sigmas), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_adams_is_the_linear_multistep_sampler(order: int) -> None:
    sigmas = karras(15)
    x = start(sigmas, 4, 3)
    ours = sample_belm(denoise, x, sigmas, disable=True, method=f"adams:m={order}", frame="noise")
    torch.testing.assert_close(ours, lms(denoise, x, sigmas, order), rtol=1e-11, atol=1e-11)


def test_errors_fall_as_those_of_dpm_solver_do() -> None:
    """One Gaussian has a closed form; sigmas end above 0, since the step of DPM-Solver++(2M) to 0 is of first order."""

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        return SINGLE.denoised(x, 1.0, sigma)

    errors: dict[str, list[float]] = {}
    for n in (41, 81):
        sigmas = karras(n)[:-1]
        x = start(sigmas, 5, 3)
        truth = SINGLE.exact(x, (1.0, float(sigmas[0])), (1.0, float(sigmas[-1])))
        names = ("ddim", "adams:m=2", "open:k=3", "o-belm")
        found = {name: sample_belm(model, x, sigmas, disable=True, method=name) for name in names}
        found["dpmpp_2m"] = dpmpp_2m(model, x, sigmas)
        for name, value in found.items():
            errors.setdefault(name, []).append(float((value - truth).square().mean().sqrt()))
    orders = {name: math.log2(one / two) for name, (one, two) in errors.items()}
    assert 0.8 < orders.pop("ddim") < 1.2 and min(orders.values()) > 1.7, orders
    assert max(error[1] for name, error in errors.items() if name != "ddim") < 1e-3 < errors["ddim"][1], errors


def test_many_steps_reach_the_reference_solution() -> None:
    sigmas = karras(400)
    sigmas[-1] = 0.01
    x = start(sigmas, 2, 3)
    truth = reference(MIXTURE, x, (1.0, float(sigmas[0])), (1.0, 0.01))
    ours = sample_belm(denoise, x, sigmas, disable=True, method="blend:k=3")
    assert (ours - truth).abs().max() < 1e-3 < (euler(denoise, x, sigmas) - truth).abs().max()


# ---- the flow dressed as a denoiser ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ddim", "open:k=3", "blend:k=3", "bdia:gamma=0.5", "o-belm"])
def test_the_noise_frame_on_sigmas_is_the_flow_frame_on_the_flow(method: str) -> None:
    flow = GaussianMixture.random(3, 4, 1, Schedule.preset("flow"), "flow")
    grid = Schedule.preset("flow:shift=3").grid(12)
    noise = grid.noise((4, 3), seed=0)
    state = Sampler(method, grid, frame="flow", prediction="flow").sample(flow, noise)

    def dressed(x: Tensor, sigma: Tensor) -> Tensor:
        return x - sigma[:, None] * flow(x, sigma)

    sigmas = torch.from_numpy(grid.sigma[::-1].copy())
    ours = sample_belm(dressed, noise, sigmas, disable=True, method=method, frame="noise")
    torch.testing.assert_close(ours, state.x, rtol=0, atol=1e-11)


# ---- there and back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["blend:k=3", "open:k=4", "bdia:gamma=1", "edict"])
def test_a_state_leads_back_and_there_again(method: str) -> None:
    sigmas, states = karras(14), list[State]()
    x = start(sigmas, 4, 3)
    options: dict[str, Any] = {"disable": True, "method": method, "on_state": states.append}
    sample = sample_belm(denoise, x, sigmas, **options)
    assert torch.equal(states[0].x, sample) and states[0].nodes[0] == 0
    back = invert_belm(denoise, states[0], sigmas, **options)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-9)
    again = sample_belm(denoise, states[1], sigmas, **options)
    torch.testing.assert_close(again, sample, rtol=0, atol=1e-9)


def test_a_bare_sample_leads_back_approximately_and_better_with_more_steps() -> None:
    errors = []
    for n in (20, 80):
        sigmas = karras(n, low=1 / n**2)
        x = start(sigmas, 4, 3)
        sample = sample_belm(denoise, x, sigmas, disable=True, method="open:k=3")
        back = invert_belm(denoise, sample, sigmas, disable=True, method="open:k=3")
        errors.append(float((back - x).square().mean().sqrt() / sigmas[0]))
    assert 1e-6 < errors[1] < errors[0] / 2 < 0.5, errors


def test_ddim_goes_back_by_euler_upward() -> None:
    sigmas = karras(10)
    sample = start(sigmas, 3, 3) / 10
    x, levels = sample, [0.0, *sigmas.tolist()[-2::-1]]
    for before, here in pairwise(levels):
        # At sigma = 0 there is no slope; the model is called with the first sigma above it.
        sigma = torch.full((3,), before or here, dtype=F64)
        slope = (x - denoise(x, sigma)) / sigma[:, None]
        x = x + (here - before) * slope
    ours = invert_belm(denoise, sample, sigmas, disable=True, method="ddim", approximate=True)
    torch.testing.assert_close(ours, x, rtol=1e-12, atol=1e-12)
    with pytest.raises(InputError, match="ddim has a_k = 0"):
        invert_belm(denoise, sample, sigmas, disable=True, method="ddim")


def test_a_float32_model_has_the_states_in_float64() -> None:
    seen: list[torch.dtype] = []

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(0.9))

        def forward(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
            seen.extend([x.dtype, sigma.dtype])
            return self.gain * (x + cond) / (1 + sigma[:, None].square())

    sigmas, states = karras(14, torch.float32), list[State]()
    x = start(sigmas, 4, 3)
    arguments: dict[str, Any] = {"extra_args": {"cond": torch.ones(3)}, "disable": True, "on_state": states.append}
    sample = sample_belm(Network(), x, sigmas, **arguments)
    assert sample.dtype == torch.float32 and states[0].x.dtype == F64 and not sample.requires_grad
    back = invert_belm(Network(), states[0], sigmas, **arguments)
    assert back.dtype == F64 and set(seen) == {torch.float32}
    # States in float64 are off so little that both ways round to the same input of the model; in float32 they are not.
    assert (back - x).abs().max() < 1e-11
    single = sample_belm(Network(), x, sigmas, arithmetic="float32", **arguments)
    assert states[-1].x.dtype == torch.float32 and (single - sample).abs().max() < 1e-5
    back = invert_belm(Network(), states[-1], sigmas, arithmetic="float32", **arguments)
    assert 1e-8 < (back - x).abs().max() < 1e-3
    seen.clear()
    sample_belm(Network().double(), x, sigmas, dtype=F64, **arguments)
    assert seen[0] == F64 and seen[1] == torch.float32


# ---- callback and bar --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ddim", "blend:k=3", "edict"])
def test_the_callback_hears_of_every_step(method: str) -> None:
    sigmas, heard = karras(8), list[dict[str, Any]]()
    x = start(sigmas, 2, 3)
    sample_belm(denoise, x, sigmas, callback=heard.append, disable=True, method=method)
    assert [set(one) for one in heard] == [{"x", "i", "sigma", "sigma_hat", "denoised"}] * 8
    assert [one["i"] for one in heard] == list(range(8))
    assert torch.equal(torch.stack([one["sigma"] for one in heard]), sigmas[:-1])
    for one in heard:
        torch.testing.assert_close(one["denoised"], denoise(one["x"], one["sigma"].expand(2)), rtol=0, atol=0)
    if method != "edict":
        assert torch.equal(heard[0]["x"], x)


def test_the_callback_hears_of_the_way_back_and_may_stop_it() -> None:
    sigmas, heard, states = karras(8), list[dict[str, Any]](), list[State]()
    sample_belm(denoise, start(sigmas, 2, 3), sigmas, disable=True, on_state=states.append)
    invert_belm(denoise, states[0], sigmas, callback=heard.append, disable=True)
    assert [one["i"] for one in heard] == list(range(6))
    # From node 2 on, the newest of the three states.
    assert torch.equal(torch.stack([one["sigma"] for one in heard]), sigmas[1:7].flip(0))

    class Stopped(Exception):
        pass

    def stop(one: dict[str, Any]) -> None:
        if one["i"] == 3:
            raise Stopped

    with pytest.raises(Stopped):
        sample_belm(denoise, start(sigmas, 2, 3), sigmas, callback=stop, disable=True)


def test_the_bar_is_shown_unless_disabled(capsys: pytest.CaptureFixture[str]) -> None:
    sigmas = karras(6)
    for disable, shown in ((False, True), (True, False), (None, False)):  # stderr is no terminal here
        sample_belm(denoise, start(sigmas, 2, 3), sigmas, None, None, disable)
        assert ("6/6" in capsys.readouterr().err) == shown


# ---- wrong input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        (torch.tensor([1.0]), r"N \+ 1 ≥ 2 noise levels, not of shape \(1,\)"),
        (torch.ones(2, 2), r"not of shape \(2, 2\)"),
        ([1.0, 0.0], "not a list"),
        (torch.tensor([2, 1, 0]), "floating tensor"),
        (torch.tensor([0.0, 1.0]), r"sigmas must decrease, but sigmas\[1\] = 1.0 is not below 0.0"),
        (torch.tensor([2.0, 1.0, 1.0]), r"sigmas\[2\] = 1.0 is not below 1.0"),
        (torch.tensor([2.0, -1.0]), r"sigmas\[1\] = -1.0 must be finite and ≥ 0"),
        (torch.tensor([math.inf, 1.0]), r"sigmas\[0\] = inf must be finite"),
        (torch.tensor([2.0, math.nan]), r"sigmas\[1\] = nan"),
    ],
)
@pytest.mark.parametrize("way", [sample_belm, invert_belm])
def test_wrong_sigmas_are_named(way: Callable[..., Tensor], sigmas: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        way(denoise, torch.ones(2, 3), sigmas)


@pytest.mark.parametrize("way", [sample_belm, invert_belm])
def test_wrong_calls_are_named(way: Callable[..., Tensor]) -> None:
    sigmas = karras(5)
    x = start(sigmas, 2, 3)
    for options, message in (
        ({"method": "o-bem"}, "o-belm"),
        ({"frame": "flaw"}, "frame 'flaw'"),
        ({"arithmetic": "float16"}, "arithmetic"),
        ({"start": "eulr"}, "start"),
    ):
        with pytest.raises(InputError, match=message):
            way(denoise, x, sigmas, disable=True, **options)
    with pytest.raises(InputError, match="the model is a int"):
        way(3, x, sigmas)
    with pytest.raises(InputError, match=r"returned a float64 tensor of shape \(2, 2\)"):
        way(lambda x, sigma: x[:, :2], x, sigmas, disable=True)
    with pytest.raises(InputError, match="floating tensor"):
        way(denoise, torch.ones(2, 3, dtype=torch.int64), sigmas, disable=True)
    with pytest.raises(NotFiniteError, match="step 1 of"):
        way(lambda x, sigma: x * math.nan, x, sigmas, disable=True)


def test_a_state_of_other_sigmas_is_refused() -> None:
    sigmas, states = karras(5), list[State]()
    sample_belm(denoise, start(sigmas, 2, 3), sigmas, disable=True, on_state=states.append)
    with pytest.raises(InputError, match="another grid"):
        invert_belm(denoise, states[0], karras(6), disable=True)


def test_amplification_is_a_warning() -> None:
    sigmas, states = karras(40), list[State]()
    sample_belm(denoise, start(sigmas, 2, 3), sigmas, disable=True, method="bdia:gamma=0.5", on_state=states.append)
    with pytest.warns(AmplificationWarning, match="bdia"):
        invert_belm(denoise, states[0], sigmas, disable=True, method="bdia:gamma=0.5")
