"""`belm reconstruct`, `edit`, `interpolate`, and `belm invert` on picture files, on the embedded model."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from belm_runtime import Sampler, Schedule, State, digits
from belm_runtime.png import carries, extract
from belm_runtime.tasks import edit, interpolate, reconstruct

SCHEDULE = Schedule.preset("ddpm")
FEW = ["--steps", "8"]


def values(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).astype(float)).reshape(1, 1, 8, 8) / 127.5 - 1


def pixels(picture: torch.Tensor) -> np.ndarray:
    """The picture (1, 8, 8) as its file should have it."""
    return ((picture[0].clamp(-1, 1) + 1) * 127.5).round().numpy().astype(np.uint8)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def model(label: int | list[int] | None, guidance: float = 1.0, dtype: torch.dtype = torch.float64):
    return digits.denoiser(label, guidance, dtype=dtype)


# ---- what is done ------------------------------------------------------------------------------------------


def test_reconstruct_bare_pictures(told, files, tmp_path):
    out = tmp_path / "again"
    record = told("reconstruct", *files, *FEW, "--label", "3,7", "--out", out)
    expected = ["grid.png", "noise.safetensors", "run.json", "seven-again.png", "state.safetensors", "three-again.png"]
    assert listed(out) == sorted(record["files"]) == expected
    sampler = Sampler("open:k=3", SCHEDULE.grid(8))
    x = torch.cat([values(path) for path in files])
    made = reconstruct(sampler, model([3, 7]), x, schedule=SCHEDULE)
    assert torch.equal(State.load(out / "noise.safetensors").x, made.turn.x)
    assert (record["method"], record["from"], record["calls"]) == ("open:k=3", "x_0", made.calls)
    assert record["error"]["max"] < 1e-10
    for path in files:
        again = Image.open(out / f"{path.stem}-again.png")
        assert np.array_equal(np.asarray(again), np.asarray(Image.open(path)))


def test_reconstruct_from_the_noise_alone_is_approximate(told, files, tmp_path):
    record = told("reconstruct", *files, *FEW, "--alone", "--out", tmp_path / "alone")
    assert record["error"]["rms"] > 1e-3 and record["alone"] is True


def test_edit_is_the_task_on_the_embedded_model(told, files, tmp_path):
    out = tmp_path / "edited"
    record = told("edit", *files, *FEW, "--label", "3,7", "--to-label", 8, "--keep", 0.25, "--out", out)
    sampler = Sampler("blend:k=3,theta=0.9", SCHEDULE.grid(8))
    x = torch.cat([values(path) for path in files])
    made = edit(sampler, model([3, 7]), model(8, 3.0), x, keep=0.25, schedule=SCHEDULE)
    assert torch.equal(State.load(out / "state.safetensors").x, made.state.x)
    assert (record["turn"], record["label"], record["guidance"], record["calls"]) == (6, 8, 3.0, made.calls)
    assert record["source"] == {"label": [3, 7], "guidance": 1.0}
    shown = np.asarray(Image.open(out / "seven-edited.png"))
    assert np.array_equal(shown, pixels(made.state.x[1]))
    assert listed(out) == ["grid.png", "run.json", "seven-edited.png", "state.safetensors", "three-edited.png"]


def test_an_edit_to_its_own_label_and_guidance_gives_the_picture_back(told, files, tmp_path):
    record = told("edit", *files, *FEW, "--label", 3, "--to-label", 3, "--guidance", 1, "--out", tmp_path / "same")
    state = State.load(tmp_path / "same" / "state.safetensors")
    assert float((state.x - torch.cat([values(path) for path in files])).abs().max()) < 1e-10
    assert record["guidance"] == 1.0


def test_guidance_along_the_run(told, files, tmp_path):
    out = tmp_path / "along"
    record = told("edit", files[0], *FEW, "--to-label", 8, "--guidance", "1:4", "--out", out)
    assert record["guidance"] == "1:4"
    # What the record says is enough to go back: noise, and from there the picture again.
    told("reconstruct", "--state", out, "--out", tmp_path / "back")
    plain = told("edit", files[0], *FEW, "--to-label", 8, "--guidance", "4", "--out", tmp_path / "plain")
    assert plain["guidance"] == 4.0
    ends = [State.load(folder / "state.safetensors").x for folder in (out, tmp_path / "back", tmp_path / "plain")]
    assert float((ends[0] - ends[1]).abs().max()) < 1e-10 < 1e-3 < float((ends[0] - ends[2]).abs().max())


def test_interpolate_is_the_task_on_the_embedded_model(told, files, tmp_path):
    out = tmp_path / "path"
    record = told("interpolate", *files, *FEW, "--between", 3, "--label", 3, "--out", out)
    sampler = Sampler("open:k=3", SCHEDULE.grid(8))
    path = interpolate(sampler, model(3), *(values(p) for p in files), [0.25, 0.5, 0.75], schedule=SCHEDULE)
    assert record["weights"] == [0.25, 0.5, 0.75] and record["calls"] == path.calls
    state = State.load(out / "state.safetensors")
    assert torch.equal(state.x, torch.cat([made.x for made in path.states]))
    pictures = [f"between-{n}.png" for n in (1, 2, 3)]
    assert listed(out) == [*pictures, "grid.png", "run.json", "state.safetensors"]


def test_interpolating_between_two_labels_mixes_them_and_keeps_no_state(told, files, tmp_path):
    out = tmp_path / "path"
    told("interpolate", *files, *FEW, "--between", 1, "--label", 3, "--to-label", 7, "--out", out)
    sampler = Sampler("open:k=3", SCHEDULE.grid(8))
    ends = [values(path) for path in files]
    path = interpolate(sampler, model(3), *ends, [0.5], second_model=model(7), schedule=SCHEDULE)
    assert listed(out) == ["between-1.png", "grid.png", "run.json"]
    assert np.array_equal(np.asarray(Image.open(out / "between-1.png")), pixels(path.states[0].x[0]))


def test_without_a_source_the_pictures_are_sampled_first(told, tmp_path):
    record = told("edit", *FEW, "--seed", 4, "--num", 2, "--label", 3, "--to-label", 8, "--out", tmp_path / "e")
    assert record["num"] == 2 and record["from"] == "state" and record["method"] == "blend:k=3,theta=0.8"
    again = told("reconstruct", *FEW, "--seed", 4, "--num", 2, "--label", 3, "--out", tmp_path / "r")
    noise = SCHEDULE.grid(8).noise((2, 1, 8, 8), 4)
    assert float((State.load(tmp_path / "r" / "noise.safetensors").x - noise).abs().max()) < 1e-10
    assert again["seed"] == 4 and again["error"]["max"] < 1e-11
    assert told("interpolate", *FEW, "--between", 1, "--out", tmp_path / "i")["num"] == 1


def test_what_was_done_is_said_in_words(run, files, tmp_path):
    out = run("edit", files[0], *FEW, "--label", 3, "--to-label", 8, "--out", tmp_path / "e").out
    assert "turned at node 5: 1 picture from 3 to 8, " in out and "three-edited.png" in out
    out = run("reconstruct", files[0], *FEW, "--out", tmp_path / "r").out
    assert "from x_0 to noise and back" in out and "picture made again: max error" in out
    assert "2 pictures between two" in run("interpolate", *files, *FEW, "--between", 2, "--out", tmp_path / "i").out


@pytest.mark.parametrize("task", ["reconstruct", "edit"])
def test_the_batch_size_changes_nothing_but_rounding(told, files, tmp_path, task):
    third = tmp_path / "in" / "third.png"
    shutil.copy(files[0], third)
    label = ["--label", "3,7,1", *(["--to-label", "8,9"] if task == "edit" else [])]
    ends = []
    for size in ((), ("--batch-size", 2)):
        out = tmp_path / f"by{len(size)}"
        record = told(task, *files, third, *FEW, *label, *size, "--out", out)
        ends.append((State.load(out / "state.safetensors").x, record))
    assert float((ends[0][0] - ends[1][0]).abs().max()) < 1e-10
    assert ends[1][1]["calls"] == 2 * ends[0][1]["calls"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_model_may_be_coarser_than_the_states(told, files, tmp_path, dtype):
    out = tmp_path / "coarse"
    record = told("reconstruct", *files, *FEW, "--dtype", dtype, "--out", out)
    noise = State.load(out / "noise.safetensors")
    assert record["dtype"] == dtype and {x.dtype for x in noise.history} == {torch.float64}
    x = torch.cat([values(path) for path in files])
    sampler = Sampler("open:k=3", SCHEDULE.grid(8))
    made = sampler.invert(model(None, dtype=getattr(torch, dtype)), x, schedule=SCHEDULE)
    assert torch.equal(noise.x, made.x)


def test_the_grid_is_a_picture_of_every_row(told, files, tmp_path):
    sizes = {}
    for task, more in (("reconstruct", ()), ("edit", ("--to-label", 8)), ("interpolate", ("--between", 2))):
        told(task, *files, *FEW, *more, "--out", tmp_path / task)
        with Image.open(tmp_path / task / "grid.png") as grid:
            sizes[task] = grid.size
            assert len(set(np.asarray(grid.convert("L")).ravel().tolist())) > 20
    assert sizes["reconstruct"] == sizes["edit"] and sizes["interpolate"][1] < sizes["edit"][1]


# ---- states that travel ------------------------------------------------------------------------------------


def test_a_png_that_carries_its_state_leads_back_exactly(told, carrying, tmp_path):
    pictures = [carrying / f"sample-00{n}.png" for n in (2, 0)]
    record = told("invert", *pictures, "--out", tmp_path / "noise")
    assert (record["from"], record["label"], record["guidance"]) == ("state", [3, 3], 2.0)
    # These are samples 2 and 0, not the first two of the seed: there is nothing to compare with.
    assert record["seed"] is None and record["error"] is None
    noise = SCHEDULE.grid(8).noise((3, 1, 8, 8), 5)[[2, 0]]
    assert float((State.load(tmp_path / "noise" / "noise.safetensors").x - noise).abs().max()) < 1e-11
    bare = told("invert", *pictures, "--bare", *FEW, "--label", 3, "--out", tmp_path / "bare")
    assert (bare["from"], bare["method"]) == ("x_0", "open:k=3")


def test_an_edited_picture_carries_its_own_state(told, carrying, tmp_path):
    told("edit", "--state", carrying, "--to-label", "8,1,0", "--embed", "--out", tmp_path / "e")
    picture = tmp_path / "e" / "sample-001-edited.png"
    state, note = extract(picture.read_bytes())
    assert torch.equal(state.x, State.load(tmp_path / "e" / "state.safetensors").x[1:2])
    assert json.loads(note)["label"] == 1
    record = told("reconstruct", picture, "--out", tmp_path / "r")
    assert record["label"] == [1] and record["guidance"] == 3.0 and record["error"]["max"] < 1e-11


def test_without_embed_nothing_is_carried(told, files, tmp_path):
    told("reconstruct", files[0], *FEW, "--out", tmp_path / "r")
    assert not carries((tmp_path / "r" / "three-again.png").read_bytes())


def test_the_state_of_a_sampling_run_is_used_as_it_is(told, carrying, tmp_path):
    record = told("reconstruct", "--state", carrying, "--out", tmp_path / "r")
    assert (record["method"], record["label"], record["seed"]) == ("blend:k=3,theta=0.8", [3, 7, 3], 5)
    assert record["error"]["max"] < 1e-11
    noise = SCHEDULE.grid(8).noise((3, 1, 8, 8), 5)
    assert float((State.load(tmp_path / "r" / "noise.safetensors").x - noise).abs().max()) < 1e-11


def test_the_samples_of_a_shard_are_not_taken_for_the_first_of_their_seed(told, tmp_path):
    told("sample", *FEW, "--num", 3, "--batch-size", 2, "--states", "--seed", 5, "--out", tmp_path / "shards")
    for shard, known in ((0, True), (1, False)):
        out = tmp_path / f"again-{shard}"
        told("reconstruct", "--state", tmp_path / "shards" / f"shard-0000{shard}.safetensors", "--out", out)
        record = told("invert", "--state", out)
        assert record["seed"] == (5 if known else None)
        assert (record["error"]["max"] < 1e-10) if known else record["error"] is None


def test_a_damped_method_on_bare_pictures_warns_in_one_line(run, files, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = run("reconstruct", files[0], "--steps", 20, "--method", "o-belm", "--out", tmp_path / "r")
    assert code == 0 and err.count("\n") == 1
    batches = ["--batch-size", 1, "--out", tmp_path / "s"]
    assert run("reconstruct", *files, "--steps", 20, "--method", "o-belm", *batches).err == err
    assert err.startswith("warning: inverting o-belm on this grid from a bare x_0 amplifies")
