"""Records about orders: smooth grids, and weights that are the only ones of their order."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, Record, orders, unique
from belm_theory.checker import check, decide
from belm_theory.checker.rational import MalformedError
from belm_theory.checker.record import Context
from belm_theory.verdict import proved


def false(goal: Record, *relations: Any) -> list[str]:
    claim = Claim("id", "statement", (), "source")
    return check(Certificate(claim, proved("witness"), (goal,), relations=relations).as_dict())


@pytest.mark.parametrize(
    ("family", "values", "smooth"),
    [("open", {"k": 2}, 2), ("open", {"k": 3}, 2), ("open", {"k": 4}, 4), ("bdia", {"gamma": 1}, 2), ("bdia", {}, 1),
     ("blend", {"k": 5}, 4), ("belm", {"k": 5}, 8)],
)  # fmt: skip
def test_the_order_on_smooth_grids_is_exact(family, values, smooth):
    relation = method(family, **values)
    assert false(orders("s", relation, smooth, grid="smooth"), relation) == []
    for wrong in (smooth - 1, smooth + 1):
        assert false(orders("s", relation, wrong, grid="smooth"), relation)


@pytest.mark.parametrize("k", range(2, 7))
def test_as_many_conditions_as_weights_determine_them(k):
    for unknown, count in (("ab", 2 * k - 1), ("b", k)):
        assert decide("w", unique("s", k, count - 1, unknown), Context([])).outcome == "holds"
        assert decide("w", unique("s", k, count, unknown), Context([])).outcome == "holds"
        assert decide("w", unique("s", k, count - 2, unknown), Context([])).outcome == "open"


@pytest.mark.parametrize("k", range(2, 6))
def test_the_determinant_of_the_conditions_does_not_vanish_on_random_grids(k):
    """The same statement in powers of s instead of Newton polynomials, in SymPy's rationals."""
    generator = random.Random(k)
    for _ in range(5):
        h = [Fraction(generator.randint(1, 30), generator.randint(1, 30)) for _ in range(k)]
        s = [sp.Rational(sum(h[: j + 1])) for j in range(k)]
        slopes = [[m * node ** (m - 1) if m else 0 for node in s[:-1]] for m in range(2 * k - 1)]
        rows = [[node**m for node in s] + slopes[m] for m in range(2 * k - 1)]
        assert sp.Matrix(rows).det() != 0
        assert sp.Matrix(slopes[1:k]).det() != 0


@pytest.mark.parametrize(
    "change", [{"steps": 1}, {"steps": "2"}, {"order": None}, {"unknown": ["a"]}, {"unknown": "ab"}, {"steps": 99}]
)
def test_an_unreadable_uniqueness_is_refused(change):
    with pytest.raises(MalformedError):
        decide("w", {**unique("s", 3, 4), **change}, Context([]))
