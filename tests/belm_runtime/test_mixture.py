"""The mixture against densities, integrals and distribution functions that do not use its formulas."""

from __future__ import annotations

import math
import sys
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from belm_runtime.errors import InputError, NotFiniteError
from belm_runtime.mixture import GaussianMixture, reference
from belm_runtime.models import PREDICTIONS, from_denoiser, to_epsilon


class Flow:
    """alpha = 1 − t, sigma = t."""

    def alpha_sigma(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 1.0 - t, t


class Cosine:
    """alpha = cos, sigma = sin of pi·t/2000, t in 0 … 1000."""

    def alpha_sigma(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.cos(np.pi * t / 2000), np.sin(np.pi * t / 2000)


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_density(mixture: GaussianMixture, x: Tensor, alpha: float, sigma: float) -> Tensor:
    """log p(x), from torch.distributions."""
    deviation = torch.sqrt((alpha * mixture.scales) ** 2 + sigma**2)
    parts = Independent(Normal(alpha * mixture.means, deviation), 1)
    return MixtureSameFamily(Categorical(mixture.weights), parts).log_prob(x)


@given(
    dimension=st.integers(1, 6),
    components=st.integers(1, 5),
    seed=st.integers(0, 10**6),
    alpha=st.floats(0, 1.5),
    sigma=st.floats(0.01, 1.5),
)
def test_epsilon_is_the_score_of_the_explicit_density(
    dimension: int, components: int, seed: int, alpha: float, sigma: float
) -> None:
    mixture = GaussianMixture.random(dimension, components, seed, Flow())
    x = normal((4, dimension), seed).requires_grad_()
    (score,) = torch.autograd.grad(log_density(mixture, x, alpha, sigma).sum(), x)
    x = x.detach()
    epsilon, denoised = mixture.epsilon(x, alpha, sigma), mixture.denoised(x, alpha, sigma)
    assert torch.allclose(epsilon, -sigma * score, rtol=1e-10, atol=1e-10)
    assert torch.allclose(alpha * denoised + sigma * epsilon, x, rtol=1e-12, atol=1e-12)


def test_score_with_one_scale_per_coordinate() -> None:
    scales = [[0.3, 1.0, 2.0], [0.1, 0.7, 0.2]]
    mixture = GaussianMixture([[0, 1, 2], [1, -1, 0]], scales, [1, 3], Flow())
    x = normal((5, 3), 1).requires_grad_()
    (score,) = torch.autograd.grad(log_density(mixture, x, 0.8, 0.4).sum(), x)
    assert torch.allclose(mixture.epsilon(x.detach(), 0.8, 0.4), -0.4 * score, rtol=1e-12, atol=1e-13)


def test_epsilon_agrees_with_fifty_digits() -> None:
    mu, c, w = [["0.5", "-1"], ["-1.5", "0.25"]], ["0.3", "0.75"], ["0.25", "0.75"]
    mixture = GaussianMixture([[float(m) for m in row] for row in mu], [0.3, 0.75], [0.25, 0.75], Flow())
    point, alpha, sigma = (-0.375, 0.5), 0.625, 0.375
    with mp.workdps(50):

        def log_p(*x: Any) -> Any:
            total = mp.mpf(0)
            for row, scale, weight in zip(mu, c, w, strict=True):
                v = (alpha * mp.mpf(scale)) ** 2 + mp.mpf(sigma) ** 2
                far = sum((xi - alpha * mp.mpf(m)) ** 2 for xi, m in zip(x, row, strict=True))
                total += mp.mpf(weight) * mp.exp(-far / (2 * v)) / v
            return mp.log(total)

        expected = [-sigma * mp.diff(log_p, point, n) for n in ((1, 0), (0, 1))]
        found = mixture.epsilon(torch.tensor([point], dtype=torch.float64), alpha, sigma)[0].tolist()
        errors = [abs(f - e) / abs(e) for f, e in zip(found, expected, strict=True)]
    assert max(errors) < 1e-14


def test_denoised_is_the_posterior_mean_by_quadrature() -> None:
    mixture = GaussianMixture([[-1.0], [0.5]], [0.25, 0.5], [0.25, 0.75], Flow())
    x, alpha, sigma = 0.3, 0.6, 0.8
    with mp.workdps(50):

        def joint(data: Any) -> Any:
            prior = mp.npdf(data, -1, 0.25) / 4 + 3 * mp.npdf(data, 0.5, 0.5) / 4
            return prior * mp.npdf(x, alpha * data, sigma)

        cuts = [-12, -2, -1, 0, 1, 3, 12]
        expected = mp.quad(lambda data: data * joint(data), cuts) / mp.quad(joint, cuts)
        found = mixture.denoised(torch.tensor([[x]], dtype=torch.float64), alpha, sigma).item()
        assert abs(found - expected) < 1e-15


@pytest.mark.parametrize("prediction", PREDICTIONS)
@given(seed=st.integers(0, 10**6), t=st.lists(st.floats(1, 1000), min_size=3, max_size=3))
def test_all_predictions_describe_one_state(prediction: str, seed: int, t: list[float]) -> None:
    mixture = GaussianMixture.random(4, 3, seed, Cosine(), prediction)
    x, times = normal((3, 4), seed), torch.tensor(t, dtype=torch.float64)
    alpha, sigma = (torch.from_numpy(level)[:, None] for level in Cosine().alpha_sigma(times.numpy()))
    data, noise = mixture.denoised(x, alpha, sigma), mixture.epsilon(x, alpha, sigma)
    expected = {
        "epsilon": noise,
        "v": alpha * noise - sigma * data,
        "sample": data,
        "flow": noise - data,
    }[prediction]
    found = mixture(x, times)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(to_epsilon(prediction, found, x, alpha, sigma), noise, rtol=0, atol=1e-10)


def test_pure_noise_says_nothing_about_the_component() -> None:
    mixture = GaussianMixture.random(3, 4, 0, Flow())
    x = normal((5, 3), 2)
    assert torch.allclose(mixture.epsilon(x, 0.0, 1.0), x, rtol=1e-15)
    mean = mixture.weights @ mixture.means
    assert torch.allclose(mixture.denoised(x, 0.0, 1.0), mean.expand(5, 3), rtol=1e-14)
    assert torch.allclose(mixture(x, torch.ones(5, dtype=torch.float64)), x, rtol=1e-15)


@pytest.mark.parametrize("sigma", [0.0, 1e-300, 1e-30, 1e-12])
def test_epsilon_vanishes_with_sigma_and_data_is_x_over_alpha(sigma: float) -> None:
    mixture = GaussianMixture.random(3, 4, 1, Flow())
    x = normal((5, 3), 3)
    epsilon = mixture.epsilon(x, 0.9, sigma)
    assert epsilon.abs().max() <= sigma * 1e5
    assert torch.allclose(mixture.denoised(x, 0.9, sigma), x / 0.9, rtol=1e-11, atol=1e-11)
    if sigma:
        leaf = x.clone().requires_grad_()
        (score,) = torch.autograd.grad(log_density(mixture, leaf, 0.9, sigma).sum(), leaf)
        assert torch.allclose(epsilon / sigma, -score, rtol=1e-9)


def test_far_from_all_components_the_nearest_wide_one_wins() -> None:
    mixture = GaussianMixture([[0.0], [3.0]], [0.5, 1.0], [0.5, 0.5], Flow())
    x = torch.tensor([[1e6], [-1e6]], dtype=torch.float64)
    expected = 0.1 * (x - 0.9 * 3.0) / (0.81 + 0.01)
    assert torch.allclose(mixture.epsilon(x, 0.9, 0.1), expected, rtol=1e-14)


@given(st.floats(0, 1000))
def test_standard_normal_data_has_linear_epsilon(t: float) -> None:
    mixture = GaussianMixture(np.zeros((1, 2)), [1.0], [1.0], Cosine())
    x, times = normal((3, 2), 4), torch.full((3,), t, dtype=torch.float64)
    assert torch.allclose(mixture(x, times), math.sin(math.pi * t / 2000) * x, rtol=1e-13, atol=1e-15)


@given(
    seed=st.integers(0, 10**6),
    levels=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 3), st.floats(0.1, 3)),
)
def test_exact_solution_of_one_gaussian_is_the_reference(seed: int, levels: tuple[float, ...]) -> None:
    s, r, scale, other = levels
    start, stop = (scale * (1 - s), scale * s), (other * (1 - r), other * r)
    mixture = GaussianMixture.random(3, 1, seed, Flow())
    x = normal((2, 3), seed)
    exact = mixture.exact(x, start, stop)
    found = reference(mixture, x, start, stop)
    assert (found - exact).abs().max() <= 1e-10 * max(1.0, float(exact.abs().max()))
    assert torch.allclose(mixture.exact(exact, stop, start), x, rtol=1e-12, atol=1e-12)


