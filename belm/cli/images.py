"""Picture files in and out; those of the embedded model are grey, values -1 (black) … 1 (white).

A picture that belm writes may carry its state (`belm_runtime.png`): then it leads back exactly. Eight bits a pixel do
not: they are where a bare picture starts from.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from belm.cli.picture import png
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from belm_runtime.state import State


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """A picture file: its size and mode are known, its pixels are read when they are asked for.

    Raises:
        InputError: no readable picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # However large it says it is, it is refused by its size before a pixel is read.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
        with picture:
            yield picture
    except UnidentifiedImageError:
        raise InputError(f"{str(path)!r} is no picture that can be read; give PNG or JPEG files") from None
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from None


def read(path: Path, shape: tuple[int, int, int]) -> torch.Tensor:
    """A picture as float64 of shape (1, 1, height, width).

    Args:
        path: PNG, JPEG or whatever else Pillow reads.
        shape: what the model takes, (1, height, width).

    Raises:
        InputError: no readable picture, or one of another size or mode.
    """
    import torch

    channels, height, width = shape
    assert channels == 1
    with opened(path) as picture:
        if picture.mode != "L" or picture.size != (width, height):
            raise InputError(
                f"{str(path)!r} is {picture.mode} of {picture.width}×{picture.height}; the model takes grey "
                f"pictures (L) of {width}×{height}: with Pillow, picture.convert('L').resize(({width}, {height}))"
            )
        pixels = np.asarray(picture)
    return torch.from_numpy(pixels.astype(np.float64)).reshape(1, *shape) / 127.5 - 1


def pixels(shown: np.ndarray) -> np.ndarray:
    """Pictures 0 … 1 as files have them, 0 … 255."""
    return np.asarray(np.rint(255 * shown), dtype=np.uint8)


def names_of(count: int, first: int = 0) -> list[str]:
    """What samples without names of their own are called."""
    return [f"sample-{j:03d}" for j in range(first, first + count)]


def notes(record: Mapping[str, Any], count: int) -> list[str]:
    """The record of a run as it stands beside the state of each of its samples."""
    label = record["label"]
    each = label if isinstance(label, list) else [label] * count
    return [json.dumps({**record, "label": one, "num": 1}) for one in each]


def write_all(
    folder: Path, names: Sequence[str], pictures: np.ndarray, state: State | None = None,
    beside: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """Write each picture as NAME.png.

    Args:
        folder: where; staged by the caller.
        names: one for each picture, without ending.
        pictures: pixels 0 … 255, grey or in colour, of shape (batch, …).
        state: put into each picture its own sample of this state.
        beside: a note for each, beside its state.

    Returns:
        The names of the files.
    """
    from belm_runtime.png import embed

    for n, name in enumerate(names):
        data = png(pictures[n])
        if state is not None:
            data = embed(data, state[n : n + 1], beside[n])
        (folder / f"{name}.png").write_bytes(data)
    return [f"{name}.png" for name in names]
