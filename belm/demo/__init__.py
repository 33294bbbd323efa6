"""`belm demo`: the main job from end to end on the embedded model, in about a minute.

    derive → generate → compare with what is installed → sample → invert two ways → measure → report

The parts: `derive` (exact algebra), `measure` (the runs), `record` (the figures as data), `figures` (as pictures),
`findings` and `report` (in words).
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from belm.cli.files import staged
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    from belm.demo.measure import Plan

#: What is written beside the figures.
RESULTS, REPORT = "results.json", "report.html"
_EXTRAS = {"sympy": "theory", "matplotlib": "plots"}


def main(out: Path, *, seed: int = 0, show: Console) -> None:
    """Run the demo and write its report.

    Args:
        out: the folder for report.html, results.json and the figures; made if missing.
        seed: of the noise, 0 … 2^64 - 1.
        show: where progress and the table go.

    Raises:
        InputError: a package is missing, or the folder cannot be written; found before any work.
        NotFiniteError: a run produced a NaN or an infinity.
    """
    for package, extra in _EXTRAS.items():
        if find_spec(package) is None:
            raise InputError(f'the demo needs {package}; install it with: pip install "belm[{extra}]"')
    with staged(out, (RESULTS, REPORT)) as folder:
        from belm.demo.measure import Plan

        run(folder, Plan(seed=seed), show, command=f"belm demo --out {out} --seed {seed}")
    show.print(f"Report: {out / REPORT}", soft_wrap=True, highlight=False)


def run(folder: Path, plan: Plan, show: Console, command: str) -> None:
    """Do the work of a plan and write every file of it.

    Args:
        folder: where the files go; it exists.
        plan: how much to measure.
        show: where progress and the table go.
        command: how the run was asked for, for the record.
    """
    from belm.demo import figures, measure
    from belm.demo.course import course
    from belm.demo.derive import derive_all
    from belm.demo.record import record
    from belm.demo.report import legend, page, short_table, verdict

    noise = measure.start(plan)
    with course(show) as doing:
        with doing.part("derive", "deriving the methods") as tick:
            derived = derive_all(plan.methods, tick)
        with doing.part("reference", "solving finely, to compare with") as tick:
            solution, floor = measure.reference(plan, tick)
        with doing.part("accuracy", "sampling at several costs") as tick:
            curves = measure.accuracy(plan, solution, tick)
        with doing.part("two ways", "sampling and going back") as tick:
            ways = measure.two_ways(plan, tick)
        with doing.part("report", "drawing") as tick:
            found = record(plan, derived, ways, noise, solution, floor, curves) | {"command": command}
            images = figures.draw(ways, found)
            tick(1)
        found["seconds"] = {part: round(seconds, 2) for part, seconds in doing.seconds.items()}
    for name, png in images.items():
        (folder / name).write_bytes(png)
    (folder / RESULTS).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / REPORT).write_text(page(found, derived, images), encoding="utf-8")
    show.print(verdict(derived), highlight=False)
    show.print(short_table(found))
    show.print(legend(found), highlight=False)
