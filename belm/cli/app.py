"""The app: which commands there are, and what becomes of an error.

A wrong call or input (`InputError`, usage, a missing extra) is one line on stderr and exit code 2; a run that failed
(NaN from the model, a full disk) is one line and exit code 1; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version as installed
from typing import Annotated, Any

import typer

from belm.cli import catalogue, demonstrate, generate, invert, sample, tables, verify
from belm_runtime.errors import InputError, NotFiniteError

#: Which extra brings an optional package.
_EXTRAS = {
    "sympy": "theory", "flint": "theory", "z3": "theory", "diffusers": "diffusers", "transformers": "diffusers",
    "matplotlib": "plots",
}  # fmt: skip

#: Click's UsageError, reached through what typer exports: newer versions of typer carry a click of their own.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]

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
app.command("sample", epilog="Example: belm sample --method blend:k=3 --steps 50 --seed 0 --label 7 --out run")(
    sample.sample
)
app.command("invert", epilog="Example: belm invert --state run/state.safetensors")(invert.invert)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: default the process's own.

    Returns:
        The exit code.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            code = app(arguments, prog_name="belm", standalone_mode=False)
        except _USAGE_ERROR as error:
            return _fail(_message(error), 2)
        except InputError as error:
            return _fail(str(error), 2)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in _EXTRAS:
                raise
            return _fail(f'this command needs {missing}; install it with: pip install "belm[{_EXTRAS[missing]}]"', 2)
        except (NotFiniteError, OSError) as error:
            return _fail(str(error), 1)
        except (typer.Abort, KeyboardInterrupt):
            return _fail("interrupted", 130)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    print(f"error: {_line(message)}", file=sys.stderr)
    return code


def _warn(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    print(f"warning: {_line(str(message))}", file=sys.stderr)


def _message(error: Exception) -> str:
    say = getattr(error, "format_message", None)
    return say() if say else str(error)


def _line(text: str) -> str:
    return " ".join(text.split())
