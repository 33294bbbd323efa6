"""Schedules against their definitions at 50 digits, and against the schedulers they are read from."""

from __future__ import annotations

import math
import subprocess
import sys
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from belm_runtime.errors import InputError
from belm_runtime.schedule import Schedule

PRESETS = ("sd15", "ddpm", "cosine")
T = 1000


def exact_betas(name: str) -> list[mpf]:
    """The betas of a preset from its definition; call it at 50 digits."""
    if name == "sd15":
        low, high = mpmath.sqrt(mpf("0.00085")), mpmath.sqrt(mpf("0.012"))
        return [(low + (high - low) * i / (T - 1)) ** 2 for i in range(T)]
    if name == "ddpm":
        low, high = mpf("0.0001"), mpf("0.02")
        return [low + (high - low) * i / (T - 1) for i in range(T)]
    bar = [mpmath.cos(mpmath.pi / 2 * (mpf(i) / T + mpf("0.008")) / mpf("1.008")) ** 2 for i in range(T + 1)]
    return [min(1 - bar[i + 1] / bar[i], mpf("0.999")) for i in range(T)]


def exact_logs(name: str) -> list[mpf]:
    """The log alphabar at t = −1, 0, …, T − 1."""
    logs = [mpf(0)]
    for beta in exact_betas(name):
        logs.append(logs[-1] + mpmath.log(1 - beta))
    return logs


def exact_levels(logs: list[mpf], t: float) -> tuple[mpf, mpf]:
    """(alpha, sigma) with log alphabar linear between the nodes."""
    u = mpf(t) + 1
    j = min(int(mpmath.floor(u)), T - 1)
    log = logs[j] + (u - j) * (logs[j + 1] - logs[j])
    return mpmath.exp(log / 2), mpmath.sqrt(1 - mpmath.exp(log))


def worst(values: np.ndarray, references: list[mpf]) -> float:
    """The largest relative error."""
    pairs = zip(values, references, strict=True)
    return max(float(abs(mpf(float(value)) / reference - 1)) for value, reference in pairs)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_exact_to_rounding_at_every_training_node(name: str) -> None:
    with mpmath.workdps(50):
        logs = exact_logs(name)
        alpha, sigma = Schedule.preset(name).alpha_sigma(np.arange(T))
        references = [exact_levels(logs, t) for t in range(T)]
        assert worst(alpha, [a for a, _ in references]) < 5e-15
        assert worst(sigma, [s for _, s in references]) < 5e-15


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace", "power:p=1.5"])
def test_grids_are_exact_to_rounding_at_their_timesteps(name: str, spacing: str) -> None:
    grid = Schedule.preset(name).grid(50, spacing)
    with mpmath.workdps(50):
        logs = exact_logs(name)
        references = [exact_levels(logs, t) for t in grid.timesteps[1:]]
        assert worst(grid.alpha[1:], [a for a, _ in references]) < 2e-13
        assert worst(grid.sigma[1:], [s for _, s in references]) < 2e-13
    assert (grid.alpha[0], grid.sigma[0], grid.timesteps[0]) == (1, 0, 0)


@pytest.mark.parametrize("name", PRESETS)
def test_time_starts_one_step_before_the_first_training_node(name: str) -> None:
    schedule = Schedule.preset(name)
    assert schedule.domain == (-1, T - 1) and schedule.training_steps == T
    alpha, sigma = schedule.alpha_sigma(-1)
    assert (float(alpha), float(sigma)) == (1, 0) and not np.signbit(sigma)
    assert schedule.timesteps_at(0.0) == -1


def test_between_nodes_alpha_is_the_geometric_mean() -> None:
    schedule = Schedule.preset("sd15")
    alpha, sigma = schedule.alpha_sigma([[499, 500, 499.5]])
    assert alpha.shape == sigma.shape == (1, 3)
    assert alpha[0, 2] == pytest.approx(np.sqrt(alpha[0, 0] * alpha[0, 1]), rel=1e-15, abs=0)
    assert alpha[0, 2] ** 2 + sigma[0, 2] ** 2 == pytest.approx(1, rel=1e-15, abs=0)


