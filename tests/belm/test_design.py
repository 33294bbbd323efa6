"""What `belm design` measures and on what: problems against independent networks, measures against the sampler."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from belm.design import judged, measure, problems, search
from belm_runtime import Sampler, Schedule
from belm_runtime.mixture import GaussianMixture, reference

PROBLEMS = problems.training(3, batch=2)
PERFECT = [p for p in PROBLEMS if p.flaw is None and p.guidance == 1]


@pytest.mark.parametrize("problem", PERFECT, ids=lambda p: p.name)
def test_stacked_mixtures_are_the_runtime_s_mixtures(problem: problems.Problem) -> None:
    for alpha, sigma in ((0.9, 0.3), (0.1, 0.99)):
        eps = problem.epsilon(problem.noise, alpha, sigma)
        for n in range(len(eps)):
            alone = GaussianMixture(problem.means[n], problem.scales[n], problem.weights[n], None)  # type: ignore[arg-type]
            expected = alone.epsilon(torch.from_numpy(problem.noise[n]), alpha, sigma)
            assert np.allclose(eps[n], expected.numpy(), rtol=1e-12, atol=1e-13)


def test_solutions_are_the_runtime_s_references() -> None:
    problem = PERFECT[0]
    found = problem.solution(0.3, math.sqrt(1 - 0.09))
    alone = GaussianMixture(problem.means[1], problem.scales[1], problem.weights[1], None)  # type: ignore[arg-type]
    expected = reference(alone, torch.from_numpy(problem.noise[1]), (0.3, math.sqrt(1 - 0.09)), (1.0, 0.0))
    assert np.allclose(found[1], expected.numpy(), atol=1e-6)


def test_guidance_goes_beyond_the_wanted_class() -> None:
    plain, guided = (next(p for p in PROBLEMS if p.flaw is None and p.guidance == g) for g in (1, 3))
    x, levels = plain.noise, (0.6, 0.8)
    few = plain.wanted
    alone = problems.Problem("", plain.means[:, few], plain.scales[:, few], plain.weights[:, few], few[few], 1.0, x)
    base = plain.epsilon(x, *levels)
    assert np.allclose(guided.epsilon(x, *levels), base + 3 * (alone.epsilon(x, *levels) - base), atol=1e-9)


def test_flaws_have_their_size_and_follow_time() -> None:
    flawed = [p for p in problems.training(0, batch=400) if p.flaw is not None and p.guidance == 1]
    sizes = [p.flaw(3 * p.noise, 0.6, 0.8).std() for p in flawed]  # type: ignore[misc]
    assert all(0.5 * problems.FLAW < size < 2 * problems.FLAW for size in sizes)
    one = flawed[0]
    assert not np.allclose(one.flaw(one.noise, 0.6, 0.8), one.flaw(one.noise, 0.8, 0.6))  # type: ignore[misc]


@pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")
@pytest.mark.parametrize("method", ["bdia:gamma=1", "echo:k=4,theta=1", "designed"])
def test_errors_are_those_of_the_sampler(method: str) -> None:
    problem, schedule = PERFECT[1], Schedule.preset("ddpm")
    sampler = Sampler(method, schedule.grid(12, "designed"))
    down, up = [], []
    solution = problem.solution(float(sampler.grid.alpha[-1]), float(sampler.grid.sigma[-1]))
    for n in range(len(problem.means)):
        alone = GaussianMixture(problem.means[n], problem.scales[n], problem.weights[n], schedule)
        noise, data = torch.from_numpy(problem.noise[n]), torch.from_numpy(solution[n])
        down.append((sampler.sample(alone, noise).x - data).square().mean().sqrt().item())
        up.append((sampler.invert(alone, data).x - noise).square().mean().sqrt().item())
    assert measure.generation_errors(sampler, problem) == pytest.approx(down, rel=1e-6)
    assert measure.seed_errors(sampler, problem) == pytest.approx(up, rel=1e-5)


@pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")
def test_gaussian_errors_are_those_of_the_runtime_s_gaussian() -> None:
    schedule = Schedule.preset("sd15")
    sampler = Sampler("blend:k=3", schedule.grid(20, "designed"))
    down, up = measure.gaussian_errors(sampler)
    for c, below, above in zip(measure.DEVIATIONS, down, up, strict=True):
        gaussian = GaussianMixture([[0.0]], [c], [1.0], schedule)
        noise, levels = (
            torch.ones(1, 1, dtype=torch.float64),
            (float(sampler.grid.alpha[-1]), float(sampler.grid.sigma[-1])),
        )
        data = gaussian.exact(noise, levels, (1.0, 0.0))
        assert abs(sampler.sample(gaussian, noise).x - data).item() == pytest.approx(below, rel=1e-6, abs=1e-12)
        assert abs(sampler.invert(gaussian, data).x - noise).item() == pytest.approx(above, rel=1e-6, abs=1e-9)


def test_growth_with_slopes_bounds_what_a_perturbation_does() -> None:
    schedule = Schedule.preset("sd15")
    sampler = Sampler("blend:k=3", schedule.grid(20, "designed"))
    gaussian = GaussianMixture([[0.0]], [0.2], [1.0], schedule)
    state = sampler.sample(gaussian, torch.ones(1, 1, dtype=torch.float64))
    # An older state off by itself is mostly a parasitic mode, which inversion amplifies.
    moved = sampler.state([state.history[0], state.history[1] + 1e-6, *state.history[2:]], state.nodes)
    gap = (sampler.invert(gaussian, moved).x - sampler.invert(gaussian, state).x).abs().item() / 1e-6
    assert 1 < gap <= measure.growth(sampler, "inversion") * (1 + 1e-6)


def test_local_errors_are_what_the_solution_leaves_and_shrink_with_order() -> None:
    schedule = Schedule.preset("sd15")
    sampler = Sampler("blend:k=3", schedule.grid(20, "designed"))
    gaussian = GaussianMixture([[0.0]], [0.2], [1.0], schedule)
    x = np.sqrt((0.2 * sampler.grid.alpha) ** 2 + sampler.grid.sigma**2)
    found = measure.local_errors(sampler)
    for row in sampler.table.rows[3:]:  # type: ignore[union-attr]
        assert row.A is not None and row.B is not None
        eps = [gaussian.epsilon(torch.tensor([[x[row.i + j]]]), sampler.grid.alpha[row.i + j],
                                sampler.grid.sigma[row.i + j]).item() for j in range(2)]  # fmt: skip
        made = np.dot(row.A, x[row.i : row.i + 3]) + np.dot(row.B, eps)
        assert found[row.i - 1, 1] == pytest.approx(x[row.i - 1] - made, abs=1e-12)
    # Order 2: a local error is of third order, and their sum of second.
    samplers = [Sampler("blend:k=3", schedule.grid(n, "designed")) for n in (50, 100)]
    sums = [np.abs(measure.local_errors(each)).sum(0)[1] for each in samplers]
    assert 3.5 < sums[0] / sums[1] < 4.6


def test_error_bounds_bound_the_errors_of_main_rows() -> None:
    schedule = Schedule.preset("ddpm")
    for method in ("blend:k=3", "o-belm", "echo:k=4,theta=1"):
        sampler = Sampler(method, schedule.grid(20, "designed"))
        assert measure.gaussian_errors(sampler)[0].max() <= measure.error_bound(sampler, "sampling")


def test_slope_noise_is_the_response_of_the_sampler() -> None:
    schedule = Schedule.preset("sd15")
    sampler = Sampler("blend:k=3", schedule.grid(12, "designed"))
    gaussian = GaussianMixture([[0.0]], [0.2], [1.0], schedule)
    noise, responses = torch.ones(1, 1, dtype=torch.float64), []
    plain = sampler.sample(gaussian, noise).x
    for call in range(12):
        where = iter(np.arange(12) == call)
        disturbed = sampler.sample(lambda x, t, where=where: gaussian(x, t) + float(next(where)), noise).x
        responses.append((disturbed - plain).item())
    assert measure.slope_noise(sampler)[1] == pytest.approx(math.sqrt(sum(r * r for r in responses)), rel=1e-6)


def test_the_search_never_sees_what_judges() -> None:
    script = "import sys, belm.design.search, belm.cli.design; print([m for m in sys.modules if 'digits' in m])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    # The held-out mixtures are the runtime's own family, which nothing here draws from.
    assert not any("GaussianMixture.random" in path.read_text() for path in Path(search.__file__).parent.glob("*.py"))


def test_targets_are_ratios_of_means() -> None:
    def row(problem: str, method: str, grid: str, generation: float | None, seed: float | None = 1.0) -> dict:
        return {"problem": problem, "guidance": 1.0, "schedule": "ddpm", "grid": grid, "calls": 10, "method": method,
                "generation": generation, "seed": seed}  # fmt: skip

    rows = []
    for problem, ours in (("mixture 1", 1.0), ("mixture 2", 4.0), ("digits", 3.0)):
        for grid in ("leading", "designed"):
            rows.append(row(problem, "designed", grid, ours))
            rows += [row(problem, "o-belm", grid, 6.0), row(problem, "ddim", grid, 9.0)]
            rows += [row(problem, "adams:m=2", grid, None, None), row(problem, "echo:k=4,theta=1", grid, 1.0, 0.25)]
    found = {target["what"]: target for target in judged.targets(rows)}
    pair = found["generation, designed on designed / o-belm on leading"]
    # Both mixtures together weigh as much as the network: sqrt(sqrt(1·4)·3)/6.
    assert pair["value"] == pytest.approx(math.sqrt(6) / 6) and not pair["met"]
    assert found["the same, worst case"]["value"] == pytest.approx(4 / 6)
    assert found["generation, designed / adams:m=2, both on leading"]["value"] < 1e-5
    assert found["seed from x_0, echo:k=4,theta=1 / ddim, both on leading"] | {"kinds": 0} == {
        "what": "seed from x_0, echo:k=4,theta=1 / ddim, both on leading",
        "value": 0.25,
        "wanted": "<= 0.5",
        "met": True,
        "kinds": 0,
    }


def test_small_first_steps_are_compared_at_as_many_calls() -> None:
    def row(problem: str, steps: int, seed: float) -> dict:
        return {"problem": problem, "guidance": 1.0, "schedule": "ddpm", "grid": "trailing", "calls": steps + 7,
                "steps": steps, "method": "open:k=3", "seed": seed, "o-belm": 2.0, "ddim": None}  # fmt: skip

    small = [row("mixture 1", 10, 1.0), row("mixture 1", 20, 0.25), row("digits", 10, 4.0)]
    found = judged.at_equal_calls(small, "trailing", "open:k=3", "o-belm")
    assert list(found.values()) == [0.5, 0.125, 2.0] and judged.balanced(found) == pytest.approx(math.sqrt(0.25 * 2))
    overflowed = judged.at_equal_calls(small, "trailing", "open:k=3", "ddim")
    assert overflowed["digits", 1.0, "ddpm", 10] == 4 / judged.OVERFLOW
    assert judged.at_equal_calls(small, "leading", "open:k=3", "ddim") == {}
