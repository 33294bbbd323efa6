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
    assert report.inverse.words == "it never asks the network: it returns what sampling saved, states or predictions"


def test_an_inverse_that_rides_on_globals_is_none() -> None:
    saved = list[torch.Tensor]()

    def sample(model: Any, x: torch.Tensor) -> torch.Tensor:
        saved.clear()

        def watched(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            saved.append(model(z, t))
            return saved[-1]

        return ddim(watched, x)

    def undo(model: Any, x: torch.Tensor) -> torch.Tensor:
        for i, eps in enumerate(reversed(saved), 1):
            x = (x - (SIGMA[i - 1] - ALPHA[i - 1] / ALPHA[i] * SIGMA[i]) * eps) * ALPHA[i] / ALPHA[i - 1]
        return x

    found = audit(of_function(sample, GRID, invert=undo)).inverse
    assert found is not None and found.holds is False and found.replay is not None and found.replay > 1e-3
    assert found.words == (
        "it leads back only right after its own sampling: what it needs is not in what sampling returned"
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_inverse_of_a_clipping_sampler_leads_back_for_small_values_only() -> None:
    def sample(model: Any, x: torch.Tensor) -> Any:
        x, y = edict(model, x)
        return x.clamp(-1, 1), y.clamp(-1, 1)

    report = audit(of_function(sample, GRID, invert=edict_inverse))
    found = report.inverse
    assert found is not None and found.holds is False and found.live > 1e-2
    assert found.words == "it leads back only for values too small to be clipped"
    assert report.invertible is not None and report.invertible[0] is False and not report.sound


def test_claims_are_tried_where_noise_is_drawn() -> None:
    found = audit(of_function(partial(ddim, noisy=True), GRID, invert=ddim_inversion)).inverse
    assert found is not None and found.holds is False and found.replay is None and found.live > 1e-2
    assert found.words == "a network that depends on x is not undone"

    def kept(model: Any, x: torch.Tensor) -> Any:
        noise = torch.randn_like(x)
        x, y = edict(model, x)
        return x + noise, y, noise

    exact = audit(of_function(kept, GRID, invert=lambda m, r: edict_inverse(m, (r[0] - r[2], r[1]))))
    assert exact.failure is not None and "draws fresh noise" in exact.failure and exact.sound
    assert exact.inverse is not None and exact.inverse.holds is None and exact.inverse.live < 1e-9
    assert "one network says little" in exact.inverse.words


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_amplified_rounding_is_no_verdict_where_noise_is_drawn() -> None:
    sampler = Sampler("belm:k=3", SCHEDULE.grid(12))

    def sample(model: Any, x: torch.Tensor) -> Any:
        state = sampler.sample(model, x)
        return state.x * (1 + torch.rand_like(x)), state

    report = audit(of_function(sample, sampler.grid, invert=lambda model, pair: sampler.invert(model, pair[1])))
    assert report.failure is not None and "draws fresh noise" in report.failure
    assert report.inverse is not None and report.inverse.holds is None and report.inverse.live > 1e-5
    assert "audit it with fewer steps" in report.inverse.words


def test_a_small_error_is_named_where_it_is_made() -> None:
    """2e-6 in one step of the way back is below the tolerance there and grows by 1/p a step."""

    def off(model: Any, pair: Any, p: float = 0.3) -> Any:
        x, y = pair
        for i in range(1, STEPS + 1):
            A = ALPHA[i - 1] / ALPHA[i]
            B = SIGMA[i - 1] - A * SIGMA[i]
            y = (y - (1 - p) * x) / p
            x = (x - (1 - p) * y) / p
            y = (y - B * model(x, torch.full((len(x),), TIMES[i]))) / A * (1 + 2e-6 * (i == 2))
            x = (x - B * model(y, torch.full((len(x),), TIMES[i]))) / A
        return x, y

    found = audit(of_function(partial(edict, p=0.3), GRID, invert=off)).inverse
    assert found is not None and found.holds is False and found.step == 4
    assert "on a state that sampling never had, made after its call 3" in found.words


def test_states_with_a_graph_and_shapes_that_change() -> None:
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    learned = of_function(lambda m, x: ddim(m, x) * weight, GRID, invert=lambda m, x: ddim_inversion(m, x) * weight)
    report = audit(learned)
    assert report.method is not None and report.method.exact
    assert report.inverse is not None and report.inverse.holds is False
    with pytest.raises(InputError, match=r"^run was given shape \(2, 1, 2, 2\) and returned \(1, 1, 2, 2\)$"):
        audit(of_function(lambda m, x: ddim(m, x)[:1], GRID))
    with pytest.raises(InputError, match=r"^the inverse of run was given shape .* and returned \(1, 1, 2, 2\)$"):
        audit(of_function(ddim, GRID, invert=lambda m, x: ddim_inversion(m, x)[:1]))
    with pytest.raises(InputError, match="leave out guidance"):
        audit(of_function(ddim, GRID, invert=lambda m, x: ddim_inversion(m, torch.cat([x, x]))[: len(x)]))
    with pytest.raises(InputError, match=r"^the inverse of run returned a NoneType; it must return a tensor"):
        audit(of_function(ddim, GRID, invert=lambda m, x: None))


def test_an_inverse_that_is_not_finite() -> None:
    found = audit(of_function(edict, GRID, invert=lambda m, pair: (edict_inverse(m, pair)[0] * torch.nan,))).inverse
    assert found is not None and found.holds is False and found.words == "it ends in numbers that are not finite"


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
