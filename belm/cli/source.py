"""What a task works on: picture files, a stored state, or a seed; and the settings of the run it came from.

    PICTURE …          bare pictures, or PNG files that carry their states with the settings beside them
    --state FILE       a state of `belm sample`, a shard of it, or a folder with either; settings in run.json
    --seed S           pictures that are sampled first

An option wins over the stored settings, and these over the defaults.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from belm.cli import images
from belm.cli.setup import DIGITS_SCHEDULE, DIGITS_SHAPE, Setup, known, labels_of, read_record
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm_runtime.sampler import Sampler
    from belm_runtime.state import State

#: The method for what is sampled here and keeps its state; for a bare picture (benchmarks/bare_inversion.py); and for
#: an edit of one, which needs some damping (benchmarks/editing.py).
STATE_METHOD, BARE_METHOD, EDIT_METHOD = "blend:k=3,theta=0.8", "open:k=3", "blend:k=3,theta=0.9"
STATE_FILE = "state.safetensors"

_DEFAULTS = {"model": "digits", "schedule": DIGITS_SCHEDULE, "steps": 50, "label": None, "guidance": 1.0}


@dataclass(frozen=True)
class Source:
    """Samples with what is known of them.

    Attributes:
        x: a state at node 0, or bare pictures of shape (batch, …).
        names: what the files made from each sample begin with.
        values: the fields of the `Setup`; seed and first where the noise is known.
        folders: where its files lie.
    """

    x: State | torch.Tensor
    names: tuple[str, ...]
    values: dict[str, Any]
    folders: frozenset[Path] = frozenset()

    @property
    def bare(self) -> bool:
        """Whether x_0 is all there is."""
        return not hasattr(self.x, "history")

    @property
    def pictures(self) -> torch.Tensor:
        """x_0 of each sample."""
        return self.x if self.bare else self.x.x  # type: ignore[union-attr, return-value]

    @property
    def seed(self) -> int | None:
        """The seed of the noise, where the run that made the samples is known."""
        return self.values.get("seed")

    def setup(self) -> Setup:
        """The run, every sample with its label."""
        values = {key: value for key, value in self.values.items() if key not in ("seed", "first")}
        return Setup(**{**values, "label": labels_of(values.get("label"), len(self.names))})

    def part(self, span: slice, device: torch.device) -> State | torch.Tensor:
        """Some of the samples, on a device."""
        return self.x[span].to(device)


def gather(
    pictures: Sequence[Path], state: Path | None, given: dict[str, Any], *, bare: bool = False,
    bare_method: str | None = BARE_METHOD,
) -> Source | None:  # fmt: skip
    """The source in picture files or in a stored state; None if neither is given.

    Args:
        pictures: picture files.
        state: a state file or its folder.
        given: the options, fields of the `Setup`.
        bare: start from x_0 alone, whatever else is stored.
        bare_method: the method for x_0 alone if none is given; None: the stored one, or ddim.

    Raises:
        InputError: both are given, or something in them cannot be used.
    """
    if pictures and state is not None:
        raise InputError("pictures and --state are two sources; give one of them")
    if pictures:
        found = _from_pictures(pictures, given, bare, bare_method)
    elif state is not None:
        found = _from_state(state, given, bare, bare_method)
    else:
        return None
    paths = [*pictures, *([] if state is None else [state])]
    return replace(found, folders=frozenset((path if path.is_dir() else path.parent).resolve() for path in paths))


def _from_pictures(paths: Sequence[Path], given: dict[str, Any], bare: bool, bare_method: str | None) -> Source:
    """All files carry a state, or none does."""
    import torch

    from belm_runtime.png import carries, extract
    from belm_runtime.state import State

    names = tuple(path.stem for path in paths)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two pictures are named {twice!r}; their results would have one name")
    contents = [_bytes(path) for path in paths]
    with_state = [not bare and carries(data, str(path)) for data, path in zip(contents, paths, strict=True)]
    if not any(with_state):
        pictures = torch.cat([images.read(path, DIGITS_SHAPE) for path in paths])
        return Source(pictures, names, {**_DEFAULTS, "method": bare_method or "ddim", **given})
    if not all(with_state):
        without = str(paths[with_state.index(False)])
        raise InputError(f"{without!r} carries no state and others do; give them apart, or --bare to use no state")
    found = [extract(data, str(path)) for data, path in zip(contents, paths, strict=True)]
    settings = [_settings(note, str(path)) for (_, note), path in zip(found, paths, strict=True)]
    labels = [one.pop("label", None) for one in settings]
    if any(one != settings[0] for one in settings):
        raise InputError("the pictures are from runs with different settings; give those of one run at a time")
    record = {**settings[0], **({"label": None if labels[0] is None else labels} if settings[0] else {})}
    # A picture does not know its index in the run, which its noise depends on.
    record.pop("seed", None)
    return _of_state(State.joined([state for state, _ in found]), names, record, given, str(paths[0]))


def _from_state(path: Path, given: dict[str, Any], bare: bool, bare_method: str | None) -> Source:
    """A state file, or the folder that holds one."""
    from belm_runtime.state import State

    file = path / STATE_FILE if path.is_dir() else path
    state = State.load(file)
    record = _shard(file) or read_record(file.with_name("run.json"))
    first = record.get("first", 0)
    names = tuple(images.names_of(len(state.x), first))
    if bare and bare_method is not None:
        given = {"method": bare_method, **given}
    found = _of_state(state, names, record, given, str(file))
    if state.nodes[0] != 0:
        raise InputError(f"the state {str(file)!r} is at node {state.nodes[0]}; give one of pictures, at node 0")
    return replace(found, x=state.x) if bare else found


def from_seed(seed: int, number: int, given: dict[str, Any], report: Any = None) -> Source:
    """The source that this run samples first.

    Args:
        seed: of the noise.
        number: how many samples.
        given: the options.
        report: progress of the sampling.

    Raises:
        InputError: unusable settings.
    """
    if number < 1:
        raise InputError(f"--num {number}: it must be a whole number ≥ 1")
    import torch

    names = tuple(images.names_of(number))
    values = {**_DEFAULTS, "method": STATE_METHOD, **given, "seed": seed}
    setup = Source(torch.empty(0), names, values).setup()
    sampler, place = setup.sampler(report), setup.place()
    noise = sampler.grid.noise((number, *DIGITS_SHAPE), seed).to(place)
    return Source(sampler.sample(setup.denoiser(place), noise), names, values)


def check(source: Source, sampler: Sampler) -> None:
    """Refuse a state that the sampler or the model cannot go on with, before any work.

    Raises:
        InputError: another method, grid or model; what is wrong is named.
    """
    if not source.bare:
        sampler.entry(source.x, 0, downwards=False)
    shape = tuple(source.pictures.shape[1:])
    if shape != DIGITS_SHAPE:
        raise InputError(f"the state's samples have shape {shape}, of another model; digits takes {DIGITS_SHAPE}")


def _of_state(
    state: State, names: tuple[str, ...], record: dict[str, Any], given: dict[str, Any], source: str
) -> Source:
    """Its settings: what is given, else what is recorded, else what the state itself knows."""
    own = {"model": "digits", "method": state.method, "frame": state.frame}
    own["arithmetic"] = str(state.x.dtype).removeprefix("torch.")
    values = {**own, **record, **given}
    if "method" in given:
        values["frame"] = None
    needed = ["schedule", "steps", "label", *(["guidance"] if values.get("label") is not None else [])]
    if missing := [f"--{name}" for name in needed if name not in values]:
        raise InputError(f"there is no run.json beside {source!r}: give {', '.join(missing)} as it was sampled")
    return Source(state, names, values)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from None


def _settings(note: str, source: str) -> dict[str, Any]:
    """The settings that stand beside a state in a PNG."""
    try:
        record = json.loads(note or "{}")
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise InputError(f"{source!r} carries a state, but what stands beside it is not the record of a run")
    return known(record)


def _shard(path: Path) -> dict[str, Any]:
    """The record of a shard of `belm sample --batch-size`, with its labels and the index of its first sample."""
    from belm_runtime.shards import locate

    if (found := locate(path)) is None:
        return {}
    shards, i, settings = found
    first = shards.first(i)
    label = labels_of(settings.get("label"), shards.size(i), first)
    return {**known(settings), "label": label, "first": first}
