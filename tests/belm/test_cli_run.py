"""`belm sample` and `belm invert` on the embedded model."""

from __future__ import annotations

import json
import resource
import shutil
import struct
import warnings
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from belm.cli.picture import montage, png
from belm_runtime import Sampler, Schedule, State, digits
from belm_runtime.design import Design

SMALL = ["--steps", "10", "--num", "2"]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> Path:
    """A folder of `belm sample`: two sevens, ten steps."""
    from belm.cli.app import main

    folder = tmp_path_factory.mktemp("sampled") / "run"
    assert main(["sample", *SMALL, "--seed", "5", "--label", "7", "--guidance", "2", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(sampled, tmp_path) -> Path:
    return Path(shutil.copytree(sampled, tmp_path / "copy"))


def inverted(run, *arguments) -> dict:
    code, out, _ = run("invert", *arguments, "--format", "json")
    assert code == 0
    return json.loads(out)


def test_sample_writes_three_files(sampled):
    assert sorted(path.name for path in sampled.iterdir()) == ["run.json", "samples.png", "state.safetensors"]
    record = json.loads((sampled / "run.json").read_text())
    expected = {"model": "digits", "method": "blend:k=3,theta=0.8", "schedule": "ddpm", "spacing": "leading",
                "steps": 10, "seed": 5, "num": 2, "label": 7, "guidance": 2.0, "calls": 10,
                "frame": "flow"}  # fmt: skip
    assert expected.items() <= record.items()
    assert {"belm", "torch", "python"} <= set(record["versions"])


def test_sample_is_the_sampler_on_the_embedded_model(sampled):
    grid = Schedule.preset("ddpm").grid(10)
    model = digits.denoiser(label=7, guidance=2.0, dtype=torch.float64)
    state = Sampler("blend:k=3", grid).sample(model, grid.noise((2, 1, 8, 8), 5))
    stored = State.load(sampled / "state.safetensors")
    assert stored.nodes == (0, 1, 2) and stored.grid == grid.fingerprint
    torch.testing.assert_close(stored.x, state.x, rtol=0, atol=1e-12)


def test_sample_json_is_one_object(run, tmp_path):
    code, out, err = run("sample", *SMALL, "--label", "3,4", "--out", tmp_path / "deep" / "er", "--format", "json")
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert record["label"] == [3, 4] and record["out"] == str(tmp_path / "deep" / "er")
    assert record["files"] == ["run.json", "samples.png", "state.safetensors"]


def test_sample_says_what_it_did(run, tmp_path):
    out = run("sample", *SMALL, "--method", "edict", "--out", tmp_path / "e").out
    assert "2 samples, 20 model calls" in out and str(tmp_path / "e" / "samples.png") in out


@pytest.mark.parametrize("method", ["blend:k=3", "open:k=4", "bdia:gamma=1", "edict"])
def test_the_round_trip_is_exact_up_to_rounding(run, tmp_path, method):
    run("sample", *SMALL, "--method", method, "--seed", 1, "--label", 4, "--out", tmp_path)
    found = inverted(run, "--state", tmp_path)
    assert found["from"] == "state" and found["error"]["max"] < 1e-11
    back = State.load(tmp_path / "noise.safetensors")
    assert back.nodes[0] == 10
    noise = Schedule.preset("ddpm").grid(10).noise((2, 1, 8, 8), 1)
    assert float((back.x - noise).abs().max()) <= found["error"]["max"]


def test_float32_is_kept(run, tmp_path):
    run("sample", *SMALL, "--method", "open:k=3", "--arithmetic", "float32", "--out", tmp_path)
    found = inverted(run, "--state", tmp_path / "state.safetensors")
    assert State.load(tmp_path / "noise.safetensors").x.dtype == torch.float32
    assert found["arithmetic"] == "float32" and 1e-9 < found["error"]["max"] < 1e-2


def test_invert_prints_the_error_and_writes_beside_the_state(run, copy):
    code, out, err = run("invert", "--state", copy)
    assert (code, err) == (0, "")
    assert "2 samples inverted from state, 9 model calls" in out and "against the noise of seed 5" in out
    assert (copy / "noise.safetensors").is_file()
    assert not list(copy.glob(".belm*"))


def test_bare_inversion_is_approximate_and_may_change_the_method(run, copy, tmp_path):
    bare = inverted(run, "--state", copy, "--bare", "--out", tmp_path / "bare")
    neutral = inverted(run, "--state", copy, "--bare", "--method", "open:k=3", "--out", tmp_path / "open")
    assert bare["from"] == neutral["from"] == "x_0"
    assert bare["error"]["rms"] > 1e-3 and neutral["error"]["rms"] > 1e-3
    assert (neutral["method"], neutral["frame"]) == ("open:k=3", "flow")
    assert (tmp_path / "open" / "noise.safetensors").is_file()


def test_methods_without_inverse_go_back_approximately(run, refused, tmp_path):
    run("sample", *SMALL, "--method", "ddim", "--out", tmp_path)
    refused("invert", "--state", tmp_path, holds=("ddim", "cannot be inverted", "open:k=3"))
    refused("invert", "--state", tmp_path, "--bare", "--method", "ddim", holds=("ddim", "cannot be inverted"))
    assert inverted(run, "--state", tmp_path, "--approximate")["error"]["rms"] > 1e-3


def test_gamma_zero_cannot_be_inverted(run, refused, tmp_path):
    run("sample", *SMALL, "--method", "bdia:gamma=0", "--out", tmp_path)
    refused("invert", "--state", tmp_path, holds=("bdia:gamma=0", "a_k = 0"))
    assert not (tmp_path / "noise.safetensors").exists()


def test_amplification_is_one_line_on_stderr(run, tmp_path):
    run("sample", "--steps", 20, "--num", 1, "--method", "o-belm", "--out", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = run("invert", "--state", tmp_path)
    assert code == 0 and err.startswith("warning: inverting o-belm") and err.count("\n") == 1


def test_without_run_json_what_is_missing_is_named(run, refused, copy):
    (copy / "run.json").unlink()
    refused("invert", "--state", copy, holds=("--schedule", "--steps", "--label"))
    refused("invert", "--state", copy, "--schedule", "ddpm", "--steps", 10, "--label", 7, holds=("--guidance",))
    again = ["--schedule", "ddpm", "--steps", 10, "--label", 7, "--guidance", 2]
    assert inverted(run, "--state", copy, *again)["error"] is None
    assert inverted(run, "--state", copy, *again, "--seed", 5)["error"]["max"] < 1e-11


def test_another_label_is_another_way_back(run, copy):
    assert inverted(run, "--state", copy, "--label", "any")["error"]["max"] > 1e-3


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["--steps", "20"], ("another grid",)),
        (["--spacing", "trailing"], ("another grid",)),
        (["--method", "open:k=3"], ("another method", "open:k=3")),
        (["--schedule", "sd15"], ("trained on", "ddpm", "sd15")),
        (["--model", "elsewhere/model"], ("'elsewhere/model'", "digits")),
        (["--label", "12"], ("12", "0 … 9")),
        (["--label", "x"], ("'x'", "any")),
        (["--guidance", "nan"], ("nan", "finite")),
        (["--seed", "-1"], ("seed", "-1")),
        (["--device", "nowhere"], ("no device 'nowhere'",)),
        (["--steps", "0"], ("steps", "not 0")),
    ],
)
def test_invert_refuses_what_does_not_fit_the_state(refused, copy, arguments, holds):
    refused("invert", "--state", copy, *arguments, holds=holds)
    assert not (copy / "noise.safetensors").exists() and not list(copy.glob(".belm*"))


