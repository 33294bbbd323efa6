"""A picture of what a task did: one row for each stage, one column for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: At most so many samples are shown.
COLUMNS = 10

#: A caption, and pictures 0 … 1 of shape (n, height, width) or (n, height, width, 3).
Row = tuple[str, np.ndarray]

#: Inches: a picture of a few pixels, any other one, and a caption.
_SMALL, _LARGE, _CAPTION = 0.42, 1.0, 0.19
#: How many pixels a small one has at most, to a side.
_FEW = 16


def strip(rows: Sequence[Row], *, ink: bool = True) -> bytes:
    """The rows as a PNG, in the style of the demo.

    Args:
        rows: from top to bottom.
        ink: whether grey values are ink, 1 black; else light, 1 white.
    """
    from matplotlib.figure import Figure

    from belm.demo.style import DPI, png, styled

    shown = min(COLUMNS, max(len(pictures) for _, pictures in rows))
    cell = _SMALL if max(rows[0][1].shape[1:3]) <= _FEW else _LARGE
    with styled():
        width, height = max(cell * shown, 2.2) + 0.06, (cell + _CAPTION) * len(rows) + 0.06
        figure = Figure(figsize=(width, height), dpi=DPI)
        for line, (caption, pictures) in enumerate(rows):
            # Inches from the lower left corner: the pictures of a row, its caption just above them.
            bottom = height - 0.02 - (line + 1) * (cell + _CAPTION)
            figure.text(0.05 / width, (bottom + cell) / height, caption, va="bottom", fontsize=8)
            for column, picture in enumerate(pictures[:shown]):
                left = 0.05 + cell * column
                size = cell - 0.04
                ax = figure.add_axes((left / width, bottom / height, size / width, size / height))
                ax.imshow(picture, cmap="gray_r" if ink else "gray", vmin=0, vmax=1, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.grid(visible=False)
                ax.spines[:].set(visible=True, color="#cccccc")
        return png(figure)
