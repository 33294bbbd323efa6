"""The built pages of the catalogue and of the command line (see build.py).

Formulas come from `belm_theory.render` as LaTeX and become MathML here, so the site needs no script and no network.
"""

from __future__ import annotations

import contextlib
import html
import io
import os
import re

from latex2mathml.converter import convert

from belm.cli.app import app, main
from belm_runtime.methods import catalogue
from belm_theory.catalogue import FAMILIES
from belm_theory.derivation import derive
from belm_theory.render import Line, sections

#: The largest k or m whose derivation is printed; the formulas of larger ones fill a screen each.
LARGEST = 4
BUILT = "<!-- Built by docs/build.py. -->\n\n"
WIDE = "---\nhide: [toc]\n---\n\n"


def escaped(text: str) -> str:
    """Plain text in Markdown: nothing in it is markup."""
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", html.escape(text, quote=False))


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def catalogue_page() -> str:
    """The catalogue as `belm methods` knows it, with the witnesses of stability."""
    rows = []
    for fact in catalogue():
        family = fact["method"].partition(":")[0]
        ways = [f"{fact[way][0]}<br><small>{escaped(fact[way][1])}</small>" for way in ("sampling", "inversion")]
        rows.append([
            f"[`{fact['method']}`](methods/{family}.md)", str(fact["k"]), fact["frame"],
            f"{fact['order']} / {fact['order_smooth']}", "yes" if fact["invertible"] else "no", *ways,
        ])  # fmt: skip
    headings = ["method", "k", "frame", "order", "invertible", "zero-stable in sampling", "in inversion"]
    text = (
        "Order: on every grid / on smooth grids. Zero-stability: *undecided* means that it depends on the grid; "
        "`belm verify --method M --schedule S --steps N` encloses the constant K of a given one.\n\n"
    )
    return f"{WIDE}{BUILT}# Methods\n\n{text}" + table(headings, rows) + "\n```bash\nbelm methods\n```\n"


def family_page(name: str) -> str:
    """The derivations of one family; parameters that shape no formula stay symbols."""
    shape = next((p for p in FAMILIES[name].parameters if p.symbol is None), None)
    members = [{}] if shape is None else [{shape.name: str(n)} for n in range(shape.low, min(shape.high, LARGEST) + 1)]
    text = f"{BUILT}# {name}\n\nSource: {escaped(FAMILIES[name].source)}\n"
    if shape is not None and shape.high > LARGEST:
        text += f"\nFor larger {shape.name}, up to {shape.high}: `belm derive {name}:{shape.name}=…`.\n"
    for given in members:
        found = derive(name, **given)
        text += f"\n## `{found.name}`\n\n```bash\nbelm derive {found.name}\n```\n"
        for title, lines in sections(found).items():
            if title != "Source":
                text += f"\n### {title}\n\n" + "\n".join(_line(line) for line in lines)
    return text


def _line(line: Line) -> str:
    """A formula as MathML, or prose; a raw HTML block keeps Markdown away from the formula."""
    if line.latex is None:
        return escaped(line.text) + "\n"
    return f'<div class="formula">{convert(line.latex, display="block")}</div>\n'


# ---- the command line -------------------------------------------------------------------------------------------


def commands_page() -> str:
    """The command line, from its own --help."""
    names = [command.name or "" for command in app.registered_commands]
    text = f"{BUILT}# Command line\n\nExit codes: 0 done; 1 it failed while running, or a check came out false; 2 the "
    text += "call or its input is wrong. A refuted claim is a result, not a failure.\n"
    for name in names:
        text += f"\n## belm {name}\n\n```text\n{shown_help(name)}\n```\n"
    return text


def shown_help(name: str) -> str:
    """What ``belm NAME --help`` prints, without colour and 80 columns wide."""
    shown, before = io.StringIO(), dict(os.environ)
    os.environ.update(COLUMNS="80", NO_COLOR="1", TERM="dumb")
    try:
        with contextlib.redirect_stdout(shown):
            main([name, "--help"])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return "\n".join(line.rstrip() for line in shown.getvalue().strip("\n").splitlines())
