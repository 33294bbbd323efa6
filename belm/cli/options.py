"""Options that several commands share, and the checks that go with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from belm_runtime.errors import unknown

MethodName = Annotated[
    str,
    typer.Argument(metavar="METHOD", help="A method, o-belm or blend:k=3,theta=0.8, or a design: designed, my.json."),
]
ScheduleName = Annotated[str, typer.Option("--schedule", help="sd15, ddpm, cosine, flow, or flow:shift=3.")]
OwnSchedule = Annotated[
    str | None, typer.Option("--schedule", help="For digits: ddpm, the one that it was trained on; a pipeline has one.")
]
Steps = Annotated[int, typer.Option("--steps", help="The number of steps N of the grid.")]
Spacing = Annotated[
    str | None,
    typer.Option(
        "--spacing",
        help="leading, trailing, linspace, logsnr, karras, power:p=1.5, bent:…, free:… or a design (designed, "
        "my.json); default leading (flow: trailing).",
    ),
]
FrameName = Annotated[
    str | None, typer.Option("--frame", help="noise, flow, data or q=…; default the design's, or the natural one.")
]
Start = Annotated[
    str | None,
    typer.Option("--start", help="The first rows: adams (of rising order) or ddim; default the design's, or adams."),
]
OwnEnd = Annotated[
    str | None,
    typer.Option("--end", help="Node 0: zero (clean data) or first (the first training node); default the model's."),
]
End = Annotated[str, typer.Option("--end", help="Node 0: zero (clean data) or first (the first training node).")]
ModelName = Annotated[
    str,
    typer.Option("--model", help="digits (comes with the package), a folder of a diffusers pipeline, or its hub name."),
]
LabelText = Annotated[
    str | None,
    typer.Option("--label", help="A digit 0 … 9, several in turn such as 0,1,2, all ten in turn, or any (default)."),
]
DeviceName = Annotated[str, typer.Option("--device", help="Where to compute: cpu, cuda, cuda:1, mps.")]
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")]
TextOrJson = Annotated[str, typer.Option("--format", metavar="text|json", help="text, or json for machines.")]

_STORED = "default: as stored"
Pictures = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PICTURE]…", help="Picture files; a PNG that carries its state leads back exactly."),
]
StateFile = Annotated[
    Path | None, typer.Option("--state", metavar="FILE", help="A state of `belm sample`, or its folder.")
]
Bare = Annotated[bool, typer.Option("--bare", help="Start from x_0 alone, without the stored history.")]
StoredModel = Annotated[
    str | None, typer.Option("--model", help=f"digits, a folder of a pipeline, or its hub name; {_STORED}, or digits.")
]
StoredPrompt = Annotated[
    list[str] | None,
    typer.Option("--prompt", help="Of a pipeline; several for the pictures in turn; default as stored, if at all."),
]
NegativePrompt = Annotated[
    str | None, typer.Option("--negative-prompt", help="What guidance leads away from; default as stored, if at all.")
]
Height = Annotated[
    int | None, typer.Option("--height", help="Of a pipeline's pictures; default that of the input or model.")
]
Width = Annotated[int | None, typer.Option("--width", help="Likewise.")]
Unclipped = Annotated[
    bool, typer.Option("--unclipped", help="Run a pipeline without the clipping that its scheduler asks for.")
]
StoredMethod = Annotated[
    str | None, typer.Option("--method", help=f"{_STORED.capitalize()}; open:k=3 for a bare picture.")
]
StoredSchedule = Annotated[str | None, typer.Option("--schedule", help=f"The schedule; {_STORED}, or ddpm.")]
StoredSteps = Annotated[int | None, typer.Option("--steps", help=f"The number of steps; {_STORED}, or 50.")]
StoredSpacing = Annotated[str | None, typer.Option("--spacing", help=f"The spacing; {_STORED}, or the schedule's.")]
StoredLabel = Annotated[
    str | None, typer.Option("--label", help=f"A digit, several in turn, all, or any; {_STORED}, or any.")
]
StoredGuidance = Annotated[
    str | None, typer.Option("--guidance", help=f"The label's weight, or 1:3 from noise to data; {_STORED}, or 1.")
]
StoredDevice = Annotated[str | None, typer.Option("--device", help=f"Where to compute; {_STORED}, or cpu.")]
ModelDtype = Annotated[
    str | None,
    typer.Option("--dtype", help="What the model computes in: float64, float32, bfloat16, float16."),
]
StoredArithmetic = Annotated[
    str | None,
    typer.Option("--arithmetic", help=f"float64, float32, or integer: exact to the last bit; {_STORED}, or float64."),
]
Force = Annotated[bool, typer.Option("--force", help="Continue an integer state under other conditions; not exact.")]
FirstSeed = Annotated[
    int | None, typer.Option("--seed", help="Without pictures or --state: sample from this seed first; default 0.")
]
FirstNumber = Annotated[int, typer.Option("--num", "-n", help="How many pictures to sample with --seed.")]
TaskBatch = Annotated[int | None, typer.Option("--batch-size", help="Pictures per model call; default all.")]
Embed = Annotated[bool, typer.Option("--embed", help="Put each picture's state into its PNG.")]
Keep = Annotated[
    float, typer.Option("--keep", help="The fraction of the steps, next to the noise, that is left as it is.")
]


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
