"""The kinds of pipelines that the tasks know, told apart by their components."""

from __future__ import annotations

from typing import Any

from belm_runtime.errors import InputError
from belm_runtime.pipelines.families.base import Family, Plan, Size
from belm_runtime.pipelines.families.flow import Flux, StableDiffusion3
from belm_runtime.pipelines.families.plain import Audio, Unconditional
from belm_runtime.pipelines.families.stable import StableDiffusion, StableDiffusionXL
from belm_runtime.pipelines.families.text import count_of

__all__ = ["FAMILIES", "Family", "Flux", "Plan", "Size", "count_of", "family_of"]

FAMILIES = (StableDiffusion, StableDiffusionXL, StableDiffusion3, Flux, Unconditional, Audio)


def family_of(pipe: Any) -> Family:
    """The family of a pipeline.

    Raises:
        InputError: no pipeline, or one of another kind.
    """
    if not isinstance(getattr(pipe, "components", None), dict):
        raise InputError(f"{type(pipe).__name__} is no pipeline of diffusers; for a bare model use belm_runtime.tasks")
    for family in FAMILIES:
        if family.fits(pipe):
            return family(pipe)
    parts = ", ".join(f"{name} {type(part).__name__}" for name, part in pipe.components.items() if part is not None)
    raise InputError(
        f"{type(pipe).__name__} ({parts}) is of no kind known here: Stable Diffusion, Stable Diffusion XL, Stable "
        "Diffusion 3, Flux, an unconditional UNet, or Dance Diffusion, each without further conditions; for others put "
        "a scheduler of belm_runtime.pipelines into the pipeline"
    )
