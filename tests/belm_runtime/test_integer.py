"""The integer step: what is added is subtracted, out of range is found, and bits depend on nothing but the operands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from belm_runtime import InputError, NotFiniteError, Sampler, Schedule
from belm_runtime.arithmetic import Integer
from belm_runtime.assignment import Assignment
from belm_runtime.integer import Evaluation, Step, increment, largest, march, to_integers
from belm_runtime.lattice import RANGE

KEYS = [(n, "x") for n in range(3)]
ROW = Assignment(KEYS[0], KEYS[2], 0.3, ((KEYS[1], 0.7),), ((KEYS[1], 1, -0.2),))
SPACING = {KEYS[0]: 0.3 * 2.0**-30, KEYS[1]: 2.0**-31, KEYS[2]: 2.0**-30}


def integers(seed: int, shape: tuple[int, ...] = (3, 5), size: float = 2.0**40) -> dict[tuple[int, str], Tensor]:
    random = np.random.default_rng(seed)
    return {key: torch.from_numpy(np.rint(random.uniform(-size, size, shape))) for key in KEYS[1:]}


def wild(x: Tensor, node: int) -> Tensor:
    return torch.sin(1e6 * x) + node


def test_a_step_is_the_sum_of_integers_that_its_definition_says() -> None:
    states = integers(0)
    n_1, n_2 = (states[key].numpy().astype(np.int64) for key in KEYS[1:])
    slope = np.sin(1e6 * (states[KEYS[1]].numpy() * SPACING[KEYS[1]])) + 1
    F = n_1 * (0.7 * SPACING[KEYS[1]] / SPACING[KEYS[0]]) + slope * (-0.2 / SPACING[KEYS[0]])
    ((node, peak),) = march([Step(0, (ROW,))], states, SPACING, wild, KEYS[:2])
    assert node == 0
    # An int64 sum of the rounded F: no floating sum is involved on this side.
    assert np.array_equal(states[KEYS[0]].numpy().astype(np.int64), n_2 + np.rint(F).astype(np.int64))
    assert float(peak) == np.abs(states[KEYS[0]].numpy()).max()


@given(seed=st.integers(0, 2**32), size=st.sampled_from([1.0, 2.0**20, 2.0**50]))
def test_the_way_back_returns_every_integer(seed: int, size: float) -> None:
    states = integers(seed, size=size)
    before = {key: n.clone() for key, n in states.items()}
    list(march([Step(0, (ROW,))], states, SPACING, wild, KEYS[:2]))
    assert set(states) == set(KEYS[:2]), "the old state is let go"
    list(march([Step(2, (ROW,), inverse=True)], states, SPACING, wild, KEYS[1:]))
    assert all(torch.equal(states[key], before[key]) for key in KEYS[1:]) and set(states) == set(KEYS[1:])


@pytest.mark.parametrize("length", [1, 2, 3, 7, 15, 16, 17, 31, 64, 1001])
def test_the_bits_of_an_element_do_not_depend_on_how_many_there_are(length: int) -> None:
    states = integers(1, (4099,))
    slopes = {KEYS[1]: wild(states[KEYS[1]] * SPACING[KEYS[1]], 1)}
    whole = increment(ROW, states, slopes, SPACING, (torch.empty(4099).double(), torch.empty(4099).double()))
    for first in (0, 1, 5):
        part = slice(first, first + length)
        cut_states, cut_slopes = ({key: value[part].clone() for key, value in d.items()} for d in (states, slopes))
        cut = increment(
            ROW, cut_states, cut_slopes, SPACING, (torch.empty(length).double(), torch.empty(length).double())
        )
        assert torch.equal(cut, whole[part])


def test_rounding_to_integers() -> None:
    x = torch.tensor([[-0.2, 0.6, -0.0, 1e5]], dtype=torch.float32).T
    n = to_integers(x, 0.5)
    assert n.dtype == torch.float64 and n.is_contiguous() and n.flatten().tolist() == [0, 1, 0, 2e5]
    assert not torch.signbit(n).any()
    assert torch.signbit(torch.tensor([-0.2]).round()).all(), "without care a small negative number rounds to -0"


@given(n=st.integers(-(2**51) + 1, 2**51 - 1), c=st.floats(1e-12, 1e3))
def test_an_integer_is_found_again_from_the_stored_state(n: int, c: float) -> None:
    held = torch.tensor([float(n)], dtype=torch.float64)
    for spacing in (c, -c):
        assert torch.equal(to_integers(held * spacing, spacing), held)


def test_beyond_the_range_it_would_not_be_found() -> None:
    n = torch.arange(2**53 - 1000, 2**53 - 1, dtype=torch.float64)
    wrong = [c for c in (0.1, 0.3, 0.7) if not torch.equal(to_integers(n * c, c), n)]
    assert wrong


def test_the_largest_integer() -> None:
    assert float(largest(torch.tensor([3.0, -7.0]))) == 7
    assert math.isnan(float(largest(torch.tensor([3.0, math.nan]))))
    assert float(largest(torch.empty(0, 4))) == 0


# ---- out of range ------------------------------------------------------------------------------------------


def saturating(n: np.ndarray, r: np.ndarray, limit: int) -> np.ndarray:
    return np.clip(n + r, -limit, limit)


def test_saturation_would_go_unnoticed() -> None:
    """Why the range is checked: both ways run to the end, and the noise that comes back is wrong, or by luck right."""
    n, r, limit = np.array([90, 5]), np.array([30, 10]), 100
    made = saturating(n, r, limit)
    assert list(saturating(made, -r, limit)) == [70, 5]
    # Wrapped integers come back right, but the state between is wrong by the whole range.
    small = n.astype(np.int8) + r.astype(np.int8) * 2
    assert list(small - r.astype(np.int8) * 2) == [90, 5] and small[0] == 90 + 60 - 256


class Explodes:
    """A network that at one timestep answers what drives the states out of range."""

    def __init__(self, time: float, value: float) -> None:
        self.time, self.value = time, value

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        prediction = torch.tanh(x)
        if float(t[0]) == self.time:
            prediction[-1, -1] = self.value
        return prediction


@pytest.mark.parametrize("value", [1e16, -1e16, 1e30])
@pytest.mark.parametrize("method", ["o-belm", "blend:k=3,theta=0.8", "edict:p=0.93"])
def test_an_integer_out_of_range_is_an_error_in_both_directions(method: str, value: float) -> None:
    grid = Schedule.preset("sd15").grid(8)
    noise = grid.noise((2, 5), seed=0)
    sampler = Sampler(method, grid, arithmetic="integer")
    words = r"step 4 of 8, from node 5 to node 4: an integer reached .*e\+\d+, beyond the range of 2\^51"
    with pytest.raises(NotFiniteError, match=words + r".*check the model, or give a larger bound"):
        sampler.sample(Explodes(grid.timesteps[5], value), noise)
    state = sampler.sample(Explodes(-1.0, 0.0), noise)
    words = "beyond the range.*another label, prompt or guidance than the state was sampled with"
    with pytest.raises(NotFiniteError, match=words):
        sampler.invert(Explodes(grid.timesteps[5], value), state)
    # The same fault in float64 gives a result without a word.
    Sampler(method, grid).sample(Explodes(grid.timesteps[5], value), noise)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("method", ["o-belm", "edict:p=0.93"])
def test_a_network_that_answers_nan_is_named_as_such(method: str, value: float) -> None:
    grid = Schedule.preset("sd15").grid(8)
    words = r"step 4 of 8, from node 5 to node 4: .* not finite \(NaN or overflow\)"
    with pytest.raises(NotFiniteError, match=words):
        Sampler(method, grid, arithmetic="integer").sample(
            Explodes(grid.timesteps[5], value), grid.noise((2, 5), seed=0)
        )


def test_a_sum_just_inside_the_range_is_exact_and_one_beyond_is_seen() -> None:
    row = Assignment(KEYS[0], KEYS[2], 1.0, ((KEYS[1], 1.0),), ())
    for above in (0.0, 1.0):
        values = zip(KEYS[1:], (2.0**50, 2.0**50 - 1 + above), strict=True)
        states = {key: torch.tensor([n], dtype=torch.float64) for key, n in values}
        ((_, peak),) = march([Step(0, (row,))], states, dict.fromkeys(KEYS, 1.0), wild, KEYS)
        assert int(states[KEYS[0]]) == 2**51 - 1 + int(above)
        assert bool(peak < RANGE) == (above == 0)


# ---- the model at a fixed batch size -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8])
def test_the_model_sees_one_batch_size(n: int) -> None:
    seen = []

    def model(x: Tensor, t: Tensor) -> Tensor:
        seen.append((tuple(x.shape), tuple(t.shape)))
        return 2 * x + t[:, None]

    x, t = torch.randn(n, 3, dtype=torch.float64), torch.full((), 7.0).expand(n)
    assert torch.equal(Evaluation(4)(model, x, t), 2 * x + 7)
    assert set(seen) == {((4, 3), (4,))} and len(seen) == -(-n // 4)


def test_a_model_may_answer_in_a_buffer_of_its_own() -> None:
    buffer = torch.empty(2, 3)

    def model(x: Tensor, t: Tensor) -> Tensor:
        return buffer.copy_(2 * x)

    x = torch.arange(15.0).reshape(5, 3)
    assert torch.equal(Evaluation(2)(model, x, torch.zeros(5)), 2 * x)


def test_a_wrong_shape_or_dtype_is_named() -> None:
    x, t = torch.zeros(2, 3), torch.zeros(2)
    with pytest.raises(InputError, match=r"returned a float32 tensor of shape \(2, 1\) for x of shape \(2, 3\)"):
        Evaluation(2)(lambda x, t: x[:, :1], x, t)
    with pytest.raises(InputError, match=r"computes in float32, and computed in float64 .*integer:force=1"):
        Evaluation(2, "float64")(lambda x, t: x, x, t)


# ---- options -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [Integer(), Integer(8.0), Integer(1.5, 16), Integer(batch=4, force=True)])
def test_strings_and_options_are_the_same_thing(options: Integer) -> None:
    assert Integer.parse(str(options)) == options


@given(bound=st.floats(1, 1e200))
def test_a_bound_is_written_with_all_its_digits(bound: float) -> None:
    assert Integer.parse(str(Integer(bound))) == Integer(bound)


@pytest.mark.parametrize("bound", ["61439.99", "1.5", "8", "1048576", "1e+20"])
def test_and_with_no_more(bound: str) -> None:
    assert str(Integer(float(bound))) == f"integer:bound={bound}"


def test_the_usual_options_need_no_words() -> None:
    assert str(Integer()) == "integer" and str(Integer(16, 4)) == "integer:bound=16,batch=4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("integer:bound=0", "bound = 0.0 must be ≥ 1"),
        ("integer:bound=-3", "bound = -3.0 must be ≥ 1"),
        ("integer:bound=1e-300", "bound = 1e-300 must be ≥ 1"),
        ("integer:bound=0.999", "bound = 0.999 must be ≥ 1"),
        ("integer:bound=1e300", "does not fit o-belm"),
        ("integer:bound=inf", "bound=inf is not an option"),
        ("integer:bits=53", "bits=53 is not an option, as in integer:bound=32,batch=16"),
        ("integer:batch=0", "batch must be a whole number from 1 to 1048576, not 0"),
        ("integer:batch=2.5", "batch must be a whole number from 1 to 1048576, not 2.5"),
        ("integer:batch=1048577", "from 1 to 1048576, not 1048577"),
        ("integer:batch=99999999999999999999", "from 1 to 1048576, not 99999999999999999999"),
        ("integer:batch=1e30", "from 1 to 1048576, not 1000000000000000000000000000000"),
        ("integer:force=2", "force is 0 or 1, not 2"),
        ("integer:batch", "^arithmetic 'integer:batch': 'batch' is not of the form name=value, as in integer:bound=32"),
        ("integer:batch=2,batch=3", "^arithmetic 'integer:batch=2,batch=3': 'batch' is given twice"),
        ("integers", "unknown arithmetic 'integers'; did you mean 'integer'"),
    ],
)
def test_wrong_options_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Sampler("o-belm", Schedule.preset("ddpm").grid(5), arithmetic=text)


@pytest.mark.parametrize("given", [None, torch.float32, 32, ["integer"]])
def test_what_is_no_name_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="the arithmetic is a name such as 'float64' or 'integer:batch=16', not "):
        Sampler("o-belm", Schedule.preset("ddpm").grid(5), arithmetic=given)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"force": "no"}, "force must be True or False, not 'no'"),
        ({"force": 1}, "force must be True or False, not 1"),
        ({"batch": True}, "batch must be a whole number from 1 to 1048576, not True"),
        ({"batch": "16"}, "batch must be a whole number from 1 to 1048576, not '16'"),
        ({"bound": "wide"}, "bound = 'wide' is not a finite number"),
        ({"bound": math.nan}, "bound = nan is not a finite number"),
    ],
)
def test_wrong_values_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Integer(**options)


def test_numbers_of_numpy_are_plain_ones() -> None:
    found = Integer(np.float32(8), np.int64(4))
    assert found == Integer(8.0, 4) and str(found) == "integer:bound=8,batch=4"
    assert (type(found.bound), type(found.batch)) == (float, int)
