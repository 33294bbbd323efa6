"""Order, inverse and stability from recovered coefficients agree with what is known of the methods."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from audited import GRID, SCHEDULE, ddim, multistep

from belm_runtime import Sampler, coefficients, methods
from belm_runtime.amplification import amplification
from belm_runtime.audit import Subject, audit, of_function, of_sampler
from belm_runtime.audit.candidates import SOLVER, solver

torch.set_num_threads(1)
FACTS = [fact for fact in methods.catalogue() if not fact["method"].startswith("edict")]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact["method"])
def test_order_inverse_and_stability_of_the_catalogue(fact: dict[str, object]) -> None:
    sampler = Sampler(str(fact["method"]), SCHEDULE.grid(12))
    report = audit(replace(of_sampler(sampler), invert=None))
    assert report.order is not None and report.invertible is not None and report.stability is not None
    assert report.order["on_this_grid"] == fact["order"]
    assert report.invertible[0] == fact["invertible"]
    for way in ("sampling", "inversion"):
        for suffix, coordinates in (("", "frame"), ("_x", "x")):
            found = report.stability[f"K_{way}{suffix}"]
            if way == "inversion" and not fact["invertible"]:
                assert found is None
            elif fact["invertible"]:
                assert found == pytest.approx(amplification(sampler.table, way, coordinates), rel=1e-6)


def resampled(steps: int) -> Subject:
    """DPM-Solver++(2M), whose order on smooth grids is above that on every grid."""
    grid = SCHEDULE.grid(steps)
    known = solver(grid, "epsilon")

    def run(model, x):
        states, slopes = [x], []
        for i in range(steps, 0, -1):
            slopes.insert(0, model(states[0], torch.full((len(x),), float(grid.timesteps[i]))))
            A, B = known.A[i - 1].tolist(), known.B[i - 1].tolist()
            terms = [*zip(A, states, strict=False), *zip(B, slopes, strict=False)]
            states.insert(0, sum(c * v for c, v in terms))
        return states[0]

    return replace(of_function(run, grid, name="2m"), remake=resampled)


def test_order_on_smooth_grids_is_measured_with_more_steps() -> None:
    report = audit(resampled(10))
    assert report.method is not None and report.method.name == SOLVER and report.method.exact
    assert report.nearest is not None and not report.nearest.exact
    assert report.order is not None
    assert (report.order["on_this_grid"], report.order["on_smooth_grids"]) == (1, 2)
    assert report.invertible is not None and not report.invertible[0] and "B_2" in report.invertible[1]


def test_an_unknown_method_has_an_order_too() -> None:
    """A blend whose theta changes from row to row is no member of any family; it has order 1 all the same."""
    A, B = (form.copy() for form in coefficients("o-belm", GRID).x_form())
    sbar = GRID.sbar
    for i in range(1, GRID.steps):
        w, theta = GRID.alpha, 0.2 + 0.03 * i
        A[i - 1] = ((1 - theta) * w[i - 1] / w[i], theta * w[i - 1] / w[i + 1])
        B[i - 1] = (w[i - 1] * (sbar[i - 1] - (1 - theta) * sbar[i] - theta * sbar[i + 1]),)
    report = audit(of_function(partial(multistep, A=A, B=B), GRID))
    assert report.method is not None and not report.method.exact
    assert report.order is not None and report.order["on_this_grid"] == 1 and report.order["frame"] == "noise"
    assert report.invertible is not None and report.invertible[0]
    # Differences of neighbouring states shrink by theta a step, so they grow by 1/theta on the way back.
    largest = np.prod([1 / (0.2 + 0.03 * i) for i in range(1, GRID.steps)])
    assert report.stability is not None and 1 <= report.stability["K_inversion"] / largest < 3
    assert report.stability["K_sampling"] == pytest.approx(1)


def test_a_wrong_level_leaves_no_order() -> None:
    report = audit(of_function(partial(ddim, ends=5), GRID, schedule=SCHEDULE))
    assert report.order is not None and report.order["on_this_grid"] == -1


def test_too_few_steps_measure_nothing() -> None:
    grid = SCHEDULE.grid(2)
    report = audit(of_sampler(Sampler("adams:m=3", grid)))
    assert report.order is None or report.order["on_this_grid"] >= 0
    assert np.isfinite(report.rounding or 0)
