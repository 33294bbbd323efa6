"""Audit the schedulers of diffusers: what each is, and a picture of DPM-Solver++(2M) against Adams–Bashforth 2.

    belm bench audit-schedulers --out docs/images/audit-differences.png

Every row of the table is one audit with 10 steps on the betas of Stable Diffusion 1.5.
"""

from __future__ import annotations

import argparse
import inspect
import warnings
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch

from belm.audit import with_facts
from belm.demo.style import canvas, margins, png, styled
from belm_runtime.audit import Report, audit, of_scheduler
from belm_runtime.errors import InputError
from belm_runtime.files import write

SD15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
LEADING = {**SD15, "timestep_spacing": "leading"}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "DDIMScheduler": [{**LEADING, "clip_sample": False}, LEADING],
    "EulerDiscreteScheduler": [LEADING],
    "FlowMatchEulerDiscreteScheduler": [{}],
    "LMSDiscreteScheduler": [LEADING],
    "DPMSolverMultistepScheduler": [LEADING],
    "DEISMultistepScheduler": [LEADING],
    "UniPCMultistepScheduler": [LEADING],
    "DPMSolverSinglestepScheduler": [SD15],
    "HeunDiscreteScheduler": [LEADING],
    "PNDMScheduler": [{**LEADING, "skip_prk_steps": True}],
    "EulerAncestralDiscreteScheduler": [LEADING],
    "DDPMScheduler": [LEADING],
}


def line(name: str, settings: dict[str, Any]) -> str:
    """One scheduler as a row of a Markdown table."""
    made = getattr(diffusers, name)
    known = inspect.signature(made).parameters
    scheduler = made(**{key: value for key, value in settings.items() if key in known})
    try:
        subject = of_scheduler(scheduler, 10)
        report = with_facts(audit(subject), subject)
    except InputError as error:
        return f"| {name} | {error} | | |"
    note = " (clips)" if report.notes and "clipped" in report.notes[0] else ""
    measured = report.order or {}
    exact = [report.exact.get(key) for key in ("order", "order_smooth")]
    found = exact if "order" in report.exact else [measured.get(key) for key in ("on_this_grid", "on_smooth_grids")]
    if any("not alike" in words for words in report.notes):
        found = [None, None]
    orders = " / ".join("–" if p is None else str(p) for p in found)
    invertible = "–" if report.invertible is None else "yes" if report.invertible[0] else "no"
    return f"| {name}{note} | {report.verdict} | {orders} | {invertible} |"


def picture(report: Report, path: Path) -> None:
    """Each recovered weight beside the expected one, as the power of ten of their distance."""
    assert report.method is not None
    width = [max(max(len(a), len(b)) for a, b in pairs) for pairs in zip(*(
        ((row.A, row.expected[0]), (row.B, row.expected[1])) for row in report.rows), strict=True)]  # fmt: skip
    sizes = np.full((len(report.rows), sum(width)), -12.0)
    for n, row in enumerate(report.rows):
        for found, right, first in ((row.A, row.expected[0], 0), (row.B, row.expected[1], width[0])):
            for j in range(max(len(found), len(right))):
                gap = abs(sum(found[j : j + 1]) - sum(right[j : j + 1]))
                sizes[n, first + j] = np.log10(max(gap, 1e-12))
    names = [f"$A_{j + 1}$" for j in range(width[0])] + [f"$B_{j + 1}$" for j in range(width[1])]
    with styled():
        figure = canvas(3.6)
        axes = figure.add_subplot()
        axes.grid(False)
        axes.imshow(sizes, cmap="Oranges", vmin=-4, vmax=0, aspect="auto")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(report.rows)), [f"{row.step}  (t = {row.t:g})" for row in report.rows])
        axes.set_ylabel("step")
        axes.set_title(f"{report.subject}\nagainst {report.method.name}, {report.method.frame} frame", fontsize=10)
        for (n, c), size in np.ndenumerate(sizes):
            text = "0" if size < -7 else f"{10**size:.2g}"
            axes.text(c, n, text, ha="center", va="center", fontsize=7.5, color="white" if size > -1.4 else "#222222")
        margins(figure, left=0.3, right=0.97, top=0.5, bottom=0.35)
        write(path, png(figure))


def main() -> None:
    """Print the table and, with --out, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="a PNG file for the picture")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| scheduler | verdict | order on every / on smooth grids | invertible |\n|---|---|---|---|")
    for name, choices in SETTINGS.items():
        for settings in choices:
            print(line(name, settings), flush=True)
    if out is not None:
        subject = of_scheduler(diffusers.DPMSolverMultistepScheduler(**LEADING), 10)
        picture(audit(subject, expect="adams:m=2", frame="data"), out)
        print(f"wrote {out}")


if __name__ == "__main__":
    main()
