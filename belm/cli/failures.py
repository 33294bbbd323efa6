"""What becomes of an error: one line on stderr and an exit code.

A wrong call or input (`InputError`, usage, a missing extra) is exit code 2; a run that failed (NaN from the model, a
full disk) is exit code 1; an end from outside is 128 and the signal's number; anything else is a bug and keeps its
traceback.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from belm_runtime.errors import InputError, NotFiniteError

#: Which extra brings an optional package.
_EXTRAS = {
    "sympy": "theory", "flint": "theory", "z3": "theory", "diffusers": "diffusers", "transformers": "diffusers",
    "matplotlib": "plots", "PIL": "plots",
}  # fmt: skip

#: The exit codes after Ctrl-C and after SIGTERM.
INTERRUPTED, TERMINATED = 130, 143

#: Seconds in which a further SIGTERM is taken for the same one: timeout sends it to a process and to its group.
_ONE = 2.0

#: Click's UsageError, reached through what typer exports: newer versions of typer carry a click of their own.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


class TerminatedError(BaseException):
    """The process was asked to end; like KeyboardInterrupt no `Exception`, so that nothing takes it for a failure."""


@contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM an exception inside the block, so that what was begun is tidied up as after Ctrl-C.

    For the main thread of a command. Processes that it starts do not inherit it: they are only killed.
    """
    own = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not own:
        yield
        return
    last = -_ONE

    def end(number: int, frame: Any) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= _ONE:
            raise TerminatedError

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def guarded(call: Callable[[], Any]) -> int:
    """Do something and say in one line what went wrong.

    Returns:
        The exit code: what the call returns if that is a number, else 0; or the error's.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            code = call()
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
            code = INTERRUPTED
        except TerminatedError:
            return _fail("terminated", TERMINATED)
    if code == INTERRUPTED:
        # Some versions of typer return it without a word.
        return _fail("interrupted", INTERRUPTED)
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
