"""What a run costs and how it fails: constant memory, no waiting for the device, the first bad step by name."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from belm_runtime import NotFiniteError, Sampler, Schedule

METHODS = ["ddim", "adams:m=4", "o-belm", "bdia:gamma=1", "open:k=3", "blend:k=5", "edict"]
INVERTIBLE = ["o-belm", "open:k=3", "blend:k=5", "edict"]
SD15 = Schedule.preset("sd15")
NOISE = torch.randn(2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def toy(x: Tensor, t: Tensor) -> Tensor:
    return torch.tanh(x + t[:, None] / 1000)


# ---- memory ------------------------------------------------------------------------------------------------


class Counting:
    """A network that counts, at every call, how many of its inputs and outputs are still alive."""

    def __init__(self) -> None:
        self.alive: set[int] = set()
        self.most = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        prediction = toy(x, t)
        for tensor in (x, prediction):
            if id(tensor) not in self.alive:
                self.alive.add(id(tensor))
                weakref.finalize(tensor, self.alive.discard, id(tensor))
        self.most = max(self.most, len(self.alive))
        return prediction


@pytest.mark.parametrize("method", METHODS)
def test_live_tensors_do_not_grow_with_the_number_of_steps(method: str) -> None:
    most = []
    for steps in (10, 40):
        model = Counting()
        sampler = Sampler(method, SD15.grid(steps))
        state = sampler.sample(model, NOISE)
        assert len(state.history) <= max(2, sampler.method.k)
        del state
        assert not model.alive
        most.append(model.most)
    # k states, k - 1 slopes, and the prediction of this call before it is copied.
    assert most[0] == most[1] <= 2 * sampler.method.k + 1


def test_an_inversion_holds_no_more() -> None:
    for method in ("open:k=3", "edict"):
        most = []
        for steps in (10, 40):
            model, sampler = Counting(), Sampler(method, SD15.grid(steps))
            sampler.invert(model, NOISE)
            most.append(model.most)
        assert most[0] == most[1] <= 2 * sampler.method.k + 1


# ---- no waiting --------------------------------------------------------------------------------------------


class Waits(TorchDispatchMode):
    """Notes every operation that reads a value back from the device."""

    def __init__(self) -> None:
        super().__init__()
        self.steps_done = 0
        self.found: list[tuple[int, str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(word in func.name() for word in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal")):
            self.found.append((self.steps_done, func.name()))
        return func(*args, **(kwargs or {}))

    def step(self, done: int, total: int) -> None:
        self.steps_done = done


@pytest.mark.parametrize("method", METHODS)
def test_the_loop_reads_nothing_back_and_the_end_reads_once(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def noting(name: str) -> Any:
        original = getattr(Tensor, name)

        def wrapper(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            waits.found.append((waits.steps_done, name))
            return original(self, *args, **kwargs)

        return wrapper

    waits = Waits()
    sampler = Sampler(method, SD15.grid(12), progress=waits.step)
    for name in ("item", "cpu", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__"):
        monkeypatch.setattr(Tensor, name, noting(name))
    with waits:
        part = sampler.sample(toy, NOISE)
        assert waits.found and {done for done, _ in waits.found} == {12}
        # int() is seen twice: as a method and as the one operation below it.
        assert sum(name == "aten::_local_scalar_dense" for _, name in waits.found) == 1
        if method in INVERTIBLE:
            waits.found.clear()
            waits.steps_done = 0
            sampler.invert(toy, part)
            assert {done for done, _ in waits.found} == {sampler.grid.steps - max(part.nodes)}
            assert sum(name == "aten::_local_scalar_dense" for _, name in waits.found) == 1


@pytest.mark.parametrize("method", INVERTIBLE)
def test_integers_are_looked_at_before_the_first_call_and_after_the_last_step(method: str) -> None:
    waits, at_the_first_call = Waits(), []
    sampler = Sampler(method, SD15.grid(12), arithmetic="integer", progress=waits.step)

    def model(x: Tensor, t: Tensor) -> Tensor:
        at_the_first_call.append(len(waits.found))
        return toy(x, t)

    with waits:
        state = sampler.sample(model, NOISE)
        assert [done for done, _ in waits.found] == [0, 12] and set(at_the_first_call) == {1}
        waits.found.clear(), at_the_first_call.clear()
        waits.steps_done = 0
        sampler.invert(model, state)
        before, after = waits.found[:-1], waits.found[-1]
        assert {done for done, _ in before} == {0} and after[0] == 12 - max(state.nodes)
        assert set(at_the_first_call) == {len(before)}


def test_the_watch_itself_sees_a_model_that_waits() -> None:
    waits = Waits()
    sampler = Sampler("ddim", SD15.grid(4), progress=waits.step)
    with waits:
        sampler.sample(lambda x, t: x * float(t[0]) / 1000, NOISE)
    assert [done for done, _ in waits.found] == [0, 1, 2, 3, 4]


# ---- failing -----------------------------------------------------------------------------------------------


class Breaks:
    """A network that returns something else at one timestep."""

    def __init__(self, time: float, value: float) -> None:
        self.time, self.value = time, value

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        prediction = toy(x, t)
        if float(t[0]) == self.time:
            prediction[-1, 0] = self.value
        return prediction


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("node", [10, 7, 1])
@pytest.mark.parametrize("method", METHODS)
def test_sampling_names_the_first_bad_step(method: str, node: int, value: float) -> None:
    grid = SD15.grid(10)
    words = rf"step {11 - node} of 10, from node {node} to node {node - 1}: .* not finite \(NaN or overflow\)"
    with pytest.raises(NotFiniteError, match=words):
        Sampler(method, grid).sample(Breaks(grid.timesteps[node], value), NOISE)


@pytest.mark.parametrize("method", INVERTIBLE)
def test_inversion_names_the_first_bad_step(method: str) -> None:
    grid = SD15.grid(12)
    sampler = Sampler(method, grid)
    state = sampler.sample(toy, NOISE)
    here = max(state.nodes)
    # A relation makes node 9 with the slope at node 8, EDICT's row 9 with the slopes at node 9.
    time = grid.timesteps[9 if method == "edict" else 8]
    with pytest.raises(NotFiniteError, match=f"step {9 - here} of {12 - here}, from node 8 to node 9"):
        sampler.invert(Breaks(time, float("nan")), state)


def test_a_continued_run_counts_from_where_it_stands() -> None:
    grid = SD15.grid(12)
    sampler = Sampler("o-belm", grid)
    part = sampler.sample(toy, NOISE, stop=6)
    with pytest.raises(NotFiniteError, match="step 1 of 6, from node 6 to node 5"):
        sampler.sample(Breaks(grid.timesteps[6], float("nan")), part)


def test_overflow_is_found_in_float32() -> None:
    with pytest.raises(NotFiniteError, match=r"step \d+ of 20"):
        Sampler("ddim", SD15.grid(20), arithmetic="float32").sample(lambda x, t: -x.abs() * 1e9, NOISE)


def test_a_bad_start_is_found() -> None:
    with pytest.raises(NotFiniteError, match="step 1 of 10, from node 10 to node 9"):
        Sampler("open:k=3", SD15.grid(10)).sample(toy, torch.full((1, 3), torch.nan))


def test_large_finite_states_are_no_failure() -> None:
    state = Sampler("ddim", SD15.grid(10)).sample(toy, torch.full((2, 6), 1e300, dtype=torch.float64))
    assert state.x.isfinite().all()
