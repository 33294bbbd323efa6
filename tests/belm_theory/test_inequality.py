"""z3 decides polynomial inequalities: unsat is a proof, a model a counterexample, anything else is undecided."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belm_theory.inequality import decide


@pytest.mark.parametrize(
    ("statement", "hypotheses"),
    [
        ("0 <= h1**2/h2**2 <= 1", ("0 < h1 <= h2",)),
        ("2*x*y <= x**2 + y**2", ()),
        ("x/y + y/x >= 2", ("x, y > 0",)),
        ("x**4*y**2 + x**2*y**4 - 3*x**2*y**2 + 1 >= 0", ("x, y > 0",)),
        ("x != 0", ("x**2 > 0",)),
        ("-x < 0", ("1/x > 0",)),
    ],
)
def test_proved(statement, hypotheses):
    assert decide(statement, hypotheses).outcome == "proved"


@pytest.mark.parametrize(
    ("statement", "hypotheses"),
    [("h1/h2 < 1", ("0 < h1 <= h2",)), ("x**2 != 2*y", ("0 < x < 10",)), ("x**3 - 2*x >= 0", ("x > 0",))],
)
def test_refuted_with_a_rational_point(statement, hypotheses):
    verdict = decide(statement, hypotheses)
    assert verdict.outcome == "refuted"
    point = {name: Fraction(value) for name, value in (pair.split(" = ") for pair in verdict.witness.split(", "))}
    assert not eval(statement, dict(point))
    assert all(eval(text, dict(point)) for text in hypotheses)


def test_refuted_at_an_irrational_point_only():
    verdict = decide("x**2 != 2", ("x > 0",))
    assert verdict.outcome == "refuted" and verdict.witness.startswith("x = root (root-obj")
    # An irrational model whose neighbours are counterexamples too.
    verdict = decide("x**3 <= 2*x + 1", ("x**3 >= 2*x + 1", "x > 0"))
    assert verdict.outcome == "refuted" and "root" not in verdict.witness


def test_out_of_time_is_undecided():
    """A polynomial inequality in many variables that no solver decides in a millisecond."""
    names = [f"x{n}" for n in range(12)]
    total = " + ".join(f"{a}**4*{b}**2*{c}**2" for a, b, c in zip(names, names[1:], names[2:], strict=False))
    middle = " + ".join(f"{a}**3*{b}**2*{c}**3" for a, b, c in zip(names[2:], names[4:], names[1:], strict=False))
    verdict = decide(f"{middle} <= {total} + 1", timeout=1)
    assert verdict.outcome == "undecided" and verdict.witness.startswith("z3: ")


@pytest.mark.parametrize("text", ["x", "x <", "sin(x) < 1", "x**y < 1", "x**-1 > 0", "x < 0.5", "x in y"])
def test_what_it_cannot_read_is_refused(text):
    with pytest.raises(ValueError, match=r"cannot read|no comparison"):
        decide(text)


@settings(max_examples=40, deadline=None)
@given(*[st.integers(-5, 5)] * 3)
def test_quadratics_by_their_discriminant(a, b, c):
    """a x² + b x + c >= 0 everywhere <=> discriminant and leading coefficient say so."""
    holds = (a > 0 and b * b <= 4 * a * c) or (a == b == 0 and c >= 0)
    assert decide(f"{a}*x**2 + {b}*x + {c} >= 0").outcome == ("proved" if holds else "refuted")
