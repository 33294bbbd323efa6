"""Unmodified pipelines of diffusers with our schedulers in them: generate, invert, generate again, save and load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from belm_runtime import State  # noqa: E402
from belm_runtime.pipelines import BELMScheduler, FlowBELMScheduler, HistoryWarning  # noqa: E402

KINDS = ("stable_diffusion", "stable_diffusion_xl", "stable_diffusion_3", "flux")
METHODS = ("blend:k=3,theta=0.8", "open:k=3", "open:k=2")


def ours(pipe: Any, **settings: Any) -> Any:
    """The one line that swaps a scheduler in."""
    flow = "shift" in pipe.scheduler.config
    pipe.scheduler = (FlowBELMScheduler if flow else BELMScheduler).from_config(pipe.scheduler.config, **settings)
    return pipe.scheduler


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def looped(scheduler: Any, network: Any, x: Tensor) -> Tensor:
    """A pipeline's loop without the pipeline, for those that draw their own noise."""
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(network(x, t).sample, t, x).prev_sample
    return x


def round_trip(model: Any, method: str, batch: int, guidance: float, size: tuple[int, int], steps: int = 8) -> None:
    pipe, x = model.pipe, model.latents(batch, *size)
    how: dict[str, Any] = {"steps": steps, "guidance": guidance, "height": size[0], "width": size[1]}
    forward = ours(pipe, method=method)
    made = model.run(x, **how)
    assert made.shape == x.shape and made.dtype == x.dtype and relative(made, x) > 0.1
    state = forward.state
    assert torch.equal(state.x, made) and state.nodes[0] == 0 and state.calls == steps
    pipe.scheduler = back = forward.inverse(state)
    seed = model.run(back.first, **how)
    assert relative(seed, x) <= 1e-8
    assert back.state.nodes[0] == steps and back.state.calls == steps - 1
    pipe.scheduler = back.inverse()
    assert relative(model.run(seed, **how), made) <= 1e-8
    pipe.scheduler = again = back.inverse(back.state)
    assert relative(model.run(again.first, **how), made) <= 1e-8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize(("batch", "size"), [(1, (16, 16)), (3, (16, 24))])
@pytest.mark.parametrize("kind", KINDS)
def test_generate_invert_generate_again(
    tiny: Any, kind: str, batch: int, size: tuple[int, int], guidance: float, method: str
) -> None:
    round_trip(getattr(tiny, kind)(), method, batch, guidance, size)


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize(("batch", "size"), [(1, (16, 16)), (3, (24, 16))])
@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
def test_networks_of_v_and_of_the_sample(
    tiny: Any, prediction: str, batch: int, size: tuple[int, int], guidance: float
) -> None:
    round_trip(tiny.stable_diffusion(prediction), "open:k=3", batch, guidance, size)


@pytest.mark.parametrize("method", ["o-belm", "bdia:gamma=1", "open:k=4", "blend:k=2"])
def test_other_methods_too(tiny: Any, method: str) -> None:
    round_trip(tiny.stable_diffusion(), method, 1, 7.5, (16, 16), steps=20)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_picture_that_diffusers_makes_with_many_steps(tiny: Any, kind: str) -> None:
    """Against diffusers' own first-order scheduler; trailing, so that every number of steps starts at one level."""
    model = getattr(tiny, kind)()
    x, errors = model.latents(), []
    spaced = {"timestep_spacing": "trailing"} if kind.endswith(("diffusion", "xl")) else {}
    if spaced:
        made_from = model.pipe.scheduler.config
        model.pipe.scheduler = diffusers.DDIMScheduler.from_config(made_from, clip_sample=False, **spaced)
    reference = model.run(x, 200)
    for steps in (8, 40):
        ours(model.pipe, method="open:k=3", **spaced)
        errors.append(relative(model.run(x, steps), reference))
    assert errors[1] < errors[0] / 2 and errors[1] < 0.02


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_from_a_bare_picture_the_noise_comes_back_approximately(tiny: Any, guidance: float) -> None:
    """With more steps better: this is a start anew, not the stored way back."""
    model = tiny.stable_diffusion()
    x, errors = model.latents(), []
    for steps in (20, 80):
        forward = ours(model.pipe, method="open:k=3")
        made = model.run(x, steps, guidance=guidance)
        model.pipe.scheduler = back = forward.inverse()
        assert len(back.timesteps) == steps and back.timesteps[0] == back.timesteps[1]
        errors.append(relative(model.run(made, steps, guidance=guidance), x))
        model.pipe.scheduler = forward
    assert 1e-8 < errors[1] < errors[0] < 1


