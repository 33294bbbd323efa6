"""What a search leaves behind: a catalogue entry, the page that derives it, and its certificate.

NAME.json               the entry; its path stands wherever a method or a spacing is named
design_NAME.py          a derivation page, like those of derivations/
design-NAME.json        its certificate, checked before it is written; `belm check` checks it again
search.json             how it was found: all points and their scores
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from belm_runtime._generated.catalogue import FAMILIES
from belm_runtime.design import Design
from belm_runtime.errors import InputError
from belm_runtime.files import write as write_bytes
from belm_runtime.methods import EXPONENTIAL
from belm_runtime.spacing import RULES

_PAGE = '''\
"""The design {name}: its method and its grid, from data (`belm_theory.design`).

WRITTEN by: belm design {arguments}
The entry {name}.json holds the same data for the runtime.
"""

from belm_theory.certificate import Certificate
from belm_theory.design import certificate, claim

DESIGN = {data}
CLAIM = claim(DESIGN)


def derive() -> Certificate:
    """Order, roots and grid, from the data."""
    return certificate(DESIGN)
'''


def check_name(name: str) -> str:
    """The name of a design: lowercase letters, digits and hyphens, and nothing that has a meaning already.

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise InputError(f"--name {name!r} must be lowercase letters, digits and hyphens, as in 'my-design'")
    if name in (*FAMILIES, *RULES, "search") or name.startswith((EXPONENTIAL, "design-")):
        raise InputError(f"--name {name!r} has a meaning already; take another, as 'my-design'")
    return name


def names(name: str) -> tuple[str, ...]:
    """The names of the four files of a design: the entry, its page, its certificate, and how it was found."""
    return f"{name}.json", f"design_{name.replace('-', '_')}.py", f"design-{name}.json", "search.json"


def as_data(design: Design) -> dict[str, str | None]:
    """The entry as data for the theory: names and exact numbers as text."""
    return {
        "name": design.name, "method": design.method,
        "damping": None if design.damping is None else str(design.damping),
        "frame": design.frame, "start": design.start, "spacing": design.spacing,
    }  # fmt: skip


def write(design: Design, record: dict[str, Any], arguments: str, folder: Path) -> None:
    """Write the four files into a folder; the record alone where there is no certificate.

    Args:
        design: under the name it shall have.
        record: how it was found.
        arguments: of the command that found it.
        folder: an existing folder.

    Raises:
        ArithmeticError: there is no certificate, or the checker does not accept it.
    """
    entry, page, _, search = names(design.name)
    write_bytes(folder / search, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    from belm_theory.checker import check
    from belm_theory.design import certificate

    data = as_data(design)
    try:
        made = certificate(data)
        wrong = check(made.as_dict())
    except ValueError as error:
        raise ArithmeticError(f"{design.method} on {design.spacing} has no certificate: {error}") from None
    if wrong:
        raise ArithmeticError(f"the certificate of {design.name} does not hold: {'; '.join(wrong)}")
    design.write(folder / entry)
    text = json.dumps(data, indent=4).replace(": null", ": None").replace('"\n}', '",\n}')
    content = _PAGE.format(name=design.name, arguments=arguments, data=text)
    write_bytes(folder / page, content.encode())
    made.write(folder)
