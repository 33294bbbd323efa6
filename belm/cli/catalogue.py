"""`belm methods` and `belm derive`: what there is, and why it is so."""

from __future__ import annotations

import shlex
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from belm.cli.options import MethodName, TextOrJson, one_of, print_json
from belm.cli.progress import spinner
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    from belm_runtime.designs import Record
    from belm_theory.frame import Frame

_WIDTH = 100
_STABLE = {"proved": "yes", "refuted": "no", "undecided": "by grid"}
_LEGEND = """\
order: on every grid / on smooth grids
stable: zero-stable when sampling / when inverting ("by grid": it depends on the grid)
to generate and go back with the stored state: blend:k=3
to invert a real sample, of which only x_0 is known: open:k=3
to edit one: blend:k=3,theta=0.9
exp- before a relation: the same weights a, slopes interpolated in log-SNR, as in exp-blend:k=3"""


def methods(format: TextOrJson = "text") -> None:
    """List the methods: steps k, frame, orders, invertible, stable both ways, source."""
    from belm_runtime.methods import catalogue

    facts = catalogue()
    if one_of("format", format, ("text", "json")) == "json":
        print_json({"methods": [_record(fact) for fact in facts]})
        return
    console = Console()
    if not console.is_terminal or console.width > _WIDTH:
        console = Console(width=_WIDTH)
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for title in ("method", "k", "frame", "order", "invertible", "stable", "source"):
        shown.add_column(title, no_wrap=title != "source", overflow="fold")
    for fact in facts:
        shown.add_row(*_cells(fact))
    console.print(shown)
    console.print(_LEGEND, highlight=False, markup=False)


def _cells(fact: dict[str, Any]) -> tuple[str, ...]:
    inversion = _STABLE[fact["inversion"][0]] if fact["invertible"] else "-"
    return (
        fact["method"],
        str(fact["k"]),
        fact["frame"],
        f"{fact['order']} / {fact['order_smooth']}",
        "yes" if fact["invertible"] else "no",
        f"{_STABLE[fact['sampling'][0]]} / {inversion}",
        fact["source"],
    )


def _record(fact: dict[str, Any]) -> dict[str, Any]:
    """A fact with its verdicts by name."""
    stability = {way: dict(zip(("verdict", "witness"), fact[way], strict=True)) for way in ("sampling", "inversion")}
    plain = {key: value for key, value in fact.items() if key not in stability}
    return {**plain, "stability": stability}


def derive(
    method: MethodName,
    format: Annotated[
        str, typer.Option("--format", metavar="text|latex|json", help="text, a LaTeX fragment, or json.")
    ] = "text",
    frame: Annotated[
        str | None, typer.Option("--frame", help="noise, flow, data, q=… or the symbol q; default the natural frame.")
    ] = None,
) -> None:
    """Derive a method: relation, conditions, weights, orders, local error, inverse, stability, source.

    A real parameter that is not written stays a symbol: blend:k=3 is derived for every theta.
    """
    one_of("format", format, ("text", "latex", "json"))
    family, exponential, given = _exact(method)
    with spinner(f"deriving {method}"):
        from belm_theory.derivation import as_record
        from belm_theory.derivation import derive as compute
        from belm_theory.render import as_latex, as_text

        try:
            found = compute(family, _frame(frame), exponential=exponential, **given)
        except ValueError as error:
            raise InputError(f"--frame {frame}: {error}") from None
        page = as_record(found) if format == "json" else (as_latex if format == "latex" else as_text)(found)
    if isinstance(page, str):
        print(page, end="")
    else:
        print_json(page)


def _frame(name: str | None) -> Frame | None:
    """The theory's frame by the runtime's names, or with q a symbol."""
    import sympy as sp

    from belm_runtime.frame import Frame as Named
    from belm_theory.frame import DATA, Frame, Q

    if name is None:
        return None
    if name == "q":
        return Frame(Q)
    q = Named.parse(name).q
    return DATA if q is None else Frame(sp.Rational(q.numerator, q.denominator))


def _exact(method: str) -> tuple[str, bool, dict[str, str]]:
    """Family, whether exponential, and the written parameters as exact numbers, checked by runtime and theory."""
    from belm_runtime.designs import find
    from belm_runtime.methods import make, read

    if (design := find(method)) is not None:
        raise _is_design(method.strip(), design)
    family, given = read(method)
    made = make(family, **given)
    exact = {name: str(Fraction(value)) for name, value in given.items()}
    from belm_theory.catalogue import FAMILIES

    for parameter in FAMILIES[made.family].parameters:
        if parameter.name in exact:
            try:
                parameter.check(exact[parameter.name])
            except ValueError as error:
                raise InputError(f"method {method!r}: {error}") from None
    return made.family, made.exponential, exact


def _is_design(named: str, design: Record) -> InputError:
    """What to derive instead of a design, and what is proved of it: a claim, or the certificate beside its file."""
    from belm_runtime.designs import shipped

    says = (
        f"{named!r} is a design, {design.method} on {design.spacing}: derive its method (belm derive {design.method})"
    )
    beside = Path(named).parent / f"design-{design.name}.json"
    if named in shipped():
        says += f", or decide its claim (belm verify design-{named})"
    elif beside.is_file():
        says += f", or check its certificate (belm check {shlex.quote(str(beside))})"
    return InputError(says)
