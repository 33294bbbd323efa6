"""Pictures as a PNG file, written with the standard library: a grid of samples needs no extra."""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_GAP = 4


def montage(pictures: NDArray[np.uint8], zoom: int) -> NDArray[np.uint8]:
    """All pictures in a near-square grid, row by row, each pixel a square.

    Args:
        pictures: of shape (batch, height, width), or (batch, height, width, 3).
        zoom: how many pixels wide the square is.

    Returns:
        Pixels 0 … 255, white gaps between the pictures.
    """
    large = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    batch, height, width, *colours = large.shape
    columns = math.ceil(math.sqrt(batch))
    rows = math.ceil(batch / columns)
    canvas = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, *colours), 255, np.uint8)
    for n, picture in enumerate(large):
        top, left = (_GAP + (n // columns) * (height + _GAP), _GAP + (n % columns) * (width + _GAP))
        canvas[top : top + height, left : left + width] = picture
    return canvas


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of 8-bit pixels, grey of shape (height, width) or in colour of shape (height, width, 3)."""
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    # Every line of the image starts with its filter type, 0 for none.
    lines = np.hstack([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)]).tobytes()
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
