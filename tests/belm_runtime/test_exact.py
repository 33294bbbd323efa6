"""arithmetic="integer": sample -> invert -> sample returns every bit, or the run is refused and says why."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from belm_runtime import AmplificationWarning, InputError, NotFiniteError, Sampler, Schedule, State, digits, lattice
from belm_runtime.arithmetic import Integer
from belm_runtime.grid import Grid
from belm_runtime.guidance import Varying, guided_along, ramp
from belm_runtime.methods import catalogue
from belm_runtime.mixture import GaussianMixture
from belm_runtime.models import guided
from belm_runtime.run import Model

DDPM, FLOW = Schedule.preset("ddpm"), Schedule.preset("flow")
NAMES = [fact["method"] for fact in catalogue() if fact["invertible"] and fact["sampling"][0] != "refuted"]
ALSO = ["bdia:gamma=0.3", "blend:k=2,theta=0.9", "blend:k=3,theta=0.6", "open:k=5", "edict:p=0.8"]
MEANS, SCALES, WEIGHTS = [[-1.0, 0.5], [1.0, -0.3], [0.0, 1.0]], [0.2, 0.3, 0.1], [1, 2, 1]


def mixture(schedule: Schedule, prediction: str = "epsilon") -> GaussianMixture:
    return GaussianMixture(MEANS, SCALES, WEIGHTS, schedule, prediction=prediction)


def same(one: State, two: State) -> bool:
    """Equal in every bit of every state: -0 and 0 would differ."""
    pairs = zip(one.history, two.history, strict=True)
    return one.nodes == two.nodes and all(torch.equal(a.view(torch.int64), b.view(torch.int64)) for a, b in pairs)


# ---- every bit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "dtype"),
    [(method, torch.float32) for method in NAMES + ALSO]
    + [(method, torch.float64) for method in ("o-belm", "open:k=3", "blend:k=3,theta=0.6", "edict:p=0.8")],
)
def test_every_bit_of_every_state_comes_back_on_the_embedded_network(method: str, dtype: torch.dtype) -> None:
    grid = DDPM.grid(10)
    sampler = Sampler(method, grid, arithmetic="integer")
    model = digits.denoiser(label=[3, 8], guidance=2.0, dtype=dtype)
    noise = grid.noise((2, 1, 8, 8), seed=1)
    downwards = {10: noise}
    state = sampler.sample(model, noise, stop=9)
    for stop in range(8, -1, -1):
        downwards[state.nodes[0]] = state.x
        state = sampler.sample(model, state, stop=stop)
    assert same(state, sampler.sample(model, noise)), "in parts or at once"
    back = state
    for stop in range(max(state.nodes) + 1, 11):
        back = sampler.invert(model, back, stop=stop)
        if stop < 10:
            assert torch.equal(back.x, downwards[stop]), stop
    assert torch.equal(back.x, sampler.rounded(noise))
    assert same(sampler.sample(model, back), state), "from the k states at the noise"
    if not sampler.method.stages:
        assert same(sampler.sample(model, back.x), state), "from the noise alone"


def test_an_amplification_of_1e17_costs_nothing() -> None:
    grid = DDPM.grid(50, "trailing")
    sampler, model = Sampler("bdia:gamma=0.5", grid, arithmetic="integer"), mixture(DDPM)
    assert sampler.amplification() > 1e16
    noise = grid.noise((64, 2), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AmplificationWarning)
        back = sampler.invert(model, sampler.sample(model, noise))
    assert torch.equal(back.x, sampler.rounded(noise))
    rounding = float((back.x - noise).abs().max())
    assert 0 < rounding <= sampler.exact.lattice.spacing[50, "x"] / 2 < 1e-6  # type: ignore[union-attr]
    floats = Sampler("bdia:gamma=0.5", grid)
    with pytest.warns(AmplificationWarning):
        lost = floats.invert(model, floats.sample(model, noise))
    assert float((lost.x - noise).abs().max()) > 1e-3, "what float64 makes of it"


@pytest.mark.parametrize("method", ["open:k=3", "blend:k=3,theta=0.8", "bdia:gamma=0.9"])
def test_a_flow_with_alpha_n_zero(method: str) -> None:
    grid = FLOW.grid(20)
    frame = "flow" if method.startswith("bdia") else None
    sampler = Sampler(method, grid, prediction="flow", frame=frame, arithmetic="integer")
    model, noise = mixture(FLOW, "flow"), grid.noise((16, 2), seed=3)
    state = sampler.sample(model, noise)
    back = sampler.invert(model, state)
    assert torch.equal(back.x, sampler.rounded(noise)) and same(sampler.sample(model, back), state)


def test_from_a_bare_picture_the_way_back_from_the_noise_is_exact() -> None:
    grid = DDPM.grid(20)
    for method in ("open:k=3", "edict:p=0.93"):
        sampler, model = Sampler(method, grid, arithmetic="integer"), mixture(DDPM)
        x_0 = mixture(DDPM).sample_data(8, seed=0)
        found = sampler.invert(model, x_0)
        again = sampler.sample(model, found)
        assert torch.equal(again.x, sampler.rounded(x_0, 0))
        assert float((again.x - x_0).abs().max()) < 1e-9


def test_strides_and_signs_of_zero_make_no_difference() -> None:
    grid = DDPM.grid(10)
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")
    model = digits.denoiser(label=4, dtype=torch.float64)
    noise = grid.noise((2, 1, 8, 8), seed=5)
    noise[0, 0, 0, 0] = -1e-30
    state = sampler.sample(model, noise)
    assert same(state, sampler.sample(model, noise.transpose(2, 3).contiguous().transpose(2, 3)))
    back = sampler.invert(model, state)
    assert same(replace(back, history=back.history[:1], nodes=(10,)),
                replace(back, history=(sampler.rounded(noise),), nodes=(10,)))  # fmt: skip


# ---- quality -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["leading", "trailing", "karras", "power:p=1.5", "floored:p=2.5"])
@pytest.mark.parametrize("schedule", ["ddpm", "sd15", "cosine"])
def test_samples_are_those_of_float64(schedule: str, spacing: str) -> None:
    chosen = Schedule.preset(schedule)
    model, measured = mixture(chosen), 0
    for steps in (10, 50):
        grid = chosen.grid(steps, spacing)
        noise = grid.noise((32, 2), seed=0)
        for method in ("o-belm", "bdia:gamma=1", "blend:k=3,theta=0.8", "blend:k=3,theta=0.6", "open:k=3", "edict"):
            floats = Sampler(method, grid)
            if floats.amplification() * 2.0**-52 <= 1e-8:
                expected = floats.sample(model, noise).x
                found = Sampler(method, grid, arithmetic="integer").sample(model, noise).x
                assert float((found - expected).norm() / expected.norm()) < 1e-6, (method, steps)
                measured += 1
    assert measured >= 10


# ---- refused -----------------------------------------------------------------------------------------------


def never(x: Tensor, t: Tensor) -> Tensor:
    raise AssertionError("the model was called")


@pytest.mark.parametrize("method", ["ddim", "adams:m=2"])
def test_a_method_without_inverse_is_refused(method: str) -> None:
    with pytest.raises(InputError, match=f"{method} has a_k = 0 and no inverse.*blend:k=3"):
        Sampler(method, DDPM.grid(10), arithmetic="integer")


@pytest.mark.parametrize(
    ("method", "k"),
    [("o-belm", 2), ("open:k=3", 3), ("damped:k=3,m=8", 3), ("exp-open:k=3", 3), ("blend:k=4,theta=0.8", 4)],
)
def test_a_grid_without_a_row_to_invert_is_refused_when_the_sampler_is_made(method: str, k: int) -> None:
    words = rf"{method} has no row to invert on a grid of {k - 1} step.*integers need {k} or more"
    with pytest.raises(InputError, match=words):
        Sampler(method, DDPM.grid(k - 1), arithmetic="integer")
    grid, model = DDPM.grid(k), mixture(DDPM)
    sampler, noise = Sampler(method, grid, arithmetic="integer"), grid.noise((3, 2), seed=0)
    assert torch.equal(sampler.invert(model, sampler.sample(model, noise)).x, sampler.rounded(noise))


def test_two_registers_need_no_more_than_one_step() -> None:
    grid, model = DDPM.grid(1), mixture(DDPM)
    sampler, noise = Sampler("edict:p=0.93", grid, arithmetic="integer"), grid.noise((3, 2), seed=0)
    assert torch.equal(sampler.invert(model, sampler.sample(model, noise)).x, sampler.rounded(noise))


def test_a_range_that_does_not_fit_is_refused_when_the_sampler_is_made() -> None:
    with pytest.raises(InputError, match=r"does not fit bdia:gamma=0\.5 on this grid.*use fewer steps"):
        Sampler("bdia:gamma=0.5", DDPM.grid(100), arithmetic="integer")
    Sampler("bdia:gamma=0.5", DDPM.grid(50), arithmetic="integer")
    with pytest.raises(InputError, match=r"\|x\| up to 1000 standard deviations"):
        Sampler("bdia:gamma=0.5", DDPM.grid(50), arithmetic="integer:bound=1000")


def test_parameters_of_many_digits_are_short_in_messages() -> None:
    with pytest.raises(InputError, match=r"does not fit blend:k=3,theta=1e-300 on this grid"):
        Sampler("blend:k=3,theta=1e-300", DDPM.grid(10), arithmetic="integer")
    with pytest.raises(InputError, match=r"^blend:k=3,theta=1e-300 has no row"):
        Sampler("blend:k=3,theta=1e-300", DDPM.grid(2), arithmetic="integer")


def test_an_inversion_from_x_0_alone_that_may_leave_the_range_is_refused_before_the_first_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Sampling fits, and from a state the way back retraces it; from x_0 alone rounding may be amplified too much.
    words = r"does not fit the inversion of belm:k=4 from x_0 alone.*each rounding is amplified"
    sampler = Sampler("belm:k=4", DDPM.grid(12, "trailing"), arithmetic="integer")
    with pytest.raises(InputError, match=words), pytest.warns(AmplificationWarning):
        sampler.invert(never, torch.zeros(1, 2))
    # With EDICT the spacings give out first; with less of the range left for rounding it is refused too.
    sampler = Sampler("edict:p=0.5", DDPM.grid(20), arithmetic="integer")
    monkeypatch.setattr(lattice, "_STATES", 1 - 1e-12)
    words = r"the inversion of edict:p=0\.5 from x_0 alone"
    with pytest.raises(InputError, match=words), pytest.warns(AmplificationWarning):
        sampler.invert(never, torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("method", "steps", "value", "words"),
    [("open:k=4", 10, 1e12, "x is too large or not finite"), ("belm:k=4", 12, 0.0, "from x_0 alone")],
)
@pytest.mark.filterwarnings("ignore::belm_runtime.sampler.AmplificationWarning")
def test_so_is_one_whose_first_nodes_are_found_in_small_steps(
    method: str, steps: int, value: float, words: str
) -> None:
    sampler = Sampler(method, DDPM.grid(steps, "trailing"), arithmetic="integer")
    with pytest.raises(InputError, match=words):
        sampler.invert(never, torch.full((1, 2), value), schedule=DDPM)


def test_an_inversion_from_x_0_alone_that_does_leave_it_is_an_error() -> None:
    # The first steps are an approximation, and its error is amplified by 1e17.
    sampler = Sampler("bdia:gamma=0.5", DDPM.grid(50, "trailing"), arithmetic="integer")
    x_0 = mixture(DDPM).sample_data(8, seed=0)
    with pytest.raises(NotFiniteError, match="beyond the range of 2"), pytest.warns(AmplificationWarning):
        sampler.invert(mixture(DDPM), x_0)


def test_an_approximate_inversion_is_refused() -> None:
    with pytest.raises(InputError, match="approximate inversion is not exact in any arithmetic"):
        Sampler("open:k=3", DDPM.grid(10), arithmetic="integer").invert(never, torch.zeros(1, 2), approximate=True)


@pytest.mark.parametrize("value", [1e12, float("nan"), float("inf")])
def test_noise_that_does_not_fit_is_refused_before_the_first_call(value: float) -> None:
    sampler = Sampler("open:k=3", DDPM.grid(10), arithmetic="integer")
    with pytest.raises(InputError, match=r"too large or not finite: states up to 1\.\d+e\+04 standard deviations fit"):
        sampler.sample(never, torch.full((1, 2), value, dtype=torch.float64))


# ---- the conditions of a state -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> tuple[Grid, Callable[..., Any], State]:
    grid = DDPM.grid(10)
    model = mixture(DDPM)
    return grid, model, Sampler("blend:k=3", grid, arithmetic="integer").sample(model, grid.noise((4, 2), seed=0))


def test_a_state_records_what_its_bits_depend_on(made: Any) -> None:
    conditions = made[2].conditions
    expected = {"batch": 4, "device": "cpu", "dtype": "float64", "prediction": "epsilon", "threads": 1,
                "torch": torch.__version__, "deterministic_algorithms": False}  # fmt: skip
    assert {**conditions, **expected} == conditions
    assert {"hardware", "machine", "mkldnn", "precision", "spacings"} <= set(conditions)


def test_a_saved_state_continues_to_the_bit(made: Any, tmp_path: Path) -> None:
    grid, model, state = made
    loaded = State.load(state.save(tmp_path / "state.safetensors"))
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")
    assert dict(loaded.conditions) == dict(state.conditions) and same(loaded, state)
    assert torch.equal(sampler.invert(model, loaded).x, sampler.rounded(grid.noise((4, 2), seed=0)))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("torch", "1.0", 'torch is "1.0" there and'),
        ("device", "cuda", 'device is "cuda" there and "cpu" here'),
        ("threads", 8, "threads is 8 there and 1 here"),
        ("batch", 16, r"batch is 16 there and 4 here.*evaluate at a fixed batch size \(integer:batch=…\), or force it"),
        ("hardware", "Z80", 'hardware is "Z80" there'),
        ("deterministic_algorithms", True, "deterministic_algorithms is true there and false here"),
        ("spacings", "0" * 16, 'spacings is "0000000000000000" there'),
        ("prediction", "v", 'prediction is "v" there and "epsilon" here'),
        ("dtype", "float16", "the model computes in float64, and computed in float16"),
    ],
)
def test_other_conditions_are_refused_with_the_reason_unless_forced(
    made: Any, name: str, value: Any, words: str
) -> None:
    grid, model, state = made
    other = replace(state, conditions={**state.conditions, name: value})
    called: list[int] = []

    def counting(x: Tensor, t: Tensor) -> Tensor:
        called.append(1)
        return model(x, t)

    with pytest.raises(InputError, match=words):
        Sampler("blend:k=3", grid, arithmetic="integer").invert(counting, other)
    assert len(called) == (name == "dtype"), "only the network itself knows its dtype"
    forced = Sampler("blend:k=3", grid, arithmetic=Integer(force=True)).invert(model, other)
    assert same(forced, Sampler("blend:k=3", grid, arithmetic="integer").invert(model, state))


class Linear(torch.nn.Module):
    """A network of one layer; `ends` is the dtype of its answer where that is not its own."""

    def __init__(self, dtype: torch.dtype, ends: torch.dtype | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.ends = torch.nn.Linear(64, 64).to(dtype), ends

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        made = torch.tanh(self.layer(x.flatten(1))).view_as(x)
        return made if self.ends is None else made.to(self.ends)


HALF, SINGLE, DOUBLE = torch.bfloat16, torch.float32, torch.float64
IN_OTHER_DTYPES = {
    "module": (Linear(SINGLE), Linear(DOUBLE), "float64", "float32"),
    "half": (Linear(HALF), Linear(SINGLE), "float32", "bfloat16"),
    "half that answers in float32": (Linear(HALF, SINGLE), Linear(SINGLE), "float32", "bfloat16 to float32"),
    "digits": (digits.denoiser(3), digits.denoiser(3, dtype=DOUBLE), "float64", "float32"),
    "any digit": (digits.denoiser(), digits.denoiser(dtype=DOUBLE), "float64", "float32"),
    "guided digits": (digits.denoiser(3, 2.0), digits.denoiser(3, 2.0, dtype=DOUBLE), "float64", "float32"),
    "guided modules": (guided(Linear(SINGLE), digits.denoiser(), 2.0),
                       guided(Linear(DOUBLE), digits.denoiser(), 2.0), "float32 and float64", "float32"),
    "a function of the time": (guided_along(digits.denoiser(7), digits.denoiser(), ramp(1.0, 3.0), DDPM.grid(10)),
                               guided_along(digits.denoiser(7, dtype=DOUBLE), digits.denoiser(), ramp(1.0, 3.0),
                                            DDPM.grid(10)), "float32 and float64", "float32"),
}  # fmt: skip


@pytest.mark.parametrize("kind", IN_OTHER_DTYPES)
def test_a_network_in_another_dtype_is_refused(kind: str) -> None:
    one, other, now, then = IN_OTHER_DTYPES[kind]
    grid = DDPM.grid(10)
    noise = grid.noise((2, 1, 8, 8), seed=0)
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")
    state = sampler.sample(one, noise)
    assert state.conditions["dtype"] == then
    words = rf"the model computes in {now}, and computed in {then} when the state was made.*integer:force=1"
    with pytest.raises(InputError, match=words):
        sampler.invert(other, state)
    assert torch.equal(sampler.invert(one, state).x, sampler.rounded(noise))
    forced = Sampler("blend:k=3", grid, arithmetic="integer:force=1").invert(other, state)
    assert not torch.equal(forced.x, sampler.rounded(noise)), "the dtype is of consequence"


def test_networks_may_take_turns_in_dtypes_of_their_own() -> None:
    grid = DDPM.grid(10)
    noise = grid.noise((2, 1, 8, 8), seed=0)
    one, other = digits.denoiser(3), digits.denoiser(3, dtype=torch.float64)
    model = Varying(lambda time: one if time > 500 else other)
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")
    state = sampler.sample(model, noise)
    assert state.conditions["dtype"] == "float32, float64"
    back = sampler.invert(model, state)
    assert torch.equal(back.x, sampler.rounded(noise)) and back.conditions == state.conditions


def test_threads_and_deterministic_algorithms_are_read_from_torch(made: Any) -> None:
    grid, _, state = made
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")
    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(InputError, match="deterministic_algorithms is false there and true here"):
            sampler.invert(never, state)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.set_num_threads(2)
    try:
        with pytest.raises(InputError, match="threads is 1 there and 2 here"):
            sampler.invert(never, state)
    finally:
        torch.set_num_threads(1)


def test_a_state_without_samples_is_named_as_such(made: Any) -> None:
    grid, _, state = made
    with pytest.raises(InputError, match="the state holds no sample, as after an empty slice"):
        Sampler("blend:k=3", grid, arithmetic="integer").invert(never, state[2:2])


@pytest.mark.parametrize("index", [0, "a", None, (slice(2), 0), [0, 1]])
def test_samples_are_cut_out_by_slices(made: Any, index: Any) -> None:
    with pytest.raises(InputError, match=r"by a slice, as in state\[2:3\], not by"):
        made[2][index]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"place_in_batch": "x"}, "the place_in_batch of a state's conditions must be a whole number ≥ 0, not 'x'"),
        ({"place_in_batch": 0.5}, "not 0.5"),
        ({"place_in_batch": -1}, "not -1"),
        ({"batch": "all"}, "the batch of a state's conditions must be a whole number ≥ 1, not 'all'"),
        ({"batch": 0}, "not 0"),
        ({"batch": None}, "not None"),
    ],
)
def test_conditions_made_by_hand_are_checked(made: Any, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(made[2], conditions={**made[2].conditions, **wrong})
    with pytest.raises(InputError, match="not None"):
        replace(made[2], conditions={"a": 1})


def test_a_part_of_the_batch_is_refused(made: Any) -> None:
    grid, _, state = made
    part = replace(state, history=tuple(x[:2] for x in state.history))
    with pytest.raises(InputError, match="batch is 4 there and 2 here"):
        Sampler("blend:k=3", grid, arithmetic="integer").invert(never, part)


def test_a_float_state_is_refused_and_a_forced_one_rounded(made: Any) -> None:
    grid, model, _ = made
    floats = Sampler("blend:k=3", grid).sample(model, grid.noise((4, 2), seed=0))
    with pytest.raises(InputError, match=r"not made in integer arithmetic.*integer:force=1"):
        Sampler("blend:k=3", grid, arithmetic="integer").invert(never, floats)
    forced = Sampler("blend:k=3", grid, arithmetic="integer:force=1")
    found = forced.invert(model, floats)
    again = forced.sample(model, found)
    assert torch.equal(again.x, forced.rounded(floats.x, 0))


def test_a_state_that_was_changed_is_refused(made: Any) -> None:
    grid, _, state = made
    changed = replace(state, history=(state.x + 1e-13, *state.history[1:]))
    with pytest.raises(InputError, match="the state was changed: it is no longer on the grid of its integers"):
        Sampler("blend:k=3", grid, arithmetic="integer").invert(never, changed)


def test_a_float_sampler_continues_an_integer_state(made: Any) -> None:
    grid, model, state = made
    back = Sampler("blend:k=3", grid).invert(model, state)
    assert float((back.x - grid.noise((4, 2), seed=0)).abs().max()) < 1e-9
    assert not back.conditions


def kernels_that_differ_by_place(model: Model) -> Model:
    """A model whose answers depend on the place of a sample in its batch, as those of real kernels may."""
    return lambda x, t: model(x, t) * (1 + 1e-9 * torch.arange(len(x), dtype=x.dtype).reshape(-1, 1, 1, 1))


# ---- a fixed batch size ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bits_do_not_depend_on_how_many_are_asked_for(dtype: torch.dtype) -> None:
    grid = DDPM.grid(8)
    model = digits.denoiser(label=7, guidance=3.0, dtype=dtype)
    sampler = Sampler("blend:k=3", grid, arithmetic="integer:batch=4")
    noise = grid.noise((6, 1, 8, 8), seed=0)
    whole = sampler.sample(model, noise)
    for n in (1, 3, 4, 5):
        part = sampler.sample(model, noise[:n])
        assert torch.equal(part.x, whole.x[:n]), n
        assert torch.equal(sampler.invert(model, part).x, sampler.rounded(noise[:n]))
    # A part of a stored state goes back on its own: the model sees what it saw.
    cut = replace(whole, history=tuple(x[:3] for x in whole.history))
    assert torch.equal(sampler.invert(model, cut).x, sampler.rounded(noise[:3]))


def test_without_it_they_do() -> None:
    grid = DDPM.grid(8)
    model = digits.denoiser(label=7, guidance=3.0)
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")
    noise = grid.noise((16, 1, 8, 8), seed=0)
    assert not torch.equal(sampler.sample(model, noise[:1]).x, sampler.sample(model, noise).x[:1])


def test_samples_cut_from_the_middle_of_a_batch_know_where_they_were() -> None:
    grid = DDPM.grid(8)
    noise = grid.noise((7, 1, 8, 8), seed=0)
    model = kernels_that_differ_by_place(digits.denoiser(label=7))
    sampler = Sampler("blend:k=3", grid, arithmetic="integer:batch=3")
    state = sampler.sample(model, noise)
    for cut in (slice(3, 6), slice(1, 2), slice(1, 3), slice(2, 7), slice(4, 4)):
        back = sampler.invert(model, state[cut])
        assert torch.equal(back.x, sampler.rounded(noise[cut])), cut
        assert same(sampler.sample(model, back), state[cut]) and back.conditions == state[cut].conditions
    lost = replace(state[1:2], conditions=state.conditions)
    assert not torch.equal(sampler.invert(model, lost).x, sampler.rounded(noise[1:2])), "the place is of consequence"
    assert state[1:][2:].conditions == state.conditions and state[3:][1:].conditions["place_in_batch"] == 1


def test_samples_are_cut_in_one_piece_unless_the_model_sees_them_one_by_one() -> None:
    grid = DDPM.grid(8)
    noise = grid.noise((5, 1, 8, 8), seed=0)
    model = kernels_that_differ_by_place(digits.denoiser(label=7))
    sampler = Sampler("blend:k=3", grid, arithmetic="integer:batch=3")
    with pytest.raises(InputError, match=r"batches of 3, so a step of 2 cannot cut them; cut one piece"):
        sampler.sample(model, noise)[1:5:2]
    single = Sampler("blend:k=3", grid, arithmetic="integer:batch=1")
    state = single.sample(model, noise)
    assert torch.equal(single.invert(model, state[1:5:2]).x, single.rounded(noise[1:5:2]))


def test_samples_joined_again_follow_each_other_in_the_models_batches() -> None:
    grid = DDPM.grid(8)
    noise = grid.noise((4, 1, 8, 8), seed=0)
    model = digits.denoiser(label=7)
    sampler = Sampler("blend:k=3", grid, arithmetic="integer:batch=3")
    state = sampler.sample(model, noise)
    assert same(State.joined([state[n : n + 1] for n in range(4)]), state)
    assert State.joined([state[1:2], state[2:]]).conditions == state[1:].conditions
    with pytest.raises(InputError, match=r"the same conditions: place_in_batch is 1 there and 2 here"):
        State.joined([state[:1], state[2:]])
    single = Sampler("blend:k=3", grid, arithmetic="integer:batch=1")
    parts = [single.sample(model, noise[n : n + 1]) for n in range(4)]
    assert same(State.joined(parts), single.sample(model, noise)), "with batches of one nothing depends on the place"
    with pytest.raises(InputError, match="batch is 1 there and 3 here"):
        State.joined([parts[0], state[:1]])


def test_a_model_that_varies_with_time() -> None:
    grid = DDPM.grid(10)
    model = guided_along(digits.denoiser(label=7), digits.denoiser(), ramp(1.0, 3.0), grid)
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")
    noise = grid.noise((2, 1, 8, 8), seed=0)
    state = sampler.sample(model, noise)
    assert torch.equal(sampler.invert(model, state).x, sampler.rounded(noise))
    assert float((state.x - Sampler("blend:k=3", grid).sample(model, noise).x).abs().max()) < 1e-4
