"""The audit: probe, recover, compare, measure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from belm_runtime.amplification import WAYS, amplification
from belm_runtime.audit import faults, inverses, registers
from belm_runtime.audit.asked import Astray, astray, members
from belm_runtime.audit.candidates import Candidate, fixed, of_method
from belm_runtime.audit.match import Match, compare, holding, matches, nearest
from belm_runtime.audit.measure import measured
from belm_runtime.audit.probe import Forms, NotLinearError, probe
from belm_runtime.audit.relations import Relation, recover, window_of
from belm_runtime.audit.report import Named, Report, RowRecord
from belm_runtime.audit.subject import Subject
from belm_runtime.errors import InputError
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_runtime.models import PREDICTIONS
from belm_runtime.table import named

#: Relative deviations up to this are rounding: many schedulers keep their levels in float32.
TOLERANCE = 1e-5


def audit(
    subject: Subject, *, expect: Method | str | None = None, frame: Frame | str | None = None,
    tolerance: float = TOLERANCE,
) -> Report:  # fmt: skip
    """What a sampler is, and what is wrong with it.

    Args:
        subject: the sampler, see `belm_runtime.audit.subject`.
        expect: the method that it should be, or a design by name or path, with its frame and start; what differs from
            it is then reported, not what differs from the nearest.
        frame: the frame of the expected method; default the design's, or its natural one.
        tolerance: relative deviations up to this are rounding; in (0, 0.01].

    Returns:
        The report. A sampler that draws noise or is not linear has one too, with its `failure`.

    Raises:
        InputError: a subject that cannot be run: no tensor comes out, the network is not called, and the like; an
            expected method that does not exist on this grid; a tolerance out of its range.
    """
    if not 0 < tolerance <= 0.01:
        raise InputError(f"tolerance = {tolerance!r} must be above 0 and at most 0.01, as in 1e-5")
    grid = subject.grid
    wanted, frame, start = (None, None, "adams") if expect is None else named(expect, grid.steps, frame)
    setting: dict[str, Any] = {key: getattr(grid, key) for key in ("schedule", "spacing", "steps")}
    setting["prediction"] = subject.prediction
    report = Report(subject.name, setting, wanted=None if wanted is None else (str(wanted), False))
    try:
        forms = probe(subject, tolerance)
    except NotLinearError as error:
        claimed = None if subject.invert is None else inverses.check_live(subject, tolerance)
        return replace(report, failure=str(error), inverse=claimed)
    report = replace(report, setting={**setting, "calls": forms.calls}, rounding=forms.rounding)
    paired = registers.is_paired(forms, grid)
    if paired and (wanted is None or wanted.stages):
        report = _paired(report, forms, subject, tolerance, wanted)
    elif forms.calls == grid.steps and (wanted is None or not wanted.stages):
        chosen = None if wanted is None else of_method(wanted, grid, subject.prediction, frame, start)
        report = _single(report, forms, subject, tolerance, chosen)
    else:
        report = replace(report, failure=_calls(forms, wanted, paired, grid.steps))
    report = _clipped(report, forms)
    if subject.invert is not None:
        K = [value for key, value in (report.stability or {}).items() if key.startswith("K_inversion") and value]
        report = replace(report, inverse=inverses.check(subject, forms, tolerance, max(K, default=None)))
    if wanted is None or report.method is None:
        return report
    return replace(report, wanted=(str(wanted), report.method.exact and not report.faults))


def _calls(forms: Forms, wanted: Method | None, paired: bool, steps: int) -> str:
    """Why the calls of the network fit no method."""
    if wanted is not None and (paired or forms.calls == steps):
        return f"the network is called {'twice' if paired else 'once'} a step, not as {wanted} calls it"
    return (
        f"the network is called {forms.calls} times, at {len(np.unique(forms.times))} different times, on a grid of "
        f"{steps} steps: the methods that are known call it once a step, or twice at one time"
    )


def _clipped(report: Report, forms: Forms) -> Report:
    """The report with what clips as its first fault: what was cut off is lost."""
    if not (found := faults.clipping(forms, report.setting["steps"])):
        return report
    lost = (False, "values that were clipped or thresholded are lost")
    return replace(report, faults=(*found, *report.faults), invertible=lost)


# ---- one call a step -------------------------------------------------------------------------------------------------


def _single(report: Report, forms: Forms, subject: Subject, tolerance: float, wanted: Candidate | None) -> Report:
    grid, prediction = subject.grid, subject.prediction
    found = list(faults.called_at(forms, subject))
    known = matches(forms, grid, prediction, tolerance)
    if not known:
        return replace(report, failure=f"no method has finite coefficients on this grid for prediction {prediction!r}")
    own = nearest(forms, [match for match in known if match.candidate.method])
    best = nearest(forms, known) if wanted is None else compare(forms, wanted, known[0].window, tolerance)
    lost = ""
    if not best.exact and (other := _otherwise(forms, subject, wanted, tolerance)):
        best, forms, subject, fault = other
        found.append(fault)
    elif not best.exact and (wrong := _astray(forms, subject, known, wanted, tolerance)):
        best, forms, lost = wrong[0], wrong[1].forms, wrong[1].lost
        found += wrong[1].faults
    if best.exact and best.candidate.method:
        own = best
    relations = recover(forms, best.window, best.candidate, tolerance)
    found += faults.differences(forms, best, relations, subject)
    report = replace(
        report, method=_named(best), nearest=_named(own), faults=tuple(found),
        rows=tuple(_rows(forms, best, relations, subject)),
    )  # fmt: skip
    report = measured(report, best, relations, subject, tolerance)
    return replace(report, invertible=(False, lost)) if lost else report


def _otherwise(
    forms: Forms, subject: Subject, wanted: Candidate | None, tolerance: float
) -> tuple[Match, Forms, Subject, faults.Fault] | None:
    """The first reading in which every row holds: its match, forms, subject, and what is wrong then."""
    for words, seen, read in _readings(forms, subject):
        if (match := holding(seen, _tried(read, wanted), tolerance)) is not None:
            return match, seen, read, faults.Fault("reading", tuple(range(1, subject.grid.steps + 1)), words)
    return None


def _astray(
    forms: Forms, subject: Subject, known: list[Match], wanted: Candidate | None, tolerance: float
) -> tuple[Match, Astray] | None:  # fmt: skip
    """The first method that gives the result of the run, though its calls are given other states."""
    tried: Iterable[Candidate] = [wanted] if wanted else [match.candidate for match in known]
    # Of the member that it is, most rows would hold if the calls were right.
    if wanted is None and 2 * len(known[0].differing) > forms.calls:
        tried = chain(tried, members(forms, subject.grid, subject.prediction))
    for candidate in tried:
        if (found := astray(forms, candidate, tolerance)) is not None:
            return compare(found.forms, candidate, window_of(found.forms, tolerance), tolerance), found
    return None


def _readings(forms: Forms, subject: Subject) -> Iterator[tuple[str, Forms, Subject]]:
    """Other readings of a run that no method fits: words, its forms, and the subject that it would be."""
    for other in PREDICTIONS:
        if other != subject.prediction:
            words = f"the network's output is taken for {other!r}, but it is {subject.prediction!r}"
            yield words, forms, replace(subject, prediction=other)
    alpha = np.asarray(subject.grid.alpha, float)
    if (alpha > 0).all() and abs(alpha[-1] - 1) > 1e-3:
        scaled = replace(forms, Z=forms.Z * alpha[::-1, None])
        yield "the network is given x/alpha instead of x: its input is not scaled", scaled, subject
    if (grid := _called_on(forms, subject)) is not None:
        words = "its noise levels are those of the times at which it calls the network: it runs on another grid"
        yield words, forms, replace(subject, grid=grid)


def _called_on(forms: Forms, subject: Subject) -> Grid | None:
    """The grid of the times at which the network is called, if it is another one."""
    times = forms.times[::-1]
    if subject.schedule is None or np.allclose(times, np.asarray(subject.grid.timesteps[1:], float)):
        return None
    try:
        levels = subject.schedule.alpha_sigma(times)
        first = (getattr(subject.grid, key)[0] for key in ("alpha", "sigma", "timesteps"))
        return Grid.from_arrays(*(np.append(end, rest) for end, rest in zip(first, (*levels, times), strict=True)))
    except InputError:
        return None


def _tried(subject: Subject, wanted: Candidate | None) -> Iterator[Candidate]:
    """The candidates of another reading; an expected method that has no finite weights in it is none."""
    if wanted is None:
        yield from fixed(subject.grid, subject.prediction)
        return
    with suppress(InputError):
        yield wanted.on(subject.grid, subject.prediction)


def _named(match: Match) -> Named:
    c = match.candidate
    steps = tuple(n + 1 for n in match.differing)
    return Named(c.name, str(c.frame), c.start, c.method is not None, match.exact, float(match.deviations.max()), steps)


def _rows(forms: Forms, match: Match, relations: list[Relation], subject: Subject) -> list[RowRecord]:
    alpha, sigma = np.asarray(subject.grid.alpha, float), np.asarray(subject.grid.sigma, float)
    read = subject.prediction
    rows = []
    for n, row in enumerate(relations):
        near = replace(row, A=match.candidate.A[row.i - 1], B=match.candidate.B[row.i - 1])
        forms_of = [faults.in_eps(r, alpha, sigma, read) or (r.A.tolist(), r.B.tolist()) for r in (row, near)]
        k = [max(_length(form[part]) for form in forms_of) for part in (0, 1)]
        (A, B), right = ((tuple(A[: k[0]]), tuple(B[: k[1]])) for A, B in forms_of)
        rows.append(RowRecord(n + 1, row.i, float(forms.times[n]), A, B, row.C, right, float(match.deviations[n])))
    return rows


def _length(weights: list[float]) -> int:
    used = [j for j, weight in enumerate(weights) if abs(weight) > 1e-9]
    return max(used, default=0) + 1


# ---- two calls a step ------------------------------------------------------------------------------------------------


def _paired(report: Report, forms: Forms, subject: Subject, tolerance: float, wanted: Method | None) -> Report:
    found = registers.compare(forms, subject.grid, subject.prediction, tolerance, wanted)
    near = found if wanted is None else registers.compare(forms, subject.grid, subject.prediction, tolerance)
    own, other = _edict(found, tolerance), _edict(near, tolerance)
    all_faults = (*faults.called_at(forms, subject), *found.faults)
    report = replace(report, method=own, nearest=other, faults=all_faults)
    if other.exact:
        K = {f"K_{way}": amplification(near.table, way, "frame") for way in WAYS}
        K |= {f"K_{way}_x": amplification(near.table, way, "x") for way in WAYS}
        solvable = (True, "each stage changes one register by a function of the other, so each is undone in turn")
        return replace(report, invertible=solvable, stability=K)
    if found.read_elsewhere:
        solvable = (False, "a stage moves a register by the network's output on that same register, which is not known "
                           "on the way back")  # fmt: skip
        return replace(report, invertible=solvable)
    note = "its stages are not EDICT's: whether they can be undone is not known"
    return replace(report, notes=(*report.notes, note))


def _edict(found: registers.Registers, tolerance: float) -> Named:
    steps = sorted({step for fault in found.faults for step in fault.steps})
    exact, worst = bool((found.deviations <= tolerance).all()), float(found.deviations.max())
    return Named(str(found.method), str(found.table.frame), "none", True, exact, worst, tuple(steps))
