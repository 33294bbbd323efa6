"""The loop of both schedulers: histories kept and lost, steps found, failures found without waiting."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from scheduler_runs import BOTH, SHAPE, network, noise, on, ready  # noqa: E402

from belm_runtime import InputError, NotFiniteError, Sampler  # noqa: E402
from belm_runtime.pipelines import BELMScheduler, HistoryWarning  # noqa: E402

# ---- what is handed back, and what the run continues from --------------------------------------------------------


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_run_continues_from_the_finer_state(cls: Any, dtype: torch.dtype) -> None:
    """The network sees the sample's dtype; the states are those of a sampler whose model rounds its input."""
    scheduler, x = ready(cls, 10), noise(dtype=dtype)
    made = on(scheduler, x)
    state = scheduler.state
    assert made.dtype == dtype and torch.equal(state.x.to(dtype), made) and not torch.equal(state.x, made.double())
    times = dict(zip(range(10, 0, -1), scheduler.timesteps, strict=True))
    nodes = iter(range(10, 0, -1))
    sampler = Sampler("open:k=3", scheduler._route.sampler.grid, prediction=scheduler._prediction)
    expected = sampler.sample(lambda y, t: network(y.to(dtype), times[next(nodes)]).to(y.dtype), x)
    assert torch.allclose(state.x, expected.x, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("cls", BOTH)
def test_a_bfloat16_network_with_float32_states(cls: Any) -> None:
    """Rounded states would cost more than a rounded network does; and the way back finds them to float32."""
    exact = on(ready(cls, 20), noise())
    fine, coarse = ready(cls, 20, arithmetic="float32"), ready(cls, 20, method="ddim", arithmetic="float32")
    made = on(fine, noise(dtype=torch.bfloat16))
    state = fine.state
    assert made.dtype == torch.bfloat16 and state.x.dtype == torch.float32 and torch.equal(state.x.bfloat16(), made)
    rounded = noise(dtype=torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HistoryWarning)
        for t in coarse.timesteps:
            rounded = coarse.step(network(rounded, t), t, rounded.clone()).prev_sample
    scale = float(exact.abs().max())
    assert float((state.x - exact).abs().max()) < 0.02 * scale
    back = fine.inverse(state)
    seed = on(back, back.first.bfloat16())
    assert torch.equal(seed, noise(dtype=torch.bfloat16))
    assert float((back.state.x - noise(dtype=torch.bfloat16).float()).abs().max()) < 1e-2


@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_nothing_handed_back_is_ever_written_to(arithmetic: str) -> None:
    scheduler = ready(steps=8, method="blend:k=4", arithmetic=arithmetic)
    x = noise(dtype=torch.float32)
    kept, copies = [x], [x.clone()]
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x).prev_sample
        kept.append(x)
        copies.append(x.clone())
    on(ready(steps=8, method="blend:k=4", arithmetic=arithmetic), noise(dtype=torch.float32))
    scheduler.set_timesteps(3)
    on(scheduler, noise(dtype=torch.float32, seed=5))
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))
    assert len({y.data_ptr() for y in kept}) == len(kept)


def test_a_network_with_one_output_buffer_is_no_trap() -> None:
    buffer = torch.empty(SHAPE, dtype=torch.float64)

    def lazy(x: Tensor, t: Tensor) -> Tensor:
        return buffer.copy_(network(x, t))

    one, two = ready(method="blend:k=5"), ready(method="blend:k=5")
    x = y = noise()
    for t in one.timesteps:
        x = one.step(lazy(x, t), t, x).prev_sample
    assert torch.equal(x, on(two, y))


CHANGES = {
    "copied": lambda x: x.clone(),
    "cast": lambda x: x.to(torch.float16),
    "moved in place": lambda x: x.mul_(1.0),
    "edited": lambda x: x + 0.1,
    "part of the batch": lambda x: x[:1].clone(),
}


@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cls", BOTH)
def test_a_changed_sample_starts_a_new_history_and_says_so_once(cls: Any, change: str, arithmetic: str) -> None:
    """From there it is the run of a scheduler that begins at that node."""
    scheduler, fresh = (ready(cls, 10, "blend:k=4", arithmetic=arithmetic) for _ in range(2))
    x = CHANGES[change](on(scheduler, noise(dtype=torch.float32), stop=6))
    fresh.set_begin_index(6)
    expected = on(fresh, x.clone(), start=6)
    with pytest.warns(HistoryWarning, match="sample of step 7 is not the last result as it was handed out") as caught:
        made = on(scheduler, x, start=6, stop=8)
        made = on(scheduler, made.clone(), start=8)
    assert len(caught) == 1
    assert made.dtype == x.dtype and made.shape == x.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fresh.set_begin_index(6)
        y = on(fresh, x, start=6, stop=8)
        assert torch.equal(on(fresh, y.clone(), start=8), made)
    assert not torch.equal(made, expected)
    # A new run has a new warning.
    scheduler.set_timesteps(10)
    with pytest.warns(HistoryWarning):
        on(scheduler, on(scheduler, noise(), stop=2).clone(), start=2)


