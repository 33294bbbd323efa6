"""The loop of both schedulers: histories kept and lost, steps found, NaN, waiting, memory, and edges of every kind."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

diffusers = pytest.importorskip("diffusers")

from belm_runtime import AmplificationWarning, InputError, NotFiniteError, Sampler, State  # noqa: E402
from belm_runtime.pipelines import BELMScheduler, FlowBELMScheduler, HistoryWarning  # noqa: E402

BOTH = [BELMScheduler, FlowBELMScheduler]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SHAPE = (2, 4, 6, 5)


def network(x: Tensor, t: Any) -> Tensor:
    """Nonlinear, and never waits for the device."""
    return torch.tanh(1.3 * x + 0.2) + 0.1 * torch.cos(2 * x).roll(1, -1) + t.to(torch.float64) * 1e-4


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape or SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def ready(cls: Any = BELMScheduler, steps: int = 10, method: str = "open:k=3", **settings: Any) -> Any:
    scheduler = cls(method=method, **settings)
    scheduler.set_timesteps(steps)
    return scheduler


def on(scheduler: Any, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    for t in scheduler.timesteps[start:stop]:
        x = scheduler.step(network(x, t), t, x, return_dict=False)[0]
    return x


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


# ---- speed and memory, counted ---------------------------------------------------------------------------------------


class Operations(TorchDispatchMode):
    """The operations that reach the device, and the ways to read from it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func).removeprefix("aten.").split(".")[0])
        return func(*args, **kwargs or {})


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Calls of Python that read a tensor on the host."""
    called: list[str] = []
    for name in ("item", "cpu", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__"):
        plain = getattr(torch.Tensor, name)

        def noted(self: Tensor, *args: Any, plain: Any = plain, name: str = name, **kwargs: Any) -> Any:
            called.append(name)
            return plain(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, noted)
    yield called


READS = {"_local_scalar_dense", "equal", "nonzero", "is_nonzero"}


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_step_waits_and_the_run_reads_once(cls: Any, inverse: bool, dtype: torch.dtype, waits: list[str]) -> None:
    scheduler = ready(cls, 10, "blend:k=4")
    if inverse:
        scheduler = scheduler.inverse()
    x = noise(dtype=dtype)
    waits.clear()
    read: list[int] = []
    for n, t in enumerate(scheduler.timesteps):
        output = network(x, t)
        with Operations() as seen:
            x = scheduler.step(output, t, x, return_dict=False)[0]
        if waits or READS & set(seen.names):
            read.append(n)
        assert not waits or waits == ["tolist"]
        waits.clear()
    assert read == [9]


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("method", ["ddim", "o-belm", "open:k=3", "blend:k=3,theta=0.8", "blend:k=5"])
@pytest.mark.parametrize(("dtype", "casts"), [(torch.float32, 0), (torch.bfloat16, 2)])
def test_a_step_is_its_terms_and_one_sum(cls: Any, method: str, dtype: torch.dtype, casts: int) -> None:
    """One multiplication, the other terms added in place, and the sum that looks for NaN: nothing else."""
    scheduler = ready(cls, 20, method, arithmetic="float32", frame="flow")
    table = scheduler._route.sampler.table
    A, B = table.x_form(scheduler._prediction)
    x = noise(dtype=dtype)
    for n, t in enumerate(scheduler.timesteps[:15]):
        output = network(x, t).to(dtype)
        with Operations() as seen:
            x = scheduler.step(output, t, x, return_dict=False)[0]
        if n < 6:
            continue
        counts = {name: seen.names.count(name) for name in set(seen.names)}
        terms = int((A[19 - n] != 0).sum()) + int((B[19 - n] != 0).sum())
        # Each slope enters the relations ahead at once; in the steady state that makes the same number of terms.
        assert counts.pop("mul") == 1 and counts.pop("sum") == 1 and counts.pop("add_", 0) == terms - 1
        assert counts.pop("_to_copy", 0) == casts and not counts


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("changed", [False, True], ids=["kept", "changed"])
def test_memory_does_not_grow_with_the_number_of_steps(cls: Any, changed: bool) -> None:
    """Bytes of all live tensors but those that hold one number a step (timesteps, sigmas, sums)."""

    def live() -> int:
        held = {}
        for thing in gc.get_objects():
            if type(thing) is torch.Tensor and thing.numel() >= 64:
                held[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
        return sum(held.values())

    def most(steps: int) -> int:
        scheduler = ready(cls, steps, "blend:k=4")
        x = noise(2, 4, 16, 16, dtype=torch.float32)
        gc.collect()
        gc.disable()  # nothing may depend on the collector finding cycles
        gc.freeze()  # what was there before is not looked at
        try:
            found = []
            for t in scheduler.timesteps:
                x = scheduler.step(network(x, t), t, x.clone() if changed else x).prev_sample
                found.append(live())
        finally:
            gc.unfreeze()
            gc.enable()
        return max(found)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HistoryWarning)
        sample = 2 * 4 * 16 * 16
        few, many = most(10), most(50)
        assert few == many
        # k states and k - 2 sums ahead in float64, the last result in float32, and what this loop itself holds
        assert few <= sample * (8 * (4 + 2) + 4 + 4)


def test_a_scheduler_let_go_frees_its_tensors_at_once() -> None:
    gc.disable()
    try:
        scheduler = ready(method="blend:k=4")
        x = on(scheduler, noise(), stop=6)
        kept = [weakref.ref(state) for state in scheduler._course.states]
        assert len(kept) == 4
        del scheduler, x
        assert [ref() for ref in kept] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.parametrize("cls", BOTH)
def test_copies_and_pickles_go_on_by_themselves(cls: Any) -> None:
    scheduler = ready(cls, 10, "blend:k=4", arithmetic="float32")
    x = on(scheduler, noise(), stop=5)
    # What was handed out last is known by identity, so a copy is asked with the state's own sample.
    for other in (copy.deepcopy(scheduler), pickle.loads(pickle.dumps(scheduler))):
        assert dict(other.config) == dict(scheduler.config) and other.step_index == 5
        rest = other.resume(other.state)
        assert torch.allclose(on(rest, rest.first), on(scheduler.resume(scheduler.state), rest.first))
    on(scheduler, x, start=5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("cls", BOTH)
def test_any_device(cls: Any, device: str) -> None:
    scheduler = cls(method="open:k=3")
    scheduler.set_timesteps(10, device=device)
    x = noise(dtype=torch.float32).to(device)
    made = on(scheduler, x)
    assert scheduler.timesteps.device.type == made.device.type == device
    back = scheduler.inverse(scheduler.state)
    assert back.timesteps.device.type == device
    assert float((on(back, back.first.float()) - x).abs().max()) < 1e-4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_loop_does_not_synchronise_with_cuda() -> None:
    scheduler = BELMScheduler(method="blend:k=3")
    scheduler.set_timesteps(10, device="cuda")
    x = noise(dtype=torch.float32).cuda()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        on(scheduler, x, stop=9)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_messages_are_one_line() -> None:
    for call in (
        lambda: BELMScheduler(clip_sample=True),
        lambda: ready().step(noise(), 0, noise(), eta=1.0),
        lambda: BELMScheduler(method="edict"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert not re.search(r"\n|  ", str(caught.value))
