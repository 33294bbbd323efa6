"""The embedded model: what `load` and `denoiser` promise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import belm_runtime.digits as digits
from belm_runtime.digits import NULL, WEIGHTS, DigitsUNet, denoiser, load
from belm_runtime.digits.network import fingerprint
from belm_runtime.errors import InputError
from belm_runtime.models import as_model, from_unet

CARD = (WEIGHTS.parent / "CARD.md").read_text(encoding="utf-8")


def normal(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def batch(n: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """States and real-valued timesteps."""
    t = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 999
    return normal((n, 1, 8, 8), seed, dtype), t


@pytest.fixture(scope="module")
def network() -> DigitsUNet:
    return load()


@pytest.fixture(scope="module")
def double() -> DigitsUNet:
    return load(torch.float64)


def test_the_network_is_frozen_small_and_what_the_card_says(network: DigitsUNet) -> None:
    count = sum(p.numel() for p in network.parameters())
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert 300_000 < count < 350_000
    assert WEIGHTS.stat().st_size <= 2_000_000
    with safe_open(WEIGHTS, framework="pt") as file:
        about = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float32}  # noqa: SIM118
    assert about["fingerprint"] == fingerprint(network.state_dict())
    for stated in (
        f"{count:,}",
        about["fingerprint"],
        about["command"],
        about["torch"],
        f"{float(about['loss']):.4f}",
    ):
        assert stated in CARD


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_shape_and_dtype_in_every_precision(dtype: torch.dtype) -> None:
    x, t = batch(3, dtype=dtype)
    out = load(dtype)(x, t, torch.tensor([0, 9, NULL]))
    assert out.shape == x.shape and out.dtype == dtype and out.isfinite().all()


def test_every_load_and_call_gives_the_same_bits_and_leaves_the_generator_alone(network: DigitsUNet) -> None:
    x, t = batch(4)
    before = torch.random.get_rng_state()
    again = load()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(again(x, t), network(x, t))
    again.enter.weight.zero_()
    assert network.enter.weight.abs().sum() > 0


def test_float64_agrees_with_float32_and_doubling_afterwards_is_the_same(
    network: DigitsUNet, double: DigitsUNet
) -> None:
    x, t = batch(16, dtype=torch.float64)
    exact = double(x, t)
    assert torch.equal(load().double()(x, t), exact)
    gap = (network(x.float(), t) - exact).abs().max()
    assert 0 < gap < 1e-4 * exact.abs().max()


def test_samples_of_a_batch_do_not_mix(double: DigitsUNet) -> None:
    x, t = batch(6, dtype=torch.float64)
    labels = torch.tensor([0, 3, NULL, 5, 7, 9])
    whole = double(x, t, labels)
    alone = torch.cat([double(x[j : j + 1], t[j : j + 1], labels[j : j + 1]) for j in range(6)])
    assert torch.allclose(whole, alone, rtol=0, atol=1e-12)


def test_no_label_is_the_null_class(double: DigitsUNet) -> None:
    x, t = batch(3, dtype=torch.float64)
    assert torch.equal(double(x, t), double(x, t, torch.full((3,), NULL)))
    assert not torch.allclose(double(x, t), double(x, t, torch.full((3,), 4)), atol=1e-3)


def test_real_timesteps_are_read_in_full_whatever_the_precision_of_the_network(double: DigitsUNet) -> None:
    # 981 and 980 are one number in bfloat16; their features must differ as they do in float64.
    t = torch.tensor([980.0, 980.25, 981.0])
    coarse, fine = load(torch.bfloat16).fourier(t).double(), double.fourier(t.double())
    assert torch.equal(coarse, fine.to(torch.bfloat16).double())
    k = torch.arange(32, dtype=torch.float64)
    angle = t.double()[:, None] * 10000.0 ** (-k / 32)
    assert torch.allclose(fine, torch.cat([angle.cos(), angle.sin()], 1), rtol=0, atol=1e-12)


def test_the_prediction_is_smooth_between_whole_timesteps(double: DigitsUNet) -> None:
    """Half-way, it is the mean of its neighbours up to a curvature that is small against the slope."""
    x, _ = batch(8, dtype=torch.float64)
    for low in (50.0, 300.0, 700.0):
        left, middle, right = (double(x, torch.full((8,), low + d, dtype=torch.float64)) for d in (0.0, 0.5, 1.0))
        assert (middle - (left + right) / 2).norm() < 0.5 * (right - left).norm()


@settings(max_examples=15)
@given(weight=st.floats(-5, 10), label=st.integers(0, 9), seed=st.integers(0, 10**6))
def test_guidance_is_linear_between_the_null_class_and_the_label(weight: float, label: int, seed: int) -> None:
    net = load(torch.float64)
    x, t = batch(2, seed, torch.float64)
    null, wanted = net(x, t), net(x, t, torch.full((2,), label))
    guided = denoiser(label, weight, network=net)(x, t)
    assert torch.allclose(guided, null + weight * (wanted - null), rtol=0, atol=1e-11)


def test_guidance_one_is_the_class_alone_in_one_call_and_otherwise_one_call_on_twice_the_batch(
    double: DigitsUNet,
) -> None:
    x, t = batch(5, dtype=torch.float64)
    sizes: list[int] = []
    hook = double.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    try:
        one = denoiser(7, network=double)(x, t)
        none = denoiser(guidance=3.0, network=double)(x, t)
        denoiser(7, 3.0, network=double)(x, t)
    finally:
        hook.remove()
    assert sizes == [5, 5, 10]
    assert torch.equal(one, double(x, t, torch.full((5,), 7)))
    assert torch.equal(none, double(x, t))


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda v: torch.tensor(v, dtype=torch.int32)])
def test_labels_may_differ_in_a_batch_and_come_in_any_container(kind: Callable[[Any], Any], double: DigitsUNet) -> None:
    x, t = batch(3, dtype=torch.float64)
    expected = double(x, t, torch.tensor([1, 0, 9]))
    assert torch.equal(denoiser(kind([1, 0, 9]), network=double)(x, t), expected)


def test_the_denoiser_computes_in_its_own_dtype_and_answers_in_that_of_x(network: DigitsUNet) -> None:
    x, t = batch(2, dtype=torch.float64)
    out = denoiser(3, dtype=torch.float32)(x, t)
    assert out.dtype == torch.float64
    assert torch.equal(out, network(x.float(), t, torch.tensor([3, 3])).double())


def test_the_network_fits_the_adapters_of_the_runtime(double: DigitsUNet) -> None:
    x, t = batch(2, dtype=torch.float64)
    label = torch.tensor([2, 8])
    assert torch.equal(as_model(double)(x, t), double(x, t))
    assert torch.equal(from_unet(double, label=label)(x, t), denoiser(label, network=double)(x, t))


def test_gradients_reach_the_state_though_the_weights_are_frozen(double: DigitsUNet) -> None:
    x, t = batch(1, dtype=torch.float64)
    point, direction = x.clone().requires_grad_(), normal((1, 1, 8, 8), 1, torch.float64)
    (slope,) = torch.autograd.grad(double(point, t).square().sum(), point)
    step = 1e-6 * direction
    secant = (double(x + step, t).square().sum() - double(x - step, t).square().sum()) / 2e-6
    assert float((slope * direction).sum()) == pytest.approx(float(secant), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: denoiser(10), r"label 10 is not a digit; it must be 0 … 9"),
        (lambda: denoiser([3, -1]), r"label -1 is not a digit"),
        (lambda: denoiser(torch.tensor([2, 12])), r"label 12 is not a digit"),
        (lambda: denoiser(3.0), r"label = 3.0; it must be a whole number"),  # type: ignore[arg-type]
        (lambda: denoiser(True), r"label = True; it must be"),
        (lambda: denoiser("3"), r"label = '3'; it must be"),  # type: ignore[arg-type]
        (lambda: denoiser([[1, 2], [3, 4]]), r"one per sample"),  # type: ignore[list-item]
        (lambda: denoiser([[1], 2]), r"one per sample"),  # type: ignore[list-item]
        (lambda: denoiser([]), r"label = \[\]; it must be"),
        (lambda: denoiser(3, float("nan")), r"guidance = nan is not a finite number; it must be, e.g., 1.0"),
        (lambda: denoiser(3, float("-inf")), r"guidance = -inf is not"),
        (lambda: denoiser(3, "high"), r"guidance = 'high' is not"),  # type: ignore[arg-type]
        (lambda: load(torch.int64), r"dtype = torch.int64; the network computes in one of torch.float16"),
        (lambda: denoiser([1, 2])(*batch(3)), r"2 labels for a batch of 3; give one label or 3"),
        (lambda: load()(torch.zeros(2, 3, 8, 8), torch.zeros(2)), r"x has shape \(2, 3, 8, 8\); it must be"),
        (lambda: load()(torch.zeros(2, 1, 8, 8), torch.tensor(5.0)), r"t has shape \(\); it must be \(2,\)"),
        (
            lambda: load()(*batch(2), torch.zeros(1, dtype=torch.int64)),
            r"label has shape \(1,\); it must be \(2,\)",
        ),
    ],
)
def test_a_wrong_call_is_refused_and_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_missing_damaged_and_foreign_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, good = tmp_path / "weights.safetensors", WEIGHTS.read_bytes()
    monkeypatch.setattr(digits, "WEIGHTS", path)
    with pytest.raises(InputError, match=r"there are no weights at .*train it again with: python -m"):
        load()
    for damaged in (b"", good[:1000], good[:-7], b"not a safetensors file at all"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is not a readable safetensors file"):
            load()
    # One flipped bit deep in the weights still reads as a number.
    path.write_bytes(good[:-5000] + bytes([good[-5000] ^ 1]) + good[-4999:])
    with pytest.raises(InputError, match="is damaged: its weights do not have the fingerprint"):
        load()
    other = {"weight": torch.zeros(3)}
    save_file(other, path, {"fingerprint": fingerprint(other)})
    with pytest.raises(InputError, match="holds another network"):
        load()
    path.write_bytes(good)
    load()
    with pytest.raises(InputError, match="is not a readable"):
        load(weights=tmp_path)


def test_loading_needs_neither_scikit_learn_nor_matplotlib() -> None:
    code = (
        "import sys; from belm_runtime.digits import load; load();"
        "print([m for m in ('sklearn', 'matplotlib', 'sympy') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
