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

from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm_runtime.models import Model
    from belm_runtime.sampler import Sampler

#: The schedule that the embedded model was trained on.
DIGITS_SCHEDULE = "ddpm"
#: The shape of one of its samples.
DIGITS_SHAPE = (1, 8, 8)

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
        guidance: the weight of classifier-free guidance.
        device: where model and states are, e.g. ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
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
    guidance: float = 1.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse other models: they have no loader here."""
        if self.model != "digits":
            raise InputError(f"--model {self.model!r} is not known; the model to use is digits, the embedded one")

    def sampler(self, progress: Callable[[int, int], None] | None = None) -> Sampler:
        """The sampler on its grid.

        Raises:
            InputError: unknown names, a grid that does not exist, a schedule the model was not trained on.
        """
        from belm_runtime.sampler import Sampler
        from belm_runtime.schedule import Schedule

        schedule = Schedule.preset(self.schedule)
        if schedule.name != DIGITS_SCHEDULE:
            raise InputError(
                f"the model {self.model} was trained on the schedule {DIGITS_SCHEDULE}, not on {self.schedule}: its "
                f"timesteps would stand for other noise levels; use --schedule {DIGITS_SCHEDULE}"
            )
        grid = schedule.grid(self.steps, self.spacing, end=self.end)
        return Sampler(
            self.method, grid, arithmetic=self.arithmetic, frame=self.frame, start=self.start, progress=progress
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
        """The model under its label and guidance, computing in the run's arithmetic.

        Raises:
            InputError: a label or guidance out of range, or missing weights.
        """
        return self.denoisers(device)(self.label)

    def denoisers(self, device: torch.device | str = "cpu") -> Callable[[Label], Model]:
        """The model under any label; its weights are read once.

        In float32 a rounding of the float64 state can move the network's input by 1e-7, and a way back with it.

        Raises:
            InputError: missing weights; when called, a label or guidance out of range.
        """
        from belm_runtime import digits
        from belm_runtime.sampler import ARITHMETIC

        network = digits.load(ARITHMETIC[self.arithmetic], device)
        return lambda label: digits.denoiser(label=label, guidance=self.guidance, network=network)

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


def labels_of(label: Label, count: int, first: int = 0) -> Label:
    """The labels of samples first … first + count − 1: several labels take turns over all samples."""
    if not isinstance(label, list):
        return label
    return [label[j % len(label)] for j in range(first, first + count)]
