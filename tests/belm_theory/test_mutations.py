"""Each catalogue coefficient is changed in turn, in sign, by a factor, in index: at least one claim turns refuted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from belm_theory import catalogue, pages
from belm_theory.method import Method, Relation, Stage, TwoRegister

#: The page itself, which decides anew at every call.
ORDERS = pages.pages()["catalogue-orders"].derive.__wrapped__  # type: ignore[attr-defined]
CLAIMED: Any = ORDERS.__globals__["CLAIMED"]

Mutant = tuple[str, str, str, int, str]


def mutants() -> Iterator[Mutant]:
    """(family, parameters as JSON, a | b | stage, index, how) for every nonzero coefficient of the catalogue."""
    for family, parameters, *_ in CLAIMED:
        member = catalogue.method(family, **parameters)
        text = json.dumps(parameters)
        if isinstance(member, Relation):
            for where in ("a", "b"):
                for index, weight in enumerate(getattr(member, where)):
                    if weight != 0:
                        yield from ((family, text, where, index, how) for how in ("sign", "factor", "index"))
        else:
            for index, stage in enumerate(member.stages):
                yield from ((family, text, "stage", index, str(term)) for term in range(len(stage.terms)))


def mutated(member: Method, where: str, index: int, how: str) -> Method:
    """The member with one coefficient changed."""
    if isinstance(member, TwoRegister):
        stages, term = list(member.stages), int(how)
        terms = list(stages[index].terms)
        terms[term] = (terms[term][0], 2 * terms[term][1])
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
    weights = {"a": member.a, "b": member.b, where: tuple(entries)}
    return Relation(member.name, member.k, member.frame, weights["a"], weights["b"], member.h, member.w,
                    member.parameters)  # fmt: skip


def test_every_mutant_is_killed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Report the kill rate: refuted, or refused when it is built because Σ a_j != 1."""
    outcomes: Counter[str] = Counter()
    survivors = []
    for mutant in mutants():
        family, parameters, where, index, how = mutant
        claimed = tuple(c for c in CLAIMED if c[0] == family and json.dumps(c[1]) == parameters)
        try:
            member = mutated(catalogue.method(family, **json.loads(parameters)), where, index, how)
        except ValueError as error:
            assert "sum to" in str(error)
            outcomes["refused when built"] += 1
            continue
        monkeypatch.setitem(ORDERS.__globals__, "method", lambda *_, member=member, **__: member)
        monkeypatch.setitem(ORDERS.__globals__, "CLAIMED", claimed)
        outcome = ORDERS().verdict.outcome
        outcomes[outcome] += 1
        if outcome != "refuted":
            survivors.append(mutant)
    killed = outcomes["refuted"] + outcomes["refused when built"]
    with capsys.disabled():
        print(f"\nmutants of catalogue coefficients killed: {killed} of {sum(outcomes.values())} {dict(outcomes)}")
    assert outcomes["refuted"] > 100 and not survivors
