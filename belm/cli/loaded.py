"""The model of a run, loaded: what a sampler needs of it, and how its samples look.

Embedded     digits: grey pictures of 8×8, under a label
Pipeline     a folder of save_pretrained or a name on the hub, under a prompt; in `belm.cli.piped`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from belm.cli import images
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm.cli.setup import Label, Setup
    from belm_runtime.models import Model
    from belm_runtime.sampler import Sampler
    from belm_runtime.schedule import Schedule

Progress = Callable[[int, int], None]

#: The schedule that the embedded model was trained on, and the shape of one of its samples.
DIGITS_SCHEDULE, DIGITS_SHAPE = "ddpm", (1, 8, 8)


class Loaded(Protocol):
    """What the commands know of a model.

    Attributes:
        zoom: how many times its pictures are enlarged in a grid.
        ink: whether its grey values are ink, so that a picture of a task shows 1 as black.
    """

    zoom: int
    ink: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of the grid, where there is one."""

    @property
    def fingerprint(self) -> str | None:
        """A fingerprint of what is in a folder, which may change; None where nothing can."""

    def sampler(self, progress: Progress | None = None) -> Sampler:
        """The sampler on its grid."""

    def under(self, label: Label, place: int = 0) -> Model:
        """The model under a label or a prompt, one for all samples or one for each.

        Args:
            label: the label or prompt.
            place: where the first sample stands in the model's batch, if that is padded (`Setup.seen`).
        """

    def read(self, path: Path) -> torch.Tensor:
        """x_0 of a picture file, shape (1, …)."""

    def shown(self, x: torch.Tensor, limit: float = 1.0) -> np.ndarray:
        """Pictures of samples, 0 … 1, of shape (batch, height, width) or (batch, height, width, 3).

        Args:
            x: the samples.
            limit: what is white, where a sample is its own picture.
        """


class Embedded:
    """The model that comes with the package."""

    zoom, ink = 8, True
    shape = DIGITS_SHAPE
    fingerprint = None

    def __init__(self, setup: Setup, place: torch.device | str) -> None:
        """Check what does not fit this model.

        Raises:
            InputError: options of pipelines.
        """
        for name in ("negative_prompt", "height", "width", "unclipped"):
            if getattr(setup, name):
                raise InputError(f"--{name.replace('_', '-')} is for pipelines; the model digits has no use for it")
        self._setup, self._place = setup, place

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule.

        Raises:
            InputError: an unknown one, or one the model was not trained on.
        """
        from belm_runtime.schedule import Schedule

        name = self._setup.schedule or DIGITS_SCHEDULE
        schedule = Schedule.preset(name)
        if schedule.name != DIGITS_SCHEDULE:
            raise InputError(
                f"the model digits was trained on the schedule {DIGITS_SCHEDULE}, not on {name}: its timesteps would "
                f"stand for other noise levels; use --schedule {DIGITS_SCHEDULE}"
            )
        return schedule

    def sampler(self, progress: Progress | None = None) -> Sampler:
        """The sampler on its grid.

        Raises:
            InputError: unknown names, a grid that does not exist, a schedule the model was not trained on.
        """
        from belm_runtime.sampler import Sampler

        setup = self._setup
        grid = self.schedule.grid(setup.steps, setup.spacing, end=setup.end or "zero")
        return Sampler(
            setup.method, grid, arithmetic=setup.arithmetic, frame=setup.frame, start=setup.start, progress=progress
        )

    def under(self, label: Label, place: int = 0) -> Model:
        """The model under a label; its weights are read once.

        It computes in `dtype`, by default in the run's arithmetic: in float32 a rounding of a float64 state can move
        the network's input by 1e-7, and a way back with it.

        Raises:
            InputError: a label or guidance out of range, a prompt, missing weights, or more labels than the model sees
                at a time.
        """
        from belm.cli.setup import read_guidance
        from belm_runtime import digits
        from belm_runtime.guidance import weighted

        if texts := [one for one in (label if isinstance(label, list) else [label]) if isinstance(one, str)]:
            raise InputError(f"the model digits reads no prompt such as {texts[0]!r}; it takes --label")
        network, weight, grid = self._network, read_guidance(self._setup.guidance), self.sampler().grid
        seen = self._setup.seen(label, place)
        return weighted(lambda w: digits.denoiser(label=seen, guidance=w, network=network), weight, grid)  # type: ignore[arg-type]

    @cached_property
    def _network(self) -> torch.nn.Module:
        import torch

        from belm_runtime import digits
        from belm_runtime.arithmetic import read_arithmetic

        own, dtype = read_arithmetic(self._setup.arithmetic)[1], self._setup.dtype
        return digits.load(own if dtype is None else getattr(torch, dtype), self._place)

    def read(self, path: Path) -> torch.Tensor:
        """A grey picture as it is."""
        return images.read(path, DIGITS_SHAPE)

    def shown(self, x: torch.Tensor, limit: float = 1.0) -> np.ndarray:
        """Samples are pictures."""
        values = x[:, 0].detach().double().cpu().clamp(-limit, limit).numpy()
        return np.asarray(values / limit + 1) / 2


def usual(model: str) -> dict[str, Any]:
    """What a run of a model has where nothing is said; a pipeline brings its own."""
    return {"schedule": DIGITS_SCHEDULE, "end": "zero"} if model == "digits" else {}
