"""Arguments of benchmarks: whole numbers within their range, and one line about what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as those of the command that runs it."""

    def error(self, message: str) -> NoReturn:
        """Say it, and end with exit code 2."""
        self.exit(2, f"error: {message}\n")


def at_least(low: int) -> Callable[[str], int]:
    """The type of a whole number that is not below `low`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low:
            raise argparse.ArgumentTypeError(f"it must be a whole number ≥ {low}, not {text!r}")
        return number

    return read
