"""The command, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from belm.cli.app import main


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def refused(run):
    """A wrong call: exit code 2, nothing on stdout, one line on stderr that holds every fragment."""

    def call(*arguments: object, holds: tuple[str, ...]) -> None:
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ") and err.count("\n") == 1
        for fragment in holds:
            assert fragment in err

    return call


@pytest.fixture
def told(run):
    """A right call: what it says as JSON."""

    def call(*arguments: object) -> dict:
        code, out, err = run(*arguments, "--format", "json")
        assert (code, err) == (0, ""), err
        return json.loads(out)

    return call


@pytest.fixture(scope="session")
def carrying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three samples of `belm sample`, each in a PNG of its own that carries its state."""
    from belm.cli.app import main

    folder = tmp_path_factory.mktemp("sampled") / "run"
    arguments = ["--seed", "5", "--label", "3,7,3", "--num", "3", "--guidance", "2", "--embed"]
    assert main(["sample", "--steps", "8", *arguments, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny pipelines, as save_pretrained writes them: sd, sdxl, sd3, flux, ddpm and sound."""
    pytest.importorskip("diffusers")
    import torch
    from tiny_pipelines import Builder

    folder = tmp_path_factory.mktemp("pipelines")
    tiny = Builder(tmp_path_factory.mktemp("tokenizer"))
    for name, pipe in (
        ("sd", tiny.stable_diffusion(dtype=torch.float32).pipe), ("ddpm", tiny.ddpm(torch.float32)),
        ("sdxl", tiny.stable_diffusion_xl(torch.float32, **tiny.texts("stable_diffusion_xl")).pipe),
        ("sd3", tiny.stable_diffusion_3(torch.float32, **tiny.texts("stable_diffusion_3")).pipe),
        ("flux", tiny.flux(torch.float32, tiny.texts("flux"), guidance_embeds=True).pipe),
        ("sound", tiny.audio(torch.float32)),
    ):  # fmt: skip
        pipe.save_pretrained(folder / name)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two bare pictures."""
    drawn = np.random.default_rng(3).integers(0, 17, (2, 8, 8), dtype=np.uint8) * 15
    paths = [tmp_path / "in" / name for name in ("three.png", "seven.png")]
    paths[0].parent.mkdir()
    for path, values in zip(paths, drawn, strict=True):
        Image.fromarray(values).save(path)
    return paths
