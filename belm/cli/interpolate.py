"""`belm interpolate`: what lies between two pictures."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from belm.cli.options import (
    Bare,
    Embed,
    FirstSeed,
    Force,
    Height,
    Keep,
    ModelDtype,
    NegativePrompt,
    OutFolder,
    Pictures,
    StateFile,
    StoredArithmetic,
    StoredDevice,
    StoredGuidance,
    StoredLabel,
    StoredMethod,
    StoredModel,
    StoredPrompt,
    StoredSchedule,
    StoredSpacing,
    StoredSteps,
    TextOrJson,
    Unclipped,
    Width,
    one_of,
    print_json,
)  # fmt: skip
from belm.cli.setup import Label, read_condition
from belm.cli.source import Source, gather
from belm.cli.work import bench, condition, on_what, options, several
from belm_runtime.errors import InputError

ToLabel = Annotated[
    str | None, typer.Option("--to-label", help="The label of the second picture; default: that of the first.")
]
ToPrompt = Annotated[str | None, typer.Option("--to-prompt", help="The same for a pipeline.")]
Between = Annotated[int, typer.Option("--between", help="How many pictures to make between the two.")]


def interpolate(
    context: typer.Context,
    out: OutFolder,
    pictures: Pictures = None,
    state: StateFile = None,
    bare: Bare = False,
    between: Between = 7,
    label: StoredLabel = None,
    to_label: ToLabel = None,
    prompt: StoredPrompt = None,
    to_prompt: ToPrompt = None,
    negative_prompt: NegativePrompt = None,
    guidance: StoredGuidance = None,
    keep: Keep = 0.0,
    model: StoredModel = None,
    method: StoredMethod = None,
    schedule: StoredSchedule = None,
    steps: StoredSteps = None,
    spacing: StoredSpacing = None,
    seed: FirstSeed = None,
    arithmetic: StoredArithmetic = None,
    force: Force = False,
    height: Height = None,
    width: Width = None,
    unclipped: Unclipped = False,
    device: StoredDevice = None,
    dtype: ModelDtype = None,
    embed: Embed = False,
    format: TextOrJson = "text",
) -> None:
    """Invert two pictures and sample from the states between; write these pictures, their state, and a grid."""
    machine = one_of("format", format, ("text", "json")) == "json"
    given = options(context)
    if between < 1:
        raise InputError(f"--between {between}: it must be a whole number ≥ 1")
    if arithmetic == "integer":
        given["arithmetic"] = "integer:batch=1"
    second = read_condition(to_label, None if to_prompt is None else [to_prompt])
    if isinstance(second, list):
        raise InputError(f"--to-label {to_label!r}: the second picture has one label, a digit 0 … 9 or any")
    source = gather(pictures or [], state, given, bare=bare, force=force)
    if source is not None and len(source.names) != 2:
        raise InputError(f"to interpolate takes two pictures, not {len(source.names)}")
    if source is not None:
        _refuse_batches(source)
    found = _run(source, out, given, second, between, keep, seed, embed)
    if machine:
        print_json(found)
        return
    print(f"{on_what(found)}: {several(between, 'picture')} between two, {found['calls']} model calls, "
          f"{found['seconds']:.1f} s")  # fmt: skip
    print(f"wrote {out}: {', '.join(found['files'])}")


def _run(
    source: Source | None, out: Path, given: dict[str, Any], to_label: Label, between: int, keep: float,
    seed: int | None, embed: bool,
) -> dict[str, Any]:  # fmt: skip
    from belm_runtime.state import State
    from belm_runtime.tasks import interpolate as run

    weights = [n / (between + 1) for n in range(1, between + 1)]
    with bench("interpolating", source, out, given, seed=seed, number=2, batch=1, runs=lambda n: n + between) as on:
        begin, (first, second) = time.perf_counter(), _two(on.setup.label, to_label)
        if embed and first != second:
            raise InputError(f"--embed: between {condition(first)} and {condition(second)} a picture is of neither "
                             "label, and no single run leads back from it")  # fmt: skip
        models = [on.model(replace(on.setup, label=label))(slice(0, 1)) for label in (first, second)]
        a, b = (x for _, x in on.parts())
        path = run(on.sampler, models[0], a, b, weights, second_model=None if first == second else models[1],
                   keep=keep, schedule=on.schedule)  # fmt: skip
        made = State.joined(path.states)
        names = [f"between-{n}" for n in range(1, between + 1)]
        caption = f"{condition(first)} to {condition(second)}: a picture, {between} between, a picture"
        row = on.source.pictures[:1], made.x, on.source.pictures[1:]
        # Under two labels a picture between is of neither: no single run inverts it.
        setup = replace(on.setup, label=first) if first == second else None
        facts = {"task": "interpolate", "keep": keep, "weights": weights, "calls": path.calls,
                 "ends": {"pictures": on.source.names, "labels": [first, second]}}  # fmt: skip
        record = on.leave(names, setup, made, [(caption, row, 1.0)], embed, **facts)
        seconds = time.perf_counter() - begin
    return {**record, "seconds": seconds, "out": str(out)}


def _refuse_batches(source: Source) -> None:
    """What is made one at a time is of one batch only if the model sees one at a time."""
    options = source.setup().integer()
    if not source.bare and options is not None and options.batch != 1:
        raise InputError(
            f"these integer states were made {options.batch} at a time, and those between are made one at a time: "
            "sample with --arithmetic integer:batch=1, or give --arithmetic float64 and --bare"
        )


def _two(label: Label, to_label: Label) -> tuple[Label, Label]:
    """The labels of both ends."""
    first, second = label if isinstance(label, list) else (label, label)
    return first, second if to_label is None else to_label
