"""Grey pictures as a PNG file, written with the standard library: a grid of samples needs no extra."""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_ZOOM, _GAP = 8, 4


def montage(samples: NDArray[np.float64]) -> NDArray[np.uint8]:
    """All samples in a near-square grid, row by row, each pixel a square.

    Args:
        samples: values in [-1, 1] (clipped), shape (batch, height, width).

    Returns:
        Pixels 0 … 255, white gaps between the samples.
    """
    grey = np.rint((np.clip(samples, -1, 1) + 1) * 127.5).astype(np.uint8)
    large = grey.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)
    batch, height, width = large.shape
    columns = math.ceil(math.sqrt(batch))
    rows = math.ceil(batch / columns)
    canvas = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP), 255, np.uint8)
    for n, picture in enumerate(large):
        top, left = (_GAP + (n // columns) * (height + _GAP), _GAP + (n % columns) * (width + _GAP))
        canvas[top : top + height, left : left + width] = picture
    return canvas


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of 8-bit grey pixels, shape (height, width)."""
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    # Every line of the image starts with its filter type, 0 for none.
    lines = np.hstack([np.zeros((height, 1), np.uint8), pixels]).tobytes()
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
