"""Frames: concrete rational (D, eps) put into the definitions, never the formulas of the module under test."""

from __future__ import annotations

import random

import pytest
import sympy as sp

from belm_theory.frame import ALPHA, DATA, FLOW, NAMED, NOISE, PREDICTIONS, SIGMA, D, Frame, X, frame_name

FINITE = [sp.Integer(0), sp.Integer(1), sp.Rational(1, 3), sp.Integer(7)]

#: What each network gives, written out by hand from its definition.
PREDICTED = {
    "epsilon": lambda alpha, sigma, data, noise: noise,
    "v": lambda alpha, sigma, data, noise: alpha * noise - sigma * data,
    "sample": lambda alpha, sigma, data, noise: data,
    "flow": lambda alpha, sigma, data, noise: noise - data,
}


def rationals(rng: random.Random, n: int) -> list[sp.Rational]:
    return [sp.Rational(rng.randint(1, 40), rng.randint(1, 40)) for _ in range(n)]


def at(expression: sp.Expr, alpha: sp.Rational, sigma: sp.Rational) -> sp.Expr:
    return sp.sympify(expression).subs({ALPHA: alpha, SIGMA: sigma})


@pytest.mark.parametrize("q", FINITE)
def test_state_is_affine_in_s_with_slope_eps_minus_q_d(q: sp.Expr) -> None:
    rng = random.Random(1)
    frame = Frame(q)
    for _ in range(20):
        data, noise, alpha, sigma = rationals(rng, 4)
        data = -data
        x = alpha * data + sigma * noise
        s = frame.coordinate(alpha, sigma)
        assert s == sigma / (alpha + q * sigma)
        assert x / frame.weight(alpha, sigma) == data + s * (noise - q * data)
        assert frame.slope(data, noise) == noise - q * data


def test_data_frame_is_affine_in_u_with_slope_d() -> None:
    rng = random.Random(2)
    for _ in range(20):
        data, noise, alpha, sigma = rationals(rng, 4)
        x = alpha * data + sigma * noise
        u = DATA.coordinate(alpha, sigma)
        assert u == alpha / sigma
        assert x / DATA.weight(alpha, sigma) == noise + u * data
        assert DATA.slope(data, noise) == data


@pytest.mark.parametrize("frame", [*map(Frame, FINITE), DATA])
def test_derivative_of_the_state_is_the_slope(frame: Frame) -> None:
    rng = random.Random(3)
    for _ in range(20):
        data, noise, a0, s0, a1, s1 = rationals(rng, 6)
        states = [(a * data + s * noise) / frame.weight(a, s) for a, s in ((a0, s0), (a1, s1))]
        rise = frame.coordinate(a1, s1) - frame.coordinate(a0, s0)
        assert states[1] - states[0] == frame.slope(data, noise) * rise


@pytest.mark.parametrize("prediction", PREDICTED)
@pytest.mark.parametrize("frame", [*map(Frame, FINITE), DATA], ids=frame_name)
def test_slope_from_prediction(frame: Frame, prediction: str) -> None:
    rng = random.Random(4)
    on_prediction, on_x = frame.slope_from(prediction)
    assert (on_prediction.free_symbols | on_x.free_symbols) <= {ALPHA, SIGMA}
    for _ in range(10):
        data, noise, alpha, sigma = rationals(rng, 4)
        data = -data
        x = alpha * data + sigma * noise
        given = PREDICTED[prediction](alpha, sigma, data, noise)
        wanted = data if frame.is_data else noise - frame.q * data
        assert at(on_prediction, alpha, sigma) * given + at(on_x, alpha, sigma) * x == wanted


def test_every_prediction_has_a_definition_here() -> None:
    assert set(PREDICTIONS) == set(PREDICTED)


def test_v_prediction_and_flow_velocity_are_different_things() -> None:
    alpha, sigma, data, noise = sp.Rational(4, 5), sp.Rational(3, 5), sp.Integer(2), sp.Integer(5)
    v = PREDICTED["v"](alpha, sigma, data, noise)
    flow = PREDICTED["flow"](alpha, sigma, data, noise)
    assert (v, flow) == (sp.Rational(14, 5), 3)
    assert FLOW.slope_from("v") != FLOW.slope_from("flow")
    # A network that predicts flow needs no x in the flow frame; one that predicts v does.
    assert FLOW.slope_from("flow") == (1, 0)
    assert at(FLOW.slope_from("v")[1], alpha, sigma) == (sigma - alpha) / (alpha**2 + sigma**2)


def test_the_frames_in_which_a_prediction_is_the_slope() -> None:
    assert NOISE.slope_from("epsilon") == (1, 0)
    assert DATA.slope_from("sample") == (1, 0)


def test_rectified_flow_is_the_flow_frame_with_weight_one() -> None:
    t = sp.Symbol("t", positive=True)
    assert sp.expand(FLOW.weight(1 - t, t)) == 1
    assert sp.cancel(FLOW.coordinate(1 - t, t) - t) == 0


def test_flow_frame_stays_finite_where_alpha_vanishes_and_noise_frame_does_not() -> None:
    assert (FLOW.weight(sp.Integer(0), sp.Integer(1)), FLOW.coordinate(sp.Integer(0), sp.Integer(1))) == (1, 1)
    assert NOISE.weight(sp.Integer(0), sp.Integer(1)) == 0


@pytest.mark.parametrize("q", FINITE)
def test_data_frame_is_the_rescaled_limit_of_large_q(q: sp.Expr) -> None:
    # 1/s = u + q and X/s = Y hold for every q, so s·Y = X in all of them.
    alpha, sigma, x = sp.Rational(7, 5), sp.Rational(2, 9), sp.Integer(3)
    s = Frame(q).coordinate(alpha, sigma)
    assert 1 / s - q == DATA.coordinate(alpha, sigma)
    assert x / Frame(q).weight(alpha, sigma) / s == x / DATA.weight(alpha, sigma)


def test_negative_q_is_refused_by_value() -> None:
    with pytest.raises(ValueError, match=r"q = -1/2 is negative"):
        Frame(sp.Rational(-1, 2))


def test_names() -> None:
    assert {name: frame_name(frame) for name, frame in NAMED.items()} == {n: n for n in ("noise", "flow", "data")}
    assert frame_name(Frame(sp.Rational(1, 2))) == "q=1/2"
    assert (NOISE.q, FLOW.q, DATA.q) == (0, 1, sp.oo)
    assert (NOISE.is_data, DATA.is_data) == (False, True)


def test_symbols_used_by_the_solver_do_not_hide_solutions() -> None:
    # The symbols are declared positive; a data value of any sign must still come out.
    on_prediction, on_x = DATA.slope_from("epsilon")
    alpha, sigma, x, noise = sp.Integer(4), sp.Rational(1, 2), sp.Integer(1), sp.Integer(9)
    data = (x - sigma * noise) / alpha
    assert data < 0
    assert at(on_prediction, alpha, sigma) * noise + at(on_x, alpha, sigma) * x == data
    assert {X, D} & (on_prediction.free_symbols | on_x.free_symbols) == set()
