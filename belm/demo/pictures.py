"""Pictures of pictures: the way from noise to digits and back, and the samples of a method beside their remakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from belm.demo.measure import Ways
from belm.demo.style import canvas, margins, png, styled

_COLUMNS = 10
_STOPS = (1000, 500, 300, 150, 0)


def picture_name(method: str) -> str:
    """File name of a method's samples: ``samples-blend-k3-theta0.8.png``."""
    return f"samples-{method.replace(':', '-').replace(',', '-').replace('=', '')}.png"


def journey(ways: Ways, samples: Sequence[int]) -> bytes:
    """From noise to a digit and back again: the states of some samples at a few timesteps.

    Args:
        ways: a method with an exact way back.
        samples: which to show, one a row.
    """
    turn = next(n for n, (t, _) in enumerate(ways.path) if t == 0.0)
    down, up = ways.path[: turn + 1], ways.path[turn + 1 :]
    chosen = [min(down, key=lambda pair: abs(pair[0] - t)) for t in _STOPS]
    chosen += [min(up, key=lambda pair: abs(pair[0] - t)) for t in reversed(_STOPS[:-1])]
    with styled():
        figure = canvas(0.465 * len(samples) + 0.55)
        height = figure.get_figheight()
        for line, sample in zip(figure.subplots(len(samples), len(chosen), squeeze=False), samples, strict=True):
            for ax, (t, x) in zip(line, chosen, strict=True):
                # Noise reaches beyond the pixels' -1 … 1: the range of shades follows it.
                _image(ax, _array(x)[sample, 0], 1 + 1.2 * t / 1000)
                ax.spines[:].set(visible=True, color="#cccccc")
        margins(figure, left=0.01, right=0.99, top=0.25, bottom=0.28)
        figure.subplots_adjust(wspace=0.08, hspace=0.08)
        for place, text in ((0.06, "noise"), (0.5, "digit"), (0.94, "noise")):
            figure.text(place, 1 - 0.2 / height, text, ha="center")
        for place, text in ((0.27, "sampling →"), (0.73, "the way back →")):
            figure.text(place, 0.08 / height, text, ha="center")
        return png(figure)


def remakes(ways: Ways, captions: Sequence[str]) -> bytes:
    """Three blocks: the samples, made again from the stored state, made again from x_0 alone.

    Args:
        ways: one method's runs.
        captions: one line above each block.
    """
    lines = -(-len(ways.sample) // _COLUMNS)
    blocks = (ways.sample, ways.sample_state, ways.sample_alone)
    with styled():
        figure = canvas(3 * (0.416 * lines + 0.3))
        for ax, block, caption in zip(figure.subplots(3, 1), blocks, captions, strict=True):
            ax.set_title(caption, fontsize=10.5, loc="left", pad=3)
            if block is None:
                _image(ax, np.full((9 * lines + 1, 9 * _COLUMNS + 1), -0.93), 1.0)
                ax.text(0.5, 0.5, "no exact way back exists", transform=ax.transAxes, ha="center", va="center")
            else:
                _image(ax, _sheet(_array(block)), 1.0)
        margins(figure, left=0.005, right=0.995, top=0.24, bottom=0.03)
        figure.subplots_adjust(hspace=0.3 / (0.416 * lines))
        return png(figure)


def _image(ax: Any, values: np.ndarray, limit: float) -> None:
    ax.imshow(values, cmap="gray_r", vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def _array(x: Tensor) -> np.ndarray:
    # A method that blew up leaves values that no screen can show.
    return np.clip(x.detach().numpy(), -9, 9)


def _sheet(pictures: np.ndarray) -> np.ndarray:
    """Pictures of shape (batch, 1, 8, 8) in rows of ten, one pixel apart."""
    lines = -(-len(pictures) // _COLUMNS)
    sheet = np.full((9 * lines + 1, 9 * _COLUMNS + 1), -0.6)
    for n, picture in enumerate(pictures[:, 0]):
        row, column = 9 * (n // _COLUMNS) + 1, 9 * (n % _COLUMNS) + 1
        sheet[row : row + 8, column : column + 8] = picture
    return sheet
