"""Without a text: a UNet on the pixels themselves (DDPM), and on sound (Dance Diffusion)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from belm_runtime.errors import InputError, unknown
from belm_runtime.grid import Grid
from belm_runtime.pipelines.families.base import Conditions, Family, Plan, Size, Text, is_a
from belm_runtime.pipelines.pictures import check_size
from belm_runtime.sampler import Sampler


class Unconditional(Family):
    """DDPM and its kind: x are the pixels, -1 … 1."""

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """A UNet that takes nothing but x and the time."""
        parts = pipe.components
        alone = set(parts) == {"unet", "scheduler"} and is_a(parts["unet"], "UNet2DModel")
        return alone and parts["unet"].config.class_embed_type is parts["unet"].config.num_class_embeds is None

    def _measures(self) -> tuple[int, int]:
        return 2 ** (len(self.network.config.block_out_channels) - 1), self.network.config.in_channels

    def usual_size(self) -> Size:
        """The UNet's sample_size."""
        side = self.network.config.sample_size
        return (side, side) if isinstance(side, int) else tuple(side)

    def shape(self, batch: int, size: Size) -> tuple[int, ...]:
        """(batch, channels, height, width)."""
        check_size(size[0], size[1], self.factor)
        return batch, self.channels, *size

    def size_of(self, shape: tuple[int, ...]) -> Size | None:
        """That of x."""
        return tuple(shape[2:])

    def conditions(self, size: Size, text: Text, guided: bool) -> Conditions:
        """None."""
        if given := sorted(key for key, value in text.items() if value is not None):
            raise InputError(
                f"{given[0]} is of no use: {type(self.pipe).__name__} is a model without text; leave it out"
            )
        if guided:
            raise InputError(f"{type(self.pipe).__name__} is a model without text, and so without guidance")
        return Conditions({}, {}, {})


class Audio(Unconditional):
    """Dance Diffusion: v on sound of shape (batch, channels, samples), -1 … 1.

    Its own scheduler, IPNDM, counts time as an angle: alpha = cos(pi·t/2), sigma = sin(pi·t/2). Any other one is
    converted as usual.
    """

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """A UNet of one dimension, alone."""
        parts = pipe.components
        return set(parts) == {"unet", "scheduler"} and is_a(parts["unet"], "UNet1DModel")

    def _measures(self) -> tuple[int, int]:
        return 2 ** len(self.network.up_blocks), self.network.config.in_channels

    def usual_size(self) -> Size:
        """The UNet's sample_size."""
        return (int(self.network.config.sample_size),)

    def shape(self, batch: int, size: Size) -> tuple[int, ...]:
        """(batch, channels, samples)."""
        if size[0] < 1 or size[0] % self.factor:
            raise InputError(f"a length of {size[0]} samples: it must be a multiple of {self.factor}")
        return batch, self.channels, *size

    def plan(self, steps: int, size: Size, settings: Mapping[str, Any]) -> Plan:
        """With IPNDM the nodes that it has."""
        config = self.pipe.scheduler.config
        if config.get("_class_name", type(self.pipe.scheduler).__name__) != "IPNDMScheduler":
            return super().plan(steps, size, settings)
        if config.get("trained_betas") is not None:
            raise InputError("IPNDMScheduler cannot be converted: trained_betas are levels without a known meaning")
        sigma = np.sin(np.linspace(0, 1, steps + 1) * np.pi / 2) ** 2
        alpha = np.sqrt(1 - sigma**2)
        grid = Grid.from_arrays(alpha, sigma, np.arctan2(sigma, alpha) * 2 / np.pi, schedule="ipndm", spacing="ipndm")
        known = {"method", "frame", "start", "arithmetic"}
        if strange := set(settings) - known:
            raise unknown("setting", min(strange), known)
        method = settings.get("method", "blend:k=3,theta=0.8")
        more = {key: value for key, value in settings.items() if key != "method"}
        return Plan(Sampler(method, grid, prediction="v", **more), None, {}, 1.0)

    def encode(self, pictures: Any) -> tuple[Tensor, Size]:
        """Sound as it is: an array (channels, samples), or a batch of them."""
        array = np.asarray(pictures)
        array = array[None] if array.ndim == 2 else array
        if array.ndim != 3 or array.shape[1] != self.channels or not np.issubdtype(array.dtype, np.floating):
            raise InputError(
                f"{array.dtype} of shape {array.shape} is no sound: give floats in -1 … 1 of shape "
                f"(batch, {self.channels}, samples)"
            )
        x = torch.from_numpy(array.astype(np.float64)).to(self.device)
        self.shape(len(x), tuple(x.shape[2:]))
        return x, tuple(x.shape[2:])

    def decode(self, x: Tensor, size: Size, output_type: str) -> Any:
        """Sound, cut off at -1 … 1; an array also where pictures are asked for, as they are by default."""
        if output_type == "latent":
            return x
        cut = x.clamp(-1, 1)
        return cut if output_type == "pt" else cut.float().cpu().numpy()
