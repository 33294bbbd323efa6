"""`belm generate`: write the runtime's coefficient functions from the derivations, or compare them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

import belm_runtime
from belm.cli.options import TextOrJson, one_of, print_json
from belm.cli.progress import bar
from belm_runtime.errors import InputError


def generate(
    check: Annotated[bool, typer.Option("--check", help="Compare only; exit code 1 if anything differs.")] = False,
    format: TextOrJson = "text",
) -> None:
    """Write belm_runtime/_generated from the derivations, or compare it with them."""
    machine = one_of("format", format, ("text", "json")) == "json"
    from belm_theory.codegen import compare, write

    folder = generated_folder()
    if check:
        with bar("comparing") as report:
            differences = compare(folder, report)
        if machine:
            print_json({"folder": str(folder), "differences": differences})
        else:
            print("\n".join(differences) or f"{folder} is what the derivations give")
        raise typer.Exit(1 if differences else 0)
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise InputError(f"cannot write {str(folder)!r}: permission denied; install belm where you may write")
    with bar("generating") as report:
        changed = [path.name for path in write(folder, report)]
    if machine:
        print_json({"folder": str(folder), "changed": changed})
    else:
        print(f"{folder}: {', '.join(changed) + ' changed' if changed else 'nothing changed'}")


def generated_folder() -> Path:
    """The folder of the package `belm_runtime._generated`, which need not exist yet."""
    return Path(belm_runtime.__file__).parent / "_generated"
