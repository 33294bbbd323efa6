"""`belm audit`: what a sampler is, coefficient by coefficient, and whether its claimed inverse is one."""

from __future__ import annotations

import json
import math
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from belm.cli.files import write_text
from belm.cli.options import Spacing, one_of
from belm.cli.progress import spinner
from belm.cli.target import read_settings, subject_of
from belm_runtime.errors import InputError

_FORMATS = ("text", "json", "html")

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:CALLABLE",
        help="A scheduler, run(model, x), step(output, t, x), or a function without arguments that makes one.",
    ),
]
Inverse = Annotated[
    str | None,
    typer.Option("--inverse", metavar="MODULE:CALLABLE", help="The claimed inverse: a scheduler, or run(model, x)."),
]


def audit(
    target: Target,
    inverse: Inverse = None,
    expect: Annotated[str | None, typer.Option("--expect", metavar="METHOD", help="The method it should be.")] = None,
    frame: Annotated[str | None, typer.Option("--frame", help="The frame of the expected method.")] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="sd15, ddpm, cosine, flow; default the scheduler's own.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="The number of steps N; default 10.")] = None,
    spacing: Spacing = None,
    prediction: Annotated[
        str | None,
        typer.Option("--prediction", help="What a function takes the output for: v, sample, flow; default epsilon."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the scheduler; repeatable.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Relative deviations up to this are rounding; 0 < tolerance <= 0.01.")
    ] = 1e-5,
    format: Annotated[str, typer.Option("--format", metavar="text|json|html", help="html is one file.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Audit a sampler: its method, coefficients, order, inverse, stability, and every difference in words.

    Exit code 1 if it is not what --expect says, or if the claimed inverse is not one.
    """
    one_of("format", format, _FORMATS)
    from belm.audit import as_html, as_text, with_facts
    from belm_runtime.audit import audit as examine
    from belm_runtime.models import PREDICTIONS

    if prediction is not None:
        one_of("prediction", prediction, PREDICTIONS)
    if frame is not None and expect is None:
        raise InputError(f"--frame {frame} is of the expected method: give --expect as well")
    # What a sampler prints is no part of the report.
    with redirect_stdout(sys.stderr):
        subject = subject_of(target, inverse, schedule, steps, spacing, prediction, read_settings(settings or []))
        with spinner(f"auditing {subject.name}"):
            report = with_facts(examine(subject, expect=expect, frame=frame, tolerance=tolerance), subject)
    if format == "json":
        text = json.dumps(_plain(report.record()), indent=1, allow_nan=False) + "\n"
    else:
        text = as_html(report) if format == "html" else as_text(report)
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)
        typer.echo(f"wrote {out}", err=True)
    if not report.sound:
        raise typer.Exit(1)


def _plain(value: Any) -> Any:
    """The record with null where a number is not finite."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
