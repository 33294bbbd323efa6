"""`belm invert`: data back to noise, exactly from a stored state or anew from x_0 alone."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belm.cli.files import staged
from belm.cli.options import TextOrJson, one_of, print_json
from belm.cli.progress import bar
from belm.cli.setup import Setup, known, labels_of, read_label, read_record
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    from belm_runtime.state import State

#: What is written.
NOISE = "noise.safetensors"

_OTHERWISE = "default: as in run.json"


def invert(
    state: Annotated[Path, typer.Option("--state", metavar="FILE", help="A state of `belm sample`, or its folder.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: the state's folder.")] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Start from x_0 alone, without the stored history.")] = False,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="DDIM-style inversion from x_0 alone, for methods without inverse.")
    ] = False,
    model: Annotated[str | None, typer.Option("--model", help=f"The model; {_OTHERWISE}.")] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="With --bare, e.g. open:k=3; default: as made.")
    ] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", help=f"The schedule; {_OTHERWISE}.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help=f"The number of steps; {_OTHERWISE}.")] = None,
    spacing: Annotated[str | None, typer.Option("--spacing", help=f"The spacing; {_OTHERWISE}.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help=f"The seed to compare with; {_OTHERWISE}.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help=f"A digit, one per sample, or any; {_OTHERWISE}.")
    ] = None,
    guidance: Annotated[float | None, typer.Option("--guidance", help=f"The guidance; {_OTHERWISE}.")] = None,
    device: Annotated[str | None, typer.Option("--device", help=f"Where to compute; {_OTHERWISE}.")] = None,
    format: TextOrJson = "text",
) -> None:
    """Invert samples to their noise; write noise.safetensors and print the error of the round trip."""
    machine = one_of("format", format, ("text", "json")) == "json"
    given: dict[str, Any] = {
        "model": model, "method": method, "schedule": schedule, "steps": steps, "spacing": spacing, "seed": seed,
        "guidance": guidance, "device": device,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if label is not None:
        given["label"] = read_label(label)
    path = state / "state.safetensors" if state.is_dir() else state
    folder = path.parent if out is None else out
    found = _run(path, folder, given, alone=bare or approximate, approximate=approximate)
    if machine:
        print_json(found)
        return
    print(f"{found['method']} on {found['schedule']}, {found['spacing']}, {found['steps']} steps: {found['num']} "
          f"samples inverted from {found['from']}, {found['calls']} model calls, {found['seconds']:.1f} s")  # fmt: skip
    if found["error"] is not None:
        largest, rms = found["error"]["max"], found["error"]["rms"]
        print(f"round trip: max error {largest:.3g}, rms {rms:.3g} against the noise of seed {found['seed']}")
    print(f"wrote {found['out']}")


def _run(path: Path, out: Path, given: dict[str, Any], *, alone: bool, approximate: bool) -> dict[str, Any]:
    """Invert, and write the noise; everything there is to say about it."""
    from belm_runtime.sampler import AmplificationWarning
    from belm_runtime.state import State

    state = State.load(path)
    values = _values(state, given, path)
    seed, first = values.pop("seed", None), values.pop("first", 0)
    with bar("inverting") as report, staged(out) as folder, warnings.catch_warnings():
        warnings.simplefilter("always", AmplificationWarning)
        setup = Setup(**values)
        sampler = setup.sampler(report)
        place = setup.place()
        state = state.to(place)
        expected = None if seed is None else sampler.grid.noise(tuple(state.x.shape), seed, first=first).to(place)
        network = setup.denoiser(place)
        begin = time.perf_counter()
        back = sampler.invert(network, _newest(state) if alone else state, approximate=approximate)
        seconds = time.perf_counter() - begin
        back.save(folder / NOISE)
    return {
        **setup.record(), "method": back.method, "frame": back.frame, "spacing": sampler.grid.spacing,
        "from": "x_0" if alone else "state", "num": len(back.x), "seed": seed,
        "error": None if expected is None else _round_trip(back, expected),
        "calls": back.calls, "seconds": seconds, "out": str(out / NOISE),
    }  # fmt: skip


def _values(state: State, given: dict[str, Any], path: Path) -> dict[str, Any]:
    """The fields of the `Setup`: what is given, else what run.json says, else what the state itself knows.

    Raises:
        InputError: if something is known from nowhere.
    """
    own = {"model": "digits", "method": state.method, "frame": state.frame}
    own["arithmetic"] = str(state.x.dtype).removeprefix("torch.")
    record = _shard(path) or read_record(path.with_name("run.json"))
    values = {**own, **record, **given}
    if "method" in given:
        values["frame"] = None
    needed = ["schedule", "steps", "label", *(["guidance"] if values.get("label") is not None else [])]
    if missing := [f"--{name}" for name in needed if name not in values]:
        raise InputError(f"there is no run.json beside {str(path)!r}: give {', '.join(missing)} as it was sampled")
    return values


def _shard(path: Path) -> dict[str, Any]:
    """The record of a shard of `belm sample --batch-size`, with its labels and the index of its first sample."""
    from belm_runtime.shards import locate

    if (found := locate(path)) is None:
        return {}
    shards, i, settings = found
    first = shards.first(i)
    label = labels_of(settings.get("label"), shards.size(i), first)
    return {**known(settings), "label": label, "first": first}


def _newest(state: State) -> Any:
    """The bare x_0 of a state."""
    if state.nodes[0] != 0:
        raise InputError(f"--bare starts from x_0, but this state is at node {state.nodes[0]}")
    return state.x


def _round_trip(back: State, noise: Any) -> dict[str, float]:
    """The largest and the root-mean-square difference from the noise, over both registers of a two-register method."""
    newest = [x for x, node in zip(back.history, back.nodes, strict=True) if node == back.nodes[0]]
    differences = [(x - noise.to(x.dtype)).double() for x in newest]
    return {
        "max": max(float(d.abs().max()) for d in differences),
        "rms": max(float(d.square().mean().sqrt()) for d in differences),
    }
