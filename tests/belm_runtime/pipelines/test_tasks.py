"""The tasks on pipelines, against the unmodified pipelines with our schedulers in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from belm_runtime import InputError, State  # noqa: E402
from belm_runtime.guidance import ramp  # noqa: E402
from belm_runtime.pipelines import (  # noqa: E402
    BELMScheduler,
    FlowBELMScheduler,
    edit,
    generate,
    interpolate,
    invert,
    reconstruct,
)

KINDS = ("stable_diffusion", "stable_diffusion_xl", "stable_diffusion_3", "flux")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

pytestmark = pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def scheduled(pipe: Any, method: str) -> Any:
    cls = FlowBELMScheduler if "shift" in pipe.scheduler.config else BELMScheduler
    return cls.from_config(pipe.scheduler.config, method=method)


class Counted:
    """How often a pipeline's network is called, and in what dtype."""

    def __init__(self, pipe: Any) -> None:
        self.calls, self.dtypes, self.rows = 0, set[torch.dtype](), set[int]()
        network = pipe.components.get("unet") or pipe.components["transformer"]
        network.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = args[0] if args else kwargs["hidden_states"]
        self.calls += 1
        self.dtypes.add(x.dtype)
        self.rows.add(len(x))


def picture(height: int = 16, width: int = 24, seed: int = 0) -> Any:
    from PIL import Image

    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


# ---- the pipeline is the oracle --------------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize(("batch", "size"), [(1, (16, 16)), (3, (16, 24))])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_generated_is_the_pipelines_and_comes_back(
    tiny: Any, kind: str, batch: int, size: tuple[int, int], guidance: float
) -> None:
    model, steps, method = getattr(tiny, kind)(), 8, "open:k=3"
    pipe, x, own = model.pipe, model.latents(batch, *size), model.pipe.scheduler
    pipe.scheduler = forward = scheduled(pipe, method)
    expected = model.run(x, steps, guidance=guidance, height=size[0], width=size[1])
    pipe.scheduler = own
    counted, text = Counted(pipe), model.ask(batch, guidance, torch.float64)
    at = {"height": size[0], "width": size[1]}
    settings = {"method": method}
    made = generate(
        pipe, latents=x, num_inference_steps=steps, output_type="latent", settings=settings, **at, **text
    )  # fmt: skip
    assert relative(made.images, expected) <= 1e-10 and torch.equal(made.run.x, made.images)
    twice = kind == "flux" and guidance != 1
    assert counted.calls == (2 if twice else 1) * steps and made.run.calls == steps
    assert counted.rows == {batch * (2 if guidance != 1 and not twice else 1)}
    # Its own state and the scheduler's are one and the same.
    counted.calls = 0
    for state in (made.run, forward.state):
        back = invert(pipe, state, **at, **text)
        assert relative(back.x, x) <= 1e-8 and back.calls == steps - 1
    assert counted.calls == (4 if twice else 2) * (steps - 1)
    again = reconstruct(pipe, made.run, output_type="latent", **at, **text)
    assert relative(again.images, made.images) <= 1e-8 and again.run.calls == 2 * (steps - 1)
    assert pipe.scheduler is own


@pytest.mark.parametrize("kind", KINDS[1:])
def test_prompts_are_read_as_the_pipeline_reads_them(tiny: Any, kind: str) -> None:
    texts = tiny.texts(kind)
    model = tiny.flux(texts=texts) if kind == "flux" else getattr(tiny, kind)(**texts)
    pipe, x = model.pipe, model.latents(2, 16, 24)
    pipe.scheduler = scheduled(pipe, "open:k=3")
    text = {"prompt": ["a cat", "one dog"], "negative_prompt": ["bad", "worse"], "prompt_2": ["more", "words"]}
    text |= {"true_cfg_scale" if kind == "flux" else "guidance_scale": 4.0}
    at = {"latents": x, "num_inference_steps": 5, "height": 16, "width": 24, "output_type": "latent"}
    expected = pipe(**at, **text).images
    made = generate(pipe, settings={"method": "open:k=3"}, **at, **text)
    assert relative(made.images, expected) <= 1e-10
    other = generate(pipe, settings={"method": "open:k=3"}, **at, **text | {"negative_prompt": None})
    assert relative(other.images, expected) > 1e-6
    assert relative(invert(pipe, made.run, height=16, width=24, **text).x, x) <= 1e-8


