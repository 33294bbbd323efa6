"""What a run is made of, as the command line and run.json say it: model, method, grid, arithmetic, label.

``run.json`` beside a state names everything the state itself does not hold, so that `belm invert` needs the state's
path and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from belm.cli.options import one_of
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm.cli.loaded import Loaded
    from belm_runtime.arithmetic import Integer
    from belm_runtime.sampler import Sampler

#: The name of the embedded model.
DIGITS = "digits"

#: What a model may compute in; the first two are arithmetics of states as well.
DTYPES = ("float64", "float32", "bfloat16", "float16")

#: What a sample is under: a digit or a prompt, one for all or one for each; None for any.
Label = int | str | list[int] | list[str] | None


@dataclass(frozen=True)
class Setup:
    """A run, by name; everything is checked when its parts are made.

    Attributes:
        model: ``digits``, a folder of a pipeline, or its name on the hub.
        method: a method string.
        spacing: None for the schedule's own.
        steps: N.
        schedule: a preset; None for the model's own.
        end: ``zero`` or ``first``; None for the model's own.
        start: ``adams`` or ``ddim``; None for the design's, or adams.
        frame: None for the design's, or the method's natural frame.
        arithmetic: ``float64``, ``float32`` or ``integer``, with options as in ``integer:batch=16``.
        label: a digit or a prompt, one per sample, or None for any.
        guidance: the weight of classifier-free guidance, or ``1:3`` for one that runs evenly in time from 1 at the
            noise to 3 at the data.
        device: where model and states are, e.g. ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: what the model computes in; None for the arithmetic of the states, in a pipeline for float32.
        negative_prompt: what the guidance leads away from.
        height: of a pipeline's pictures; None for what it was trained at.
        width: likewise.
        unclipped: run a pipeline without the clipping that its scheduler asks for.
    """

    model: str
    method: str
    steps: int
    schedule: str | None = None
    spacing: str | None = None
    end: str | None = None
    start: str | None = None
    frame: str | None = None
    arithmetic: str = "float64"
    label: Label = None
    guidance: float | str = 1.0
    device: str = "cpu"
    dtype: str | None = None
    negative_prompt: str | None = None
    height: int | None = None
    width: int | None = None
    unclipped: bool = False

    def __post_init__(self) -> None:
        """Refuse what a record may hold and an option may not."""
        for field in fields(self):
            value, kind = getattr(self, field.name), str(field.type)
            if kind.startswith("str") and not isinstance(value, str) and not (value is None and "None" in kind):
                raise InputError(f"the {field.name} of a run is a name, not {value!r}")
            if kind.startswith("int") and type(value) is not int and not (value is None and "None" in kind):
                raise InputError(f"the {field.name} of a run is a whole number, not {value!r}")
        if self.dtype is not None:
            one_of("dtype", self.dtype, DTYPES)

    def load(self, device: torch.device | str = "cpu") -> Loaded:
        """The model.

        Raises:
            InputError: no such model, or options that it has no use for.
        """
        from belm.cli.loaded import Embedded
        from belm.cli.piped import Pipeline

        return (Embedded if self.model == DIGITS else Pipeline)(self, device)

    def place(self, local: int = 0) -> torch.device:
        """The device; process `local` of a machine takes its own where ``cuda`` is given without a number.

        Raises:
            InputError: if there is no such device.
        """
        import torch

        try:
            device = torch.device(self.device)
            if device.type == "cuda" and device.index is None:
                device = torch.device("cuda", local % max(torch.cuda.device_count(), 1))
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"there is no device {self.device!r} here: {str(error).splitlines()[0]}") from None
        return device

    def integer(self) -> Integer | None:
        """The options of integer arithmetic; None in floating point."""
        from belm_runtime.arithmetic import read_arithmetic

        return read_arithmetic(self.arithmetic)[0]

    def at_a_time(self, count: int) -> Setup:
        """The same, and integers made for so many samples a model call, where no number is given."""
        options = self.integer()
        if options is None or options.batch is not None:
            return self
        return replace(self, arithmetic=str(replace(options, batch=count)))

    def seen(self, label: Label, place: int) -> Label:
        """The labels of one model call: integers may be padded to a batch of their own."""
        options = self.integer()
        if not isinstance(label, list) or options is None or options.batch is None:
            return label
        if place + len(label) > options.batch:
            raise InputError(
                f"--arithmetic {self.arithmetic}: the model sees {options.batch} samples at a time, and {len(label)} "
                f"have a label or prompt each; give a batch of {len(label)}, or sample in shards (--batch-size)"
            )
        return labels_of(label, options.batch, -place)

    def record(self) -> dict[str, Any]:
        """The run as it stands in run.json, without leave to continue what is not exact."""
        options = self.integer()
        return asdict(self if options is None else replace(self, arithmetic=str(replace(options, force=False))))


def resolved(sampler: Sampler) -> dict[str, Any]:
    """What a run's names stand for, so that its record needs no design: method, frame, spacing, start."""
    start = {} if sampler.method.stages else {"start": sampler.table.start}
    return {"method": str(sampler.method), "frame": str(sampler.frame), "spacing": sampler.grid.spacing, **start}


