"""Zero-stability: verdicts against exact products of companion matrices, nodepy and minimal polynomials."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import nodepy.linear_multistep_method as nodepy_lmm
import numpy as np
import pytest
import sympy as sp

from belm_theory.catalogue import method
from belm_theory.frame import FLOW
from belm_theory.inverse import invertible
from belm_theory.method import Relation
from belm_theory.quadrature import slope_weights
from belm_theory.roots import Z, count_roots
from belm_theory.stability import characteristic, companion, homogeneous_weights, zero_stable

Matrix = list[list[Fraction]]


def multiply(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    return [[sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in columns] for row in left]


def norm(matrix: Matrix) -> Fraction:
    return max(sum(abs(entry) for entry in row) for row in matrix)


def weights_at(
    relation: Relation, h: list[Fraction], direction: str = "sampling", **values: Fraction
) -> tuple[Fraction, ...]:
    table = {symbol: sp.Rational(step.numerator, step.denominator) for symbol, step in zip(relation.h, h, strict=True)}
    table |= {s: sp.Rational(values[s.name].numerator, values[s.name].denominator) for s in relation.parameters}
    found = [sp.sympify(w).subs(table) for w in homogeneous_weights(relation, direction)]
    return tuple(Fraction(int(w.p), int(w.q)) for w in found)


def stability_constant(
    relation: Relation, h: list[Fraction], direction: str = "sampling", **values: Fraction
) -> Fraction:
    """K = max(1, max over contiguous products of ‖R … R‖_∞) over the grid with steps h, in the given direction."""
    k = relation.k
    rows = [companion(weights_at(relation, h[i : i + k], direction, **values)) for i in range(len(h) - k + 1)]
    if direction == "sampling":
        rows.reverse()  # from noise to data: the last window acts first
    largest = Fraction(1)
    for first in range(len(rows)):
        product = rows[first]
        largest = max(largest, norm(product))
        for row in rows[first + 1 :]:
            product = multiply(row, product)
            largest = max(largest, norm(product))
    return largest


def random_steps(rng: random.Random, n: int) -> list[Fraction]:
    return [Fraction(rng.randint(1, 30), rng.randint(1, 30)) for _ in range(n)]


def test_companion_matrix_advances_the_states() -> None:
    states = [Fraction(5), Fraction(7), Fraction(-2)]
    a = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
    found = multiply(companion(a), [[x] for x in states])
    assert [row[0] for row in found] == [Fraction(5, 2) + Fraction(7, 3) - Fraction(1, 3), states[0], states[1]]


# --- nonnegative weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "values"),
    [("adams", {"m": 3}), ("open", {"k": 3}), ("open", {"k": 4}), ("blend", {"k": 3}), ("blend", {"k": 5})],
    ids=str,
)
def test_nonnegative_weights_give_k_equal_one_on_every_grid(family: str, values: dict) -> None:
    relation = method(family, **values)
    verdict = zero_stable(relation)
    assert verdict.outcome == "proved"
    assert "K = 1" in verdict.witness
    rng = random.Random(1)
    for _ in range(3):
        assert stability_constant(relation, random_steps(rng, 12), theta=Fraction(rng.randint(1, 9), 10)) == 1


def test_o_belm_has_k_equal_one_exactly_on_convex_grids() -> None:
    relation = method("o-belm")
    verdict = zero_stable(relation)
    assert verdict.outcome == "undecided"
    assert "-(h1 - h2)*(h1 + h2)/h2**2 >= 0" in verdict.witness
    rng = random.Random(2)
    convex = sorted(random_steps(rng, 14))
    assert stability_constant(relation, convex) == 1
    assert stability_constant(relation, convex[::-1], "inversion") == 1
    assert stability_constant(relation, convex, "inversion") > 1
    assert stability_constant(relation, convex[::-1]) > 1


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_open_is_neutral_in_both_directions(k: int) -> None:
    relation = method("open", k=k)
    for direction in ("sampling", "inversion"):
        assert zero_stable(relation, direction).outcome == "proved"
        found = characteristic(relation, direction)
        assert found == sp.Poly(Z**k - 1, Z)
        assert (count_roots(found).on, count_roots(found).repeated_on) == (k, False)


# --- blends ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", ["1/1000", "3/5", "4/5", "999/1000"])
@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_parasitic_roots_of_a_blend_are_inside_and_multiply_to_theta(k: int, theta: str) -> None:
    relation = method("blend", k=k, theta=theta)
    rho = characteristic(relation)
    assert rho == sp.Poly(Z**k - (1 - sp.Rational(theta)) * Z ** (k - 1) - sp.Rational(theta), Z)
    parasitic, remainder = sp.div(rho, sp.Poly(Z - 1, Z))
    assert remainder.is_zero
    found = count_roots(parasitic)
    assert (found.inside, found.on, found.outside) == (k - 1, 0, 0)
    assert abs(parasitic.eval(0)) == sp.Rational(theta)
    assert abs(np.prod(np.roots([float(c) for c in parasitic.all_coeffs()]))) == pytest.approx(
        float(sp.Rational(theta))
    )


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_inversion_of_a_blend_is_refuted_for_a_number_and_for_a_symbol(k: int) -> None:
    numeric = zero_stable(method("blend", k=k, theta="4/5"), "inversion")
    assert (numeric.outcome, numeric.witness) == (
        "refuted", f"roots of rho: 0 inside, 1 on, {k - 1} outside the unit circle",
    )  # fmt: skip
    symbolic = zero_stable(method("blend", k=k), "inversion")
    assert symbolic.outcome == "refuted"
    assert "1/theta > 1" in symbolic.witness


def test_inversion_of_a_blend_amplifies_like_theta_to_the_minus_n() -> None:
    # k = 2: d_{i+1} = -d_i/theta, so K is the largest row sum of the powers.
    relation = method("blend", k=2)
    steps, theta = [Fraction(1)] * 11, Fraction(4, 5)
    difference = theta**-10
    assert stability_constant(relation, steps, "inversion", theta=theta) >= difference
    assert stability_constant(relation, steps, "inversion", theta=theta) <= 2 * difference


# --- maximal order ---------------------------------------------------------------------------------------------------


def test_maximal_order_three_has_the_root_minus_five_minus_two_sqrt_six() -> None:
    ones = dict.fromkeys(("h1", "h2", "h3"), sp.Integer(1))
    rho = characteristic(method("belm", k=3).at(**ones))
    minimal = sp.Poly(sp.minimal_polynomial(-5 - 2 * sp.sqrt(6), Z), Z)
    assert minimal == sp.Poly(Z**2 + 10 * Z + 1, Z)
    assert sp.rem(rho, minimal).is_zero
    assert sp.quo(rho, minimal) == sp.Poly(Z - 1, Z)


@pytest.mark.parametrize(("k", "outside"), [(3, 1), (4, 1)])
def test_maximal_order_is_refuted_in_both_directions(k: int, outside: int) -> None:
    relation = method("belm", k=k)
    for direction in ("sampling", "inversion"):
        verdict = zero_stable(relation, direction)
        assert verdict.outcome == "refuted"
        assert f"rho has {outside} roots outside" in verdict.witness
    uniform = [float(w) for w in weights_at(relation, [Fraction(1)] * k)]
    assert int(np.sum(np.abs(np.roots([1, *(-w for w in uniform)])) > 1 + 1e-6)) == outside


# --- nodepy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "values"),
    [
        *(("adams", {"m": m}) for m in (1, 2, 3, 4)),
        *(("blend", {"k": k, "theta": t}) for k in (2, 3, 4) for t in ("3/10", "4/5")),
        ("belm", {"k": 3}), ("belm", {"k": 4}),
    ],
    ids=str,
)  # fmt: skip
def test_uniform_verdict_against_nodepy(family: str, values: dict) -> None:
    # One simple root at 1 and the others far from the circle: there nodepy's tolerance is sound.
    relation = method(family, **values)
    a = weights_at(relation, [Fraction(1)] * relation.k)
    alpha = np.array([-float(w) for w in reversed(a)] + [1.0])
    textbook = nodepy_lmm.LinearMultistepMethod(alpha, np.zeros(relation.k + 1), description="root condition only")
    assert (zero_stable(relation).outcome == "proved") is textbook.is_zero_stable(tol=1e-9)


# --- two steps, and the counterexample -------------------------------------------------------------------------------


def test_two_step_differences_multiply_by_minus_g_and_telescope_for_o_belm() -> None:
    rng = random.Random(3)
    relation, h = method("o-belm"), random_steps(rng, 9)
    states = [Fraction(rng.randint(-9, 9)) for _ in range(2)]  # X_N, X_{N-1}
    for i in range(len(h) - 2, -1, -1):
        a1, a2 = weights_at(relation, h[i : i + 2])
        states.append(a1 * states[-1] + a2 * states[-2])
    differences = [newer - older for older, newer in pairwise(states)]
    for m in range(1, len(h)):
        # After m steps from the noise end: Π g = (h_first/h_{n+1})², with alternating sign.
        assert differences[m] == (-1) ** m * (h[-1 - m] / h[-1]) ** 2 * differences[0]


def test_o_belm_products_telescope_symbolically() -> None:
    relation = method("o-belm")
    h = sp.symbols("s1:7", positive=True)
    product = sp.prod([relation.a[1].subs(dict(zip(relation.h, pair, strict=True)), simultaneous=True)
                       for pair in pairwise(h)])  # fmt: skip
    assert sp.cancel(product - (h[0] / h[-1]) ** 2) == 0


def test_bounded_products_of_g_are_not_enough() -> None:
    """O-BELM on steps 1, 2, 1, 2, …: every product of g is 1/4, 1 or 4, and the companion products grow linearly."""
    relation = method("o-belm")
    up, down = (weights_at(relation, [Fraction(x), Fraction(y)]) for x, y in ((1, 2), (2, 1)))
    assert (up[1], down[1]) == (Fraction(1, 4), Fraction(4))
    products = {Fraction(1)}
    for first in range(2):
        g = Fraction(1)
        for n in range(20):
            g *= (up, down)[(first + n) % 2][1]
            products.add(g)
    assert products == {Fraction(1, 4), Fraction(1), Fraction(4)}

    two = multiply(companion(down), companion(up))
    trace, determinant = two[0][0] + two[1][1], two[0][0] * two[1][1] - two[0][1] * two[1][0]
    assert (trace, determinant) == (2, 1)  # (z - 1)²
    nilpotent = [[two[r][c] - int(r == c) for c in range(2)] for r in range(2)]
    assert norm(nilpotent) > 0
    assert norm(multiply(nilpotent, nilpotent)) == 0  # a Jordan block at 1
    power = [[Fraction(int(r == c)) for c in range(2)] for r in range(2)]
    for n in range(1, 30):
        power = multiply(two, power)
        assert power == [[int(r == c) + n * nilpotent[r][c] for c in range(2)] for r in range(2)]

    growth = [stability_constant(relation, [Fraction(1), Fraction(2)] * n) for n in (5, 10, 20)]
    assert growth[2] - growth[1] == 2 * (growth[1] - growth[0]) > 0


# --- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "values", "sampling", "inversion"),
    [
        ("ddim", {}, "proved", "refuted"),
        ("edict", {"p": "93/100"}, "proved", "refuted"),
        ("edict", {"p": "1"}, "proved", "proved"),
        ("edict", {}, "proved", "refuted"),
        ("bdia", {"gamma": "1/2"}, "undecided", "refuted"),
        ("bdia", {"gamma": "1"}, "undecided", "undecided"),
        ("o-belm", {}, "undecided", "undecided"),
        ("open", {"k": 4}, "proved", "proved"),
        ("blend", {"k": 3, "theta": "1"}, "proved", "proved"),
        ("blend", {"k": 3, "theta": "3/5"}, "proved", "refuted"),
        ("adams", {"m": 2}, "proved", "refuted"),
    ],
    ids=str,
)
def test_verdicts(family: str, values: dict, sampling: str, inversion: str) -> None:
    found = method(family, **values)
    assert zero_stable(found, "sampling").outcome == sampling
    assert zero_stable(found, "inversion").outcome == inversion


def test_constant_weights_of_either_sign_are_decided_by_the_root_condition() -> None:
    base = method("adams", m=2)

    def with_weights(*a: sp.Expr) -> Relation:
        return Relation("constant", 3, base.frame, tuple(map(sp.Rational, a)), base.b, base.h)

    assert zero_stable(with_weights("3/2", "-3/4", "1/4")).outcome == "proved"
    assert zero_stable(with_weights("2", "-1", "0")).outcome == "refuted"  # z (z - 1)²
    assert zero_stable(with_weights("-9", "9", "1")).outcome == "refuted"


THETA, ETA = sp.symbols("theta eta", positive=True)


@pytest.mark.parametrize(
    ("parasitic", "outcome", "words"),
    [
        # Inside for theta < 1, on the circle and simple at theta = 1.
        (Z**2 - THETA * Z + THETA, "proved", "Schur–Cohn"),
        (Z**2 + THETA * Z + THETA * ETA, "proved", "weights >= 0"),
        (Z**2 - THETA * Z + THETA * ETA, "proved", "Schur–Cohn"),
        # Some root outside, by the product of the roots, by a minor, or at the end of the range only.
        (Z**2 + 1 + THETA, "refuted", "product of the roots"),
        (Z**2 - 1 - THETA, "refuted", "product of the roots"),
        (Z**2 - 3 * Z + THETA, "refuted", "Schur–Cohn"),
        (Z**2 + Z * 3 * THETA / 2, "refuted", "at theta = 1: roots of rho: 1 inside, 1 on, 1 outside"),
        (Z**2 + (1 + THETA) * Z + THETA, "refuted", "at theta = 1"),  # -1 becomes a double root
        (Z**2 + 3 * THETA * ETA * Z / 2, "refuted", "at theta = 1: at eta = 1"),
        # Stable at the end, and unstable for theta near 1/2: the coefficients do not see it.
        (Z**2 - 5 * THETA * (1 - THETA) * Z, "undecided", "Schur–Cohn"),
    ],
    ids=str,
)  # fmt: skip
def test_constant_weights_with_parameters(parasitic: sp.Expr, outcome: str, words: str) -> None:
    rho = sp.Poly((Z - 1) * parasitic, Z)
    a = tuple(-c for c in rho.all_coeffs()[1:])
    base = method("adams", m=2)
    used = tuple(s for s in (THETA, ETA) if s in parasitic.free_symbols)
    relation = Relation("constant", 3, base.frame, a, base.b, base.h, parameters=used)
    verdict = zero_stable(relation)
    assert verdict.outcome == outcome
    assert words in verdict.witness
    for theta, eta in ((1, 1), (1, 2), (2, 1), (3, 4), (9, 10)):
        point = {THETA: sp.Rational(theta, theta + 1), ETA: sp.Rational(eta, eta + 1)}
        weights = [float(sp.sympify(weight).subs(point)) for weight in a]
        moduli = np.sort(np.abs(np.roots([1, *(-w for w in weights)])))
        if outcome == "proved" and moduli[-2] < 0.99:
            # One simple root at 1 and the others off the circle: there nodepy's tolerance is sound.
            alpha = np.array([*(-w for w in reversed(weights)), 1.0])
            assert nodepy_lmm.LinearMultistepMethod(alpha, np.zeros(4), description="root").is_zero_stable(tol=1e-9)
        assert outcome != "proved" or moduli[-1] < 1 + 1e-9


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_a_blend_is_decided_for_all_theta_in_both_directions(k: int) -> None:
    relation = method("blend", k=k)
    assert zero_stable(relation, "sampling").outcome == "proved"
    assert zero_stable(relation, "inversion").outcome == "refuted"
    for theta in ("1/10", "1/2", "9/10"):
        numeric = method("blend", k=k, theta=theta)
        alpha = np.array([-float(w) for w in reversed(homogeneous_weights(numeric, "inversion"))] + [1.0])
        inverse = nodepy_lmm.LinearMultistepMethod(alpha, np.zeros(k + 1), description="root condition only")
        assert not inverse.is_zero_stable(tol=1e-9)


def test_mixing_matrix_of_edict() -> None:
    scheme = method("edict")
    p = scheme.parameters[0]
    assert scheme.mixing == sp.Matrix([[p, 1 - p], [p * (1 - p), p + (1 - p) ** 2]]).applyfunc(sp.expand)
    assert {sp.factor(value) for value in scheme.mixing.eigenvals()} == {1, p**2}
    # x - y shrinks by p² a step, as the paper's p^{2n} says.
    left = sp.Matrix([[1, -1]])
    assert (left * scheme.mixing - p**2 * left).applyfunc(sp.expand) == sp.zeros(1, 2)


@pytest.mark.parametrize("p", [Fraction(1, 2), Fraction(93, 100), Fraction(1)])
def test_constants_of_edict_in_both_directions(p: Fraction) -> None:
    value = sp.Rational(p.numerator, p.denominator)
    step = method("edict").mixing.subs(method("edict").parameters[0], value)
    rows = [[[Fraction(int(x.p), int(x.q)) for x in m.row(i)] for i in range(2)] for m in (step, step.inv())]
    sampling, inversion = rows
    for n in range(1, 8):
        forth, back = rows
        for _ in range(n - 1):
            forth, back = multiply(sampling, forth), multiply(inversion, back)
        assert norm(forth) == 1
        assert norm(back) == (2 * p ** (-2 * n) + p - 1) / (1 + p)


@pytest.mark.parametrize("k", [2, 3])
def test_parasitic_roots_of_short_blends_share_their_modulus_and_longer_ones_do_not(k: int) -> None:
    theta = 0.6
    for steps, shared in ((k, True), (k + 2, False)):
        moduli = np.abs(np.roots([1.0] + [theta] * (steps - 1)))
        assert np.allclose(moduli, theta ** (1 / (steps - 1)), atol=1e-9) is shared
        assert np.all(moduli >= theta - 1e-9)


# --- parameters of any sign, and weights that depend on lengths ------------------------------------------------------


def test_parameters_of_any_sign_leave_the_verdict_open() -> None:
    for k in (2, 3, 4):
        symbolic = method("weights", k=k)
        assert zero_stable(symbolic).outcome == zero_stable(symbolic, "inversion").outcome == "undecided"
        assert invertible(symbolic).outcome == "undecided"
    assert zero_stable(method("weights", k=2)).witness == "Schur–Cohn: the sign of -(a2 - 1)*(a2 + 1) is not decided"


@pytest.mark.parametrize(
    ("values", "sampling", "inversion"),
    [
        ({"k": 2, "a2": 1}, "proved", "proved"),
        ({"k": 2, "a2": "-9/10"}, "proved", "refuted"),
        ({"k": 2, "a2": "-1"}, "refuted", "refuted"),  # the root 1 twice
        ({"k": 3, "a2": "1/10", "a3": "2/5"}, "proved", "refuted"),
        ({"k": 3, "a2": "3/2", "a3": "1/5"}, "refuted", "refuted"),
        ({"k": 3, "a2": 0, "a3": 0}, "proved", "refuted"),
        ({"k": 3, "a2": 1, "a3": 0}, "proved", "refuted"),  # roots 1, -1 and 0
        ({"k": 3, "a2": -4, "a3": 2}, "refuted", "proved"),  # both parasitic roots of modulus sqrt 2
    ],
    ids=str,
)
def test_given_weights_are_decided_by_their_roots(values: dict, sampling: str, inversion: str) -> None:
    found = method("weights", **values)
    assert (zero_stable(found).outcome, zero_stable(found, "inversion").outcome) == (sampling, inversion)
    a = [float(weight) for weight in found.a]
    moduli = sorted(abs(np.roots([1, *(-weight for weight in a)])))
    double = values == {"k": 2, "a2": "-1"}
    assert (moduli[-1] > 1 + 1e-6 or double) == (sampling == "refuted")
    assert (a[-1] != 0 and moduli[0] > 1 - 1e-6 and not double) == (inversion == "proved")


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_damped_is_stable_both_ways_within_a_length(k: int) -> None:
    for found in (method("damped", k=k), method("damped", k=k, m=8)):
        assert zero_stable(found).witness == "weights >= 0 with sum 1: K = 1"
        back = zero_stable(found, "inversion")
        assert back.outcome == "proved" and "K <= exp(its sum over the grid)" in back.witness
    assert "1 + 16*h2:" in zero_stable(method("damped", k=2, m=8), "inversion").witness


def test_weights_that_grow_faster_than_the_length_are_not_taken_for_bounded() -> None:
    # theta = 1/(1 + h_2/h_1) depends on ratios only, theta = 1/(1 + h_2²) is no linear excess.
    base = method("damped", k=2)
    h1, h2 = base.h
    for excess in (h2 / h1, h2**2, h2 + h2**2):
        theta = 1 / (1 + excess)
        a = (1 - theta, theta)
        relation = Relation("other", 2, FLOW, a, slope_weights(a, base.h), base.h)
        assert zero_stable(relation, "inversion").outcome != "proved"
