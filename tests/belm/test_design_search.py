"""`belm design`: its space, its search by itself, and what it writes."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from belm.design import judge, problems, search, space, tables, written
from belm_runtime import Sampler, Schedule
from belm_runtime.design import Design
from belm_runtime.errors import InputError
from belm_runtime.methods import parse

LITTLE = space.cells(("blend", "echo"), (3, 4), ("s",), ("flow",), ("bent", "free"), ("adams",))


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of one setting and two problems."""
    monkeypatch.setattr(judge, "settings", lambda: [(Schedule.preset("ddpm"), 10)])
    monkeypatch.setattr(search, "training", lambda seed: problems.training(seed, guidance=(1.0,), batch=1)[:2])


def test_every_cell_is_a_design_that_runs_both_ways() -> None:
    draw = np.random.default_rng(0)
    schedule = Schedule.preset("ddpm")
    every = space.cells()
    assert len(set(every)) == len(every) > 400
    for cell in [every[i] for i in draw.choice(len(every), 60, replace=False)]:
        low, high = cell.bounds
        design = cell.at(low + draw.random(len(low)) * (high - low))
        sampler = design.sampler(schedule, 12)
        assert sampler.method.has_inverse and sampler.method.k == cell.k, cell
        assert np.all(np.diff(sampler.grid.sbar) > 0) and str(design.spacing).startswith(cell.spacing)
        assert str(sampler.method).startswith("exp-") == (cell.slopes == "log-snr")


def test_cells_hold_nothing_twice() -> None:
    """k = 2 has one slope; o-belm and bdia are of the noise frame; three slopes in log-SNR are too."""
    every = space.cells()
    assert not any(cell.slopes == "log-snr" and cell.k == 2 for cell in every)
    assert not any(cell.rule in ("bdia", "o-belm") and cell.frame != "noise" for cell in every)
    assert not any(cell.slopes == "log-snr" and cell.k > 3 and cell.frame != "noise" for cell in every)
    assert space.cells(rules=["o-belm"], ks=[3]) == ()


@pytest.mark.parametrize("k", [3, 4])
def test_weights_have_the_roots_of_their_point(k: int) -> None:
    numbers = (0.8, 0.6) + (0.7,) * (k == 4)
    (cell,) = space.cells(["weights"], [k], ["s"], ["flow"], ["logsnr"], ["adams"])
    method = cell.at(numbers).method_on(20)
    ones = {f"h{j}": 1.0 for j in range(1, k + 1)}
    a, _ = method.coefficients(ones, {})
    moduli = sorted(abs(np.roots([1.0, *(-np.array(a))])))
    assert moduli == pytest.approx(sorted([1.0, 0.8, 0.8, *([0.7] if k == 4 else [])]), abs=2e-3)


def test_points_outside_are_brought_back() -> None:
    (cell,) = space.cells(["blend"], [3], ["s"], ["flow"], ["floored"], ["adams"])
    assert cell.at((99.0, -5.0)) == cell.at((14.0, 1.0))
    assert (cell.at((99.0, -5.0)).damping, cell.at((99.0, -5.0)).spacing) == (Fraction(14), "floored:p=1")


def test_a_free_grid_goes_through_the_nodes_it_comes_from() -> None:
    (cell,) = space.cells(["blend"], [3], ["s"], ["flow"], ["bent"], ["adams"])
    point = (8.0, math.log10(0.12), math.log10(6), 0.75)
    grid = cell.at(point).grid(Schedule.preset("ddpm"), space.PIECES)
    s = grid.sbar / (1 + grid.sbar)
    other, numbers = space.freed(cell, point, s / s[-1])
    free = other.at(numbers).grid(Schedule.preset("ddpm"), space.PIECES)
    assert np.allclose(free.sbar / (1 + free.sbar), s, rtol=0.05)
    assert other.at(numbers).method == cell.at(point).method


def test_a_search_is_a_function_of_its_seed(little: None) -> None:
    told: list[tuple[int, int]] = []
    first = search.Search(LITTLE, 64, 5, lambda done, whole, note: told.append((done, whole))).run()
    again, other = search.Search(LITTLE, 64, 5).run(), search.Search(LITTLE, 64, 6).run()
    assert tables.as_record(first) == tables.as_record(again) != tables.as_record(other)
    assert told[-1][0] == told[-1][1] and all(a <= b for (a, _), (b, _) in pairwise(told))
    scored = [found.score for found in first.looked if found.score is not None]
    assert scored == sorted(scored) and first.score <= scored[0]
    assert all(row["amplification in inversion"] <= judge.GROWTH_LIMIT for row in first.facts)