def test_an_old_result_written_to_is_noticed_too() -> None:
    """Of the same dtype as the state, what was handed back is the state itself."""
    scheduler = ready(method="open:k=3")
    older = on(scheduler, noise(), stop=4)
    x = on(scheduler, older, start=4, stop=5)
    older.add_(1.0)
    with pytest.raises(InputError, match="written into after it was handed out; the states are lost"):
        _ = scheduler.state
    with pytest.warns(HistoryWarning):
        on(scheduler, x, start=5)


def test_the_state_handed_out_is_a_copy() -> None:
    scheduler = ready()
    made = on(scheduler, noise())
    state = scheduler.state
    made.zero_()
    assert state.x.abs().min() > 0
    state.x.zero_()


@pytest.mark.parametrize("cls", BOTH)
def test_inference_mode_too(cls: Any) -> None:
    """Its tensors do not count what is written into them; ours do."""
    plain = on(ready(cls, 10, "blend:k=4"), noise())
    scheduler = ready(cls, 10, "blend:k=4")
    with torch.inference_mode():
        x = on(scheduler, noise(), stop=6)
        assert torch.equal(on(scheduler, x, start=6), plain)
        scheduler.set_timesteps(10)
        x = on(scheduler, noise(), stop=6)
        x.add_(0.1)
        with pytest.warns(HistoryWarning):
            on(scheduler, x, start=6)


def test_gradients_flow_through_a_run() -> None:
    """Nothing is cut off: the derivative is that of the sampler's recurrence, here against differences."""

    def last(x: Tensor) -> Tensor:
        return on(ready(steps=4, method="blend:k=3"), x).sum()

    x = noise(1, 3).requires_grad_()
    (slope,) = torch.autograd.grad(last(x), x)
    with torch.no_grad():
        step = 1e-6 * noise(1, 3, seed=9)
        difference = (last(x + step) - last(x - step)) / 2
    assert float((slope * step).sum()) == pytest.approx(float(difference), rel=1e-6)


# ---- which step a call is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("how", ["view", "number", "copy", "half", "batch"])
def test_timesteps_may_come_in_any_form(cls: Any, how: str) -> None:
    forms = {
        "view": lambda t: t, "number": lambda t: t.item(), "copy": lambda t: t.clone(),
        "half": lambda t: t.to(torch.bfloat16), "batch": lambda t: t.expand(2),
    }  # fmt: skip
    expected = on(ready(cls, 10), noise())
    scheduler, x = ready(cls, 10), noise()
    for n, t in enumerate(scheduler.timesteps):
        x = scheduler.step(network(x, t), forms[how](t), x).prev_sample
        assert scheduler.step_index == n + 1
    assert torch.equal(x, expected)


def test_a_loop_over_a_part_begins_there() -> None:
    scheduler, other = ready(), ready()
    x = noise()
    other.set_begin_index(4)
    assert torch.equal(on(scheduler, x, start=4), on(other, x, start=4)) and scheduler.state.calls == 6


def test_after_the_last_step_the_next_run_begins() -> None:
    scheduler = ready()
    one = on(scheduler, noise())
    assert torch.equal(on(scheduler, noise()), one)
    assert on(scheduler, noise(3, 4, 2, 2)).shape == (3, 4, 2, 2)


def test_a_jump_starts_a_new_history() -> None:
    scheduler = ready()
    x = on(scheduler, noise(), stop=3)
    with pytest.warns(HistoryWarning, match="sample of step 6"):
        on(scheduler, x, start=5)
    assert scheduler.state.calls == 5


def test_a_timestep_off_the_grid_is_taken_as_the_nearest() -> None:
    scheduler, x = ready(), noise()
    with pytest.warns(HistoryWarning, match="timestep 412 is none of this run's; its nearest, 400, is taken instead"):
        x = scheduler.step(network(x, torch.tensor(412)), 412, x).prev_sample
    assert scheduler.step_index == 6
    on(scheduler, x, start=6)