def test_exact_solution_transports_the_data_distribution() -> None:
    mixture = GaussianMixture([[1.0, -2.0]], [[0.5, 0.1]], [1.0], Flow())
    quantile = torch.tensor([[-1.5, 0.5]], dtype=torch.float64)
    data = mixture.exact(quantile, (0.0, 1.0), (1.0, 0.0))
    assert torch.allclose(data, torch.tensor([[0.25, -1.95]], dtype=torch.float64), rtol=1e-15)
    per_sample = mixture.exact(normal((2, 2), 1), (np.array([0.0, 0.6]), np.array([1.0, 0.8])), (1.0, 0.0))
    alone = mixture.exact(normal((2, 2), 1)[1:], (0.6, 0.8), (1.0, 0.0))
    assert torch.equal(per_sample[1:], alone)


@pytest.mark.parametrize(("start", "stop"), [((0.0, 1.0), (1.0, 0.0)), ((1.0, 0.0), (0.1, 2.0))])
def test_reference_preserves_the_distribution_function(start: tuple[float, float], stop: tuple[float, float]) -> None:
    mixture = GaussianMixture([[-1.0], [0.0], [2.0]], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5], Flow())

    def cdf(x: Tensor, pair: tuple[float, float]) -> Tensor:
        deviation = torch.sqrt((pair[0] * mixture.scales) ** 2 + pair[1] ** 2)[:, 0]
        parts = Normal(pair[0] * mixture.means[:, 0], deviation)
        return MixtureSameFamily(Categorical(mixture.weights), parts).cdf(x[:, 0])

    x = torch.linspace(-1.5, 2.2, 7, dtype=torch.float64)[:, None]
    moved = reference(mixture, x, start, stop)
    assert (moved - x).abs().max() > 0.1
    assert torch.allclose(cdf(moved, stop), cdf(x, start), rtol=0, atol=1e-10)


