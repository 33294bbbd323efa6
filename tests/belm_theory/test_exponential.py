"""Exponential slope weights: antiderivatives, exactness, the generated functions, and quadrature at fifty digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flint
import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from belm_runtime._generated import exponential as generated
from belm_theory import exponential
from belm_theory.catalogue import method
from belm_theory.codegen.exponential import name
from belm_theory.frame import DATA, FLOW, NOISE, Frame, Q

MEMBERS = exponential.MEMBERS
members = pytest.mark.parametrize(("k", "q"), MEMBERS, ids=[name(k, q) for k, q in MEMBERS])
#: Levels sbar of the nodes 0 … k, uneven; node 0 may be clean.
SBAR = ["0.11", "0.35", "0.42", "1.3", "2.9", "7.7"]
WEIGHTS = {3: ["0.2", "0.5", "0.3"], 4: ["0.1", "-0.4", "0.5", "0.8"], 5: ["0.25", "0", "0.3", "-0.05", "0.5"]}


# ---- derivation -----------------------------------------------------------------------------------------------------


@members
def test_each_moment_is_the_antiderivative_of_a_power(k: int, q: sp.Expr) -> None:
    for m, moment in enumerate(exponential.moments(k, q)):
        assert sp.cancel(exponential.derivative(moment, q) - exponential.Y**m) == 0


def test_the_chain_rule_is_that_of_the_logarithm() -> None:
    # The elementary functions themselves, differentiated by SymPy.
    s, q = exponential.S, Q
    log = sp.log(s / (1 - q * s))
    for m, moment in enumerate(exponential.moments(3, q)):
        full = moment.subs({exponential.Y: log, exponential.V: sp.log(1 - q * s)})
        assert sp.simplify(sp.diff(full, s) - log**m) == 0
    for m, moment in enumerate(exponential.moments(5, sp.Integer(0))):
        assert sp.simplify(sp.diff(moment.subs(exponential.Y, sp.log(s)), s) - sp.log(s) ** m) == 0


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_weights_solve_the_vandermonde_system(k: int) -> None:
    nodes = [sp.Integer(0), *exponential.offsets(k)[2:k]]
    rows = sp.Matrix([[node**p for node in nodes] for p in range(k - 1)])
    solved = rows.LUsolve(sp.Matrix(exponential.integrals(k)))
    assert all(sp.cancel(x - y) == 0 for x, y in zip(solved, exponential.weights(k), strict=True))


def test_two_steps_are_the_plain_method() -> None:
    for plain in (method("ddim"), method("o-belm"), method("bdia"), method("blend", k=2), method("open", k=2)):
        h1, h2 = plain.h
        given = dict(zip(sp.symbols("a1 a2 s0 s1 s2"), (*plain.a, 0, h1, h1 + h2), strict=True))
        (weight,) = (b.subs(given) for b in exponential.written(2, sp.Integer(0)))
        assert sp.cancel(weight - plain.b[0] * h1) == 0


def test_dilogarithms_are_refused() -> None:
    with pytest.raises(ValueError, match=r"k = 4: in frames 0 < q < oo .* dilogarithms"):
        exponential.moments(4, Q)
    assert exponential.rule(DATA) == 0 == exponential.rule(NOISE) and exponential.rule(FLOW) == 1


# ---- the generated functions ----------------------------------------------------------------------------------------


@members
def test_function_equals_the_derivation(k: int, q: sp.Expr) -> None:
    arguments = exponential.arguments(k, q)
    field = sp.QQ.frac_field(*arguments)
    found = getattr(generated, name(k, q))(*field.gens)
    assert [field.convert(b) for b in found] == [field.from_sympy(b) for b in exponential.written(k, q)]


def values_of(
    k: int, frame: Frame, number: Callable[[str], Any], log: Callable[[Any], Any], clean: bool = False
) -> list:
    """The arguments of the generated function at the nodes 0 … k of `SBAR`."""
    sbar, q = [number(text) for text in SBAR[: k + 1]], exponential.rule(frame)
    if clean:
        sbar[0] = sbar[0] * 0
    if frame.is_data:
        s = [1 / value for value in sbar]
        logs = [log(value) for value in s]
    else:
        s = [value / (1 + int(q) * value) for value in sbar]
        logs = [log(value) if n or not clean else log(sbar[1]) for n, value in enumerate(sbar)]
    rest = [] if q == 0 else [log(1 - int(q) * value) for value in s]
    head = [] if q == 0 else [number(str(q))]
    return [*head, *map(number, WEIGHTS[k]), *s, *logs, *rest]


def function_of(k: int, frame: Frame) -> Callable[..., Sequence[Any]]:
    return getattr(generated, name(k, sp.Integer(0) if exponential.rule(frame) == 0 else Q))


CASES = [(k, frame) for frame in (NOISE, DATA) for k in (3, 4, 5)] + [(3, FLOW), (3, Frame(sp.Integer(4)))]


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize(("k", "frame"), CASES)
def test_weights_are_the_integrals_of_lagrange_polynomials(k: int, frame: Frame, clean: bool) -> None:
    if clean and frame.is_data:
        return  # alpha/sigma is infinite there
    with mp.workdps(50):
        values = values_of(k, frame, mp.mpf, mp.log, clean)
        found = function_of(k, frame)(*values)
        q = mp.mpf(int(exponential.rule(frame)))
        a, s = values[q != 0 :][:k], values[q != 0 :][k : 2 * k + 1]

        def log(x: mp.mpf) -> mp.mpf:
            return mp.log(x / (1 - q * x))

        for m in range(1, k):
            others = [j for j in range(1, k) if j != m]

            def basis(x: mp.mpf, m: int = m, others: list[int] = others) -> mp.mpf:
                return mp.fprod([(log(x) - log(s[j])) / (log(s[m]) - log(s[j])) for j in others])

            total = sum(weight * mp.quad(basis, [s[j], s[0]]) for j, weight in enumerate(a, 1))
            assert abs(found[m - 1] - total) < mp.mpf(10) ** (-20 if clean else -45)


@pytest.mark.parametrize(("k", "frame"), CASES)
def test_floats_arrays_and_balls(k: int, frame: Frame) -> None:
    with mp.workdps(50):
        wanted = function_of(k, frame)(*values_of(k, frame, mp.mpf, mp.log))
    floats = function_of(k, frame)(*values_of(k, frame, float, np.log))
    arrays = function_of(k, frame)(*values_of(k, frame, lambda text: np.array([float(text)] * 2), np.log))
    balls = function_of(k, frame)(*values_of(k, frame, flint.arb, lambda ball: ball.log()))
    for exact, number, array, ball in zip(wanted, floats, arrays, balls, strict=True):
        assert number == pytest.approx(float(exact), rel=1e-10) and array.tolist() == pytest.approx([number] * 2)
        assert abs(float(ball.mid()) - float(exact)) <= float(ball.rad()) + 1e-15 and float(ball.rad()) < 1e-8


def test_small_q_is_the_noise_frame() -> None:
    with mp.workdps(60):
        q = mp.mpf(10) ** -20
        noise = values_of(3, NOISE, mp.mpf, mp.log)
        a, s, logs = noise[:3], noise[3:7], noise[7:]
        near = generated.frame_3(q, *a, *s, *logs, *(mp.log(1 - q * x) for x in s))
        for x, y in zip(near, generated.noise_3(*noise), strict=True):
            assert abs(x - y) < mp.mpf(10) ** -17
