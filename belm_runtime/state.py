"""The state of a run: the last states, nothing else, and what made them.

Exactness needs the last k states, not x_0 alone. A state can be saved beside the picture (safetensors, never pickle)
and continued on another day in either direction. Slopes are not stored; they are evaluated again on entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from belm_runtime.conditions import differences
from belm_runtime.errors import InputError
from belm_runtime.files import write
from belm_runtime.grid import whole

_FORMAT = "belm-state-1"
_ROWS = torch.contiguous_format
#: What a PNG file begins with; one may carry a state (`belm_runtime.png`) but is none.
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class State:
    """The last states of a run, newest first.

    Attributes:
        history: the states x, newest first; EDICT: the registers (x, y).
        nodes: their node indices; EDICT: the same node twice.
        method: the method string that made them.
        frame: the frame of the relation.
        grid: the fingerprint of the grid.
        steps: N of that grid.
        calls: model calls of the run that made this state.
        versions: what it was made with.
        conditions: for integer arithmetic, what the bits of the predictions depend on, and the spacings; else empty.
    """

    history: tuple[torch.Tensor, ...]
    nodes: tuple[int, ...]
    method: str
    frame: str
    grid: str
    steps: int
    calls: int = 0
    versions: Mapping[str, str] = field(default_factory=lambda: made_with())
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse conditions that name no place in a batch: they may be made by hand."""
        if self.conditions:
            whole("the batch of a state's conditions", self.conditions.get("batch"), 1)
            whole("the place_in_batch of a state's conditions", self.conditions.get("place_in_batch", 0), 0)

    @property
    def x(self) -> torch.Tensor:
        """The newest state."""
        return self.history[0]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the state as safetensors, under a temporary name first.

        Raises:
            InputError: if the folder does not exist or cannot be written.
            OSError: if writing fails on the way, e.g. on a full disk.
        """
        target = Path(path)
        if not target.name:
            raise InputError(f"cannot write state {str(path)!r}: it names no file, as in 'seed.safetensors'")
        return write(target, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "cpu") -> State:
        """Read a state written by `save`.

        Raises:
            InputError: if the file is missing, damaged, or not a state of this package; if there is no such device.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read state {str(path)!r}: {_reason(error)}") from None
        return cls.from_bytes(data, str(path)).to(device)

    def to_bytes(self) -> bytes:
        """The state as safetensors with a checksum: k arrays as they are, and less than 2 kB."""
        # One copy a state: safetensors refuses tensors that share memory, as the two registers of a fresh EDICT state.
        tensors = {f"x{n}": x.detach().cpu().clone(memory_format=_ROWS) for n, x in enumerate(self.history)}
        kept = ("method", "frame", "grid", "steps", "calls", "nodes", "conditions")
        record = {key: getattr(self, key) for key in kept}
        metadata = {"format": _FORMAT, "record": json.dumps(record), "versions": json.dumps(dict(self.versions))}
        content: bytes = save(tensors, {**metadata, "sha256": _digest(tensors, metadata)})
        return content

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "in memory") -> State:
        """The state that `to_bytes` wrote.

        Args:
            data: the bytes.
            source: where they are from, for messages.

        Raises:
            InputError: if they are damaged, or not a state of this package.
        """
        if data.startswith(PNG):
            raise InputError(f"{source!r} is a picture, not a state; the state that it may carry is read by "
                             "belm_runtime.png.extract(data)[0], data being the bytes of the file")  # fmt: skip
        try:
            tensors, metadata = load(data), _metadata(data)
        except (SafetensorError, ValueError) as error:
            raise InputError(f"cannot read state {source!r}: {_reason(error)}") from None
        if metadata.get("format") != _FORMAT:
            raise InputError(f"{source!r} is no belm state: format {metadata.get('format')!r}, not {_FORMAT!r}")
        if metadata.pop("sha256", None) != _digest(tensors, metadata):
            raise InputError(f"state {source!r} is damaged: its bytes are not the ones that were written")
        try:
            record = json.loads(metadata["record"])
            history = tuple(tensors[f"x{n}"] for n in range(len(record["nodes"])))
            return cls(history, tuple(record.pop("nodes")), **record, versions=json.loads(metadata["versions"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"state {source!r} is damaged: {error}") from None

    def __getitem__(self, samples: slice) -> State:
        """The state of some of its samples, e.g. ``state[2:3]``.

        Raises:
            InputError: no slice; a step other than 1 through an integer state: its samples would lose their places.
        """
        if not isinstance(samples, slice):
            raise InputError(f"samples of a state are cut out by a slice, as in state[2:3], not by {samples!r}")
        first, _, step = samples.indices(len(self.x))
        if step != 1 and self.conditions.get("batch", 1) > 1:
            raise InputError(
                f"samples of an integer state keep their places in the model's batches of {self.conditions['batch']}, "
                f"so a step of {step} cannot cut them; cut one piece, as in state[2:5]"
            )
        return replace(self, history=tuple(x[samples] for x in self.history), conditions=self._behind(first))

    @classmethod
    def joined(cls, states: Sequence[State]) -> State:
        """States of the same run settings as one batch.

        Raises:
            InputError: if they differ in method, frame, grid, nodes, dtype or the shape of a sample; integer states
                also if they were made under other conditions or do not follow each other in the model's batches.
        """
        first, count = states[0], len(states[0].x)
        for state in states[1:]:
            for what in ("method", "frame", "grid", "nodes", "_kind"):
                if (theirs := getattr(state, what)) != (ours := getattr(first, what)):
                    name = what.strip("_")
                    raise InputError(f"states of one batch need the same {name}: {str(ours)[:40]}, {str(theirs)[:40]}")
            if changed := differences(first._behind(count), state.conditions):
                raise InputError(f"integer states of one batch need the same conditions: {'; '.join(changed)}")
            count += len(state.x)
        history = tuple(torch.cat(members) for members in zip(*(s.history for s in states), strict=True))
        return replace(first, history=history, calls=sum(s.calls for s in states))

    def _behind(self, by: int) -> dict[str, Any]:
        """The conditions of the sample so many behind: kernels may treat one place in a batch unlike another."""
        if not self.conditions:
            return {}
        others = {name: value for name, value in self.conditions.items() if name != "place_in_batch"}
        place = (self.conditions.get("place_in_batch", 0) + by) % others["batch"]
        return {**others, **({"place_in_batch": place} if place else {})}

    @property
    def _kind(self) -> tuple[torch.dtype, tuple[int, ...]]:
        return self.x.dtype, tuple(self.x.shape[1:])

    def to(self, device: str | torch.device) -> State:
        """The same state on another device.

        Raises:
            InputError: if there is no such device.
        """
        return replace(self, history=tuple(_moved(x, device) for x in self.history))


def made_with() -> dict[str, str]:
    """Versions and machine that the bits of a run depend on."""
    return {"torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine()}


def _metadata(data: bytes) -> dict[str, str]:
    """The texts in the header of a safetensors file: its length in 8 bytes, then JSON."""
    found: dict[str, str] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__") or {}
    return found


def _digest(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 (hex) of everything in the file: one changed bit in a state would go unnoticed otherwise."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, x in sorted(tensors.items()):
        digest.update(f"{name} {x.dtype} {tuple(x.shape)};".encode())
        digest.update(x.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _moved(x: torch.Tensor, device: str | torch.device) -> torch.Tensor:
    try:
        return x.to(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"cannot put the state on device {str(device)!r}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
