"""Assignments against the step functions that floats run on: the same equations make the same states."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from belm_runtime import Grid, coefficients
from belm_runtime.assignment import Assignment, of_relations, of_stages, of_start
from belm_runtime.recurrence import march, march_stages, way_down
from belm_runtime.start import upward_start

RELATIONS = ["o-belm", "bdia:gamma=0.5", "open:k=3", "blend:k=4,theta=0.7", "ddim"]
GRID = Grid.from_arrays(
    [1, 0.97, 0.9, 0.7, 0.5, 0.4, 0.1], [0, 0.2, 0.4, 0.7, 0.9, 0.95, 1], [0, 1, 200, 400, 600, 800, 999]
)


def toy(x: float, node: int) -> float:
    return float(np.tanh(x + node / 10))


def carried_out(assignments: list[Assignment], known: dict[Any, float]) -> dict[Any, float]:
    """Every assignment as its definition says it."""
    values = dict(known)
    for a in assignments:
        total = sum(c * values[key] for key, c in a.states)
        total += sum(b * toy(values[key], node) for key, node, b in a.slopes)
        values[a.target] = total + (0 if a.old is None else a.own * values[a.old])
    return values


@pytest.mark.parametrize("frame", ["noise", "flow"])
@pytest.mark.parametrize("method", RELATIONS)
def test_relations_as_assignments_make_the_states_of_the_run(method: str, frame: str) -> None:
    A, B = (array.tolist() for array in coefficients(method, GRID, frame=frame).x_form("v"))
    made = of_relations(A, B)
    assert sorted(made) == list(range(6))
    values = carried_out([a for i in range(5, -1, -1) for a in made[i]], {(6, "x"): 0.8})
    for node, x in march(way_down(A, B, 6, 0), [0.8], [], toy, keep=4):
        assert values[node, "x"] == pytest.approx(x, rel=1e-12)


def test_a_row_keeps_its_oldest_state_and_a_start_row_none() -> None:
    made = of_relations(*(array.tolist() for array in coefficients("blend:k=3,theta=0.8", GRID).x_form()))
    assert [made[i][0].old for i in range(6)] == [(3, "x"), (4, "x"), (5, "x"), (6, "x"), None, None]
    # Node 6 enters row 4 as the old state alone: with coefficient A_3 = theta·w_3/w_6.
    w = GRID.alpha + GRID.sigma
    assert made[3][0].own == pytest.approx(0.8 * w[3] / w[6], rel=1e-14)
    assert (6, "x") not in [key for key, _ in made[3][0].states]


def test_stages_as_assignments_make_the_registers_of_the_run() -> None:
    rows = coefficients("edict:p=0.9", GRID).stage_rows("epsilon")
    made = of_stages(rows)
    values = carried_out([a for i in range(5, -1, -1) for a in made[i]], {(6, "x"): 0.8, (6, "y"): 0.8})
    registers: dict[str, Any] = {"x": 0.8, "y": 0.8}
    for node, x in march_stages(rows, registers, toy):
        assert values[node, "x"] == pytest.approx(x, rel=1e-13)
        assert values[node, "y"] == pytest.approx(registers["y"], rel=1e-13)
    assert [a.own for a in made[0]][2:] == [0.9, 0.9]


def test_a_stage_never_reads_what_it_overwrites() -> None:
    for stages in of_stages(coefficients("edict:p=0.9", GRID).stage_rows("v")).values():
        for a in stages:
            assert a.old is not None and a.own != 0
            assert a.old not in [key for key, _ in a.states] + [key for key, _, _ in a.slopes]


def test_solved_for_the_old_state() -> None:
    a = Assignment((0, "x"), (2, "x"), -0.5, (((1, "x"), 3.0),), ())
    back = a.solved()
    assert (back.target, back.old) == ((2, "x"), (0, "x"))
    x_1, x_2 = Fraction(7, 3), Fraction(5)
    x_0 = Fraction(a.own) * x_2 + 3 * x_1
    assert Fraction(back.own) * x_0 + Fraction(back.states[0][1]) * x_1 == x_2


def test_the_start_of_an_inversion_keeps_no_state() -> None:
    table = coefficients("open:k=4", GRID)
    relation = upward_start(table, "epsilon", 3, 3)[2]
    a = of_start(relation)
    assert a.old is None and a.target == (3, "x")
    assert dict(a.states) == {(2 - n, "x"): c for n, c in enumerate(relation.states) if c}
    assert [(key[0], node) for key, node, _ in a.slopes] == [(2, 2), (1, 1), (0, 0)]
