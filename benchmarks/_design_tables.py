"""The tables of docs/how-to/which-sampler.md, from the record of benchmarks/design.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from belm.design.judged import BARE, NEUTRAL, OVERFLOW, geometric

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
    """All four, as Markdown."""
    parts = [
        _table(record["rows"], "generation", GENERATION), _table(record["rows"], "seed", SEED),
        _small(record["small steps"]), _targets(record),
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
    seen = {t["what"]: t for t in record["targets, mixtures seen before"]}
    yield "| ratio | wanted | measured | mixtures | digits | mixtures seen before |"
    yield "|---|---|---|---|---|---|"
    for t in record["targets"]:
        value = f"{t['value']:.3g}" if t["met"] else f"**{t['value']:.3g}**"
        worst = "worst" in t["what"]
        kinds = ["" if worst else f"{t['kinds'][kind]:.2g}" for kind in ("mixture", "digits")]
        before = f"{seen[t['what']]['value']:.3g}" if worst else (
            f"{seen[t['what']]['kinds']['seen']:.2g}" if t["what"] in seen else "")
        yield f"| {t['what']} | {t['wanted'].replace('<=', '≤')} | {value} | {' | '.join(kinds)} | {before} |"


def _mean(values: Iterable[float | None]) -> float:
    return geometric(OVERFLOW if v is None else min(v, OVERFLOW) for v in values)
