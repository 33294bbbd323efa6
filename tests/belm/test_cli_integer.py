"""`belm sample --arithmetic integer` and `belm invert`: every bit of the noise, or the reason why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from belm_runtime import Sampler, Schedule, State

SMALL = ["--steps", "8", "--num", "3", "--seed", "2", "--label", "1,2,3"]


@pytest.fixture
def sampled(run, tmp_path) -> Path:
    folder = tmp_path / "run"
    assert run("sample", *SMALL, "--arithmetic", "integer", "--out", folder).code == 0
    return folder


def test_every_bit_comes_back(run, sampled):
    code, out, _ = run("invert", "--state", sampled)
    assert code == 0 and "round trip: every bit came back; rounding had moved the noise of seed 2 by at most 7" in out
    grid = Schedule.preset("ddpm").grid(8)
    expected = Sampler("blend:k=3", grid, arithmetic="integer").rounded(grid.noise((3, 1, 8, 8), 2))
    assert torch.equal(State.load(sampled / "noise.safetensors").x, expected)
    assert json.loads((sampled / "run.json").read_text())["arithmetic"] == "integer"


def test_for_machines_the_numbers_that_differ_are_counted(run, sampled):
    found = json.loads(run("invert", "--state", sampled, "--format", "json").out)
    assert found["bits"] == {"different": 0, "numbers": 192, "rounding": found["error"]["max"]}
    assert 0 < found["error"]["max"] < 1e-11


def test_the_state_alone_knows_that_it_is_of_integers(run, sampled, tmp_path):
    (sampled / "state.safetensors").rename(tmp_path / "alone.safetensors")
    known = ["--schedule", "ddpm", "--steps", "8", "--label", "1,2,3", "--guidance", "1", "--seed", "2"]
    code, out, _ = run("invert", "--state", tmp_path / "alone.safetensors", *known)
    assert code == 0 and "every bit came back" in out


def test_float64_says_nothing_of_bits(run, tmp_path):
    assert run("sample", *SMALL, "--out", tmp_path / "f").code == 0
    found = json.loads(run("invert", "--state", tmp_path / "f", "--format", "json").out)
    assert found["bits"] is None and found["error"]["max"] < 1e-12


def test_another_label_shows_in_the_bits(run, sampled):
    code, out, _ = run("invert", "--state", sampled, "--label", "4,5,6")
    assert code == 0 and "of 192 numbers differ" in out


def test_a_model_that_sees_one_batch_size(run, tmp_path):
    six = ["--steps", "8", "--num", "6", "--seed", "2", "--label", "1,2,3,4,5,6"]
    pad = ["--arithmetic", "integer:batch=8"]
    for name, options in (("three", SMALL), ("six", six)):
        assert run("sample", *options, *pad, "--out", tmp_path / name).code == 0
        assert "every bit came back" in run("invert", "--state", tmp_path / name).out
    three, six_states = (State.load(tmp_path / name / "state.safetensors").x for name in ("three", "six"))
    assert torch.equal(three, six_states[:3])


def test_the_last_shard_goes_back_as_it_was_made(run, tmp_path):
    shards = ["--steps", "8", "--num", "6", "--batch-size", "4", "--states", "--label", "all"]
    assert run("sample", *shards, "--arithmetic", "integer", "--out", tmp_path / "s").code == 0
    for i in range(2):
        out = run("invert", "--state", tmp_path / "s" / f"shard-0000{i}.safetensors", "--out", tmp_path / str(i)).out
        assert "every bit came back" in out


def test_other_conditions_are_refused_and_can_be_forced(run, refused, sampled):
    torch.use_deterministic_algorithms(True)
    try:
        words = "deterministic_algorithms is false there and true here", "--force"
        refused("invert", "--state", sampled, holds=words)
        assert run("invert", "--state", sampled, "--force").code == 0
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("options", "holds"),
    [
        (["--arithmetic", "integer", "--method", "ddim"], ("ddim has a_k = 0", "no inverse")),
        (["--arithmetic", "integer", "--method", "bdia:gamma=0.5", "--steps", "100"], ("does not fit", "fewer steps")),
        (["--arithmetic", "integer:bits=3"], ("bits=3 is not an option",)),
        (["--arithmetic", "integer:batch=2"], ("sees 2 samples at a time", "3 have a label each", "--batch-size")),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(refused, tmp_path, options, holds):
    refused("sample", *SMALL, *options, "--out", tmp_path / "no", holds=holds)
    assert not (tmp_path / "no").exists()
