"""The tasks on a pretrained pipeline, with their figures: `make test-real MODEL=DIR`; options in tests/conftest.py.

Without --model the suite tries itself on a tiny pipeline with random weights, and prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers")

from tiny_pipelines import Builder

from belm_runtime.pipelines import Adapter, edit, generate, interpolate, invert, reconstruct
from belm_runtime.pipelines.families import count_of, family_of
from belm_runtime.pipelines.load import load

DEVICES = [
    "cpu",
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]

#: The network rounds its input; a state that differs by 1e-14 may fall on the other side of a rounding, and what comes
#: of it is of the order of the network's precision times the amplification of the run.
FLOOR = {torch.float64: 1e-8, torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.3}

METHODS = ("open:k=3", "blend:k=3,theta=0.8")

pytestmark = pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")


class Real:
    """The pipeline, and how the tests call it."""

    def __init__(self, pytestconfig: pytest.Config, model: str, device: str) -> None:
        usual = "float32" if device == "cpu" else "bfloat16"
        self.dtype = getattr(torch, pytestconfig.getoption("real_dtype") or usual)
        self.pipe = load(model, self.dtype, device)
        self.steps, self.device = pytestconfig.getoption("real_steps"), device
        encodes = hasattr(self.pipe, "encode_prompt")
        self.text = {"prompt": pytestconfig.getoption("real_prompt")} if encodes else {}
        self.other = {"prompt": "something else altogether"} if encodes else {}
        self.settings = {"clip_sample": False} if self.pipe.scheduler.config.get("clip_sample") else {}
        self.settings |= {"arithmetic": "float32"} if device == "mps" else {}
        self.calls = 0
        family_of(self.pipe).network.register_forward_pre_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.calls += 1

    def made(self, method: str = METHODS[0], seed: int = 0, **more: Any) -> Any:
        return generate(
            self.pipe, num_inference_steps=self.steps, generator=torch.Generator().manual_seed(seed),
            settings={**self.settings, "method": method}, **{"output_type": "latent", **self.text, **more},
        )  # fmt: skip

    def noise(self) -> Tensor:
        return Adapter(self.pipe, self.steps, **self.settings).noise(1, torch.Generator().manual_seed(0))

    def options(self) -> dict[str, Any]:
        """For what goes on from a State."""
        return {"settings": self.settings, **self.text}


@pytest.fixture(scope="module", params=DEVICES)
def real(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Real:  # fmt: skip
    model = pytestconfig.getoption("model")
    if not model:
        model = str(tmp_path_factory.mktemp("pipeline"))
        Builder(tmp_path_factory.mktemp("tokenizer")).stable_diffusion(dtype=torch.float32).pipe.save_pretrained(model)
    return Real(pytestconfig, model, request.param)


@pytest.fixture
def say(
    capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config, real: Real
) -> Callable[[str], None]:  # fmt: skip
    def line(text: str) -> None:
        if not pytestconfig.getoption("model"):
            return
        with capsys.disabled():
            name, dtype = type(real.pipe).__name__, str(real.dtype).removeprefix("torch.")
            print(f"\n{name}, {dtype} on {real.device}, {real.steps} steps: {text}", end="")

    return line


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("method", METHODS)
def test_generate_invert_generate_again(real: Real, say: Callable[[str], None], method: str) -> None:
    real.calls, begin = 0, time.perf_counter()
    made = real.made(method)
    seconds = (time.perf_counter() - begin) / real.calls
    assert real.calls == real.steps and made.run.x.isfinite().all()
    back = invert(real.pipe, made.run, **real.options())
    seed = relative(back.x, real.noise().to(back.x))
    again = generate(
        real.pipe, latents=back.x, num_inference_steps=real.steps, output_type="latent",
        settings={**real.settings, "method": method}, **real.text,
    )  # fmt: skip
    picture = relative(again.images, made.images)
    say(f"{method}: seed off by {seed:.1e}, picture made again by {picture:.1e}; {seconds:.3f} s a call")
    assert seed <= FLOOR[real.dtype] and picture <= FLOOR[real.dtype]
    assert made.run.x.dtype == (torch.float32 if real.device == "mps" else torch.float64)


def test_guidance_comes_back_too(real: Real, say: Callable[[str], None]) -> None:
    if not real.text:
        pytest.skip("a model without text")
    made = real.made(guidance_scale=7.5)
    back = invert(real.pipe, made.run, guidance_scale=7.5, **real.options())
    seed = relative(back.x, real.noise().to(back.x))
    say(f"guidance 7.5: seed off by {seed:.1e}")
    assert seed <= FLOOR[real.dtype]


def test_a_picture_goes_to_noise_and_comes_back(real: Real, say: Callable[[str], None]) -> None:
    picture = real.made(output_type="np").images
    more = {"num_inference_steps": real.steps, **real.options()}
    x = family_of(real.pipe).encode(picture)[0]
    whole = reconstruct(real.pipe, picture, output_type="latent", **more)
    alone = reconstruct(real.pipe, picture, output_type="latent", alone=True, **more)
    errors = relative(whole.images, x.to(whole.images)), relative(alone.images, x.to(alone.images))
    say(f"a picture from all states: off by {errors[0]:.1e}; from its noise alone: {errors[1]:.1e}")
    assert errors[0] <= FLOOR[real.dtype]


def test_an_edit_changes_what_it_is_told_to(real: Real, say: Callable[[str], None]) -> None:
    if not real.text:
        pytest.skip("a model without text")
    made = real.made()
    at = {"keep": 0.3, "output_type": "latent", "settings": real.settings}
    same = edit(real.pipe, made.run, real.text, real.text, guidance_scale=1.0, **at)
    other = edit(real.pipe, made.run, real.text, real.other, guidance_scale=3.0, **at)
    errors = relative(same.images, made.images), relative(other.images, made.images)
    say(f"edit to the same prompt: off by {errors[0]:.1e}; to another: by {errors[1]:.1e}")
    assert errors[0] <= FLOOR[real.dtype] and other.run.state.x.isfinite().all()
    assert errors[1] > errors[0]


def test_the_ends_of_an_interpolation_are_the_pictures(real: Real, say: Callable[[str], None]) -> None:
    first, second = real.made(seed=0), real.made(seed=1)
    made = interpolate(real.pipe, first.run, second.run, [0.0, 0.5, 1.0], output_type="latent", **real.options())
    errors = relative(made.images[0], first.images), relative(made.images[2], second.images)
    say(f"ends of an interpolation: off by {max(errors):.1e}")
    assert max(errors) <= FLOOR[real.dtype] and made.run.states[1].x.isfinite().all()


def test_memory_does_not_grow_with_the_steps(real: Real, say: Callable[[str], None]) -> None:
    if real.device != "cuda":
        pytest.skip("counted on CUDA only")
    most = []
    for steps in (real.steps, 2 * real.steps):
        torch.cuda.reset_peak_memory_stats()
        real.steps, kept = steps, real.steps
        real.made()
        real.steps = kept
        most.append(torch.cuda.max_memory_allocated())
    say(f"peak {most[0] / 2**20:.0f} MiB, with twice the steps {most[1] / 2**20:.0f} MiB")
    assert most[1] <= 1.01 * most[0]


def test_pictures_come_out(real: Real, say: Callable[[str], None]) -> None:
    images = real.made(output_type="np").images
    assert images.shape[0] == count_of(real.text) and np.isfinite(images).all()
    say(f"pictures of shape {images.shape[1:]}, mean {images.mean():.3f}, deviation {images.std():.3f}")