def test_reference_returns_and_knows_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = GaussianMixture.random(4, 3, 5, Flow())
    noise = normal((2, 2, 2), 6)
    data = reference(mixture, noise, (0.0, 1.0), (1.0, 0.0))
    assert data.shape == noise.shape
    assert torch.allclose(reference(mixture, data, (1.0, 0.0), (0.0, 1.0)), noise, rtol=0, atol=1e-8)
    with pytest.raises(InputError, match="one component, not 3"):
        mixture.exact(noise, (0.0, 1.0), (1.0, 0.0))
    with pytest.raises(InputError, match=r"\(0\.0, 0\.0\)"):
        reference(mixture, noise, (0.0, 1.0), (0.0, 0.0))
    with pytest.raises(InputError, match="NaN or an infinity"):
        reference(mixture, noise * float("nan"), (0.0, 1.0), (1.0, 0.0))
    monkeypatch.setitem(sys.modules, "scipy.integrate", None)
    with pytest.raises(InputError, match="pip install scipy"):
        reference(mixture, noise, (0.0, 1.0), (1.0, 0.0))


def test_reference_that_breaks_down_is_not_returned() -> None:
    class Broken(GaussianMixture):
        def posterior(self, x: Tensor, alpha: Any, sigma: Any) -> tuple[Tensor, Tensor]:
            denoised, epsilon = super().posterior(x, alpha, sigma)
            return denoised, epsilon if sigma > 0.5 else epsilon * float("nan")

    mixture = Broken([[0.0], [1.0]], [0.5, 0.5], [1, 1], Flow())
    with pytest.raises(NotFiniteError, match=r"reference stopped at s = 0\.[5-9]"):
        reference(mixture, normal((2, 1), 0), (0.0, 1.0), (1.0, 0.0))