def test_invert_refuses_damaged_and_foreign_files(refused, copy, tmp_path):
    state = copy / "state.safetensors"
    refused("invert", "--state", tmp_path / "none.safetensors", holds=("none.safetensors", "cannot read"))
    refused("invert", "--state", tmp_path, holds=("state.safetensors", "cannot read"))
    (tmp_path / "cut.safetensors").write_bytes(state.read_bytes()[:-100])
    refused("invert", "--state", tmp_path / "cut.safetensors", holds=("cut.safetensors",))
    (tmp_path / "text.safetensors").write_text("not a state, though it is long enough to be read as a header")
    refused("invert", "--state", tmp_path / "text.safetensors", holds=("text.safetensors",))
    refused("invert", "--state", digits.WEIGHTS, holds=("belm state",))
    refused("invert", "--state", tmp_path / "sample-000.png", holds=("is a picture", "without --state"))
    (copy / "run.json").write_text("{")
    refused("invert", "--state", copy, holds=("run.json",))
    (copy / "run.json").write_text("[]")
    refused("invert", "--state", copy, holds=("run.json", "record"))


def test_bare_needs_a_state_at_node_0(run, refused, copy):
    inverted(run, "--state", copy)
    refused("invert", "--state", copy / "noise.safetensors", "--bare", holds=("node 10", "node 0"))


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["--model", "google/ddpm"], ("'google/ddpm'", "digits")),
        (["--method", "o-bem"], ("'o-bem'", "'o-belm'")),
        (["--method", "blend:k=3,theta=0"], ("theta = 0", "(0, 1]")),
        (["--schedule", "ddmp"], ("'ddmp'", "'ddpm'")),
        (["--schedule", "sd15"], ("trained on", "ddpm", "sd15")),
        (["--spacing", "trayling"], ("'trayling'", "'trailing'")),
        (["--steps", "0"], ("steps", "not 0")),
        (["--steps", "-1"], ("steps", "not -1")),
        (["--steps", "1001"], ("1001", "1000")),
        (["--num", "0"], ("--num 0", "≥ 1")),
        (["--seed", "-1"], ("seed", "-1")),
        (["--device", "nowhere"], ("no device 'nowhere'",)),
        (["--label", "10"], ("10", "0 … 9")),
        (["--label", "1,2,3", "--num", "2"], ("3 labels", "batch of 2")),
        (["--guidance", "inf", "--label", "1"], ("inf", "finite")),
        (["--arithmetic", "float16"], ("float16",)),
        (["--frame", "flaw"], ("'flaw'",)),
        (["--start", "euler"], ("'euler'", "adams, ddim")),
        (["--end", "last"], ("'last'",)),
        (["--format", "xml"], ("'xml'",)),
    ],
)
def test_sample_refuses_and_leaves_nothing(refused, tmp_path, arguments, holds):
    refused("sample", "--out", tmp_path / "a" / "b", *arguments, holds=holds)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(refused, monkeypatch, copy, tmp_path):
    monkeypatch.setattr(Sampler, "sample", lambda *_: pytest.fail("sampled"))
    monkeypatch.setattr(Sampler, "invert", lambda *_, **__: pytest.fail("inverted"))
    (tmp_path / "file").write_text("kept")
    refused("sample", *SMALL, "--out", tmp_path / "file" / "b", holds=("file", "Not a directory"))
    refused("sample", *SMALL, "--out", tmp_path / "file", holds=("file", "File exists"))
    refused("invert", "--state", copy, "--out", tmp_path / "file" / "b", holds=("file", "Not a directory"))
    assert (tmp_path / "file").read_text() == "kept"


