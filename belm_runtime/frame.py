"""Frames at run time: names and q-values dispatched to the generated formulas.

X = x/w, s = sigma/w with w = alpha + q·sigma, and dX/ds = f = eps - q·D; the data frame is x/sigma, alpha/sigma with
slope D. A network's prediction enters as f = P·prediction + R·x.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from belm_runtime._generated import frames
from belm_runtime.errors import InputError, unknown
from belm_runtime.number import exact

_NAMED: dict[str, Fraction | None] = {"noise": Fraction(0), "flow": Fraction(1), "data": None}


@dataclass(frozen=True)
class Frame:
    """A frame by its q; None is the data frame.

    Attributes:
        q: an exact fraction >= 0, or None for the data frame.
    """

    q: Fraction | None

    @classmethod
    def parse(cls, value: Frame | str | int | float | Fraction) -> Frame:
        """The frame named ``noise``, ``flow``, ``data``, ``q=…``, or given by its number q >= 0.

        Raises:
            InputError: for an unknown name or a negative q.
        """
        if isinstance(value, Frame):
            return value
        text = str(value).removeprefix("q=")
        if text in _NAMED:
            return cls(_NAMED[text])
        q = exact(text)
        if q is None:
            raise unknown("frame", value, _NAMED)
        if q < 0:
            raise InputError(f"frame q = {text} is negative; q must be >= 0 (0 noise, 1 flow), or 'data'")
        return cls(q)

    def __str__(self) -> str:
        """``noise``, ``flow``, ``data`` or ``q=…``."""
        return next((name for name, q in _NAMED.items() if q == self.q), f"q={self.q}")

    def number(self, like: Any) -> Any:
        """The q, 0 for the data frame, as a scalar that goes with `like`."""
        # Exact scalars keep q exact, floats want a float, and other number types (balls) a number of their own.
        q = self.q or Fraction(0)
        if isinstance(like, Fraction) or getattr(like, "dtype", None) is np.dtype(object):
            return q
        if isinstance(like, float | int) or hasattr(like, "dtype"):
            return float(q)
        return type(like)(q.numerator) / q.denominator

    def weight(self, alpha: Any, sigma: Any) -> Any:
        """w, the divisor of the state."""
        if self.q is None:
            return frames.data_weight(alpha, sigma)
        return frames.weight(self.number(alpha), alpha, sigma)

    def coordinate(self, alpha: Any, sigma: Any) -> Any:
        """s, the independent variable."""
        if self.q is None:
            return frames.data_coordinate(alpha, sigma)
        return frames.coordinate(self.number(alpha), alpha, sigma)

    def slope(self, prediction: str, alpha: Any, sigma: Any) -> tuple[Any, Any]:
        """(P, R) of f = P·prediction + R·x.

        Args:
            prediction: ``epsilon``, ``v``, ``sample`` or ``flow``.
            alpha: alpha at the node, number or array.
            sigma: sigma at the node, number or array.
        """
        if prediction not in frames.PREDICTIONS:
            raise unknown("prediction", prediction, frames.PREDICTIONS)
        if self.q is None:
            return getattr(frames, f"data_slope_{prediction}")(alpha, sigma)
        return getattr(frames, f"slope_{prediction}")(self.number(alpha), alpha, sigma)
