"""The state of a run: the last states, nothing else, and what made them.

Exactness needs the last k states, not x_0 alone. A state can be saved beside the picture (safetensors, never pickle)
and continued on another day in either direction. Slopes are not stored; they are evaluated again on entry.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from belm_runtime.errors import InputError

_FORMAT = "belm-state-1"


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
    """

    history: tuple[torch.Tensor, ...]
    nodes: tuple[int, ...]
    method: str
    frame: str
    grid: str
    steps: int
    calls: int = 0
    versions: Mapping[str, str] = field(default_factory=lambda: made_with())

    @property
    def x(self) -> torch.Tensor:
        """The newest state."""
        return self.history[0]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the state as safetensors, under a temporary name first.

        Raises:
            InputError: if the folder does not exist or cannot be written.
        """
        target = Path(path)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        tensors = {f"x{n}": x.detach().contiguous().cpu() for n, x in enumerate(self.history)}
        record = {key: getattr(self, key) for key in ("method", "frame", "grid", "steps", "calls", "nodes")}
        metadata = {"format": _FORMAT, "record": json.dumps(record), "versions": json.dumps(dict(self.versions))}
        try:
            save_file(_unshared(tensors), temporary, metadata)
            os.replace(temporary, target)
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"cannot write state {str(target)!r}: {_reason(error)}") from None
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "cpu") -> State:
        """Read a state written by `save`.

        Raises:
            InputError: if the file is missing, damaged, or not a state of this package.
        """
        source = str(path)
        try:
            with safe_open(source, framework="pt", device=str(device)) as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise InputError(f"cannot read state {source!r}: {_reason(error)}") from None
        if metadata.get("format") != _FORMAT:
            raise InputError(f"{source!r} is no belm state: format {metadata.get('format')!r}, not {_FORMAT!r}")
        try:
            record = json.loads(metadata["record"])
            history = tuple(tensors[f"x{n}"] for n in range(len(record["nodes"])))
            return cls(history, tuple(record.pop("nodes")), **record, versions=json.loads(metadata["versions"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"state {source!r} is damaged: {error}") from None


def made_with() -> dict[str, str]:
    """Versions and machine that the bits of a run depend on."""
    return {"torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine()}


def _unshared(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Safetensors refuses tensors that share memory (a fresh EDICT state holds one tensor twice)."""
    seen: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.data_ptr() in seen:
            tensors[name] = tensor.clone()
        seen.add(tensor.data_ptr())
    return tensors


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
