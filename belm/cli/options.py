"""Options that several commands share, and the checks that go with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from belm_runtime.errors import unknown

MethodName = Annotated[
    str, typer.Argument(metavar="METHOD", help="A method, e.g. designed, o-belm or blend:k=3,theta=0.8.")
]
ScheduleName = Annotated[str, typer.Option("--schedule", help="sd15, ddpm, cosine, flow, or flow:shift=3.")]
Steps = Annotated[int, typer.Option("--steps", help="The number of steps N of the grid.")]
Spacing = Annotated[
    str | None,
    typer.Option(
        "--spacing",
        help="leading, trailing, linspace, logsnr, karras, designed or power:p=1.5; default leading (flow: trailing).",
    ),
]
FrameName = Annotated[
    str | None, typer.Option("--frame", help="noise, flow, data or q=…; default the method's natural frame.")
]
Start = Annotated[str, typer.Option("--start", help="The first rows: adams (Adams–Bashforth of rising order) or ddim.")]
End = Annotated[str, typer.Option("--end", help="Node 0: zero (clean data) or first (the first training node).")]
ModelName = Annotated[str, typer.Option("--model", help="The model: digits, the one that comes with the package.")]
LabelText = Annotated[
    str | None,
    typer.Option("--label", help="A digit 0 … 9, several in turn such as 0,1,2, all ten in turn, or any (default)."),
]
DeviceName = Annotated[str, typer.Option("--device", help="Where to compute: cpu, cuda, cuda:1, mps.")]
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")]
TextOrJson = Annotated[str, typer.Option("--format", metavar="text|json", help="text, or json for machines.")]


def one_of(kind: str, value: str, known: Sequence[str]) -> str:
    """The value, if it is known.

    Raises:
        InputError: with the nearest match.
    """
    if value not in known:
        raise unknown(kind, value, known)
    return value


def print_json(record: Any) -> None:
    """One JSON object on stdout; floats as repr, so that nothing is lost."""
    print(json.dumps(record, indent=2, allow_nan=False))
