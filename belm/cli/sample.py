"""`belm sample`: noise to data, with the state that leads back exactly."""

from __future__ import annotations

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belm.cli.files import staged
from belm.cli.options import (
    End,
    FrameName,
    LabelText,
    ModelName,
    OutFolder,
    ScheduleName,
    Spacing,
    Start,
    Steps,
    TextOrJson,
    one_of,
    print_json,
)
from belm.cli.picture import montage, png
from belm.cli.progress import bar
from belm.cli.setup import DIGITS_SHAPE, Setup, read_label
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    from belm_runtime.state import State

#: What is written.
FILES = ("run.json", "samples.png", "state.safetensors")

Arithmetic = Annotated[str, typer.Option("--arithmetic", help="float64 or float32.")]
Guidance = Annotated[float, typer.Option("--guidance", help="Weight of the label: 1 plain, above 1 exaggerated.")]
Number = Annotated[int, typer.Option("--num", "--batch", "-n", help="How many samples.")]
Seed = Annotated[int, typer.Option("--seed", help="Sample j depends on (seed, j) only.")]
SampleMethod = Annotated[str, typer.Option("--method", help="A method, e.g. o-belm or blend:k=3,theta=0.8.")]


def sample(
    out: OutFolder,
    model: ModelName = "digits",
    method: SampleMethod = "blend:k=3",
    schedule: ScheduleName = "ddpm",
    steps: Steps = 50,
    spacing: Spacing = None,
    seed: Seed = 0,
    number: Number = 16,
    label: LabelText = None,
    guidance: Guidance = 1.0,
    arithmetic: Arithmetic = "float64",
    frame: FrameName = None,
    start: Start = "adams",
    end: End = "zero",
    format: TextOrJson = "text",
) -> None:
    """Sample from a model; write state.safetensors, samples.png and run.json into a folder."""
    machine = one_of("format", format, ("text", "json")) == "json"
    if number < 1:
        raise InputError(f"--num {number}: it must be a whole number ≥ 1")
    setup = Setup(
        model, method, schedule, steps, spacing, end, start, frame, arithmetic, read_label(label), guidance
    )  # fmt: skip
    record, seconds = _run(setup, seed, number, out)
    if machine:
        print_json({**record, "seconds": seconds, "out": str(out), "files": list(FILES)})
    else:
        print(f"{record['method']} on {schedule}, {record['spacing']}, {steps} steps: {number} samples, "
              f"{record['calls']} model calls, {seconds:.1f} s")  # fmt: skip
        print(f"wrote {', '.join(str(out / name) for name in FILES)}")


def _run(setup: Setup, seed: int, number: int, out: Path) -> tuple[dict[str, Any], float]:
    """Sample, and write the three files; the record of the run and the seconds it took."""
    with bar("sampling") as report:
        sampler = setup.sampler(report)
        noise = sampler.grid.noise((number, *DIGITS_SHAPE), seed)
        network = setup.denoiser()
        with staged(out) as folder:
            begin = time.perf_counter()
            state = sampler.sample(network, noise)
            seconds = time.perf_counter() - begin
            resolved = {"method": state.method, "frame": state.frame, "spacing": sampler.grid.spacing}
            record = {**setup.record(), **resolved, "seed": seed, "num": number, **_facts(state)}
            contents = (json.dumps(record, indent=2) + "\n").encode(), png(montage(state.x[:, 0].double().numpy()))
            for name, content in zip(FILES, contents, strict=False):
                (folder / name).write_bytes(content)
            state.save(folder / FILES[-1])
    return record, seconds


def _facts(state: State) -> dict[str, Any]:
    """What only the run knows."""
    return {"calls": state.calls, "grid": state.grid, "versions": {"belm": version("belm"), **state.versions}}
