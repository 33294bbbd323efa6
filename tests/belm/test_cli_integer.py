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


def test_a_bound_of_many_digits_is_on_record_with_all_of_them(run, tmp_path):
    bound = "integer:bound=61439.99"
    assert run("sample", *SMALL, "--arithmetic", bound, "--out", tmp_path / "run").code == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["arithmetic"] == bound
    assert "every bit came back" in run("invert", "--state", tmp_path / "run").out


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


# ---- tasks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [[], ["--batch-size", 2]])
def test_reconstruct_gives_every_bit(run, sampled, tmp_path, batch):
    code, out, _ = run("reconstruct", "--state", sampled, *batch, "--out", tmp_path / "again")
    assert code == 0 and "picture made again: every bit came back" in out
    one, other = (State.load(folder / "state.safetensors") for folder in (sampled, tmp_path / "again"))
    assert all(torch.equal(a, b) for a, b in zip(one.history, other.history, strict=True))
    assert one.conditions == other.conditions


@pytest.mark.parametrize("method", ["open:k=3", "o-belm", "bdia:gamma=0.5", "edict:p=0.93"])
def test_reconstruct_gives_every_bit_of_bare_pictures(run, files, tmp_path, method):
    options = ["--steps", "10", "--label", "3,7", "--method", method, "--arithmetic", "integer"]
    # That the start of a bare picture is amplified is still said.
    code, out, err = run("reconstruct", *files, *options, "--out", tmp_path / "again", "--format", "json")
    record = json.loads(out)
    assert code == 0 and bool(err) == (method in ("o-belm", "bdia:gamma=0.5"))
    assert record["bits"] == {"different": 0, "numbers": 128} and record["arithmetic"] == "integer:batch=2"


def test_the_first_steps_from_a_bare_picture_are_at_the_batch_size_too(told, files, tmp_path):
    options = ["--steps", "8", "--label", "3,7", "--arithmetic", "integer:batch=3"]
    record = told("reconstruct", *files, *options, "--out", tmp_path / "again")
    assert record["bits"]["different"] == 0 and record["calls"] > 16, "with the climb"


def test_floats_say_nothing_of_bits(told, files, tmp_path):
    record = told("reconstruct", *files, "--steps", "8", "--out", tmp_path / "floats")
    assert record["bits"] is None and record["error"]["max"] > 0


def test_from_the_noise_alone_bits_differ(told, files, tmp_path):
    record = told("reconstruct", *files, "--steps", "8", "--alone", "--arithmetic", "integer", "--out", tmp_path / "a")
    assert record["bits"]["different"] == 128


def test_a_sample_in_its_png_knows_its_place_in_the_batch(run, told, tmp_path):
    folder = tmp_path / "run"
    assert run("sample", *SMALL, "--arithmetic", "integer", "--embed", "--out", folder).code == 0
    record = told("reconstruct", folder / "sample-001.png", folder / "sample-002.png", "--out", tmp_path / "again")
    assert record["bits"] == {"different": 0, "numbers": 128} and record["label"] == [2, 3]
    whole, part = (State.load(path / "state.safetensors") for path in (folder, tmp_path / "again"))
    assert torch.equal(whole[1:].x, part.x) and part.conditions["place_in_batch"] == 1


def test_pictures_that_do_not_follow_each_other_are_refused(run, refused, tmp_path):
    assert run("sample", *SMALL, "--arithmetic", "integer", "--embed", "--out", tmp_path / "run").code == 0
    pictures = [tmp_path / "run" / f"sample-{n:03d}.png" for n in (0, 2)]
    refused("reconstruct", *pictures, "--out", tmp_path / "no", holds=("place_in_batch is 1 there and 2 here",))
    assert not (tmp_path / "no").exists()


def test_an_edit_to_its_own_label_gives_every_bit(told, sampled, tmp_path):
    same = ["--to-label", "1,2,3", "--guidance", 1]
    told("edit", "--state", sampled, *same, "--keep", 0, "--out", tmp_path / "same")
    told("edit", "--state", sampled, "--to-label", 8, "--keep", 0, "--out", tmp_path / "other")
    states = [State.load(folder / "state.safetensors") for folder in (sampled, tmp_path / "same", tmp_path / "other")]
    assert torch.equal(states[0].x, states[1].x) and not torch.equal(states[0].x, states[2].x)
    # The edited picture is a state of integers itself.
    assert told("reconstruct", "--state", tmp_path / "other", "--out", tmp_path / "back")["bits"]["different"] == 0


