"""`belm demo`: the main job from end to end on the embedded model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from belm.cli.options import OutFolder, TextOrJson, one_of, print_json


def demo(
    out: OutFolder = Path("belm-demo"),
    seed: Annotated[int, typer.Option("--seed", help="The seed of the noise.")] = 0,
    format: TextOrJson = "text",
) -> None:
    """Derive, generate, sample, invert and report on the embedded digits model."""
    machine = one_of("format", format, ("text", "json")) == "json"
    import belm.demo

    belm.demo.main(out=out, seed=seed, show=Console(stderr=machine))
    if machine:
        print_json({"out": str(out), "seed": seed, "files": sorted(p.name for p in out.iterdir())})
