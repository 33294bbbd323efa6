"""The inverse relation run against the forward one in exact arithmetic; the signs and verdicts that decide it."""

from __future__ import annotations

import random

import pytest
import sympy as sp

from belm_theory.catalogue import method
from belm_theory.inverse import inverse, invertible
from belm_theory.method import Relation, Stage, TwoRegister
from belm_theory.sign import is_positive, sign
from belm_theory.verdict import Verdict, proved, refuted, undecided

INVERTIBLE = [
    ("bdia", {}), ("o-belm", {}), *(("open", {"k": k}) for k in range(2, 6)),
    *(("blend", {"k": k}) for k in range(2, 6)), *(("belm", {"k": k}) for k in range(2, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("family", "values"), INVERTIBLE, ids=str)
def test_forward_then_inverse_returns_the_oldest_state(family: str, values: dict) -> None:
    relation = method(family, **values)
    back = inverse(relation)
    rng = random.Random(1)
    for _ in range(2):
        table = {s: sp.Rational(rng.randint(1, 20), rng.randint(20, 40)) for s in relation.symbols}
        states = [sp.Rational(rng.randint(-9, 9), 7) for _ in range(relation.k)]
        slopes = [sp.Rational(rng.randint(-9, 9), 5) for _ in range(relation.k - 1)]
        h = [step.subs(table) for step in relation.h]
        pairs = list(zip(h, slopes, strict=False))
        newest = sum(a.subs(table) * x for a, x in zip(relation.a, states, strict=True))
        newest += sum(b.subs(table) * step * f for b, (step, f) in zip(relation.b, pairs, strict=True))
        oldest = sum(c.subs(table) * x for c, x in zip(back.c, [newest, *states[:-1]], strict=True))
        oldest += sum(d.subs(table) * step * f for d, (step, f) in zip(back.d, pairs, strict=True))
        assert oldest == states[-1]


@pytest.mark.parametrize("k", [2, 3, 4])
def test_inverse_of_the_open_method_is_the_open_method_backwards(k: int) -> None:
    # On the mirrored grid the roles of h_1 … h_k turn round; every slope changes sign with the direction.
    relation = method("open", k=k)
    back = inverse(relation)
    mirrored = dict(zip(relation.h, reversed(relation.h), strict=True))
    assert back.c == (1, *([0] * (k - 1)))
    for m in range(1, k):
        there = relation.b[k - 1 - m].subs(mirrored, simultaneous=True) * relation.h[m]
        assert sp.cancel(back.d[m - 1] * relation.h[m - 1] + there) == 0


def test_inverse_of_o_belm_is_o_belm_on_the_mirrored_grid() -> None:
    relation = method("o-belm")
    back = inverse(relation)
    h1, h2 = relation.h
    a1, a2 = (w.subs({h1: h2, h2: h1}, simultaneous=True) for w in relation.a)
    assert sp.cancel(back.c[0] - a2) == 0
    assert sp.cancel(back.c[1] - a1) == 0
    assert sp.cancel(back.d[0] * h1 - h2 * (h1 + h2) / h1) == 0


def test_no_inverse_without_the_oldest_state() -> None:
    for relation in (method("ddim"), method("adams", m=3), method("bdia", gamma=0)):
        verdict = invertible(relation)
        assert (verdict.outcome, verdict.witness) == ("refuted", "a_k = 0: the oldest state does not enter")
        with pytest.raises(ValueError, match=r"a_k = 0"):
            inverse(relation)


@pytest.mark.parametrize(("family", "values"), INVERTIBLE, ids=str)
def test_invertible_methods_are_proved(family: str, values: dict) -> None:
    assert invertible(method(family, **values)).outcome == "proved"


def test_an_oldest_weight_that_changes_sign_stays_undecided() -> None:
    base = method("o-belm")
    h1, h2 = base.h
    last = (h1 - h2) / h2
    relation = Relation("changing", 2, base.frame, (1 - last, last), base.b, base.h)
    assert invertible(relation).outcome == "undecided"


def test_edict_is_undone_stage_by_stage() -> None:
    scheme = method("edict")
    assert invertible(scheme).outcome == "proved"
    # Undo the stages in turn, with a nonlinear slope and exact numbers.
    p, h = sp.Rational(93, 100), sp.Rational(2, 7)
    table = {scheme.parameters[0]: p, scheme.h[0]: h}

    def operand(registers: dict[str, sp.Rational], name: str) -> sp.Rational:
        return registers[name[2:-1]] ** 3 + 1 if name.startswith("f(") else registers[name]

    registers = {"x": sp.Rational(1, 3), "y": sp.Rational(-2, 5)}
    start = dict(registers)
    history = []
    for stage in scheme.stages:
        own = stage.terms[0][0]
        history.append((stage, own))
        registers[stage.target] = sum(c.subs(table) * operand(registers, o) for o, c in stage.terms)
    for stage, own in reversed(history):
        rest = sum(c.subs(table) * operand(registers, o) for o, c in stage.terms[1:])
        registers[own] = (registers[stage.target] - rest) / stage.terms[0][1].subs(table)
    assert registers["x"] == start["x"]
    assert registers["y"] == start["y"]


def test_a_stage_that_forgets_its_register_is_refuted() -> None:
    right = method("edict")
    stages = (Stage("x_inter", (("x", sp.Integer(0)), ("f(y)", -right.h[0]))), *right.stages[1:])
    verdict = invertible(TwoRegister("mutant", right.frame, stages, right.h, right.parameters))
    assert verdict.outcome == "refuted"
    assert "x_inter loses x" in verdict.witness


# --- signs -----------------------------------------------------------------------------------------------------------

H1, H2, THETA = sp.symbols("h1 h2 theta", positive=True)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (H1 + 2 * H2, 1),
        (-(H1**2) / (H1 + H2), -1),
        (H1 - H2, None),
        ((H1**2 - H2**2) / (H1 - H2), 1),  # cancels to h1 + h2
        (H1 * (H1 + H2) - H1**2 - H1 * H2, 0),
        (1 - THETA, 1),  # weakly: 0 at theta = 1
        (THETA - 1, -1),
        (THETA * H1 - H1 - H2, -1),
        (1 - 2 * THETA, None),
        (H1 / THETA - H1, 1),
    ],
    ids=str,
)
def test_signs_on_the_orthant_with_theta_up_to_one(expression: sp.Expr, expected: int | None) -> None:
    assert sign(expression, (THETA,)) == expected


def test_strict_positivity_looks_at_the_end_of_the_parameter_range() -> None:
    assert is_positive(THETA, (THETA,))
    assert is_positive(-H1 / H2)
    assert not is_positive(1 - THETA, (THETA,))
    assert not is_positive(H1 - H2)
    # Without the range a symbol is any positive number, and the sign of 1 - theta is open.
    assert sign(1 - THETA) is None


def test_a_verdict_is_not_a_bool() -> None:
    for verdict in (proved("a"), refuted("b"), undecided("c")):
        with pytest.raises(TypeError, match="not a bool"):
            bool(verdict)
    assert proved("a") == Verdict("proved", "a")
    assert [v.outcome for v in (refuted("b"), undecided("c"))] == ["refuted", "undecided"]
