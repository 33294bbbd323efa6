"""The checker: verifies certificates again, knowing nothing of how they were made.

It imports nothing of the rest of the package. Each record of evidence is read and decided anew (`statements`, `orders`,
`spectrum`, `schedules`); the verdict follows from the goals, which are the claim in formal terms:

    refuted     some goal fails
    proved      every goal holds
    undecided   otherwise

A certificate is false if a step of its argument does not hold, a relation has not the order that it states, the goals
do not make the verdict that it gives, or a hypothesis is not needed for anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from belm_theory.checker import orders, schedules, spectrum, statements
from belm_theory.checker.domain import NotShownError, atoms
from belm_theory.checker.rational import MalformedError
from belm_theory.checker.record import HOLDS, Context, Decision, Relation, fails, undecided

FORMAT = "belm-certificate-2"
VERDICTS = ("proved", "refuted", "undecided")
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "id": str, "statement": str, "hypotheses": list, "granted": list, "source": str, "method": (str, type(None)),
    "verdict": str, "witness": str, "relations": dict, "goals": list, "steps": list,
}  # fmt: skip
KINDS: dict[str, Callable[[Mapping[str, Any], Context], Decision]] = {
    "identity": statements.identity, "inequality": statements.inequality, "value": statements.value,
    "open": statements.open_question, "order": orders.order, "unique": orders.unique, "stages": orders.stages,
    "roots": spectrum.roots, "schur": spectrum.schur, "stable": spectrum.stable, "barrier": spectrum.barrier,
    "convex": schedules.convex, "level": schedules.level,
}  # fmt: skip

__all__ = ["FORMAT", "KINDS", "VERDICTS", "MalformedError", "check", "load"]


def load(path: Path) -> dict[str, Any]:
    """Read a certificate and check its form.

    Raises:
        MalformedError: not JSON, another format, or a field that is missing or of another type.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MalformedError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise MalformedError(f"{str(path)!r} is not a certificate of format {FORMAT!r}")
    for name, kind in _FIELDS.items():
        if name not in data:
            raise MalformedError(f"{str(path)!r} lacks the field {name!r}")
        if not isinstance(data[name], kind):
            raise MalformedError(f"{str(path)!r} has the field {name!r} of a wrong type, {type(data[name]).__name__}")
    if data["verdict"] not in VERDICTS:
        raise MalformedError(f"{str(path)!r} has the verdict {data['verdict']!r}; it must be one of {VERDICTS}")
    if not data["goals"]:
        raise MalformedError(f"{str(path)!r} has no goals: nothing is claimed in formal terms")
    return data


def check(data: Mapping[str, Any]) -> list[str]:
    """What is false in a certificate, one line each; empty if all of it holds.

    Raises:
        MalformedError: a record that cannot be read.
    """
    context = Context(atoms(data["hypotheses"]))
    false = []
    for name, relation in data["relations"].items():
        found = _decide(f"relation {name!r}", _pin, relation, context)
        if found.outcome != "holds":
            false.append(f"relation {name!r}: {found.reason}")
        context.relations = {**context.relations, name: Relation.read(relation)}
    for number, record in enumerate(data["steps"], 1):
        found = decide(f"step {number}", record, context)
        if found.outcome != "holds":
            false.append(f"step {number} ({record['kind']}): {found.reason}")
    goals = [decide(f"goal {number}", record, context) for number, record in enumerate(data["goals"], 1)]
    outcomes = {goal.outcome for goal in goals}
    verdict = "refuted" if "fails" in outcomes else "undecided" if "open" in outcomes else "proved"
    if verdict != data["verdict"]:
        reasons = "".join(f"; goal {n}: {goal.reason}" for n, goal in enumerate(goals, 1) if goal.reason)
        false.append(f"the goals make the claim {verdict}, not {data['verdict']}{reasons}")
    elif verdict != "undecided":
        false += [f"the hypothesis {atom} is not needed" for atom in context.given if atom not in context.used]
    return false


def decide(where: str, record: Any, context: Context) -> Decision:
    """Decide one record.

    Raises:
        MalformedError: it cannot be read; the message begins with `where`.
    """
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise MalformedError(f"{where} has the unknown kind {kind!r}")
    if not isinstance(record.get("says"), str) or not record["says"]:
        raise MalformedError(f"{where} ({kind}) does not say in words what it shows")
    return _decide(f"{where} ({kind})", KINDS[kind], record, context)


def _pin(relation: Any, context: Context) -> Decision:
    reason = orders.pinned(Relation.read(relation), context)
    return fails(reason) if reason else HOLDS


def _decide(
    where: str, kind: Callable[[Any, Context], Decision], record: Mapping[str, Any], context: Context
) -> Decision:
    try:
        return kind(record, context)
    except NotShownError as error:
        return undecided(str(error))
    except MalformedError as error:
        raise MalformedError(f"{where}: {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise MalformedError(f"{where} is incomplete: {error}") from None
    except (ValueError, ArithmeticError) as error:
        raise MalformedError(f"{where} cannot be read: {error}") from None
