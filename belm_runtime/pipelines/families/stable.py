"""Stable Diffusion and Stable Diffusion XL: a UNet on the latents of an autoencoder, under a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from belm_runtime.errors import InputError
from belm_runtime.pipelines.families.base import Conditions, Family, Size, Text, is_a
from belm_runtime.pipelines.families.text import encoded
from belm_runtime.pipelines.pictures import check_size


class Latent(Family):
    """Any family with an autoencoder: x = (z - shift)·scale for its latents z."""

    def _measures(self) -> tuple[int, int]:
        return self.pipe.vae_scale_factor, self.pipe.vae.config.in_channels

    def _scaling(self, like: Tensor) -> tuple[Any, Any]:
        """(shift, scale)."""
        return 0.0, self.pipe.vae.config.scaling_factor

    def to_x(self, pixels: Tensor) -> Tensor:
        """The mode of the posterior: no noise is drawn."""
        with self._autoencoder() as vae:
            z = vae.encode(pixels.to(vae.dtype)).latent_dist.mode()
        shift, scale = self._scaling(z)
        return (z - shift) * scale

    def to_pixels(self, x: Tensor, size: Size) -> Tensor:
        """The autoencoder's."""
        with self._autoencoder() as vae:
            z = x.to(vae.dtype)
            shift, scale = self._scaling(z)
            pixels: Tensor = vae.decode(z / scale + shift, return_dict=False)[0]
        return pixels

    @contextmanager
    def _autoencoder(self) -> Iterator[Any]:
        """The autoencoder, in float32 where it overflows in float16."""
        vae = self.pipe.vae
        overflows = vae.dtype is torch.float16 and getattr(vae.config, "force_upcast", False)
        if overflows:
            vae.to(torch.float32)
        try:
            yield vae
        finally:
            if overflows:
                vae.to(torch.float16)

    def shape(self, batch: int, size: Size) -> tuple[int, ...]:
        """(batch, channels, height, width) of the latents."""
        check_size(size[0], size[1], self.factor)
        inner = self.pipe.vae_scale_factor
        return batch, self.network.config.in_channels, size[0] // inner, size[1] // inner

    def size_of(self, shape: tuple[int, ...]) -> Size | None:
        """As many times larger as the autoencoder makes it."""
        if len(shape) != 4:
            raise InputError(f"x of shape {tuple(shape)} is no batch of latents (batch, channels, height, width)")
        return tuple(self.pipe.vae_scale_factor * side for side in shape[2:])

    def usual_size(self) -> Size:
        """The UNet's sample_size, in pixels."""
        side = self.network.config.sample_size
        sides = (side, side) if isinstance(side, int) else tuple(side)
        return tuple(self.pipe.vae_scale_factor * n for n in sides)


class StableDiffusion(Latent):
    """Versions 1 and 2."""

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """A UNet that takes a text and nothing else."""
        return _has_unet(pipe) and pipe.unet.config.addition_embed_type is None

    def conditions(self, size: Size, text: Text, guided: bool) -> Conditions:
        """The text's hidden states."""
        wanted, negative = encoded(self.pipe, text, guided, do_classifier_free_guidance=guided)
        named = [{"encoder_hidden_states": part} for part in (wanted, negative) if part is not None]
        return Conditions(named[0], named[-1] if guided else {}, {})


class StableDiffusionXL(Latent):
    """XL: also a pooled text and the size."""

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """A UNet that takes a pooled text and six numbers of the size."""
        return _has_unet(pipe) and pipe.unet.config.addition_embed_type == "text_time" and hasattr(pipe, "watermark")

    def _scaling(self, like: Tensor) -> tuple[Any, Any]:
        config = self.pipe.vae.config
        mean, deviation = (getattr(config, f"latents_{name}", None) for name in ("mean", "std"))
        if mean is None or deviation is None:
            return 0.0, config.scaling_factor
        shift, spread = (like.new_tensor(values).reshape(1, -1, 1, 1) for values in (mean, deviation))
        return shift, config.scaling_factor / spread

    def conditions(self, size: Size, text: Text, guided: bool) -> Conditions:
        """Hidden states, pooled text, and the size as original and target size without a crop."""
        found = encoded(self.pipe, text, guided, do_classifier_free_guidance=guided)
        ids = torch.tensor([[*size, 0, 0, *size]], dtype=found[0].dtype, device=self.device)

        def named(hidden: Tensor, pooled: Tensor) -> dict[str, Any]:
            added = {"text_embeds": pooled.to(self.device), "time_ids": ids}
            return {"encoder_hidden_states": hidden.to(self.device), "added_cond_kwargs": added}

        return Conditions(named(found[0], found[2]), named(found[1], found[3]) if guided else {}, {})


def _has_unet(pipe: Any) -> bool:
    """Whether a UNet predicts what it is given, under a text, without further conditions."""
    parts = pipe.components
    unet, vae = parts.get("unet"), parts.get("vae")
    if not is_a(unet, "UNet2DConditionModel") or vae is None or "controlnet" in parts:
        return False
    config = unet.config
    others = ("class_embed_type", "num_class_embeds", "encoder_hid_dim_type", "time_cond_proj_dim")
    alike = config.in_channels == config.out_channels == vae.config.latent_channels
    return alike and all(config.get(name) is None for name in others) and hasattr(pipe, "encode_prompt")
