"""The model of a run, loaded: what a sampler needs of it, and how its samples look.

Embedded     digits: grey pictures of 8×8, under a label
Pipeline     a folder of save_pretrained or a name on the hub, under a prompt
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from belm.cli import images
from belm.cli.options import one_of
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

#: What a pipeline computes in where nothing is said.
PIPELINE_DTYPE = "float32"


class Loaded(Protocol):
    """What the commands know of a model.

    Attributes:
        zoom: how many times its pictures are enlarged in a grid.
    """

    zoom: int

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

    zoom = 8
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


class Pipeline:
    """A pipeline of diffusers."""

    zoom = 1

    def __init__(self, setup: Setup, place: torch.device | str) -> None:
        """Load it, or take it as it was loaded before.

        Raises:
            InputError: what it cannot do, or no such pipeline.
        """
        from belm_runtime.pipelines import Adapter
        from belm_runtime.pipelines.families import Flux

        if setup.schedule is not None:
            raise InputError(f"--schedule {setup.schedule} is for digits; a pipeline brings its own")
        if (setup.height is None) != (setup.width is None):
            raise InputError("give --height and --width, or neither")
        size = None if setup.height is None or setup.width is None else (setup.height, setup.width)
        pipe, self._fingerprint = _pipeline(setup.model, setup.dtype or PIPELINE_DTYPE, str(place))
        try:
            self._setup, self._on = setup, Adapter(pipe, setup.steps, size=size, **_settings(setup, pipe))
        except InputError as error:
            if not str(error).startswith(("clip_sample", "thresholding")):
                raise
            raise InputError(f"{error}, which is --unclipped") from None
        if setup.negative_prompt and isinstance(self._on.family, Flux):
            raise InputError("--negative-prompt does nothing to Flux, whose guidance is an input of its network; the "
                             "library has true_cfg_scale for it")  # fmt: skip
        if len(self._on.size) != 2:
            raise InputError(f"{setup.model!r} makes sound; the command line has no files for it, the library has")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its x: latents, or pixels."""
        return self._on.shape[1:]

    @property
    def fingerprint(self) -> str | None:
        """Those of all its networks."""
        return self._fingerprint

    @property
    def schedule(self) -> Schedule | None:
        """That of its scheduler."""
        return self._on.schedule

    def sampler(self, progress: Progress | None = None) -> Sampler:
        """Method and grid, as the pipeline would set its scheduler."""
        self._on.sampler.progress = progress
        return self._on.sampler

    def under(self, label: Label, place: int = 0) -> Model:
        """The model under a prompt, an empty one if none is given.

        Raises:
            InputError: a label, a prompt that the model cannot read, or more prompts than it sees at a time.
        """
        from belm.cli.setup import read_guidance

        if digits := [one for one in (label if isinstance(label, list) else [label]) if isinstance(one, int)]:
            raise InputError(f"--label {digits[0]} is for the model digits; a pipeline takes --prompt")
        weight, negative = read_guidance(self._setup.guidance), self._setup.negative_prompt
        prompt = self._setup.seen(label, place)
        return self._on.model(guidance_scale=weight, prompt=prompt, negative_prompt=negative)

    def read(self, path: Path) -> torch.Tensor:
        """x_0 of a picture.

        Raises:
            InputError: no readable picture, or one of another size or mode.
        """
        with images.opened(path) as picture:
            try:
                return self._on.encode(picture)
            except InputError as error:
                raise InputError(f"{str(path)!r}: {error}") from None

    def shown(self, x: torch.Tensor, limit: float = 1.0) -> np.ndarray:
        """As the autoencoder shows them, one at a time."""
        made = [self._on.decode(one[None], "np") for one in x.to(self._on.family.device)]
        found = np.concatenate(made)
        return found[..., 0] if found.shape[-1] == 1 else found


def _settings(setup: Setup, pipe: Any) -> dict[str, Any]:
    """The options as settings of a scheduler; what is not given is as the pipeline has it.

    Raises:
        InputError: another end than the data for a flow, or an end that is unknown.
    """
    flow = "shift" in pipe.scheduler.config or pipe.scheduler.config.get("use_flow_sigmas")
    if setup.end is not None:
        one_of("end", setup.end, ("zero",) if flow else ("zero", "first"))
    given: dict[str, Any] = {"frame": setup.frame}
    if flow:  # It ends at the data, and nothing in it clips.
        given["spacing"] = setup.spacing
    else:
        given["timestep_spacing"] = setup.spacing
        given["set_alpha_to_one"] = None if setup.end is None else setup.end == "zero"
        given |= {"clip_sample": False, "thresholding": False} if setup.unclipped else {}
    found = {name: value for name, value in given.items() if value is not None}
    return {"method": setup.method, "start": setup.start, "arithmetic": setup.arithmetic, **found}


@lru_cache(maxsize=1)
def _pipeline(name: str, dtype: str, place: str) -> tuple[Any, str]:
    """The pipeline and its fingerprint."""
    import torch

    from belm_runtime.pipelines.load import fingerprint, load

    try:
        pipe = load(name, getattr(torch, dtype), place)
        return pipe, fingerprint(pipe)
    except InputError as error:
        raise InputError(f"--model: {error} (the embedded model is called digits)") from None


def usual(model: str) -> dict[str, Any]:
    """What a run of a model has where nothing is said; a pipeline brings its own."""
    return {"schedule": DIGITS_SCHEDULE, "end": "zero"} if model == "digits" else {}
