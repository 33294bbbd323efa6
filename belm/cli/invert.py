"""`belm invert`: data back to noise, exactly from a stored state or anew from x_0 alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belm.cli.options import (
    Bare,
    Force,
    Height,
    ModelDtype,
    NegativePrompt,
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
from belm.cli.setup import resolved
from belm.cli.source import BARE_METHOD, Source, gather
from belm.cli.work import NOISE, Bench, bench, bits_in_words, different_bits, on_what, options, several
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm_runtime.sampler import Sampler
    from belm_runtime.state import State


def invert(
    context: typer.Context,
    pictures: Pictures = None,
    state: StateFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default: the folder of the state or first picture.")
    ] = None,
    bare: Bare = False,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="DDIM-style inversion from x_0 alone, for methods without inverse.")
    ] = False,
    model: StoredModel = None,
    method: StoredMethod = None,
    schedule: StoredSchedule = None,
    steps: StoredSteps = None,
    spacing: StoredSpacing = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The seed to compare with; default: as stored.")] = None,
    label: StoredLabel = None,
    prompt: StoredPrompt = None,
    negative_prompt: NegativePrompt = None,
    guidance: StoredGuidance = None,
    arithmetic: StoredArithmetic = None,
    force: Force = False,
    height: Height = None,
    width: Width = None,
    unclipped: Unclipped = False,
    device: StoredDevice = None,
    dtype: ModelDtype = None,
    batch_size: TaskBatch = None,
    format: TextOrJson = "text",
) -> None:
    """Invert pictures or stored samples to their noise; write noise.safetensors, print the error where it is known."""
    machine = one_of("format", format, ("text", "json")) == "json"
    given = options(context, "seed")
    alone = bare or approximate
    source = gather(pictures or [], state, given, bare=alone, force=force,
                    bare_method=None if approximate else BARE_METHOD)  # fmt: skip
    if source is None:
        raise InputError("there is nothing to invert: give picture files, or --state FILE")
    place = pictures[0] if pictures else state
    assert place is not None
    found = _run(source, out or (place if place.is_dir() else place.parent), approximate, batch_size)
    if machine:
        print_json(found)
        return
    print(f"{on_what(found)}: {several(found['num'], 'sample')} inverted from {found['from']}, "
          f"{found['calls']} model calls, {found['seconds']:.1f} s")  # fmt: skip
    if found["bits"] is not None:
        print(f"round trip: {bits_in_words(found['bits'])}; rounding had moved the noise of seed {found['seed']} by at "
              f"most {found['bits']['rounding']:.3g}")  # fmt: skip
    elif found["error"] is not None:
        largest, rms = found["error"]["max"], found["error"]["rms"]
        print(f"round trip: max error {largest:.3g}, rms {rms:.3g} against the noise of seed {found['seed']}")
    print(f"wrote {found['out']}")


def _run(source: Source, out: Path, approximate: bool, batch: int | None) -> dict[str, Any]:
    """Invert, and write the noise; everything there is to say about it."""
    from belm_runtime.state import State

    with bench("inverting", source, out, batch=batch, runs=lambda n: n, grid=False) as on:
        expected = _noise(on)
        begin, under = time.perf_counter(), on.model(on.setup)
        back = State.joined([
            on.sampler.invert(under(span), x, approximate=approximate, schedule=on.schedule) for span, x in on.parts()
        ])  # fmt: skip
        seconds = time.perf_counter() - begin
        back.save(on.folder / NOISE)
    return {
        **on.setup.record(), **resolved(on.sampler),
        "from": "x_0" if source.bare else "state", "num": len(back.x), "seed": source.seed,
        "error": None if expected is None else _round_trip(back, expected),
        "bits": None if expected is None or on.sampler.exact is None else _bits(back, expected, on.sampler),
        "calls": back.calls, "seconds": seconds, "out": str(out / NOISE),
    }  # fmt: skip


def _noise(on: Bench) -> torch.Tensor | None:
    """The noise the samples came from, where their seed is known."""
    seed, shape = on.source.seed, tuple(on.source.pictures.shape)
    if seed is None:
        return None
    return on.sampler.grid.noise(shape, seed, first=on.source.values.get("first", 0)).to(on.setup.place())


def _newest(back: State) -> list[torch.Tensor]:
    """The states at the newest node, both registers of a two-register method."""
    return [x for x, node in zip(back.history, back.nodes, strict=True) if node == back.nodes[0]]


def _bits(back: State, noise: torch.Tensor, sampler: Sampler) -> dict[str, float]:
    """How many numbers differ from the rounded noise in any bit, and how far rounding had moved the noise."""
    rounded = sampler.rounded(noise)
    return {**different_bits(_newest(back), rounded), "rounding": float((rounded - noise).abs().max())}


def _round_trip(back: State, noise: torch.Tensor) -> dict[str, float]:
    """The largest and the root-mean-square difference from the noise, over both registers of a two-register method."""
    differences = [(x - noise.to(x.dtype)).double() for x in _newest(back)]
    return {
        "max": max(float(d.abs().max()) for d in differences),
        "rms": max(float(d.square().mean().sqrt()) for d in differences),
    }