@pytest.mark.parametrize("kind", ["stable_diffusion", "stable_diffusion_3"])
def test_in_integers_every_bit_comes_back_through_a_network_in_float32(tiny: Any, kind: str) -> None:
    model = getattr(tiny, kind)()
    pipe, x, text = model.pipe.to(torch.float32), model.latents(2, 16, 24), model.ask(2, 7.5, torch.float32)
    settings = {"method": "blend:k=3,theta=0.8", "arithmetic": "integer"}
    at = {"latents": x, "num_inference_steps": 8, "output_type": "latent"}
    made = generate(pipe, settings=settings, **at, **text)
    plain = generate(pipe, settings=settings | {"arithmetic": "float64"}, **at, **text)
    assert relative(made.run.x, plain.run.x) < 1e-4
    back = invert(pipe, made.run, **text)
    # Noise drawn in float32 stands on the lattice already.
    assert back.nodes[0] == 8 and torch.equal(back.x, x.double())
    again = reconstruct(pipe, made.run, output_type="latent", **text).run.state
    assert all(torch.equal(a, b) for a, b in zip(again.history, made.run.history, strict=True))
    with pytest.raises(InputError, match="batch"):
        invert(pipe, made.run, settings={"arithmetic": "integer:batch=3"}, **text)


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_integers_made_through_a_network_in_another_dtype_are_refused(tiny: Any, guidance: float) -> None:
    model = tiny.stable_diffusion()
    text = model.ask(2, guidance, torch.float32)
    settings = {"method": "blend:k=3,theta=0.8", "arithmetic": "integer"}
    at = {"num_inference_steps": 5, "output_type": "latent"}
    made = generate(model.pipe.to(torch.float32), latents=model.latents(2), settings=settings, **at, **text)
    text, pipe = model.ask(2, guidance, torch.float64), model.pipe.to(torch.float64)
    with pytest.raises(InputError, match="the model computes in float64, and computed in float32 when"):
        invert(pipe, made.run, **text)
    assert invert(pipe, made.run, settings={"arithmetic": "integer:force=1"}, **text).nodes[0] == 5


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
def test_networks_of_v_and_of_the_sample(tiny: Any, prediction: str, guidance: float) -> None:
    model = tiny.stable_diffusion(prediction)
    pipe, x = model.pipe, model.latents(3, 24, 16)
    pipe.scheduler = scheduled(pipe, "blend:k=3,theta=0.8")
    expected = model.run(x, 8, guidance=guidance, height=24, width=16)
    text = model.ask(3, guidance, torch.float64)
    made = generate(pipe, latents=x, num_inference_steps=8, output_type="latent", **text)
    assert relative(made.images, expected) <= 1e-10
    assert relative(invert(pipe, made.run, **text).x, x) <= 1e-8


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_and_the_pictures_are_the_pipelines(tiny: Any, kind: str) -> None:
    model = getattr(tiny, kind)()
    pipe, text = model.pipe, model.ask(2, 3.0, torch.float64)
    if kind == "stable_diffusion_xl":
        pipe.vae.register_to_config(latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.0, 2.0, 0.5, 1.5])
    pipe.scheduler = scheduled(pipe, "open:k=3")
    size = {"height": 16, "width": 24, "num_inference_steps": 4}
    for generator in (
        lambda: torch.Generator().manual_seed(3),
        lambda: [torch.Generator().manual_seed(n) for n in (1, 2)],
    ):
        expected = pipe(generator=generator(), output_type="np", return_dict=False, **size, **text)[0]
        made = generate(pipe, generator=generator(), output_type="np", settings={"method": "open:k=3"}, **size, **text)
        assert made.images.shape == expected.shape == (2, 16, 24, 3)
        assert np.abs(made.images - expected).max() < 1e-6