def test_the_record_holds_the_best_of_each_choice(little: None) -> None:
    record = tables.as_record(search.Search(LITTLE, 64, 5).run())
    for rule, best in record["best of each choice"]["rule"].items():
        scores = [p["score"] for p in record["points"] if p["rule"] == rule and p["score"] is not None]
        assert best["score"] == (min(scores) if scores else None)
    assert {p["spacing"] for p in record["points"]} == {"bent", "free"}
    # Every cell was looked at.
    assert {(p["rule"], p["k"], p["spacing"]) for p in record["points"]} == {(c.rule, c.k, c.spacing) for c in LITTLE}
    for kind, score in tables.by_kind(record["points"]).items():
        same = [p for p in record["points"] if (p["rule"], p["k"], p["slopes"], p["spacing"]) == kind]
        assert score == min(p["score"] for p in same if p["score"] is not None)


def test_the_record_counts_each_point_once(little: None) -> None:
    outcome = search.Search(LITTLE, 64, 5).run()
    record = tables.as_record(outcome)
    points = record["points"]
    assert len({(found.cell, found.point) for found in outcome.looked}) == len(points)
    assert record["ranked"] == 64 and record["refined"] == len(points) - 64 > 0
    assert record["run at few steps"] == len([p for p in points if p["few"] is not None]) == 4
    assert record["dropped"] == len([p for p in points if p["rank"] is None])


def test_rank_and_score_agree_as_spearman_says() -> None:
    def found(rank: float, few: float | None) -> search.Found:
        return search.Found(LITTLE[0], (rank,), rank, few)

    def coefficient(*pairs: tuple[float, float | None]) -> float | None:
        return tables.agreement(found(*pair) for pair in pairs)["Spearman's coefficient of rank and score at few steps"]

    # Of n pairs 1 - 6 Σ d²/(n (n² - 1)), d the differences of places.
    assert coefficient((1, 10), (2, 30), (3, 20), (4, 40), (5, None)) == pytest.approx(1 - 6 * 2 / 60)
    assert coefficient((1, 1), (2, 1), (3, 1)) is coefficient((1, 1), (2, 2)) is None


def test_the_score_is_with_the_inverter_that_is_named(little: None) -> None:
    record = tables.as_record(outcome := search.Search(LITTLE, 64, 5).run())
    scores = [found.score for found in outcome.looked if found.score is not None]
    assert record["inverter of all points"] == space.NEUTRAL and record["score with it"] == scores[0] == min(scores)
    assert record["score"] == outcome.score <= record["score with it"]


def test_growth_beyond_the_limit_is_dropped(little: None) -> None:
    found = judge.Judge(problems.training(1, guidance=(1.0,), batch=1)[:1])
    damped = Design("x", "blend:k=3,theta=0.01", None, "flow", "adams", "leading", space.NEUTRAL)
    assert Sampler(parse(damped.method), damped.grid(Schedule.preset("ddpm"), 10)).amplification() > judge.GROWTH_LIMIT
    assert math.isinf(found.certified(damped)) and math.isfinite(found.score(damped))


def test_one_case_in_forty_weighs_in() -> None:
    """The score of what it says: means of logs, and the quantile of single cases."""
    found = judge.Judge(problems.training(1, guidance=(3.0,), batch=1)[:2])
    design = Design("x", "blend:k=3", Fraction(10), "flow", "adams", "bent:A=0.1,B=10,C=1", space.NEUTRAL)
    generation, seed = np.log(found.ratios(design))
    assert generation.shape == (8, 6)
    beyond = sorted(generation.ravel())[-2:]
    # 48 cases: the quantile lies between the two worst, at 0.975·47 = 45.825 of 47.
    worst = sorted(generation.ravel())[45] + 0.825 * (beyond[0] - sorted(generation.ravel())[45])
    assert found.score(design) == pytest.approx(generation.mean() + seed.mean() / 2 + worst)
    few = np.log(found.ratios(design, few=True))
    assert np.allclose(few, np.log(found.ratios(design))[:, [0, 1, 4, 5]])


