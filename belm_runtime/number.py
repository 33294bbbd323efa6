"""Exact numbers from text: decimals and fractions as they are written, within sensible bounds."""

from __future__ import annotations

import re
from fractions import Fraction

#: Longest text and largest exponents, of the number and as written: 1e-999999999 is a number of a billion digits.
_LENGTH, _EXPONENT, _WRITTEN = 60, 300, 400


def exact(text: object) -> Fraction | None:
    """The fraction that a text such as ``0.8``, ``4/5`` or ``1e-3`` writes, or None if it writes none.

    Args:
        text: anything; its `str` is read, so a float stands for its shortest decimal.
    """
    written = str(text).strip()
    exponent = re.search(r"[eE]([+-]?\d+)$", written)
    if len(written) > _LENGTH or (exponent and abs(int(exponent[1])) > _WRITTEN):
        return None
    try:
        value = Fraction(written)
    except (ValueError, ZeroDivisionError):
        return None
    size = abs(value)
    return value if not value or Fraction(1, 10**_EXPONENT) <= size <= 10**_EXPONENT else None


def decimal(value: Fraction) -> str:
    """The short decimal that equals a number, ``1.5``; where there is none the fraction, ``1/3``."""
    written = f"{float(value):.12g}"
    return written if Fraction(written) == value else str(value)
