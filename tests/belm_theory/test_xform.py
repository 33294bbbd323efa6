"""The x-form against printed recurrences, and against a relation run by hand in the coordinates of a frame."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import sympy as sp

from belm_theory.catalogue import method
from belm_theory.frame import DATA, NOISE, Frame
from belm_theory.method import Relation
from belm_theory.xform import levels, predictions, states, x_form, x_step

MEMBERS = [("ddim", {}), ("o-belm", {}), ("bdia", {"gamma": "1/2"}), ("open", {"k": 3}), ("blend", {"k": 3}),
           ("adams", {"m": 2})]  # fmt: skip
FRAMES = [NOISE, Frame(sp.Integer(1)), Frame(sp.Rational(2, 3)), DATA]


def relation(family: str, parameters: dict[str, object]) -> Relation:
    member = method(family, **parameters)
    assert isinstance(member, Relation)
    return member.at(theta=sp.Rational(4, 5))


def draw(k: int, seed: int) -> dict[sp.Symbol, sp.Rational]:
    """Rational levels with growing sigma/alpha, states and predictions."""
    rng = random.Random(seed)
    numbers = iter([sp.Rational(rng.randint(1, 30), rng.randint(1, 30)) for _ in range(6 * k)])
    alpha, sigma = levels(k)
    sbar = sorted({next(numbers) for _ in range(3 * k)})[: k + 1]
    values = {a: next(numbers) for a in alpha}
    values |= {s: values[a] * ratio for a, s, ratio in zip(alpha, sigma, sbar, strict=True)}
    return values | {symbol: next(numbers) for symbol in (*states(k), *predictions(k))}


@pytest.mark.parametrize("frame", FRAMES, ids=str)
@pytest.mark.parametrize(("family", "parameters"), MEMBERS, ids=lambda value: str(value))
def test_step_is_the_relation_in_the_coordinates_of_the_frame(family, parameters, frame) -> None:
    member = relation(family, parameters)
    k, values = member.k, draw(member.k, 7)
    alpha, sigma = ([values[level] for level in row] for row in levels(k))
    q = frame.q
    w = [s if frame.is_data else a + q * s for a, s in zip(alpha, sigma, strict=True)]
    nodes = [(a if frame.is_data else s) / weight for a, s, weight in zip(alpha, sigma, w, strict=True)]
    h = [after - before for before, after in pairwise(nodes)]
    table = dict(zip(member.h, h, strict=True)) | dict(zip(member.w, w, strict=False))
    total = sum(a.subs(table) * values[x] / weight for a, x, weight in zip(member.a, states(k), w[1:], strict=True))
    for j, (b, eps) in enumerate(zip(member.b, predictions(k), strict=True), 1):
        data = (values[states(k)[j - 1]] - sigma[j] * values[eps]) / alpha[j]
        slope = data if frame.is_data else values[eps] - q * data
        total += b.subs(table) * h[j - 1] * slope
    assert x_step(member, frame).subs(values) == w[0] * total


@pytest.mark.parametrize(("family", "parameters"), MEMBERS, ids=lambda value: str(value))
def test_form_holds_the_coefficients_of_the_step(family, parameters) -> None:
    member, frame = relation(family, parameters), Frame(sp.Rational(2, 3))
    values = draw(member.k, 8)
    A, B = x_form(member, frame)
    terms = [*zip(A, states(member.k), strict=True), *zip(B, predictions(member.k), strict=True)]
    assert sum(c.subs(values) * values[symbol] for c, symbol in terms) == x_step(member, frame).subs(values)


def test_o_belm_is_the_papers_equation_18() -> None:
    (a0, a1, a2), (s0, s1, s2) = levels(2)
    h1, h2 = s1 / a1 - s0 / a0, s2 / a2 - s1 / a1
    printed = (a0 / a1 * (h2**2 - h1**2) / h2**2, h1**2 / h2**2 * a0 / a2, -h1 * (h1 + h2) / h2 * a0)
    for ours, theirs in zip(sum(x_form(relation("o-belm", {}), NOISE), ()), printed, strict=True):
        assert sp.cancel(ours - theirs) == 0