def test_a_model_that_fails_is_exit_code_1_and_leaves_nothing(run, monkeypatch, tmp_path):
    monkeypatch.setattr(digits, "denoiser", lambda **_: lambda x, t: x * float("nan"))
    code, out, err = run("sample", *SMALL, "--out", tmp_path / "nan")
    assert (code, out) == (1, "") and "not finite" in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", [500, 4000])
def test_a_full_disk_is_exit_code_1_and_leaves_what_was_there(run, copy, limit):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        code, out, err = run("sample", "--steps", 10, "--num", 4, "--out", copy)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, out) == (1, "") and err.startswith("error: cannot write") and err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_png_is_the_montage():
    samples = np.linspace(-1.2, 1.2, 3 * 64).reshape(3, 8, 8)
    pixels = montage(np.rint((samples.clip(-1, 1) + 1) * 127.5).astype(np.uint8), 8)
    assert pixels.shape == (140, 140)
    assert pixels[4, 4] == 0 and pixels[0, 0] == 255 and (pixels[72:, 72:] == 255).all()
    assert pixels[72 + 10, 4 + 10] == round((samples[2, 1, 1].clip(-1, 1) + 1) * 127.5)
    data = png(pixels)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (140, 140)
    length = struct.unpack(">I", data[33:37])[0]
    assert data[37:41] == b"IDAT"
    lines = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(140, 141)
    assert (lines[:, 0] == 0).all() and (lines[:, 1:] == pixels).all()


# ---- designs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def design(tmp_path) -> Path:
    """A design's file in which frame and start are not those of its method."""
    file = tmp_path / "own.json"
    Design("own", "blend:k=3", Fraction(8), "q=1/2", "ddim", "free:s=0.02/0.1/0.5", "open:k=3").write(file)
    return file


def test_a_design_by_path_is_recorded_in_full_and_leads_back_without_its_file(design, tmp_path, run):
    out = tmp_path / "run"
    code, said, _ = run("sample", *SMALL, "--model", "digits", "--method", design, "--spacing", design, "--out", out)
    record = json.loads((out / "run.json").read_text())
    expected = {"method": "blend:k=3,theta=25/81", "frame": "q=1/2", "start": "ddim", "spacing": "free:s=0.02/0.1/0.5"}
    assert code == 0 and expected.items() <= record.items() and "free:s=0.02/0.1/0.5" in said
    grid = Schedule.preset("ddpm").grid(10, "free:s=0.02/0.1/0.5")
    sampler = Sampler("blend:k=3,theta=25/81", grid, frame=0.5, start="ddim")
    made = sampler.sample(digits.denoiser(dtype=torch.float64), grid.noise((2, 1, 8, 8), 0))
    torch.testing.assert_close(State.load(out / "state.safetensors").x, made.x, rtol=0, atol=1e-12)
    design.unlink()
    assert inverted(run, "--state", out)["error"]["max"] < 1e-10


def test_tables_take_a_design_and_what_is_said_over_it(design, run):
    told = json.loads(run("table", design, "--spacing", design, "--steps", "6", "--format", "json").out)
    otherwise = ("--frame", "flow", "--start", "adams")
    said = json.loads(run("table", design, "--steps", "6", *otherwise, "--format", "json").out)
    assert (told["method"], told["frame"], said["frame"]) == ("blend:k=3,theta=9/49", "q=1/2", "flow")
    assert told["rows"][1]["b"][1] == 0 != said["rows"][1]["b"][1]


def test_a_wrong_design_is_one_line(design, refused, tmp_path):
    design.write_text(design.read_text().replace("ddim", "dim"))
    for option in ("--method", "--spacing"):
        refused("sample", *SMALL, option, design, "--out", tmp_path / "out", holds=("own.json", "start", "'ddim'"))
    refused("table", tmp_path / "none.json", holds=("none.json", "No such file"))
    assert not (tmp_path / "out").exists()