def read_record(path: Path) -> dict[str, Any]:
    """The fields of a run.json; empty if there is no such file.

    Raises:
        InputError: if the file is there but cannot be understood.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from None
    if not isinstance(record, dict):
        raise InputError(f"{str(path)!r} is not the record of a run")
    return known(record)


def known(record: dict[str, Any]) -> dict[str, Any]:
    """The entries of a run's record that a `Setup` is made of, the seed, and the model's fingerprint."""
    names = {field.name for field in fields(Setup)} | {"seed", "fingerprint"}
    return {key: value for key, value in record.items() if key in names}


def read_label(text: str | None) -> int | list[int] | None:
    """``7``, ``0,1,2`` (one per sample, in turn), ``all`` (the ten digits in turn), or ``any``.

    Raises:
        InputError: for anything else.
    """
    if text is None or text == "any":
        return None
    if text == "all":
        return list(range(10))
    try:
        labels = [int(part) for part in text.split(",")]
    except ValueError:
        right = "a digit 0 … 9, several in turn such as 0,1,2, all, or any"
        raise InputError(f"--label {text!r} must be {right}") from None
    return labels[0] if len(labels) == 1 else labels


def read_condition(label: str | None, prompts: Sequence[str] | None) -> Label:
    """What --label or --prompt says; several prompts are for the samples in turn.

    Raises:
        InputError: both, or a label that is none.
    """
    if label is not None and prompts:
        raise InputError("--label is for the model digits and --prompt for pipelines; give one of them")
    if prompts:
        return prompts[0] if len(prompts) == 1 else list(prompts)
    return read_label(label)


def named(model: str) -> str:
    """A model as it is recorded: a folder by its full path, so that it is found from anywhere."""
    return str(Path(model).resolve()) if model != DIGITS and Path(model).is_dir() else model


def read_guidance(value: float | str) -> float | Callable[[float], float]:
    """A number, or ``1:3``, which runs evenly in time from 1 at the noise to 3 at the data.

    Raises:
        InputError: for anything else.
    """
    from belm_runtime.guidance import ramp
    from belm_runtime.models import finite

    noise, colon, data = str(value).partition(":")
    try:
        ends = [finite("guidance", part) for part in (noise, data if colon else noise)]
    except InputError:
        right = "a number such as 3, or two such as 1:3, from the noise to the data"
        raise InputError(f"--guidance {value!r} must be finite: {right}") from None
    return ramp(*ends) if colon else ends[0]


def labels_of(label: Label, count: int, first: int = 0) -> Label:
    """The labels of samples first … first + count − 1: several labels take turns over all samples."""
    if not isinstance(label, list):
        return label
    return [label[j % len(label)] for j in range(first, first + count)]  # type: ignore[return-value]
