"""Long work on stderr: a bar with the time left, or a spinner; silent where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def bar(task: str) -> Iterator[Callable[..., None]]:
    """A progress bar.

    Args:
        task: what is being done, shown at the left.

    Yields:
        A function of (done, total) and, optionally, a note on what was done last.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    # The time left comes from the last hour, not from rich's half minute: a step may take longer than that.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, speed_estimate_period=3600
    ) as shown:
        line = shown.add_task(task, total=None, note="")

        def report(done: int, total: int, note: str = "") -> None:
            shown.update(line, completed=done, total=total, note=note)

        yield report


@contextmanager
def spinner(task: str) -> Iterator[None]:
    """A spinner for work whose length is not known."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(task):
        yield
