"""A table of numbers in four notations: text, Markdown, CSV and LaTeX.

A sheet is a list of columns; a column has its heading in plain text and in LaTeX and one value a row. CSV prints
floats with repr, so that nothing is lost; the others round to a number of significant digits.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Value = float | int | bool | None

#: Significant digits where none are asked for and nothing must be kept.
DIGITS = 6


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: heading in plain text.
        latex: heading in LaTeX's mathematics.
        values: one entry a row; None where there is no number.
    """

    name: str
    latex: str
    values: Sequence[Value]


def as_text(columns: Sequence[Column], digits: int | None) -> str:
    """Aligned columns."""
    cells = [[c.name, *(_number(v, digits or DIGITS, "start", "-") for v in c.values)] for c in columns]
    widths = [max(map(len, column)) for column in cells]
    rows = zip(*cells, strict=True)
    return _joined("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def as_markdown(columns: Sequence[Column], digits: int | None) -> str:
    """A pipe table with right-aligned columns."""
    cells = [[c.name, "---:", *(_number(v, digits or DIGITS, "yes", "") for v in c.values)] for c in columns]
    return _joined(f"| {' | '.join(row)} |" for row in zip(*cells, strict=True))


def as_csv(columns: Sequence[Column], digits: int | None) -> str:
    """A heading line, then one line a row; full precision unless digits are given."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([c.name for c in columns])
    cells = [["false" if v is False else _number(v, digits, "true", "") for v in c.values] for c in columns]
    writer.writerows(zip(*cells, strict=True))
    return out.getvalue()


def as_latex(columns: Sequence[Column], digits: int | None) -> str:
    """A tabular environment without further packages."""
    cells = [[f"${c.latex}$", *(_math(v, digits or DIGITS) for v in c.values)] for c in columns]
    heading, *rows = (" & ".join(row) + r" \\" for row in zip(*cells, strict=True))
    begin = rf"\begin{{tabular}}{{{'r' * len(columns)}}}"
    return _joined([begin, r"\hline", heading, r"\hline", *rows, r"\hline", r"\end{tabular}"])


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _number(value: Value, digits: int | None, true: str, none: str) -> str:
    if value is None:
        return none
    if isinstance(value, bool):
        return true if value else ""
    if isinstance(value, int):
        return str(value)
    return repr(value) if digits is None else f"{value:.{digits}g}"


def _math(value: Value, digits: int) -> str:
    """A number as LaTeX: 1.5e-05 becomes 1.5·10^{-5}."""
    text = _number(value, digits, r"\ast", "")
    mantissa, e, exponent = text.partition("e")
    if e:
        text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return f"${text}$" if text else ""
