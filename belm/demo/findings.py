"""What the figures say, in sentences: each is built from the record and left out where it does not hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

#: Above this float64 error of the recovered noise an exact inverse is exact on paper only.
_EXACT = 1e-6
#: A remade picture that is off by more than this looks different.
_VISIBLE = 0.1

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Record = Mapping[str, Any]


def number(value: float | None) -> str:
    """Two digits: ``0.0081``, ``3.1×10⁻¹⁵``; a dash for nothing."""
    if value is None:
        return "–"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    if -4 < int(exponent) < 4:
        # repr of the rounded value keeps it short: 0.0081, 1500, 0.3.
        rounded = float(f"{value:.1e}")
        return f"{rounded:.0f}" if rounded >= 10 else f"{rounded:.{max(1, 1 - int(exponent))}f}"
    return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def findings(record: Record) -> list[str]:
    """Sentences in HTML, the most useful first."""
    return [sentence for rule in (_accuracy, _state, _rounded, _alone, _seed, _worse) for sentence in rule(record)]


def traveller(record: Record) -> str:
    """The method whose way there and back is shown: the most accurate of those that come back."""
    back = [m for m, e in _from_state(record).items() if e < _EXACT] or list(_from_state(record))
    return min(back, key=lambda m: float(record["methods"][m]["error"]))


def gains(record: Record) -> str:
    """By what factor the error fell over the accuracy curve, for every method."""
    curves = record["error_by_model_calls"].items()
    (fewest, _), (most, _) = next(iter(curves))[1][0], next(iter(curves))[1][-1]
    factors = ", ".join(f"{_code(m)} {number(curve[0][1] / curve[-1][1])}" for m, curve in curves)
    return f"from {fewest} to {most} calls the error falls by these factors (below 1 it grew): {factors}"


def _accuracy(record: Record) -> list[str]:
    errors = {m: v["error"] for m, v in record["methods"].items()}
    best, worst = min(errors, key=errors.__getitem__), max(errors, key=errors.__getitem__)
    calls = record["setting"]["model_calls"]
    usual = f"; DDIM is off by {number(errors['ddim'])}" if "ddim" in errors and best != "ddim" else ""
    return [
        f"<strong>Best for its cost:</strong> at {calls} model calls {_code(best)} comes nearest to the true "
        f"solution, off by {number(errors[best])}{usual}, {_code(worst)} by {number(errors[worst])}."
    ]


def _state(record: Record) -> list[str]:
    exact = {m: e for m, e in _from_state(record).items() if e < _EXACT}
    if not exact:
        return []
    names = " and ".join(filter(None, [", ".join(map(_code, list(exact)[:-1])), _code(list(exact)[-1])]))
    without = [m for m, v in record["methods"].items() if not v["from_state"]]
    others = f" {_code(' and '.join(without))} has no such way." if without else ""
    return [
        "<strong>The way back with the stored state</strong> returns the noise to within "
        f"{number(max(exact.values()))} with {names}: rounding is all that is left.{others}"
    ]


def _rounded(record: Record) -> list[str]:
    return [
        f"<strong>Exact on paper is not enough:</strong> {_code(m)} can be inverted exactly, but its way back "
        f"magnifies rounding up to {number(record['methods'][m]['inversion_amplification']['x'])} times; the noise "
        f"comes back with an error of {number(e)} in float64 and of "
        f"{number(record['methods'][m]['rounding']['float32']['measured'])} in float32."
        for m, e in _from_state(record).items()
        if e >= _EXACT
    ]


def _alone(record: Record) -> list[str]:
    errors = {m: v["from_sample_alone"]["sample"] for m, v in record["methods"].items()}
    best = min(errors, key=errors.__getitem__)
    bad = ", ".join(f"{_code(m)} ({number(e)})" for m, e in errors.items() if e > _VISIBLE)
    usual = f" (DDIM inversion: {number(errors['ddim'])})" if "ddim" in errors and best != "ddim" else ""
    warning = f" Not for this job: {bad}; the missing state is guessed, and the guess's error grows." if bad else ""
    return [
        f"<strong>With the picture alone</strong> {_code(best)} does best: made again from the noise it finds, the "
        f"picture is off by {number(errors[best])}{usual}.{warning}"
    ]


def _seed(record: Record) -> list[str]:
    ways = {m: v["from_sample_alone"] for m, v in record["methods"].items()}
    best = min(ways, key=lambda m: ways[m]["sample"])
    noise, sample = ways[best]["noise"], ways[best]["sample"]
    if noise < 10 * sample:
        return []
    return [
        f"The noise found from a picture alone is another one (off by {number(noise)} with {_code(best)}), and yet "
        f"it gives almost the same picture (off by {number(sample)}): many noises lead to nearly one picture, and the "
        "picture does not tell which it was. Only the stored state does."
    ]


def _worse(record: Record) -> list[str]:
    found = []
    for method, curve in record["error_by_model_calls"].items():
        (before, low), (after, high) = min(curve, key=lambda point: point[1]), curve[-1]
        if high > 1.5 * low:
            found.append(
                f"More calls are not always better: {_code(method)} is off by {number(low)} at {before} calls and by "
                f"{number(high)} at {after}."
            )
    return found


def _from_state(record: Record) -> dict[str, float]:
    return {m: v["from_state"]["noise"] for m, v in record["methods"].items() if v["from_state"]}


def _code(method: str) -> str:
    return f"<code>{escape(method)}</code>"
