"""What a step costs, counted: operations, waits, live bytes; copies, and any device."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

diffusers = pytest.importorskip("diffusers")

from scheduler_runs import BOTH, network, noise, on, ready  # noqa: E402

from belm_runtime.pipelines import BELMScheduler, HistoryWarning  # noqa: E402

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

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


def test_timesteps_lie_where_they_are_asked_for() -> None:
    for cls in BOTH:
        scheduler = cls(method="open:k=3")
        scheduler.set_timesteps(5, device="meta")
        assert scheduler.timesteps.device.type == "meta"
        assert scheduler.inverse().timesteps.device.type == "meta"


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