@given(name=st.sampled_from(PRESETS), u=st.floats(1e-12, T))
def test_timesteps_at_inverts_alpha_sigma(name: str, u: float) -> None:
    schedule = Schedule.preset(name)
    alpha, sigma = schedule.alpha_sigma(u - 1)
    assert abs(schedule.timesteps_at(sigma / alpha) - (u - 1)) <= 2e-15 * u + 2.3e-16


def test_from_betas_and_from_alphas_cumprod_agree_with_the_preset() -> None:
    betas = np.linspace(1e-4, 0.02, T)
    t = np.linspace(-1, T - 1, 777)
    reference = Schedule.preset("ddpm").alpha_sigma(t)
    for schedule in (Schedule.from_betas(betas), Schedule.from_alphas_cumprod(np.cumprod(1 - betas))):
        np.testing.assert_allclose(schedule.alpha_sigma(t), reference, rtol=1e-11)
    assert Schedule.from_betas(betas, steps_offset=1).grid(10).timesteps[1] == 1


def test_the_sum_over_a_long_chain_is_compensated() -> None:
    betas = np.random.default_rng(0).uniform(0, 2e-9, 20_000)
    sigma = Schedule.from_betas(betas).alpha_sigma(np.arange(20_000))[1]
    terms = np.log1p(-betas)
    for n in range(1, 20_001, 500):
        assert sigma[n - 1] == pytest.approx(math.sqrt(-math.expm1(math.fsum(terms[:n]))), rel=4e-16, abs=0)


@pytest.mark.parametrize("how", ["betas", "alphas_cumprod"])
def test_zero_terminal_snr(how: str) -> None:
    if how == "betas":
        schedule = Schedule.from_betas([0.1, 0.5, 1.0])
    else:
        schedule = Schedule.from_alphas_cumprod([0.9, 0.45, 0.0])
    alpha, sigma = schedule.alpha_sigma([1, 1.25, 2])
    assert (alpha[2], sigma[2]) == (0, 1)
    assert alpha[1] == pytest.approx(0.75 * alpha[0], rel=1e-15, abs=0)
    assert sigma[1] == pytest.approx(np.sqrt(1 - alpha[1] ** 2), rel=1e-15, abs=0)
    np.testing.assert_allclose(schedule.timesteps_at([sigma[1] / alpha[1], np.inf]), [1.25, 2], rtol=1e-14)
    grid = schedule.grid(3, "trailing")
    assert (grid.alpha[-1], grid.sigma[-1], grid.sbar[-1]) == (0, 1, np.inf)
    with pytest.raises(InputError, match="finite sigma/alpha at the last training node"):
        schedule.grid(3, "karras")


def test_variance_exploding() -> None:
    nodes = np.geomspace(0.03, 14.6, 7)
    schedule = Schedule.from_sigmas(nodes)
    alpha, sigma = schedule.alpha_sigma(np.arange(7))
    assert (alpha == 1).all() and (sigma == nodes).all()
    mean = np.sqrt(nodes[2] * nodes[3])
    np.testing.assert_allclose(schedule.alpha_sigma([-1, -0.75, 2.5])[1], [0, 0.0075, mean], rtol=1e-14)
    t = np.linspace(-1, 6, 50)
    np.testing.assert_allclose(schedule.timesteps_at(schedule.alpha_sigma(t)[1]), t, atol=1e-13)
    assert schedule.grid(7, "karras").sigma[-1] == nodes[-1]


