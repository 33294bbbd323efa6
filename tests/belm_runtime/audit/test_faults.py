"""Each fault is named in words, and nothing right is called a fault."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from audited import GRID, SCHEDULE, SIGMA, STEPS, TIMES, ddim, edict, multistep

from belm_runtime import Sampler, coefficients
from belm_runtime.audit import Report, audit, of_function, of_sampler, of_step

torch.set_num_threads(1)


def examined(run: Any, **options: Any) -> Report:
    return audit(of_function(run, GRID, schedule=SCHEDULE), **options)


@pytest.mark.parametrize(
    ("mistakes", "kind", "count", "words"),
    [
        ({"direction": torch.ones_like}, "missing-factor", 9, f"{SIGMA[9]:.6g} is added as a constant"),
        ({"direction": torch.ones_like}, "missing-factor", 9, "`* noise_pred` was dropped"),
        ({"direction": torch.neg}, "direction", 9, "sign of the direction sigma_{i-1}·eps is reversed"),
        ({"direction": torch.zeros_like}, "direction", 9, "direction sigma_{i-1}·eps was dropped"),
        ({"told": -1}, "timestep", 10, "called at t = 900 where the grid has t = 901; all 10 are off by -1"),
        ({"ends": 1}, "noise-level", 9, "ends at the noise level of timestep 802 where the grid has 801"),
        ({"starts": -1}, "noise-level", 10, "starts from the noise level of timestep 900 where the grid has 901"),
        ({"scaled": False}, "reading", 10, "the network is given x/alpha instead of x"),
        ({"factor": {4: 0.99}}, "scaled", 1, "A_1 and B_1 are 0.99 times what is expected"),
        ({"direction": lambda eps: eps + 1}, "constant", 9, "the constant 0.9"),
    ],
)
def test_what_goes_wrong_in_ddim_is_named(mistakes: dict[str, Any], kind: str, count: int, words: str) -> None:
    report = examined(partial(ddim, **mistakes), expect="ddim")
    assert report.method is not None and report.method.name == "ddim"
    (fault,) = report.faults
    assert fault.kind == kind and len(fault.steps) == count and words in fault.words
    assert not report.sound
    free = examined(partial(ddim, **mistakes))
    assert free.method is not None and free.method.name == "ddim" and free.faults == report.faults


def test_times_in_reverse_order_are_named() -> None:
    def reversed_ddim(model: Any, x: torch.Tensor) -> torch.Tensor:
        return ddim(lambda z, t: model(z, TIMES[STEPS + 1 - TIMES.index(float(t[0]))]), x)

    report = examined(reversed_ddim, expect="ddim")
    (fault,) = report.faults
    words = "the network is called at t = 1 where the grid has t = 901; all are the grid's own, in reverse order"
    assert fault.words == words


def test_the_grid_of_a_scaled_time_is_compared_too() -> None:
    flow = replace(GRID, timesteps=GRID.timesteps / 1000)
    report = audit(of_function(lambda model, x: ddim(lambda z, t: model(z, (t - 1) / 1000), x), flow))
    assert [fault.kind for fault in report.faults] == ["timestep"]
    exact = audit(of_function(lambda model, x: ddim(lambda z, t: model(z, t / 1000), x), flow))
    assert not exact.faults


@pytest.mark.parametrize(
    ("first", "second", "words", "steps"),
    [
        # Registers start equal, so the released fault cannot be seen in the first step.
        ("x", "x", "the network is given x where EDICT gives it y: eps(x) stands for eps(y)", tuple(range(2, 11))),
        ("y", "y", "given y where EDICT gives it x_inter: eps(y) stands for eps(x_inter)", tuple(range(1, 11))),
    ],
)
@pytest.mark.parametrize("p", [0.93, 0.8, 0.9137])
def test_edict_asked_at_the_wrong_register(first: str, second: str, words: str, steps: Any, p: float) -> None:
    report = examined(partial(edict, first=first, second=second, p=p))
    assert report.method is not None and report.method.name == f"edict:p={p}" and not report.method.exact
    (fault,) = report.faults
    assert fault.kind == "register" and words in fault.words and fault.steps == steps
    assert report.invertible is not None and not report.invertible[0]
    assert report.stability is None


@pytest.mark.parametrize("expect", ["edict:p=0.93", None])
def test_edict_told_wrong_times(expect: str | None) -> None:
    off = examined(lambda model, x: edict(lambda z, t: model(z, t + 1), x), expect=expect)
    (fault,) = off.faults
    assert fault.kind == "timestep" and fault.steps == tuple(range(1, 11)) and not (expect and off.sound)
    assert fault.words == "the network is called at t = 902 where the grid has t = 901; all 20 are off by +1"
    asked: list[int] = []

    def second(model: Any, x: torch.Tensor) -> Any:
        def late(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            asked.append(1)
            return model(z, t + (len(asked) % 20 == 8))

        return edict(late, x)

    (one,) = examined(second, expect=expect).faults
    assert one.steps == (4,) and "called at t = 602 where the grid has t = 601" in one.words


def test_clipping_cannot_be_undone() -> None:
    """O-BELM with each new state clipped: what was cut off is lost, whatever the relation."""
    A, B = forms("o-belm")
    inner = partial(multistep, A=A, B=B)
    report = examined(lambda model, x: inner(model, x).clamp(-1e4, 1e4))
    assert not report.faults and report.invertible is not None and report.invertible[0]
    cut = examined(lambda model, x: inner(model, x).clamp(-1, 1))
    (fault,) = cut.faults
    assert fault.kind == "clipping" and fault.steps == (10,) and "first in the result" in fault.words
    assert cut.invertible == (False, "values that were clipped or thresholded are lost")


def test_edict_with_another_mixing_than_expected() -> None:
    report = examined(partial(edict, p=0.8), expect="edict:p=0.93")
    assert not report.sound and {fault.kind for fault in report.faults} <= {"coefficient", "coefficients"}
    assert report.verdict.endswith("It is edict:p=0.8.") and report.faults[0].steps[0] == 1
    assert report.invertible is not None and report.invertible[0] and report.stability is not None


def test_other_mixings_may_be_undone_too() -> None:
    """Both registers mixed at once: invertible, but not by EDICT's inverse."""
    report = examined(partial(edict, at_once=True))
    assert report.method is not None and report.method.name == "edict:p=0.93" and not report.method.exact
    assert report.invertible is None and report.stability is None
    assert "whether they can be undone is not known" in report.notes[0]