@pytest.mark.parametrize("cls", BOTH)
def test_begin_index(cls: Any) -> None:
    scheduler = ready(cls, 10, "blend:k=4")
    assert scheduler.begin_index is None and scheduler.step_index is None
    for begin in (0, 6, 7, 8, 9):
        scheduler.set_begin_index(begin)
        assert scheduler.begin_index == begin and scheduler.step_index is None
        on(scheduler, noise(), start=begin)
        state = scheduler.state
        assert state.calls == 10 - begin and state.nodes == tuple(range(min(4, 11 - begin)))
    # What a pipeline said counts, not the timestep it hands over: that would have to be read from the device.
    scheduler.set_begin_index(4)
    scheduler.step(noise(), 0, noise())
    assert scheduler.step_index == 5
    scheduler.set_begin_index(10)
    with pytest.raises(InputError, match="this run has no steps"):
        scheduler.step(noise(), scheduler.timesteps[-1], noise())
    for wrong in (-1, 11, 0.5, None):
        with pytest.raises(InputError, match="begin_index must be a whole number from 0 to 10"):
            scheduler.set_begin_index(wrong)
    scheduler.set_timesteps(5)
    assert scheduler.begin_index is None


def test_a_begin_in_the_middle_starts_as_the_top_does() -> None:
    """The same as a run on a grid that ends there, whose table starts there."""
    scheduler = ready(steps=10, method="adams:m=4")
    scheduler.set_begin_index(4)
    short = BELMScheduler(method="adams:m=4")
    short.set_timesteps(timesteps=scheduler.timesteps[4:])
    assert torch.allclose(on(scheduler, noise(), start=4), on(short, noise()), rtol=1e-12)


# ---- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("at", [0, 4, 9])
def test_a_nan_is_raised_in_the_last_step_and_names_the_first(cls: Any, at: int, bad: float) -> None:
    scheduler, x = ready(cls, 10, "blend:k=3"), noise()
    with pytest.raises(NotFiniteError, match=f"step {at + 1} of 10, from node {10 - at} to node {9 - at}: the model's"):
        for n, t in enumerate(scheduler.timesteps):
            output = network(x, t)
            if n == at:
                output[0, 0, 0, 0] = bad
            x = scheduler.step(output, t, x).prev_sample
    assert n == 9  # not before the end: no step waits for the device
    with pytest.raises(InputError, match="no state before the first step"):
        _ = scheduler.state
    on(scheduler, noise())


def test_a_nan_in_a_run_that_was_broken_off_is_found_in_its_state() -> None:
    scheduler, x = ready(), noise()
    t = scheduler.timesteps[0]
    scheduler.step(network(x, t) * float("nan"), t, x)
    with pytest.raises(NotFiniteError, match="step 1 of 10"):
        _ = scheduler.state
    back = ready().inverse()
    with pytest.raises(NotFiniteError, match="step 1 of 10, from node 0 to node 1"):
        on(back, x * float("nan"))


def test_an_overflow_of_float32_is_one_of_float32_only() -> None:
    huge = torch.full(SHAPE, 1e37)
    double, single = ready(steps=4, arithmetic="float64"), ready(steps=4, arithmetic="float32")
    for t in double.timesteps[:-1]:
        huge = double.step(huge * 3, t, huge).prev_sample
    with pytest.raises(NotFiniteError, match="step"):
        on(single, torch.full(SHAPE, 3e38))


def test_wrong_calls() -> None:
    scheduler, x = ready(), noise()
    t = scheduler.timesteps[0]
    with pytest.raises(InputError, match=r"eta = 0.5 draws fresh noise in each step, which no inverse can undo"):
        scheduler.step(x, t, x, eta=0.5)
    with pytest.raises(InputError, match=r"returned a float64 tensor of shape \(2, 8, 6, 5\).*predicts a variance"):
        scheduler.step(torch.cat([x, x], 1), t, x)
    with pytest.raises(InputError, match="x must be a floating tensor"):
        scheduler.step(x.long(), t, x.long())
    with pytest.raises(InputError, match="call set_timesteps before step"):
        BELMScheduler().step(x, 1, x)
    with pytest.raises(InputError, match="no state before the first step"):
        _ = scheduler.state


def test_messages_are_one_line() -> None:
    for call in (
        lambda: BELMScheduler(clip_sample=True),
        lambda: ready().step(noise(), 0, noise(), eta=1.0),
        lambda: BELMScheduler(method="edict"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert not re.search(r"\n|  ", str(caught.value))
