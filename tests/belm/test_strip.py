"""The picture of what a task did: ink is dark, light is light, and colours are as they are."""

from __future__ import annotations

import io

import numpy as np
import pytest

from belm.cli.strip import strip

PIL = pytest.importorskip("PIL.Image")


def brightness(picture: np.ndarray, ink: bool) -> float:
    """Of the middle of the only cell."""
    image = np.asarray(PIL.open(io.BytesIO(strip([("", picture[None])], ink=ink))).convert("RGB"), dtype=float)
    height = image.shape[0]
    # The cell is about as wide as high, at the left, under a caption.
    return float(image[height // 2 + 4 : height // 2 + 10, 25:35].mean())


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_grey_is_ink_or_light(value: float) -> None:
    picture = np.full((8, 8), value)
    assert brightness(picture, ink=False) == 255 * value
    assert brightness(picture, ink=True) == 255 * (1 - value)


def test_colours_are_not_turned_round() -> None:
    red = np.zeros((8, 8, 3))
    red[..., 0] = 1
    assert brightness(red, ink=True) == brightness(red, ink=False) == 85
