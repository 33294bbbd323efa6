"""`belm design`: its problems against independent networks, its measures against the sampler, its search by itself."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from belm.design import candidate, judged, measure, problems, search
from belm_runtime import Sampler, Schedule
from belm_runtime.errors import InputError
from belm_runtime.methods import parse
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


@pytest.mark.parametrize("shape", [(0.1, 5.0, 0.0), (0.2, 8.0, 1.5)])
def test_a_candidate_s_grid_is_the_spacing_of_its_shape(shape: tuple) -> None:
    design = candidate.Candidate("blend", 3, 1.0, 8.0, shape)
    for schedule, steps in candidate.settings(steps=(7, 100)):
        named = schedule.grid(steps, "bent:A={},B={},C={}".format(*shape))
        assert np.allclose(design.grid(schedule, steps).sbar, named.sbar, rtol=1e-12)
    assert design.method(50) == parse("designed", 50)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("adams", 3, 1.0, 1.0, (0.1, 1.0, 0.0)), "family"),
        (("blend", 6, 1.0, 1.0, (0.1, 1.0, 0.0)), "k = 6"),
        (("blend", 3, 1.0, 1.0, (1.0, 1.0, 0.0)), "0 < A < B"),
        (("blend", 3, math.nan, 1.0, (0.1, 1.0, 0.0)), "q, damping and C"),
        (("blend", 3, 1.0, 1.0, (0.1, 1.0, -1.0)), "q, damping and C"),
    ],
)
def test_candidates_outside_the_space_are_refused(values: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        candidate.Candidate(*values)


def test_a_search_is_a_function_of_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "settings", lambda: candidate.settings(("ddpm",), (10,)))
    monkeypatch.setattr(search, "training", lambda seed: problems.training(seed, guidance=(1.0,), batch=1)[:2])
    told: list[tuple[int, int]] = []
    space = search.Space("blend", 3, 1.0)
    first = search.search(space, 16, 5, lambda done, whole, note: told.append((done, whole)))
    again, other = search.search(space, 16, 5), search.search(space, 16, 6)
    assert search.as_record(first) == search.as_record(again) != search.as_record(other)
    assert told[-1][0] == told[-1][1] and all(a <= b for (a, _), (b, _) in pairwise(told))
    assert first.score == min(score for _, score in first.tried)
    assert all(row["amplification in inversion"] <= search.GROWTH_LIMIT for row in first.facts["settings"])


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


def test_one_case_in_forty_weighs_in() -> None:
    """The score of what it says: means of logs, and the quantile of single cases."""
    judge = search.Judge(problems.training(1, guidance=(3.0,), batch=1)[:2])
    design = candidate.Candidate("blend", 3, 1.0, 10.0, (0.1, 10.0, 1.0))
    generation, seed = np.log(judge.ratios(design))
    assert generation.shape == (8, 6)
    beyond = sorted(generation.ravel())[-2:]
    # 48 cases: the quantile lies between the two worst, at 0.975·47 = 45.825 of 47.
    worst = sorted(generation.ravel())[45] + 0.825 * (beyond[0] - sorted(generation.ravel())[45])
    assert judge.score(design) == pytest.approx(generation.mean() + seed.mean() / 2 + worst / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--family", "belm"], "family"), (["--k", "1"], "--k 1"), (["--frame", "sideways"], "--frame 'sideways'"),
        (["--frame", "-1"], "--frame '-1'"), (["--budget", "3"], "budget = 3"), (["--seed", "-1"], "--seed -1"),
    ],
)  # fmt: skip
def test_wrong_calls_are_one_line_and_leave_nothing(run, tmp_path: Path, arguments: list[str], message: str) -> None:
    out = tmp_path / "out"
    result = run("design", *arguments, "--out", str(out))
    assert result.code == 2 and message in result.err and len(result.err.strip().splitlines()) == 1
    assert not out.exists()


def test_the_command_writes_what_it_says(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "settings", lambda: candidate.settings(("ddpm",), (10,)))
    monkeypatch.setattr(search, "training", lambda seed: problems.training(seed, guidance=(1.0,), batch=1)[:1])
    result = run("design", "--budget", "16", "--out", str(tmp_path / "d"))
    record = json.loads((tmp_path / "d" / "design.json").read_text())
    assert result.code == 0 and record["asked"] == {"family": "blend", "k": 3, "frame": "flow", "budget": 16, "seed": 0}
    assert f"m = {record['best']['damping']:g}" in result.out and len(record["settings"]) == 1
