"""A pipeline from a folder of `save_pretrained`, or by its name on the hub."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging

from belm_runtime.errors import InputError

INDEX = "model_index.json"

#: How many numbers of a weight a fingerprint takes, and what the names of the parts of a run begin with.
_FEW, _RUN = 8, ("unet", "transformer", "text_encoder")


def load(name: str, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Any:
    """The pipeline, ready to run, without progress bars of its own.

    Args:
        name: a folder, or owner/name on the hub; what was downloaded once is read from the cache.
        dtype: of all its networks.
        device: where they go.

    Raises:
        InputError: no such folder or name, no pipeline in it, or one that diffusers cannot load.
    """
    folder = Path(name)
    if folder.is_dir() and not (folder / INDEX).is_file():
        raise InputError(f"{name!r} holds no {INDEX}: it is not a folder that save_pretrained of a pipeline wrote")
    if not folder.is_dir() and (folder.exists() or name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise InputError(f"there is no folder {name!r} with a pipeline in it")
    with _quiet():
        try:
            pipe = DiffusionPipeline.from_pretrained(name, torch_dtype=dtype, **_left_out(folder / INDEX))
        except (OSError, ValueError, TypeError, AttributeError, ImportError, KeyError, RuntimeError) as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise InputError(f"cannot load the pipeline {name!r}: {reason.strip()}") from None
        pipe = pipe.to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def fingerprint(pipe: Any) -> str:
    """What tells a pipeline from another one in the same folder: a few numbers of each weight that a run goes through.

    The same for every device; not for every dtype, which rounds the weights. A run goes through the networks that
    predict and that read the text: with another autoencoder or safety checker a state still leads back.
    """
    digest = hashlib.sha256(str(pipe.scheduler.config.get("prediction_type")).encode())
    for key in sorted(name for name, part in pipe.components.items() if name.startswith(_RUN) and part is not None):
        for name, weight in pipe.components[key].state_dict().items():
            few = weight.detach().reshape(-1)[:_FEW].cpu().double()
            digest.update(f"{key} {name} {tuple(weight.shape)} {few.tolist()}".encode())
    return digest.hexdigest()[:16]


def _left_out(index: Path) -> dict[str, None]:
    """The parts that a pipeline was saved without, such as its text encoder; diffusers wants that said again."""
    if not index.is_file():
        return {}
    return {name: None for name, part in json.loads(index.read_text(encoding="utf-8")).items() if part == [None, None]}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what diffusers and transformers say of loading, and their bars, off the terminal."""
    from transformers.utils import logging as others

    levels = [(part, part.get_verbosity()) for part in (logging, others)]
    for part, _ in levels:
        part.set_verbosity_error()
        part.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # Newer versions call torch_dtype by another name.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for part, level in levels:
            part.set_verbosity(level)
            part.enable_progress_bar()