def test_a_stage_that_is_wrong_in_one_step_is_found_from_that_step_on() -> None:
    assert examined(partial(edict, minus=5)).faults[0].steps[0] == 6


def forms(method: str) -> tuple[np.ndarray, np.ndarray]:
    A, B = coefficients(method, GRID).x_form()
    return A.copy(), B.copy()


@pytest.mark.parametrize(("method", "first"), [("adams:m=2", 3), ("blend:k=3,theta=0.8", 3)])
def test_slopes_that_changed_places(method: str, first: int) -> None:
    A, B = forms(method)
    B[: STEPS + 1 - first] = B[: STEPS + 1 - first, [1, 0]] if B.shape[1] == 2 else B[: STEPS + 1 - first]
    report = examined(partial(multistep, A=A, B=B))
    assert report.method is not None and report.method.name == method
    (fault,) = report.faults
    assert fault.kind == "swapped" and fault.steps == tuple(range(first, STEPS + 1))
    assert "B_1 and B_2 have changed places" in fault.words


def test_a_dropped_slope_and_a_reversed_sign() -> None:
    A, B = forms("adams:m=2")
    B[:, 1] = 0
    (fault,) = examined(partial(multistep, A=A, B=B), expect="adams:m=2").faults
    assert fault.kind == "coefficient B_2" and "this term was dropped" in fault.words and len(fault.steps) == 9
    A, B = forms("o-belm")
    A[:-1, 1] *= -1
    (fault,) = examined(partial(multistep, A=A, B=B)).faults
    assert fault.kind == "coefficient A_2" and "its sign is reversed" in fault.words
    A, B = forms("ddim")
    A = np.pad(A, ((0, 0), (0, 1)))
    A[3, 1] = 0.1
    (fault,) = examined(partial(multistep, A=A, B=B)).faults
    assert fault.kind == "coefficient A_2" and "this term should not be there" in fault.words


@pytest.mark.parametrize("expect", ["adams:m=3", None])
def test_a_factor_dropped_at_older_outputs(expect: str | None) -> None:
    A, B = forms("adams:m=3")
    for dropped, names in (([(4, 2)], "B_2"), ([(4, 1), (4, 3)], "B_1 and B_3")):
        report = examined(partial(multistep, A=A, B=B, dropped=dropped), expect=expect)
        assert report.method is not None and report.method.name == "adams:m=3"
        (fault,) = report.faults
        total = sum(B[3, j - 1] for _, j in dropped)
        assert fault.kind == "missing-factor" and fault.steps == (7,)
        assert fault.words == (
            f"{total:.6g} is added as a constant and is missing in {names}, of the network's outputs: a factor "
            "`* noise_pred` was dropped"
        )


