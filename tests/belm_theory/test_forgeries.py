"""Well-formed certificates that state something false: each is found out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from belm_theory import checker, pages
from belm_theory.checker.domain import atoms

PAGES = pages.pages()
STORED = pages.FOLDER / "certificates"
OPPOSITE = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">=": "<", ">": "<="}
SWAPPED = {"<": ">", "<=": ">=", ">=": "<=", ">": "<"}


def changed(data: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with one entry replaced."""
    forged = copy.deepcopy(data)
    place = forged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return forged


def of_record(record: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """(what, where in the record, the false value)."""
    match record["kind"]:
        case "identity":
            yield "left side", ("left",), f"({record['left']}) + 1"
            yield "right side", ("right",), f"({record['right']}) * 2 + 1"
            if "difference" in record:
                yield "difference", ("difference",), f"2*({record['difference']})"
        case "inequality":
            # A sum of squares shows <= or >= only, so there the other of the two.
            other = {"<=": ">=", ">=": "<="} if "terms" in record else OPPOSITE
            yield "relation", ("relation",), other[record["relation"]]
            for index, (multiplier, _) in enumerate(record.get("terms", [])):
                yield f"multiplier {index + 1}", ("terms", index, 0), f"({multiplier}) + 1"
        case "value":
            yield "relation", ("relation",), OPPOSITE[record["relation"]]
        case "level":
            yield "relation", ("relation",), SWAPPED[record["relation"]]
            yield "bound", ("right",), "0" if record["relation"] == "<" else "1"
        case "order":
            yield "order above", ("order",), record["order"] + 1
            if record["order"]:
                yield "order below", ("order",), record["order"] - 1
            if "actual" in record:
                yield "actual order", ("actual",), record["actual"] + 1
            if record["grid"] == "every":
                yield "leading term", ("leading",), f"2*({record['leading']}) + 1"
        case "stages":
            yield "order", ("order",), record["order"] + 1
            yield "factor", ("factor",), f"2*({record['factor']})"
            for i, stage in enumerate(record["stages"]):
                for j, (_, coefficient) in enumerate(stage["terms"]):
                    yield f"stage {i + 1}, term {j + 1}", ("stages", i, "terms", j, 1), f"({coefficient}) + 1/7"
        case "roots":
            yield "count inside", ("inside",), record["inside"] + 1
            yield "count outside", ("outside",), record["outside"] + 1
            yield "multiplicity", ("simple_on",), not record["simple_on"]
        case "schur":
            yield "coefficient", ("coefficients", -1), f"2 + ({record['coefficients'][-1]})**2"
        case "stable" if "grid" in record and record["grid"]["steps"] != ["1"]:
            yield "grid", ("grid",), {"steps": ["1"], "ratio": "1", **_values(record)}
        case "stable" if "grid" in record and record["grid"]["ratio"] != "1":
            yield "ratio", ("grid", "ratio"), "1"
        case "barrier":
            for index, multiplier in enumerate(record["multipliers"]):
                yield f"multiplier {index}", ("multipliers", index), f"{multiplier}" + "1"
            for m, number in record["positive"].items():
                yield f"C_{m}", ("positive", m), "9" + number
        case "convex":
            yield "nodes", ("fails_at",), [*record["fails_at"], 1] if 1 not in record["fails_at"] else []


def _values(record: dict[str, Any]) -> dict[str, Any]:
    return {"values": record["grid"]["values"]} if "values" in record["grid"] else {}


TRUE = {"kind": "identity", "says": "1 = 1", "left": "1", "right": "1"}


def alone(data: dict[str, Any], part: str, record: dict[str, Any]) -> dict[str, Any]:
    """The certificate with one goal or step only: all others hold as before, so this one makes the difference."""
    parts = {"goals": [record], "steps": []} if part == "goals" else {"goals": [TRUE], "steps": [record]}
    verdict = data["verdict"] if part == "goals" else "proved"
    relations = {name: r for name, r in data["relations"].items() if name == record.get("relation")}
    return {**data, **parts, "verdict": verdict, "relations": relations}


def forgeries(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every single change of a certificate that makes it false."""
    for verdict in checker.VERDICTS:
        if verdict != data["verdict"]:
            yield f"verdict {verdict}", changed(data, ("verdict",), verdict)
    for part in ("goals", "steps"):
        for index, record in enumerate(data[part]):
            for what, path, value in of_record(record):
                yield f"{part} {index + 1}: {what}", alone(data, part, changed(record, path, value))
    for name, relation in data["relations"].items():
        single = {**data, "verdict": "proved", "goals": [TRUE], "steps": [], "relations": {name: relation}}
        if relation["order"] == 0:  # weights for unit steps: a step of the argument pins them
            single = data
        for key in ("a", "b"):
            for j, weight in enumerate(relation[key]):
                yield f"{name}: {key}_{j + 1}", changed(single, ("relations", name, key, j), f"{weight} + 1/7")
        yield f"{name}: order", changed(single, ("relations", name, "order"), relation["order"] + 1)


@pytest.mark.parametrize("name", PAGES)
def test_every_forgery_is_found_out(name: str) -> None:
    data = checker.load(STORED / f"{name}.json")
    tried = 0
    for what, forged in forgeries(data):
        # That hypotheses are not needed any more, because other records are left out, does not count.
        found = [reason for reason in checker.check(forged) if not reason.startswith("the hypothesis")]
        assert found, f"changed {what}: not noticed"
        tried += 1
    assert tried > 2


@pytest.mark.parametrize("name", PAGES)
def test_every_changed_hypothesis_is_found_out(name: str) -> None:
    """Without it the claim is not shown; or, where a counterexample refutes the claim, reversed it excludes that."""
    data = checker.load(STORED / f"{name}.json")
    given = atoms(data["hypotheses"])
    for index, atom in enumerate(given):
        rest = [str(other) for other in given[:index] + given[index + 1 :]]
        reversed_ = f"{atom.large} {'<' if atom.strict else '<='} {atom.small}"
        assert _found({**data, "hypotheses": rest}) or _found({**data, "hypotheses": [*rest, reversed_]}), str(atom)


def _found(data: dict[str, Any]) -> bool:
    try:
        return bool(checker.check(data))
    except checker.MalformedError:
        return True


def test_an_added_hypothesis_is_found_out() -> None:
    data = checker.load(STORED / "proposition-5.json")
    assert checker.check({**data, "hypotheses": [*data["hypotheses"], "theta > 0"]})
