"""`belm reconstruct`: pictures to noise and back."""

from __future__ import annotations

import time
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
    TaskBatch,
    TextOrJson,
    Unclipped,
    Width,
    one_of,
    print_json,
)  # fmt: skip
from belm.cli.source import Source, gather
from belm.cli.work import NOISE, bench, bits_in_words, different_bits, on_what, options, several


def reconstruct(
    context: typer.Context,
    out: OutFolder,
    pictures: Pictures = None,
    state: StateFile = None,
    bare: Bare = False,
    alone: Annotated[bool, typer.Option("--alone", help="Go back from x_N alone, without the other states.")] = False,
    model: StoredModel = None,
    method: StoredMethod = None,
    schedule: StoredSchedule = None,
    steps: StoredSteps = None,
    spacing: StoredSpacing = None,
    label: StoredLabel = None,
    prompt: StoredPrompt = None,
    negative_prompt: NegativePrompt = None,
    guidance: StoredGuidance = None,
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
    """Invert pictures and sample them again; write the noise, the pictures, their state, and a grid of both."""
    machine = one_of("format", format, ("text", "json")) == "json"
    given = options(context)
    source = gather(pictures or [], state, given, bare=bare, force=force)
    found = _run(source, out, given, seed, number, batch_size, alone, embed)
    if machine:
        print_json(found)
        return
    error = found["error"]
    print(f"{on_what(found)}: {several(found['num'], 'picture')} from {found['from']} to noise and back, "
          f"{found['calls']} model calls, {found['seconds']:.1f} s")  # fmt: skip
    if found["bits"] is None:
        print(f"picture made again: max error {error['max']:.3g}, rms {error['rms']:.3g}")
    else:
        print(f"picture made again: {bits_in_words(found['bits'])}")
    print(f"wrote {out}: {', '.join(found['files'])}")


def _run(
    source: Source | None, out: Path, given: dict[str, Any], seed: int | None, number: int, batch: int | None,
    alone: bool, embed: bool,
) -> dict[str, Any]:  # fmt: skip
    from belm_runtime.state import State
    from belm_runtime.tasks import reconstruct as run

    with bench(
        "going up and down", source, out, given, seed=seed, number=number, batch=batch, runs=lambda n: 2 * n
    ) as on:
        begin, under = time.perf_counter(), on.model(on.setup)
        made = [run(on.sampler, under(span), x, schedule=on.schedule, alone=alone) for span, x in on.parts()]
        turn, again = (State.joined([getattr(one, part) for one in made]) for part in ("turn", "state"))
        x0 = on.sampler.rounded(on.source.pictures.to(again.x), 0)
        bits = None if on.sampler.exact is None else different_bits([again.x], x0)
        difference = (again.x - x0).double()
        error = {"max": float(difference.abs().max()), "rms": float(difference.square().mean().sqrt())}
        caption = f"made again, off by {error['rms']:.1g}"
        rows = [("pictures", (x0,), 1.0), ("their noise", (turn.x,), 3.0), (caption, (again.x,), 1.0)]
        turn.save(on.folder / NOISE)
        facts = {"task": "reconstruct", "alone": alone, "error": error, "bits": bits,
                 "calls": turn.calls + again.calls}  # fmt: skip
        if on.source.seed is not None and not on.source.values.get("first"):
            # Sample j here is sample j of that seed.
            facts["seed"] = on.source.seed
        record = on.leave(on.named("again"), on.setup, again, rows, embed, **facts)
        seconds = time.perf_counter() - begin
    return {**record, "files": [*record["files"], NOISE], "seconds": seconds, "out": str(out)}
