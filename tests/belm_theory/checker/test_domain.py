"""Hypotheses and signs: what is shown, and what must not be."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belm_theory.checker.domain import Domain, NotShownError, atoms, first_false
from belm_theory.checker.rational import MalformedError

POSITIVE = st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50)


def domain(*hypotheses: str, names: str = "x y z") -> Domain:
    return Domain(atoms(hypotheses), set(names.split()))


def sign(expression: str, *hypotheses: str) -> str:
    where = domain(*hypotheses)
    return where.sign(where.read(expression))


def test_hypotheses_are_taken_apart():
    assert [str(a) for a in atoms(["0 < x <= y", "y, z > 1"])] == ["0 < x", "x <= y", "1 < y", "1 < z"]


@pytest.mark.parametrize("text", ["x", "x == 1", "x != 1", "x and y", "x <", "x, 0 < y < 1", 3, "x is y", "f(x) > 0"])
def test_what_is_no_chain_of_comparisons_is_refused(text):
    with pytest.raises(MalformedError):
        Domain(atoms([text]), {"x"})


@pytest.mark.parametrize(
    "hypotheses",
    [("0 < x", "1 < x"), ("x < 1", "x < 2"), ("x < y", "y < x"), ("0 <= x <= 1",), ("1 < 2",), ("x + y < z*x + 1",)],
)
def test_bounds_that_cannot_be_substituted_are_refused(hypotheses):
    with pytest.raises(MalformedError):
        domain(*hypotheses)


@pytest.mark.parametrize(
    ("expression", "hypotheses", "expected"),
    [
        ("x", ("x > 0",), "+"), ("x", ("x >= 0",), ">=0"), ("x", (), "?"), ("x - x", (), "0"),
        ("x**2", (), ">=0"), ("x**2 + 1", (), "+"), ("x**2 - x + 1", (), "?"),
        ("y - x", ("0 < x <= y",), ">=0"), ("y - x", ("0 < x < y",), "+"), ("x - y", ("0 < x < y",), "-"),
        ("y - x", ("0 < x", "0 < y"), "?"),
        ("1 - x", ("0 < x <= 1",), ">=0"), ("1 - x", ("0 < x < 1",), "+"), ("x", ("0 < x <= 1",), "+"),
        ("x", ("0 <= x < 1",), ">=0"), ("1 - x", ("0 <= x < 1",), "+"),
        ("2 - x", ("x < 2",), "+"), ("x - 2", ("x <= 2",), "<=0"),
        ("1/x - 1/y", ("0 < x < y",), "+"), ("z - x", ("0 < x < y", "y <= z"), "+"),
        ("1 - x**2/y**2", ("0 < x <= y",), ">=0"),
    ],
)  # fmt: skip
def test_signs(expression, hypotheses, expected):
    assert sign(expression, *hypotheses) == expected


@pytest.mark.parametrize("hypotheses", [("0 < x", "x < 0"), ("0 < x", "x < 1 - z"), ("y < x", "x < y + z")])
def test_a_domain_that_may_be_empty_shows_nothing(hypotheses):
    with pytest.raises(NotShownError, match="room for x"):
        domain(*hypotheses)


def test_a_divisor_that_may_vanish_is_refused():
    with pytest.raises(NotShownError, match="y may vanish"):
        domain("x > 0").read("x/y")
    with pytest.raises(NotShownError, match="x - y may vanish"):
        domain("0 < x <= y").read("1/(x - y)")
    with pytest.raises(NotShownError):
        domain("x >= 0").read("x**-1")
    domain("0 < x < y").read("1/(x - y)")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=9, max_size=9), POSITIVE, POSITIVE, POSITIVE)
def test_a_shown_sign_is_the_sign_at_every_point(coefficients, low, gap, more):
    """Random quadratics in x, y on 0 < x <= y, and z above y: whatever is shown holds at random points."""
    monomials = [f"x**{i}*y**{j}" for i, j in product(range(3), repeat=2)]
    text = " + ".join(f"({c})*{m}" for c, m in zip(coefficients, monomials, strict=True))
    found = sign(text, "0 < x <= y")
    for x, y in ((low, low), (low, low + gap), (low, low + gap + more)):
        value = eval(text, {"x": x, "y": y})
        assert {"+": value > 0, "-": value < 0, ">=0": value >= 0, "<=0": value <= 0, "0": value == 0, "?": True}[found]


def test_the_first_false_hypothesis_at_a_point():
    given_atoms = atoms(["0 < x <= y", "z < 1"])
    assert first_false(given_atoms, {"x": Fraction(1), "y": Fraction(2)}) is None
    assert str(first_false(given_atoms, {"x": Fraction(3), "y": Fraction(2)})) == "x <= y"
    assert str(first_false(given_atoms, {"z": Fraction(1)})) == "z < 1"
