"""What the tasks of the command line share: settings from options, batches, and the files they leave."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from belm.cli import images
from belm.cli.files import staged
from belm.cli.loaded import Loaded
from belm.cli.progress import bar
from belm.cli.setup import Label, Setup, named, read_condition, read_guidance, resolved
from belm.cli.source import STATE_FILE, Source, check, from_seed
from belm.cli.strip import COLUMNS, strip
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm_runtime.models import Model
    from belm_runtime.sampler import Sampler
    from belm_runtime.schedule import Schedule
    from belm_runtime.state import State

#: A row of the grid: a caption, its samples in one or several tensors, and the value that is white.
Shown = tuple[str, "tuple[torch.Tensor, ...]", float]

#: What every task writes beside its pictures.
RECORD, GRID = "run.json", "grid.png"
#: What `invert` and `reconstruct` write: the noise, with all that leads back.
NOISE = "noise.safetensors"


def options(context: typer.Context, *more: str, guidance: str = "guidance") -> dict[str, Any]:
    """The options of a command that are given, as fields of a `Setup`.

    Args:
        context: of the command; its options are named as the fields are.
        *more: further options to keep.
        guidance: the option that is the guidance of the way up.
    """
    asked = {**context.params, "guidance": context.params[guidance]}
    names = [field.name for field in fields(Setup) if field.name != "label"]
    given = ((name, asked.get(name)) for name in (*names, *more))
    found: dict[str, Any] = {name: value for name, value in given if value is not None and value is not False}
    if "model" in found:
        found["model"] = named(found["model"])
    if "guidance" in found:
        found["guidance"] = spelled(found["guidance"])
    label, prompt = asked["label"], asked["prompt"]
    return found if label is None and not prompt else {**found, "label": read_condition(label, prompt)}


@dataclass(frozen=True)
class Bench:
    """Everything a task works with.

    Attributes:
        source: the samples, of which integer states know the batch size of the model.
        setup: the run they came from, or are taken to come from.
        loaded: its model.
        sampler: its sampler.
        folder: where the files go; they move to their place when all is done.
        batch: pictures per model call.
    """

    source: Source
    setup: Setup
    loaded: Loaded
    sampler: Sampler
    folder: Path
    batch: int

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of the grid, where there is one."""
        return self.loaded.schedule

    def parts(self) -> Iterator[tuple[slice, State | torch.Tensor]]:
        """The samples, batch by batch, on the device."""
        place = self.setup.place()
        for first in range(0, len(self.source.names), self.batch):
            span = slice(first, first + self.batch)
            yield span, self.source.part(span, place)

    def model(self, setup: Setup) -> Callable[[slice], Model]:
        """The model of a run, for some of its samples."""
        loaded = setup.load(setup.place())
        loaded.under(setup.label)  # A wrong label is found before any work.
        return lambda span: loaded.under(_some(setup.label, span), self.source.place(span))

    def leave(
        self, names: Sequence[str], setup: Setup | None, state: State, rows: Sequence[Shown], embed: bool,
        **facts: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Write the pictures, their state, the record and the grid.

        Args:
            names: of the pictures.
            setup: the run that made the state; None if no one setting did, and then the state is not kept.
            state: at node 0.
            rows: of the grid.
            embed: put each picture's state into its file.
            **facts: what else there is to say.

        Returns:
            The record, with the names of the files.
        """
        record = {**(setup or self.setup).record(), **resolved(self.sampler), "grid": state.grid,
                  "from": "x_0" if self.source.bare else "state", "num": len(state.x),
                  "fingerprint": self.loaded.fingerprint, **facts,
                  "versions": {"belm": version("belm"), **state.versions}}  # fmt: skip
        carried = state if embed and setup else None
        made, notes = self.loaded.shown(state.x), images.notes(record, len(names))
        files = images.write_all(self.folder, names, images.pixels(made), carried, notes)
        if setup is not None:
            state.save(self.folder / STATE_FILE)
            files.append(STATE_FILE)
        (self.folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

        def shown(x: torch.Tensor, limit: float) -> np.ndarray:
            # An autoencoder is slow: what it has decoded for the files is not decoded again.
            return made if x is state.x else self.loaded.shown(x[:COLUMNS], limit)

        grid = [(said, np.concatenate([shown(x, limit) for x in parts])) for said, parts, limit in rows]
        (self.folder / GRID).write_bytes(strip(grid, ink=self.loaded.ink))
        return {**record, "files": [*files, RECORD, GRID]}

    def named(self, ending: str) -> list[str]:
        """A name for what was made of each sample."""
        return [f"{name}-{ending}" for name in self.source.names]


@contextmanager
def bench(
    task: str, source: Source | None, out: Path, given: dict[str, Any] | None = None, *, seed: int | None = None,
    number: int = 0, batch: int | None, runs: Callable[[int], int], grid: bool = True,
) -> Iterator[Bench]:  # fmt: skip
    """Set up a task, its progress bar and its folder.

    Args:
        task: for the bar, e.g. ``editing``.
        source: the samples; None to sample `number` of them from `seed` first.
        out: the folder.
        given: the options, for samples that are made here.
        seed: of these samples.
        number: of these samples.
        batch: pictures per model call, None for all.
        runs: how many runs of the sampler so many batches take.
        grid: whether a grid will be drawn.

    Raises:
        InputError: unusable settings or states, a folder that cannot be written or that the source would be lost in.
    """
    from belm_runtime.sampler import AmplificationWarning

    if source is not None and seed is not None:
        raise InputError("--seed samples the pictures first; give it without pictures and --state")
    if grid and source is not None and out.resolve() in source.folders and (out / RECORD).exists():
        raise InputError(f"the source lies in {str(out)!r}: its {RECORD} and {STATE_FILE} would be overwritten; "
                         "give another --out")  # fmt: skip
    if batch is not None and batch < 1:
        raise InputError(f"--batch-size {batch}: it must be a whole number ≥ 1")
    if grid:
        # What is not installed is found before the work.
        import_module("matplotlib")
    files = (RECORD, GRID, STATE_FILE) if grid else (NOISE,)
    with bar(task) as report, staged(out, files) as folder, warnings.catch_warnings():
        # Each once, however many batches there are.
        warnings.simplefilter("default", AmplificationWarning)
        found = from_seed(seed or 0, number, given or {}, report) if source is None else source
        count = len(found.names)
        size = min(batch or count, count)
        setup = found.setup().at_a_time(size)
        if (integers := setup.integer()) is not None:
            size = min(size, integers.batch or size)
        tell = _counted(report, runs(-(-count // size)))
        loaded = setup.load(setup.place())
        sampler = loaded.sampler(tell)
        check(found, sampler, loaded)
        yield Bench(found, setup, loaded, sampler, folder, size)


def spelled(guidance: str) -> str | float:
    """The guidance as it is recorded: a number where it is one.

    Raises:
        InputError: if it is none, and not two.
    """
    value = read_guidance(guidance)
    return guidance if callable(value) else value


def different_bits(found: Sequence[torch.Tensor], expected: torch.Tensor) -> dict[str, int]:
    """How many numbers there are, and how many differ from what is expected in any bit."""
    return {"different": sum(int((x != expected).sum()) for x in found), "numbers": sum(x.numel() for x in found)}


def bits_in_words(bits: dict[str, Any]) -> str:
    """Whether every bit came back."""
    return f"{bits['different']} of {bits['numbers']} numbers differ" if bits["different"] else "every bit came back"


def on_what(found: dict[str, Any]) -> str:
    """Method and grid in words."""
    return f"{found['method']} on {where(found)}, {found['spacing']}, {found['steps']} steps"


def where(found: dict[str, Any]) -> str:
    """The schedule, or the model that brought its own."""
    return found["schedule"] or Path(found["model"]).name


def several(count: int, noun: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def condition(label: Label) -> str:
    """A label in words."""
    if isinstance(label, list):
        return str(label[0]) if len(set(label)) == 1 else ",".join(map(str, label))
    return "any" if label is None else str(label)


def _some(label: Label, span: slice) -> Label:
    """The labels of some samples; of one sample, its label."""
    if not isinstance(label, list):
        return label
    chosen = label[span]
    return chosen[0] if len(chosen) == 1 else chosen


def _counted(report: Callable[..., None], runs: int) -> Callable[[int, int], None]:
    """The progress of several runs after one another, in parts of a hundred."""
    finished = 0

    def tell(done: int, total: int) -> None:
        nonlocal finished
        report(100 * finished + 100 * done // total, 100 * runs)
        finished += done == total

    return tell
