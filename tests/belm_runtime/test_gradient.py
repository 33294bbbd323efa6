"""gradient="reversible": the gradients of autograd in the memory of a few steps, or an error, never a wrong number."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from belm_runtime import AmplificationWarning, InputError, NotFiniteError, Sampler, Schedule, State, digits
from belm_runtime.errors import DriftError
from belm_runtime.guidance import guided_along, ramp
from belm_runtime.methods import catalogue
from belm_runtime.mixture import GaussianMixture

pytestmark = pytest.mark.filterwarnings("ignore::belm_runtime.sampler.AmplificationWarning")
DDPM, SD15, FLOW = (Schedule.preset(name) for name in ("ddpm", "sd15", "flow"))
NAMES = [fact["method"] for fact in catalogue() if fact["invertible"] and fact["sampling"][0] != "refuted"]
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gradient_cost.py"


class Net(nn.Module):
    """A small network with a condition; it counts its calls."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(0.4 * torch.randn(width, width, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(0.1 * torch.randn(width, generator=generator, dtype=torch.float64))
        self.calls = 0

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        self.calls += 1
        inner = torch.tanh(x @ self.weight + t[:, None] / 1000 + (0 if condition is None else condition))
        return inner @ self.weight.T + self.bias


def loss(state: State) -> Tensor:
    """Of all states that a run returns, each in its own way."""
    return sum((torch.sin((n + 1) * x) * x).sum() for n, x in enumerate(state.history))  # type: ignore[return-value]


def relative(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, expected, strict=True))


# ---- the numbers of autograd -------------------------------------------------------------------------------


@pytest.mark.parametrize("arithmetic", ["float64", "integer"])
@pytest.mark.parametrize("method", [name for name in NAMES if name != "bdia:gamma=0.5"] + ["blend:k=3,theta=0.6"])
def test_gradients_are_those_of_autograd(method: str, arithmetic: str) -> None:
    grid = SD15.grid(20)
    floats, sampler = Sampler(method, grid), Sampler(method, grid, arithmetic=arithmetic)
    net, condition = Net(), torch.full((4,), 0.3, dtype=torch.float64, requires_grad=True)
    noise = grid.noise((3, 4), seed=0).requires_grad_()

    def model(x: Tensor, t: Tensor) -> Tensor:
        return net(x, t, condition * 2)

    by = [noise, condition, net.weight, net.bias]
    expected = torch.autograd.grad(loss(floats.sample(model, noise, gradient="autograd")), by)
    found = torch.autograd.grad(loss(sampler.sample(model, noise, gradient="reversible", wrt=by)), by)
    assert floats.amplification() * 2.0**-52 <= 1e-8
    assert relative(found, expected) < 1e-6


@pytest.mark.parametrize("schedule", [DDPM, SD15, FLOW], ids=lambda s: s.name)
@pytest.mark.parametrize("start", ["adams", "ddim"])
def test_grids_starts_and_predictions(schedule: Schedule, start: str) -> None:
    for method, steps, prediction in (("open:k=4", 7, "flow"), ("blend:k=3", 4, "v"), ("blend:k=3", 3, "sample")):
        grid = schedule.grid(steps)
        sampler = Sampler(method, grid, prediction=prediction, start=start)
        net, noise = Net(), grid.noise((2, 4), seed=1).requires_grad_()
        by = [noise, *net.parameters()]
        expected = torch.autograd.grad(loss(sampler.sample(net, noise, gradient="autograd")), by)
        found = torch.autograd.grad(loss(sampler.sample(net, noise, gradient="reversible")), by)
        assert relative(found, expected) < 1e-10, (method, steps)


@pytest.mark.parametrize("arithmetic", ["float64", "integer"])
@pytest.mark.parametrize("method", ["o-belm", "open:k=4", "edict"])
def test_parts_of_a_run_from_a_state_and_to_a_node(method: str, arithmetic: str) -> None:
    grid = DDPM.grid(12)
    floats, sampler, net = Sampler(method, grid), Sampler(method, grid, arithmetic=arithmetic), Net()
    for stop in (11, 6):
        noise = grid.noise((2, 4), seed=2).requires_grad_()
        expected = torch.autograd.grad(loss(floats.sample(net, noise, stop=stop, gradient="autograd")), noise)
        found = torch.autograd.grad(loss(sampler.sample(net, noise, stop=stop, gradient="reversible")), noise)
        assert relative(found, expected) < 1e-8, stop
    with torch.no_grad():
        middle = sampler.sample(net, grid.noise((2, 4), seed=2), stop=6)
    for stop in (5, 0):
        state = replace(middle, history=tuple(x.clone().requires_grad_() for x in middle.history))
        by = [*state.history, net.bias]
        plain = replace(state, conditions={})
        expected = torch.autograd.grad(loss(floats.sample(net, plain, stop=stop, gradient="autograd")), by)
        found = torch.autograd.grad(loss(sampler.sample(net, state, stop=stop, gradient="reversible")), by)
        assert relative(found, expected) < 1e-8, stop


