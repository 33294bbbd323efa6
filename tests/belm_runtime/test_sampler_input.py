"""The sampler's manners: nobody's tensors are written to, and every wrong call is refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sampler_runs import ALL, INVERTIBLE, SD15, noise, same, toy
from torch import Tensor

from belm_runtime import Grid, InputError, Sampler

# ---- memory that belongs to others -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")
@pytest.mark.parametrize("method", [*INVERTIBLE, "adams:m=3"])
def test_nobodys_tensors_are_written_to(method: str) -> None:
    sampler, x = Sampler(method, SD15.grid(9)), noise(2, 4)
    state = sampler.sample(toy, x)
    held = [h.clone() for h in state.history]
    part = sampler.sample(toy, x, stop=5)
    kept = [h.clone() for h in part.history]
    sampler.sample(toy, part)
    if method in INVERTIBLE:
        sampler.invert(toy, state)
        sampler.invert(toy, x)
    sampler.sample(toy, noise(2, 4, seed=1))
    assert torch.equal(x, noise(2, 4))
    assert all(torch.equal(a, b) for a, b in zip(state.history, held, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(part.history, kept, strict=True))
    for tensor in sampler.sample(toy, x, stop=9).history:
        assert tensor.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("method", ALL)
def test_a_model_may_return_its_own_buffer(method: str) -> None:
    buffer = torch.empty(2, 4, dtype=torch.float64)

    def reusing(x: Tensor, t: Tensor) -> Tensor:
        return buffer.copy_(toy(x, t))

    sampler = Sampler(method, SD15.grid(9))
    state = sampler.sample(toy, noise(2, 4))
    assert same(sampler.sample(reusing, noise(2, 4)), state)
    if method in INVERTIBLE:
        assert same(sampler.invert(reusing, state), sampler.invert(toy, state))


@pytest.mark.parametrize("method", ALL)
def test_a_model_may_return_its_input(method: str) -> None:
    sampler, x = Sampler(method, SD15.grid(9)), noise(2, 4)
    state = sampler.sample(lambda x, t: x, x)
    assert same(state, sampler.sample(lambda x, t: x.clone(), x)) and torch.equal(x, noise(2, 4))
    if method in INVERTIBLE:
        assert same(sampler.invert(lambda x, t: x, state), sampler.invert(lambda x, t: x.clone(), state))


def test_no_graph_is_built() -> None:
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    state = Sampler("open:k=3", SD15.grid(6)).sample(lambda x, t: x * weight, noise(2, 3).requires_grad_())
    assert not any(h.requires_grad for h in state.history)


# ---- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.ones(2, 3, dtype=torch.int64), r"not a int64 tensor of shape \(2, 3\)"),
        (torch.ones(2, 3, dtype=torch.complex64), "not a complex64 tensor"),
        (torch.tensor(1.0), r"not a float32 tensor of shape \(\)"),
        (np.ones((2, 3)), "not a ndarray"),
        (None, "not a NoneType"),
    ],
)
def test_what_is_no_state_is_refused(given: Any, words: str) -> None:
    sampler = Sampler("open:k=3", SD15.grid(6))
    for way in (sampler.sample, sampler.invert):
        with pytest.raises(InputError, match=r"x must be a floating tensor of shape \(batch, …\), " + words):
            way(toy, given)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda x: x[:, :2], r"a float64 tensor of shape \(2, 2\) at node 6; x has shape \(2, 3\)"),
        (lambda x: x.sum(), r"shape \(\) at node 6"),
        (lambda x: None, "returned a NoneType at node 6"),
        (lambda x: (x,), "returned a tuple at node 6"),
    ],
)
def test_wrong_output_of_the_model_is_refused(returned: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Sampler("open:k=3", SD15.grid(6)).sample(lambda x, t: returned(x), noise(2, 3))
    with pytest.raises(InputError, match="the model is a int"):
        Sampler("open:k=3", SD15.grid(6)).sample(3, noise(2, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "grid", "frame", "words"),
    [
        ("open:k=2", SD15.grid(9), None, "the state has another method: 'open:k=2', this sampler has 'open:k=3'"),
        ("open:k=3", SD15.grid(9), "noise", "the state has another frame: 'noise', this sampler has 'flow'"),
        ("open:k=3", SD15.grid(9, "trailing"), None, "the state has another grid"),
    ],
)
def test_foreign_states_are_refused(method: str, grid: Grid, frame: Any, words: str) -> None:
    foreign = Sampler(method, grid, frame=frame).sample(toy, noise(2, 3))
    sampler = Sampler("open:k=3", SD15.grid(9))
    for way in (sampler.sample, sampler.invert):
        with pytest.raises(InputError, match=words):
            way(toy, foreign)


def test_too_short_states_are_refused() -> None:
    x = noise(2, 3)
    sampler = Sampler("open:k=4", SD15.grid(9))
    with pytest.raises(InputError, match="inverting open:k=4 needs the last 4 states; this state holds 2"):
        sampler.invert(toy, sampler.state([x, x], [0, 1]))
    with pytest.raises(InputError, match="continuing open:k=4 at node 5 needs the last 4 states; this state holds 2"):
        sampler.sample(toy, sampler.state([x, x], [5, 6]))
    # Near the noise the start rows need fewer.
    assert sampler.sample(toy, sampler.state([x, x], [8, 9])).nodes[0] == 0
    with pytest.raises(InputError, match="continuing adams:m=3 at node 5 needs the last 3 states"):
        adams = Sampler("adams:m=3", SD15.grid(9), frame="noise")
        adams.sample(toy, adams.state([x], [5]))


@pytest.mark.parametrize(
    ("method", "nodes", "words"),
    [
        ("open:k=3", [3, 5, 6], "needs consecutive nodes within 0 … 9"),
        ("open:k=3", [4, 4, 5], "do not make a history"),
        ("open:k=3", [8, 9, 10], "do not make a history"),
        ("open:k=3", [-1, 0, 1], "do not make a history"),
        ("open:k=3", [4, 5], "do not make a history"),
        ("edict", [3, 4, 5], "needs two registers at one node"),
        ("edict", [3, 4], "do not make a history"),
    ],
)
def test_histories_that_are_none_are_refused(method: str, nodes: list[int], words: str) -> None:
    sampler = Sampler(method, SD15.grid(9))
    count = 2 if method == "edict" and len(nodes) == 2 else 3
    for way in (sampler.sample, sampler.invert):
        with pytest.raises(InputError, match=words):
            way(toy, sampler.state([noise(2, 3)] * count, nodes))
    shapes = sampler.state([noise(2, 3), noise(2, 4), noise(2, 3)][:count], range(3))
    with pytest.raises(InputError, match=r"shapes \[\(2, 3\), \(2, 4\)\]"):
        sampler.sample(toy, shapes)
    with pytest.raises(InputError, match=r"must hold floating tensors, not a int64 tensor"):
        sampler.sample(toy, sampler.state([torch.ones(2, 3, dtype=torch.int64)] * 3, [3, 4, 5]))
    with pytest.raises(InputError, match=r"nodes \[\] and shapes \[\]"):
        sampler.sample(toy, sampler.state([], []))


@pytest.mark.parametrize("method", ["ddim", "adams:m=2", "bdia:gamma=0"])
def test_methods_without_inverse_say_so(method: str) -> None:
    sampler = Sampler(method, SD15.grid(9))
    state = sampler.sample(toy, noise(2, 3))
    for given in (state, state.x):
        words = f"{sampler.method} has a_k = 0 and cannot be inverted exactly.*approximate"
        with pytest.raises(InputError, match=words):
            sampler.invert(toy, given)
    assert sampler.invert(toy, state.x, approximate=True).nodes[0] == 9


def test_stops_outside_the_run_are_refused() -> None:
    sampler = Sampler("open:k=3", SD15.grid(9))
    state = sampler.sample(toy, noise(2, 3), stop=4)
    for stop in (-1, 5, 9):
        with pytest.raises(InputError, match=f"stop = {stop} is not between 0 and the state's node 4"):
            sampler.sample(toy, state, stop=stop)
    for stop in (5, 10):
        with pytest.raises(InputError, match=f"stop = {stop} is not between the state's node 6 and N = 9"):
            sampler.invert(toy, state, stop=stop)


def test_unknown_options_are_refused_with_the_nearest_name() -> None:
    grid = SD15.grid(9)
    with pytest.raises(InputError, match="unknown arithmetic 'float23'; did you mean 'float32'"):
        Sampler("open:k=3", grid, arithmetic="float23")
    with pytest.raises(InputError, match="unknown prediction 'eps'"):
        Sampler("open:k=3", grid, prediction="eps")
    with pytest.raises(InputError, match="unknown start"):
        Sampler("open:k=3", grid, start="none")
    assert "open:k=3" in repr(Sampler("open:k=3", grid)) and "frame=flow" in repr(Sampler("open:k=3", grid))
