"""The report: one HTML file with everything in it, and the short table for the terminal.

Every number and every sentence about a result is made from the record of the run; nothing is stated beforehand.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from rich.table import Table

from belm.demo.derive import Derived
from belm.demo.findings import findings, gains, number, traveller
from belm.demo.pictures import picture_name

Record = dict[str, Any]

EXAMPLE = """\
from belm import Sampler, Schedule
from belm_runtime.digits import denoiser

grid = Schedule.preset("ddpm").grid(50, spacing="trailing")
sampler = Sampler("blend:k=3,theta=0.8", grid)
model = denoiser(label=7)

state = sampler.sample(model, grid.noise((1, 1, 8, 8), seed=0))
noise = sampler.invert(model, state).x        # the exact way back, from the stored state
state.save("seven.safetensors")               # go back another day
"""

_COLUMNS = (
    ("Exact way back: noise", lambda m: (m["from_state"] or {}).get("noise")),
    ("Exact way back: picture again", lambda m: (m["from_state"] or {}).get("sample")),
    ("Picture alone: noise", lambda m: m["from_sample_alone"]["noise"]),
    ("Picture alone: picture again", lambda m: m["from_sample_alone"]["sample"]),
    ("Distance to the true solution", lambda m: m["error"]),
)
_NARROW = (
    "with state:\nnoise\nrecovered", "\npicture\nagain", "no state:\nnoise\nrecovered", "\npicture\nagain",
    "distance\nto the true\nsolution",
)  # fmt: skip
_STABLE = {"proved": "yes, proved", "refuted": "no, refuted", "undecided": "depends on the grid"}
_GREEK = {"theta": "θ", "gamma": "γ", "rho": "ρ"}
_WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six")


def page(record: Record, derived: Sequence[Derived], images: Mapping[str, bytes]) -> str:
    """The report.

    Args:
        record: as in results.json.
        derived: the derivations, for their formulas.
        images: PNG bytes by file name.

    Returns:
        HTML that needs no other file and no network.
    """
    setting, reference = record["setting"], record["reference"]
    same = all(d.identical for d in derived)
    template = Template((files("belm.demo") / "template.html").read_text(encoding="utf-8"))
    return template.substitute(
        {name: _embedded(images[f"{name}.png"]) for name in ("journey", "accuracy", "rounding", "along")},
        journey_method=f"<code>{escape(traveller(record))}</code>",
        summary=_summary(record),
        calls=setting["model_calls"],
        batch=setting["batch"],
        findings="".join(f"<li>{line}</li>" for line in findings(record)),
        table=_table(record),
        notes=_notes(record),
        pictures="".join(_pictures(m, images[picture_name(m)]) for m in record["methods"]),
        reference_steps=reference["steps"],
        floor=number(reference["rms_to_half_the_steps"]),
        gains=gains(record),
        amplification=_amplification(record),
        identical="The text came out identical, letter for letter, to the modules that are installed."
        if same
        else "<strong>The text differs from an installed module: see the cards below.</strong>",
        cards="".join(map(_card, derived)),
        example=escape(EXAMPLE),
        command=escape(record["command"]),
        machine=_machine(record),
    )


def verdict(derived: Sequence[Derived]) -> str:
    """Whether the derived code is the installed code, in one line."""
    other = ", ".join(sorted({d.module for d in derived if not d.identical}))
    if other:
        return f"The derived code DIFFERS from the installed one in: {other} (run: belm generate)"
    return f"Derived {len(derived)} methods again: the generated code is identical to the installed one."


def short_table(record: Record) -> Table:
    """The table that the terminal shows."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column("\n\nmethod", no_wrap=True)
    for head in _NARROW:
        shown.add_column(head, justify="right", no_wrap=True)
    for method, values in record["methods"].items():
        shown.add_row(method, *(number(read(values)) for _, read in _COLUMNS))
    return shown


def legend(record: Record) -> str:
    """What the numbers of the short table are."""
    return (
        f"Typical error of one pixel (RMS) at {record['setting']['model_calls']} model calls each: pixels run from "
        "-1 to 1, noise has size 1. Smaller is better; – means that no exact way back exists."
    )


def _summary(record: Record) -> str:
    setting, count = record["setting"], len(record["methods"])
    return (
        f"{dict(enumerate(_WORDS)).get(count, count)} ways to draw pictures with a diffusion model, at the same cost "
        f"of {setting['model_calls']} model calls, and what happens when each is run backwards. Everything here was "
        f"computed in {record['seconds']['all']:.0f} seconds on {escape(record['machine']['processor'])}, from seed "
        f"{setting['seed']}."
    )


