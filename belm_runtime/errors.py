"""What can go wrong, in two kinds: a wrong call (exit code 2) and a run that failed (exit code 1)."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """The call or its input is wrong; the message names the value and what would be right."""


class NotFiniteError(ArithmeticError):
    """The run produced a NaN or an infinity; the message names the step and the node."""


def unknown(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a list, with the nearest match.

    Args:
        kind: what the name should have been, e.g. ``"spacing"``.
        name: what was given.
        known: the names that would have been right.

    Returns:
        The error, to be raised by the caller.
    """
    names = list(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(names)
    return InputError(f"unknown {kind} {str(name)!r}; {hint}")
