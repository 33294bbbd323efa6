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

    def denoiser(self) -> Model:
        """The model under its label and guidance, computing in the run's arithmetic.

        In float32 a rounding of the float64 state can move the network's input by 1e-7, and a way back with it.

        Raises:
            InputError: a label or guidance out of range, or missing weights.
        """
        from belm_runtime import digits
        from belm_runtime.sampler import ARITHMETIC

        return digits.denoiser(label=self.label, guidance=self.guidance, dtype=ARITHMETIC[self.arithmetic])

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
    known = {field.name for field in fields(Setup)} | {"seed"}
    return {key: value for key, value in record.items() if key in known}


def read_label(text: str | None) -> Label:
    """``7``, ``0,1,2`` (one per sample), or ``any``.

    Raises:
        InputError: for anything else.
    """
    if text is None or text == "any":
        return None
    try:
        labels = [int(part) for part in text.split(",")]
    except ValueError:
        right = "a digit 0 … 9, one per sample such as 0,1,2, or any"
        raise InputError(f"--label {text!r} must be {right}") from None
    return labels[0] if len(labels) == 1 else labels