@pytest.mark.parametrize("method", ["o-belm", "blend:k=3", "open:k=4", "edict", "bdia:gamma=1"])
def test_gradcheck(method: str) -> None:
    grid = SD15.grid(6)
    sampler, net = Sampler(method, grid), Net(2)

    def run(noise: Tensor, weight: Tensor, condition: Tensor) -> tuple[Tensor, ...]:
        def model(x: Tensor, t: Tensor) -> Tensor:
            return torch.tanh(x @ weight + condition) + t[:, None] / 1000

        return sampler.sample(model, noise, gradient="reversible", wrt=[noise, weight, condition]).history

    inputs = (grid.noise((2, 2), seed=0), net.weight.detach().clone(), torch.zeros(2, dtype=torch.float64))
    assert torch.autograd.gradcheck(run, tuple(x.requires_grad_() for x in inputs), atol=1e-7, rtol=1e-5)


def test_integers_need_no_small_amplification() -> None:
    grid = DDPM.grid(50, "trailing")
    net = GaussianMixture([[-1.0, 0.5], [1.0, -0.3]], [0.2, 0.3], [1, 2], DDPM)
    noise = grid.noise((4, 2), seed=0).requires_grad_()
    floats = Sampler("bdia:gamma=0.5", grid)
    assert floats.amplification() > 1e16
    expected = torch.autograd.grad(loss(floats.sample(net, noise, gradient="autograd")), noise)
    exact = Sampler("bdia:gamma=0.5", grid, arithmetic="integer")
    found = torch.autograd.grad(loss(exact.sample(net, noise, gradient="reversible")), noise)
    assert relative(found, expected) < 1e-5
    words = "come back with a relative error of .*: gradients would be wrong; use arithmetic='integer'"
    with pytest.raises(DriftError, match=words):
        loss(Sampler("bdia:gamma=0.5", DDPM.grid(80)).sample(net, noise, gradient="reversible")).backward()


def test_the_amplification_is_warned_of() -> None:
    grid = DDPM.grid(50)
    with pytest.warns(AmplificationWarning, match="inverting bdia:gamma=0.5 on this grid amplifies rounding"):
        Sampler("bdia:gamma=0.5", grid).sample(Net(), grid.noise((1, 4), seed=0), gradient="reversible")


# ---- the run itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arithmetic", ["float32", "float64", "integer"])
@pytest.mark.parametrize("method", ["blend:k=3", "edict"])
def test_the_state_is_that_of_a_run_without_gradient(method: str, arithmetic: str, tmp_path: Path) -> None:
    grid = DDPM.grid(10)
    sampler, net = Sampler(method, grid, arithmetic=arithmetic), Net().requires_grad_(False)
    noise = grid.noise((2, 4), seed=0)
    plain = sampler.sample(net, noise)
    found = sampler.sample(net, noise.requires_grad_(), gradient="reversible")
    assert all(map(torch.equal, plain.history, found.history)) and all(x.requires_grad for x in found.history)
    assert (plain.nodes, plain.method) == (found.nodes, found.method)
    assert found.conditions == {**plain.conditions, **({"graph": True} if plain.conditions else {})}
    loaded = State.load(found.save(tmp_path / "s.safetensors"))
    assert torch.equal(loaded.x, plain.x)


@pytest.mark.parametrize(("method", "a_step"), [("o-belm", 1), ("blend:k=3", 1), ("edict", 2)])
def test_the_way_back_calls_the_network_once_where_the_way_there_did(method: str, a_step: int) -> None:
    grid, net = DDPM.grid(15), Net()
    noise = grid.noise((2, 4), seed=0).requires_grad_()
    state = Sampler(method, grid).sample(net, noise, gradient="reversible")
    assert (state.calls, net.calls) == (15 * a_step, 15 * a_step + 1), "one more to see whether it answers the same"
    net.calls = 0
    loss(state).backward()
    assert net.calls == 15 * a_step


def test_what_is_not_asked_for_gets_nothing() -> None:
    grid, net = DDPM.grid(8), Net()
    noise = grid.noise((2, 4), seed=0)
    loss(Sampler("o-belm", grid).sample(net, noise, gradient="reversible")).backward()
    assert noise.grad is None and net.weight.grad is not None
    net = Net().requires_grad_(False)
    noise.requires_grad_()
    loss(Sampler("o-belm", grid).sample(net, noise, gradient="reversible")).backward()
    assert noise.grad is not None and net.weight.grad is None


