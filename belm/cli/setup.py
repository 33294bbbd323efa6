"""What a run is made of, as the command line and run.json say it: model, method, grid, arithmetic, label.

``run.json`` beside a state names everything the state itself does not hold, so that `belm invert` needs the state's
path and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from belm.cli.options import one_of
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm_runtime.grid import Grid
    from belm_runtime.models import Model
    from belm_runtime.sampler import Sampler
    from belm_runtime.schedule import Schedule

#: The schedule that the embedded model was trained on.
DIGITS_SCHEDULE = "ddpm"
#: The shape of one of its samples.
DIGITS_SHAPE = (1, 8, 8)

#: What a model may compute in; the first two are arithmetics of states as well.
DTYPES = ("float64", "float32", "bfloat16", "float16")

Label = int | list[int] | None


@dataclass(frozen=True)
class Setup:
    """A run, by name; everything is checked when its parts are made.

    Attributes:
        model: ``digits``.
        method: a method string.
        schedule: a preset.
        spacing: None for the schedule's own.
        steps: N.
        end: ``zero`` or ``first``.
        start: ``adams`` or ``ddim``.
        frame: None for the method's natural frame.
        arithmetic: ``float64`` or ``float32``.
        label: a digit, one per sample, or None for any.
        guidance: the weight of classifier-free guidance, or ``1:3`` for one that runs evenly in time from 1 at the
            noise to 3 at the data.
        device: where model and states are, e.g. ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: what the model computes in; None for the arithmetic of the states.
    """

    model: str
    method: str
    schedule: str
    steps: int
    spacing: str | None = None
    end: str = "zero"
    start: str = "adams"
    frame: str | None = None
    arithmetic: str = "float64"
    label: Label = None
    guidance: float | str = 1.0
    device: str = "cpu"
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Refuse what a record may hold and an option may not, and other models: they have no loader here."""
        for field in fields(self):
            value, kind = getattr(self, field.name), str(field.type)
            if kind.startswith("str") and not isinstance(value, str) and not (value is None and "None" in kind):
                raise InputError(f"the {field.name} of a run is a name, not {value!r}")
        if self.model != "digits":
            raise InputError(f"--model {self.model!r} is not known; the model to use is digits, the embedded one")
        if self.dtype is not None:
            one_of("dtype", self.dtype, DTYPES)

    def preset(self) -> Schedule:
        """The schedule.

        Raises:
            InputError: an unknown one, or one the model was not trained on.
        """
        from belm_runtime.schedule import Schedule

        schedule = Schedule.preset(self.schedule)
        if schedule.name != DIGITS_SCHEDULE:
            raise InputError(
                f"the model {self.model} was trained on the schedule {DIGITS_SCHEDULE}, not on {self.schedule}: its "
                f"timesteps would stand for other noise levels; use --schedule {DIGITS_SCHEDULE}"
            )
        return schedule

    def grid(self) -> Grid:
        """The grid.

        Raises:
            InputError: unknown names, or a grid that does not exist.
        """
        return self.preset().grid(self.steps, self.spacing, end=self.end)

    def sampler(self, progress: Callable[[int, int], None] | None = None) -> Sampler:
        """The sampler on its grid.

        Raises:
            InputError: unknown names, a grid that does not exist, a schedule the model was not trained on.
        """
        from belm_runtime.sampler import Sampler

        return Sampler(
            self.method, self.grid(), arithmetic=self.arithmetic, frame=self.frame, start=self.start, progress=progress
        )

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

    def denoiser(self, device: torch.device | str = "cpu") -> Model:
        """The model under its label and guidance.

        Raises:
            InputError: a label or guidance out of range, or missing weights.
        """
        return self.denoisers(device)(self.label)

    def denoisers(self, device: torch.device | str = "cpu") -> Callable[[Label], Model]:
        """The model under any label; its weights are read once.

        It computes in `dtype`, by default in the run's arithmetic: in float32 a rounding of a float64 state can move
        the network's input by 1e-7, and a way back with it.

        Raises:
            InputError: missing weights; when called, a label or guidance out of range.
        """
        import torch

        from belm_runtime import digits
        from belm_runtime.guidance import weighted

        one_of("arithmetic", self.arithmetic, DTYPES[:2])
        network = digits.load(getattr(torch, self.dtype or self.arithmetic), device)
        weight, grid = read_guidance(self.guidance), self.grid()

        def under(label: Label) -> Model:
            return weighted(lambda w: digits.denoiser(label=label, guidance=w, network=network), weight, grid)

        return under

    def record(self) -> dict[str, Any]:
        """The run as it stands in run.json."""
        return asdict(self)


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
    """The entries of a run's record that a `Setup` is made of, and the seed."""
    names = {field.name for field in fields(Setup)} | {"seed"}
    return {key: value for key, value in record.items() if key in names}


def read_label(text: str | None) -> Label:
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
    return [label[j % len(label)] for j in range(first, first + count)]