def test_flux_with_guidance_as_an_input(tiny: Any) -> None:
    model = tiny.flux(guidance_embeds=True)
    pipe, x = model.pipe, model.latents(2)
    text = model.ask(2, 4.0, torch.float64) | {"guidance_scale": 3.5}
    made = {}
    for value in (3.5, 1.0):
        made[value] = generate(
            pipe, latents=x, num_inference_steps=6, height=16, width=16, output_type="latent",
            settings={"method": "open:k=3"}, **text | {"guidance_scale": value},
        ).images  # fmt: skip
    pipe.scheduler = scheduled(pipe, "open:k=3")
    expected = pipe(
        latents=x, num_inference_steps=6, height=16, width=16, output_type="latent", return_dict=False, **text
    )[0]
    assert relative(made[3.5], expected) <= 1e-10 < 1e-4 < relative(made[1.0], expected)


def test_grids_that_depend_on_the_size(tiny: Any) -> None:
    model = tiny.stable_diffusion_3()
    pipe = model.pipe
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_image_seq_len=16)
    text, x = model.ask(1, 3.0, torch.float64), model.latents(1, 16, 24)
    made = generate(
        pipe, latents=x, num_inference_steps=6, output_type="latent", settings={"method": "open:k=3"}, **text
    )  # fmt: skip
    pipe.scheduler = scheduled(pipe, "open:k=3")
    assert relative(made.images, model.run(x, 6, guidance=3.0, height=16, width=24)) <= 1e-10


