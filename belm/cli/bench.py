"""`belm bench`: measurements side by side, one file of the folder benchmarks/ each."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from belm.cli.options import TextOrJson, one_of, print_json

#: Inside an installed wheel, or beside the package in a checkout.
_INSTALLED = Path(__file__).parent.parent / "benchmarks"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "benchmarks"

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which measurement; without it, what there is.")]
Rest = Annotated[list[str] | None, typer.Argument(metavar="[OPTION]…", help="Its own options: belm bench NAME --help.")]


def bench(name: Name = None, options: Rest = None, format: TextOrJson = "text") -> int:
    """Run a measurement, or list them; the exit code is 1 where one misses a bound that it states."""
    machine = one_of("format", format, ("text", "json")) == "json"
    found = benchmarks()
    if name is None:
        if machine:
            print_json({"benchmarks": [{"name": each, "measures": says} for each, says in found.items()]})
        else:
            print("\n".join(f"{each:20} {says}" for each, says in found.items()))
        return 0
    file = FOLDER / f"{one_of('benchmark', name, list(found)).replace('-', '_')}.py"
    # A benchmark is a script with options of its own, and runs as one: what lies beside it can be imported.
    sys.argv = [f"belm bench {name}", *(options or [])]
    sys.path.insert(0, str(FOLDER))
    try:
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    finally:
        sys.path.remove(str(FOLDER))
    return 0


def benchmarks() -> dict[str, str]:
    """The first line of each benchmark's docstring, by name; nothing is imported. _NAME.py is a part of another."""
    found = {}
    for path in sorted(FOLDER.glob("[!_]*.py")):
        says = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem.replace("_", "-")] = says.splitlines()[0].rstrip(".:")
    return found