def test_each_sample_has_its_own_time_and_any_event_shape() -> None:
    mixture = GaussianMixture.random(6, 3, 7, Cosine(), "v")
    x, t = normal((3, 2, 3), 8), torch.tensor([0.0, 400.0, 981.5], dtype=torch.float64)
    together = mixture(x, t)
    for j in range(3):
        alone = mixture(x[j].reshape(1, 6), t[j : j + 1])
        assert torch.allclose(together[j], alone.reshape(2, 3), rtol=1e-13)
    assert torch.equal(mixture(x, t[1:2]), mixture(x, t[1:2].expand(3)))


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_dtype_follows_the_state(dtype: torch.dtype, digits: float) -> None:
    mixture = GaussianMixture.random(5, 3, 9, Cosine())
    x, t = normal((4, 5), 10).to(dtype), torch.full((4,), 500.0)
    found = mixture(x, t)
    assert found.dtype is dtype
    assert torch.allclose(found.double(), mixture(x.double(), t), rtol=digits, atol=digits)
    assert torch.equal(found, mixture(x.float(), t).to(dtype))


def test_adapter_for_denoisers_agrees_with_the_mixture() -> None:
    mixture = GaussianMixture.random(3, 4, 11, Cosine(), "sample")
    model = from_denoiser(lambda x, sigma: mixture.denoised(x, 1.0, sigma), Cosine())
    x, t = normal((3, 3), 12), torch.tensor([10.0, 500.0, 990.0], dtype=torch.float64)
    assert torch.allclose(model(x, t), mixture(x, t), rtol=1e-10, atol=1e-10)


def test_drawn_data_has_the_moments_of_the_mixture() -> None:
    mixture = GaussianMixture([[0.0, 2.0], [4.0, -2.0]], [0.5, 1.0], [1, 3], Flow())
    data = mixture.sample_data(40_000, seed=1)
    assert data.shape == (40_000, 2) and data.dtype is torch.float64
    assert mixture.weights.tolist() == [0.25, 0.75]
    assert torch.equal(data, mixture.sample_data(40_000, seed=1))
    assert not torch.equal(data, mixture.sample_data(40_000, seed=2))
    # Between the components 0.25·0.75·4² = 3, within them (0.25 + 3)/4: five standard errors are about 0.05.
    assert torch.allclose(data.mean(0), torch.tensor([3.0, -1.0], dtype=torch.float64), atol=0.05)
    expected = torch.tensor([[3.8125, -3.0], [-3.0, 3.8125]], dtype=torch.float64)
    assert torch.allclose(torch.cov(data.T), expected, atol=0.13)


def test_random_family_is_reproducible() -> None:
    one, same, other = (GaussianMixture.random(3, 4, seed, Flow()) for seed in (0, 0, 1))
    assert torch.equal(one.means, same.means) and not torch.equal(one.means, other.means)
    assert one.means.shape == one.scales.shape == (4, 3)
    assert one.scales.min() >= 0.1 and one.scales.max() <= 1.0
    assert math.isclose(float(one.weights.sum()), 1.0, rel_tol=1e-15)


@pytest.mark.parametrize(
    ("means", "scales", "weights", "prediction", "says"),
    [
        ([1.0, 2.0], [1.0], [1.0], "epsilon", "means have shape"),
        ([[1.0, 2.0]], [1.0], [0.5, 0.5], "epsilon", "weights have shape"),
        ([[1.0, 2.0]], [1.0, 1.0], [1.0], "epsilon", "scales have shape"),
        ([[1.0, math.inf]], [1.0], [1.0], "epsilon", "means = .* must be finite$"),
        ([[1.0, 2.0]], [0.0], [1.0], "epsilon", "scales = .* finite and positive"),
        ([[1.0, 2.0]], [1.0], [-1.0], "epsilon", "weights = .* finite and positive"),
        ([[1.0, 2.0]], [1.0], [1.0], "noise", "unknown prediction 'noise'"),
    ],
)
def test_bad_parameters_are_named(means: Any, scales: Any, weights: Any, prediction: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        GaussianMixture(means, scales, weights, Flow(), prediction)


def test_bad_calls_are_named() -> None:
    mixture = GaussianMixture.random(6, 2, 0, Flow())
    with pytest.raises(InputError, match=r"\(3, 5\); it must be \(batch, …\) with 6"):
        mixture.epsilon(normal((3, 5), 0), 1.0, 1.0)
    with pytest.raises(InputError, match="2 alpha and 2 sigma for a batch of 3"):
        mixture(normal((3, 6), 0), torch.tensor([0.1, 0.2]))
    with pytest.raises(InputError, match="dimension = 0"):
        GaussianMixture.random(0, 2, 0, Flow())
