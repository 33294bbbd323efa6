"""The app: which commands there are."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version as installed
from typing import Annotated

import typer

from belm.cli import (
    audit,
    bench,
    catalogue,
    demonstrate,
    design,
    edit,
    generate,
    interpolate,
    invert,
    reconstruct,
    sample,
    tables,
    verify,
)  # fmt: skip
from belm.cli.failures import guarded, terminable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True, epilog="Example: belm table o-belm --schedule sd15 --steps 50")
def belm(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Derive, prove, generate and run exactly invertible diffusion samplers."""
    if version:
        typer.echo(f"belm {installed('belm')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


app.command("demo", epilog="Example: belm demo --out belm-demo")(demonstrate.demo)
app.command("methods", epilog="Example: belm methods --format json")(catalogue.methods)
app.command("derive", epilog="Example: belm derive blend:k=3 --format latex")(catalogue.derive)
app.command("table", epilog="Example: belm table o-belm --schedule sd15 --steps 50 --spacing leading --format csv")(
    tables.table
)
app.command("generate", epilog="Example: belm generate --check")(generate.generate)
app.command("verify", epilog="Example: belm verify --method o-belm --schedule sd15 --steps 50")(verify.verify)
app.command("check", epilog="Example: belm check derivations/certificates/proposition-5.json")(verify.check)
app.command("design", epilog="Example: belm design --name mine --rules blend,damped --k 3 --budget 512 --out mine")(
    design.design
)
app.command("audit", epilog="Example: belm audit diffusers:DDIMScheduler --schedule sd15 --set clip_sample=false")(
    audit.audit
)
app.command("sample", epilog="Example: belm sample --method blend:k=3 --steps 50 --seed 0 --label 7 --out run")(
    sample.sample
)
app.command(
    "bench",
    epilog="Example: belm bench step --steps 50 --out step.png",
    context_settings={"allow_interspersed_args": False},
)(bench.bench)
app.command("invert", epilog="Example: belm invert --state run/state.safetensors")(invert.invert)
app.command("reconstruct", epilog="Example: belm reconstruct three.png --label 3 --out again")(reconstruct.reconstruct)
app.command("edit", epilog="Example: belm edit three.png --label 3 --to-label 8 --out edited")(edit.edit)
app.command("interpolate", epilog="Example: belm interpolate three.png eight.png --out path")(interpolate.interpolate)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: default the process's own.

    Returns:
        The exit code.
    """
    with terminable():
        return guarded(lambda: app(arguments, prog_name="belm", standalone_mode=False))
