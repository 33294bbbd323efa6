"""`belm edit`: change pictures by changing their label."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from belm.cli.options import (
    Bare,
    Embed,
    FirstNumber,
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
    StoredLabel,
    StoredMethod,
    StoredModel,
    StoredPrompt,
    StoredSchedule,
    StoredSpacing,
    StoredSteps,
    TaskBatch,
    TextOrJson,
    Unclipped,
    Width,
    one_of,
    print_json,
)  # fmt: skip
from belm.cli.setup import Label, labels_of, read_condition
from belm.cli.source import EDIT_METHOD, Source, gather
from belm.cli.work import bench, condition, on_what, options, several, spelled
from belm_runtime.errors import InputError

ToLabel = Annotated[
    str | None, typer.Option("--to-label", help="What the pictures are to show: a digit, or several in turn.")
]
ToPrompt = Annotated[
    list[str] | None, typer.Option("--to-prompt", help="The same for a pipeline; several for the pictures in turn.")
]
Target = Annotated[
    str,
    typer.Option(
        "--guidance", help="The weight of the new label or prompt; 1:3 runs from 1 at the noise to 3 at the data."
    ),
]
Origin = Annotated[
    str | None, typer.Option("--source-guidance", help="The weight of --label on the way up; default: as stored, or 1.")
]


def edit(
    context: typer.Context,
    out: OutFolder,
    pictures: Pictures = None,
    state: StateFile = None,
    bare: Bare = False,
    label: StoredLabel = None,
    to_label: ToLabel = None,
    prompt: StoredPrompt = None,
    to_prompt: ToPrompt = None,
    negative_prompt: NegativePrompt = None,
    keep: Keep = 0.4,
    guidance: Target = "3",
    source_guidance: Origin = None,
    model: StoredModel = None,
    method: StoredMethod = None,
    schedule: StoredSchedule = None,
    steps: StoredSteps = None,
    spacing: StoredSpacing = None,
    seed: FirstSeed = None,
    number: FirstNumber = 8,
    arithmetic: StoredArithmetic = None,
    force: Force = False,
    height: Height = None,
    width: Width = None,
    unclipped: Unclipped = False,
    device: StoredDevice = None,
    dtype: ModelDtype = None,
    batch_size: TaskBatch = None,
    embed: Embed = False,
    format: TextOrJson = "text",
) -> None:
    """Invert pictures under their own label and sample them under another; write pictures, state, and a grid."""
    machine = one_of("format", format, ("text", "json")) == "json"
    given = options(context, guidance="source_guidance")
    if to_label is None and not to_prompt:
        raise InputError("say what the pictures are to show: --to-label, or --to-prompt for a pipeline")
    target = read_condition(to_label, to_prompt), spelled(guidance)
    source = gather(pictures or [], state, given, bare=bare, bare_method=EDIT_METHOD, force=force)
    found = _run(source, out, given, target, keep, seed, number, batch_size, embed)
    if machine:
        print_json(found)
        return
    source_of = condition(found["source"]["label"])
    print(f"{on_what(found)}, turned at node {found['turn']}: {several(found['num'], 'picture')} from {source_of} to "
          f"{condition(found['label'])}, {found['calls']} model calls, {found['seconds']:.1f} s")  # fmt: skip
    print(f"wrote {out}: {', '.join(found['files'])}")


def _run(
    source: Source | None, out: Path, given: dict[str, Any], target: tuple[Label, str | float], keep: float,
    seed: int | None, number: int, batch: int | None, embed: bool,
) -> dict[str, Any]:  # fmt: skip
    from belm_runtime.state import State
    from belm_runtime.tasks import edit as run

    with bench("editing", source, out, given, seed=seed, number=number, batch=batch, runs=lambda n: 2 * n) as on:
        begin, label = time.perf_counter(), labels_of(target[0], len(on.source.names))
        wanted = replace(on.setup, label=label, guidance=target[1])
        up, down = on.model(on.setup), on.model(wanted)
        made = [run(on.sampler, up(span), down(span), x, keep=keep, schedule=on.schedule) for span, x in on.parts()]
        turn, edited = (State.joined([getattr(one, part) for one in made]) for part in ("turn", "state"))
        node = turn.nodes[0]
        rows = [
            (f"pictures ({condition(on.setup.label)})", (on.source.pictures,), 1.0),
            (f"at node {node}", (turn.x,), 2.5),
            (f"edited ({condition(label)}, guidance {str(target[1]).removesuffix('.0')})", (edited.x,), 1.0),
        ]  # fmt: skip
        facts = {"task": "edit", "keep": keep, "turn": node, "calls": turn.calls + edited.calls,
                 "source": {"label": on.setup.label, "guidance": on.setup.guidance}}  # fmt: skip
        record = on.leave(on.named("edited"), wanted, edited, rows, embed, **facts)
        seconds = time.perf_counter() - begin
    return {**record, "seconds": seconds, "out": str(out)}
