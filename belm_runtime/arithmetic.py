"""What a run may compute its states in: ``float64``, ``float32``, or ``integer`` with options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch

from belm_runtime.errors import InputError, unknown
from belm_runtime.grid import whole
from belm_runtime.methods import read
from belm_runtime.models import finite
from belm_runtime.number import exact

#: The dtypes of the states in floating point; integers stand in float64 too.
ARITHMETIC = {"float64": torch.float64, "float32": torch.float32}

_EXAMPLE = "integer:bound=32,batch=16"

#: How many samples a model may be asked to see at a call: a batch is filled, so that more would fill the memory.
LARGEST_BATCH = 2**20


@dataclass(frozen=True)
class Integer:
    """The options of integer arithmetic; its string is ``integer:bound=32,batch=16``.

    Attributes:
        bound: how large |x| has to fit at least, in units of sqrt(alpha² + sigma²), and half of what |prediction| may
            reach for the certified range.
        batch: how many samples the model sees at every call, whatever is asked for: fewer are padded with the first
            one, more are taken in turns. None: as many as there are.
        force: continue states that were made under other conditions.
    """

    bound: float = 32.0
    batch: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        bound = finite("bound", self.bound)
        if bound < 1:
            raise InputError(f"bound = {bound} must be ≥ 1, in standard deviations; 32 are the default")
        object.__setattr__(self, "bound", bound)
        if self.batch is not None:
            object.__setattr__(self, "batch", whole("batch", self.batch, 1, LARGEST_BATCH))
        if not isinstance(self.force, bool):
            raise InputError(f"force must be True or False, not {self.force!r}")

    def __str__(self) -> str:
        """The string that `parse` reads, without what is as usual."""
        values = {"bound": repr(self.bound).removesuffix(".0"), "batch": self.batch, "force": int(self.force)}
        given = [f"{f.name}={values[f.name]}" for f in fields(self) if getattr(self, f.name) != f.default]
        return "integer" + (f":{','.join(given)}" if given else "")

    @classmethod
    def parse(cls, text: str) -> Integer:
        """The options a string gives.

        Raises:
            InputError: an unknown option, or a value that is not a number.
        """
        _, given = read(text, "arithmetic", _EXAMPLE)
        values: dict[str, Any] = {}
        for name, value in given.items():
            number = exact(value)
            if name not in ("bound", "batch", "force") or number is None:
                raise InputError(f"arithmetic {text!r}: {name}={value} is not an option, as in {_EXAMPLE}")
            values[name] = float(number) if name == "bound" else number
        if "batch" in values:
            values["batch"] = int(values["batch"]) if values["batch"].denominator == 1 else float(values["batch"])
        if "force" in values:
            if values["force"] not in (0, 1):
                raise InputError(f"arithmetic {text!r}: force is 0 or 1, not {given['force']}")
            values["force"] = bool(values["force"])
        return cls(**values)


def read_arithmetic(arithmetic: str | Integer) -> tuple[Integer | None, torch.dtype]:
    """The options of integer arithmetic, or None, and the dtype of the states.

    Raises:
        InputError: an unknown name or option, or no name.
    """
    if isinstance(arithmetic, Integer):
        return arithmetic, torch.float64
    if not isinstance(arithmetic, str):
        raise InputError(f"the arithmetic is a name such as 'float64' or 'integer:batch=16', not {arithmetic!r}")
    if arithmetic.partition(":")[0] == "integer":
        return Integer.parse(arithmetic), torch.float64
    if arithmetic not in ARITHMETIC:
        raise unknown("arithmetic", arithmetic, [*ARITHMETIC, "integer"])
    return None, ARITHMETIC[arithmetic]
