"""`belm design`: search methods and grids together, on problems with known answers, and write the best as an entry."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from belm.cli.files import staged
from belm.cli.options import one_of
from belm.cli.progress import bar
from belm_runtime.designs import STARTS, Record
from belm_runtime.errors import InputError

Name = Annotated[str, typer.Option("--name", help="Name of the entry: NAME.json.")]
Rules = Annotated[str, typer.Option("--rules", help="Rules of a: blend, echo, damped, weights, bdia, o-belm.")]
Ks = Annotated[str, typer.Option("--k", help="Steps of the relation, 2 … 5.")]
Slopes = Annotated[str, typer.Option("--slopes", help="Slopes polynomial in: s, log-snr.")]
Frames = Annotated[str, typer.Option("--frames", help="Frames: noise, flow, free (q is searched).")]
Spacings = Annotated[str, typer.Option("--spacings", help="Grids: bent, floored, karras, logsnr, free.")]
Starts = Annotated[str, typer.Option("--starts", help="Starting values: adams, ddim.")]
Budget = Annotated[int, typer.Option("--budget", help="Points to rank; a sixteenth of them runs on mixtures.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the training problems and of the points.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")]


def design(
    name: Name = "mine", rules: Rules = "all", k: Ks = "all", slopes: Slopes = "all", frames: Frames = "all",
    spacings: Spacings = "all", starts: Starts = "all", budget: Budget = 2048, seed: Seed = 0,
    out: Out = Path("belm-design"),
) -> None:  # fmt: skip
    """Search methods and grids together, by certified quantities and training problems; lists are a,b or all.

    Writes NAME.json, a catalogue entry whose path stands wherever a method or a spacing is named; design_NAME.py, its
    derivation; design-NAME.json, its certificate, checked; and search.json, all that was tried. The same arguments
    give the same files.
    """
    try:
        from belm.design import search, space, tables
        from belm.design.written import check_name, names, write
    except ImportError as error:
        raise InputError(f"belm design needs {error.name}; install it with: pip install 'belm[all]'") from None

    check_name(name)
    if seed < 0:
        raise InputError(f"--seed {seed} must be a whole number >= 0")
    chosen: dict[str, Any] = {
        "rules": _listed("rules", rules, space.RULES), "ks": [int(each) for each in _listed("k", k, "2345")],
        "slopes": _listed("slopes", slopes, space.SLOPES), "frames": _listed("frames", frames, space.FRAMES),
        "spacings": _listed("spacings", spacings, space.SPACINGS), "starts": _listed("starts", starts, STARTS),
    }  # fmt: skip
    cells = space.cells(**chosen)
    if not cells:
        raise InputError(f"nothing is left to search: {_shape(chosen)} has no member")
    asked = {"rules": rules, "k": k, "slopes": slopes, "frames": frames, "spacings": spacings, "starts": starts,
             "budget": budget, "seed": seed}  # fmt: skip
    arguments = " ".join(f"--{key} {shlex.quote(str(value))}" for key, value in asked.items() if value != "all")
    failure: ArithmeticError | None = None
    with staged(out, names(name)) as folder:
        with bar("design") as report:
            found = search.Search(cells, budget, seed, report).run()
        told = {"asked": asked, **tables.as_record(found)}
        try:
            write(replace(found.best, name=name), told, f"--name {name} {arguments}", folder)
        except ArithmeticError as error:
            failure = error  # What was found is kept.
    if failure:
        typer.echo(f"{failure}; what was found is in {out / 'search.json'}", err=True)
        raise typer.Exit(1)
    _say(told, len(cells))
    typer.echo(str(out / f"{name}.json"))


def _listed(option: str, text: str, known: Iterable[str]) -> list[str]:
    """The names of a list, or all."""
    names = [*known]
    return names if text == "all" else list(dict.fromkeys(one_of(option, e.strip(), names) for e in text.split(",")))


def _shape(chosen: dict[str, Any]) -> str:
    return ", ".join(f"{key} {'/'.join(map(str, values))}" for key, values in chosen.items())


def _say(record: dict[str, Any], cells: int) -> None:
    best, usual = record["best"], record["inverter of all points"]
    damping = "" if best["damping"] is None else f" with damping m = {best['damping']}"
    typer.echo(f"{best['method']}{damping}, frame {best['q']}, grid {best['grid']}; {best['inverter']} inverts x_0")
    typer.echo(
        f"score {record['score']:.3f}, and {record['score with it']:.3f} with {usual} to invert; 0 is O-BELM on leading"
    )
    for name, other in record["scores of shipped designs"].items():
        typer.echo(f"  the shipped design {name!r} scores {other:.3f} with {Record.read(name).inverter}")
    for row in record["settings"]:
        typer.echo(
            f"  {row['schedule']:5}{row['steps']:4} steps  generation {row['generation ratio']:.3f} (one case in forty "
            f"above {row['generation ratio, one case in forty exceeds']:.2f})  seed "
            f"{row['seed ratio of the inverter']:.3f}  of O-BELM's on leading   {row['method']}"
        )
    agree = record["Spearman's coefficient of rank and score at few steps"]
    alike = "" if agree is None else f", where rank and score agree as {agree:.2f} (Spearman)"
    typer.echo(
        f"{record['ranked']} points of {cells} cells were ranked, {record['dropped']} dropped for growth; "
        f"{record['run at few steps']} ran at few steps{alike}; refining made {record['refined']} more"
    )
    typer.echo(f"the best of each choice, {usual} inverts:")
    for choice, table in record["best of each choice"].items():
        best_first = sorted((*_best(values), name) for name, values in table.items())
        typer.echo(f"  {choice:8} " + "  ".join(f"{name} {text}" for *_, text, name in best_first))


def _best(values: dict[str, float | None]) -> tuple[int, float, str]:
    """What is best known of a choice: how well it is known, the value, and both in words."""
    for place, (what, note) in enumerate((("score", ""), ("few", " (few steps)"), ("rank", " (ranked)"))):
        if (value := values[what]) is not None:
            return place, value, f"{value:.2f}{note}"
    return 3, 0.0, "dropped"