def test_the_baseline_scores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge.Judge(problems.training(1, guidance=(1.0,), batch=1)[:2])
    baseline = Design("x", judge.BASELINE, None, "noise", "adams", judge.USUAL, judge.BASELINE)
    assert found.score(baseline) == pytest.approx(0, abs=1e-12) and math.isinf(found.certified(baseline))
    monkeypatch.setattr(judge, "GROWTH_LIMIT", math.inf)
    assert found.certified(baseline) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rules", "belm"], "rules"), (["--k", "6"], "k"), (["--frames", "sideways"], "frames"),
        (["--slopes", "t"], "slopes"), (["--spacings", "even"], "spacings"), (["--starts", "cold"], "starts"),
        (["--budget", "3"], "budget = 3"), (["--seed", "-1"], "--seed -1"), (["--name", "A b"], "--name 'A b'"),
        (["--rules", "o-belm", "--k", "3"], "nothing is left to search"),
    ],
)  # fmt: skip
def test_wrong_calls_are_one_line_and_leave_nothing(run, tmp_path: Path, arguments: list[str], message: str) -> None:
    out = tmp_path / "out"
    result = run("design", *arguments, "--out", str(out))
    assert result.code == 2 and message in result.err and len(result.err.strip().splitlines()) == 1
    assert not out.exists()


def test_what_the_command_writes_runs_and_holds(run, tmp_path: Path, little: None) -> None:
    out = tmp_path / "d"
    arguments = ("--rules", "blend", "--k", "3", "--slopes", "s", "--budget", "64", "--name", "quick")
    result = run("design", *arguments, "--out", str(out))
    assert result.code == 0, result.err
    assert sorted(path.name for path in out.iterdir()) == [
        "design-quick.json", "design_quick.py", "quick.json", "search.json"
    ]  # fmt: skip
    record = json.loads((out / "search.json").read_text())
    assert record["asked"]["rules"] == "blend" and len(record["settings"]) == 1
    # The entry goes where a method and a spacing are named, and names what the search found.
    entry, schedule = str(out / "quick.json"), Schedule.preset("sd15")
    design = Design.read(entry)
    assert (design.method, design.spacing) == (record["best"]["method"], record["best"]["grid"])
    sampler = Sampler(entry, schedule.grid(20, entry))
    assert sampler.method == design.method_on(20) and np.array_equal(sampler.grid.sbar, design.grid(schedule, 20).sbar)
    # Its page derives the certificate that lies beside it, and the checker accepts it.
    scope: dict = {}
    exec(compile((out / "design_quick.py").read_text(), "design_quick.py", "exec"), scope)
    assert scope["derive"]().as_dict() == json.loads((out / "design-quick.json").read_text())
    assert scope["DESIGN"] == written.as_data(design)
    assert run("check", str(out / "design-quick.json")).code == 0
    assert entry in result.out
    (few,) = (line for line in result.out.splitlines() if line.startswith("64 points of "))
    assert f"refining made {len(record['points']) - 64} more" in few and "ran at few steps" in few
    assert f"{design.inverter} inverts x_0" in result.out and f"with {space.NEUTRAL} to invert" in result.out


def test_a_certificate_that_does_not_hold_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("belm_theory.checker.check", lambda found: ["the nodes do not increase"])
    design = Design("x", "open:k=3", None, "flow", "adams", "logsnr", space.NEUTRAL)
    with pytest.raises(ArithmeticError, match="nodes do not increase"):
        written.write(design, {"found": 1}, "", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


def test_without_a_certificate_the_command_keeps_what_it_found(
    run, tmp_path: Path, little: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("belm_theory.checker.check", lambda found: ["the nodes do not increase"])
    arguments = ("--rules", "blend", "--k", "3", "--slopes", "s", "--budget", "64", "--out", str(tmp_path / "d"))
    result = run("design", *arguments)
    assert result.code == 1 and "nodes do not increase" in result.err and "Traceback" not in result.err
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["search.json"]


@pytest.mark.parametrize("name", ["", "Mine", "a b", "../x", "1st", "search", "blend", "leading", "exp-x", "design-x"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(InputError, match="--name"):
        written.check_name(name)
