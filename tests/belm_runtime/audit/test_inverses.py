"""A claimed inverse is one, or it is said where and why not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from audited import ALPHA, GRID, SCHEDULE, SIGMA, STEPS, TIMES, ddim, ddim_inversion, edict, edict_inverse

from belm_runtime import InputError, Sampler, Schedule
from belm_runtime.audit import Report, audit, of_function, of_sampler
from belm_runtime.audit.inverses import check
from belm_runtime.audit.probe import probe

torch.set_num_threads(1)


@pytest.mark.parametrize("method", ["o-belm", "open:k=3", "blend:k=3,theta=0.8", "edict:p=0.93", "bdia:gamma=1"])
def test_exact_inverses_are_recognised(method: str) -> None:
    report = audit(of_sampler(Sampler(method, GRID)))
    assert report.inverse is not None and report.inverse.holds is True and report.inverse.step is None
    assert report.inverse.replay < 1e-9 and report.inverse.live < 1e-9 and report.sound


def test_ddim_inversion_undoes_the_algebra_but_asks_at_the_wrong_state() -> None:
    report = audit(of_function(ddim, GRID, invert=ddim_inversion))
    found = report.inverse
    assert found is not None and found.holds is False and found.step == 1
    assert found.replay < 1e-12 and found.live > 1e-3
    assert "asked at t = 1 on the finished sample x_0" in found.words and "algebra is undone" in found.words
    assert not report.sound


def examined(invert: object) -> Report:
    return audit(of_function(edict, GRID, invert=invert))  # type: ignore[arg-type]


def test_edict_written_out_and_with_its_mixing_undone_in_the_wrong_order() -> None:
    right = examined(edict_inverse).inverse
    assert right is not None and right.holds is True
    wrong = examined(partial(edict_inverse, swapped=True)).inverse
    assert wrong is not None and wrong.holds is False and wrong.step == 1
    assert "on a state that sampling never had, and the algebra does not close either" in wrong.words


def test_an_inverse_at_other_times() -> None:
    def late(model, pair):
        return edict_inverse(lambda x, t: model(x, t + 1), pair)

    found = examined(late).inverse
    assert found is not None and found.holds is False and found.step == 1
    assert (
        f"asked at t = {TIMES[1] + 1:g}, where sampling never asked it; the nearest is t = {TIMES[1]:g}" in found.words
    )


def test_an_inverse_that_stops_early_leaves_the_replay_open() -> None:
    found = examined(lambda model, pair: tuple(2 * r for r in edict_inverse(model, pair))).inverse
    assert found is not None and found.holds is False and found.step is None
    assert "do not lead back to x_N" in found.words


@pytest.mark.filterwarnings("ignore::belm_runtime.sampler.AmplificationWarning")
def test_amplified_rounding_is_no_verdict() -> None:
    report = audit(of_sampler(Sampler("belm:k=3", SCHEDULE.grid(12))))
    assert report.inverse is not None and report.inverse.holds is None and report.sound
    assert "audit it with fewer steps" in report.inverse.words


def test_rounding_of_float32_is_no_false_inverse() -> None:
    """Amplified 1e-7 passes the tolerance; a wrong inverse of the same sampler is found all the same."""
    sampler = Sampler("blend:k=3,theta=0.5", GRID, arithmetic="float32")
    right = audit(of_sampler(sampler)).inverse
    assert right is not None and right.holds is not False

    def scaled(model, state):
        back = sampler.invert(model, state)
        return back.x * 1.01

    wrong = audit(replace(of_sampler(sampler), invert=scaled)).inverse
    assert wrong is not None and wrong.holds is False


def test_large_weights_of_eps_hide_the_answer() -> None:
    """Where alpha is 5e-5, predictions of eps make the weights of x large though K is small."""
    sampler = Sampler("blend:k=4,theta=0.7", Schedule.preset("cosine").grid(9, "karras"))
    report = audit(of_sampler(sampler))
    assert report.inverse is not None and report.inverse.holds is None
    assert report.stability is not None and report.stability["K_inversion_x"] < 10
    assert report.stability["K_inversion_outputs"] > 1e12
    as_v = Sampler("blend:k=4,theta=0.7", sampler.grid, prediction="v")
    assert audit(of_sampler(as_v)).inverse.holds is True  # type: ignore[union-attr]


def test_an_iteration_that_leads_back_with_this_network_is_undecided() -> None:
    def iterated(model: Any, x: torch.Tensor, rounds: int = 40) -> torch.Tensor:
        for i in range(1, STEPS + 1):
            made = x
            for _ in range(rounds):
                eps = model(x, torch.full((len(x),), TIMES[i], dtype=torch.float64))
                x = ALPHA[i] * (made - SIGMA[i - 1] * eps) / ALPHA[i - 1] + SIGMA[i] * eps
        return x

    found = audit(of_function(ddim, GRID, invert=iterated)).inverse
    assert found is not None and found.holds is None and max(found.replay, found.live) < 1e-9
    assert found.step == 1 and "as an iteration does" in found.words
    short = audit(of_function(ddim, GRID, invert=partial(iterated, rounds=2))).inverse
    assert short is not None and short.holds is False


def test_an_inverse_that_was_handed_the_noise_never_asks() -> None:
    report = audit(of_function(lambda model, x: (ddim(model, x), x), GRID, invert=lambda model, result: result[1]))
    assert report.inverse is not None and report.inverse.holds is True
    assert report.inverse.words.startswith("it never asks the network")


def test_an_inverse_that_fails_is_named() -> None:
    def failing(model: object, result: object) -> None:
        raise KeyError("x")

    with pytest.raises(InputError, match="the inverse of run failed: KeyError: 'x'"):
        audit(of_function(ddim, GRID, invert=failing))


def test_no_claim_no_check() -> None:
    subject = of_function(ddim, GRID)
    assert audit(subject).inverse is None
    with pytest.raises(InputError, match="claims no inverse"):
        check(subject, probe(subject), 1e-5)
