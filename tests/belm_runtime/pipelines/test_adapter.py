"""A pipeline as a bare model: any number of samples, one wait a run, the autoencoder's arithmetic, folders."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("diffusers")

from belm_runtime import InputError, Sampler
from belm_runtime.design import Design
from belm_runtime.pipelines import Adapter
from belm_runtime.pipelines.load import fingerprint, load

KINDS = ("stable_diffusion", "stable_diffusion_xl", "stable_diffusion_3", "flux")
READS = {"_local_scalar_dense", "equal", "nonzero", "is_nonzero"}


class Reads(TorchDispatchMode):
    """How often the host reads a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += str(func).removeprefix("aten.").split(".")[0] in READS
        return func(*args, **kwargs or {})


def adapted(model: Any, steps: int = 6, guidance: float = 3.0, batch: int = 1, **more: Any) -> tuple[Adapter, Any]:
    on = Adapter(model.pipe, steps, size=(16, 16), **{"method": "open:k=3", **more})
    text = {"guidance_scale": guidance, **model.ask(batch, guidance, torch.float64)}
    return on, on.model(**text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_waits_for_the_device_once(tiny: Any, kind: str) -> None:
    model = getattr(tiny, kind)()
    for steps in (4, 8):
        on, network = adapted(model, steps)
        x = model.latents()
        with Reads() as seen:
            state = on.sampler.sample(network, x)
        assert seen.count == 1
        with Reads() as seen:
            on.sampler.invert(network, state)
        assert seen.count == 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_text_is_for_any_number_of_samples(tiny: Any, kind: str) -> None:
    model = getattr(tiny, kind)()
    on, network = adapted(model)
    x = model.latents(3)
    together = on.sampler.sample(network, x).x
    alone = torch.cat([on.sampler.sample(network, x[n : n + 1]).x for n in range(3)])
    assert float((together - alone).abs().max()) < 1e-10
    _, two = adapted(model, batch=2)
    assert two(model.latents(4), torch.full((4,), 1.0, dtype=torch.float64)).shape == model.latents(4).shape
    with pytest.raises(InputError, match="text for 2 samples does not go with a batch of 3"):
        on.sampler.sample(two, x)


def test_it_is_a_model_for_other_samplers_on_its_grid(tiny: Any) -> None:
    """Two calls a step, which no scheduler of a pipeline can make."""
    model = tiny.stable_diffusion()
    on, network = adapted(model, 10)
    sampler = Sampler("edict:p=0.93", on.sampler.grid)
    state = sampler.sample(network, model.latents())
    assert state.calls == 20
    assert float((sampler.invert(network, state).x - model.latents()).abs().max()) < 1e-8


def test_pictures_of_an_autoencoder_that_overflows_in_float16(tiny: Any) -> None:
    model = tiny.stable_diffusion(dtype=torch.float16)
    on, vae = Adapter(model.pipe, 4, size=(16, 16)), model.pipe.vae
    assert vae.config.force_upcast
    inner: list[torch.dtype] = []
    vae.decoder.register_forward_pre_hook(lambda module, args: inner.append(args[0].dtype))
    x = model.latents().double()
    shown = on.decode(x, "pt")
    assert inner == [torch.float32] and vae.dtype == torch.float16
    with torch.no_grad():
        expected = vae.float().decode(x.float() / 0.5).sample
    assert float((shown - (expected / 2 + 0.5).clamp(0, 1)).abs().max()) < 1e-6


def test_encoding_is_the_same_each_time_and_of_one_size(tiny: Any) -> None:
    model = tiny.flux()
    on = Adapter(model.pipe, 4, size=(16, 24))
    picture = np.random.default_rng(0).random((2, 16, 24, 3))
    x = on.encode(picture)
    assert not x.requires_grad and torch.equal(x, on.encode(list(picture)))
    assert x.shape == (2, 24, 16) == (2, *on.shape[1:])
    with torch.no_grad():
        latents = model.pipe._unpack_latents(x, 16, 24, model.pipe.vae_scale_factor) / 0.5 + 0.1
        expected = (model.pipe.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)
    assert float((on.decode(x, "pt") - expected).abs().max()) < 1e-12
    with pytest.raises(InputError, match="pictures are 24×24, this run is for 24×16"):
        on.encode(np.zeros((24, 24, 3)))


def test_a_callback_sees_what_the_network_is_asked(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    on = Adapter(model.pipe, 4, size=(16, 16), method="open:k=3")
    seen: list[tuple[int, float, Tensor]] = []
    x = model.latents()
    state = on.sampler.sample(on.model(prompt="a", callback=lambda *told: seen.append(told)), x)
    assert [(n, t) for n, t, _ in seen] == [(0, 751.0), (1, 501.0), (2, 251.0), (3, 1.0)]
    assert torch.equal(seen[0][2], x) and not torch.equal(seen[3][2], state.x)


def test_a_pipeline_from_a_folder(tiny: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tiny.stable_diffusion(dtype=torch.float32).pipe.save_pretrained(tmp_path / "sd")
    capfd.readouterr()
    pipe = load(str(tmp_path / "sd"), torch.bfloat16)
    assert {part.dtype for part in (pipe.unet, pipe.vae, pipe.text_encoder)} == {torch.bfloat16}
    assert capfd.readouterr() == ("", "")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model_index.json").write_text(json.dumps({"_class_name": "NoSuchPipeline"}))
    for name, text in (("list", "[]"), ("torn", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text(text)
    for name, words in (
        ("empty", "holds no model_index.json"), ("file", "no folder"), ("none", "no folder"), ("bad", "cannot load"),
        ("list", "cannot load"), ("torn", "cannot load"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            load(str(tmp_path / name))


def test_a_fingerprint_is_of_what_a_run_goes_through(tiny: Any) -> None:
    first, pipe = (tiny.stable_diffusion(dtype=torch.float32).pipe for _ in range(2))
    assert fingerprint(pipe) == fingerprint(first)
    with torch.no_grad():
        pipe.vae.post_quant_conv.weight.mul_(2)
    assert fingerprint(pipe) == fingerprint(first)
    for part in (pipe.unet, pipe.text_encoder):
        before, weight = fingerprint(pipe), list(part.parameters())[-1]
        with torch.no_grad():
            weight.add_(1e-3)
        assert fingerprint(pipe) != before
    assert fingerprint(tiny.stable_diffusion("v_prediction", torch.float32).pipe) != fingerprint(first)


def test_a_pipeline_that_was_saved_without_its_text_encoder(tiny: Any, tmp_path: Path) -> None:
    model = tiny.stable_diffusion(dtype=torch.float32)
    model.pipe.register_modules(text_encoder=None, tokenizer=None)
    model.pipe.save_pretrained(tmp_path)
    pipe = load(str(tmp_path))
    assert pipe.text_encoder is None
    with pytest.raises(InputError, match="holds no text encoder"):
        Adapter(pipe, 4).model(prompt="a cat")


@pytest.mark.parametrize("arithmetic", ["float64", "integer"])
def test_a_design_brings_frame_and_start_in_any_arithmetic(tiny: Any, tmp_path: Path, arithmetic: str) -> None:
    path = str(tmp_path / "own.json")
    Design("own", "blend:k=3", Fraction(8), "q=1/2", "ddim", "free:s=0.02/0.1/0.5", "open:k=3").write(path)
    model = tiny.stable_diffusion()
    on, _ = adapted(model, 10, method=path, timestep_spacing=path, arithmetic=arithmetic)
    made = on.sampler
    assert (str(made.method), str(made.frame), made.table.start) == ("blend:k=3,theta=25/81", "q=1/2", "ddim")
    assert made.grid.spacing == "free:s=0.02/0.1/0.5" and (made.exact is not None) == (arithmetic == "integer")