def test_spacings_between_the_training_times_are_told_alike(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    pipe, x = model.pipe, model.latents()
    pipe.scheduler = BELMScheduler.from_config(
        pipe.scheduler.config, method="open:k=3", timestep_spacing="logsnr", set_alpha_to_one=True
    )
    expected = model.run(x, 10, guidance=3.0)
    made = generate(pipe, latents=x, num_inference_steps=10, output_type="latent", **model.ask(1, 3.0, torch.float64))
    assert relative(made.images, expected) <= 1e-10


def test_times_between_are_told_as_the_scheduler_rounds_them(tiny: Any) -> None:
    """The network of sound takes its time in float64."""
    pipe = tiny.audio()
    pipe.scheduler = BELMScheduler(method="open:k=3", prediction_type="v_prediction", timestep_spacing="logsnr")
    pipe(1, num_inference_steps=8, generator=torch.Generator().manual_seed(0))
    made = generate(pipe, num_inference_steps=8, generator=torch.Generator().manual_seed(0), output_type="latent")
    assert relative(made.images, pipe.scheduler.state.x) <= 1e-10


def test_one_negative_prompt_is_for_all(tiny: Any) -> None:
    pipe, x = tiny.stable_diffusion().pipe, tiny.stable_diffusion().latents(2)
    call = {"latents": x, "num_inference_steps": 6, "guidance_scale": 7.5, "output_type": "latent"}
    call["prompt"] = ["a cat", "one dog"]
    made = generate(pipe, negative_prompt="bad", settings={"method": "open:k=3"}, **call)
    pipe.scheduler = scheduled(pipe, "open:k=3")
    assert relative(made.images, pipe(negative_prompt=["bad"] * 2, height=16, width=16, **call).images) <= 1e-10


def test_a_state_brings_its_method_and_frame(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    x, text = model.latents(), model.ask(1, 1.0, torch.float64)
    at = {"latents": x, "num_inference_steps": 8, "output_type": "latent", **text}
    made = generate(model.pipe, settings={"method": "o-belm", "frame": "flow"}, **at)
    back = invert(model.pipe, made.run, **text)
    assert (back.method, back.frame) == ("o-belm", "flow") and relative(back.x, x) <= 1e-8


def test_ddpm(tiny: Any) -> None:
    pipe = tiny.ddpm()
    settings = {"clip_sample": False, "method": "open:k=3"}
    made = generate(
        pipe, num_images_per_prompt=2, num_inference_steps=10, output_type="pt", settings=settings,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    back = invert(pipe, made.run, settings=settings)
    pipe.scheduler = BELMScheduler.from_config(pipe.scheduler.config, **settings)
    random = torch.Generator().manual_seed(0)
    expected = pipe(2, num_inference_steps=10, output_type="pt", generator=random).images
    assert made.images.shape == (2, 3, 8, 12) and relative(made.images, expected) <= 1e-10
    noise = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert relative(back.x, noise) <= 1e-8


def test_sound(tiny: Any) -> None:
    pipe = tiny.audio()
    pipe.scheduler = BELMScheduler(method="open:k=3", prediction_type="v_prediction")
    random = torch.Generator().manual_seed(0)
    expected = pipe(2, num_inference_steps=10, generator=random).audios
    made = generate(pipe, num_images_per_prompt=2, num_inference_steps=10, generator=random.manual_seed(0))
    assert made.images.shape == (2, 2, 64) and np.abs(made.images - expected).max() < 1e-6
    noise = torch.randn(2, 2, 64, generator=random.manual_seed(0), dtype=torch.float64)
    assert relative(invert(pipe, made.run).x, noise) <= 1e-8
    sound = np.sin(np.arange(128).reshape(1, 2, 64) / 5)
    assert np.abs(reconstruct(pipe, sound, num_inference_steps=10).images - sound).max() < 1e-6


def test_sound_on_the_scheduler_that_it_comes_with(tiny: Any) -> None:
    """Against diffusers' own method of that scheduler, with many steps."""
    pipe = tiny.audio()
    reference = pipe(1, num_inference_steps=200, generator=torch.Generator().manual_seed(0)).audios
    errors = []
    for steps in (10, 60):
        made = generate(pipe, num_inference_steps=steps, generator=torch.Generator().manual_seed(0), output_type="np")
        errors.append(np.abs(made.images - reference).max())
    assert errors[1] < errors[0] / 2 and errors[1] < 0.02
    back = invert(pipe, made.run)
    noise = torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert relative(back.x, noise) <= 1e-8


# ---- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_comes_back_from_its_noise(tiny: Any, kind: str) -> None:
    model = getattr(tiny, kind)()
    pipe, text = model.pipe, model.ask(2, 1.0, torch.float64)
    made = reconstruct(pipe, [picture(), picture(seed=1)], num_inference_steps=10, output_type="latent", **text)
    pixels = torch.from_numpy(np.stack([np.asarray(picture(seed=n)) for n in (0, 1)])).permute(0, 3, 1, 2)
    with torch.no_grad():
        latents = pipe.vae.encode(pixels.double() / 127.5 - 1).latent_dist.mode()
    expected = 0.5 * (latents - (0.1 if kind in ("stable_diffusion_3", "flux") else 0.0))
    if kind == "flux":
        expected = pipe._pack_latents(expected, 2, 4, 8, 12)
    assert relative(made.images, expected) <= 1e-8
    assert made.run.turn.nodes == (10, 9, 8) and made.run.turn.method == "open:k=3"
    shown = reconstruct(pipe, [picture(), picture(seed=1)], num_inference_steps=10, **text).images
    assert [image.size for image in shown] == [(24, 16)] * 2


def test_from_a_picture_the_noise_is_better_with_more_steps(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    x, errors = model.latents(), []
    text = model.ask(1, 1.0, torch.float64)
    for steps in (20, 80):
        made = generate(
            model.pipe, latents=x, num_inference_steps=steps, output_type="latent", settings={"method": "open:k=3"},
            **text,
        )  # fmt: skip
        errors.append(relative(invert(model.pipe, made.images, num_inference_steps=steps, **text).x, x))
    assert 1e-8 < errors[1] < errors[0] / 2 < 0.1


def test_output_types(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    made = {
        kind: generate(
            model.pipe, latents=model.latents(), num_inference_steps=4, output_type=kind,
            **model.ask(1, 1.0, torch.float64),
        ).images
        for kind in ("pil", "np", "pt", "latent")
    }  # fmt: skip
    assert made["pil"][0].size == (16, 16) and made["np"].shape == (1, 16, 16, 3)
    assert made["pt"].shape == (1, 3, 16, 16) and made["latent"].shape == (1, 4, 8, 8)
    assert np.array_equal(np.asarray(made["pil"][0]), (made["np"][0] * 255).round().astype(np.uint8))
    with pytest.raises(InputError, match="output_type 'png'"):
        generate(model.pipe, output_type="png")


# ---- edit and interpolate ------------------------------------------------------------------------------------------


def test_an_edit_is_what_the_schedulers_do(tiny: Any) -> None:
    """Up and down again in the unmodified pipeline, on the schedulers of both ways."""
    model = tiny.stable_diffusion()
    pipe, x = model.pipe, model.latents(2)
    words = {"negative_prompt": "bad"}
    made = generate(
        pipe, latents=x, num_inference_steps=10, prompt=["a cat", "one dog"], output_type="latent",
        settings={"method": "blend:k=3,theta=0.8"}, **words,
    )  # fmt: skip
    found = edit(
        pipe, made.run, ["a cat", "one dog"], "the end", keep=0.3, guidance_scale=5.0, output_type="latent", **words
    )
    assert found.run.turn.nodes == (7, 6, 5) and found.run.calls == 6 + 6
    forward = scheduled(pipe, "blend:k=3,theta=0.8")
    forward.set_timesteps(10)
    call = {"num_inference_steps": 10, "height": 16, "width": 16, "output_type": "latent", "return_dict": False}
    pipe.scheduler = back = forward.inverse(made.run, stop=7)
    pipe(latents=back.first, prompt=["a cat", "one dog"], guidance_scale=1.0, **call)
    pipe.scheduler = on = back.inverse(back.state)
    expected = pipe(latents=on.first, prompt=["the end"] * 2, negative_prompt=["bad"] * 2, guidance_scale=5.0, **call)
    assert relative(found.images, expected[0]) <= 1e-10 and relative(found.images, made.images) > 1e-3
    same = edit(pipe, made.run, ["a cat", "one dog"], ["a cat", "one dog"], guidance_scale=1, output_type="latent")
    assert relative(same.images, made.images) <= 1e-8


def test_guidance_along_the_run_costs_nothing_where_it_is_one(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    counted = Counted(model.pipe)
    x = model.latents()
    at = {"num_inference_steps": 10, "output_type": "latent", "latents": x, "prompt": "a cat"}
    made = {}
    for name, weight in (("middle", lambda u: 3.0 if 0.3 < u < 0.6 else 1.0), ("ramp", ramp(1, 3)), ("none", 1.0)):
        counted.rows.clear()
        made[name] = generate(model.pipe, guidance_scale=weight, **at).images
        assert counted.rows == {"middle": {1, 2}, "ramp": {1, 2}, "none": {1}}[name]
    assert relative(made["middle"], made["none"]) > 1e-6 and relative(made["ramp"], made["middle"]) > 1e-6
    state = generate(model.pipe, guidance_scale=ramp(1, 3), **at).run
    assert relative(invert(model.pipe, state, prompt="a cat", guidance_scale=ramp(1, 3)).x, x) <= 1e-8


@pytest.mark.parametrize("kind", ["stable_diffusion", "flux"])
def test_between_two_pictures(tiny: Any, kind: str) -> None:
    model = getattr(tiny, kind)()
    pipe = model.pipe
    first, second = (
        generate(
            pipe, latents=model.latents(seed=n), num_inference_steps=8, height=16, width=16, output_type="latent",
            **model.ask(1, 1.0, torch.float64),
        ).run
        for n in (0, 1)
    )  # fmt: skip
    text, at = model.ask(1, 1.0, torch.float64), {"height": 16, "width": 16, "output_type": "latent"}
    made = interpolate(pipe, first, second, [0, 0.5, 1], **at, **text)
    assert relative(made.images[0], first.x) <= 1e-8 and relative(made.images[2], second.x) <= 1e-8
    assert min(relative(made.images[1], end.x) for end in (first, second)) > 1e-3
    assert made.run.calls == 5 * 7
    own = {key: value.flip(-1) for key, value in text.items() if isinstance(value, Tensor)} or {"prompt": "the end"}
    mixed = interpolate(pipe, first, first, [0.5], second_text=own, **at, **text)
    assert relative(mixed.images[0], first.x) > 1e-6
    pictures = interpolate(pipe, picture(16, 16), picture(16, 16, 1), [0.25, 0.75], num_inference_steps=6, **text)
    assert [len(images) for images in pictures.images] == [1, 1] and pictures.images[0][0].size == (16, 16)


# ---- arithmetic, devices, onlookers ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_states_are_finer_than_the_model(tiny: Any, dtype: torch.dtype) -> None:
    """The network rounds its input alike both ways, unless one of 1e-15 apart falls on the other side of a rounding.

    That is rare where states differ by 1e-15 only: none of these 20 steps of 256 numbers does.
    """
    model = tiny.stable_diffusion(dtype=dtype)
    counted, x, text = Counted(model.pipe), model.latents(), model.ask(1, 7.5, dtype)
    made = generate(model.pipe, latents=x, num_inference_steps=20, output_type="latent", **text)
    back = invert(model.pipe, made.run, **text)
    assert counted.dtypes == {dtype} and {s.dtype for s in (*made.run.history, *back.history)} == {torch.float64}
    assert relative(back.x, x.double()) <= 1e-8
    single = generate(model.pipe, latents=x, num_inference_steps=20, settings={"arithmetic": "float32"}, **text)
    assert single.run.x.dtype == torch.float32
    assert invert(model.pipe, single.run, **text).x.dtype == torch.float32


@pytest.mark.parametrize("device", DEVICES)
def test_any_device(tiny: Any, device: str) -> None:
    model = tiny.stable_diffusion()
    pipe = model.pipe.to(device)
    made = generate(pipe, prompt="a cat", num_inference_steps=6, generator=torch.Generator().manual_seed(0))
    back = invert(pipe, made.run.to("cpu"), prompt="a cat")
    assert made.run.x.device.type == back.x.device.type == device
    noise = torch.randn(back.x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert relative(back.x.cpu(), noise) <= 1e-8


def test_onlookers_and_the_progress_bar(tiny: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny.stable_diffusion()
    seen: list[tuple[int, float]] = []
    told: list[tuple[int, int]] = []
    at = {"prompt": "a cat", "num_inference_steps": 5, "output_type": "latent", "latents": model.latents()}
    plain = generate(model.pipe, **at)
    watched = generate(
        model.pipe, callback=lambda n, t, x: seen.append((n, t)), progress=lambda *args: told.append(args), **at
    )
    assert torch.equal(plain.images, watched.images)
    assert seen == [(0, 801.0), (1, 601.0), (2, 401.0), (3, 201.0), (4, 1.0)]
    assert told == [(n, 5) for n in range(1, 6)]
    assert capsys.readouterr().err == ""
    model.pipe.set_progress_bar_config(disable=False, desc="shown")
    generate(model.pipe, **at)
    assert "shown: 100%" in capsys.readouterr().err


# ---- what is refused -------------------------------------------------------------------------------------------------


def refused(words: str, call: Any, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)


def test_pipelines_that_are_not_known(tiny: Any) -> None:
    refused("no pipeline of diffusers", generate, torch.nn.Linear(1, 1))
    pipe = tiny.stable_diffusion().pipe
    pipe.unet.register_to_config(class_embed_type="timestep")
    refused("of no kind known", generate, pipe, prompt="a cat")
    clipped = tiny.ddpm()
    refused("clip_sample=True clips", generate, clipped)
    flow = tiny.stable_diffusion_3().pipe
    flow.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
    refused("stochastic_sampling", generate, flow)


def test_texts_that_cannot_be_read(tiny: Any) -> None:
    ddpm, at = tiny.ddpm(), {"settings": {"clip_sample": False}, "num_inference_steps": 4}
    refused("model without text", generate, ddpm, prompt="a cat", **at)
    refused("without guidance", generate, ddpm, guidance_scale=3, **at)
    xl = tiny.stable_diffusion_xl()
    refused("holds no text encoder", generate, xl.pipe, prompt="a cat")
    text = xl.ask(1, 3.0, torch.float64)
    refused("negative_prompt_embeds", generate, xl.pipe, prompt_embeds=text["prompt_embeds"], guidance_scale=3.0)
    refused("pooled_prompt_embeds", generate, xl.pipe, prompt_embeds=text["prompt_embeds"])
    pipe = tiny.stable_diffusion().pipe
    refused("unknown keyword 'promt'; did you mean 'prompt'", generate, pipe, promt="a cat")
    for strange in (3, ("a", "b"), [], ["a", None]):
        refused("is no text: give a string or a list", generate, pipe, prompt=strange)
    refused("for 2 samples .* batch of 3", generate, pipe, prompt=["a", "b"], latents=torch.randn(3, 4, 8, 8))
    refused("2 generators", generate, pipe, prompt="a", generator=[torch.Generator()] * 2)
    refused("guidance", generate, pipe, prompt="a", guidance_scale=float("nan"))


def test_pictures_of_the_wrong_size_or_mode(tiny: Any) -> None:
    pipe = tiny.stable_diffusion().pipe
    at = {"prompt": "a", "num_inference_steps": 4}
    refused(r"picture is L; the model takes RGB: picture.convert\('RGB'\)", invert, pipe, picture().convert("L"), **at)
    refused("23×16 pixels: .* multiples of 2", invert, pipe, picture(16, 23), **at)
    refused("one size, not 16×16 and 24×16", invert, pipe, [picture(), picture(16, 16)], **at)
    refused("ndarray|array of shape", invert, pipe, np.zeros((16, 16)), **at)
    refused("str", invert, pipe, "cat.png", **at)
    for strange in (np.zeros((16, 16, 3), np.uint16), np.full((16, 16, 3), 200.0), np.full((16, 16, 3), np.nan)):
        refused("is no picture: give uint8, or floats in 0 … 1", invert, pipe, strange, **at)
    refused("no pictures", invert, pipe, [], **at)
    refused("but the run is for", invert, pipe, picture(), height=16, width=16, **at)
    refused("give height and width", generate, pipe, prompt="a", height=16)
    refused("66×16 pixels: this model takes 32×32", generate, tiny.stable_diffusion_3().pipe, height=16, width=66)
    refused("multiples of 4", generate, tiny.flux().pipe, height=18, width=16)
    refused(r"this model takes \(1, 16, 16\)", invert, tiny.flux().pipe, torch.randn(1, 5, 16), height=16, width=16)
    refused("multiple of 8", generate, tiny.audio(), length=63)
    for side in (16.0, "16", -16):
        refused(f"width must be a whole number ≥ 1, not {side!r}", generate, pipe, prompt="a", height=16, width=side)
    refused("64 samples is no size for StableDiffusionPipeline", generate, pipe, prompt="a", length=64)
    refused("16×16 is no size for DanceDiffusionPipeline", generate, tiny.audio(), height=16, width=16)
    refused("must be a tensor or a State, not a ndarray", generate, pipe, prompt="a", latents=np.zeros((1, 4, 8, 8)))
    refused("num_images_per_prompt must be", generate, pipe, prompt="a", num_images_per_prompt=0)


def test_states_of_other_runs(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    pipe = model.pipe
    state = generate(pipe, prompt="a", latents=model.latents(), num_inference_steps=6).run
    refused("another method", invert, pipe, state, prompt="a", settings={"method": "open:k=4"})
    refused("another grid", invert, pipe, state, prompt="a", num_inference_steps=7)
    refused("another grid", invert, tiny.stable_diffusion_xl().pipe, State(
        tuple(x.clone() for x in state.history), state.nodes, state.method, state.frame, "0" * 64, state.steps
    ), **tiny.stable_diffusion_xl().ask(1, 1.0, torch.float64))  # fmt: skip
    refused("no batch of latents", invert, pipe, torch.randn(1, 16, 16), prompt="a")
    refused(r"takes \(1, 4, 8, 8\)", invert, pipe, torch.randn(1, 3, 8, 8), prompt="a")
    refused("keep", edit, pipe, state, "a", "b", keep=1.0)
    refused("weight 2", interpolate, pipe, state, state, [2], prompt="a")
