"""Designs that run: the method on a grid of N steps, the grid, the sampler, and what inverts a bare x_0.

    design = Design.read("designed")                    # or the path of a file, my-design.json
    sampler = design.sampler(Schedule.preset("sd15"), 20)

The file is in `belm_runtime.designs`. ``Sampler("designed", schedule.grid(20, "designed"))`` is the same sampler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from belm_runtime.designs import Record
from belm_runtime.errors import InputError
from belm_runtime.grid import Grid
from belm_runtime.methods import Method, parse, with_damping
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule


@dataclass(frozen=True)
class Design(Record):
    """A design whose methods are checked as well; the attributes are those of a record."""

    def __post_init__(self) -> None:
        """Refuse what is no design.

        Raises:
            InputError: as a record, and a method or inverter that is none; the message names the key.
        """
        super().__post_init__()
        for key, make in (("method", lambda: self.method_on(1)), ("inverter", lambda: parse(self.inverter))):
            try:
                make()
            except InputError as error:
                raise InputError(f"{key}: {error}") from None

    def method_on(self, steps: int) -> Method:
        """The method on a grid of N steps."""
        return with_damping(self.method, self.damping, steps)

    def grid(self, schedule: Schedule, steps: int) -> Grid:
        """The grid of N steps."""
        return schedule.grid(steps, self.spacing)

    def sampler(self, schedule: Schedule, steps: int, **options: Any) -> Sampler:
        """The method on the grid; options are those of `Sampler`: prediction, arithmetic, progress."""
        return self._on(self.method_on(steps), schedule, steps, options)

    def inverting(self, schedule: Schedule, steps: int, **options: Any) -> Sampler:
        """What inverts a bare x_0 on the same grid, in the same frame; options as in `sampler`."""
        return self._on(parse(self.inverter), schedule, steps, options)

    def _on(self, method: Method, schedule: Schedule, steps: int, options: Mapping[str, Any]) -> Sampler:
        return Sampler(method, self.grid(schedule, steps), **{"frame": self.frame, "start": self.start, **options})