def _embedded(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _table(record: Record) -> str:
    rows = {m: [number(read(values)) for _, read in _COLUMNS] for m, values in record["methods"].items()}
    return _html_table(["Method", *(name for name, _ in _COLUMNS)], rows)


def _html_table(heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table whose rows become small cards on a phone."""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = ""
    for name, cells in rows.items():
        labelled = "".join(f'<td data-label="{escape(h)}">{c}</td>' for h, c in zip(heads[1:], cells, strict=True))
        body += f"<tr><td><code>{escape(name)}</code></td>{labelled}</tr>"
    return f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _notes(record: Record) -> str:
    found = [note for values in record["methods"].values() for note in values["warnings"]]
    if not found:
        return ""
    lines = "".join(f"<p>{escape(note)}.</p>" for note in found)
    return f'<div class="note"><p><strong>The sampler warned:</strong></p>{lines}</div>'


def _pictures(method: str, png: bytes) -> str:
    return (
        f'<figure><h3><code>{escape(method)}</code></h3><img src="{_embedded(png)}" '
        f'alt="Samples of {escape(method)}, made again from the stored state, and from the picture alone"></figure>'
    )


def _amplification(record: Record) -> str:
    rows = {}
    for method, values in record["methods"].items():
        if values["rounding"]:
            double, single = (values["rounding"][name] for name in ("float64", "float32"))
            cells = [number(values["inversion_amplification"]["x"])]
            cells += [number(f[key]) for f in (double, single) for key in ("measured", "predicted")]
            rows[method] = cells
    kinds = [f"{arithmetic} {kind}" for arithmetic in ("float64", "float32") for kind in ("measured", "predicted")]
    return _html_table(["Method", "Amplification", *kinds], rows)


def _card(derived: Derived) -> str:
    formulas = "".join(f'<div class="maths">{line}</div>' for line in derived.formulas)
    order = str(derived.order)
    if derived.order_smooth != derived.order:
        order += f" ({derived.order_smooth} on smooth grids)"
    lines = [
        _prose(derived.theorem),
        f"Order {order}. Exact inverse: {'yes, proved' if derived.invertible else 'none'}.",
        f"Disturbances stay bounded while sampling: {_verdict(*derived.stability['sampling'])}.",
    ]
    if derived.invertible:
        lines.append(f"On the way back: {_verdict(*derived.stability['inversion'])}.")
    same = "identical to" if derived.identical else "DIFFERENT from"
    return (
        f'<div class="card"><h3><code>{escape(derived.method)}</code></h3>{formulas}'
        + "".join(f"<p>{line}</p>" for line in lines)
        + f"<details><summary>The code that runs ({same} the installed {escape(derived.module)})</summary>"
        f'<pre>{escape(derived.code)}</pre></details><p class="small">{escape(derived.source)}</p></div>'
    )


def _verdict(outcome: str, witness: str) -> str:
    why = witness.removeprefix("depends on the grid; ")
    return f'{_STABLE[outcome]} <span class="small">({_prose(why)})</span>'


def _prose(text: str) -> str:
    """The theory's plain text with its indices, powers and Greek letters set."""
    text = escape(text).replace("&gt;=", "≥").replace("&lt;=", "≤").replace("**", "^").replace("*", "·")
    text = re.sub(r"\b(theta|gamma|rho)\b", lambda name: _GREEK[name[0]], text)
    text = re.sub(r"_\{([^}]*)\}|_(\w)|\b([hw])(\d)\b", _index, text)
    return re.sub(r"\^(\d+)", r"<sup>\1</sup>", text)


def _index(found: re.Match[str]) -> str:
    braced, bare, letter, digit = found.groups()
    return f"{letter or ''}<sub>{braced or bare or digit}</sub>"


def _machine(record: Record) -> str:
    setting, machine = record["setting"], record["machine"]
    lines = {
        "Setting": f"{setting['schedule']} schedule, {setting['spacing']} spacing, guidance {setting['guidance']}, "
        f"{setting['batch']} pictures of the classes 0–9, seed {setting['seed']}",
        "Software": ", ".join(f"{k} {machine[k]}" for k in ("belm", "torch", "numpy", "sympy", "matplotlib", "python")),
        "Machine": f"{machine['processor']}, {machine['cpus']} CPUs, one torch thread, {machine['platform']}",
        "Time": ", ".join(f"{part} {seconds:.1f} s" for part, seconds in record["seconds"].items()),
    }
    return "<dl>" + "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in lines.items()) + "</dl>"
