"""Many samples in shards: a folder that any number of processes fill, and that a killed run goes on with.

Of the n samples wanted, shard i holds j = i·B … i·B + B − 1, one batch of B. Sample j depends on (seed, j) alone
(`Grid.noise`), and the last shard is sampled as a full batch whose surplus is cut off: every model call of a run has
the same shape, so the kernels round alike and the bits of a sample depend neither on n nor on who computed it.

    folder/shards.json                      the settings; a run with others is refused
    folder/shard-00000.safetensors, …       finished shards, each a `State`

Process r of P makes the shards r, r + P, r + 2P, … that are not there. The processes share the folder and nothing
else: none waits for another, and a shard has its final name once it is whole.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from belm_runtime import files
from belm_runtime.conditions import differences
from belm_runtime.errors import InputError, NotFiniteError, unwritable
from belm_runtime.grid import whole
from belm_runtime.state import State

#: The file that says what the shards of a folder are.
SETTINGS = "shards.json"

_NAME = re.compile(r"shard-(\d+)\.safetensors")


@dataclass(frozen=True)
class Shards:
    """A run cut into shards.

    Attributes:
        folder: where they are.
        number: n, how many samples are wanted.
        batch: B, samples per shard and per model call.
    """

    folder: Path
    number: int
    batch: int

    def __post_init__(self) -> None:
        """Refuse numbers below 1."""
        whole("the number of samples", self.number, 1)
        whole("the batch size", self.batch, 1)

    def __len__(self) -> int:
        """How many shards there are, ceil(n/B)."""
        return -(-self.number // self.batch)

    def first(self, i: int) -> int:
        """The index j of the first sample of shard i."""
        return i * self.batch

    def size(self, i: int) -> int:
        """How many samples shard i holds: B, the last one what is left."""
        return min(self.batch, self.number - self.first(i))

    def path(self, i: int) -> Path:
        """The final name of shard i."""
        return self.folder / f"shard-{i:05d}.safetensors"

    def finished(self) -> list[int]:
        """The shards that are there."""
        try:
            there = set(os.listdir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [i for i in range(len(self)) if self.path(i).name in there]

    def samples(self) -> int:
        """How many samples the finished shards hold."""
        return sum(map(self.size, self.finished()))

    def remaining(self, rank: int = 0, processes: int = 1) -> Iterator[int]:
        """The shards that process `rank` has to make; each is looked for when its turn comes."""
        return (i for i in range(rank, len(self), processes) if not self.path(i).exists())

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Make the folder that of a run with these settings, or make sure that it is.

        Args:
            settings: everything the samples depend on, for JSON; n and B are added.

        Raises:
            InputError: if the folder holds a run with other settings, each named, or cannot be written.
            OSError: if writing fails on the way.
        """
        wanted = {**settings, "num": self.number, "batch_size": self.batch}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from None
        path = self.folder / SETTINGS
        if not path.exists():
            files.write(path, (json.dumps(wanted, indent=2) + "\n").encode())
        # Read back even if just written: another process may have been faster with something else.
        if changed := differences(read(self.folder), json.loads(json.dumps(wanted))):
            raise InputError(
                f"{str(self.folder)!r} holds a run with other settings: {'; '.join(changed)}; "
                "give the same ones to go on with it, or another folder"
            )

    def write(self, i: int, state: State, *, history: bool) -> None:
        """Write shard i, whole or not at all.

        Args:
            i: which one.
            state: the run's result on the full batch; the surplus of the last shard is cut off here.
            history: whether to keep all states, which an exact inversion needs, or x_0 alone.

        Raises:
            OSError: if writing fails on the way, e.g. on a full disk.
        """
        kept = len(state.history) if history else 1
        states = tuple(x[: self.size(i)] for x in state.history[:kept])
        replace(state, history=states, nodes=state.nodes[:kept]).save(self.path(i))

    def fill(self, sample: Callable[[int], State], rank: int = 0, processes: int = 1, *, history: bool = False) -> None:
        """Make and write what remains for a process, and tidy up once all shards are there.

        Args:
            sample: from the index of the first sample to the state of a full batch.
            rank: which process this is, 0 … processes − 1.
            processes: how many there are.
            history: as in `write`.

        Raises:
            NotFiniteError: a NaN or overflow, with its shard.
            OSError: if writing fails; the finished shards are there.
        """
        for i in self.remaining(rank, processes):
            try:
                state = sample(self.first(i))
            except NotFiniteError as error:
                raise NotFiniteError(f"shard {i}, from sample {self.first(i)}: {error}") from None
            self.write(i, state, history=history)
        if len(self.finished()) == len(self):
            files.clear(self.folder)


def read(folder: Path) -> dict[str, Any]:
    """The settings of a folder of shards.

    Raises:
        InputError: if they cannot be read.
    """
    path = folder / SETTINGS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{str(path)!r} does not hold the settings of a run")
    return found


def locate(path: Path) -> tuple[Shards, int, dict[str, Any]] | None:
    """The run a shard belongs to, which of its shards it is, and the settings; None for any other file.

    Raises:
        InputError: if the settings are there but cannot be read.
    """
    name = _NAME.fullmatch(path.name)
    if name is None or not path.with_name(SETTINGS).exists():
        return None
    settings = read(path.parent)
    try:
        shards = Shards(path.parent, settings["num"], settings["batch_size"])
    except KeyError as error:
        raise InputError(f"{str(path.with_name(SETTINGS))!r} lacks {error}") from None
    return shards, int(name[1]), settings