def test_pictures_between_are_integers_too(run, told, tmp_path):
    one = ["--steps", "8", "--num", "2", "--label", "3", "--arithmetic", "integer:batch=1"]
    assert run("sample", *one, "--out", tmp_path / "two").code == 0
    told("interpolate", "--state", tmp_path / "two", "--between", 2, "--out", tmp_path / "path")
    assert told("reconstruct", "--state", tmp_path / "path", "--out", tmp_path / "back")["bits"]["different"] == 0
    first = ["--steps", "8", "--label", "3", "--between", 1, "--arithmetic", "integer"]
    record = told("interpolate", *first, "--out", tmp_path / "first")
    assert record["arithmetic"] == "integer:batch=1"


def test_force_is_not_on_record(run, told, sampled, tmp_path):
    record = told("invert", "--state", sampled, "--force", "--out", tmp_path / "forced")
    assert record["bits"]["different"] == 0 and record["arithmetic"] == "integer:batch=3"


def test_what_tasks_refuse(run, refused, tmp_path):
    small = ["--steps", "8", "--num", "2"]
    assert run("sample", *small, "--out", tmp_path / "f").code == 0
    assert run("sample", *small, "--arithmetic", "integer", "--out", tmp_path / "i").code == 0
    words = "not made in integer arithmetic", "--force"
    refused("reconstruct", "--state", tmp_path / "f", "--arithmetic", "integer", "--out", tmp_path / "no", holds=words)
    words = "made 2 at a time", "integer:batch=1"
    refused("interpolate", "--state", tmp_path / "i", "--out", tmp_path / "no", holds=words)
    assert not (tmp_path / "no").exists()


def test_other_conditions_are_refused_and_can_be_forced(run, refused, sampled):
    torch.use_deterministic_algorithms(True)
    try:
        words = "deterministic_algorithms is false there and true here", "--force"
        refused("invert", "--state", sampled, holds=words)
        assert run("invert", "--state", sampled, "--force").code == 0
        assert run("reconstruct", "--state", sampled, "--force", "--out", sampled / "again").code == 0
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(("then", "now"), [("float32", "float64"), ("bfloat16", "float32")])
def test_another_dtype_of_the_network_is_refused_and_can_be_forced(run, refused, tmp_path, then, now):
    folder, other = tmp_path / "run", ["--dtype", now, "--out", tmp_path / "other"]
    assert run("sample", *SMALL, "--dtype", then, "--arithmetic", "integer", "--out", folder).code == 0
    words = f"the model computes in {now}, and computed in {then} when the state was made", "--force"
    refused("invert", "--state", folder, *other, holds=words)
    refused("reconstruct", "--state", folder, *other, holds=words)
    assert not (tmp_path / "other").exists()
    assert "every bit came back" in run("invert", "--state", folder).out
    assert "numbers differ" in run("invert", "--state", folder, *other, "--force").out


@pytest.mark.parametrize(
    ("options", "holds"),
    [
        (["--arithmetic", "integer", "--method", "ddim"], ("ddim has a_k = 0", "no inverse")),
        (["--arithmetic", "integer", "--method", "bdia:gamma=0.5", "--steps", "100"], ("does not fit", "fewer steps")),
        (["--arithmetic", "integer", "--method", "open:k=3", "--steps", "2"], ("no row to invert", "need 3 or more")),
        (["--arithmetic", "integer:bits=3"], ("bits=3 is not an option",)),
        (["--arithmetic", "integer:batch=99999999999999999999"], ("from 1 to 1048576", "not 99999999999999999999")),
        (["--arithmetic", "integer:batch=1e30", "--batch-size", "2"], ("batch must be a whole number from 1",)),
        (["--arithmetic", "integer:bound=1e-300"], ("bound = 1e-300 must be ≥ 1",)),
        (["--arithmetic", "integer:batch=2"], ("sees 2 samples at a time", "3 have a label", "--batch-size")),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(refused, tmp_path, options, holds):
    refused("sample", *SMALL, *options, "--out", tmp_path / "no", holds=holds)
    assert not (tmp_path / "no").exists()
