"""Reconstruct and edit: exact where they promise it, no call too many, states in their own arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from belm_runtime import InputError, Sampler, Schedule, State, digits
from belm_runtime.mixture import GaussianMixture
from belm_runtime.tasks import edit, reconstruct, turning_node

SCHEDULE = Schedule.preset("ddpm")
GRID = SCHEDULE.grid(12, "trailing")
METHODS = ["open:k=2", "open:k=3", "blend:k=3,theta=0.8", "o-belm", "bdia:gamma=1"]
DEVICES = [
    "cpu",
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]

pytestmark = pytest.mark.filterwarnings("ignore::belm_runtime.amplification.BareInversionWarning")


class Toy:
    """A smooth model that remembers the times it was asked at, and the dtype it was given."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift, self.times = shift, list[float]()

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.times.append(float(t[0]))
        return torch.tanh(0.5 * x + self.shift + t.reshape(-1, *(1,) * (x.dim() - 1)) / 2000)


def picture() -> Tensor:
    return torch.linspace(-0.9, 0.9, 12, dtype=torch.float64).reshape(3, 4)


def stored(method: str) -> State:
    return Sampler(method, GRID).sample(Toy(), GRID.noise((3, 4), seed=1))


def gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


# ---- reconstruct -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*METHODS, "edict"])
def test_a_stored_state_comes_back_with_all_its_members(method: str) -> None:
    state, model = stored(method), Toy()
    made = reconstruct(Sampler(method, GRID), model, state)
    assert made.turn.nodes[0] == 12 and made.state.nodes[0] == 0
    assert gap(made.turn.x, GRID.noise((3, 4), seed=1)) < 1e-9
    assert all(gap(x, y) < 1e-9 for x, y in zip(made.state.history, state.history, strict=True))
    k = Sampler(method, GRID).method.k
    # From k states to k states: N - k + 1 new ones each way, and k - 2 slopes evaluated again.
    assert len(model.times) == made.calls == (48 if method == "edict" else 2 * (12 - 1))
    assert made.turn.calls == (24 if method == "edict" else 12 - k + 1 + k - 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_bare_picture_comes_back_from_the_state_and_not_quite_from_its_noise_alone(method: str) -> None:
    sampler, model = Sampler(method, GRID), Toy()
    whole = reconstruct(sampler, model, picture())
    assert gap(whole.state.x, picture()) < 1e-9
    assert whole.calls == len(model.times) == 12 + 11
    alone = reconstruct(sampler, model, picture(), alone=True)
    assert torch.equal(alone.turn.x, whole.turn.x) and alone.state.calls == 12
    assert torch.equal(alone.state.x, sampler.sample(Toy(), whole.turn.x).x)
    assert gap(alone.state.x, picture()) > 1e-6


def test_the_schedule_is_handed_on() -> None:
    sampler = Sampler("open:k=3", GRID)
    plain, climbed = (reconstruct(sampler, Toy(), picture(), schedule=s) for s in (None, SCHEDULE))
    assert torch.equal(climbed.turn.x, sampler.invert(Toy(), picture(), schedule=SCHEDULE).x)
    assert climbed.turn.calls > plain.turn.calls and gap(climbed.state.x, picture()) < 1e-9


def test_a_method_without_inverse_is_refused() -> None:
    for task in (lambda s: reconstruct(s, Toy(), picture()), lambda s: edit(s, Toy(), Toy(), picture())):
        with pytest.raises(InputError, match="cannot be inverted exactly"):
            task(Sampler("ddim", GRID))


# ---- edit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("method", [*METHODS, "edict"])
@pytest.mark.parametrize("bare", [False, True])
def test_an_edit_to_the_same_changes_nothing(method: str, keep: float, bare: bool) -> None:
    x = picture() if bare else stored(method)
    made = edit(Sampler(method, GRID), Toy(), Toy(), x, keep=keep)
    assert made.turn.nodes[0] == 12 - round(12 * keep)
    assert gap(made.state.x, x if isinstance(x, Tensor) else x.x) < 1e-9


@pytest.mark.parametrize("keep", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("method", METHODS)
def test_each_model_is_asked_once_at_each_node_of_its_way(method: str, keep: float) -> None:
    source, target = Toy(), Toy(0.4)
    turn = 12 - round(12 * keep)
    made = edit(Sampler(method, GRID), source, target, picture(), keep=keep)
    times = GRID.timesteps.tolist()
    assert source.times == [times[1], *times[1:turn]]
    # Down: first the slopes that the history needs, then every node from the lowest of the history on.
    assert sorted(target.times) == sorted(times[1:turn])
    assert made.calls == 2 * turn - 1
    assert gap(made.state.x, picture()) > 1e-3


def test_the_edit_is_invert_then_sample() -> None:
    sampler = Sampler("open:k=3", GRID)
    made = edit(sampler, Toy(), Toy(0.4), picture(), keep=0.25)
    up = sampler.invert(Toy(), picture(), stop=9)
    assert torch.equal(made.turn.x, up.x) and torch.equal(made.state.x, sampler.sample(Toy(0.4), up).x)


def test_an_edit_of_a_gaussian_moves_it_as_the_two_flows_say() -> None:
    """Up by the closed form under one Gaussian, down by that under another: an oracle that shares no step."""
    grid = SCHEDULE.grid(200, "trailing")
    source, target = (GaussianMixture([[m] * 4], [c], [1.0], SCHEDULE) for m, c in ((-1, 0.6), (1.5, 0.9)))
    x = source.sample_data(8, seed=2)
    made = edit(Sampler("open:k=3", grid), source, target, x, keep=0.2, schedule=SCHEDULE)
    level = float(grid.alpha[160]), float(grid.sigma[160])
    expected = target.exact(source.exact(x, (1.0, 0.0), level), level, (1.0, 0.0))
    assert made.turn.nodes[0] == 160
    assert gap(made.state.x, expected) < 0.02 * float((expected - x).abs().max())


@pytest.mark.parametrize("keep", [-0.1, 1.0, 1.5, float("nan"), "x"])
def test_keep_is_a_fraction(keep: float) -> None:
    with pytest.raises(InputError, match=r"keep = .*(outside \[0, 1\)|not a finite number)"):
        turning_node(Sampler("open:k=3", GRID), keep)


def test_keep_leaves_something_to_change() -> None:
    assert turning_node(Sampler("open:k=3", GRID), 0.75) == 3
    with pytest.raises(InputError, match=r"turns at node 2; open:k=3 changes nothing below node 3: keep at most 0\.75"):
        turning_node(Sampler("open:k=3", GRID), 0.8)
    assert turning_node(Sampler("edict", GRID), 0.9) == 1


def test_a_state_above_the_turning_node_is_refused() -> None:
    sampler = Sampler("open:k=3", GRID)
    with pytest.raises(InputError, match="stop = 6 is not between the state's node 10"):
        edit(sampler, Toy(), Toy(), sampler.sample(Toy(), GRID.noise((3, 4), 0), stop=8), keep=0.5)


# ---- arithmetic and devices --------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_states_stay_in_their_arithmetic_whatever_the_model_computes_in(
    device: str, dtype: torch.dtype, arithmetic: str
) -> None:
    if device == "mps" and arithmetic == "float64":
        pytest.skip("mps has no float64")
    network = digits.load(dtype, device)
    state_dtype = getattr(torch, arithmetic)
    seen: set[tuple[torch.dtype, torch.dtype]] = set()

    def model(label: int):
        under = digits.denoiser(label, 3.0, network=network)

        def asked(x: Tensor, t: Tensor) -> Tensor:
            seen.add((x.dtype, t.dtype))
            return under(x, t)

        return asked

    x = torch.linspace(-1, 1, 128, dtype=torch.float64).reshape(2, 1, 8, 8).to(device, state_dtype)
    sampler = Sampler("open:k=3", SCHEDULE.grid(8), arithmetic=arithmetic)
    made = edit(sampler, model(3), model(8), x, keep=0.25, schedule=SCHEDULE)
    same = edit(sampler, model(3), model(3), x, keep=0.25, schedule=SCHEDULE)
    assert seen == {(state_dtype, state_dtype)}
    for state in (made.turn, made.state):
        assert all(member.dtype == state_dtype and member.device.type == device for member in state.history)
    # Given the same states a deterministic network says the same, however coarsely. Rounding of float64 states hardly
    # ever moves its input by one of its own units, rounding of float32 states sometimes does.
    assert gap(same.state.x, x) < (1e-10 if arithmetic == "float64" else 1e-2)
    assert gap(made.state.x, x) > 0.3
