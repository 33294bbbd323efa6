"""Every page decides its claim, every certificate survives the independent checker, and every forgery is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from belm_theory import catalogue, checker, pages
from belm_theory.certificate import Certificate
from belm_theory.method import Relation, Stage, TwoRegister

PAGES = pages.pages()
STORED = pages.FOLDER / "certificates"
REFUTED = {
    "o-belm-is-frame-invariant", "equation-55-constant", "edict-has-order-0", "maximal-order-is-stable",
    "three-steps-order-three", "assumption-3", "bounded-products-suffice", "o-belm-inversion-is-stable",
    "o-belm-on-preserving-schedules",
}  # fmt: skip


@pytest.fixture(scope="module")
def derived() -> dict[str, Certificate]:
    return {name: page.derive() for name, page in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_decided_and_its_certificate_holds(name: str, derived: dict[str, Certificate]) -> None:
    certificate = derived[name]
    assert certificate.verdict.outcome == ("refuted" if name in REFUTED else "proved")
    assert certificate.verdict.witness and certificate.evidence
    assert checker.check(certificate.as_dict()) == []


@pytest.mark.parametrize("name", PAGES)
def test_the_certificate_in_the_repository_is_what_the_page_writes(name: str, derived: dict[str, Certificate]) -> None:
    assert checker.load(STORED / f"{name}.json") == derived[name].as_dict()


def test_pages_are_short_and_certificates_have_a_page() -> None:
    assert {path.stem for path in STORED.glob("*.json")} == set(PAGES)
    for page in PAGES.values():
        assert len(page.path.read_text(encoding="utf-8").splitlines()) < 150, page.path.name


def forgeries(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Well-formed records that state something else."""

    def changed(**values: Any) -> dict[str, Any]:
        return {**copy.deepcopy(record), **values}

    match record["kind"]:
        case "identity":
            yield "left side", changed(left=f"({record['left']}) + 1")
            yield "right side", changed(right=f"({record['right']}) * 2 + 1")
        case "at":
            opposite = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">=": "<", ">": "<="}
            yield "relation", changed(relation=opposite[record["relation"]])
        case "order":
            yield "order above", changed(order=record["order"] + 1)
            yield "order below", changed(order=record["order"] - 1)
            yield "leading term", changed(leading=f"2*({record['leading']})")
            for name in ("a", "b"):
                for index, value in enumerate(record[name]):
                    entries = [*record[name]]
                    entries[index] = f"{value} + 1/7"
                    yield f"{name}_{index + 1}", changed(**{name: entries})
        case "signs":
            for index, value in enumerate(record["expressions"]):
                if value != "0":
                    entries = [*record["expressions"]]
                    entries[index] = f"-({value})"
                    yield f"sign {index + 1}", changed(expressions=entries)
            if record["ordered"]:
                yield "hypothesis dropped", changed(ordered=[])
        case "roots":
            yield "count", changed(inside=record["inside"] + 1, on=record["on"] - 1)
            yield "multiplicity", changed(simple_on=not record["simple_on"])
            yield "coefficient", changed(coefficients=[*record["coefficients"][:-1], "7/3"])
        case "growth":
            yield "bound", changed(norm_at_least=f"{sp.Rational(record['norm_at_least']) * 1000}")
            broken = [["2", "-1"], *record["weights"][1:-1], ["1/2", "1/3"]]
            yield "weights", changed(weights=broken)


@pytest.mark.parametrize("name", PAGES)
def test_every_forged_record_is_found_out(name: str, derived: dict[str, Certificate]) -> None:
    data = derived[name].as_dict()
    tried = 0
    for index, record in enumerate(data["evidence"]):
        for what, forged in forgeries(record):
            forged_data = {**data, "evidence": [*data["evidence"][:index], forged, *data["evidence"][index + 1 :]]}
            assert checker.check(forged_data), f"evidence {index + 1}: changed {what} was not noticed"
            tried += 1
    assert tried


def mutants() -> Iterator[tuple[str, str, str, int, str]]:
    """Each catalogue coefficient in turn: its sign, a factor, its index."""
    members = [(family, dict(parameters)) for family, parameters, _, _ in _claimed()]
    for family, parameters in members:
        member = catalogue.method(family, **parameters)
        if isinstance(member, Relation):
            for where in ("a", "b"):
                for index, value in enumerate(getattr(member, where)):
                    if value != 0:
                        for how in ("sign", "factor", "index"):
                            yield json.dumps(parameters), family, where, index, how
        else:
            for index in range(len(member.stages)):
                yield json.dumps(parameters), family, "stage", index, "factor"


def _claimed() -> Any:
    return PAGES["catalogue-orders"].derive.__globals__["CLAIMED"]


def _mutated(member: Relation | TwoRegister, where: str, index: int, how: str) -> Relation | TwoRegister:
    if isinstance(member, TwoRegister):
        stages = list(member.stages)
        terms = list(stages[index].terms)
        terms[-1] = (terms[-1][0], 2 * terms[-1][1])
        stages[index] = Stage(stages[index].target, tuple(terms))
        return TwoRegister(member.name, member.frame, tuple(stages), member.h, member.parameters)
    entries = list(getattr(member, where))
    if how == "sign":
        entries[index] = -entries[index]
    elif how == "factor":
        entries[index] = entries[index] * 2
    else:
        other = (index + 1) % len(entries)
        entries[index], entries[other] = entries[other], entries[index]
        if entries == list(getattr(member, where)):  # a single slope: read the next step instead
            entries[index] = entries[index] + member.h[0] / member.h[-1]
    values = {"a": member.a, "b": member.b, where: tuple(entries)}
    return Relation(member.name, member.k, member.frame, values["a"], values["b"], member.h, member.w)


@pytest.mark.parametrize(("parameters", "family", "where", "index", "how"), list(mutants()))
def test_a_changed_coefficient_turns_a_claim_refuted(
    parameters: str, family: str, where: str, index: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill rate of this test is the share of its cases that pass: all of them."""
    claimed = [c for c in _claimed() if c[0] == family and json.dumps(c[1]) == parameters]
    try:
        mutant = _mutated(catalogue.method(family, **json.loads(parameters)), where, index, how)
    except ValueError as error:
        assert "sum to" in str(error)  # an inconsistent relation cannot even be built
        return
    namespace = PAGES["catalogue-orders"].derive.__globals__
    monkeypatch.setitem(namespace, "method", lambda *_, **__: mutant)
    monkeypatch.setitem(namespace, "CLAIMED", tuple(claimed))
    try:
        verdict = PAGES["catalogue-orders"].derive().verdict
    except ArithmeticError:
        return
    assert verdict.outcome == "refuted"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a certificate"),
        ('{"format": "belm-certificate-1"}', "lacks the field"),
        (None, "cannot read"),
    ],
)
def test_malformed_files_are_named(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(checker.MalformedError, match=words):
        checker.load(path)


@pytest.mark.parametrize(
    "record",
    [{"kind": "magic"}, {"kind": "identity", "left": "h1"}, {"kind": "identity", "left": "h1 +", "right": "0"},
     {"kind": "identity", "left": "__import__('os')", "right": "0"}, {"kind": "identity", "left": "1/0", "right": "0"}],
)  # fmt: skip
def test_malformed_evidence_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(checker.MalformedError):
        checker.check({"evidence": [record]})


def test_the_checker_shares_no_code_with_the_theory() -> None:
    source = Path(checker.__file__).read_text(encoding="utf-8")
    assert "import belm" not in source and "from belm" not in source and "sympy" not in source
