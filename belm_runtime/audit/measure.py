"""Order, inverse and stability of a run, from its main rows, and from the same sampler with more steps."""

from __future__ import annotations

from dataclasses import replace

from belm_runtime.audit import facts
from belm_runtime.audit.match import Match
from belm_runtime.audit.probe import probe
from belm_runtime.audit.relations import Relation, fitted, recover
from belm_runtime.audit.report import Report
from belm_runtime.audit.subject import Subject
from belm_runtime.errors import InputError
from belm_runtime.frame import Frame

#: Steps of the grids on which the order on smooth grids is measured.
_FINE = (80, 160)
#: Departures from linearity of a run in float64.
_EXACT = 1e-10


def measured(report: Report, match: Match, relations: list[Relation], subject: Subject, tolerance: float) -> Report:
    """The report with order, inverse and stability of the main rows.

    Args:
        report: what is known so far.
        match: the method that the rows were recovered beside.
        relations: the recovered rows.
        subject: for its grid, how it reads the network's output, and more steps.
        tolerance: relative deviations up to this are rounding.
    """
    main = _main(relations, match)
    if not main:
        note = f"{subject.grid.steps} steps are all starting steps of {match.candidate.name}: nothing can be measured"
        return replace(report, notes=(*report.notes, note))
    windows = [row.window for row in main]
    alike = 3 * windows.count(max(windows, key=windows.count)) >= 2 * len(main)
    if not alike:
        note = "the relations are not alike: the order is that of the worst of them, which need not be the method's"
        report = replace(report, notes=(*report.notes, note))
    later = relations[match.candidate.k - 1 :]
    # Of a method of the catalogue it is known, though a weight may be too small to be seen.
    solvable = facts.solvable(later) if _invertible(match, subject) else facts.invertible(later, tolerance)
    states = max(row.window[0] for row in main)
    rows = facts.best_frame(main, subject.grid, subject.prediction, match.candidate.frame, states)
    if rows is None:
        return replace(report, invertible=solvable)
    p, sizes = facts.order(rows)
    found = {"on_this_grid": p, "frame": str(rows.frame), "conditions": sizes, "on_smooth_grids": None}
    # Of a method of the catalogue the order is known exactly; measuring it again would only be less.
    if alike and p >= 0 and not (match.exact and match.candidate.method is not None):
        found["on_smooth_grids"] = _smooth(subject, p, rows.frame, match, tolerance)
    return replace(report, order=found, invertible=solvable, stability=facts.stability(rows, main, solvable[0]))


def _invertible(match: Match, subject: Subject) -> bool:
    """Whether it is a method of the catalogue that is invertible, and no last step stands in for one of its own."""
    method, stands_in = match.candidate.method, match.candidate.frame.q is None and subject.grid.sigma[0] == 0
    return match.exact and method is not None and method.has_inverse and not stands_in


def _main(relations: list[Relation], match: Match) -> list[Relation]:
    """The rows after the start, less those that end a run with fewer states or slopes than most have."""
    later = relations[match.candidate.k - 1 :]
    if not later:
        return []
    windows = [row.window for row in later]
    usual = max(set(windows), key=windows.count)
    return [row for row in later if row.window == usual or sum(row.window) > sum(usual)]


def _smooth(subject: Subject, p: int, frame: Frame, match: Match, tolerance: float) -> int | None:
    """The order on smooth grids, from the same sampler with many steps.

    Many steps have small weights: relations that no method is known for are recovered from float64 runs only.
    """
    if subject.remake is None:
        return None
    made = []
    for steps in _FINE:
        try:
            other = subject.remake(steps)
            forms = probe(other, tolerance)
            if forms.calls != other.grid.steps:
                return None
            near = match.candidate.on(other.grid, other.prediction)
        except InputError:
            return None
        if not match.exact and forms.rounding > _EXACT:
            return None
        found = recover(forms, match.window, near, tolerance) if match.exact else fitted(forms, match.window, _EXACT)
        main = _main(found, match)
        states = max(row.window[0] for row in main)
        made.append(facts.in_frame(main, other.grid, other.prediction, frame, states))
    coarse, fine = made
    return facts.order_smooth(coarse, fine, p) if coarse and fine else None
