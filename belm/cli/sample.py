"""`belm sample`: noise to data, with the state that leads back exactly."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belm.cli.files import staged
from belm.cli.images import names_of, notes, pixels, write_all
from belm.cli.loaded import usual
from belm.cli.options import (
    DeviceName,
    FrameName,
    Height,
    LabelText,
    ModelDtype,
    ModelName,
    NegativePrompt,
    OutFolder,
    OwnEnd,
    OwnSchedule,
    Spacing,
    Start,
    Steps,
    StoredPrompt,
    TextOrJson,
    Unclipped,
    Width,
    one_of,
    print_json,
)
from belm.cli.picture import montage, png
from belm.cli.progress import bar
from belm.cli.setup import DIGITS, Label, Setup, labels_of, named, read_condition, resolved
from belm.cli.sharded import Job, place_among
from belm.cli.work import several, spelled, where
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    from belm_runtime.state import State

#: What is written.
FILES = ("run.json", "samples.png", "state.safetensors")

Arithmetic = Annotated[
    str, typer.Option("--arithmetic", help="float64, float32, or integer: exact to the last bit (integer:batch=16).")
]
Guidance = Annotated[
    str, typer.Option("--guidance", help="Weight of the label: 1 plain, above 1 exaggerated; 1:3 from noise to data.")
]
Number = Annotated[
    int | None, typer.Option("--num", "-n", help="How many samples; default 16, of a pipeline one for each prompt.")
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", help="Sample in shards of this size, which a killed run goes on with.")
]
Processes = Annotated[int, typer.Option("--processes", help="With --batch-size: how many processes to start.")]
Embed = Annotated[bool, typer.Option("--embed", help="Also write each sample as a PNG that carries its state.")]
States = Annotated[bool, typer.Option("--states", help="With --batch-size: keep what an exact inversion needs.")]
Seed = Annotated[int, typer.Option("--seed", help="Sample j depends on (seed, j) only.")]
SampleMethod = Annotated[str, typer.Option("--method", help="A method, e.g. o-belm or blend:k=3,theta=0.8.")]


def sample(
    out: OutFolder,
    model: ModelName = "digits",
    method: SampleMethod = "blend:k=3",
    prompt: StoredPrompt = None,
    negative_prompt: NegativePrompt = None,
    schedule: OwnSchedule = None,
    steps: Steps = 50,
    spacing: Spacing = None,
    seed: Seed = 0,
    number: Number = None,
    label: LabelText = None,
    guidance: Guidance = "1",
    arithmetic: Arithmetic = "float64",
    frame: FrameName = None,
    start: Start = None,
    end: OwnEnd = None,
    height: Height = None,
    width: Width = None,
    unclipped: Unclipped = False,
    device: DeviceName = "cpu",
    dtype: ModelDtype = None,
    batch_size: BatchSize = None,
    processes: Processes = 1,
    states: States = False,
    embed: Embed = False,
    format: TextOrJson = "text",
) -> None:
    """Sample from a model; write state.safetensors, samples.png and run.json into a folder.

    With --batch-size, write shards of that many samples instead, also over several processes: --processes P, or
    accelerate launch -m belm sample …. The same command goes on with what a killed one has left.
    """
    machine = one_of("format", format, ("text", "json")) == "json"
    if number is None:
        number = 16 if model == DIGITS else max(1, len(prompt or ()))
    if number < 1:
        raise InputError(f"--num {number}: it must be a whole number ≥ 1")
    labels = _labels(label, prompt, number)
    given = {"schedule": schedule, "end": end}
    own = usual(model) | {name: value for name, value in given.items() if value is not None}
    setup = Setup(
        model=named(model), method=method, steps=steps, spacing=spacing, start=start, frame=frame,
        arithmetic=arithmetic, label=labels, guidance=spelled(guidance), device=device, dtype=dtype,
        negative_prompt=negative_prompt, height=height, width=width, unclipped=unclipped, **own,
    )  # fmt: skip
    if batch_size is not None:
        if embed:
            raise InputError("--embed is for samples of one batch; with --batch-size, --states keeps what leads back")
        _shard(setup, seed, number, batch_size, processes, states, out, machine)
        return
    if states or processes != 1 or place_among()[1] > 1:
        raise InputError("--states and several processes are for sampling in shards; give --batch-size as well")
    setup = replace(setup, label=labels_of(labels, number))
    files = [*FILES, *(f"{name}.png" for name in (names_of(number) if embed else ()))]
    record, seconds = _run(setup, seed, number, out, files, embed)
    if machine:
        print_json({**record, "seconds": seconds, "out": str(out), "files": files})
    else:
        print(f"{record['method']} on {where(record)}, {record['spacing']}, {steps} steps: "
              f"{several(number, 'sample')}, {record['calls']} model calls, {seconds:.1f} s")  # fmt: skip
        print(f"wrote {', '.join(str(out / name) for name in files)}")


def _run(
    setup: Setup, seed: int, number: int, out: Path, files: list[str], embed: bool
) -> tuple[dict[str, Any], float]:
    """Sample, and write the files; the record of the run and the seconds it took."""
    with bar("sampling") as report:
        place = setup.place()
        loaded = setup.load(place)
        sampler, network = loaded.sampler(report), loaded.under(setup.label)
        noise = sampler.grid.noise((number, *loaded.shape), seed).to(place)
        with staged(out, files) as folder:
            begin = time.perf_counter()
            state = sampler.sample(network, noise)
            seconds = time.perf_counter() - begin
            known = {"seed": seed, "num": number, "fingerprint": loaded.fingerprint}
            record = {**setup.record(), **resolved(sampler), **known, **_facts(state)}
            pictures = pixels(loaded.shown(state.x))
            contents = (json.dumps(record, indent=2) + "\n").encode(), png(montage(pictures, loaded.zoom))
            for name, content in zip(FILES, contents, strict=False):
                (folder / name).write_bytes(content)
            state.save(folder / FILES[-1])
            if embed:
                write_all(folder, names_of(number), pictures, state, notes(record, number))
    return record, seconds


def _labels(text: str | None, prompts: list[str] | None, number: int) -> Label:
    """The labels or prompts as they are given; more of them than samples are a mistake, except for ``all``."""
    labels = read_condition(text, prompts)
    if text != "all" and isinstance(labels, list) and len(labels) > number:
        option = "--prompt" if prompts else "--label"
        raise InputError(f"{option} names {len(labels)} labels for a batch of {number}; give at most {number}")
    return labels


def _shard(
    setup: Setup, seed: int, number: int, batch: int, processes: int, states: bool, out: Path, machine: bool
) -> None:
    """Sample in shards, and say what is there now."""
    from belm_runtime.shards import Shards

    rank, world, local = place_among()
    if processes < 1 or (processes > 1 and world > 1):
        wrong = "it must be a whole number ≥ 1" if processes < 1 else f"a launcher started {world} already"
        raise InputError(f"--processes {processes}: {wrong}")
    record = Job(setup, Shards(out, number, batch), seed, states).run(processes, rank, world, local)
    if record["finished"] < record["shards"]:
        typer.echo(f"process {rank} of {world} is done; {record['finished']} of {record['shards']} shards are there",
                   err=True)  # fmt: skip
    elif machine:
        print_json(record)
    else:
        print(f"{record['method']} on {where(record)}, {record['spacing']}, {record['steps']} steps: {number} "
              f"samples in {record['shards']} shards, {record['before']} of them there before, "
              f"{record['seconds']:.1f} s")  # fmt: skip
        print(f"wrote {out / 'shard-*.safetensors'}")


def _facts(state: State) -> dict[str, Any]:
    """What only the run knows."""
    return {"calls": state.calls, "grid": state.grid, "versions": {"belm": version("belm"), **state.versions}}
