"""What an audit found, as one record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from belm_runtime.audit.faults import Fault
from belm_runtime.audit.inverses import Inverse


@dataclass(frozen=True)
class Named:
    """A method that the run was compared with.

    Attributes:
        name: a method string, or the name of one that the catalogue does not have.
        frame: the frame of its relations.
        start: how its first rows are made.
        catalogued: whether it is a method of the catalogue.
        exact: whether the run is this method: every row holds.
        deviation: what the worst row leaves, relative to the state it makes.
        differing: the steps, counted from 1, whose rows do not hold.
    """

    name: str
    frame: str
    start: str
    catalogued: bool
    exact: bool
    deviation: float
    differing: tuple[int, ...]


def within(deviation: float) -> str:
    """A deviation by the power of ten above it: its digits are rounding."""
    if not 0 < deviation < math.inf:
        return "exactly" if deviation == 0 else "not at all"
    return f"within {10.0 ** math.ceil(math.log10(deviation)):.0e}"


def spoken(method: Named) -> str:
    """The method with its frame, where that makes a difference."""
    alone = method.name == "ddim" or method.start == "none"
    return method.name if alone else f"{method.name} in the {method.frame} frame"


@dataclass(frozen=True)
class RowRecord:
    """A recovered row beside the method's.

    Attributes:
        step: counted from 1.
        i: the node it starts from; it makes x_{i-1}.
        t: the time the network was called at.
        A: weights of x, trailing zeros left out.
        B: weights of eps, or of the network's own prediction where alpha = 0.
        C: a constant; 0 in every correct sampler.
        expected: the same of the method: (A, B).
        deviation: what the method's row leaves of the state, relative.
    """

    step: int
    i: int
    t: float
    A: tuple[float, ...]
    B: tuple[float, ...]
    C: float
    expected: tuple[tuple[float, ...], tuple[float, ...]]
    deviation: float


@dataclass(frozen=True)
class Report:
    """The outcome of an audit; what could not be found out is None.

    Attributes:
        subject: its name.
        setting: prediction, schedule, spacing, steps, and the number of calls.
        rounding: the departure from linearity in the subject's own arithmetic.
        failure: why no linear relations exist (fresh noise, clipping throughout), or None.
        notes: what is no fault, but worth knowing.
        method: what it is, or what it is nearest to.
        nearest: the nearest method of the catalogue.
        rows: the recovered rows, noise end first; empty for two registers.
        faults: differences from `method`, in words.
        order: measured: frame, ``on_this_grid``, the size of each condition, and ``on_smooth_grids``.
        invertible: (whether, why).
        stability: K in both directions, in the frame and in x.
        inverse: about the claimed inverse.
        wanted: the method that was expected, and whether the run is it without a fault.
    """

    subject: str
    setting: dict[str, Any]
    rounding: float | None = None
    failure: str | None = None
    notes: tuple[str, ...] = ()
    method: Named | None = None
    nearest: Named | None = None
    rows: tuple[RowRecord, ...] = ()
    faults: tuple[Fault, ...] = ()
    order: dict[str, Any] | None = None
    invertible: tuple[bool, str] | None = None
    stability: dict[str, Any] | None = None
    inverse: Inverse | None = None
    wanted: tuple[str, bool] | None = None
    exact: dict[str, Any] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether nothing that was claimed came out false: the expected method, and the claimed inverse."""
        expected = self.wanted is None or self.wanted[1]
        return expected and (self.inverse is None or self.inverse.holds is not False)

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        broken = self.inverse is not None and self.inverse.holds is False
        return self._verdict() + " Its claimed inverse is not one." * broken

    def _verdict(self) -> str:
        if self.failure:
            return f"{self.failure}."
        if self.method is None:
            return self.notes[0] if self.notes else "nothing was recognised"
        steps, here = self.setting["steps"], spoken(self.method)
        if self.method.exact and not self.faults:
            apart = ", as expected" if self.wanted else "" if self.method.catalogued else ", not in the catalogue"
            return f"It is {here}{apart}: all {steps} steps agree {within(self.method.deviation)}."
        if self.method.exact:
            return f"Its coefficients are those of {here}, but: {self.faults[0].words}."
        wrong = f"{len(self.method.differing)} of {steps} steps differ"
        if self.wanted:
            other = f" It is {spoken(self.nearest)}." if self.nearest and self.nearest.exact else ""
            return f"It is not {here}, as was expected: {wrong}.{other}"
        return f"It is no method of the catalogue; the nearest is {here}, from which {wrong}."

    def record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"verdict": self.verdict, "sound": self.sound, **asdict(self)}
