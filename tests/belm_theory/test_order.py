"""Orders and local errors: the plan's table, textbook error constants, nodepy, and fits of measured local errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import mpmath
import nodepy.linear_multistep_method as nodepy_lmm
import numpy as np
import pytest
import sympy as sp

from belm_theory.catalogue import FAMILIES, method
from belm_theory.frame import NOISE
from belm_theory.grid import smooth_steps, smooth_weights, steps
from belm_theory.method import Relation, Stage, TwoRegister
from belm_theory.order import local_error, order, order_smooth, residual
from belm_theory.quadrature import slope_weights

#: family, parameters, order on every grid, order on smooth grids.
TABLE = [
    ("ddim", {}, 1, 1),
    ("edict", {}, 1, 1),
    ("bdia", {"gamma": "1/2"}, 1, 1),
    ("bdia", {"gamma": "1"}, 1, 2),
    ("bdia", {"gamma": "0"}, 1, 1),
    ("o-belm", {}, 2, 2),
    ("open", {"k": 2}, 1, 2),
    ("open", {"k": 3}, 2, 2),
    ("open", {"k": 4}, 3, 4),
    ("open", {"k": 5}, 4, 4),
    *(("blend", {"k": k, "theta": "4/5"}, k - 1, k - 1) for k in range(2, 6)),
    *(("blend", {"k": k}, k - 1, k - 1) for k in range(2, 5)),
    *(("echo", {"k": k, "theta": "4/5"}, k - 1, k - 1) for k in range(2, 6)),
    *(("echo", {"k": k, "theta": "1"}, k - 1, k - k % 2) for k in range(2, 6)),
    *(("damped", {"k": k, "m": "8"}, k - 1, k - k % 2) for k in range(2, 6)),
    ("damped", {"k": 2, "m": "0"}, 1, 2),
    ("weights", {"k": 2, "a2": "9/10"}, 1, 1),
    ("weights", {"k": 3, "a2": "1/10", "a3": "4/5"}, 2, 2),
    ("weights", {"k": 4, "a2": "-1/3", "a3": "0", "a4": "1/2"}, 3, 3),
    ("weights", {"k": 5, "a2": "0", "a3": "1/4", "a4": "2/3", "a5": "-1/5"}, 4, 4),
    *(("adams", {"m": m}, m, m) for m in range(1, 5)),
    *(("belm", {"k": k}, 2 * k - 2, 2 * k - 2) for k in range(2, 6)),
]
RELATIONS = [row for row in TABLE if row[0] != "edict" and (row[0] != "blend" or "theta" in row[1])]


def name(value: object) -> str | None:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None


@pytest.mark.parametrize(("family", "values", "everywhere", "smooth"), TABLE, ids=name)
def test_order_of_the_whole_catalogue(family: str, values: dict, everywhere: int, smooth: int) -> None:
    found = method(family, **values)
    assert (order(found), order_smooth(found)) == (everywhere, smooth)


def test_the_table_names_every_family() -> None:
    assert {row[0] for row in TABLE} == set(FAMILIES)


@pytest.mark.parametrize(("family", "values", "everywhere", "smooth"), RELATIONS, ids=name)
def test_uniform_grid_against_nodepy(family: str, values: dict, everywhere: int, smooth: int) -> None:
    relation = method(family, **values)
    ones = {symbol: sp.Integer(1) for symbol in (*relation.h, *relation.w)}
    a, b = ([w.subs(ones) for w in weights] for weights in (relation.a, relation.b))
    # nodepy steps forwards: y_{n+k} is our X_{i-1}, its step is minus ours.
    alpha = np.array([-w for w in reversed(a)] + [sp.Integer(1)], dtype=object)
    beta = np.array([sp.Integer(0)] + [-w for w in reversed(b)] + [sp.Integer(0)], dtype=object)
    # With unit steps damped is a blend with a fixed theta; the theta of a smooth grid tends to 1.
    wanted = everywhere if family == "damped" and values["m"] != "0" else smooth
    assert nodepy_lmm.LinearMultistepMethod(alpha, beta).order() == wanted


# --- measured local errors -------------------------------------------------------------------------------------------

RATIOS = [mpmath.mpf(r) for r in ("1.0", "0.37", "2.21", "0.83", "1.59")]
UNEVEN_WEIGHTS = [mpmath.mpf(r) for r in ("0.9", "1.7", "0.6", "1.1", "1.3", "0.7")]
STATES: list[tuple[Callable, Callable]] = [
    (mpmath.exp, mpmath.exp),
    (lambda s: mpmath.sin(2 * s) + s**3, lambda s: 2 * mpmath.cos(2 * s) + 3 * s**2),
]


def uneven_grid(k: int, eta: mpmath.mpf) -> tuple[list, list]:
    """Fixed, irregular step ratios scaled by eta; frame weights without any relation to the nodes."""
    h = [eta * ratio for ratio in RATIOS[:k]]
    return [mpmath.mpf("0.2") + mpmath.fsum(h[:j]) for j in range(k + 1)], UNEVEN_WEIGHTS[: k + 1]


def smooth_grid(k: int, eta: mpmath.mpf) -> tuple[list, list]:
    """s_j = S(u + j·eta), w_j = W(u + j·eta) for a cubic S with S' > 0 and a quadratic W."""
    u = [mpmath.mpf("0.2") + j * eta for j in range(k + 1)]
    return [v + v**2 / 3 + v**3 / 7 for v in u], [1 + v / 2 + v**2 / 5 for v in u]


