"""Pictures as pixels and back: PIL and NumPy in, what diffusers calls output types out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from torch import Tensor

from belm_runtime.errors import InputError, unknown

#: What pictures may come out as.
OUTPUTS = ("pil", "np", "pt", "latent")

_MODES = {1: "L", 3: "RGB"}


def read(pictures: Any, channels: int, factor: int) -> Tensor:
    """Pixels in -1 … 1, float64 of shape (batch, channels, height, width).

    Args:
        pictures: a PIL picture, an array (height, width, channels) of uint8 or of floats in 0 … 1, or a list of either;
            arrays may hold a batch.
        channels: what the model takes.
        factor: what height and width must be a multiple of.

    Raises:
        InputError: none of these, or of another mode or size.
    """
    given = list(pictures) if isinstance(pictures, list | tuple) else [pictures]
    if not given:
        raise InputError("there are no pictures in the list")
    arrays = [_array(picture, channels) for picture in given]
    sizes = {array.shape[1:3] for array in arrays}
    if len(sizes) > 1:
        shown = " and ".join(f"{width}×{height}" for height, width in sorted(sizes))
        raise InputError(f"the pictures of a batch must have one size, not {shown}")
    height, width = sizes.pop()
    check_size(height, width, factor)
    return torch.from_numpy(np.concatenate(arrays)).permute(0, 3, 1, 2).contiguous() * 2 - 1


def check_size(height: int, width: int, factor: int) -> None:
    """Refuse a size that the model cannot take.

    Raises:
        InputError: not a positive multiple of the factor.
    """
    if min(height, width) < 1 or height % factor or width % factor:
        right = f"{max(1, round(width / factor)) * factor}×{max(1, round(height / factor)) * factor}"
        raise InputError(f"{width}×{height} pixels: width and height must be multiples of {factor}, e.g. {right}")


def check_output(output_type: str) -> None:
    """Refuse another output type than `OUTPUTS`.

    Raises:
        InputError: with the nearest match.
    """
    if output_type not in OUTPUTS:
        raise unknown("output_type", output_type, OUTPUTS)


def posted(pixels: Tensor, output_type: str) -> Any:
    """Pixels in -1 … 1 as pil, np or pt; what is beyond is cut off."""
    # PIL and NumPy have no bfloat16.
    shown = pixels if output_type == "pt" else pixels.float()
    return VaeImageProcessor().postprocess(shown, output_type=output_type)


def _array(picture: Any, channels: int) -> np.ndarray:
    """One picture, or a batch of them, as floats in 0 … 1 of shape (batch, height, width, channels)."""
    if isinstance(picture, Image.Image):
        mode = _MODES.get(channels, "?")
        if picture.mode != mode:
            raise InputError(f"the picture is {picture.mode}; the model takes {mode}: picture.convert({mode!r})")
        picture = np.asarray(picture).reshape(picture.height, picture.width, channels)
    if not isinstance(picture, np.ndarray):
        raise InputError(
            f"a picture must be PIL or an array, not a {type(picture).__name__}; tensors are taken for x_0 itself"
        )
    array = picture if picture.ndim == 4 else picture[None]
    if array.ndim != 4 or array.shape[-1] != channels:
        raise InputError(f"an array of shape {picture.shape} is no picture of (height, width, {channels})")
    if array.dtype == np.uint8:
        return array / 255.0
    if not np.issubdtype(array.dtype, np.floating) or not ((array >= 0) & (array <= 1)).all():
        raise InputError(
            f"an array of {array.dtype} from {array.min():g} to {array.max():g} is no picture: give uint8, or floats "
            "in 0 … 1"
        )
    return array.astype(np.float64)
