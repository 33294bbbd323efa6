"""What `belm reconstruct`, `edit` and `interpolate` refuse: one line, and nothing half-written."""

from __future__ import annotations

import json
import resource
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from belm_runtime import Sampler, Schedule, digits
from belm_runtime.png import chunk

SCHEDULE = Schedule.preset("ddpm")
FEW = ["--steps", "8"]


# ---- what is refused ---------------------------------------------------------------------------------------


def test_pictures_of_the_wrong_size_or_mode(refused, files, tmp_path):
    out = ["--out", tmp_path / "a" / "b"]
    for name, picture, words in (
        ("large.png", Image.new("L", (28, 28)), ("large.png", "L of 28×28", "grey pictures (L) of 8×8")),
        ("wide.png", Image.new("L", (9, 8)), ("wide.png", "9×8")),
        ("colour.png", Image.new("RGB", (8, 8)), ("colour.png", "RGB of 8×8", "convert('L')")),
        ("palette.png", Image.new("P", (8, 8)), ("palette.png", "P of 8×8")),
        ("deep.png", Image.new("I;16", (8, 8)), ("deep.png", "I;16")),
    ):
        picture.save(tmp_path / name)
        refused("reconstruct", files[0], tmp_path / name, *out, holds=words)
        refused("edit", tmp_path / name, "--to-label", 8, *out, holds=words)
        refused("interpolate", files[0], tmp_path / name, *out, holds=words)
        refused("invert", tmp_path / name, *out, holds=words)
    assert not (tmp_path / "a").exists()


def test_a_picture_is_refused_by_its_size_before_a_pixel_is_read(refused, tmp_path):
    """Files of 80 bytes; the pixels that they claim would be 121 MB, and 3.6 GB."""
    for side, words in ((11_000, ("L of 11000×11000",)), (60_000, ("bomb",))):
        head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        entries = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
        (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*entry) for entry in entries))
        refused("reconstruct", tmp_path / "huge.png", "--out", tmp_path / "out", holds=("huge.png", *words))


def test_files_that_are_no_pictures(refused, files, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(files[0].read_bytes()[:-30])
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    out = ["--out", tmp_path / "out"]
    for name, words in (
        ("none.png", ("none.png", "No such file")), ("text.png", ("text.png", "no picture")),
        ("empty.png", ("empty.png", "no picture")), ("cut.png", ("cut.png", "truncated")),
        ("cut.jpg", ("cut.jpg",)), ("in", ("in", "directory")),
    ):  # fmt: skip
        refused("reconstruct", tmp_path / name, *out, holds=words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["--method", "open:k=3"], ("another method", "open:k=3")),
        (["--steps", "9"], ("another grid",)),
        (["--spacing", "trailing"], ("another grid",)),
        (["--schedule", "sd15"], ("trained on", "ddpm")),
        (["--model", "google/ddpm"], ("'google/ddpm'", "digits")),
        (["--batch-size", "0"], ("--batch-size 0", "≥ 1")),
        (["--seed", "1"], ("--seed", "without pictures")),
        (["--dtype", "float8"], ("'float8'",)),
        (["--device", "cuda:99"], ("'cuda:99'",)),
        (["--format", "xml"], ("'xml'",)),
    ],
)
def test_states_of_other_runs_and_wrong_options(refused, carrying, tmp_path, arguments, holds):
    for source in (["--state", carrying], [carrying / "sample-000.png"]):
        refused("reconstruct", *source, *arguments, "--out", tmp_path / "out", holds=holds)
        refused("edit", *source, "--to-label", 8, *arguments, "--out", tmp_path / "out", holds=holds)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["edit", "--to-label", "12"], ("12", "0 … 9")),
        (["edit", "--to-label", "x"], ("'x'",)),
        (["edit", "--to-label", "8", "--label", "11"], ("11", "0 … 9")),
        (["edit", "--to-label", "8", "--guidance", "nan"], ("nan", "finite")),
        (["edit", "--to-label", "8", "--guidance", "1:x"], ("1:x", "noise to the data")),
        (["edit", "--to-label", "8", "--source-guidance", "inf"], ("inf", "finite")),
        (["edit", "--to-label", "8", "--keep", "1"], ("keep = 1", "[0, 1)")),
        (["edit", "--to-label", "8", "--steps", "8", "--keep", "0.8"], ("node 2", "below node 3")),
        (["edit", "--to-label", "8", "--method", "ddim"], ("ddim", "cannot be inverted")),
        (["edit"], ("to-label",)),
        (["interpolate", "--between", "0"], ("--between 0", "≥ 1")),
        (["interpolate"], ("two pictures, not 1",)),
        (["interpolate", "--to-label", "1,2"], ("'1,2'", "one label")),
        (["reconstruct", "--spacing", "trayling"], ("'trailing'",)),
        (["reconstruct", "--state", "run"], ("two sources",)),
    ],
)
def test_wrong_calls(refused, files, tmp_path, arguments, holds):
    task, *rest = arguments
    refused(task, files[0], *rest, "--out", tmp_path / "out", holds=holds)
    assert not (tmp_path / "out").exists()


def test_sources_that_do_not_belong_together(refused, carrying, files, tmp_path):
    out = ["--out", tmp_path / "out"]
    carrying = carrying / "sample-000.png"
    refused("reconstruct", carrying, files[0], *out, holds=("three.png", "carries no state", "--bare"))
    (tmp_path / "other").mkdir()
    shutil.copy(files[0], tmp_path / "other" / "three.png")
    refused("reconstruct", files[0], tmp_path / "other" / "three.png", *out, holds=("two pictures are named 'three'",))
    refused("invert", holds=("nothing to invert", "--state"))
    refused("sample", *FEW, "--embed", "--batch-size", 2, *out, holds=("--embed",))
    refused("reconstruct", "--num", 0, *out, holds=("--num 0",))
    assert not (tmp_path / "out").exists()


