"""Each kind of record: holds, fails, or stays open; and the verdict that follows."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp

from belm_theory.catalogue import blend, method, o_belm, open_belm
from belm_theory.certificate import (
    Certificate,
    Claim,
    barrier,
    convex,
    identity,
    inequality,
    level,
    orders,
    roots,
    schur,
    stable,
    stages,
    unsettled,
    value,
)
from belm_theory.checker import check
from belm_theory.checker.rational import MalformedError
from belm_theory.method import Relation
from belm_theory.verdict import Outcome, Verdict

DDPM = {"betas": "linear", "low": "1/10000", "high": "1/50", "steps": 1000}
SD15 = {"betas": "scaled_linear", "low": "17/20000", "high": "3/250", "steps": 1000}


def false(verdict: Outcome, goals: Any, *hypotheses: str, steps: Any = (), relations: Any = ()) -> list[str]:
    """What the checker finds false in a certificate of these records."""
    claim = Claim("id", "statement", hypotheses, "source")
    records = [(r,) if isinstance(r, dict) else tuple(r) for r in (goals, steps)]
    certificate = Certificate(claim, Verdict(verdict, "witness"), *records, tuple(relations))
    return check(certificate.as_dict())


@pytest.mark.parametrize(
    ("record", "hypotheses", "verdict"),
    [
        (identity("s", "(x + y)**2", "x**2 + 2*x*y + y**2"), (), "proved"),
        (identity("s", "x/y", "x/y + 1"), ("y > 0",), "refuted"),
        ({"kind": "identity", "says": "s", "left": "x", "right": "y"}, (), "undecided"),
        ({"kind": "identity", "says": "s", "left": "x", "right": "y", "difference": "y - x"}, (), "undecided"),
        (identity("s", "x/y", "2*x/(2*y)"), (), "undecided"),
        (inequality("s", "x", "<=", "y"), ("x <= y",), "proved"),
        (inequality("s", "x", "<", "y"), ("0 < x <= y",), "undecided"),
        (inequality("s", "x", "<", "y", point={"x": 1, "y": 1}), ("0 < x <= y",), "refuted"),
        (inequality("s", "x", "<", "y", point={"x": 2, "y": 1}), ("0 < x <= y",), "undecided"),
        (inequality("s", "x", "<=", "C", point={"x": "C + 1"}), ("C > 0", "x > 0"), "refuted"),
        (inequality("s", "2*x*y", "<=", "x**2 + y**2"), (), "undecided"),
        (inequality("s", "2*x*y", "<=", "x**2 + y**2", terms=[(1, "x - y")]), (), "proved"),
        (inequality("s", "2*x*y", "<=", "x**2 + y**2", terms=[(2, "x - y")]), (), "undecided"),
        (inequality("s", "x**2 + y**2", ">=", "2*x*y", terms=[("-1", "x - y")]), (), "undecided"),
        (inequality("s", "x", "!=", "0"), ("x > 0",), "proved"),
        (value("s", {"x": 2}, "x**2", "==", 4), (), "proved"),
        (value("s", {"x": 2}, "x**2", "<", 4), (), "refuted"),
        (roots("s", [1, 0, -1], 0, 2, 0, True), (), "proved"),
        (roots("s", [1, -2, 1], 0, 2, 0, True), (), "refuted"),
        (roots("s", [1, 0, 0, -2], 0, 0, 3, True), (), "proved"),
        (schur("s", [1, "theta", "theta"]), ("0 < theta < 1",), "proved"),
        (schur("s", [1, "theta", "theta"]), ("0 < theta <= 1",), "undecided"),
        (schur("s", [2, 1]), (), "proved"),
        (unsettled("nobody knows"), (), "undecided"),
        (convex("s", SD15, [1, 501], []), (), "proved"),
        (level("s", DDPM, 0, "<", 1), (), "proved"),
        (level("s", DDPM, 0, ">", 1), (), "refuted"),
        (level("s", DDPM, 0, ">", "99994999/100000000"), (), "proved"),
        (level("s", DDPM, 0, "<", "1 - 1/20000"), (), "proved"),
        (level("s", {**SD15, "steps": 2, "low": "3/4", "high": "3/4"}, 1, "<", "1/4"), (), "undecided"),
        (barrier("s", 3, 3, ["9/2", -12, 9, -2], {1: 1, 3: "3/2"}, "none"), (), "proved"),
        (barrier("s", 3, 3, ["9/2", -12, 9, -3], {1: 1, 3: "3/2"}, "none"), (), "undecided"),
        (barrier("s", 2, 2, [1, -4, 2], {2: 1}, "neutral"), (), "proved"),
        (barrier("s", 2, 2, [1, -4, 2], {2: 1}, "none"), (), "undecided"),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_the_goal(record, hypotheses, verdict):
    assert false(verdict, record, *hypotheses) == []
    for other in {"proved", "refuted", "undecided"} - {verdict}:
        (reason,) = [text for text in false(other, record, *hypotheses) if "the goals make" in text]
        assert f"the goals make the claim {verdict}, not {other}" in reason


def test_a_side_compared_with_itself_is_no_record():
    with pytest.raises(ValueError, match="compares x with itself"):
        identity("s", "x", "x")
    reasons = false("proved", {**identity("s", "x + 0", "x"), "left": "x"})
    assert any("x is compared with itself" in reason for reason in reasons), reasons


def test_a_step_has_to_hold():
    goal = identity("s", "2 - 1", 1)
    assert false("proved", goal, steps=identity("s", "1 + 1", 2)) == []
    (reason,) = false("proved", goal, steps=identity("s", 2, 3))
    assert "step 1 (identity)" in reason and "2 is not 3" in reason
    (reason,) = false("proved", goal, steps=unsettled("nobody knows"))
    assert "nobody knows" in reason


def test_a_hypothesis_that_nothing_needs_is_found():
    goal = inequality("s", "x", "<=", "y")
    assert false("proved", goal, "x <= y") == []
    assert false("proved", goal, "x <= y", "z > 0") == ["the hypothesis 0 < z is not needed"]
    assert false("proved", goal, "0 < x <= y") == ["the hypothesis 0 < x is not needed"]


THETA = sp.Symbol("theta", positive=True)


@pytest.mark.parametrize(
    ("relation", "direction", "hypotheses", "grid", "verdict"),
    [
        (open_belm(3), "sampling", (), None, "proved"),
        (open_belm(3), "inversion", (), None, "proved"),
        (blend(4, THETA), "sampling", ("0 < theta <= 1",), None, "proved"),
        (blend(4, THETA), "sampling", (), None, "undecided"),
        (blend(3, sp.Rational(4, 5)), "inversion", (), None, "refuted"),
        (o_belm(), "sampling", ("0 < h1 <= h2",), None, "proved"),
        (o_belm(), "sampling", (), None, "undecided"),
        (o_belm(), "sampling", (), {"grid": [1], "ratio": "1/2"}, "refuted"),
        (o_belm(), "sampling", ("0 < h1 <= h2",), {"grid": [1], "ratio": "1/2"}, "undecided"),
        (o_belm(), "inversion", ("0 < h1 <= h2",), {"grid": [1], "ratio": 2}, "refuted"),
        (o_belm(), "sampling", (), {"grid": [1, 2]}, "refuted"),
        (o_belm(), "sampling", (), {"grid": [1]}, "undecided"),
        (method("bdia"), "inversion", ("0 < gamma <= 1",),
         {"grid": [1], "values": {"gamma": "1/2", "w0": 1, "w1": 1, "w2": 1}}, "refuted"),
        (method("belm", k=3), "sampling", (), {"grid": [1]}, "refuted"),
    ],
)  # fmt: skip
def test_stability(relation, direction, hypotheses, grid, verdict):
    record = stable("s", relation, direction, **(grid or {}))
    # BDIA's counterexample needs gamma's upper bound no more than any other point does: used, as it was tested.
    assert false(verdict, record, *hypotheses, relations=[relation]) == []


def test_the_constant_one_needs_nonnegative_weights():
    half = blend(3, sp.Rational(1, 2)).at()
    assert false("proved", stable("s", half, constant=1), relations=[half]) == []
    h = sp.symbols("h1:3", positive=True)
    mixed = Relation("mixed", 2, half.frame, (sp.Rational(3, 2), -sp.Rational(1, 2)), (-(h[0] - h[1] / 2) / h[0],), h)
    assert false("proved", stable("s", mixed), relations=[mixed]) == []
    assert false("undecided", stable("s", mixed, constant=1), relations=[mixed]) == []


def test_frame_weights_of_a_grid_fit_from_row_to_row():
    bdia = method("bdia")
    uneven = {"grid": [1], "values": {"gamma": "1/2", "w0": 1, "w1": 1, "w2": 2}}
    even = {"grid": [1], "values": {"gamma": "1/2", "w0": 1, "w1": 2, "w2": 4}}
    for grid, verdict in ((uneven, "undecided"), (even, "refuted")):
        record = stable("s", bdia, "sampling", **grid)
        assert false(verdict, record, relations=[bdia]) == [], verdict


def test_a_growing_grid_needs_weights_that_ignore_the_scale():
    h = sp.symbols("h1:3", positive=True)
    odd = Relation("odd", 2, o_belm().frame, (1 - h[0], h[0]), (-(h[0] + h[0] * h[1]) / h[0],), h)
    record = stable("s", odd, grid=[1], ratio=2)
    assert false("undecided", record, relations=[odd]) == []


def test_orders():
    relation = open_belm(4)
    assert false("proved", orders("s", relation), relations=[relation]) == []
    assert false("proved", orders("s", relation, 4, grid="smooth"), relations=[relation]) == []
    assert false("proved", orders("s", relation, 4, grid="uniform"), relations=[relation]) == []
    assert false("refuted", orders("s", relation, 3, grid="smooth"), relations=[relation]) == []
    assert false("refuted", orders("s", relation, 5, grid="uniform"), relations=[relation]) == []
    wrong = {**orders("s", relation), "leading": "h1**4"}
    assert false("undecided", wrong, relations=[relation]) == []
    assert false("refuted", orders("s", relation, leading="h1**4"), relations=[relation]) == []


def test_a_relation_is_pinned_to_its_order():
    data = Certificate(
        Claim("id", "statement", (), "source"), Verdict("proved", "w"), (identity("s", "2 - 1", 1),), (), (o_belm(),)
    ).as_dict()
    assert check(data) == []
    data["relations"]["o-belm"]["b"] = ["-(h1 + 2*h2)/h2"]
    assert check(data) == ["relation 'o-belm': E_1 does not vanish, so the order is below 2"]


def test_two_register_schemes():
    edict = method("edict")
    p = edict.parameters[0]
    assert false("proved", stages("s", edict, 1, p**2)) == []
    assert false("refuted", stages("s", edict, 0, p**2)) == []
    assert false("refuted", stages("s", edict, 2, p**2)) == []
    assert false("refuted", stages("s", edict, 1, p)) == []
    wrong = stages("s", edict, 0, p)
    assert wrong["actual"] == {"order": 1, "factor": "p**2"} and false("refuted", wrong) == []
    for actual in ({}, {"order": 1}, {"order": 2, "factor": "p**2"}, {"order": 1, "factor": "p**3"}):
        assert false("undecided", {**wrong, "actual": actual}) == [], actual
    wrong["stages"][0]["terms"][0][1] = "2"
    assert false("undecided", wrong) == []


def test_the_nodes_of_a_schedule():
    from belm_theory import balls

    times = [1 + 100 * n for n in range(10)]
    zero = [(balls.exact(1), balls.exact(0))]
    levels = zero + balls.schedule_levels("sd15", times)
    failing = balls.failing_nodes([sigma / alpha for alpha, sigma in levels])
    assert failing
    assert false("refuted", convex("s", SD15, times, failing)) == []
    assert false("undecided", convex("s", SD15, times, failing[:-1])) == []
    assert false("proved", convex("s", SD15, times, failing, exact=True)) == []
    for wrong in (failing[:-1], [1, *failing], []):
        assert false("undecided", convex("s", SD15, times, wrong, exact=True)) == []
    with pytest.raises(MalformedError, match="increasing"):
        false("refuted", convex("s", SD15, times[::-1], failing))