def test_a_factor_dropped_in_edict() -> None:
    calls: list[int] = []

    def once(model: Any, x: torch.Tensor) -> Any:
        def output(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            found = model(z, t)
            return torch.ones_like(found) if len(calls) % 20 == 9 else found

        return edict(output, x)

    (fault,) = examined(once, expect="edict").faults
    assert fault.kind == "missing-factor" and fault.steps == (5,)
    assert "missing in the weight of eps of call 9: a factor `* noise_pred` was dropped" in fault.words


@pytest.mark.parametrize(
    ("method", "back", "lost"),
    [
        ("blend:k=3,theta=0.8", 1, False),
        ("o-belm", 1, True),
        ("open:k=3", 1, False),
        ("open:k=3", 2, True),
        ("ddim", 1, True),
    ],
)
@pytest.mark.parametrize("expected", [True, False])
def test_the_network_is_given_an_older_state(method: str, back: int, lost: bool, expected: bool) -> None:
    A, B = forms(method)
    run = partial(multistep, A=A, B=B, given=lambda i, states: states[back if back < len(states) else 0])
    report = examined(run, expect=method if expected else None)
    assert report.method is not None and (report.method.name, report.method.exact) == (method, True)
    (fault,) = report.faults
    assert fault.kind == "state" and fault.steps == tuple(range(1 + back, STEPS + 1))
    assert report.sound is not expected
    words = f"call {1 + back} is given the state of call 1: eps(x_{{i+{back}}}) stands for eps(x_i)"
    assert fault.words == words
    assert report.invertible is not None and report.invertible[0] is not lost


def test_the_network_is_given_another_state_once() -> None:
    A, B = forms("blend:k=3,theta=0.8")
    for given, words, solvable in (
        (lambda i, s: s[0] * (1.5 if i == 6 else 1), "call 5 is given 1.5 times its state", True),
        (lambda i, s: s[0] + s[-1] * (i == 6), "what call 5 is given is no state of the run", False),
    ):
        run = partial(multistep, A=A, B=B, given=given)
        report = examined(run, expect="blend:k=3,theta=0.8")
        (fault,) = report.faults
        assert fault.kind == "state" and fault.steps == (5,) and fault.words == words
        assert report.invertible is not None and report.invertible[0] is solvable


@pytest.mark.parametrize("j", [1, 2])
@pytest.mark.parametrize("size", [3e-5, -4e-4])
def test_a_small_difference_is_found_where_it_is(j: int, size: float) -> None:
    A, B = forms("o-belm")
    A[4, j - 1] *= 1 + size
    (fault,) = examined(partial(multistep, A=A, B=B), expect="o-belm").faults
    assert fault.kind == f"coefficient A_{j}" and fault.steps == (6,)
    assert fault.words.endswith(f": off by {size:+.2g} of it")


def test_a_difference_below_the_tolerance_is_seen_with_a_smaller_one() -> None:
    A, B = forms("o-belm")
    A[4, 1] *= 1 + 1e-7
    subject = of_function(partial(multistep, A=A, B=B), GRID)
    assert audit(subject, expect="o-belm").sound
    (fault,) = audit(subject, expect="o-belm", tolerance=1e-10).faults
    assert fault.kind == "coefficient A_2" and fault.words.endswith("off by +1e-07 of it")


def test_an_output_that_is_read_as_something_else() -> None:
    subject = replace(of_sampler(Sampler("ddim", GRID, prediction="v")), prediction="epsilon")
    report = audit(subject, expect="ddim")
    assert [fault.words for fault in report.faults] == ["the network's output is taken for 'v', but it is 'epsilon'"]
    assert not report.sound


def test_fresh_noise_and_nonlinearity() -> None:
    noisy = examined(partial(ddim, noisy=True), expect="ddim")
    assert "draws fresh noise" in noisy.verdict and not noisy.sound and noisy.method is None
    clipping = examined(partial(ddim, clip=True), expect="ddim")
    (fault,) = clipping.faults
    assert fault.kind == "clipping" and fault.steps == (1,) and not clipping.sound
    assert "values of size 1 are clipped or thresholded (first in what call 2 is given)" in fault.words
    assert clipping.method is not None and clipping.method.exact
    curved = examined(lambda model, x: ddim(lambda z, t: model(z, t) * z, x))
    assert curved.failure is not None and "is not linear" in curved.failure
    mixing = examined(lambda model, x: ddim(lambda z, t: model(z, t).roll(1, -1), x))
    assert mixing.failure is not None and "is not linear" in mixing.failure


def test_a_step_function_is_audited_at_the_times_of_its_grid() -> None:
    asked: list[float] = []

    def step(output: torch.Tensor, t: float, x: torch.Tensor) -> torch.Tensor:
        asked.append(t)
        i = GRID.timesteps.tolist().index(t)
        A = GRID.alpha[i - 1] / GRID.alpha[i]
        return A * x + (GRID.sigma[i - 1] - A * GRID.sigma[i]) * output

    assert audit(of_step(step, GRID), expect="ddim").sound
    assert asked[:STEPS] == GRID.timesteps[:0:-1].tolist()
