"""A text as a pipeline encodes it, and spread over the samples."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from belm_runtime.errors import InputError, unknown

#: What `encode_prompt` is told here.
_OWN = {"device", "num_images_per_prompt", "do_classifier_free_guidance", "lora_scale"}


def encoded(pipe: Any, text: Mapping[str, Any], guided: bool, **more: Any) -> Any:
    """What the pipeline's `encode_prompt` makes of a text; an empty one if none is given.

    Args:
        pipe: the pipeline.
        text: keywords of its `encode_prompt`.
        guided: whether a negative text is needed.
        **more: what else to tell it.

    Raises:
        InputError: unknown keywords, a prompt without text encoder, or what the pipeline itself refuses.
    """
    known = set(inspect.signature(pipe.encode_prompt).parameters) - _OWN
    if strange := set(text) - known:
        raise unknown("keyword", min(strange), sorted(known))
    given = {key: value for key, value in text.items() if value is not None}
    if "prompt_embeds" not in given:
        given.setdefault("prompt", "")
    _check_encoders(pipe, given, guided)
    _check_pooled(known, given)
    prompt = given.get("prompt", "")
    words = prompt if isinstance(prompt, list) and prompt else [prompt]
    if wrong := [word for word in words if not isinstance(word, str)]:
        raise InputError(f"the prompt {wrong[0]!r} is no text: give a string or a list of strings")
    if isinstance(prompt, list):
        # The pipelines do not all take one negative prompt for several prompts.
        for key in [key for key in given if key.startswith("negative_prompt") and isinstance(given[key], str)]:
            given[key] = [given[key]] * len(prompt)
    asked: dict[str, Any] = {name: None for name in ("prompt", "prompt_2", "prompt_3") if name in known}
    try:
        return pipe.encode_prompt(**asked | given, device=pipe._execution_device, num_images_per_prompt=1, **more)
    except (ValueError, TypeError) as error:
        raise InputError(f"the pipeline cannot read this prompt: {error}") from None


def count_of(text: Mapping[str, Any]) -> int:
    """How many samples a text is for."""
    embedded, prompt = text.get("prompt_embeds"), text.get("prompt")
    if embedded is not None:
        return len(embedded)
    return len(prompt) if isinstance(prompt, list) else 1


def spread(conditions: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """The tensors with a row for each sample, each row repeated as often as that takes.

    Raises:
        InputError: a number of rows that does not divide the batch.
    """
    found = {}
    for key, value in conditions.items():
        if isinstance(value, dict):
            found[key] = spread(value, batch)
        elif batch % len(value):
            raise InputError(f"text for {len(value)} samples does not go with a batch of {batch}")
        else:
            found[key] = value if len(value) == batch else value.repeat_interleave(batch // len(value), dim=0)
    return found


def _check_encoders(pipe: Any, given: Mapping[str, Any], guided: bool) -> None:
    if any(part is not None for name, part in pipe.components.items() if name.startswith("text_encoder")):
        return
    name = type(pipe).__name__
    if "prompt" in given:
        raise InputError(f"{name} holds no text encoder, so it cannot read a prompt: give prompt_embeds")
    if guided and "negative_prompt_embeds" not in given:
        raise InputError(f"guidance needs negative_prompt_embeds: {name} holds no text encoder to make them")


def _check_pooled(known: set[str], given: Mapping[str, Any]) -> None:
    for pooled in ("pooled_prompt_embeds", "negative_pooled_prompt_embeds"):
        if pooled in known and pooled not in given and pooled.replace("pooled_", "") in given:
            raise InputError(f"this pipeline also needs {pooled} with {pooled.replace('pooled_', '')}")
