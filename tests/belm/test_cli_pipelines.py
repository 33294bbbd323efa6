"""The commands on pipelines: against the library on the same folder; states that find their model; what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers")

from belm_runtime import State
from belm_runtime.pipelines import Adapter, edit, generate, interpolate, reconstruct
from belm_runtime.pipelines.load import load

METHOD = "blend:k=3,theta=0.8"
WORDS = ["--prompt", "a cat", "--prompt", "one dog"]


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def pipe(pipelines: Path) -> Any:
    return load(str(pipelines / "sd"))


@pytest.fixture(scope="module")
def sampled(pipelines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two samples that carry their states, made with the folder named from inside its parent."""
    from belm.cli.app import main

    out = tmp_path_factory.mktemp("sampled") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(pipelines)
        more = ["--guidance", "3", "--negative-prompt", "bad", "--height", "16", "--width", "24"]
        arguments = ["sample", "--model", "sd", *WORDS, *more, "--steps", "8", "--seed", "4", "--embed"]
        assert main([*arguments, "--method", METHOD, "--out", str(out)]) == 0
    return out


# ---- what is done ----------------------------------------------------------------------------------------------------


def test_sample_is_the_library_on_the_same_folder(pipe: Any, sampled: Path, pipelines: Path) -> None:
    noise = Adapter(pipe, 8, size=(16, 24)).sampler.grid.noise((2, 4, 8, 12), 4)
    made = generate(
        pipe, latents=noise, num_inference_steps=8, prompt=["a cat", "one dog"], negative_prompt="bad",
        guidance_scale=3.0, settings={"method": METHOD},
    )  # fmt: skip
    state = State.load(sampled / "state.safetensors")
    assert torch.equal(state.x, made.run.x) and state.x.dtype == torch.float64
    record = json.loads((sampled / "run.json").read_text())
    assert record["model"] == str(pipelines / "sd") and record["label"] == ["a cat", "one dog"]
    for n in (0, 1):
        assert np.array_equal(read(sampled / f"sample-00{n}.png"), np.asarray(made.images[n]))
    # Two across, a gap of four around each.
    assert read(sampled / "samples.png").shape == (16 + 8, 2 * 24 + 12, 3)


def test_a_state_knows_its_model_and_inverts_on_another_day(told: Any, sampled: Path, tmp_path: Path) -> None:
    found = told("invert", "--state", sampled, "--out", tmp_path / "noise")
    assert found["error"]["max"] < 1e-10 and (found["guidance"], found["seed"]) == (3.0, 4)
    one = told("invert", sampled / "sample-001.png", "--out", tmp_path / "one")
    assert one["label"] == ["one dog"] and one["from"] == "state"
    noise = State.load(tmp_path / "noise" / "noise.safetensors")
    assert float((State.load(tmp_path / "one" / "noise.safetensors").x - noise.x[1:]).abs().max()) < 1e-10


def test_integers_lead_back_to_every_bit_each_sample_under_its_prompt(
    run: Any, told: Any, pipelines: Path, tmp_path: Path
) -> None:
    told("sample", "--model", pipelines / "sd", *WORDS, "--steps", 6, "--arithmetic", "integer:batch=3", "--embed",
         "--height", 16, "--width", 16, "--out", tmp_path / "run")  # fmt: skip
    for source in (["--state", tmp_path / "run"], [tmp_path / "run" / "sample-001.png"]):
        found = told("reconstruct", *source, "--out", tmp_path / f"again-{len(source)}")
        assert found["bits"]["different"] == 0 and found["bits"]["numbers"] > 0
    code, _, err = run("sample", "--model", pipelines / "sd", *WORDS, "--prompt", "a cat", "--steps", 6, "--arithmetic",
                       "integer:batch=2", "--out", tmp_path / "more")  # fmt: skip
    assert code == 2 and "2 samples at a time" in err and not (tmp_path / "more").exists()


def test_reconstruct_a_picture_file(told: Any, pipe: Any, pipelines: Path, sampled: Path, tmp_path: Path) -> None:
    picture = tmp_path / "bare.png"
    Image.open(sampled / "sample-000.png").save(picture)
    record = told(
        "reconstruct", picture, "--model", pipelines / "sd", "--prompt", "a cat", "--steps", 8, "--out", tmp_path / "r"
    )
    made = reconstruct(pipe, Image.open(picture), num_inference_steps=8, prompt="a cat")
    assert torch.equal(State.load(tmp_path / "r" / "state.safetensors").x, made.run.state.x)
    assert (record["from"], record["method"]) == ("x_0", "open:k=3") and record["error"]["max"] < 1e-10
    assert (record["height"], record["width"], record["calls"]) == (16, 24, made.run.calls)
    assert np.array_equal(read(tmp_path / "r" / "bare-again.png"), np.asarray(made.images[0]))
    assert Image.open(tmp_path / "r" / "grid.png").mode in ("RGB", "RGBA")


