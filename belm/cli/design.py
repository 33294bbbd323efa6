"""`belm design`: search a method and a grid together, on problems with known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from belm.cli.files import staged, write_text
from belm.cli.options import one_of
from belm.cli.progress import bar
from belm_runtime.errors import InputError
from belm_runtime.number import exact

Family = Annotated[str, typer.Option("--family", help="The weights a: blend or echo.")]
K = Annotated[int, typer.Option("--k", help="Steps of the relation, 2 … 5.")]
DesignFrame = Annotated[str, typer.Option("--frame", help="flow, noise, a number q >= 0, or free to search it too.")]
Budget = Annotated[int, typer.Option("--budget", help="Candidates to rank, at least 16; 3/8 as many run on mixtures.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the training problems and of the candidates.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")]

_FRAMES = {"noise": 0.0, "flow": 1.0}


def design(
    family: Family = "blend", k: K = 3, frame: DesignFrame = "flow", budget: Budget = 256, seed: Seed = 0,
    out: Out = Path("belm-design"),
) -> None:  # fmt: skip
    """Search damping and grid for a family of methods, by certified quantities and training problems.

    Writes design.json: the best candidate, its ratios to O-BELM on the leading grid in every setting, its errors on
    Gaussian data, its growth both ways, and all that was tried. The same arguments give the same file.
    """
    try:
        from belm.design import search
        from belm.design.candidate import FAMILIES
    except ImportError as error:
        raise InputError(f"belm design needs {error.name}; install it with: pip install 'belm[all]'") from None

    one_of("family", family, FAMILIES)
    if not 2 <= k <= 5:
        raise InputError(f"--k {k} is outside its range; it must be a whole number in [2, 5]")
    if seed < 0:
        raise InputError(f"--seed {seed} must be a whole number >= 0")
    space = search.Space(family, k, _frame(frame))
    with staged(out) as folder:
        with bar("design") as report:
            found = search.search(space, budget, seed, report)
        asked = {"family": family, "k": k, "frame": frame, "budget": budget, "seed": seed}
        record = {"asked": asked, **search.as_record(found)}
        write_text(folder / "design.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    best = found.best
    shape = ", ".join(f"{name} = {value:g}" for name, value in zip("ABC", best.shape, strict=True))
    typer.echo(
        f"{family}, k = {k}, q = {best.q:g}: damping m = {best.damping:g}, shape {shape}; score {found.score:.3f}; "
        f"{found.ranked} ranked, {found.dropped} dropped for growth, {len(found.tried)} on mixtures"
    )
    for row in record["settings"]:
        typer.echo(
            f"  {row['schedule']:5}{row['steps']:4} steps  generation {row['generation ratio']:.3f} (one case in forty "
            f"above {row['generation ratio, one case in forty exceeds']:.2f})  seed "
            f"{row['seed ratio of the neutral inverter']:.3f}  of O-BELM's on leading   {row['method']}"
        )
    typer.echo(str(out / "design.json"))


def _frame(text: str) -> float | None:
    """q, or None to search it.

    Raises:
        InputError: neither.
    """
    if text == "free":
        return None
    q = _FRAMES.get(text)
    if q is None:
        number = exact(text)
        if number is None or number < 0:
            raise InputError(f"--frame {text!r} must be flow, noise, a number q >= 0, or free")
        q = float(number)
    return q
