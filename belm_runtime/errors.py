"""What can go wrong, in two kinds: a wrong call (exit code 2) and a run that failed (exit code 1)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches

#: What a wrong place answers; anything else (a full disk) is a failure on the way.
_WRONG_PLACE = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG,
}  # fmt: skip


class InputError(ValueError):
    """The call or its input is wrong; the message names the value and what would be right."""


class NotFiniteError(ArithmeticError):
    """The run produced a NaN or an infinity; the message names the step and the node."""


class DriftError(ArithmeticError):
    """The way back of a reversible gradient did not lead to where the run had started; the message says how far off."""


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


def unwritable(path: object, error: OSError) -> Exception:
    """The error for a file that could not be written, to be raised by the caller.

    Returns:
        An `InputError` if the place is wrong, else an OSError (exit code 1) with the same words.
    """
    message = f"cannot write {str(path)!r}: {os.strerror(error.errno) if error.errno else error}"
    if error.errno in _WRONG_PLACE:
        return InputError(message)
    failure = OSError(message)
    failure.errno = error.errno
    return failure
