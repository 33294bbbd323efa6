"""Designs as data: a method and a grid that were found together, for every number of steps, in a JSON file.

    {"format": "belm-design-1", "name": "designed", "method": "blend:k=3", "damping": "8", "frame": "flow",
     "start": "adams", "spacing": "bent:A=0.12,B=6,C=0.75", "inverter": "open:k=3"}

With a damping m the method's theta is (N/(N + m))^(k−1) on a grid of N steps. The parasitic roots of blend with k = 2
or 3 and of echo then have modulus N/(N + m), so inversion amplifies them by less than e^m over all steps (derivations/
designed_damping.py); those of longer blends have it as a geometric mean, and inversion amplifies more. The designs in
this folder go by name, any other by the path of its file, wherever a method or a spacing is named.

A record knows its grid's rule; what its method is, and what runs, is in `belm_runtime.design`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from typing_extensions import Self

from belm_runtime.errors import InputError, unknown
from belm_runtime.files import write
from belm_runtime.frame import Frame
from belm_runtime.number import decimal, exact
from belm_runtime.spacing import RULES, Spacing

FORMAT = "belm-design-1"
#: How a run may start: Adams–Bashforth of rising order, or DDIM throughout.
STARTS = ("adams", "ddim")
#: The ending of a file that is named in place of a design.
ENDING = ".json"
#: What goes before the name of a method for its exponential variant; a design says itself what its method is.
EXPONENTIAL = "exp-"
#: What error messages say besides the names that are known.
BY_PATH = f"or the path of a design, as in my-design{ENDING}"


@dataclass(frozen=True)
class Record:
    """A design as its file says it.

    Attributes:
        name: for display.
        method: a method string without what depends on N, ``blend:k=3``.
        damping: m >= 0, which fills in the method's theta; None leaves the method as it is.
        frame: ``flow``, ``noise``, ``data`` or ``q=…``.
        start: ``adams`` or ``ddim``.
        spacing: a rule with its parameters, ``bent:A=0.12,B=6,C=0.75``.
        inverter: the method string of what inverts a bare x_0 on the same grid, in the same frame.
    """

    name: str
    method: str
    damping: Fraction | None
    frame: str
    start: str
    spacing: str
    inverter: str

    def __post_init__(self) -> None:
        """Refuse what is no design, and write frame and spacing in their one way.

        Raises:
            InputError: a value of the wrong type or out of range; the message names the key.
        """
        for key in ("name", "method", "frame", "start", "spacing", "inverter"):
            value = getattr(self, key)
            if not isinstance(value, str) or not value.strip() or not value.isprintable():
                raise InputError(f"{key} must be a text such as {_EXAMPLE[key]!r}, not {_shown(value)}")
        damping = self.damping
        if damping is not None and not (isinstance(damping, Fraction) and 0 <= damping <= 1000):
            shown = decimal(damping) if isinstance(damping, Fraction) else _shown(damping)
            raise InputError(f"damping must be an exact number from 0 to 1000, or none at all, not {shown}")
        for key in ("method", "inverter"):
            if getattr(self, key).strip().endswith(ENDING) or getattr(self, key).strip() in shipped():
                raise InputError(f"{key} must be a method of the catalogue, not another design: {getattr(self, key)!r}")
        if self.start not in STARTS:
            raise _of("start", unknown("start", self.start, STARTS))
        for key, kind in (("frame", Frame.parse), ("spacing", Spacing.read)):
            try:
                object.__setattr__(self, key, str(kind(getattr(self, key))))
            except InputError as error:
                raise _of(key, error) from None

    @classmethod
    def read(cls, named: str | Path) -> Self:
        """The design of that name, or of a file whose path ends in .json.

        Raises:
            InputError: an unknown name, a file that cannot be read, or one that holds no design; the message names the
                file, the key and what would be right.
        """
        text = str(named).strip()
        if text not in shipped() and not text.endswith(ENDING):
            raise unknown("design", text, (*shipped(), BY_PATH))
        path = Path(__file__).with_name(text + ENDING) if text in shipped() else Path(text)
        try:
            content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
        except (OSError, ValueError, RecursionError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"cannot read the design {str(path)!r}: {what}") from None
        try:
            return cls(**_entries(content))
        except InputError as error:
            raise InputError(f"design {str(path)!r}: {error}") from None

    def write(self, path: str | Path) -> Path:
        """Write the file, whole or not at all.

        Raises:
            InputError: a path that does not end in .json, or cannot be written.
        """
        if not str(path).endswith(ENDING):
            raise InputError(f"a design's file must end in {ENDING}, or no name would lead to it: not {str(path)!r}")
        damping = None if self.damping is None else decimal(self.damping)
        content = {"format": FORMAT, **asdict(self), "damping": damping}
        return write(Path(path), (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


_EXAMPLE = {"name": "my-design", "method": "blend:k=3", "damping": "8", "frame": "flow", "start": "adams",
            "spacing": "bent:A=0.12,B=6,C=0.75", "inverter": "open:k=3"}  # fmt: skip


@cache
def shipped() -> tuple[str, ...]:
    """The names of the designs that come with the package."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob(f"*{ENDING}")))