def fitted_exponent(relation: Relation, grid: Callable[[int, mpmath.mpf], tuple[list, list]]) -> list[mpmath.mpf]:
    coefficients = sp.lambdify((*relation.h, *relation.w), [*relation.a, *relation.b], "mpmath")

    def local(eta: mpmath.mpf, state: Callable, slope: Callable) -> mpmath.mpf:
        s, w = grid(relation.k, eta)
        h = [right - left for left, right in pairwise(s)]
        values = coefficients(*h, *(w if relation.w else []))
        a, b = values[: relation.k], values[relation.k :]
        made = mpmath.fsum(c * state(x) for c, x in zip(a, s[1:], strict=True))
        made += mpmath.fsum(c * step * slope(x) for c, step, x in zip(b, h, s[1:], strict=False))
        return abs(state(s[0]) - made)

    eta = mpmath.mpf(2) ** -14
    return [mpmath.log(local(eta, *pair) / local(eta / 2, *pair), 2) for pair in STATES]


@pytest.mark.parametrize(("family", "values", "everywhere", "smooth"), RELATIONS, ids=name)
def test_measured_local_error(family: str, values: dict, everywhere: int, smooth: int) -> None:
    relation = method(family, **values)
    with mpmath.workdps(80):
        for grid, expected in ((uneven_grid, everywhere), (smooth_grid, smooth)):
            for exponent in fitted_exponent(relation, grid):
                assert abs(exponent - (expected + 1)) < 0.01


def test_measured_local_error_of_edict() -> None:
    # X' = X + cos s from X(s) = exp(s) + (sin s - cos s)/2; both registers start on the solution.
    def solution(s: mpmath.mpf) -> mpmath.mpf:
        return mpmath.exp(s) + (mpmath.sin(s) - mpmath.cos(s)) / 2

    def local(h: mpmath.mpf) -> list[mpmath.mpf]:
        s, p = mpmath.mpf("0.7"), mpmath.mpf("0.93")
        registers = {"x": solution(s), "y": solution(s)}
        for stage in method("edict").stages:
            registers[stage.target] = mpmath.fsum(
                sp.lambdify(sp.symbols("p h1", positive=True), c, "mpmath")(p, h)
                * (registers[o[2:-1]] + mpmath.cos(s) if o.startswith("f(") else registers[o])
                for o, c in stage.terms
            )
        return [abs(registers[name] - solution(s - h)) for name in "xy"]

    with mpmath.workdps(50):
        h = mpmath.mpf(2) ** -14
        for coarse, fine in zip(local(h), local(h / 2), strict=True):
            assert abs(mpmath.log(coarse / fine, 2) - 2) < 0.01


# --- leading terms ---------------------------------------------------------------------------------------------------


def coefficient(family: str, **values: object) -> tuple[sp.Expr, int]:
    found = local_error(method(family, **values))
    return found.coefficient, found.derivative


def test_leading_terms_of_the_two_step_methods() -> None:
    h1, h2 = steps(2)
    assert coefficient("ddim") == (h1**2 / 2, 2)
    term, derivative = coefficient("o-belm")
    assert derivative == 3
    assert sp.expand(term + h1**2 * (h1 + h2) / 6) == 0
    # BELM, eq 55 with 1/2 for the printed 3/2: (h_i² - g h_{i+1}²)/2.
    gamma, w0, w2 = sp.symbols("gamma w0 w2", positive=True)
    term, derivative = coefficient("bdia")
    assert derivative == 2
    assert sp.cancel(term - (h1**2 - gamma * w2 / w0 * h2**2) / 2) == 0


