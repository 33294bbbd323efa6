"""The tables of docs/how-to/which-sampler.md, from the record of benchmarks/design.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from belm.design.judged import BARE, COMPARED, counted, geometric
from belm.design.space import NEUTRAL

STEPS, KINDS = (10, 20, 50, 100), ("digits", "mixture")
GENERATION = {
    "O-BELM, leading": ("o-belm", "leading"), "Adams 2, leading": ("adams:m=2", "leading"),
    "designed, leading": ("designed", "leading"), "Adams 2, designed": ("adams:m=2", "designed"),
    "designed, designed": ("designed", "designed"),
}  # fmt: skip
SEED = {
    "DDIM inversion, leading": ("ddim", "leading"), "O-BELM, leading": ("o-belm", "leading"),
    "exp-open 3, leading": (BARE[0], "leading"), "DDIM inversion, designed": ("ddim", "designed"),
    "open 3, designed": ("open:k=3", "designed"), "echo 4, θ = 1, designed": (NEUTRAL, "designed"),
    "exp-open 3, designed": (BARE[0], "designed"),
}  # fmt: skip


def tables(record: Mapping[str, Any]) -> str:
    """All five, as Markdown."""
    parts = [
        _table(record["rows"], "generation", GENERATION), _table(record["rows"], "seed", SEED),
        _small(record["small steps"]), _targets(record), _seeds(record),
    ]  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in parts)


def _table(rows: Sequence[Mapping[str, Any]], what: str, columns: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    yield f"| calls | | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 2) + "|"
    for kind, calls in product(KINDS, STEPS):
        values = [
            _mean(r[what] for r in rows if (r["problem"].split()[0], r["calls"]) == (kind, calls)
                  and (r["method"], r["grid"]) == pair) for pair in columns.values()
        ]  # fmt: skip
        cells = [f"**{v:.2g}**" if v == min(values) else f"{v:.2g}" for v in values]
        yield f"| {calls} | {kind}{'s' * (kind == 'mixture')} | {' | '.join(cells)} |"


def _small(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = {BARE[0]: "exp-open 3", "open:k=3": "open 3", NEUTRAL: "echo 4, θ = 1"}
    yield "| grid | | steps | calls | " + " | ".join(names.values()) + " | O-BELM | DDIM inversion |"
    yield "|---" * (len(names) + 6) + "|"
    for grid, kind, steps in product(("leading", "trailing", "designed"), KINDS, STEPS):
        here = [r for r in rows if (r["grid"], r["problem"].split()[0], r["steps"]) == (grid, kind, steps)]
        mine = {name: [r for r in here if r["method"] == name] for name in names}
        calls = sorted({r["calls"] for r in mine[BARE[0]]})
        values = [_mean(r["seed"] for r in mine[name]) for name in names]
        values += [_mean(r[other] for r in mine[BARE[0]]) for other in ("o-belm", "ddim")]
        cells = [f"**{v:.2g}**" if v == min(values) else f"{v:.2g}" for v in values]
        between = f"{calls[0]}" if len(calls) == 1 else f"{calls[0]}–{calls[-1]}"
        yield f"| {grid} | {kind}{'s' * (kind == 'mixture')} | {steps} | {between} | {' | '.join(cells)} |"


def _targets(record: Mapping[str, Any]) -> Iterator[str]:
    """Of generation: each wanted figure, and what it is on each kind of problem."""
    seen = {t["what"]: t for t in record["targets, mixtures seen before"]}
    yield "| generation error | wanted | measured | mixtures | digits | mixtures seen before |"
    yield "|---|---|---|---|---|---|"
    for t in record["targets"]:
        if t["what"].startswith("seed"):
            continue
        worst, before = "worst" in t["what"], seen[t["what"]]
        kinds = ["" if worst else f"{t['kinds'][kind]:.2g}" for kind in ("mixture", "digits")]
        kinds.append(f"{before['value']:.3g}" if worst else f"{before['kinds']['seen']:.2g}")
        what = t["what"].removeprefix("generation, ")
        yield f"| {what} | {t['wanted'].replace('<=', '≤')} | {_marked(t)} | {' | '.join(kinds)} |"


def _seeds(record: Mapping[str, Any]) -> Iterator[str]:
    """Of the seed: each inverter and start against O-BELM and DDIM inversion on each grid."""
    by_name = {t["what"]: t for t in record["targets"]}
    columns = list(product(("leading", "trailing", "designed"), COMPARED))
    names = {"o-belm": "O-BELM", "ddim": "DDIM"}
    yield "| seed error from x_0 | " + " | ".join(f"{grid}, / {names[other]}" for grid, other in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for start, calls, method in product(("", " in small first steps"), ("", " at as many calls"), BARE):
        if bool(start) == bool(calls):
            cells = [
                _marked(by_name[f"seed from x_0, {method}{start} / {other}{calls}, both on {grid}"])
                for grid, other in columns
            ]
            yield f"| {method}{start or ', plain start'} | {' | '.join(cells)} |"


def _marked(target: Mapping[str, Any]) -> str:
    """The value, bold where it is not met."""
    return f"{target['value']:.2g}" if target["met"] else f"**{target['value']:.2g}**"


def _mean(values: Iterable[float | None]) -> float:
    return geometric(map(counted, values))
