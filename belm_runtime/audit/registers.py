"""Two calls a step: EDICT and its broken relatives.

Registers x, y start equal. EDICT's stages (`belm_runtime.stages`) make them from the outputs p_0, p_1, … of the
network; which register the network was given at each call is compared with the one that the stage names. A register
that turns out otherwise is taken as it is from there on, so that one fault is not reported at every later step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from belm_runtime import methods
from belm_runtime.audit.faults import Fault
from belm_runtime.audit.probe import Forms
from belm_runtime.audit.secant import secant
from belm_runtime.audit.unlisted import simple
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_runtime.stages import Stage, StageTable, register_of
from belm_runtime.table import coefficients


@dataclass(frozen=True)
class Registers:
    """A run compared with EDICT.

    Attributes:
        method: EDICT with the p that was found.
        table: its stages on the grid.
        deviations: for each call and the result, the relative distance from what EDICT gives.
        faults: the differences in words.
        read_elsewhere: whether a stage reads a register other than the one it should.
    """

    method: Method
    table: StageTable
    deviations: np.ndarray
    faults: tuple[Fault, ...]
    read_elsewhere: bool


def is_paired(forms: Forms, grid: Grid) -> bool:
    """Whether the network is called twice a step, at one time each or nearly so: not at both ends, nor halfway."""
    if forms.calls != 2 * grid.steps:
        return False
    first, second = forms.times.reshape(-1, 2).T
    longest = np.abs(np.diff(np.asarray(grid.timesteps, float))).max()
    return bool((np.abs(first - second) <= longest / 4).all())


def compare(
    forms: Forms, grid: Grid, prediction: str, tolerance: float, method: Method | None = None
) -> Registers:  # fmt: skip
    """A run of two calls a step against EDICT; if it is not given, with the p that the fewest calls deviate from.

    Raises:
        InputError: EDICT is not finite on this grid.
    """
    if method is None:
        usual = methods.make("edict")
        tried = [_with(forms, usual, grid, prediction, tolerance)]
        for call in sorted({min(3, forms.calls), 2, forms.calls}):
            if (tried[0].deviations > tolerance).any():
                p = _fitted(forms, grid, prediction, call)
                tried.append(_with(forms, methods.make("edict", p=p), grid, prediction, tolerance))
        return min(tried, key=lambda found: int((found.deviations > tolerance).sum()))
    return _with(forms, method, grid, prediction, tolerance)


def _with(forms: Forms, method: Method, grid: Grid, prediction: str, tolerance: float) -> Registers:
    table = coefficients(method, grid)
    assert isinstance(table, StageTable)
    deviations, faults, elsewhere = [], [], []

    def look(call: int, wanted: str, registers: dict[str, np.ndarray], stage: Stage | None) -> np.ndarray:
        seen, right = forms.Z[call], registers[register_of(wanted)]
        size = max(1.0, float(np.abs(seen).max()))
        deviations.append(float(np.abs(seen - right).max()) / size)
        if deviations[-1] <= tolerance:
            return right
        other = "y" if register_of(wanted) == "x" else "x"
        step = call // 2 + 1
        if call < forms.calls and np.abs(seen - registers[other]).max() <= tolerance * size:
            elsewhere.append(step)
            faults.append(Fault("register", (step,), f"the network is given {other} where EDICT gives it {wanted}: "
                                f"eps({other}) stands for eps({wanted})"))  # fmt: skip
            return right
        kind, words = _changed(forms, call, wanted, registers, right, size, tolerance)
        # What the first call of a step is given was made in the step before.
        faults.append(Fault(kind, (max((call + 1) // 2, 1),), words))
        return seen

    _walk(forms, table, prediction, look)
    return Registers(method, table, np.array(deviations), _merged(faults), bool(elsewhere))


Look = Callable[[int, str, dict[str, np.ndarray], Stage | None], np.ndarray]


def _walk(forms: Forms, table: StageTable, prediction: str, look: Look) -> None:
    """Run the stages on forms; `look` says what a register is at each call."""
    registers = {"x": forms.Z[0].copy(), "y": forms.Z[0].copy()}
    unit, call = np.eye(forms.Z.shape[1]), 0
    last: Stage | None = None
    for row in table.stage_rows(prediction):
        for stage in row.stages:
            slot = register_of(stage.target)
            if stage.source is not None:
                source = register_of(stage.source)
                registers[source] = look(call, stage.source, registers, last)
            new = sum((float(c) * registers[register_of(name)] for name, c in stage.terms), np.zeros(len(unit)))
            if stage.source is not None:
                new = new + float(stage.slope) * unit[call + 1]
                call += 1
            registers[slot], last = new, stage
    look(call, "x", registers, last)


def _fitted(forms: Forms, grid: Grid, prediction: str, call: int) -> Fraction:
    """The p that what a call is given asks for."""

    def seen(p: float) -> np.ndarray:
        found: list[np.ndarray] = []

        def look(n: int, wanted: str, registers: dict[str, np.ndarray], stage: Stage | None) -> np.ndarray:
            found.append(registers[register_of(wanted)])
            return found[-1]

        made = coefficients(methods.make("edict", p=Fraction(p)), grid)
        assert isinstance(made, StageTable)
        _walk(forms, made, prediction, look)
        return found[call]

    p = secant(lambda p: seen(p) - forms.Z[call])
    return simple([p]) or Fraction(p)


def _changed(
    forms: Forms, call: int, wanted: str, registers: dict[str, np.ndarray], right: np.ndarray, size: float,
    tolerance: float,
) -> tuple[str, str]:  # fmt: skip
    """Words for a register that is neither x nor y of EDICT: the one coefficient that explains it, if one does."""
    left = forms.Z[call] - right
    unit = np.eye(len(left))
    named = [(f"eps of call {m + 1}", unit[m + 1]) for m in range(max(call - 2, 0), call)]
    other = "y" if register_of(wanted) == "x" else "x"
    named += [("a constant", unit[-1]), (other, registers[other])]
    dropped = [(name, unit[-1] - form) for name, form in named if name.startswith("eps")]
    where = "the result" if call == forms.calls else f"{wanted}, which call {call + 1} is given,"
    for name, form in named:
        weight = float(left @ form) / float(form @ form) if form.any() else 0.0
        if np.abs(left - weight * form).max() <= tolerance * size:
            return "coefficient", f"{where} differs from EDICT's by {weight:.6g} times {name}"
    for name, form in dropped:
        weight = float(left[-1])
        if np.abs(left - weight * form).max() <= tolerance * size:
            return "missing-factor", (
                f"in {where} {weight:.6g} is added as a constant and is missing in the weight of {name}: a factor "
                "`* noise_pred` was dropped"
            )
    return "coefficients", f"{where} differs from EDICT's by up to {np.abs(left).max():.3g} in a coefficient"


def _merged(faults: list[Fault]) -> tuple[Fault, ...]:
    """Faults of one kind and, for registers, the same words, once, with all their steps."""
    merged: dict[tuple[str, str], Fault] = {}
    for fault in faults:
        key = (fault.kind, fault.words if fault.kind == "register" else "")
        known = merged.get(key)
        steps = tuple(sorted({*fault.steps, *(known.steps if known else ())}))
        merged[key] = Fault(fault.kind, steps, (known or fault).words)
    return tuple(merged.values())
