"""Stable Diffusion 3 and Flux: a transformer of the flow's velocity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from belm_runtime.errors import InputError
from belm_runtime.models import Model, finite
from belm_runtime.models import guided as guided_by
from belm_runtime.pipelines.families.base import Conditions, Size, Text, is_a
from belm_runtime.pipelines.families.stable import Latent
from belm_runtime.pipelines.families.text import encoded, spread
from belm_runtime.pipelines.flow import FlowBELMScheduler


class Transformer(Latent):
    """What the two share: the flow, and an autoencoder with a shift."""

    scheduler_class = FlowBELMScheduler

    @property
    def network(self) -> Any:
        """The transformer."""
        return self.pipe.transformer

    def _scaling(self, like: Tensor) -> tuple[Any, Any]:
        config = self.pipe.vae.config
        return config.shift_factor or 0.0, config.scaling_factor

    def usual_size(self) -> Size:
        """The pipeline's default."""
        return (self.pipe.default_sample_size * self.pipe.vae_scale_factor,) * 2


class StableDiffusion3(Transformer):
    """SD3: hidden states and a pooled text."""

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """Its transformer, as it is."""
        plain = "controlnet" not in pipe.components and hasattr(pipe, "encode_prompt")
        return plain and is_a(pipe.components.get("transformer"), "SD3Transformer2DModel")

    def _measures(self) -> tuple[int, int]:
        return self.pipe.vae_scale_factor * self.network.config.patch_size, self.pipe.vae.config.in_channels

    def shape(self, batch: int, size: Size) -> tuple[int, ...]:
        """(batch, channels, height, width) of the latents; the network has places for so many patches only."""
        most = self.factor * int(self.network.config.pos_embed_max_size)
        if max(size) > most:
            raise InputError(f"{size[1]}×{size[0]} pixels: this model takes {most}×{most} at most")
        return super().shape(batch, size)

    def set_timesteps(self, scheduler: Any, steps: int, size: Size) -> None:
        """Shifted by the number of patches, where the config says so."""
        patches = size[0] // self.factor * (size[1] // self.factor)
        scheduler.set_timesteps(steps, mu=_mu(scheduler, patches) if scheduler.config.use_dynamic_shifting else None)

    def conditions(self, size: Size, text: Text, guided: bool) -> Conditions:
        """Hidden states and the pooled text."""
        found = encoded(self.pipe, text, guided, do_classifier_free_guidance=guided)
        negative = _named(found[1], found[3]) if guided else {}
        return Conditions(_named(found[0], found[2]), negative, {})


class Flux(Transformer):
    """Flux: patches of 2×2 latents in a row, and guidance as an input of the network.

    `guidance_scale` is that input, as in the pipeline, and nothing where the network has none; `true_cfg_scale` in the
    text is classifier-free guidance against a negative prompt.
    """

    divisor = 1000.0

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """Its transformer, as it is."""
        plain = "controlnet" not in pipe.components and hasattr(pipe, "encode_prompt")
        transformer = pipe.components.get("transformer")
        if not is_a(transformer, "FluxTransformer2DModel") or not plain:
            return False
        return transformer.config.in_channels == 4 * pipe.vae.config.latent_channels

    def _measures(self) -> tuple[int, int]:
        return 2 * self.pipe.vae_scale_factor, self.pipe.vae.config.in_channels

    def set_timesteps(self, scheduler: Any, steps: int, size: Size) -> None:
        """The pipeline's own sigmas, shifted by the number of patches."""
        sigmas = None if scheduler.config.use_flow_sigmas else np.linspace(1.0, 1 / steps, steps)
        given: dict[str, Any] = {"num_inference_steps": steps} if sigmas is None else {"sigmas": sigmas}
        scheduler.set_timesteps(**given, mu=_mu(scheduler, self.shape(1, size)[1]))

    def shape(self, batch: int, size: Size) -> tuple[int, ...]:
        """(batch, patches, channels of a patch)."""
        _, _, height, width = super().shape(batch, size)
        return batch, height // 2 * (width // 2), self.network.config.in_channels

    def size_of(self, shape: tuple[int, ...]) -> Size | None:
        """Patches in a row do not say how high the picture is."""
        if len(shape) != 3:
            raise InputError(f"x of shape {tuple(shape)} is no batch of patches (batch, patches, channels)")
        return None

    def noise(self, batch: int, size: Size, generator: Any) -> Tensor:
        """Drawn as a picture, then cut into patches."""
        from diffusers.utils.torch_utils import randn_tensor

        inner = self.pipe.vae_scale_factor
        latent = (batch, self.network.config.in_channels // 4, size[0] // inner, size[1] // inner)
        return _patches(randn_tensor(latent, generator, self.device, self.dtype))

    def to_x(self, pixels: Tensor) -> Tensor:
        """The latents in patches."""
        return _patches(super().to_x(pixels))

    def to_pixels(self, x: Tensor, size: Size) -> Tensor:
        """The patches in their places, then the autoencoder."""
        height, width = (side // self.factor for side in size)
        placed = x.reshape(len(x), height, width, -1, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return super().to_pixels(placed.reshape(len(x), -1, 2 * height, 2 * width), size)

    def conditions(self, size: Size, text: Text, guided: bool) -> Conditions:
        """Hidden states, the pooled text, and where each patch is."""
        own = {key: value for key, value in text.items() if not key.startswith("negative_")}
        other = {key.removeprefix("negative_"): value for key, value in text.items() if key.startswith("negative_")}
        hidden, pooled, text_ids = encoded(self.pipe, own, False)
        named = [_named(hidden, pooled)]
        if guided:
            hidden, pooled, _ = encoded(self.pipe, other, False)
            named.append(_named(hidden, pooled))
        height, width = (side // self.factor for side in size)
        places = torch.zeros(height, width, 3, device=self.device, dtype=text_ids.dtype)
        places[..., 1] += torch.arange(height, device=self.device)[:, None]
        places[..., 2] += torch.arange(width, device=self.device)[None, :]
        shared = {"txt_ids": text_ids, "img_ids": places.reshape(-1, 3)}
        return Conditions(named[0], named[-1] if guided else {}, shared)

    @torch.no_grad()
    def under(self, size: Size, text: Text, guided: bool) -> Callable[[float], Model]:
        """The model for any value of the network's guidance input."""
        text = dict(text)
        scale = finite("true_cfg_scale", text.pop("true_cfg_scale", 1.0))
        wanted, negative, shared = self.conditions(size, text, scale != 1)  # guided is nothing to the text
        asks = self.network.config.guidance_embeds

        def at(weight: float) -> Model:
            def given(words: dict[str, Any]) -> Model:
                return self.sized(lambda n: {**spread(words, n), **shared, **(value(n) if asks else {})})

            def value(n: int) -> dict[str, Any]:
                return {"guidance": torch.full((n,), weight, device=self.device)}

            return guided_by(given(wanted), given(negative), scale) if negative else given(wanted)

        return at


def _named(hidden: Tensor, pooled: Tensor) -> dict[str, Any]:
    return {"encoder_hidden_states": hidden, "pooled_projections": pooled}


def _mu(scheduler: Any, patches: int) -> float:
    """The shift of a grid by the number of patches, as the pipelines have it."""
    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
    return float(calculate_shift(patches, *(scheduler.config[name] for name in names)))


def _patches(latents: Tensor) -> Tensor:
    """Patches of 2×2 latents in a row, (batch, patches, 4·channels)."""
    batch, channels, height, width = latents.shape
    cut = latents.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(batch, height // 2 * (width // 2), 4 * channels)
