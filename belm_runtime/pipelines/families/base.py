"""What every family of pipelines must say of itself, and what they share.

A family turns a pipeline into parts that a sampler understands:

    plan         steps, size -> method and grid, as the pipeline would set its scheduler
    under        text -> weight -> model(x, t), the text encoded once
    encode       pictures -> x_0, the mode of the autoencoder's posterior: the same bits each time
    decode       x_0 -> pictures
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from belm_runtime.arithmetic import read_arithmetic
from belm_runtime.models import Model, from_unet
from belm_runtime.pipelines.diffusion import BELMScheduler
from belm_runtime.pipelines.families.text import spread
from belm_runtime.pipelines.pictures import posted, read
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule

Size = tuple[int, ...]
Text = Mapping[str, Any]


class Plan(NamedTuple):
    """A run as a pipeline would make it.

    Attributes:
        sampler: method and grid.
        schedule: what the grid was taken from; None if there is no such thing.
        told: what the network is told at each time of the grid.
        scale: the same for any other time, as a factor.
    """

    sampler: Sampler
    schedule: Schedule | None
    told: Mapping[float, float]
    scale: float

    def clock(self, time: float) -> float:
        """What the network is told at a time."""
        return self.told.get(time, time * self.scale)


class Conditions(NamedTuple):
    """Keywords of the network.

    Attributes:
        wanted: under the text, tensors with a row for each sample, or with one for all.
        negative: under the negative text; empty without guidance.
        shared: the same for both, without rows.
    """

    wanted: dict[str, Any]
    negative: dict[str, Any]
    shared: dict[str, Any]


class Family:
    """A pipeline with a UNet of eps, v or the sample.

    Attributes:
        pipe: the pipeline.
        factor: what height and width must be a multiple of.
        channels: of its pictures.
    """

    scheduler_class: Any = BELMScheduler
    #: What the network's time is divided by.
    divisor = 1.0

    def __init__(self, pipe: Any) -> None:
        """Read what does not change from run to run."""
        self.pipe = pipe
        self.factor, self.channels = self._measures()

    # ---- what a family says -----------------------------------------------------------------------------------------

    @classmethod
    def fits(cls, pipe: Any) -> bool:
        """Whether a pipeline is of this family."""
        raise NotImplementedError

    @property
    def network(self) -> Any:
        """The module that predicts."""
        return self.pipe.unet

    def _measures(self) -> tuple[int, int]:
        raise NotImplementedError

    def usual_size(self) -> Size:
        """The size that the network was trained at, in pixels."""
        raise NotImplementedError

    def shape(self, batch: int, size: Size) -> tuple[int, ...]:
        """The shape of x for pictures of a size."""
        raise NotImplementedError

    def size_of(self, shape: tuple[int, ...]) -> Size | None:
        """The size of the pictures for x of a shape; None if that does not determine it."""
        raise NotImplementedError

    def conditions(self, size: Size, text: Text, guided: bool) -> Conditions:
        """The network's keywords for a text."""
        raise NotImplementedError

    @torch.no_grad()
    def encode(self, pictures: Any) -> tuple[Tensor, Size]:
        """x_0 of pictures, and their size."""
        pixels = read(pictures, self.channels, self.factor)
        return self.to_x(pixels.to(self.device)), tuple(pixels.shape[2:])

    @torch.no_grad()
    def decode(self, x: Tensor, size: Size, output_type: str) -> Any:
        """Pictures of x_0, of an output type of diffusers."""
        return x if output_type == "latent" else posted(self.to_pixels(x, size), output_type)

    def to_x(self, pixels: Tensor) -> Tensor:
        """x_0 of pixels in -1 … 1."""
        return pixels

    def to_pixels(self, x: Tensor, size: Size) -> Tensor:
        """Pixels of x_0."""
        return x

    # ---- what they share --------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the pipeline computes."""
        return torch.device(self.pipe._execution_device)

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in."""
        found: torch.dtype = self.network.dtype
        return found

    def plan(self, steps: int, size: Size, settings: Mapping[str, Any]) -> Plan:
        """Method and grid, as the pipeline would set a scheduler of ours.

        Args:
            steps: N.
            size: of the pictures; some pipelines shift their grids by it.
            settings: of the scheduler, over those of the pipeline's own.

        Raises:
            InputError: settings that are unknown, or that no invertible method can follow.
        """
        arithmetic, settings = split(settings)
        scheduler = self.scheduler_class.from_config(self.pipe.scheduler.config, **{**settings, "inverse": False})
        self.set_timesteps(scheduler, steps, size)
        grid, told = scheduler.sampler.grid, scheduler.node_times.double() / self.divisor
        times = dict(zip(grid.timesteps[1:].tolist(), told.tolist(), strict=True))
        sampler = scheduler.sampler
        if arithmetic is not None:
            sampler = Sampler(sampler.method, grid, arithmetic=arithmetic, frame=sampler.frame,
                              prediction=sampler.prediction, start=sampler.table.start)  # fmt: skip
        return Plan(sampler, scheduler.schedule, times, scheduler.time_scale / self.divisor)

    def set_timesteps(self, scheduler: Any, steps: int, size: Size) -> None:
        """As the pipeline does it."""
        scheduler.set_timesteps(steps)

    def noise(self, batch: int, size: Size, generator: Any) -> Tensor:
        """x_N as the pipeline draws it."""
        from diffusers.utils.torch_utils import randn_tensor

        drawn: Tensor = randn_tensor(self.shape(batch, size), generator, self.device, self.dtype)
        return drawn

    @torch.no_grad()
    def under(self, size: Size, text: Text, guided: bool) -> Callable[[float], Model]:
        """The model under a text, for any weight of it; with guidance both predictions come from one call.

        Args:
            size: of the pictures.
            text: keywords of the pipeline's `encode_prompt`; one text for all samples, or one for each.
            guided: whether a weight other than 1 will be asked for.

        Raises:
            InputError: text that the pipeline cannot read; when the model is called, text for other samples.
        """
        wanted, negative, shared = self.conditions(size, text, guided)

        def at(weight: float) -> Model:
            if weight in (0.0, 1.0):
                return self.sized(lambda n: {**spread(wanted if weight else negative, n), **shared})
            both = self.sized(lambda n: {**_both(spread(negative, n // 2), spread(wanted, n // 2)), **shared})

            def combined(x: Tensor, t: Tensor) -> Tensor:
                base, towards = both(torch.cat([x, x]), torch.cat([t, t])).chunk(2)
                return torch.add(base, towards - base, alpha=weight)

            return combined

        return at

    def sized(self, keywords: Callable[[int], dict[str, Any]]) -> Model:
        """The network as a model whose keywords depend on the number of samples, made once for each number."""
        made = lru_cache(maxsize=None)(lambda count: from_unet(self.network, **keywords(count)))
        return lambda x, t: made(len(x))(x, t)


def split(settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Integer arithmetic, or None, apart from the settings of a scheduler, which knows floats only.

    Raises:
        InputError: an unknown arithmetic.
    """
    arithmetic = settings.get("arithmetic", "float64")
    if read_arithmetic(arithmetic)[0] is None:
        return None, dict(settings)
    return arithmetic, {name: value for name, value in settings.items() if name != "arithmetic"}


def is_a(part: Any, name: str) -> bool:
    """Whether a component is of a class of this name, or made from it; asked without importing all of diffusers."""
    return any(cls.__name__ == name for cls in type(part).__mro__)


def _both(negative: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a batch with the negative half first."""
    return {
        key: _both(negative[key], value) if isinstance(value, dict) else torch.cat([negative[key], value])
        for key, value in wanted.items()
    }