def find(text: object) -> Record | None:
    """The design that a text names; None if it names none.

    Raises:
        InputError: a file that holds no design, or a design with exp- before it.
    """
    if not isinstance(text, str | os.PathLike):
        return None
    named = os.fspath(text).strip()
    rest = named.removeprefix(EXPONENTIAL)
    # The name of a file may begin with exp- itself.
    is_file = rest.endswith(ENDING) and Path(rest).exists() and not Path(named).exists()
    if rest != named and (rest in shipped() or is_file):
        raise InputError(f"{named!r}: exp- goes before a method, as in exp-blend:k=3, and not before a design")
    return Record.read(named) if named in shipped() or named.endswith(ENDING) else None


def resolvable(text: str) -> str:
    """A text that may name a design, so that it is found from any folder: a path in full, all else as it is."""
    return str(Path(text.strip()).resolve()) if text.strip().endswith(ENDING) else text


def rule_of(text: object) -> tuple[str, Spacing]:
    """A spacing as grids call it, and its rule; a design's name stays a name, its path gives the rule.

    Raises:
        InputError: neither a rule with its parameters nor a design.
    """
    found = find(text)
    if found is not None:
        rule, named = Spacing.read(found.spacing), os.fspath(text).strip()  # type: ignore[call-overload]
        return (named if named in shipped() else str(rule)), rule
    if isinstance(text, str) and text.partition(":")[0].strip() not in RULES:
        raise unknown("spacing", text.partition(":")[0].strip(), (*RULES, *shipped(), BY_PATH))
    rule = Spacing.read(text)
    return str(rule), rule


def _entries(content: object) -> dict[str, Any]:
    """The entries of a file as a record takes them."""
    if not isinstance(content, Mapping):
        raise InputError(f"a design is a JSON object, not a {type(content).__name__}")
    if content.get("format") != FORMAT:
        raise InputError(f"format must be {FORMAT!r}, not {_shown(content.get('format'))}")
    known = [field.name for field in fields(Record)]
    for key in content:
        if key not in (*known, "format"):
            raise unknown("key", key[:40], known)
    for key in known:
        if key not in content:
            raise InputError(f"{key} is missing; it could be {_EXAMPLE[key]!r}")
    found = {key: content[key] for key in known}
    damping = found["damping"]
    if damping is not None:
        value = exact(damping) if isinstance(damping, str) else None
        if value is None:
            raise InputError(f"damping must be a text such as '8', or null for none, not {_shown(damping)}")
        found["damping"] = value
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key that stands there twice JSON itself would keep the second without a word."""
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"the key {_shown(twice[0])} stands there twice")
    return dict(pairs)


def _shown(value: object) -> str:
    """A value for a message: one line of 60 characters at most."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _of(key: str, error: InputError) -> InputError:
    return InputError(f"{key}: {error}")
