"""What a model may be and use under a reversible gradient: nothing undeclared, nothing random, nothing in place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from belm_runtime import InputError, Sampler, Schedule
from belm_runtime.guidance import Varying
from belm_runtime.watched import Watched, declare

GRID = Schedule.preset("ddpm").grid(6)
SAMPLER = Sampler("blend:k=3", GRID)


def leaf(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.float64, requires_grad=True)


def run(model: Callable[..., Tensor], *wrt: Tensor) -> Tensor:
    noise = GRID.noise((2, 4), seed=0).requires_grad_()
    return SAMPLER.sample(model, noise, gradient="reversible", wrt=[noise, *wrt]).x


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4, dtype=torch.float64)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.drop(self.inner(x))


# ---- declared, or an error ---------------------------------------------------------------------------------


def test_an_undeclared_leaf_is_named() -> None:
    scale = leaf(4)
    with pytest.raises(
        InputError, match=r"uses a tensor of shape \(4,\), which requires a gradient and is not declared"
    ):
        run(lambda x, t: scale * x)
    run(lambda x, t: scale * x, scale)
    run(lambda x, t: scale.detach() * x)


def test_an_undeclared_parameter_is_named_as_the_module_names_it() -> None:
    net = Linear().eval()
    with pytest.raises(InputError, match=r"uses parameter inner\.weight|uses parameter inner\.bias"):
        run(net)
    with pytest.raises(InputError, match=r"uses parameter inner\.bias"):
        run(net, net.inner.weight)
    run(net, *net.parameters())


def test_a_condition_made_outside_is_declared_as_it_is_used_or_by_what_it_is_made_of() -> None:
    embedding = leaf(4)
    made = torch.sin(embedding)
    with pytest.raises(InputError, match="is not declared"):
        run(lambda x, t: made * x)
    run(lambda x, t: made * x, made).sum().backward()
    through = embedding.grad
    embedding.grad = None
    run(lambda x, t: torch.sin(embedding) * x, embedding).sum().backward()
    assert embedding.grad is not None and through is not None
    assert torch.allclose(embedding.grad, through, rtol=1e-12)


@pytest.mark.parametrize("arithmetic", ["float64", "integer"])
@pytest.mark.parametrize(
    "make", [torch.exp, lambda e: 2 * e, lambda e: e + 0, lambda e: nn.functional.linear(e, torch.eye(4).double())]
)
def test_what_a_condition_was_made_of_before_the_run_gets_the_whole_gradient(
    make: Callable[[Tensor], Tensor], arithmetic: str
) -> None:
    """The graph of the condition belongs to every step: the first backward pass must not use it up."""
    noise = GRID.noise((2, 4), seed=0)
    found = []
    for gradient, wrt in (("reversible", True), ("autograd", False)):
        embedding = leaf(4)
        made = make(embedding)
        sampler = Sampler("blend:k=3", GRID, arithmetic=arithmetic if wrt else "float64")
        x = sampler.sample(
            lambda x, t, made=made: torch.tanh(x) * made, noise, gradient=gradient, wrt=[embedding] if wrt else None
        ).x
        x.square().sum().backward(retain_graph=True)
        (again,) = torch.autograd.grad(x.square().sum(), embedding)
        assert embedding.grad is not None and torch.equal(again, embedding.grad)
        found.append(embedding.grad)
    torch.testing.assert_close(*found, rtol=1e-9, atol=0)


def test_a_condition_that_the_model_keeps_from_its_first_call_gets_the_whole_gradient() -> None:
    found = []
    for gradient in ("reversible", "autograd"):
        embedding, kept = leaf(4), []

        def model(x: Tensor, t: Tensor, embedding: Tensor = embedding, kept: list[Tensor] = kept) -> Tensor:
            with torch.enable_grad():
                kept += [] if kept else [torch.sin(embedding)]
            return torch.tanh(x) * kept[0]

        wrt = [embedding] if gradient == "reversible" else None
        SAMPLER.sample(model, GRID.noise((2, 4), seed=0), gradient=gradient, wrt=wrt).x.sum().backward()
        found.append(embedding.grad)
    torch.testing.assert_close(*found, rtol=1e-9, atol=0)


def test_the_steps_of_a_model_that_makes_its_own_graph_share_nothing() -> None:
    embedding = leaf(4)
    made = torch.sin(embedding)
    for model, shared in ((lambda x, t: torch.sin(embedding) * x, False), (lambda x, t: made * x, True)):
        watched = Watched(model, [embedding])
        watched.model(torch.ones(2, 4, dtype=torch.float64), torch.zeros(2))
        assert watched.shared is shared


def test_both_a_tensor_and_what_it_is_made_of_cannot_be_declared() -> None:
    embedding = leaf(4)
    made = torch.sin(embedding)
    with pytest.raises(InputError, match="another that it is made of; declare one of them"):
        run(lambda x, t: made * x + embedding, made, embedding)


def test_the_noise_used_inside_the_model_counts_as_declared() -> None:
    noise = GRID.noise((2, 4), seed=0).requires_grad_()

    def model(x: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(x + 0.1 * noise)

    (expected,) = torch.autograd.grad(SAMPLER.sample(model, noise, gradient="autograd").x.sum(), noise)
    (found,) = torch.autograd.grad(SAMPLER.sample(model, noise, gradient="reversible").x.sum(), noise)
    assert torch.allclose(found, expected, rtol=1e-10)


def test_a_model_that_hides_its_gradient_is_no_silent_constant() -> None:
    for without in (torch.no_grad(), torch.inference_mode()):
        with pytest.raises(InputError, match=r"changes with x but has no gradient.*under torch\.no_grad"):
            run(without(lambda x, t: torch.tanh(x)))
    buffer = torch.empty(2, 4, dtype=torch.float64)
    with pytest.raises(InputError, match="changes with x but has no gradient"):
        run(lambda x, t: buffer.copy_(x.detach()))
    with pytest.raises(InputError, match="different predictions for the same state"):
        run(lambda x, t: buffer.copy_(torch.randn_like(x)))
    weight = leaf(4)
    run(lambda x, t: weight.expand_as(x), weight)
    run(lambda x, t: x if float(t[0]) < 300 else torch.ones_like(x))


def test_what_is_used_at_one_late_step_only_is_found() -> None:
    late = leaf(1)

    def model(x: Tensor, t: Tensor) -> Tensor:
        return x * late if float(t[0]) < 300 else x

    with pytest.raises(InputError, match="is not declared"):
        run(model)


def test_a_model_that_varies_with_time_is_watched() -> None:
    late = leaf(1)
    model = Varying(lambda time: (lambda x, t: x * late) if time < 300 else (lambda x, t: x))
    with pytest.raises(InputError, match="is not declared"):
        run(model)
    run(model, late).sum().backward()
    assert late.grad is not None and float(late.grad.abs()) > 0


# ---- what to differentiate by ------------------------------------------------------------------------------


def test_the_default_is_the_noise_and_the_parameters() -> None:
    net, noise = Linear(), leaf(2, 4)
    net.inner.bias.requires_grad_(False)
    assert [id(x) for x in declare(net, [noise], None)] == [id(noise), id(net.inner.weight)]
    assert [id(x) for x in declare(lambda x, t: x, [noise], None)] == [id(noise)]
    assert declare(net, [noise], [noise, noise]) == [noise]


def test_wrong_lists_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to differentiate by: neither x nor a parameter"):
        declare(lambda x, t: x, [torch.zeros(2)], None)
    with pytest.raises(InputError, match=r"wrt holds a float32 tensor of shape \(3,\) that requires no gradient"):
        declare(lambda x, t: x, [torch.zeros(2)], [torch.zeros(3)])
    with pytest.raises(InputError, match="wrt holds a str that requires no gradient"):
        declare(lambda x, t: x, [torch.zeros(2)], ["noise"])  # type: ignore[list-item]
    for wrong, name in ((5, "int"), ("noise", "str"), (leaf(3), "float64 tensor")):
        with pytest.raises(InputError, match=f"wrt is an? {name}.*must be a list of tensors"):
            declare(lambda x, t: x, [torch.zeros(2)], wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"starts from a float64 tensor of shape \(2, 4\) that requires a gradient"):
        declare(lambda x, t: x, [leaf(2, 4)], [leaf(3)])


# ---- deterministic, and not in place -----------------------------------------------------------------------


def test_dropout_is_found() -> None:
    net = Linear()
    torch.manual_seed(0)  # Two masks can be the same by chance.
    with (
        pytest.warns(UserWarning, match="training mode"),
        pytest.raises(InputError, match="different predictions for t"),
    ):
        run(net, *net.parameters())


@pytest.mark.parametrize("size", [1e-2, 1e-5, 1e-10])
def test_noise_in_the_model_is_found(size: float) -> None:
    with pytest.raises(InputError, match=r"has to be deterministic: call \.eval\(\) on it"):
        run(lambda x, t: x + size * torch.randn_like(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_two_predictions_may_differ_by_the_order_in_which_kernels_add(dtype: torch.dtype) -> None:
    size = torch.finfo(dtype).eps
    signs = iter([1, -1] * 100)
    run(lambda x, t: (x * (1 + next(signs) * size)).to(dtype))


def test_reentrant_checkpoints_are_named() -> None:
    net = Linear().eval()
    for reentrant in (False, True):

        def model(x: Tensor, t: Tensor, reentrant: bool = reentrant) -> Tensor:
            return checkpoint(net, x, t, use_reentrant=reentrant)

        if reentrant:
            with pytest.raises(InputError, match="use_reentrant=True"):
                run(model, *net.parameters())
        else:
            run(model, *net.parameters()).sum().backward()
            assert net.inner.weight.grad is not None


def test_inference_mode_is_named() -> None:
    with torch.inference_mode(), pytest.raises(InputError, match=r"no gradients under torch\.inference_mode"):
        run(lambda x, t: torch.tanh(x))


@pytest.mark.parametrize(
    "model", [lambda x, t: x.mul_(0.5), lambda x, t: torch.tanh(x.add_(1)), lambda x, t: x.relu_()]
)
def test_a_change_in_place_is_found(model: Callable[..., Tensor]) -> None:
    with pytest.raises(InputError, match="changes its input in place"):
        run(model)


def test_models_that_return_their_input_or_a_constant() -> None:
    assert run(lambda x, t: x).requires_grad
    assert run(lambda x, t: torch.zeros_like(x)).requires_grad


def test_the_prediction_of_a_watched_model_has_no_graph() -> None:
    scale = leaf(4)
    watched = Watched(lambda x, t: scale * x, [scale])
    assert not watched.model(torch.ones(2, 4), torch.zeros(2)).requires_grad