def test_pictures_of_two_runs_are_not_one_batch(told, refused, carrying, tmp_path):
    told("sample", *FEW, "--num", 1, "--guidance", 1, "--label", 1, "--embed", "--out", tmp_path / "second")
    (tmp_path / "second" / "sample-000.png").rename(tmp_path / "second" / "else.png")
    refused("reconstruct", carrying / "sample-000.png", tmp_path / "second" / "else.png", "--out", tmp_path / "out",
            holds=("different settings",))  # fmt: skip


def test_a_state_of_another_model_is_refused(refused, tmp_path):
    sampler = Sampler("open:k=3", SCHEDULE.grid(8))
    state = sampler.sample(lambda x, t: 0.5 * x, sampler.grid.noise((1, 4, 16, 16), 0))
    state.save(tmp_path / "state.safetensors")
    settings = ["--schedule", "ddpm", "--steps", 8, "--label", "any"]
    refused("reconstruct", "--state", tmp_path, *settings, "--out", tmp_path / "out",
            holds=("(4, 16, 16)", "another model", "(1, 8, 8)"))  # fmt: skip
    refused("reconstruct", "--state", tmp_path, "--out", tmp_path / "out", holds=("run.json", "--schedule"))
    assert not (tmp_path / "out").exists()


def test_the_noise_is_no_picture(refused, told, carrying, tmp_path):
    told("reconstruct", "--state", carrying, "--out", tmp_path / "r")
    for task, more in (("invert", ()), ("reconstruct", ()), ("edit", ("--to-label", 8))):
        refused(task, "--state", tmp_path / "r" / "noise.safetensors", *more, "--out", tmp_path / "out",
                holds=("noise.safetensors", "node 8", "node 0"))  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_picture_between_two_labels_carries_no_state(refused, files, tmp_path):
    refused("interpolate", *files, *FEW, "--label", 3, "--to-label", 7, "--embed", "--out", tmp_path / "out",
            holds=("--embed", "between 3 and 7"))  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over_the_source(refused, carrying, tmp_path):
    run = shutil.copytree(carrying, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for source in (("--state", run), ("--state", run / "state.safetensors"), (run / "sample-000.png",)):
        refused("reconstruct", *source, "--out", run, holds=("the source lies in", "overwritten", "--out"))
        refused("edit", *source, "--to-label", 8, "--out", run / ".." / "run", holds=("the source lies in",))
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize("entry", [{"arithmetic": ["float64"]}, {"device": None}, {"method": 3}, {"steps": "many"}])
def test_a_record_that_is_none_is_refused(refused, carrying, tmp_path, entry):
    run = shutil.copytree(carrying, tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, **entry}))
    refused("reconstruct", "--state", run, "--out", tmp_path / "out", holds=(*entry, str(*entry.values())))


def test_a_changed_or_damaged_picture_with_a_state_is_refused(refused, carrying, tmp_path):
    data = (carrying / "sample-000.png").read_bytes()
    for name, content, word in (
        ("cut.png", data[:-20], "truncated"), ("flipped.png", data[:-400] + b"?" + data[-399:], "damaged"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        refused("invert", tmp_path / name, holds=(name, word))
    assert not (tmp_path / "noise.safetensors").exists()


# ---- places that cannot be written ---------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(refused, monkeypatch, files, tmp_path):
    monkeypatch.setattr(Sampler, "invert", lambda *_, **__: pytest.fail("inverted"))
    (tmp_path / "file").write_text("kept")
    for task, more in (("reconstruct", ()), ("edit", ("--to-label", 8)), ("interpolate", (files[1],))):
        refused(task, files[0], *more, "--out", tmp_path / "file" / "b", holds=("file", "Not a directory"))
        refused(task, files[0], *more, "--out", tmp_path / "file", holds=("file", "File exists"))
    assert (tmp_path / "file").read_text() == "kept"


def test_a_read_only_folder_is_refused(refused, monkeypatch, files, tmp_path):
    """As root every folder is writable, so what the system would say is said for it."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    refused("edit", files[0], "--to-label", 8, "--out", tmp_path / "out", holds=("out", "Permission denied"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", [400, 3000])
@pytest.mark.parametrize("task", ["reconstruct", "edit", "interpolate"])
def test_a_full_disk_is_exit_code_1_and_leaves_what_was_there(run, files, tmp_path, task, limit):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("kept")
    more = ["--to-label", 8] if task == "edit" else []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        code, said, err = run(task, *files, *FEW, *more, "--embed", "--out", out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, said) == (1, "") and err.startswith("error: cannot write") and err.count("\n") == 1
    assert [path.name for path in out.iterdir()] == ["run.json"] and (out / "run.json").read_text() == "kept"


def test_a_model_that_fails_is_exit_code_1_and_leaves_nothing(run, monkeypatch, files, tmp_path):
    monkeypatch.setattr(digits, "denoiser", lambda **_: lambda x, t: x * float("nan"))
    code, out, err = run("edit", files[0], *FEW, "--to-label", 8, "--out", tmp_path / "nan")
    assert (code, out) == (1, "") and "not finite" in err and err.count("\n") == 1
    assert not (tmp_path / "nan").exists()
