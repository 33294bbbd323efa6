"""DDIM that reads its network as eps, v, x_0 or a flow, on any grid: the same mistakes have the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from audited import multistep
from torch import Tensor

from belm_runtime import Grid, Sampler, Schedule, coefficients
from belm_runtime.audit import Report, audit, of_function, of_sampler

torch.set_num_threads(1)
PREDICTIONS = ("epsilon", "v", "sample", "flow")


def read(prediction: str, x: Tensor, p: Tensor, a: float, s: float) -> tuple[Tensor, Tensor]:
    """(D, eps) from a prediction, as the papers define it."""
    if prediction == "epsilon":
        return (x - s * p) / a, p
    if prediction == "sample":
        return p, (x - a * p) / s
    return (a * x - s * p, s * x + a * p) if prediction == "v" else ((x - s * p) / (a + s), (x + a * p) / (a + s))


def ddim_of(
    schedule: Schedule, grid: Grid, prediction: str, *, starts: float = 0, noise: Any = lambda eps, i: eps,
    data: Callable[[Tensor], Tensor] = lambda D: D,
) -> Callable[[Any, Tensor], Tensor]:  # fmt: skip
    """DDIM with mistakes: the levels of another time at the start of each step, what stands for eps or D."""
    alpha, sigma, times = grid.alpha.tolist(), grid.sigma.tolist(), grid.timesteps.tolist()

    def run(model: Any, x: Tensor) -> Tensor:
        for i in range(grid.steps, 0, -1):
            a, s = map(float, schedule.alpha_sigma(times[i] + starts)) if starts else (alpha[i], sigma[i])
            D, eps = read(prediction, x, model(x, torch.full((len(x),), times[i])), a, s)
            x = alpha[i - 1] * data(D) + sigma[i - 1] * noise(eps, i)
        return x

    return run


def examined(prediction: str, name: str = "sd15", spacing: str = "leading", **mistakes: Any) -> Report:
    schedule = Schedule.preset(name)
    grid = schedule.grid(10, spacing)
    run = ddim_of(schedule, grid, prediction, **mistakes)
    return audit(of_function(run, grid, schedule=schedule, prediction=prediction), expect="ddim")


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [
        ({"noise": lambda eps, i: -eps}, "direction", "the sign of the direction sigma_{i-1}·eps is reversed"),
        ({"noise": lambda eps, i: 0 * eps}, "direction", "the direction sigma_{i-1}·eps was dropped"),
        ({"noise": lambda eps, i: torch.ones_like(eps)}, "missing-factor", "a factor `* noise_pred` was dropped"),
        ({"starts": -1}, "noise-level", "starts from the noise level of timestep 900 where the grid has 901"),
    ],
    ids=["reversed", "dropped", "no factor", "start"],
)
def test_the_same_mistake_has_the_same_name(prediction: str, mistake: dict[str, Any], kind: str, words: str) -> None:
    report = examined(prediction, **mistake)
    assert report.method is not None and not report.method.exact and not report.sound
    assert report.faults[0].kind == kind and report.faults[0].steps[0] == 1 and words in report.faults[0].words


@pytest.mark.parametrize("prediction", ["v", "flow"])
def test_a_level_without_its_factor_is_named(prediction: str) -> None:
    report = examined(prediction, data=torch.ones_like)
    assert report.faults[0].words == "alpha_{i-1} = 0.191171 is added as a constant: a factor `* x_0` was dropped"


def test_of_a_flow_only_the_distance_of_two_levels_is_seen() -> None:
    fault = examined("flow", "flow", "trailing", starts=-1e-3).faults[-1]
    assert fault.words == (
        "the step ends at the noise level of timestep 0.801 where the grid has 0.8, or starts from the noise level of "
        "timestep 0.899 where the grid has 0.9"
    )


def test_predicted_samples_hide_nothing() -> None:
    """x_0 = D alone is the right result whatever was done before."""
    schedule = Schedule.preset("sd15")
    grid = schedule.grid(10)

    def junk(model: Any, x: Tensor) -> Tensor:
        for i in range(10, 0, -1):
            D = model(x, grid.timesteps[i])
            x = 0.3 * x + 0.2 * D
        return D

    report = audit(of_function(junk, grid, schedule=schedule, prediction="sample"), expect="ddim")
    assert report.method is not None and not report.method.exact and "9 of 10 steps differ" in report.verdict


@pytest.mark.parametrize("spacing", ["trailing", "karras"])
@pytest.mark.parametrize(
    ("mistake", "step"),
    [
        ({"noise": lambda eps, i: -eps if i == 2 else eps}, 9),
        ({"noise": lambda eps, i: eps + 0.1 if i == 4 else eps}, 7),
    ],
    ids=["reversed", "constant"],
)
def test_a_large_weight_of_the_noise_hides_nothing(spacing: str, mistake: dict[str, Any], step: int) -> None:
    """x_N enters with 2e4 on the cosine schedule; the predictions of later steps with 1."""
    report = examined("epsilon", "cosine", spacing, **mistake)
    assert not report.sound and report.faults[0].steps == (step,)


@pytest.mark.parametrize(
    ("method", "other"), [("exp-adams:m=2", "adams:m=2"), ("damped:k=3,m=8", "blend:k=3,theta=0.42")]
)
def test_methods_are_told_apart_where_the_noise_has_a_large_weight(method: str, other: str) -> None:
    grid = Schedule.preset("cosine").grid(10, "trailing")
    sampler = Sampler(method, grid)
    report = audit(of_sampler(sampler), expect=other, frame=str(sampler.frame))
    assert report.method is not None and not report.method.exact and not report.sound
    assert report.nearest is not None and report.nearest.exact and report.nearest.name == method


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_few_steps_of_ddim_are_ddim(steps: int, arithmetic: str) -> None:
    """In other methods all of them would be starting steps, and equal."""
    report = audit(of_sampler(Sampler("ddim", Schedule.preset("sd15").grid(steps), arithmetic=arithmetic)))
    assert report.method is not None and report.method.exact and report.method.name == "ddim"


@pytest.mark.parametrize("method", ["damped:k=5,m=3", "weights:k=4,a2=0.1,a3=0.1,a4=0.7"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_members_with_weights_of_their_own_on_a_few_steps(method: str, prediction: str) -> None:
    grid = Schedule.preset("sd15").grid(10, "trailing")
    report = audit(of_sampler(Sampler(method, grid, prediction=prediction)))
    assert report.method is not None and report.method.exact and report.method.name == method


def test_a_row_without_its_oldest_state_cannot_be_undone() -> None:
    grid = Schedule.preset("sd15").grid(10)
    A, B = coefficients("o-belm", grid).x_form()
    A[4, 1] = 0
    run = of_function(lambda model, x: multistep(model, x, A, B), grid)
    report = audit(run, expect="o-belm")
    assert report.faults[0].steps == (6,) and "this term was dropped" in report.faults[0].words
    assert report.invertible is not None and report.invertible[0] is False and "row 5" in report.invertible[1]
    assert report.stability is not None and report.stability["K_inversion"] is None


def test_a_method_with_fewer_steps_than_its_own_claims_no_inverse() -> None:
    report = audit(of_sampler(Sampler("open:k=3", Schedule.preset("sd15").grid(2))))
    assert report.inverse is None and report.sound


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_named(dtype: torch.dtype) -> None:
    schedule = Schedule.preset("sd15")
    run = ddim_of(schedule, schedule.grid(10), "epsilon")

    def halved(model: Any, x: Tensor) -> Tensor:
        return run(lambda z, t: model(z, t).to(dtype), x.to(dtype)).to(x.dtype)

    report = audit(of_function(halved, schedule.grid(10)))
    assert report.failure is not None
    assert report.failure.endswith("rounding in half precision looks so too: try tolerance = 0.01")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_weight_too_small_to_be_seen_is_known_of_a_method() -> None:
    """On the cosine schedule's longest step a_3 of belm:k=3 is 1e-16."""
    report = audit(of_sampler(Sampler("belm:k=3", Schedule.preset("cosine").grid(10, "trailing"))))
    assert report.method is not None and report.method.exact and report.invertible is not None and report.invertible[0]
