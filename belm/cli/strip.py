"""A picture of what a task did: one row for each stage, one column for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

#: At most so many samples are shown.
COLUMNS = 10

#: A caption, pictures of shape (n, 1, height, width), and the value that is black at one end and white at the other.
Row = tuple[str, "torch.Tensor", float]

_CELL, _CAPTION = 0.42, 0.19


def strip(rows: Sequence[Row]) -> bytes:
    """The rows as a PNG, in the style of the demo; a darker pixel has a higher value.

    Args:
        rows: from top to bottom.
    """
    from matplotlib.figure import Figure

    from belm.demo.style import DPI, png, styled

    shown = min(COLUMNS, max(len(pictures) for _, pictures, _ in rows))
    with styled():
        width, height = max(_CELL * shown, 2.2) + 0.06, (_CELL + _CAPTION) * len(rows) + 0.06
        figure = Figure(figsize=(width, height), dpi=DPI)
        for line, (caption, pictures, limit) in enumerate(rows):
            # Inches from the lower left corner: the pictures of a row, its caption just above them.
            bottom = height - 0.02 - (line + 1) * (_CELL + _CAPTION)
            figure.text(0.05 / width, (bottom + _CELL) / height, caption, va="bottom", fontsize=8)
            for column, picture in enumerate(pictures[:shown]):
                left = 0.05 + _CELL * column
                size = _CELL - 0.04
                ax = figure.add_axes((left / width, bottom / height, size / width, size / height))
                values = np.clip(picture[0].detach().double().cpu().numpy(), -limit, limit)
                ax.imshow(values, cmap="gray_r", vmin=-limit, vmax=limit, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.grid(visible=False)
                ax.spines[:].set(visible=True, color="#cccccc")
        return png(figure)