@pytest.mark.parametrize(
    ("family", "values", "constant"),
    [
        ("adams", {"m": 1}, "1/2"),
        ("adams", {"m": 2}, "5/12"),
        ("adams", {"m": 3}, "3/8"),
        ("adams", {"m": 4}, "251/720"),
        ("open", {"k": 3}, "3/4"),
        ("open", {"k": 5}, "95/144"),
        ("belm", {"k": 2}, "1/3"),
    ],
    ids=name,
)
def test_textbook_error_constants_on_uniform_steps(family: str, values: dict, constant: str) -> None:
    # The textbook's C·h^{p+1} for forward steps; ours are backward, so (-1)^{p+1} C.
    found = local_error(method(family, **values))
    at_one = found.coefficient.subs(dict.fromkeys(steps(5), 1))
    assert at_one == sp.Rational(constant) * (-1) ** found.derivative


@pytest.mark.parametrize(("k", "constant"), [(2, "1/3"), (4, "14/45")], ids=["midpoint", "Milne's predictor"])
def test_error_constants_of_the_even_open_methods_on_uniform_steps(k: int, constant: str) -> None:
    # Their E_{p+1} vanishes on uniform steps; E_{p+2} carries the textbook's constant.
    relation = method("open", k=k)
    ones = {symbol: sp.Integer(1) for symbol in relation.h}
    p = order(relation)
    assert residual(relation, p + 1).subs(ones) == 0
    assert residual(relation, p + 2).subs(ones) / sp.factorial(p + 2) == sp.Rational(constant) * (-1) ** (p + 2)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_leading_term_of_the_maximal_order_methods(k: int) -> None:
    # The first missed polynomial has zeros at s_k and, doubly, at the interior nodes: its value at s_0 remains.
    h = steps(k)
    s = [sum(h[:j], sp.Integer(0)) for j in range(k + 1)]
    found = local_error(method("belm", k=k))
    assert found.derivative == 2 * k - 1
    product = -s[k] * sp.prod([node**2 for node in s[1:-1]])
    assert sp.expand(found.coefficient * sp.factorial(2 * k - 1) - product) == 0


def test_residual_on_a_rational_grid() -> None:
    # E_2 of Adams–Bashforth 1 by hand: X = (s - s_1)(s - s_2) at steps 2, 3 gives 10, and DDIM makes 2·3 of it.
    found = residual(method("ddim"), 2).subs(dict(zip(steps(2), (2, 3), strict=True)))
    assert found == 10 - 6


# --- mutations -------------------------------------------------------------------------------------------------------


def mutate(coefficient: sp.Expr, h: tuple[sp.Symbol, ...]) -> Iterator[tuple[str, sp.Expr]]:
    """A wrong sign, a wrong factor (an offset for a zero), a wrong index."""
    if coefficient == 0:
        yield "offset", sp.Rational(1, 7)
        return
    yield "sign", -coefficient
    yield "factor", sp.Rational(8, 7) * coefficient
    swapped = coefficient.subs({h[0]: h[1], h[1]: h[0]}, simultaneous=True)
    if sp.cancel(swapped - coefficient) != 0:
        yield "index", swapped


def detected(relation: Relation, a: list[sp.Expr], b: list[sp.Expr]) -> bool:
    try:
        wrong = replace(relation, name="mutant", a=tuple(a), b=tuple(b))
    except ValueError as error:
        return "sum to" in str(error)
    return order(wrong) < order(relation)