def test_edit_and_interpolate(told: Any, pipe: Any, sampled: Path, tmp_path: Path) -> None:
    state = State.load(sampled / "state.safetensors")
    words = {"negative_prompt": "bad", "source_guidance_scale": 3.0}
    record = told(
        "edit", "--state", sampled, "--to-prompt", "the end", "--keep", 0.25, "--guidance", "1:4", "--batch-size", 1,
        "--out", tmp_path / "e",
    )  # fmt: skip
    made = edit(
        pipe, state, ["a cat", "one dog"], "the end", keep=0.25, guidance_scale=lambda u: 4 - 3 * u, height=16,
        width=24, **words,
    )  # fmt: skip
    found = State.load(tmp_path / "e" / "state.safetensors")
    assert float((found.x - made.run.state.x).abs().max()) < 1e-5 and record["turn"] == 6
    assert record["label"] == "the end" and record["source"]["label"] == ["a cat", "one dog"]
    told("interpolate", "--state", sampled, "--between", 1, "--out", tmp_path / "i")
    between = interpolate(
        pipe, state[:1], state[1:], [0.5], prompt="a cat", second_text={"prompt": "one dog"}, negative_prompt="bad",
        guidance_scale=3.0,
    )  # fmt: skip
    assert np.array_equal(read(tmp_path / "i" / "between-1.png"), np.asarray(between.images[0][0]))


@pytest.mark.parametrize(
    ("arguments", "decoded"),
    [
        (["sample", "--model", "sd", *WORDS, "--steps", 5, "--embed"], 2),
        (["edit", "--to-prompt", "the end"], 2 + 2 + 2),  # the pictures, the states half-way, what came of them
        (["reconstruct"], 2 + 2 + 2),
        (["interpolate", "--between", 3], 2 + 3),
    ],
)
def test_nothing_is_decoded_twice(
    told: Any, pipelines: Path, sampled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str],
    decoded: int,
) -> None:  # fmt: skip
    from diffusers import AutoencoderKL

    seen, decode = [], AutoencoderKL.decode
    monkeypatch.setattr(AutoencoderKL, "decode", lambda self, z, **more: seen.append(len(z)) or decode(self, z, **more))
    monkeypatch.chdir(pipelines)
    source = [] if arguments[0] == "sample" else ["--state", sampled]
    told(*arguments, *source, "--out", tmp_path / "out")
    assert sum(seen) == decoded


def test_without_text_and_without_clipping(told: Any, refused: Any, pipelines: Path, tmp_path: Path) -> None:
    model = ["--model", pipelines / "ddpm", "--steps", 6, "--num", 2]
    refused("sample", *model, "--out", tmp_path / "x", holds=("clip_sample=True", "--unclipped"))
    told("sample", *model, "--unclipped", "--out", tmp_path / "run")
    record = told("reconstruct", "--state", tmp_path / "run", "--out", tmp_path / "again")
    assert record["unclipped"] is True and record["error"]["max"] < 1e-10
    assert not (tmp_path / "x").exists()


def test_shards_of_a_pipeline(told: Any, pipelines: Path, tmp_path: Path) -> None:
    """In float64: a batch of two and its second half alone differ by roundings of the network."""
    arguments = ["--model", pipelines / "sd", *WORDS, "--num", 3, "--steps", 4, "--seed", 2, "--dtype", "float64"]
    told("sample", *arguments, "--batch-size", 2, "--states", "--out", tmp_path / "shards")
    told("sample", *arguments, "--out", tmp_path / "whole")
    whole = State.load(tmp_path / "whole" / "state.safetensors").x
    second = told("invert", "--state", tmp_path / "shards" / "shard-00001.safetensors", "--out", tmp_path / "noise")
    assert second["label"] == ["a cat"] and second["error"]["max"] < 1e-10
    found = State.load(tmp_path / "shards" / "shard-00001.safetensors").x
    assert float((found - whole[2:]).abs().max()) < 1e-10


