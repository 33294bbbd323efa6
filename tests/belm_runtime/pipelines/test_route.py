"""Where runs go: fewer steps than the method has, back to the noise, a part of the way, on again, from any state."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from scheduler_runs import BOTH, network, noise, on, ready  # noqa: E402

from belm_runtime import AmplificationWarning, InputError, Sampler, State, UnstableWarning  # noqa: E402
from belm_runtime.pipelines import BELMScheduler, HistoryWarning  # noqa: E402

# ---- short runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("method", ["open:k=2", "open:k=5", "blend:k=3", "adams:m=4"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_fewer_steps_than_the_method_has(cls: Any, steps: int, method: str) -> None:
    forward = ready(cls, steps, method)
    made = on(forward, noise())
    state = forward.state
    assert made.isfinite().all() and state.nodes[0] == 0
    if method == "adams:m=4":
        return
    k = int(method[method.index("k=") + 2])
    assert state.nodes == tuple(range(min(k, steps + 1)))
    back = forward.inverse(state)
    if len(state.nodes) == steps + 1:  # the state holds the noise itself
        assert len(back.timesteps) == 0 and torch.equal(back.first, noise())
        with pytest.raises(InputError, match="this run has no steps"):
            back.step(noise(), 0, noise())
    else:
        assert float((on(back, back.first) - noise()).abs().max()) < 1e-11
    anew = forward.inverse()
    assert len(anew.timesteps) == steps and on(anew, made).isfinite().all()
    assert anew.state.nodes[0] == steps


@pytest.mark.parametrize("method", ["belm:k=3", "weights:k=2,a2=1.5", "o-belm", "blend:k=3"])
def test_a_method_that_amplifies_while_it_samples_is_told_when_the_grid_is_made(method: str) -> None:
    scheduler = BELMScheduler(method=method)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scheduler.set_timesteps(20)
    stable = method in ("o-belm", "blend:k=3")
    assert [w.category for w in caught] == ([] if stable else [UnstableWarning])
    assert all(str(w.message).startswith(f"sampling with {method} on this grid") for w in caught)


# ---- backwards and onwards ------------------------------------------------------------------------------------------


def test_a_state_goes_back_and_forth_between_scheduler_and_sampler(tmp_path: Any) -> None:
    forward = ready(steps=12, method="blend:k=4")
    on(forward, noise())
    state = State.load(forward.state.save(tmp_path / "state.safetensors"))
    sampler = Sampler("blend:k=4", forward._route.sampler.grid)

    def model(x: Tensor, t: Tensor) -> Tensor:
        return network(x, t[0])

    assert float((sampler.invert(model, state).x - noise()).abs().max()) < 1e-10
    back = BELMScheduler(method="blend:k=4").inverse(sampler.sample(model, noise()))
    back.set_timesteps(12)
    assert len(back.timesteps) == 11 and float((on(back, back.first) - noise()).abs().max()) < 1e-10


@pytest.mark.parametrize("method", ["open:k=2", "blend:k=3", "open:k=4"])
def test_from_a_bare_sample_it_is_the_samplers_inversion(method: str) -> None:
    scheduler = ready(steps=12, method=method).inverse()
    sampler = Sampler(method, scheduler._route.sampler.grid)
    expected = sampler.invert(lambda x, t: network(x, t[0]), noise())
    made = on(scheduler, noise())
    assert float((made - expected.x).abs().max()) <= 1e-11 * float(expected.x.abs().max())
    assert scheduler.state.nodes == expected.nodes


def test_ddim_goes_back_approximately_only() -> None:
    forward = ready(method="ddim")
    made = on(forward, noise())
    assert len(forward.state.nodes) == 1
    with pytest.raises(InputError, match="ddim has a_k = 0 and cannot be inverted exactly"):
        forward.inverse()
    with pytest.raises(InputError, match="approximate inversion starts from a bare x_0, not from a State"):
        forward.inverse(forward.state, approximate=True)
    back = forward.inverse(approximate=True)
    sampler = Sampler("ddim", forward._route.sampler.grid)
    expected = sampler.invert(lambda x, t: network(x, t[0]), made, approximate=True)
    assert float((on(back, made) - expected.x).abs().max()) <= 1e-11 * float(expected.x.abs().max())


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("method", ["open:k=2", "open:k=3", "blend:k=5"])
@pytest.mark.parametrize("stop", [4, 7, 11])
def test_part_of_the_way_back_and_on_again(cls: Any, method: str, stop: int) -> None:
    """What an edit does: back to a node, and from the states there to the data."""
    forward = ready(cls, 12, method)
    x, along = noise(), []
    for t in forward.timesteps:
        along.append(x)
        x = forward.step(network(x, t), t, x).prev_sample
    back = forward.inverse(forward.state, stop=stop)
    there = on(back, back.first)
    assert float((there - along[12 - stop]).abs().max()) < 1e-10
    state = back.state
    assert state.nodes[0] == stop
    again = back.inverse(state)
    assert float((on(again, again.first) - x).abs().max()) < 1e-10
    bare = back.inverse()
    bare.set_begin_index(12 - stop)
    assert on(bare, there, start=12 - stop).isfinite().all()


def test_resuming_in_the_middle() -> None:
    whole = ready(steps=12, method="blend:k=4")
    made = on(whole, noise())
    for stop in (2, 3, 5, 11):
        part = ready(steps=12, method="blend:k=4")
        on(part, noise(), stop=stop)
        rest = part.resume(part.state)
        assert torch.allclose(on(rest, rest.first), made, rtol=1e-11)
        # The slopes of older states are evaluated again: k - 2 calls once the history is full.
        assert rest.state.calls == 12 - stop + min(stop, 2)
    upward = whole.inverse(whole.state, stop=7)
    on(upward, upward.first)
    rest = upward.resume(upward.state)
    assert float((on(rest, rest.first) - noise()).abs().max()) < 1e-10


@pytest.mark.parametrize("direction", ["inverse", "resume"])
def test_a_run_from_a_state_starts_with_its_own_sample(direction: str) -> None:
    forward = ready()
    x = on(forward, noise(), stop=7)
    scheduler = getattr(forward, direction)(forward.state)
    for wrong in (x + 1e-9, x[:1], x.float(), forward.state.x.roll(1)):
        with pytest.raises(InputError, match=r"starts with its own sample: hand over scheduler\.first"):
            scheduler.step(wrong, scheduler.timesteps[0], wrong)
    first = scheduler.first
    with pytest.raises(InputError, match=r"starts with its own sample"):
        scheduler.step(first, scheduler.timesteps[2], first)
    scheduler.step(first, scheduler.timesteps[0], first)
    # In the model's dtype it is recognised too, and the finer state behind it is used.
    single = getattr(forward, direction)(forward.state)
    single.step(first.float(), single.timesteps[0], first.float())
    assert single.state.x.dtype == torch.float64


def test_wrong_states_are_refused() -> None:
    forward = ready(steps=10)
    on(forward, noise(), stop=2)
    with pytest.raises(InputError, match="a run up from node 10 cannot stop at node 9"):
        forward.inverse(forward.state, stop=9)
    middle = ready(steps=10)
    middle.set_begin_index(9)
    on(middle, noise(), start=9)
    with pytest.raises(InputError, match="inverting open:k=3 needs the last 3 states; this state holds 2"):
        middle.inverse(middle.state)
    forward.set_timesteps(10)
    on(forward, noise())
    state = forward.state
    with pytest.raises(InputError, match="the state has another grid"):
        forward.inverse(state).set_timesteps(11)
    with pytest.raises(InputError, match="the state has another method: 'open:k=3', this sampler has 'open:k=4'"):
        ready(steps=10, method="open:k=4").inverse(state)
    with pytest.raises(InputError, match="a run up from node 2 cannot stop at node 1"):
        forward.inverse(state, stop=1)
    for stop in (-1, 11, 1.5):
        with pytest.raises(InputError, match="stop must be a whole number from 0 to 10"):
            forward.inverse(state, stop=stop)
    with pytest.raises(InputError, match="only a run from a State has a first sample"):
        _ = forward.first
    with pytest.raises(InputError, match="only after set_timesteps"):
        _ = BELMScheduler(method="open:k=3").inverse(state).first


def test_a_large_amplification_is_told_before_the_way_back() -> None:
    forward = ready(steps=100, method="bdia:gamma=0.5")
    with pytest.warns(AmplificationWarning, match="inverting bdia:gamma=0.5 on this grid amplifies rounding"):
        forward.inverse()


def test_a_changed_sample_on_the_way_up_starts_anew_there() -> None:
    back = ready(steps=12, method="blend:k=3").inverse()
    x = on(back, noise(), stop=6)
    with pytest.warns(HistoryWarning):
        on(back, x + 0.0, start=6)
    assert back.state.nodes == (12, 11, 10)
    exact = ready(steps=12, method="open:k=3")
    made = on(exact, noise())
    # Adams-Bashforth from one state of a smooth solution: close to the way that kept its history.
    kept, lost = exact.inverse(), exact.inverse()
    one = on(kept, made)
    y = on(lost, made, stop=6)
    with pytest.warns(HistoryWarning):
        other = on(lost, y.clone(), start=6)
    assert 1e-6 < float((one - other).abs().max()) < 0.5
