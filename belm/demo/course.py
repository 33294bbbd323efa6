"""The course of the demo: its parts, one progress bar over all of them, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

#: Parts of the work and the seconds each takes, on two cores of 2023: the weights of the time left.
PARTS = {"derive": 4.0, "reference": 8.0, "accuracy": 8.0, "two ways": 24.0, "report": 3.0}


class Course:
    """The parts as they are done.

    Attributes:
        seconds: wall time by part, and ``all`` of them so far.
    """

    def __init__(self, show: Console, progress: Progress, task: TaskID) -> None:
        self._show, self._progress, self._task = show, progress, task
        self._begin, self._parts = time.monotonic(), dict[str, float]()

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time by part, and in all."""
        return self._parts | {"all": time.monotonic() - self._begin}

    @contextmanager
    def part(self, name: str, text: str) -> Iterator[Callable[[float], None]]:
        """Do one part.

        Args:
            name: a key of `PARTS`.
            text: what is being done.

        Yields:
            A function that takes the fraction of the part done since the last call.
        """
        if not self._show.is_terminal:
            self._show.print(f"{text} …")
        before, begin = sum(PARTS[done] for done in self._parts), time.monotonic()
        self._progress.update(self._task, description=f"{text:<31}", completed=before)
        yield lambda fraction: self._progress.advance(self._task, fraction * PARTS[name])
        self._parts[name] = time.monotonic() - begin
        self._progress.update(self._task, completed=before + PARTS[name])


@contextmanager
def course(show: Console) -> Iterator[Course]:
    """A course on one torch thread, its bar drawn where there is a terminal and gone at the end."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    threads = torch.get_num_threads()
    # On shared processors a second thread that spins costs more than it brings for pictures this small.
    torch.set_num_threads(1)
    try:
        with Progress(*columns, console=show, transient=True, disable=not show.is_terminal) as progress:
            yield Course(show, progress, progress.add_task("", total=sum(PARTS.values())))
    finally:
        torch.set_num_threads(threads)
