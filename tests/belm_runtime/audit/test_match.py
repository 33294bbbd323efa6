"""Methods are recognised: which, in which frame, with which parameter, through any arithmetic and prediction."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from audited import ALPHA, GRID, SIGMA, STEPS, ddim, edict, multistep

from belm_runtime import InputError, Sampler, Schedule, coefficients, methods
from belm_runtime.audit import audit, of_function, of_sampler
from belm_runtime.design import Design

torch.set_num_threads(1)

METHODS = [
    "o-belm", "bdia:gamma=0.3", "bdia:gamma=1", "open:k=2", "open:k=3", "open:k=4", "open:k=5", "blend:k=2,theta=0.5",
    "blend:k=3,theta=0.8", "blend:k=4,theta=1/3", "blend:k=5,theta=0.9", "adams:m=2", "adams:m=3", "adams:m=4",
    "belm:k=3", "edict:p=0.93", "edict:p=0.8", "exp-adams:m=2", "exp-open:k=4",
    "exp-blend:k=3,theta=0.8", "exp-echo:k=4,theta=1/3", "exp-damped:k=3,m=8", "exp-weights:k=3,a2=0.1,a3=0.4",
    "damped:k=2,m=3", "damped:k=3,m=8", "damped:k=4,m=2.5", "damped:k=5,m=1/3",
    "weights:k=2,a2=-0.5", "weights:k=3,a2=0.1,a3=0.4", "weights:k=4,a2=0,a3=-0.2,a4=0.7",
    "weights:k=5,a2=1/7,a3=0,a4=-0.3,a5=0.5",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::belm_runtime.sampler.AmplificationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_every_family_is_recognised_with_its_parameters(method: str) -> None:
    grid = Schedule.preset("ddpm").grid(12, "trailing")
    report = audit(of_sampler(Sampler(method, grid)), expect=method)
    assert report.method is not None
    assert report.method.name == str(methods.parse(method)) and report.method.exact
    assert report.method.frame == str(methods.parse(method).frame)
    assert report.method.deviation < 1e-12 and report.wanted == (str(methods.parse(method)), True)
    assert not report.faults and report.sound and "as expected" in report.verdict
    assert report.nearest == report.method
    found = audit(of_sampler(Sampler(method, grid))).method
    assert found is not None and found.deviation < 1e-13
    assert replace(found, deviation=report.method.deviation) == report.method


def test_weights_that_change_from_row_to_row_are_not_named() -> None:
    first, second = (coefficients(f"weights:k=3,a2=0.1,a3={a3}", GRID).x_form() for a3 in ("0.4", "0.5"))
    A, B = ([second[n][0:4], first[n][4:]] for n in (0, 1))
    report = audit(of_function(partial(multistep, A=np.concatenate(A), B=np.concatenate(B)), GRID))
    assert report.method is not None and not report.method.exact


@pytest.mark.parametrize("alias", ["adams:m=1", "ddim"])
def test_ddim_is_recognised_from_its_paper_under_both_names(alias: str) -> None:
    report = audit(of_function(ddim, GRID), expect=alias)
    assert report.sound
    for row in report.rows:
        ratio = ALPHA[row.i - 1] / ALPHA[row.i]
        assert pytest.approx([ratio], rel=1e-12) == row.A
        assert pytest.approx([SIGMA[row.i - 1] - ratio * SIGMA[row.i]], rel=1e-11) == row.B
        assert row.t == GRID.timesteps[row.i] and row.step == STEPS + 1 - row.i


def test_edict_is_recognised_from_its_paper() -> None:
    assert audit(of_function(partial(edict, p=0.7), GRID)).verdict.startswith("It is edict:p=0.7: all 10 steps")


@pytest.mark.parametrize("frame", ["noise", "flow", "data"])
@pytest.mark.parametrize("start", ["adams", "ddim"])
def test_frames_and_starts_are_told_apart(frame: str, start: str) -> None:
    grid = Schedule.preset("sd15").grid(9, "trailing", end="first")
    report = audit(of_sampler(Sampler("blend:k=3,theta=0.8", grid, frame=frame, start=start)))
    assert report.method is not None and report.method.exact
    assert (report.method.name, report.method.frame, report.method.start) == ("blend:k=3,theta=0.8", frame, start)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "sample", "flow"])
def test_any_prediction_gives_the_same_weights_of_eps(prediction: str) -> None:
    report = audit(of_sampler(Sampler("o-belm", GRID, prediction=prediction)))
    assert report.method is not None and report.method.name == "o-belm" and report.method.exact
    A, B = coefficients("o-belm", GRID).x_form()
    for row in report.rows:
        assert np.allclose(row.A, A[row.i - 1][: len(row.A)], rtol=1e-8)
        assert np.allclose(row.B, B[row.i - 1][: len(row.B)], rtol=1e-8)


def test_float32_is_not_taken_for_a_fault() -> None:
    report = audit(of_sampler(Sampler("blend:k=3,theta=0.8", GRID, arithmetic="float32")), expect="blend:k=3,theta=0.8")
    assert report.sound and report.rounding is not None and 1e-9 < report.rounding < 1e-5


def test_zero_terminal_snr_and_the_flow_need_another_prediction() -> None:
    grid = Schedule.preset("flow").grid(8)
    report = audit(of_sampler(Sampler("open:k=3", grid, prediction="flow")), expect="open:k=3")
    assert report.sound and report.stability is not None and report.stability["K_inversion"] == pytest.approx(1)


def test_another_method_than_expected_is_named() -> None:
    report = audit(of_sampler(Sampler("adams:m=2", GRID)), expect="o-belm")
    assert not report.sound and report.wanted == ("o-belm", False)
    assert report.nearest is not None and report.nearest.name == "adams:m=2" and report.nearest.exact
    assert report.verdict == (
        "It is not o-belm in the noise frame, as was expected: 9 of 10 steps differ. It is adams:m=2 in the flow frame."
    )


def test_calls_that_fit_no_expected_method() -> None:
    once = audit(of_function(ddim, GRID), expect="edict")
    assert not once.sound and "called once a step, not as edict:p=0.93" in once.verdict
    twice = audit(of_function(edict, GRID), expect="o-belm")
    assert not twice.sound and "called twice a step, not as o-belm" in twice.verdict
    halves = audit(of_function(ddim, Schedule.preset("sd15").grid(7)))
    assert halves.failure is not None
    assert halves.failure.startswith("the network is called 10 times, at 10 different times, on a grid of 7 steps:")
    assert halves.verdict == f"{halves.failure}."


@pytest.mark.parametrize("steps", [7, 10])
def test_a_design_is_expected_with_its_frame_and_start(steps: int, tmp_path: Path) -> None:
    shipped = Design.read("designed").sampler(Schedule.preset("sd15"), steps)
    assert audit(of_sampler(shipped), expect="designed").sound
    mine = Design("mine", "adams:m=3", None, "q=1/2", "ddim", "trailing", "open:k=3")
    path = str(mine.write(tmp_path / "mine.json"))
    report = audit(of_sampler(mine.sampler(Schedule.preset("sd15"), steps)), expect=path)
    assert report.sound and report.method is not None
    assert (report.method.frame, report.method.start) == ("q=1/2", "ddim")
    assert report.nearest == report.method
    assert not audit(of_sampler(mine.sampler(Schedule.preset("sd15"), steps)), expect="adams:m=3").sound


def test_expected_methods_must_exist() -> None:
    with pytest.raises(InputError, match="o-belm"):
        audit(of_function(ddim, GRID), expect="o-bem")


@pytest.mark.parametrize("method", ["o-belm", "open:k=3", "blend:k=3,theta=0.8", "adams:m=2", "adams:m=3"])
@pytest.mark.parametrize("seed", [0, 1])
def test_one_wrong_weight_is_found_where_it_is(method: str, seed: int) -> None:
    A, B = (form.copy() for form in coefficients(method, GRID).x_form())
    draw = np.random.default_rng(seed)
    row = int(draw.integers(1, STEPS - 2 * methods.parse(method).k))
    form, name = (A, "A") if draw.random() < 0.5 else (B, "B")
    j = int(draw.choice(np.flatnonzero(form[row - 1])))
    wrong = form[row - 1, j] * (1 + draw.uniform(0.05, 0.4))
    right, form[row - 1, j] = form[row - 1, j], wrong
    report = audit(of_function(partial(multistep, A=A, B=B), GRID))
    assert report.method is not None and report.method.name == method
    (fault,) = report.faults
    assert fault.steps == (STEPS + 1 - row,) and fault.kind == f"coefficient {name}_{j + 1}"
    assert f"{name}_{j + 1} = {wrong:.6g} where {right:.6g} is expected" in fault.words


def test_weights_are_read_off_the_run_and_not_off_the_method() -> None:
    """A change that passes for rounding still shows in what was recovered."""
    A, B = (form.copy() for form in coefficients("o-belm", GRID).x_form())
    A[3, 1] += 1e-7
    B[5, 0] -= 2e-7
    report = audit(of_function(partial(multistep, A=A, B=B), GRID), expect="o-belm")
    assert report.sound
    rows = {row.i: row for row in report.rows}
    assert rows[4].A[1] - rows[4].expected[0][1] == pytest.approx(1e-7, rel=1e-3)
    assert rows[6].B[0] - rows[6].expected[1][0] == pytest.approx(-2e-7, rel=1e-3)
    assert np.abs(np.subtract(rows[8].A, rows[8].expected[0])).max() < 1e-12
