"""`belm bench`: lists what the folder holds, runs a file of it, and hands its exit code on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from belm.cli import bench

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["belm"])
    return tmp_path


def test_the_list_is_the_folder(run):
    listed = json.loads(run("bench", "--format", "json").out)["benchmarks"]
    files = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.name[0] != "_")
    assert [row["name"].replace("-", "_") for row in listed] == files
    assert all(row["measures"] for row in listed)
    text = run("bench").out.splitlines()
    assert len(text) == len(listed) and text[0].startswith(listed[0]["name"])


@pytest.mark.parametrize(("ends", "code"), [("1", 1), ("0", 0), ("", 0), (None, 0)])
def test_its_options_reach_it_and_its_exit_code_comes_back(run, folder, ends, code):
    last = "" if ends is None else f"raise SystemExit({ends})"
    (folder / "one_thing.py").write_text(f'"""Measure."""\nimport sys\nprint(__name__, sys.argv[1:])\n{last}\n')
    assert run("bench", "one-thing", "--steps", "3", "--help") == (code, "__main__ ['--steps', '3', '--help']\n", "")


def test_a_part_of_a_benchmark_can_be_imported_and_is_not_listed(run, folder):
    (folder / "_part.py").write_text("WORD = 'drawn'\n")
    (folder / "whole.py").write_text('"""Measure."""\nfrom _part import WORD\nprint(WORD)\n')
    before = list(sys.path)
    assert run("bench", "whole") == (0, "drawn\n", "") and sys.path == before
    assert run("bench").out.split() == ["whole", "Measure"]


def test_an_unknown_name_is_refused(refused, folder):
    (folder / "step.py").write_text('"""Measure."""\n')
    refused("bench", "stpe", holds=("'stpe'", "'step'"))


@pytest.mark.parametrize(
    ("name", "options", "holds"),
    [
        ("integer-cost", ["--rounds", "-1"], ("--rounds", "a whole number ≥ 1", "'-1'")),
        ("integer-cost", ["--rounds", "two"], ("--rounds", "'two'")),
        ("integer-cost", ["--steps", "0"], ("--steps", "a whole number ≥ 3", "'0'")),
        ("integer-cost", ["--steps", "2"], ("--steps", "'2'")),
        ("integer-cost", ["--shape", "8", "0"], ("--shape", "'0'")),
        ("integer-cost", ["--round", "1", "--wrong"], ("--wrong",)),
        ("gradient-cost", ["--rounds", "0"], ("--rounds", "'0'")),
        ("gradient-cost", ["--batch", "0"], ("--batch", "'0'")),
        ("gradient-cost", ["--batch", "1.5"], ("--batch", "'1.5'")),
        ("gradient-cost", ["--method", "obelm"], ("unknown method 'obelm'",)),
        ("gradient-cost", ["--method", "ddim"], ("ddim has a_k = 0",)),
        ("round-trip", ["--steps", "4"], ("--steps", "a whole number ≥ 5", "'4'")),
        ("round-trip", ["--steps", "ten"], ("--steps", "'ten'")),
        ("step", ["--steps", "0"], ("--steps", "'0'")),
        ("step", ["--repeats", "1"], ("--repeats", "a whole number ≥ 2", "'1'")),
        ("step", ["--threads", "-1"], ("--threads", "'-1'")),
        ("steering", ["--digit", "10"], ("--digit", "10")),
        ("steering", ["--rounds", "14"], ("--rounds", "a whole number ≥ 15", "'14'")),
        ("editing", ["--steps", "20", "2"], ("--steps", "a whole number ≥ 3", "'2'")),
        ("editing", ["--count", "1"], ("--count", "a whole number ≥ 2", "'1'")),
        ("bare-inversion", ["--steps", "1"], ("--steps", "a whole number ≥ 2", "'1'")),
        ("convergence-bound", ["--steps", "0"], ("--steps", "a whole number ≥ 1", "'0'")),
        ("gradient-cost", ["--method", "bdia:gamma=0.5"], ("does not fit bdia:gamma=0.5",)),
    ],
)
def test_wrong_options_are_refused_before_anything_is_printed(refused, monkeypatch, name, options, holds):
    monkeypatch.setattr(sys, "argv", ["belm"])
    refused("bench", name, *options, holds=holds)


def test_the_least_that_the_costs_can_measure(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["belm"])
    code, out, err = run("bench", "integer-cost", "--shape", "1", "2", "--steps", "3", "--rounds", "1")
    assert (code, err) == (0, "") and len(out.splitlines()) == 2 + 5


def test_the_best_of_each_kind_is_read_from_what_searches_found(run, refused, tmp_path, monkeypatch):
    def point(rule: str, spacing: str, score: float | None) -> dict:
        return {"rule": rule, "k": 3, "slopes": "s", "spacing": spacing, "score": score}

    def found(name: str, seed: int, *points: dict) -> Path:
        record = {"asked": {"seed": seed}, "inverter of all points": "echo:k=4,theta=1", "points": points}
        (tmp_path / name).write_text(json.dumps(record))
        return tmp_path / name

    monkeypatch.setattr(sys, "argv", ["belm"])
    first = found("0.json", 0, point("echo", "bent", -1), point("blend", "bent", -1.5), point("blend", "bent", -1.777))
    other = found("1.json", 1, point("blend", "bent", -1.7), point("blend", "free", -1.6), point("echo", "bent", None))
    code, out, err = run("bench", "design-scores", "--found", first, other)
    assert (code, err) == (0, "") and out.splitlines() == [
        "| kind (inverted by echo:k=4,theta=1) | seed 0 | seed 1 |", "|---|---|---|",
        "| blend, k = 3, slopes in s, bent | -1.78 | -1.70 |", "| echo, k = 3, slopes in s, bent | -1.00 |  |",
        "| blend, k = 3, slopes in s, free |  | -1.60 |",
    ]  # fmt: skip
    (tmp_path / "other.json").write_text("[]")
    for name, reason in (("absent.json", "No such file"), ("other.json", "no search.json")):
        refused("bench", "design-scores", "--found", tmp_path / name, holds=(name, reason))
    refused("bench", "design-scores", "--seeds", "-1", holds=("--seeds", "'-1'"))
