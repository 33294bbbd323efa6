"""What a search found as JSON-able data, search.json: the design, the best of each choice, and all points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from scipy.stats import spearmanr

from belm.design.search import Found, Outcome
from belm.design.space import NEUTRAL
from belm_runtime.design import Design


def as_record(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON-able data: the design, what is known of it, the best of each choice, and all points."""
    points = [
        {**_written(found.design), **_choices(found), "rank": _number(found.rank), "few": found.few,
         "score": found.score} for found in outcome.looked
    ]  # fmt: skip
    counts = {"ranked": outcome.ranked, "dropped": sum(not math.isfinite(found.rank) for found in outcome.looked),
              "refined": len(points) - outcome.ranked, **agreement(outcome.looked)}  # fmt: skip
    return {
        "best": _written(outcome.best) | {"inverter": outcome.best.inverter}, "score": outcome.score,
        "inverter of all points": NEUTRAL, "score with it": outcome.searched,
        "scores of shipped designs": outcome.shipped, **counts,
        "settings": outcome.facts, "best of each choice": best_of_each(outcome.looked), "points": points,
    }  # fmt: skip


def agreement(looked: Iterable[Found]) -> dict[str, Any]:
    """How many points ran at few steps, and Spearman's coefficient of rank and score there; None if all are alike."""
    both = [(found.rank, found.few) for found in looked if found.few is not None]
    apart = len(both) > 2 and all(len(set(values)) > 1 for values in zip(*both, strict=True))
    coefficient = float(spearmanr(both).statistic) if apart else None
    return {"run at few steps": len(both), "Spearman's coefficient of rank and score at few steps": coefficient}


def best_of_each(looked: Iterable[Found]) -> dict[str, dict[str, dict[str, float | None]]]:
    """For each choice of a cell the best rank, and the best scores on mixtures, of any point with it."""
    table: dict[str, dict[str, dict[str, float | None]]] = {}
    for found in looked:
        for name, choice in _choices(found).items():
            best = table.setdefault(name, {}).setdefault(str(choice), {"rank": None, "few": None, "score": None})
            for what, value in (("rank", _number(found.rank)), ("few", found.few), ("score", found.score)):
                if value is not None and (best[what] is None or value < best[what]):  # type: ignore[operator]
                    best[what] = value
    return table


def by_kind(points: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int, str, str], float]:
    """The best score on mixtures of each kind (rule, k, slopes, spacing) among the points of a record, best first."""
    best: dict[tuple[str, int, str, str], float] = {}
    for point in points:
        if (score := point["score"]) is not None:
            kind = point["rule"], point["k"], point["slopes"], point["spacing"]
            best[kind] = min(score, best.get(kind, math.inf))
    return dict(sorted(best.items(), key=lambda item: item[1]))


def _choices(found: Found) -> dict[str, Any]:
    return {name: getattr(found.cell, name) for name in ("rule", "k", "slopes", "frame", "spacing", "start")}


def _written(design: Design) -> dict[str, Any]:
    damping = None if design.damping is None else str(design.damping)
    return {"method": design.method, "damping": damping, "q": design.frame, "grid": design.spacing}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