def test_a_second_way_back_and_no_second_derivative() -> None:
    grid, net = DDPM.grid(8), Net()
    noise = grid.noise((2, 4), seed=0).requires_grad_()
    value = loss(Sampler("o-belm", grid).sample(net, noise, gradient="reversible"))
    (first,) = torch.autograd.grad(value, noise, retain_graph=True)
    (second,) = torch.autograd.grad(value, noise, create_graph=True)
    assert torch.equal(first, second)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


def test_models_that_vary_with_time_and_parts_of_a_batch() -> None:
    grid = DDPM.grid(8)
    network = digits.load(torch.float64)
    model = guided_along(digits.denoiser(7, network=network), digits.denoiser(network=network), ramp(1.0, 3.0), grid)
    noise = grid.noise((3, 1, 8, 8), seed=0).requires_grad_()
    (expected,) = torch.autograd.grad(loss(Sampler("blend:k=3", grid).sample(model, noise, gradient="autograd")), noise)
    for arithmetic in ("float64", "integer", "integer:batch=2"):
        sampler = Sampler("blend:k=3", grid, arithmetic=arithmetic)
        found = torch.autograd.grad(loss(sampler.sample(model, noise, gradient="reversible")), noise)
        assert relative(found, (expected,)) < 1e-6


def test_a_sample_cut_from_a_batch_is_evaluated_at_its_place_on_both_ways() -> None:
    grid, net, places = DDPM.grid(8), Net(), torch.arange(3, dtype=torch.float64)[:, None]

    def model(x: Tensor, t: Tensor) -> Tensor:
        return net(x, t) * (1 + 0.1 * places)

    sampler = Sampler("blend:k=3", grid, arithmetic="integer:batch=3")
    noise = grid.noise((3, 4), seed=0)
    middle = sampler.sample(model, noise, stop=4)

    def by_its_states(state: State) -> list[Tensor]:
        leaves = replace(state, history=tuple(x.clone().requires_grad_() for x in state.history))
        made = sampler.sample(model, leaves, gradient="reversible", wrt=[*leaves.history, *net.parameters()])
        return list(torch.autograd.grad(loss(made), leaves.history))

    for whole, part in zip(by_its_states(middle), by_its_states(middle[1:2]), strict=True):
        assert torch.equal(whole[1:2], part)


def test_autocast_is_on_the_way_back_what_it_was_on_the_way_there() -> None:
    grid, net = DDPM.grid(6), Net().float()
    sampler = Sampler("blend:k=3", grid, arithmetic="integer")

    def model(x: Tensor, t: Tensor) -> Tensor:
        return net(x.float(), t.float())

    found = []
    for inside in (True, False):
        noise = grid.noise((2, 4), seed=0).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(sampler.sample(model, noise, gradient="reversible", wrt=[noise, *net.parameters()]))
            if inside:
                value.backward()
        if not inside:
            value.backward()
        found.append(noise.grad)
    assert torch.equal(*found)


# ---- memory ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cost() -> ModuleType:
    specification = importlib.util.spec_from_file_location("gradient_cost", BENCHMARK)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def live(cost: ModuleType, arithmetic: str, gradient: str, steps: int, batch: int) -> int:
    grid = DDPM.grid(steps)
    model = digits.denoiser(label=3)
    with cost.LiveBytes() as counted:
        cost.once(Sampler("blend:k=3", grid, arithmetic=arithmetic), model, grid.noise((batch, 1, 8, 8), 0), gradient)
    return counted.most


@pytest.mark.parametrize("arithmetic", ["float64", "integer"])
def test_live_bytes_do_not_grow_with_the_number_of_steps(cost: ModuleType, arithmetic: str) -> None:
    few, many = (live(cost, arithmetic, "reversible", steps, 1) for steps in (10, 100))
    assert few > 0 and many <= 1.15 * few


def test_live_bytes_are_a_fraction_of_those_of_autograd(cost: ModuleType) -> None:
    plain, reversible = (live(cost, "float64", gradient, 50, 16) for gradient in ("autograd", "reversible"))
    assert plain >= 15 * reversible


def test_live_bytes_are_counted_as_they_live(cost: ModuleType) -> None:
    with cost.LiveBytes() as counted:
        x = torch.zeros(1000, dtype=torch.float64)
        view = x[:10]
        assert counted.now == 8000
        del x
        assert counted.now == 8000, "a view keeps it"
        del view
        assert (counted.now, counted.most) == (0, 8000)
        y = torch.zeros(1000, requires_grad=True).exp().exp()
        assert counted.now == 12000, "the graph keeps the first exponential"
        del y
        assert counted.now == 0


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.fixture
def sampler() -> Sampler:
    return Sampler("blend:k=3", DDPM.grid(8))