def test_image_to_image_starts_in_the_middle_and_inverts_to_where_it_began(tiny: Any) -> None:
    model = tiny.stable_diffusion(cls=diffusers.StableDiffusionImg2ImgPipeline)
    forward = ours(model.pipe, method="blend:k=3,theta=0.8")
    began: list[Tensor] = []
    noised = forward.add_noise

    def add_noise(*arguments: Tensor) -> Tensor:
        began.append(noised(*arguments))
        return began[-1]

    forward.add_noise = add_noise
    asked = model.ask(2, 7.5, torch.float64)
    made = model.pipe(
        image=model.latents(2, 16, 24), strength=0.5, num_inference_steps=12, output_type="latent",
        generator=torch.Generator().manual_seed(0), return_dict=False, **asked,
    )[0]  # fmt: skip
    state = forward.state
    assert state.calls == 6 and forward.begin_index == 6 and state.nodes == (0, 1, 2)
    text = diffusers.StableDiffusionPipeline(**model.pipe.components, requires_safety_checker=False)
    text.set_progress_bar_config(disable=True)
    text.scheduler = back = forward.inverse(state, stop=6)
    seed = text(
        latents=back.first,
        num_inference_steps=12,
        output_type="latent",
        height=16,
        width=24,
        return_dict=False,
        **asked,
    )[0]
    assert relative(seed, began[0]) <= 1e-8 and relative(made, began[0]) > 0.1


def test_image_to_image_of_flow_matching(tiny: Any) -> None:
    model = tiny.stable_diffusion_3(cls=diffusers.StableDiffusion3Img2ImgPipeline)
    forward = ours(model.pipe, method="open:k=3")
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    asked = model.ask(1, 7.5, torch.float64)
    made = model.pipe(
        image=picture, strength=0.6, num_inference_steps=10, output_type="latent", height=16, width=16,
        generator=torch.Generator().manual_seed(0), return_dict=False, **asked,
    )[0]  # fmt: skip
    assert forward.begin_index == 4 and forward.state.calls == 6 and made.isfinite().all()


def test_inpainting_writes_into_every_sample_and_is_told_so_once(tiny: Any) -> None:
    model = tiny.stable_diffusion(cls=diffusers.StableDiffusionInpaintPipeline)
    forward = ours(model.pipe, method="open:k=3")
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 16, 16, generator=random, dtype=torch.float64)
    with pytest.warns(HistoryWarning) as caught:
        made = model.pipe(
            image=picture, mask_image=picture[:, :1].round(), num_inference_steps=6, output_type="latent", height=16,
            width=16, generator=random, return_dict=False, **model.ask(1, 7.5, torch.float64),
        )[0]  # fmt: skip
    assert made.isfinite().all() and len([w for w in caught if w.category is HistoryWarning]) == 1
    assert forward.step_index == 6


def test_the_end_of_denoising_may_be_left_to_a_refiner(tiny: Any) -> None:
    model = tiny.stable_diffusion_xl()
    forward = ours(model.pipe, method="open:k=3")
    x = model.latents()
    whole = model.run(x, 10)
    part = model.run(x, 10, denoising_end=0.8)
    state = forward.state
    assert state.nodes[0] == 2 and relative(part, whole) > 0.01
    model.pipe.scheduler = rest = forward.resume(state)
    assert relative(model.run(rest.first, 10), whole) <= 1e-12


def test_ddpm(tiny: Any) -> None:
    pipe = tiny.ddpm()
    forward = ours(pipe, clip_sample=False, method="open:k=3")
    pictures = pipe(2, num_inference_steps=10, output_type="pt", generator=torch.Generator().manual_seed(0)).images
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = forward.state
    assert torch.equal((state.x / 2 + 0.5).clamp(0, 1), pictures)
    back = forward.inverse(state)
    assert relative(looped(back, pipe.unet, back.first), x) <= 1e-8


def test_audio(tiny: Any) -> None:
    """One dimension, and a pipeline that casts the scheduler's timesteps to its own dtype."""
    for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-3)):
        pipe = tiny.audio(dtype)
        pipe.scheduler = forward = BELMScheduler(method="open:k=3", prediction_type="v_prediction")
        sounds = pipe(2, num_inference_steps=10, generator=torch.Generator().manual_seed(0)).audios
        assert sounds.shape == (2, 2, 64) and forward.timesteps.dtype == dtype
        x = torch.randn(2, 2, 64, generator=torch.Generator().manual_seed(0), dtype=dtype)
        back = forward.inverse(forward.state)
        back.timesteps = back.timesteps.to(dtype)
        assert relative(looped(back, pipe.unet, back.first.to(dtype)), x) <= tolerance


def test_the_state_is_finer_than_a_float32_pipeline_and_its_floor_is_the_network(tiny: Any) -> None:
    """The network sees float32 both ways; one input rounded the other way by a unit is enough to lose exactness."""
    model = tiny.stable_diffusion(dtype=torch.float32)
    x = model.latents()
    forward = ours(model.pipe, method="open:k=3")
    made = model.run(x, 20)
    assert made.dtype == torch.float32 and forward.state.x.dtype == torch.float64
    assert torch.equal(forward.state.x.float(), made)
    model.pipe.scheduler = back = forward.inverse(forward.state)
    model.run(back.first.float(), 20)
    assert relative(back.state.x, x.double()) <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_come_out(tiny: Any, kind: str) -> None:
    model = (
        getattr(tiny, kind)(torch.float32) if kind != "stable_diffusion" else tiny.stable_diffusion(dtype=torch.float32)
    )
    ours(model.pipe)
    asked = model.ask(1, 3.0, torch.float32)
    image = model.pipe(num_inference_steps=4, height=16, width=24, generator=torch.Generator().manual_seed(0), **asked)
    assert image.images[0].size == (24, 16)