MUTATED = [
    ("ddim", {}), ("bdia", {}), ("o-belm", {}),
    *(("open", {"k": k}) for k in (2, 3, 4)), *(("blend", {"k": k}) for k in (2, 3, 4)),
    *(("adams", {"m": m}) for m in (2, 3)), ("belm", {"k": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("family", "values"), [*MUTATED, ("belm", {"k": 4})], ids=name)
def test_one_changed_slope_weight_is_detected(family: str, values: dict) -> None:
    relation = method(family, **values)
    for j, weight in enumerate(relation.b):
        for kind, wrong in mutate(weight, relation.h):
            b = [wrong if m == j else w for m, w in enumerate(relation.b)]
            assert detected(relation, list(relation.a), b), f"{kind} of b_{j + 1}"


@pytest.mark.parametrize(("family", "values"), MUTATED, ids=name)
def test_one_changed_state_weight_is_detected(family: str, values: dict) -> None:
    relation = method(family, **values)
    k = relation.k
    for j, weight in enumerate(relation.a):
        for kind, wrong in mutate(weight, relation.h):
            alone = [wrong if m == j else w for m, w in enumerate(relation.a)]
            assert detected(relation, alone, list(relation.b)), f"{kind} of a_{j + 1}"
            # The same with a neighbour taking up the difference, so that the sum stays 1.
            balanced = list(alone)
            balanced[(j + 1) % k] += weight - wrong
            assert detected(relation, balanced, list(relation.b)), f"balanced {kind} of a_{j + 1}"


def test_a_wrong_blend_of_the_right_quadratures_shows_in_the_smooth_order_alone() -> None:
    # Every consistent two-step relation has order 1; only gamma = 1 with the right weight ratio gains on smooth grids.
    right = method("bdia", gamma=1)
    _, w1, w2 = right.w
    g = w2 / w1  # w_{i+1}/w_i instead of w_{i+1}/w_{i-1}
    a = (1 - g * sp.Rational(1, 2), g * sp.Rational(1, 2))
    wrong = Relation("mutant", 2, NOISE, a, slope_weights(a, right.h), right.h, right.w)
    assert (order(right), order_smooth(right)) == (1, 2)
    assert (order(wrong), order_smooth(wrong)) == (1, 1)


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("term", range(2))
def test_one_changed_coefficient_of_edict_is_detected(stage: int, term: int) -> None:
    right = method("edict")
    for factor in (-1, sp.Rational(8, 7)):
        stages = list(right.stages)
        terms = [(o, factor * c if t == term else c) for t, (o, c) in enumerate(stages[stage].terms)]
        stages[stage] = Stage(stages[stage].target, tuple(terms))
        wrong = TwoRegister("mutant", NOISE, tuple(stages), right.h, right.parameters)
        assert order(wrong) < order(right)


def test_smooth_order_looks_past_a_term_that_vanishes_twice() -> None:
    # g = (h_1/h_2)² (1 + delta²) with delta = O(eta): E_2 = O(eta⁴), but E_3 = O(eta³) decides.
    base = method("o-belm")
    h1, h2 = base.h
    g = h1**2 / h2**2 * (1 + ((h1 - h2) / (h1 + h2)) ** 2)
    relation = Relation("near o-belm", 2, NOISE, (1 - g, g), slope_weights((1 - g, g), base.h), base.h)
    assert (order(relation), order_smooth(relation)) == (1, 2)


def test_smooth_order_passes_over_a_residual_that_is_zero() -> None:
    # Maximal order plus delta³ times the direction that keeps E_0 = E_1 = E_2 = E_4 = 0: E_3 = O(eta⁶), E_5 = O(eta⁵).
    base = method("belm", k=3)
    h1, h2, h3 = base.h
    delta = ((h1 - h2) / (h1 + h2)) ** 3
    shift = (delta, delta * (h2**2 / h3**2 - 1), -delta * h2**2 / h3**2)
    a = tuple(x + d for x, d in zip(base.a, shift, strict=True))
    relation = Relation("near belm", 3, NOISE, a, (base.b[0], base.b[1] + delta * (1 + h2 / h3)), base.h)
    assert residual(relation, 4) == 0
    assert (order(relation), order_smooth(relation)) == (2, 4)


def test_two_register_order_sees_that_every_slope_is_taken_at_node_i() -> None:
    # Second order if f did not depend on s; it does, and the stages never move s.
    right = method("edict")
    (h,) = right.h
    half, one = h / 2, sp.Integer(1)
    stages = (
        Stage("y_inter", (("y", one), ("f(x)", -half))),
        Stage("x", (("x", one), ("f(y_inter)", -h))),
        Stage("y", (("y_inter", one), ("f(x)", -half))),
    )
    assert order(TwoRegister("leapfrog", NOISE, stages, right.h)) == 1


# --- smooth grids ----------------------------------------------------------------------------------------------------


def test_smooth_steps_are_the_taylor_series() -> None:
    eta, u = sp.symbols("eta u", positive=True)
    table = {sp.Symbol(f"S{m}"): sp.diff(sp.exp(u), u, m).subs(u, 0) for m in range(1, 5)}
    for j, step in enumerate(smooth_steps(3, eta, 4), 1):
        exact = sp.series(sp.exp(j * eta) - sp.exp((j - 1) * eta), eta, 0, 5).removeO()
        assert sp.expand(step.subs(table) - exact) == 0
    table = {sp.Symbol(f"W{m}", positive=True): 1 for m in range(5)}
    for j, weight in enumerate(smooth_weights(2, eta, 4)):
        assert sp.expand(weight.subs(table) - sp.series(sp.exp(j * eta), eta, 0, 5).removeO()) == 0