def test_flow() -> None:
    schedule = Schedule.preset("flow")
    alpha, sigma = schedule.alpha_sigma([0, 0.3, 1])
    assert sigma.tolist() == [0, 0.3, 1] and alpha.tolist() == [1, 0.7, 0]
    np.testing.assert_allclose(schedule.timesteps_at([0, 3 / 7, np.inf]), [0, 0.3, 1], rtol=1e-15)
    assert (schedule.domain, schedule.training_steps) == ((0, 1), None)
    assert Schedule.preset("flow:shift=3").name == Schedule.preset("flow", shift=3).name == "flow:shift=3"
    assert Schedule.preset("flow", shift=3).grid(4) == Schedule.preset("flow:shift=3").grid(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Schedule.preset("sd-15"), "unknown preset 'sd-15'; did you mean 'sd15'"),
        (lambda: Schedule.preset("sd15", shift=3), "'sd15' has no option 'shift'"),
        (lambda: Schedule.preset("flow", shift=0), "shift > 0"),
        (lambda: Schedule.preset("flow:shift"), "key=value"),
        (lambda: Schedule.preset("ddpm").alpha_sigma([0, 999.5]), "999.5 is outside the schedule's -1 … 999"),
        (lambda: Schedule.preset("ddpm").alpha_sigma(float("nan")), "nan is outside"),
        (lambda: Schedule.preset("flow").alpha_sigma(-0.1), "-0.1 is outside the schedule's 0 … 1"),
        (lambda: Schedule.preset("ddpm").timesteps_at(200), "sigma/alpha = 200.0 is outside"),
        (lambda: Schedule.preset("ddpm").timesteps_at(-1), "sigma/alpha = -1.0 is outside"),
        (lambda: Schedule.from_betas([0.1, 1.0, 0.2]), r"betas\[1\] = 1.0"),
        (lambda: Schedule.from_betas([0.1, float("nan")]), r"betas\[1\] = nan"),
        (lambda: Schedule.from_betas([]), "not empty"),
        (lambda: Schedule.from_betas([0.1], steps_offset=-1), "steps_offset must be a whole number"),
        (lambda: Schedule.from_alphas_cumprod([0.9, 0.95]), r"alphas_cumprod\[1\] = 0.95"),
        (lambda: Schedule.from_alphas_cumprod([0.9, 0.0, 0.0]), r"alphas_cumprod\[1\] = 0.0"),
        (lambda: Schedule.from_sigmas([1.0, 1.0]), r"sigmas\[1\] = 1.0"),
        (lambda: Schedule.from_diffusers(SimpleNamespace(config={})), "neither alphas_cumprod nor a flow"),
    ],
)
def test_wrong_input_is_named(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("kind", ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"])
def test_from_diffusers_reads_the_schedulers_own_numbers(kind: str, betas: str, zero_snr: bool) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = getattr(diffusers, kind)(beta_schedule=betas, steps_offset=1, rescale_betas_zero_snr=zero_snr)
    schedule = Schedule.from_diffusers(scheduler)
    alpha, sigma = schedule.alpha_sigma(np.arange(T))
    acp = scheduler.alphas_cumprod.double().numpy()
    if zero_snr and acp[-1] > acp[-2]:
        acp[-1] = 0
    np.testing.assert_allclose(alpha**2, acp, rtol=1e-14)
    np.testing.assert_allclose(sigma**2, 1 - acp, rtol=1e-14)
    assert schedule.steps_offset == 1 and schedule.name == f"diffusers:{kind}"
    if zero_snr:
        assert alpha[-1] < 3e-4


def test_from_diffusers_flow() -> None:
    diffusers = pytest.importorskip("diffusers")
    schedule = Schedule.from_diffusers(diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0))
    assert schedule.grid(10) == Schedule.preset("flow", shift=3).grid(10)
    finer = Schedule.from_diffusers(diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=2000))
    assert finer.grid(5, "linspace").timesteps[1] == 1 / 2000
    through = diffusers.UniPCMultistepScheduler(use_flow_sigmas=True, flow_shift=5.0)
    assert Schedule.from_diffusers(through).name == "flow:shift=5"


@pytest.mark.parametrize("key", ["use_dynamic_shifting", "invert_sigmas", "use_karras_sigmas"])
def test_from_diffusers_refuses_flow_times_it_cannot_know(key: str) -> None:
    diffusers = pytest.importorskip("diffusers")
    with pytest.raises(InputError, match=f"{key}=True"):
        Schedule.from_diffusers(diffusers.FlowMatchEulerDiscreteScheduler(**{key: True}))


def test_building_a_grid_does_not_import_torch() -> None:
    code = """import sys
from belm_runtime.schedule import Schedule
Schedule.preset("sd15").grid(50).fingerprint
print("torch" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
