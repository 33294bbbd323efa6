"""Claims and certificates: what is stated, how it was decided, and the exact data that shows it.

A page in derivations/ declares one claim, derives its verdict, and returns a `Certificate`. Its evidence is a list of
records in exact data (strings of rationals and rational functions) that `belm_theory.checker`, which shares no code
with this package, verifies again. Each kind of record is a small theorem that the checker knows how to test:

    identity      left = right as rational functions
    at            a relation between two expressions at a rational point (a counterexample)
    order         a relation's order on every grid and its leading local error
    signs         expressions that are >= 0 (or > 0) where the listed hypotheses hold
    roots         how many roots of a rational polynomial lie inside, on and outside the unit circle
    growth        exact products of companion matrices on a rational grid, and a bound they reach
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from belm_theory.method import Relation
from belm_theory.order import local_error, order
from belm_theory.verdict import Verdict

FORMAT = "belm-certificate-1"
Record = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A statement that a derivation decides; declared in its page and nowhere else.

    Attributes:
        id: short name, as in ``belm verify ID``.
        statement: what is claimed, in the notation of docs/notation.md.
        hypotheses: what is assumed.
        source: paper and equation, or ``this project``.
        method: the catalogue method it is about, or None.
    """

    id: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    method: str | None = None


@dataclass(frozen=True)
class Certificate:
    """A decided claim with the evidence for its verdict."""

    claim: Claim
    verdict: Verdict
    evidence: tuple[Record, ...]

    def as_dict(self) -> dict[str, Any]:
        """The certificate as JSON-able exact data."""
        verdict = {"verdict": self.verdict.outcome, "witness": self.verdict.witness}
        claim = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self.claim).items()}
        return {"format": FORMAT, **claim, **verdict, "evidence": list(self.evidence)}

    def write(self, folder: Path) -> Path:
        """Write ``ID.json`` into a folder, under a temporary name first."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.claim.id}.json"
        temporary = path.with_suffix(".json.tmp")
        temporary.write_text(json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)
        return path


def identity(left: Any, right: Any) -> Record:
    """Evidence that two rational functions are equal."""
    return {"kind": "identity", "left": str(left), "right": str(right)}


def at(point: Mapping[str, Any], left: Any, relation: str, right: Any) -> Record:
    """Evidence that a relation (``<``, ``<=``, ``==``, ``!=``, ``>=``, ``>``) holds at a rational point."""
    values = {name: str(value) for name, value in point.items()}
    return {"kind": "at", "point": values, "left": str(left), "relation": relation, "right": str(right)}


def orders(relation: Relation) -> Record:
    """Evidence for the order of a relation on every grid, with its leading local error coefficient."""
    error = local_error(relation)
    return {
        "kind": "order",
        "steps": [str(h) for h in relation.h],
        "a": [str(a) for a in relation.a],
        "b": [str(b) for b in relation.b],
        "order": order(relation),
        "leading": str(error.coefficient),
    }


def signs(expressions: Sequence[Any], *, positive: Sequence[str], ordered: Sequence[tuple[str, str]] = (),
          unit: Sequence[str] = (), strict: bool = False) -> Record:  # fmt: skip
    """Evidence that expressions are >= 0 (> 0 if strict).

    Args:
        expressions: rational functions.
        positive: symbols that are > 0.
        ordered: pairs (small, large): large = small + something > 0.
        unit: symbols in (0, 1].
        strict: claim > 0 instead of >= 0.
    """
    return {
        "kind": "signs",
        "expressions": [str(e) for e in expressions],
        "positive": list(positive),
        "ordered": [list(pair) for pair in ordered],
        "unit": list(unit),
        "strict": strict,
    }


def roots(coefficients: Sequence[Any], inside: int, on: int, outside: int, simple_on: bool) -> Record:
    """Evidence for the position of the roots of Σ c_m z^(n-m), c given from the highest power."""
    return {
        "kind": "roots", "coefficients": [str(c) for c in coefficients],
        "inside": int(inside), "on": int(on), "outside": int(outside), "simple_on": simple_on,
    }  # fmt: skip


def growth(weights: Sequence[Sequence[Any]], norm_at_least: Any) -> Record:
    """Evidence that the product of the companion matrices of these rows has maximum norm >= a bound.

    Args:
        weights: rows a_1 … a_k of successive steps, in the order in which the steps are made.
        norm_at_least: a rational bound.
    """
    return {
        "kind": "growth",
        "weights": [[str(a) for a in row] for row in weights],
        "norm_at_least": str(norm_at_least),
    }
