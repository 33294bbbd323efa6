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
from belm.cli.loaded import Loaded, usual
from belm.cli.setup import DIGITS, Setup, known, labels_of, read_record
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm_runtime.sampler import Sampler
    from belm_runtime.state import State

#: The method for what is sampled here and keeps its state; for a bare picture (benchmarks/bare_inversion.py); and for
#: an edit of one, which needs some damping (benchmarks/editing.py).
STATE_METHOD, BARE_METHOD, EDIT_METHOD = "blend:k=3,theta=0.8", "open:k=3", "blend:k=3,theta=0.9"
STATE_FILE = "state.safetensors"

_DEFAULTS = {"model": DIGITS, "steps": 50, "label": None, "guidance": 1.0, "arithmetic": "float64"}


@dataclass(frozen=True)
class Source:
    """Samples with what is known of them.

    Attributes:
        x: a state at node 0, or bare pictures of shape (batch, …).
        names: what the files made from each sample begin with.
        values: the fields of the `Setup`; seed and first where the noise is known, fingerprint where the model has
            one.
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
        """The run, every sample with its label; integers at the batch size at which their state was made."""
        values = {key: value for key, value in self.values.items() if key not in ("seed", "first", "fingerprint")}
        setup = Setup(**{**values, "label": labels_of(values.get("label"), len(self.names))})
        conditions = {} if self.bare else self.x.conditions  # type: ignore[union-attr]
        return setup.at_a_time(conditions["batch"]) if conditions else setup

    def forced(self) -> Source:
        """The same, its integers continued under other conditions than they were made under."""
        options = self.setup().integer()
        if options is None:
            return self
        return replace(self, values={**self.values, "arithmetic": str(replace(options, force=True))})

    def place(self, span: slice) -> int:
        """Where in a batch of the model some of the samples stood when their integer state was made."""
        return 0 if self.bare else self.x[span].conditions.get("place_in_batch", 0)  # type: ignore[union-attr]

    def part(self, span: slice, device: torch.device) -> State | torch.Tensor:
        """Some of the samples, on a device."""
        return self.x[span].to(device)


def gather(
    pictures: Sequence[Path], state: Path | None, given: dict[str, Any], *, bare: bool = False,
    bare_method: str | None = BARE_METHOD, force: bool = False,
) -> Source | None:  # fmt: skip
    """The source in picture files or in a stored state; None if neither is given.

    Args:
        pictures: picture files.
        state: a state file or its folder.
        given: the options, fields of the `Setup`.
        bare: start from x_0 alone, whatever else is stored.
        bare_method: the method for x_0 alone if none is given; None: the stored one, or ddim.
        force: continue integer states under other conditions.

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
    folders = frozenset((path if path.is_dir() else path.parent).resolve() for path in paths)
    return replace(found.forced() if force else found, folders=folders)


def _from_pictures(paths: Sequence[Path], given: dict[str, Any], bare: bool, bare_method: str | None) -> Source:
    """All files carry a state, or none does."""
    from belm_runtime.png import carries, extract
    from belm_runtime.state import State

    names = tuple(path.stem for path in paths)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two pictures are named {twice!r}; their results would have one name")
    contents = [_bytes(path) for path in paths]
    with_state = [not bare and carries(data, str(path)) for data, path in zip(contents, paths, strict=True)]
    if not any(with_state):
        return _bare(paths, names, {"method": bare_method or "ddim", **given})
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


def _bare(paths: Sequence[Path], names: tuple[str, ...], given: dict[str, Any]) -> Source:
    """x_0 of pictures, which are of one size; for a pipeline it is that of the first, if none is given."""
    import torch

    values = _with_defaults(given)
    if values["model"] != DIGITS and values.get("height") is values.get("width") is None:
        with images.opened(paths[0]) as picture:
            values = {**values, "height": picture.height, "width": picture.width}
    setup = Source(torch.empty(0), names, values).setup()
    loaded = setup.load(setup.place())
    return Source(torch.cat([loaded.read(path) for path in paths]), names, values)


def _with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    values = {**_DEFAULTS, **given}
    return {**usual(values["model"]), **values}


def _from_state(path: Path, given: dict[str, Any], bare: bool, bare_method: str | None) -> Source:
    """A state file, or the folder that holds one."""
    from belm_runtime.state import State

    file = path / STATE_FILE if path.is_dir() else path
    if file.suffix.lower() in (".png", ".jpg", ".jpeg"):
        raise InputError(f"--state {str(file)!r} is a picture: give it without --state, which is for state files")
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
    values = {**_with_defaults({"method": STATE_METHOD, **given}), "seed": seed}
    setup = Source(torch.empty(0), names, values).setup()
    place = setup.place()
    loaded = setup.load(place)
    sampler, model = loaded.sampler(report), loaded.under(setup.label)
    noise = sampler.grid.noise((number, *loaded.shape), seed).to(place)
    return Source(sampler.sample(model, noise), names, values)


def check(source: Source, sampler: Sampler, loaded: Loaded) -> None:
    """Refuse a state that the sampler or the model cannot go on with, before any work.

    Raises:
        InputError: another method, grid or model; what is wrong is named.
    """
    if not source.bare:
        sampler.entry(source.x, 0, downwards=False)
    shape, model = tuple(source.pictures.shape[1:]), source.values["model"]
    made_by = source.values.get("fingerprint")
    if not source.bare and made_by is not None and made_by != loaded.fingerprint:
        raise InputError(f"the state was made by another model than the one that is now called {model!r}: its "
                         f"fingerprint was {made_by}, and is {loaded.fingerprint} here")  # fmt: skip
    if shape != loaded.shape:
        raise InputError(f"the state's samples have shape {shape}, of another model; {model} takes {loaded.shape}")


def _of_state(
    state: State, names: tuple[str, ...], record: dict[str, Any], given: dict[str, Any], source: str
) -> Source:
    """Its settings: what is given, else what is recorded, else what the state itself knows."""
    from belm_runtime.answer import dtype_name

    own = {"model": DIGITS, "method": state.method, "frame": state.frame}
    own["arithmetic"] = "integer" if state.conditions else dtype_name(state.x.dtype)
    values = {**own, **record, **given}
    _check_model(record.get("model"), values["model"])
    if "method" in given:
        values["frame"] = None
    if (given.get("dtype") or record.get("dtype")) != record.get("dtype"):
        values["fingerprint"] = None  # They are rounded otherwise, and so are not the same.
    digits = values["model"] == DIGITS
    needed = {"steps": "steps", **({"schedule": "schedule", "label": "label"} if digits else {"label": "prompt"})}
    needed |= {"guidance": "guidance"} if values.get("label") is not None else {}
    if missing := [f"--{option}" for name, option in needed.items() if name not in values]:
        raise InputError(f"there is no run.json beside {source!r}: give {', '.join(missing)} as it was sampled")
    return Source(state, names, values)


def _check_model(made_by: str | None, given: str) -> None:
    """A folder may have moved; another model than the one that made the state leads elsewhere.

    Raises:
        InputError: the model that made it is there, and is another one.
    """
    there = made_by is not None and (made_by == DIGITS or Path(made_by).exists() or given == DIGITS)
    if there and made_by != given:
        raise InputError(f"the state was made by the model {made_by!r}, not by {given!r}")


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
