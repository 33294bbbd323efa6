"""Step functions in fractions: what is sampled and inverted again comes back as the same numbers, not as close ones.

The relations come from `way_down` and `way_up` on the table's x-form, and EDICT's stages from its table: what `Sampler`
runs on tensors runs here on `fractions.Fraction`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from belm_runtime import Grid, coefficients
from belm_runtime.models import PREDICTIONS
from belm_runtime.recurrence import Relation, combine, downward, march, march_stages, upward, way_down, way_up

FRAMES: list[Any] = ["noise", "flow", "data", Fraction(1, 2)]
FAMILIES = ["open:k={}", "blend:k={},theta=2/3", "belm:k={}"]
METHODS = ["weights:k=2,a2=-3", "weights:k=5,a3=2,a5=1/7", "damped:k=2", "damped:k=4,m=3/2"]
METHODS += ["o-belm", "bdia:gamma=0.5", "bdia:gamma=1", *(f.format(k) for f in FAMILIES for k in (2, 3, 4, 5))]

levels = st.fractions(Fraction(1, 5), 2, max_denominator=5)


@st.composite
def rational_grids(draw: st.DrawFn) -> Grid:
    """Six or seven random steps, so that methods up to k = 5 have main rows."""
    n = draw(st.integers(6, 7))
    alpha = draw(st.lists(levels, min_size=n + 1, max_size=n + 1))
    sbar = np.cumsum(draw(st.lists(levels, min_size=n + 1, max_size=n + 1)))
    return Grid.from_arrays(alpha, [a * s for a, s in zip(alpha, sbar, strict=True)], range(n + 1))


def toy(x: Fraction, node: int) -> Fraction:
    """A network that is nonlinear in the state and depends on the node."""
    return (x * x - node) / (x * x + 2 * node + 1)


def run(relations: list[Relation], states: list[Any], slopes: list[Any], keep: int) -> list[int]:
    """March to the end; `states` and `slopes` are left as they stand there."""
    return [node for node, _ in march(relations, states, slopes, toy, keep)]


@given(grid=rational_grids(), seed=levels, turn=st.integers(0, 3))
@settings(max_examples=8)
@pytest.mark.parametrize("method", METHODS)
def test_inversion_gives_the_identical_fractions_back(method: str, grid: Grid, seed: Fraction, turn: int) -> None:
    for frame, prediction in zip(FRAMES, PREDICTIONS[turn:] + PREDICTIONS[:turn], strict=True):
        if frame == "data" and method.startswith("damped"):
            continue  # its steps are negative there; see test_table
        table = coefficients(method, grid, frame=frame)
        A, B = (array.tolist() for array in table.x_form(prediction))
        n, k = grid.steps, table.k
        states, path = [seed], [seed]
        for _, x in march(way_down(A, B, n, 0), states, [], toy, keep=k):
            path.append(x)
        assert len(states) == k and states == path[: -k - 1 : -1]
        # Inversion reads the same states the other way round, and needs the slopes of the inner nodes again.
        back = states[::-1]
        slopes = [toy(x, node) for x, node in zip(back[1:-1], range(k - 2, 0, -1), strict=True)]
        relations = way_up(A, B, k - 1, n)
        assert run(relations, back, slopes, keep=k) == list(range(k, n + 1))
        assert back == path[:k]
        # And down again, to the same data.
        again = back[::-1]
        slopes = [toy(x, node) for x, node in zip(again[1:-1], range(n - k + 2, n), strict=True)]
        run(way_down(A, B, n - k + 1, 0), again, slopes, keep=k)
        assert again == states and all(isinstance(x, Fraction) for x in again)


@given(grid=rational_grids(), x=levels, y=levels, p=st.fractions(Fraction(1, 9), 1, max_denominator=9))
@settings(max_examples=6)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_edict_gives_both_registers_back(prediction: str, grid: Grid, x: Fraction, y: Fraction, p: Fraction) -> None:
    # Each row squares the registers again and again: three rows are plenty.
    short = Grid.from_arrays(grid.alpha[:4], grid.sigma[:4], grid.timesteps[:4])
    rows = coefficients(f"edict:p={p}", short).stage_rows(prediction)
    registers = {"x": x, "y": y}
    assert [node for node, _ in march_stages(rows, registers, toy)] == [2, 1, 0]
    assert registers["x"] != x
    assert [node for node, _ in march_stages(reversed(rows), registers, toy, inverse=True)] == [1, 2, 3]
    assert registers == {"x": x, "y": y}


@given(grid=rational_grids(), x=levels, y=levels)
@settings(max_examples=10)
def test_edict_is_its_authors_loop(grid: Grid, x: Fraction, y: Fraction) -> None:
    """Wallace et al., equations 14 and 15: coupled DDIM steps, then mixing with weight p."""
    p, alpha, sigma = Fraction(93, 100), grid.alpha, grid.sigma
    registers = {"x": x, "y": y}
    rows = coefficients("edict:p=0.93", grid).rows[:4]
    for row, (node, made) in zip(rows, march_stages(rows, registers, toy), strict=True):
        i = row.i
        a = alpha[i - 1] / alpha[i]
        b = sigma[i - 1] - sigma[i] * a
        x_inter = a * x + b * toy(y, i)
        y_inter = a * y + b * toy(x_inter, i)
        x = p * x_inter + (1 - p) * y_inter
        y = p * y_inter + (1 - p) * x
        assert (node, made, registers) == (i - 1, x, {"x": x, "y": y})


def test_a_row_and_its_inverse_are_one_relation() -> None:
    A, B = [Fraction(1, 3), Fraction(2), Fraction(-5, 7)], [Fraction(4), Fraction(1, 9)]
    x, p = [Fraction(n, 3) for n in (1, 5, -2)], [Fraction(3), Fraction(-1, 4)]
    down, up = downward(4, A, B), upward(4, A, B)
    assert (down.node, down.target, up.node, up.target) == (4, 3, 5, 6)
    new = combine(zip((*down.states, *down.slopes), (*x, *p), strict=True))
    assert new == x[0] / 3 + 2 * x[1] - 5 * x[2] / 7 + 4 * p[0] + p[1] / 9
    # Newest first on the way up: nodes 5, 4, 3 and the slopes of 5, 4.
    assert combine(zip((*up.states, *up.slopes), (x[1], x[0], new, p[1], p[0]), strict=True)) == x[2]


def test_ways_run_over_the_rows_in_order() -> None:
    A = [[Fraction(i), Fraction(i, 2), Fraction(1)] for i in range(1, 7)]
    B = [[Fraction(i), Fraction(1)] for i in range(1, 7)]
    down = way_down(A, B, 5, 2)
    assert [(r.node, r.target, r.states[0]) for r in down] == [(5, 4, 5), (4, 3, 4), (3, 2, 3)]
    up = way_up(A, B, 3, 6)
    # Row 2 makes node 4 from nodes 3, 2, 1; the last row to make node 6 is row 4.
    assert [(r.node, r.target, r.slopes[1]) for r in up] == [(3, 4, -2), (4, 5, -3), (5, 6, -4)]
    assert way_down(A, B, 3, 3) == way_up(A, B, 4, 4) == []


def test_what_does_not_enter_is_not_kept() -> None:
    relation = downward(3, [Fraction(1), 0, 0], [Fraction(2), 0])
    assert (relation.states, relation.slopes) == ((1,), (2,))
    states: list[Any] = [Fraction(1)]
    sizes = [(len(states), len(slopes)) for slopes in ([],) for _ in march([relation] * 4, states, slopes, toy, keep=1)]
    assert sizes == [(1, 0)] * 4
    wide = downward(3, [Fraction(1), 0, Fraction(1)], [Fraction(2), Fraction(1)])
    held, slopes = [Fraction(1), Fraction(2), Fraction(3)], [Fraction(1)]
    sizes = [(len(held), len(slopes)) for _ in march([wide] * 5, held, slopes, toy, keep=3)]
    assert sizes == [(3, 1)] * 5


def test_the_model_is_called_once_a_step_on_the_newest_state() -> None:
    calls: list[tuple[Fraction, int]] = []

    def predict(x: Fraction, node: int) -> Fraction:
        calls.append((x, node))
        return x

    states = [Fraction(1)]
    steps = list(march(way_down([[Fraction(1), 0]] * 3, [[Fraction(-1, 2)]] * 3, 3, 0), states, [], predict, keep=2))
    assert steps == [(2, Fraction(1, 2)), (1, Fraction(1, 4)), (0, Fraction(1, 8))]
    assert calls == [(Fraction(1), 3), (Fraction(1, 2), 2), (Fraction(1, 4), 1)]


@pytest.mark.parametrize("cast", [float, Fraction, np.float64])
def test_combine_accumulates_in_place_and_leaves_its_operands_alone(cast: Callable[[Any], Any]) -> None:
    x = [torch.arange(4.0, dtype=torch.float64) + n for n in range(3)]
    kept = [v.clone() for v in x]
    total = combine([(cast(Fraction(1, 2)), x[0]), (cast(0), x[1]), (cast(-3), x[2])])
    assert torch.equal(total, kept[0] / 2 - 3 * kept[2])
    assert all(torch.equal(a, b) for a, b in zip(x, kept, strict=True))
    assert all(total.data_ptr() != v.data_ptr() for v in x)


def test_a_zero_coefficient_does_not_let_a_nan_in() -> None:
    bad = torch.full((2,), torch.nan)
    assert torch.equal(combine([(0.0, bad), (2.0, torch.ones(2))]), torch.full((2,), 2.0))
