"""The diffusion test problem: mixture.py's closed form, nodepy, textbook intervals, and runs of the generated code."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction

import mpmath
import nodepy.linear_multistep_method as nodepy_lmm
import numpy as np
import pytest
import sympy as sp
import torch

from belm_runtime import Grid, Schedule, coefficients, methods
from belm_runtime.mixture import GaussianMixture
from belm_theory.catalogue import method
from belm_theory.frame import DATA, FLOW, NOISE, Frame, Q
from belm_theory.gaussian_problem import (
    KAPPA,
    MU,
    C,
    R,
    S,
    boundary_locus,
    growth_parameters,
    slope_factor,
    stability_polynomial,
    variance,
)  # fmt: skip
from belm_theory.method import Relation
from belm_theory.roots import Z, count_roots
from belm_theory.stability import characteristic

FRAMES = [NOISE, FLOW, DATA, Frame(sp.Rational(1, 3))]
RELATIONS = ["o-belm", "bdia:gamma=1", "bdia:gamma=0.5", "open:k=3", "open:k=4", "blend:k=3,theta=0.8", "blend:k=4"]
ONE = sp.Integer(1)


def relation(name: str) -> Relation:
    family, values = methods.read(str(methods.parse(name)))
    return method(family, **values)


def rational(value: Fraction) -> sp.Rational:
    return sp.Rational(value.numerator, value.denominator)


# --- the problem -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES, ids=str)
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_slope_and_solution_against_the_mixture(frame: Frame, spread: float) -> None:
    gaussian = GaussianMixture([[0.0]], [spread], [1.0], Schedule.preset("ddpm"))
    at = {"lambda": sp.lambdify((S, C), slope_factor(frame)), "v": sp.lambdify((S, C), variance(frame))}
    start = torch.ones(1, 1, dtype=torch.float64)
    levels = [(0.99, 0.05), (0.8, 0.6), (0.3, 1.2), (0.05, 0.9)]  # no need to be variance-preserving
    points = []
    for alpha, sigma in levels:
        w, s = (float(formula(alpha, sigma)) for formula in (frame.weight, frame.coordinate))
        x = gaussian.exact(start, levels[0], (alpha, sigma))
        data, noise = (float(mean) for mean in gaussian.posterior(x, alpha, sigma))
        assert float(frame.slope(data, noise)) == pytest.approx(at["lambda"](s, spread) * float(x) / w, rel=1e-12)
        points.append(float(x) / w / np.sqrt(at["v"](s, spread)))
    assert points == pytest.approx([points[0]] * len(levels), rel=1e-12)


@pytest.mark.parametrize("frame", [*FRAMES, Frame(Q)], ids=str)
def test_the_solution_is_the_square_root_of_the_variance(frame: Frame) -> None:
    v = variance(frame)
    assert sp.cancel(slope_factor(frame) - sp.diff(v, S) / (2 * v)) == 0


# --- the polynomial --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "textbook", "power"),
    [
        *((f"adams:m={m}", nodepy_lmm.Adams_Bashforth(m), 1) for m in (1, 2, 3, 4)),
        ("ddim", nodepy_lmm.Adams_Bashforth(1), 1),
        *((name, nodepy_lmm.Nystrom(2), 0) for name in ("open:k=2", "bdia:gamma=1", "o-belm")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_polynomial_and_locus_on_even_steps_against_nodepy(
    name: str, textbook: nodepy_lmm.LinearMultistepMethod, power: int
) -> None:
    # nodepy steps forward, y' = lambda·y with z·h; sampling steps backward, so its argument is -mu.
    rho, sigma = (sum(sp.Rational(c) * Z**j for j, c in enumerate(part)) for part in (textbook.alpha, textbook.beta))
    found = stability_polynomial(relation(name), ratio=ONE).as_expr()
    assert sp.Poly(found, Z, MU) == sp.Poly(Z**power * (rho + MU * sigma), Z, MU)
    circle = np.exp(1j * np.linspace(0.0, 2 * np.pi, 50))
    ours = sp.lambdify(Z, boundary_locus(relation(name), ONE))(circle)
    assert np.allclose(-ours, textbook._boundary_locus(50), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("m", "end"), [(1, "2"), (2, "1"), (3, "6/11"), (4, "3/10")])
def test_real_stability_intervals_of_adams_bashforth(m: int, end: str) -> None:
    # Hairer, Wanner, V.1: (-2, 0), (-1, 0), (-6/11, 0), (-3/10, 0).
    adams = method("adams", m=m)
    for factor, stable in (("1/100", True), ("1/2", True), ("999/1000", True), ("1001/1000", False), ("-1/100", False)):
        pi = stability_polynomial(adams, sp.Rational(end) * sp.Rational(factor), ONE)
        assert count_roots(pi).satisfies_root_condition is stable


@pytest.mark.parametrize("name", RELATIONS)
def test_without_a_slope_it_is_the_polynomial_of_zero_stability(name: str) -> None:
    found = relation(name)
    if found.has_constant_weights:
        assert stability_polynomial(found, sp.Integer(0)).as_expr() == characteristic(found).as_expr()
    locus = boundary_locus(found)
    assert sp.cancel(stability_polynomial(found).as_expr().subs(MU, locus)) == 0
    assert locus.subs(Z, 1) == 0


def test_the_parasitic_root_of_o_belm_without_a_slope() -> None:
    pi = stability_polynomial(relation("o-belm"), sp.Integer(0)).as_expr()
    assert sp.expand(pi - (Z - 1) * (Z + 1 / R**2)) == 0


def simulated(table: object, slope: Callable[[int], Fraction], seed: int) -> list[Fraction]:
    """A run of an exact table with f_i = slope(i)·X_i from k random states, noise first."""
    rng, k, n = random.Random(seed), table.k, table.grid.steps
    states = {n - j: Fraction(rng.randint(1, 9), rng.randint(1, 9)) for j in range(k)}
    for i in range(n - k + 1, 0, -1):
        a, b, h = table.a[i - 1], table.b[i - 1], table.h
        new = sum((a[j] * states[i + j] for j in range(k)), Fraction(0))
        states[i - 1] = new + sum(
            (b[j] * h[i - 1 + j] * slope(i + j) * states[i + j] for j in range(k - 1)), Fraction(0)
        )
    return [states[i] for i in range(n, -1, -1)]


def recurrence_of(states: Sequence[Fraction], k: int) -> sp.Poly:
    """The monic polynomial of degree k of the recurrence that 2k states obey, from the states alone."""
    terms = [rational(x) for x in states[: 2 * k]]
    hankel = sp.Matrix(k, k, lambda row, column: terms[row + column])
    return sp.Poly([1, *reversed(-hankel.LUsolve(sp.Matrix(terms[k:])))], Z)


def grid_of(sbar: Sequence[Fraction]) -> Grid:
    return Grid.from_arrays([Fraction(1)] * len(sbar), list(sbar), list(range(len(sbar))))


@pytest.mark.parametrize("name", RELATIONS)
def test_a_run_on_even_steps_obeys_the_polynomial(name: str) -> None:
    k, slope = relation(name).k, Fraction(2, 7)
    table = coefficients(name, grid_of([Fraction(i, 3) for i in range(2 * k + 1)]), frame="noise")
    states = simulated(table, lambda i: slope, seed=1)
    assert recurrence_of(states, k) == stability_polynomial(relation(name), rational(slope / 3), ONE)


@pytest.mark.parametrize("name", ["o-belm", "bdia:gamma=1", "bdia:gamma=0.5"])
@pytest.mark.parametrize("ratio", [Fraction(9, 8), Fraction(3)])
def test_a_run_on_a_geometric_grid_with_c_0_obeys_the_polynomial(name: str, ratio: Fraction) -> None:
    # f = X/s: the product mu = h_i/s_i is the same at every node, and two steps see no other.
    table = coefficients(name, grid_of([ratio**i for i in range(9)]), frame="noise")
    states = simulated(table, lambda i: 1 / ratio**i, seed=2)
    pi = stability_polynomial(relation(name), rational(1 - 1 / ratio), rational(ratio))
    assert recurrence_of(states, 2) == recurrence_of(states[3:], 2) == pi
    if name == "o-belm":  # order 2: the solution X ∝ s is exact
        assert pi.eval(rational(1 / ratio)) == 0


@pytest.mark.parametrize("name", RELATIONS)
@pytest.mark.parametrize("ratio", [Fraction(9, 8), Fraction(2, 3)])
def test_one_step_on_uneven_steps_obeys_the_polynomial(name: str, ratio: Fraction) -> None:
    k, slope = relation(name).k, Fraction(3, 5)
    nodes = [sum((ratio**j for j in range(i)), Fraction(0)) for i in range(k + 1)]
    states = simulated(coefficients(name, grid_of(nodes), frame="noise"), lambda i: slope, seed=3)
    pi = stability_polynomial(relation(name), rational(slope), R).as_expr().subs(R, rational(ratio))
    coefficients_of_pi = sp.Poly(pi, Z).all_coeffs()
    assert sum(c * rational(x) for c, x in zip(coefficients_of_pi, reversed(states), strict=True)) == 0


# --- how roots start to move -----------------------------------------------------------------------------------------


def test_growth_parameters_of_neutral_methods() -> None:
    found = {k: growth_parameters(method("open", k=k), ONE).ground_roots() for k in (2, 3, 4)}
    half, third = sp.Rational(1, 2), sp.Rational(1, 3)
    assert found == {2: {-1: 1, 1: 1}, 3: {-1: 1, half: 2}, 4: {-1: 1, 5 * third: 1, -third: 2}}


def decimals(polynomial: sp.Poly) -> list[mpmath.mpf]:
    return [mpmath.mpf(int(c.p)) / int(c.q) for c in polynomial.all_coeffs()]


@pytest.mark.parametrize("name", ["o-belm", "open:k=3", "open:k=4", "blend:k=3,theta=0.8", "adams:m=3"])
@pytest.mark.parametrize("ratio", ["1", "9/8"])
def test_growth_parameters_against_roots_at_a_tiny_mu(name: str, ratio: str) -> None:
    found, r = relation(name), sp.Rational(ratio)
    expected = growth_parameters(found, r).monic()
    with mpmath.workdps(80):
        tiny = mpmath.mpf(10) ** -25
        before, after = (
            mpmath.polyroots(decimals(stability_polynomial(found, mu, r)), maxsteps=500, extraprec=400)
            for mu in (sp.Integer(0), sp.Rational("1e-25"))
        )
        moves = [(min(after, key=lambda other, z=z: abs(other - z)) / z - 1) / tiny for z in before if abs(z) > 1e-9]
        again = [mpmath.re(c) for c in np.poly(np.array(moves, dtype=object))]
        assert len(again) == expected.degree() + 1
        assert all(abs(x - y) < 1e-20 for x, y in zip(again, decimals(expected), strict=True))
    assert expected.gens == (KAPPA,)
