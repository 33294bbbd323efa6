"""An audit's report in words and lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from belm_runtime.audit import Fault, Report
from belm_runtime.audit.report import within

#: How many differing rows the text shows.
_SHOWN = 3


def as_text(report: Report) -> str:
    """The report for a terminal."""
    lines = [heading(report), report.verdict, ""]
    lines += [f"{name:<12} {words}" for name, words in facts(report)]
    if report.faults:
        lines += ["", "differences"]
        lines += [f"  {where(fault, report)}: {fault.words}" for fault in report.faults]
        lines += list(_rows(report))
    return "\n".join(lines) + "\n"


def heading(report: Report) -> str:
    """What was audited, in one line."""
    setting = report.setting
    calls = f", {setting['calls']} calls of the network" if "calls" in setting else ""
    return f"{report.subject}: {setting['steps']} steps{calls}, prediction {setting['prediction']}"


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """Name and words of everything that was found out, beside the differences."""
    if report.rounding is not None:
        yield "linear", f"yes, {within(report.rounding)}"
    for note in report.notes:
        yield "note", note
    if report.method is not None and report.nearest is not None and report.nearest != report.method:
        near = report.nearest
        differs = f"step {near.differing[0]} on" if near.differing else "no step"
        yield "catalogue", f"nearest is {near.name} in the {near.frame} frame, which differs from {differs}"
    if words := _order(report):
        yield "order", words
    if report.invertible is not None:
        yield "invertible", f"{'yes' if report.invertible[0] else 'no'}: {report.invertible[1]}"
    if report.stability is not None:
        yield "stability", "; ".join(_stability(report))
    if report.inverse is not None:
        yield "inverse", inverse(report)


def inverse(report: Report) -> str:
    """About the claimed inverse."""
    found = report.inverse
    if found is None:
        return "none is claimed"
    word = {True: "is one", False: "is NOT one", None: "undecided"}[found.holds]
    place = f"at its call {found.step} " if found.step and found.holds is False else ""
    replay = "" if found.replay is None else f"{_off(found.replay)} with the outputs of sampling, "
    live = f"{_off(found.live)} with a network that depends on x"
    return f"the claimed inverse {word}: {place}{found.words}; back at x_N {replay}{live}"


def _off(deviation: float) -> str:
    return within(deviation) if deviation < 1e-3 else f"but for {deviation:.2g}"


def where(fault: Fault, report: Report) -> str:
    """The steps of a fault, e.g. ``steps 2 … 9 (t = 801)``."""
    steps = fault.steps
    run = len(steps) > 2 and steps == tuple(range(steps[0], steps[-1] + 1))
    listed = f"{steps[0]} … {steps[-1]}" if run else ", ".join(map(str, steps))
    row = next((row for row in report.rows if row.step == steps[0]), None)
    first = "" if row is None else f" (first t = {row.t:g})" if len(steps) > 1 else f" (t = {row.t:g})"
    return f"step{'s' if len(steps) > 1 else ''} {listed}{first}"


def _order(report: Report) -> str:
    if "order" in report.exact:
        facts = report.exact
        measured = "" if report.order is None else f"; on this grid measured: {report.order['on_this_grid']}"
        return (
            f"{facts['order']} on every grid, {facts['order_smooth']} on smooth grids "
            f"(exact, of {report.method.name if report.method else ''}){measured}"
        )
    if report.order is None:
        return ""
    p, smooth = report.order["on_this_grid"], report.order["on_smooth_grids"]
    if p < 0:
        return f"none: constant states are not kept, E_0 is {report.order['conditions'][0]:.1e} of its terms"
    size = report.order["conditions"][-1]
    tail = "" if smooth is None else f"; {smooth} on smooth grids, measured with 80 and 160 steps"
    return f"{p} on this grid: E_{p + 1} is {size:.1e} of its terms in the {report.order['frame']} frame{tail}"


def _stability(report: Report) -> Iterator[str]:
    found = report.stability or {}
    for way in ("sampling", "inversion"):
        numbers = [_constant(report, f"K_{way}{suffix}", found.get(f"K_{way}{suffix}")) for suffix in ("", "_x")]
        yield f"{way} K = {numbers[0]} in the frame, {numbers[1]} in x" if found.get(f"K_{way}") else f"no {way}"


def _constant(report: Report, key: str, value: float | None) -> str:
    bounds: dict[str, Any] | None = report.exact.get(key)
    if bounds is not None:
        return f"{float(bounds['upper']):.4g} (enclosed)"
    return "none" if value is None else f"{value:.4g}"


def _rows(report: Report) -> Iterator[str]:
    """The first rows that differ, found and expected."""
    wrong = {step for fault in report.faults for step in fault.steps}
    shown = [row for row in report.rows if row.step in wrong and row.deviation > 0][:_SHOWN]
    for row in shown:
        for name, (A, B) in (("found", (row.A, row.B)), ("expected", row.expected)):
            numbers = [f"A_{j} = {v:.6g}" for j, v in enumerate(A, 1)]
            numbers += [f"B_{j} = {v:.6g}" for j, v in enumerate(B, 1)]
            extra = [f"C = {row.C:.6g}"] if name == "found" and abs(row.C) > 1e-9 else []
            head = f"step {row.step}, row {row.i}" if name == "found" else ""
            yield f"  {head:<16} {name:<9} {', '.join(numbers + extra)}"