def test_a_callback_that_looks_changes_nothing_and_one_that_writes_starts_anew(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    x = model.latents()
    forward = ours(model.pipe, method="open:k=3")
    plain = model.run(x, 10)
    looked = model.run(x, 10, callback_on_step_end=lambda pipe, n, t, kept: kept)
    assert torch.equal(plain, looked)

    def nudge(pipe: Any, n: int, t: Tensor, kept: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"latents": kept["latents"] + 0.01} if n in (3, 5) else kept

    with pytest.warns(HistoryWarning, match="sample of step 5 is not the last result") as caught:
        model.run(x, 10, callback_on_step_end=nudge)
    assert len([w for w in caught if w.category is HistoryWarning]) == 1
    assert forward.state.nodes == (0, 1, 2)


def test_interrupting_leaves_a_state_to_go_on_from(tiny: Any) -> None:
    model = tiny.stable_diffusion()
    x = model.latents()
    forward = ours(model.pipe)
    whole = model.run(x, 10)

    def stop(pipe: Any, n: int, t: Tensor, kept: dict[str, Tensor]) -> dict[str, Tensor]:
        pipe._interrupt = n == 6
        return kept

    model.run(x, 10, callback_on_step_end=stop)
    state = forward.state
    assert state.nodes[0] == 3
    model.pipe.scheduler = rest = forward.resume(state)
    assert relative(model.run(rest.first, 10), whole) <= 1e-12


# ---- on disk ----------------------------------------------------------------------------------------------------


def test_a_pipeline_is_saved_and_loaded_with_its_scheduler(tiny: Any, tmp_path: Path) -> None:
    model = tiny.stable_diffusion("v_prediction")
    x = model.latents()
    scheduler = ours(model.pipe, method="blend:k=4,theta=4/5", arithmetic="float32", start="ddim")
    made = model.run(x, 10)
    model.pipe.save_pretrained(tmp_path)
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(tmp_path, safety_checker=None)
    assert type(loaded.scheduler) is BELMScheduler and dict(loaded.scheduler.config) == dict(scheduler.config)
    model.pipe.scheduler = loaded.scheduler
    assert torch.equal(model.run(x, 10), made)
    alone = BELMScheduler.from_pretrained(tmp_path, subfolder="scheduler")
    assert dict(alone.config) == dict(scheduler.config)


def test_a_flow_pipeline_is_saved_and_loaded_with_its_scheduler(tiny: Any, tmp_path: Path) -> None:
    model = tiny.stable_diffusion_3()
    x = model.latents()
    scheduler = ours(model.pipe, method="o-belm", frame="flow")
    made = model.run(x, 8)
    model.pipe.save_pretrained(tmp_path)
    without = {f"{part}{n}": None for part in ("text_encoder", "tokenizer") for n in ("", "_2", "_3")}
    loaded = diffusers.StableDiffusion3Pipeline.from_pretrained(tmp_path, dtype=torch.float64, **without)
    assert type(loaded.scheduler) is FlowBELMScheduler and dict(loaded.scheduler.config) == dict(scheduler.config)
    model.pipe.scheduler = loaded.scheduler
    assert torch.equal(model.run(x, 8), made)


def test_a_pipeline_is_loaded_with_another_scheduler_in_its_place(tiny: Any, tmp_path: Path) -> None:
    model = tiny.stable_diffusion()
    model.pipe.save_pretrained(tmp_path)
    scheduler = BELMScheduler.from_pretrained(tmp_path, subfolder="scheduler", method="open:k=3")
    assert scheduler.config.beta_schedule == "scaled_linear" and scheduler.config.method == "open:k=3"
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(tmp_path, scheduler=scheduler, safety_checker=None)
    assert loaded.scheduler is scheduler


def test_a_state_on_disk_inverts_in_a_pipeline_loaded_on_another_day(tiny: Any, tmp_path: Path) -> None:
    model = tiny.stable_diffusion()
    x = model.latents()
    forward = ours(model.pipe, method="open:k=3")
    model.run(x, 10, guidance=7.5)
    forward.state.save(tmp_path / "state.safetensors")
    forward.save_pretrained(tmp_path / "scheduler")
    back = BELMScheduler.from_pretrained(tmp_path / "scheduler").inverse(State.load(tmp_path / "state.safetensors"))
    back.set_timesteps(10)
    model.pipe.scheduler = back
    assert relative(model.run(back.first, 10, guidance=7.5), x) <= 1e-8