@pytest.mark.parametrize("kind", ["sdxl", "sd3", "flux"])
def test_every_command_on_the_other_kinds(told: Any, pipelines: Path, tmp_path: Path, kind: str) -> None:
    """The states that `sample` left find their way back by what it recorded, and nothing else."""
    size = ["--height", 16, "--width", 24, "--steps", 6, "--guidance", "1:3"]
    more = ["--unclipped", "--end", "zero", "--embed"]
    told("sample", "--model", pipelines / kind, *WORDS, *size, *more, "--out", tmp_path / "run")
    whole = told("invert", "--state", tmp_path / "run", "--out", tmp_path / "noise")
    assert whole["error"]["max"] < 1e-10
    one = told("reconstruct", tmp_path / "run" / "sample-001.png", "--out", tmp_path / "again")
    assert one["error"]["max"] < 1e-10 and one["label"] == ["one dog"]
    assert np.array_equal(read(tmp_path / "again" / "sample-001-again.png"), read(tmp_path / "run" / "sample-001.png"))
    told("edit", "--state", tmp_path / "run", "--to-prompt", "the end", "--out", tmp_path / "edited")
    before, after = (State.load(tmp_path / name / "state.safetensors").x for name in ("run", "edited"))
    assert float((after - before).abs().max()) > 1e-4
    told("interpolate", "--state", tmp_path / "run", "--between", 1, "--out", tmp_path / "path")
    assert read(tmp_path / "path" / "between-1.png").shape == (16, 24, 3)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_the_model_may_be_finer_or_coarser(told: Any, pipelines: Path, tmp_path: Path, dtype: str) -> None:
    told(
        "sample", "--model", pipelines / "sd", "--prompt", "a", "--dtype", dtype, "--steps", 4, "--out", tmp_path / "s"
    )
    found = told("invert", "--state", tmp_path / "s", "--out", tmp_path / "n")
    assert found["dtype"] == dtype and found["error"]["max"] < 1e-8


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["--model", "nowhere"], ("no folder 'nowhere'", "digits")),
        (["--model", "some/name"], ("cannot load", "'some/name'")),
        (["--model", "."], ("model_index.json",)),
        (["--model", "sound"], ("makes sound",)),
        (["--model", "broken"], ("cannot load", "broken")),
        (["--model", "sd", "--label", "3"], ("--label 3", "--prompt")),
        (["--model", "sd", "--schedule", "ddpm"], ("--schedule ddpm", "brings its own")),
        (["--model", "sd", "--prompt", "a", "--label", "3"], ("--label", "--prompt", "one of them")),
        (["--model", "sd", *WORDS, "--num", "1"], ("--prompt names 2", "at most 1")),
        (["--model", "sd", "--height", "16"], ("--height and --width",)),
        (["--model", "sd3", "--height", "16", "--width", "64"], ("64×16", "32×32 at most")),
        (["--model", "sd3", "--end", "first"], ("unknown end 'first'", "known: zero")),
        (["--model", "sd", "--end", "middle"], ("unknown end 'middle'", "first")),
        (["--model", "flux", "--negative-prompt", "bad"], ("--negative-prompt", "Flux", "true_cfg_scale")),
        (["--model", "sd", "--height", "15", "--width", "16"], ("16×15", "multiples of 2")),
        (["--model", "sd", "--method", "edict"], ("edict", "twice a step")),
        (["--model", "sd", "--guidance", "nan"], ("nan", "finite")),
        (["--model", "ddpm", "--unclipped", "--prompt", "a"], ("prompt", "without text")),
        (["--model", "ddpm", "--unclipped", "--guidance", "2"], ("without guidance",)),
        (["--model", "digits", "--prompt", "a"], ("'a'", "--label")),
        (["--model", "digits", "--height", "16"], ("--height", "for pipelines")),
        (["--model", "karras"], ("EDMEulerScheduler cannot be converted", "sigma_data")),
    ],
)  # fmt: skip
def test_wrong_calls(
    refused: Any, pipelines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], holds: Any
) -> None:
    monkeypatch.chdir(pipelines)
    if arguments[1] == "broken":
        shutil.copytree("sd", tmp_path / "broken")
        (tmp_path / "broken" / "unet" / "config.json").write_text("{")
        arguments = ["--model", str(tmp_path / "broken")]
    if arguments[1] == "karras":
        shutil.copytree("sd", tmp_path / "karras")
        config = {"_class_name": "EDMEulerScheduler", "sigma_data": 0.5}
        (tmp_path / "karras" / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
        index = json.loads((tmp_path / "karras" / "model_index.json").read_text())
        index["scheduler"] = ["diffusers", "EDMEulerScheduler"]
        (tmp_path / "karras" / "model_index.json").write_text(json.dumps(index))
        arguments = ["--model", str(tmp_path / "karras")]
    refused("sample", *arguments, "--steps", "4", "--out", tmp_path / "out", holds=holds)
    assert not (tmp_path / "out").exists()


def test_pictures_and_states_that_do_not_fit(
    refused: Any, pipelines: Path, sampled: Path, carrying: Path, tmp_path: Path
) -> None:
    model, out = ["--model", pipelines / "sd", "--prompt", "a", "--steps", 4], ["--out", tmp_path / "out"]
    for name, picture, words in (
        ("grey.png", Image.new("L", (16, 16)), ("grey.png", "is L", "convert('RGB')")),
        ("odd.png", Image.new("RGB", (15, 16)), ("15×16", "multiples of 2")),
    ):
        picture.save(tmp_path / name)
        refused("reconstruct", tmp_path / name, *model, *out, holds=words)
    for name, size in (("one.png", (16, 16)), ("two.png", (24, 16))):
        Image.new("RGB", size).save(tmp_path / name)
    refused("interpolate", tmp_path / "one.png", tmp_path / "two.png", *model, *out, holds=("two.png", "24×16"))
    refused("edit", tmp_path / "one.png", *model, *out, holds=("--to-label", "--to-prompt"))
    refused("reconstruct", "--state", sampled, "--model", pipelines / "ddpm", *out, holds=("made by the model", "sd"))
    refused("reconstruct", "--state", sampled, "--model", "digits", *out, holds=("made by the model", "digits"))
    refused(
        "reconstruct", "--state", carrying, "--model", pipelines / "sd", *out, holds=("made by the model 'digits'",)
    )
    refused("reconstruct", "--state", sampled, "--steps", 9, *out, holds=("another grid", "of 8 steps", "of 9 steps"))
    refused("edit", "--state", sampled, "--to-prompt", "a", "--to-prompt", "b", "--to-prompt", "c", "--label", 3, *out,
            holds=("--label 3",))  # fmt: skip
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(sampled / "state.safetensors", alone)
    refused("reconstruct", "--state", alone, "--model", pipelines / "sd", *out, holds=("run.json", "--steps, --prompt"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_another_model_by_now(
    refused: Any, told: Any, run: Any, pipelines: Path, tmp_path: Path
) -> None:  # fmt: skip
    """A state leads back by its own weights only; a moved folder is still the same model."""
    from safetensors.torch import load_file, save_file

    here, moved = tmp_path / "model", tmp_path / "moved"
    shutil.copytree(pipelines / "sd", here)
    shards = ["sample", "--model", here, *WORDS, "--num", 2, "--steps", 4, "--batch-size", 1, "--states"]
    told("sample", "--model", here, *WORDS, "--steps", 4, "--embed", "--out", tmp_path / "run")
    told(*shards, "--out", tmp_path / "shards")
    shutil.move(here, moved)
    found = told("invert", "--state", tmp_path / "run", "--model", moved, "--out", tmp_path / "noise")
    assert found["error"]["max"] < 1e-10
    shutil.copytree(moved, here)
    weights = here / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: 1.01 * w for name, w in load_file(weights).items()}, weights, {"format": "pt"})
    picture, shard = tmp_path / "run" / "sample-000.png", tmp_path / "shards" / "shard-00001.safetensors"
    for source in (["--state", tmp_path / "run"], [picture], ["--state", shard]):
        refused("invert", *source, "--out", tmp_path / "x", holds=("made by another model", "fingerprint"))
    (tmp_path / "shards" / "shard-00000.safetensors").unlink()
    refused(*shards, "--out", tmp_path / "shards", holds=("other settings", "fingerprint"))
    assert run("reconstruct", picture, "--bare", "--model", here, "--steps", 4, "--out", tmp_path / "bare").code == 0
    shutil.rmtree(here)
    finer = ["--dtype", "float64", "--model", moved]
    assert told("invert", picture, *finer, "--out", tmp_path / "finer")["dtype"] == "float64"
    assert not (tmp_path / "x").exists()


def test_a_record_that_was_tampered_with(refused: Any, sampled: Path, tmp_path: Path) -> None:
    for name, value, word in (("height", "16", "whole number"), ("model", None, "name"), ("steps", 8.5, "whole")):
        shutil.copytree(sampled, tmp_path / name)
        record = json.loads((sampled / "run.json").read_text())
        (tmp_path / name / "run.json").write_text(json.dumps({**record, name: value}))
        refused("invert", "--state", tmp_path / name, "--out", tmp_path / "out", holds=(word, name))
    assert not (tmp_path / "out").exists()


def test_without_diffusers_it_says_what_to_install(tmp_path: Path) -> None:
    call = f"main(['sample', '--model', {str(tmp_path)!r}, '--out', {str(tmp_path / 'out')!r}])"
    code = f"import sys; sys.modules['diffusers'] = None; from belm.cli.app import main; sys.exit({call})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 2 and found.stdout == "" and found.stderr.count("\n") == 1
    assert "belm[diffusers]" in found.stderr and not (tmp_path / "out").exists()
