"""The forms of a run are its affine map, and wrong subjects are refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from belm_runtime import Grid, InputError
from belm_runtime.audit import audit, of_function
from belm_runtime.audit.probe import probe

torch.set_num_threads(1)
GRID = Grid.from_arrays([1, 0.9, 0.6], [0, 0.4, 0.8], [0, 300, 700])


def two_steps(model, x):
    first = 2 * x + 3 * model(x, 700.0)
    return first - 0.5 * model(first + 0.25, torch.tensor([300])) + 7


def test_forms_of_a_run_by_hand() -> None:
    forms = probe(of_function(two_steps, GRID))
    # Columns x_N, p_0, p_1, 1; rows: what call 1 and call 2 are given, and the result.
    assert np.allclose(forms.Z, [[1, 0, 0, 0], [2, 3, 0, 0.25], [2, 3, -0.5, 7]], atol=1e-12)
    assert forms.times.tolist() == [700, 300] and forms.clipped_at is None and forms.rounding < 1e-14


def test_where_values_are_clipped_is_said() -> None:
    def run(model, x):
        first = (x + model(x, 700.0)).clamp(-1.5, 1.5)
        return first + model(first, 300.0)

    forms = probe(of_function(run, GRID))
    assert forms.clipped_at == 1 and forms.size == 2.0**-10
    assert np.allclose(forms.Z[:2, :3], [[1, 0, 0], [1, 1, 0]])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda model, x: x, "without calling the network"),
        (lambda model, x: [model(x, 1.0), None][1], "run returned a NoneType"),
        (lambda model, x: {"sample": model(x, 1.0)}, "run returned a dict"),
        (
            lambda model, x: x + model(torch.cat([x, x]), 1.0)[: len(x)],
            r"the network is given shape \(10, 1, 2, 2\) where x_N has \(5, 1, 2, 2\); .*leave out guidance",
        ),
        (
            lambda model, x: model(x, 1.0).reshape(len(x), 4, 64, 64),
            r"run on states of shape \(2, 1, 2, 2\) failed: RuntimeError: shape",
        ),
    ],
)
def test_subjects_that_cannot_be_audited(run, words: str) -> None:
    with pytest.raises(InputError, match=words):
        audit(of_function(run, GRID))


def test_numbers_that_are_not_finite_are_no_fresh_noise() -> None:
    report = audit(of_function(lambda model, x: two_steps(model, x) / torch.zeros(1), GRID))
    assert report.failure == "run gives numbers that are not finite, first in the result"


def test_a_number_of_calls_that_changes() -> None:
    calls = iter([1, 2, 1, 1])

    def run(model, x):
        for _ in range(next(calls)):
            x = x + model(x, 1.0)
        return x

    with pytest.raises(InputError, match="more than 1 times"):
        audit(of_function(run, GRID))


def test_a_run_without_any_finite_method() -> None:
    grid = Grid.from_arrays([1, 0.5, 0], [0, 0.5, 1], [0, 0.5, 1])

    def run(model, x):
        for t in (1.0, 0.5):
            x = x + model(x, t)
        return x

    report = audit(of_function(run, grid))
    assert report.failure == "no method has finite coefficients on this grid for prediction 'epsilon'"
