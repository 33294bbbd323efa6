"""`belm verify` decides claims and encloses stability constants; `belm check` re-verifies certificates."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from belm.cli.files import staged
from belm.cli.options import FrameName, ScheduleName, Spacing, Steps, TextOrJson, one_of, print_json
from belm.cli.progress import bar
from belm_runtime.errors import InputError, unknown

if TYPE_CHECKING:
    from belm_theory.certificate import Certificate

#: What `belm check` decides of a certificate; the rest is words.
_CHECKED = ("hypotheses", "relations", "goals", "steps", "verdict")
_WORDS = f"checked: {', '.join(_CHECKED)}; id, statement and witness are words, which belm verify ID says anew"
_COLOURS = {"proved": "green", "refuted": "red", "undecided": "yellow"}


def verify(
    claims: Annotated[list[str] | None, typer.Argument(metavar="[CLAIM]…", help="Claim ids; default all.")] = None,
    method: Annotated[str | None, typer.Option("--method", help="Enclose this method's stability constants.")] = None,
    schedule: ScheduleName = "sd15",
    steps: Steps = 50,
    spacing: Spacing = None,
    frame: FrameName = None,
    certificates: Annotated[
        Path | None, typer.Option("--certificates", metavar="DIR", help="Write the claims' certificates there.")
    ] = None,
    format: TextOrJson = "text",
) -> None:
    """Decide claims from first principles, or enclose K of a method on a concrete grid (--method)."""
    one_of("format", format, ("text", "json"))
    if method is not None:
        if claims or certificates:
            raise InputError("--method encloses constants on a grid; it takes no claims and writes no certificates")
        _enclose(method, schedule, steps, spacing, frame, format)
    else:
        _decide(claims or [], certificates, format)


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Certificates that belm verify wrote.")],
    format: TextOrJson = "text",
) -> None:
    """Verify certificates again, with a checker that shares no code with what made them.

    It decides the formal part, goals and steps; whether the statement in words says the same is for its reader.
    """
    one_of("format", format, ("text", "json"))
    from belm_theory.checker import MalformedError, load
    from belm_theory.checker import check as recheck

    found: dict[str, list[str]] = {}
    for file in files:
        try:
            found[str(file)] = recheck(load(file))
        except MalformedError as error:
            text = str(error)
            raise InputError(text if str(file) in text else f"{str(file)!r}: {text}") from None
    if format == "json":
        results = [{"file": name, "false": reasons} for name, reasons in found.items()]
        print_json({"files": results, "checked": list(_CHECKED)})
    else:
        for name, reasons in found.items():
            typer.echo(f"{name}: {'holds' if not reasons else 'FALSE'}")
            for reason in reasons:
                typer.echo(f"  {reason}")
        typer.echo(_WORDS)
    if any(found.values()):
        raise typer.Exit(1)


def _decide(wanted: list[str], folder: Path | None, format: str) -> None:
    from belm_theory.pages import pages

    known = pages()
    for name in wanted:
        if name not in known:
            raise unknown("claim", name, known)
    decided = []
    chosen = wanted or list(known)
    files = (f"{name}.json" for name in chosen)
    with nullcontext() if folder is None else staged(folder, files) as stage, bar("deciding claims") as report:
        for number, name in enumerate(chosen, 1):
            certificate = known[name].derive()
            decided.append(certificate)
            if stage is not None:
                certificate.write(stage)
            report(number, len(chosen), name)
    if format == "json":
        print_json({"claims": [_record(certificate) for certificate in decided]})
    else:
        _show(decided)


def _record(certificate: Certificate) -> dict[str, Any]:
    claim, verdict = certificate.claim, certificate.verdict
    return {
        "id": claim.id, "statement": claim.statement, "hypotheses": list(claim.hypotheses),
        "verdict": verdict.outcome, "method": claim.method, "witness": verdict.witness, "source": claim.source,
        "granted": list(claim.granted),
    }  # fmt: skip


def _show(decided: list[Certificate]) -> None:
    table = Table(title="Claims, decided", show_lines=True)
    for heading in ("claim", "verdict", "statement and witness"):
        table.add_column(heading, overflow="fold")
    for certificate in decided:
        outcome = certificate.verdict.outcome
        hypotheses = "; ".join(certificate.claim.hypotheses)
        statement = certificate.claim.statement + (f"\nif {hypotheses}" if hypotheses else "")
        statement += "".join(f"\ngranted: {fact}" for fact in certificate.claim.granted)
        text = f"{statement}\n[dim]{certificate.verdict.witness} ({certificate.claim.source})[/dim]"
        table.add_row(certificate.claim.id, f"[{_COLOURS[outcome]}]{outcome}[/]", text)
    Console().print(table)


def _enclose(method: str, schedule: str, steps: int, spacing: str | None, frame: str | None, format: str) -> None:
    from belm.enclose import enclosures
    from belm_runtime.methods import parse
    from belm_runtime.schedule import Schedule

    grid = Schedule.preset(schedule).grid(steps, spacing)
    with bar("multiplying companion matrices") as report:
        found = enclosures(method, grid, frame=frame, progress=report)
    record = {
        "method": str(parse(method, steps)), "frame": found.pop("frame"), "schedule": grid.schedule,
        "spacing": grid.spacing, "steps": steps, **found,
    }  # fmt: skip
    if format == "json":
        print_json(record)
        return
    typer.echo(f"{record['method']} in the {record['frame']} frame, {grid.schedule}, {grid.spacing}, {steps} steps")
    typer.echo(f"levels: {record['levels']}")
    nodes = record["hypothesis_fails_at"]
    typer.echo(f"h_i < h_(i+1) in sbar fails at nodes: {json.dumps(nodes) if nodes else 'none'}")
    names = {"K_sampling": "sampling, in the frame", "K_inversion": "inversion, in the frame",
             "K_sampling_x": "sampling, in x", "K_inversion_x": "inversion, in x"}  # fmt: skip
    for key, name in names.items():
        bounds = record[key]
        text = "not invertible" if bounds is None else f"K in [{bounds['lower']}, {bounds['upper']}]"
        typer.echo(f"{name:24} {text}")