def test_a_method_without_inverse(sampler: Sampler) -> None:
    with pytest.raises(InputError, match="ddim has a_k = 0 and cannot be inverted exactly"):
        Sampler("ddim", sampler.grid).sample(Net(), torch.zeros(1, 4), gradient="reversible")


def test_a_grid_without_a_row_to_invert() -> None:
    with pytest.raises(InputError, match=r"open:k=4 has no row to invert on a grid of 3 steps; .* needs 4 or more"):
        Sampler("open:k=4", DDPM.grid(3)).sample(Net(), torch.zeros(1, 4), gradient="reversible")


def test_wrong_words(sampler: Sampler) -> None:
    noise = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    with pytest.raises(InputError, match="unknown gradient 'reversibel'; did you mean 'reversible'"):
        sampler.sample(Net(), noise, gradient="reversibel")
    with pytest.raises(InputError, match="wrt is for gradient='reversible'"):
        sampler.sample(Net(), noise, wrt=[noise])
    with pytest.raises(InputError, match=r"wrt is a float64 tensor of shape \(1, 4\); it must be a list of tensors"):
        sampler.sample(Net(), noise, gradient="reversible", wrt=noise)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="autograd sees integers as constants"):
        Sampler("blend:k=3", sampler.grid, arithmetic="integer").sample(Net(), noise, gradient="autograd")


def test_a_model_that_changes_between_the_ways(sampler: Sampler) -> None:
    noise = sampler.grid.noise((2, 4), seed=0).requires_grad_()
    net = Net()
    value = loss(sampler.sample(net, noise, gradient="reversible"))
    with torch.no_grad():
        net.weight.mul_(1.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()
    hidden = [1.0]

    def changing(x: Tensor, t: Tensor) -> Tensor:
        return hidden[0] * torch.tanh(x)

    for arithmetic, change in (("float64", 2.0), ("integer", 1 + 1e-9)):
        hidden[0] = 1.0
        other = Sampler("blend:k=3", sampler.grid, arithmetic=arithmetic)
        value = loss(other.sample(changing, noise, gradient="reversible"))
        hidden[0] = change
        with pytest.raises(DriftError, match="come back with a relative error of"):
            value.backward()


@pytest.mark.parametrize(("below", "place"), [(500, "from node 4 to node 3"), (1000, "from node 8 to node 7")])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_answers_nan(sampler: Sampler, below: int, place: str, value: float) -> None:
    noise = sampler.grid.noise((2, 4), seed=0).requires_grad_()

    def broken(x: Tensor, t: Tensor) -> Tensor:
        return torch.where(t[:, None] < below, value, 1.0) * x

    with pytest.raises(NotFiniteError, match=place):
        sampler.sample(broken, noise, gradient="reversible")


def test_a_network_that_answers_nothing_and_an_empty_batch(sampler: Sampler) -> None:
    noise = sampler.grid.noise((2, 4), seed=0).requires_grad_()
    with pytest.raises(InputError, match="the model returned a NoneType at node 8"):
        sampler.sample(lambda x, t: None, noise, gradient="reversible")  # type: ignore[arg-type, return-value]
    assert sampler.sample(lambda x, t: 0.5 * x, noise[:0], gradient="reversible").x.shape == (0, 4)


@pytest.mark.parametrize("arithmetic", ["float64", "float32", "integer"])
@pytest.mark.parametrize("method", ["blend:k=3", "edict:p=0.93"])
def test_a_run_may_start_from_zero(method: str, arithmetic: str) -> None:
    zero = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    sampler, net = Sampler(method, DDPM.grid(8), arithmetic=arithmetic), Net().requires_grad_(False)
    (found,) = torch.autograd.grad(loss(sampler.sample(net, zero, gradient="reversible")), zero)
    plain = Sampler(method, DDPM.grid(8)).sample(net, zero, gradient="autograd")
    assert relative((found,), torch.autograd.grad(loss(plain), zero)) < (1e-4 if arithmetic == "float32" else 1e-8)


def test_what_is_asked_for_is_there_within_no_grad_too(sampler: Sampler) -> None:
    noise = sampler.grid.noise((2, 4), seed=0).requires_grad_()
    with torch.no_grad():
        states = [sampler.sample(lambda x, t: torch.tanh(x), noise, gradient=how) for how in ("reversible", "autograd")]
    found, expected = (torch.autograd.grad(loss(state), noise) for state in states)
    assert relative(found, expected) < 1e-12


def test_states_of_other_conditions_are_refused_as_ever(sampler: Sampler) -> None:
    exact = Sampler("blend:k=3", sampler.grid, arithmetic="integer")
    state: Any = sampler.sample(Net(), sampler.grid.noise((2, 4), seed=0), stop=4)
    with pytest.raises(InputError, match="not made in integer arithmetic"):
        exact.sample(Net(), state, gradient="reversible")
