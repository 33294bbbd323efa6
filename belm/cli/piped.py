"""A pipeline of diffusers as the model of a run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from belm.cli import images
from belm.cli.options import one_of
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm.cli.loaded import Progress
    from belm.cli.setup import Label, Setup
    from belm_runtime.models import Model
    from belm_runtime.sampler import Sampler
    from belm_runtime.schedule import Schedule

#: What a pipeline computes in where nothing is said.
DTYPE = "float32"


class Pipeline:
    """A pipeline of diffusers."""

    zoom, ink = 1, False

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
        pipe, self._fingerprint = _pipeline(setup.model, setup.dtype or DTYPE, str(place))
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
