"""`belm table`: the coefficients of a method on an actual grid.

Row i makes x_{i-1}. a_j and b_j are the frame's coefficients in the paper's normalisation (b_j multiplies
h_{i-1+j} f_{i-1+j}); A_j and B_j multiply x_{i-1+j} and eps_{i-1+j} and do not depend on a frame. EDICT's rows are its
four stages in x instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belm.cli import sheet
from belm.cli.files import write_text
from belm.cli.options import End, FrameName, MethodName, ScheduleName, Spacing, Start, Steps, one_of
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    from belm_runtime.stages import Stage, StageTable
    from belm_runtime.table import Table

_FORMATS = {
    "text": sheet.as_text, "md": sheet.as_markdown, "csv": sheet.as_csv, "latex": sheet.as_latex,
}  # fmt: skip


def table(
    method: MethodName,
    schedule: ScheduleName = "sd15",
    steps: Steps = 50,
    spacing: Spacing = None,
    frame: FrameName = None,
    start: Start = None,
    end: End = "zero",
    format: Annotated[
        str, typer.Option("--format", metavar="text|md|csv|json|latex", help="csv and json lose nothing.")
    ] = "text",
    digits: Annotated[
        int | None, typer.Option("--digits", metavar="D", help="Significant digits, 1 … 17 (not for json).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Print the coefficient table of a method on a grid: rows i = N … 1, row i makes x_{i-1}."""
    one_of("format", format, (*_FORMATS, "json"))
    if digits is not None and (format == "json" or not 1 <= digits <= 17):
        wrong = "json prints every float in full" if format == "json" else "it must be from 1 to 17"
        raise InputError(f"--digits {digits}: {wrong}")
    from belm_runtime.schedule import Schedule
    from belm_runtime.stages import StageTable
    from belm_runtime.table import coefficients

    grid = Schedule.preset(schedule).grid(steps, spacing, end=end)
    found = coefficients(method, grid, frame=frame, start=start)
    if format == "json":
        text = json.dumps(_record(found), indent=1, allow_nan=False) + "\n"
    else:
        columns = _stage_columns(found) if isinstance(found, StageTable) else _columns(found)
        text = _heading(found, format) + _FORMATS[format](columns, digits)
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)
        typer.echo(f"wrote {out}", err=True)


def _heading(table: Table | StageTable, format: str) -> str:
    grid = table.grid
    where = f"frame {table.frame}, {grid.schedule}, {grid.spacing}, {grid.steps} steps"
    text = f"{table.method}, {where}: row i makes x_{{i-1}}"
    return {"text": f"{text}\n", "md": f"{text}\n\n", "latex": f"% {text}\n"}.get(format, "")


def _columns(table: Table) -> list[sheet.Column]:
    """i, t_i, whether it is a start row, a, b, A, B."""
    columns = _index_columns(table)
    columns.insert(2, sheet.Column("start", r"\mathrm{start}", [row.start for row in table.rows]))
    for name, count in (("a", table.k), ("b", table.k - 1), ("A", table.k), ("B", table.k - 1)):
        for j in range(count):
            found = [getattr(row, name) for row in table.rows]
            values = [None if entries is None else entries[j] for entries in found]
            columns.append(sheet.Column(f"{name}_{j + 1}", f"{name}_{{{j + 1}}}", values))
    return columns


def _index_columns(table: Table | StageTable) -> list[sheet.Column]:
    nodes = [row.i for row in table.rows]
    times = [float(table.grid.timesteps[i]) for i in nodes]
    return [sheet.Column("i", "i", nodes), sheet.Column("t_i", "t_i", times)]


def _stage_columns(table: StageTable) -> list[sheet.Column]:
    """i, t_i, and one column for each operand of each stage."""
    columns = _index_columns(table)
    # The same stages with the same operands in every row.
    rows = [[(s.target, operand, c) for s in row.stages for operand, c in stage_terms(s)] for row in table.rows]
    for entries in zip(*rows, strict=True):
        target, operand, _ = entries[0]
        latex = rf"{_latex(target)} \leftarrow {_latex(operand)}"
        columns.append(sheet.Column(f"{target}<-{operand}", latex, [c for _, _, c in entries]))
    return columns


def stage_terms(stage: Stage) -> list[tuple[str, float]]:
    """A stage in x as pairs (operand, coefficient), ``eps(y)`` among the operands."""
    terms = [(name, float(c)) for name, c in stage.terms]
    return terms + ([(f"eps({stage.source})", float(stage.slope))] if stage.source else [])


def _latex(name: str) -> str:
    return name.replace("_inter", r"_{\mathrm{inter}}").replace("eps", r"\varepsilon ")


def _record(table: Table | StageTable) -> dict[str, Any]:
    """The table for machines; A and B are null where no x-form exists."""
    from belm_runtime.methods import read
    from belm_runtime.stages import StageTable

    grid, name = table.grid, str(table.method)
    rows: list[dict[str, Any]]
    if isinstance(table, StageTable):
        rows = [{"i": r.i, "start": r.start, "stages": [_stage_record(s) for s in r.stages]} for r in table.rows]
    else:
        rows = [{"i": r.i, "start": r.start, "a": r.a, "b": r.b, "A": r.A, "B": r.B} for r in table.rows]
    return {
        "method": name,
        "parameters": read(name)[1],
        "k": table.k,
        "frame": str(table.frame),
        "grid": {key: getattr(grid, key).tolist() for key in ("timesteps", "alpha", "sigma")},
        "rows": rows,
    }


def _stage_record(stage: Stage) -> dict[str, Any]:
    return {"target": stage.target, "terms": [{"operand": o, "coefficient": c} for o, c in stage_terms(stage)]}
