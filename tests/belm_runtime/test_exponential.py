"""Exponential variants: quadrature at fifty digits, diffusers' DEIS, orders, round trips, and what is refused."""

from __future__ import annotations

import time
import warnings
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from torch import Tensor

from belm_runtime import Grid, InputError, Sampler, Schedule, coefficients, methods
from belm_runtime.methods import parse
from belm_runtime.mixture import GaussianMixture
from belm_runtime.table import Table

ELEMENTARY = [("exp-blend:k=3,theta=0.7", "noise"), ("exp-blend:k=3,theta=0.7", "flow"), ("exp-echo:k=3", 5),
              ("exp-adams:m=3", "noise"), ("exp-open:k=4", "data"), ("exp-blend:k=5", "noise"),
              ("exp-echo:k=4,theta=0.6", "data"), ("exp-adams:m=2", Fraction(1, 10**9))]  # fmt: skip


def quadrature(table: Table, i: int, count: int) -> list[mp.mpf]:
    """B of row i by tanh-sinh quadrature of Lagrange polynomials in log(sigma/alpha), a as the table has it."""
    alpha, sigma = ([mp.mpf(float(x)) for x in level] for level in (table.grid.alpha, table.grid.sigma))
    q = table.frame.q
    if q is None:
        s = [a / o for a, o in zip(alpha, sigma, strict=True)]
    else:
        s = [o / (a + mp.mpf(q.numerator) / q.denominator * o) for a, o in zip(alpha, sigma, strict=True)]

    def log(x: mp.mpf) -> mp.mpf:
        return -mp.log(x) if q is None else mp.log(x / (1 - mp.mpf(q.numerator) / q.denominator * x))

    logs = [log(s[n]) for n in range(i, i + count)]

    def basis(x: mp.mpf, m: int) -> mp.mpf:
        return mp.fprod([(log(x) - logs[j]) / (logs[m] - logs[j]) for j in range(count) if j != m])

    a = [mp.mpf(float(weight)) for weight in table.a[i - 1]]
    return [
        sum(weight * mp.quad(lambda x, m=m: basis(x, m), s[i - 1 : i + j + 1][::-1])
            for j, weight in enumerate(a) if weight)
        for m in range(count)
    ]  # fmt: skip


def relative(found: np.ndarray, wanted: list[mp.mpf]) -> float:
    return float(max(abs(mp.mpf(float(x)) - y) for x, y in zip(found, wanted, strict=True)) / max(map(abs, wanted)))


@pytest.mark.parametrize(
    ("schedule", "method", "frame"),
    [("sd15", *pair) for pair in ELEMENTARY] + [("ddpm", *pair) for pair in ELEMENTARY[:2]],
)
def test_rows_are_integrals_of_polynomials_in_log_snr(schedule: str, method: str, frame: Any) -> None:
    grid = Schedule.preset(schedule).grid(8, "trailing", end="first" if frame == "data" else "zero")
    table, k = coefficients(method, grid, frame=frame), parse(method).k
    with mp.workdps(50):
        for i in {1, 2, 8 - k + 1, 8 - k + 2, 7} - {8}:
            count = min(k - 1, 8 - i + 1)
            found = table.b[i - 1, :count] * table.h[i - 1 : i - 1 + count]
            assert relative(found, quadrature(table, i, count)) < 1e-15
            assert not table.b[i - 1, count:].any()
    assert table.b[7].tolist() == [-1] + [0] * (k - 2)


@pytest.mark.parametrize(("method", "frame"), [*ELEMENTARY, ("exp-adams:m=4", "data")])
def test_a_thousand_steps_lose_no_digits(method: str, frame: Any) -> None:
    data = frame == "data"
    grid = Schedule.preset("sd15").grid(500 if data else 1000, "trailing", end="first" if data else "zero")
    begin = time.perf_counter()
    table = coefficients(method, grid, frame=frame)
    assert time.perf_counter() - begin < 5
    with mp.workdps(60):
        for i in (1, 490):
            count = table.k - 1
            found = table.b[i - 1] * table.h[i - 1 : i - 1 + count]
            assert relative(found, quadrature(table, i, count)) < 1e-15


def test_two_steps_are_the_plain_methods() -> None:
    grid = Schedule.preset("sd15").grid(12)
    for name in ("ddim", "o-belm", "bdia", "open:k=2", "blend:k=2", "belm:k=2"):
        plain, other = (coefficients(text, grid, frame="flow") for text in (name, f"exp-{name}"))
        assert np.array_equal(plain.a, other.a) and np.array_equal(plain.b, other.b)


def test_constant_slopes_and_the_start() -> None:
    grid = Schedule.preset("ddpm").grid(10)
    plain, table = (coefficients(f"{prefix}blend:k=4", grid, frame="noise") for prefix in ("", "exp-"))
    assert np.array_equal(plain.a, table.a) and not np.array_equal(plain.b, table.b)
    totals = [
        (t.b * np.stack([np.append(t.h, [0, 0])[j : j + 10] for j in range(3)], 1)).sum(1) for t in (plain, table)
    ]
    np.testing.assert_allclose(*totals, rtol=1e-12)
    # Start rows are exponential too, of rising order: those of exponential Adams–Bashforth.
    adams = coefficients("exp-adams:m=2", grid)
    assert table.b[8, :2].tolist() == adams.b[8].tolist() and table.b[8, 2] == 0
    euler = coefficients("exp-blend:k=4", grid, start="ddim")
    assert euler.b[8:].tolist() == [[-1, 0, 0]] * 2 and np.array_equal(euler.b[:7], table.b[:7])


# ---- DEIS -----------------------------------------------------------------------------------------------------------


def network(x: Tensor, t: float) -> Tensor:
    return torch.tanh(1.3 * x + 0.2 * np.sin(t / 90)) + 0.1 * torch.cos(2 * x).roll(1, -1)


def noise(seed: int = 3) -> Tensor:
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("steps", [10, 25])
def test_exponential_adams_is_diffusers_deis(steps: int, order: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        deis = diffusers.DEISMultistepScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", solver_order=order,
            lower_order_final=False, thresholding=False,
        )  # fmt: skip
        deis.set_timesteps(steps)
        # Its last level, sigma = 0, has no logarithm there: the run is compared before it.
        sigmas = deis.sigmas.double().numpy()[:-1]
        alpha = 1 / np.sqrt(sigmas**2 + 1)
        times = deis.timesteps.double().numpy()
        grid = Grid.from_arrays(alpha[::-1], (sigmas * alpha)[::-1], times[::-1])
        x = noise()
        deis.sigmas = deis.sigmas.double()
        for t in deis.timesteps[:-1]:
            x = deis.step(network(x, float(t)), t, x).prev_sample
    assert grid.steps == steps - 1
    found = Sampler(f"exp-adams:m={order}", grid).sample(lambda x, t: network(x, float(t[0])), noise())
    assert float((found.x - x).abs().max()) < 1e-9 * float(x.abs().max())
    if order > 1:
        plain = Sampler(f"adams:m={order}", grid, frame="noise").sample(lambda x, t: network(x, float(t[0])), noise())
        assert float((plain.x - x).abs().max()) > 1e-4


# ---- order ----------------------------------------------------------------------------------------------------------

GAUSSIAN = GaussianMixture([[0.7, -0.4]], [[0.5, 0.8]], [1.0], Schedule.preset("flow"))
NOISE = torch.tensor([[1.0, -0.6], [-0.3, 0.9]], dtype=torch.float64)


def uneven(n: int) -> Grid:
    """Steps that alternate 1 : 2 in t, from 0.2 to 0.8: no smooth grid."""
    t = 0.2 + 0.6 * np.append(0, np.cumsum(np.tile([1.0, 2.0], n // 2)) / (1.5 * n))
    return Grid.from_arrays(1 - t, t, t)


def even(n: int) -> Grid:
    """Equal steps in t from clean data to 0.8."""
    t = np.linspace(0, 0.8, n + 1)
    return Grid.from_arrays(1 - t, t, t)


def error(method: str, grid: Grid, frame: Any) -> float:
    n = grid.steps
    sampler, ends = Sampler(method, grid, frame=frame), (float(grid.alpha[-1]), float(grid.sigma[-1]))
    nodes = range(n - sampler.method.k + 1, n + 1)
    exact = {i: GAUSSIAN.exact(NOISE, ends, (float(grid.alpha[i]), float(grid.sigma[i]))) for i in (0, *nodes)}
    state = sampler.sample(GAUSSIAN, sampler.state([exact[i] for i in nodes], nodes))
    return float((state.x - exact[0]).abs().max())


@pytest.mark.parametrize(
    ("method", "frame", "order"),
    [("exp-adams:m=2", "noise", 2), ("exp-adams:m=2", "flow", 2), ("exp-adams:m=3", "noise", 3)]
    + [("exp-adams:m=4", "data", 4), ("exp-blend:k=3", "noise", 2), ("exp-blend:k=3", 0.5, 2)]
    + [("exp-blend:k=4,theta=0.3", "noise", 3), ("exp-echo:k=4", "data", 3), ("exp-blend:k=5", "data", 4)],
)
def test_order_on_an_uneven_grid(method: str, frame: Any, order: int) -> None:
    steps = [120, 240, 480]
    found = -np.polyfit(np.log(steps), np.log([error(method, uneven(n), frame) for n in steps]), 1)[0]
    assert found == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("method", "order"), [("exp-adams:m=3", 2), ("exp-adams:m=4", 2), ("adams:m=3", 3)])
def test_the_logarithm_at_clean_data_leaves_order_two(method: str, order: int) -> None:
    found = np.log2(error(method, even(240), "noise") / error(method, even(480), "noise"))
    assert found == pytest.approx(order, abs=0.06)


# ---- runs -----------------------------------------------------------------------------------------------------------


def model(x: Tensor, t: Tensor) -> Tensor:
    return network(x, float(t[0]))


@pytest.mark.parametrize("method", ["exp-blend:k=3", "exp-open:k=4", "exp-echo:k=3", "exp-blend:k=4"])
def test_sampling_and_inversion_undo_each_other(method: str) -> None:
    grid = Schedule.preset("sd15").grid(20)
    sampler = Sampler(method, grid)
    assert str(sampler.frame) == "noise" and sampler.amplification() < 1e3
    state = sampler.sample(model, noise())
    assert float((sampler.invert(model, state).x - noise()).abs().max()) < 1e-10
    exact = Sampler(method, grid, arithmetic="integer")
    start = exact.rounded(noise())
    assert torch.equal(exact.invert(model, exact.sample(model, start)).x, start)


def test_a_bare_start_is_plain_and_the_rest_exponential() -> None:
    grid = Schedule.preset("sd15").grid(30)
    bare = GaussianMixture([[0.3] * 4], [[1.0] * 4], [1.0], Schedule.preset("sd15"))
    sampler = Sampler("exp-open:k=3", grid)
    back = sampler.invert(bare, sampler.sample(bare, noise()[0]).x, schedule=Schedule.preset("sd15"))
    assert float((back.x - noise()[0]).abs().max()) < 0.05


def test_gradients_agree() -> None:
    grid, found = Schedule.preset("ddpm").grid(12), []
    for gradient in ("reversible", "autograd"):
        x = noise().requires_grad_()
        Sampler("exp-blend:k=3", grid).sample(model, x, gradient=gradient).x.square().sum().backward()
        found.append(x.grad)
    assert found[0] is not None and found[1] is not None and torch.allclose(*found, rtol=1e-9, atol=1e-12)


# ---- names and refusals ---------------------------------------------------------------------------------------------


def test_names() -> None:
    method = parse("exp-blend:k=3,theta=0.8")
    assert str(method) == "exp-blend:k=3,theta=0.8" and parse(str(method)) == method != method.plain
    assert method == methods.exponential(methods.blend(k=3, theta="4/5")) == methods.make("exp-blend", k=3)
    assert method.plain == parse("blend:k=3") and hash(method) != hash(method.plain)
    assert (method.k, method.has_inverse, str(method.frame)) == (3, True, "noise")
    assert not parse("exp-adams:m=2").has_inverse and method.source.endswith("slopes in log-SNR")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exp-edict", "edict:p=0.93 has two registers and no interpolated slopes"),
        ("exp-exp-ddim", "exp-ddim is exponential already"),
        ("exp-blnd", "unknown method 'blnd'; did you mean 'blend'"),
        ("exp-open:k=9", "k = 9 is outside its range"),
        ("exp-designed", "not before a design"),
        ("exp-", "unknown method ''"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(text)


def refuse(words: str, method: str, grid: Grid, **options: Any) -> None:
    with pytest.raises(InputError, match=words):
        coefficients(method, grid, **options)


def test_what_has_no_elementary_weights_is_refused() -> None:
    grid = Schedule.preset("sd15").grid(10)
    refuse("exp-open:k=4 has k = 4 and no elementary weights in the frame flow", "exp-open:k=4", grid, frame="flow")
    refuse("needs sigma_0 > 0", "exp-open:k=4", grid, frame="data")
    refuse(r"exp-open:k=3 needs alpha > 0, but .* alpha_N = 0", "exp-open:k=3", Schedule.preset("flow").grid(10))
    refuse("alpha_N = 0", "exp-open:k=3", Schedule.preset("flow").grid(10), frame="flow")
    exact = Grid.from_arrays([Fraction(1)] * 5, [Fraction(n) for n in range(1, 6)], range(5))
    refuse("logarithms of the levels, which are no fractions", "exp-open:k=3", exact)
    assert coefficients("exp-o-belm", exact).b[0, 0] == -2
    with pytest.raises(InputError, match="no function of the steps"):
        parse("exp-open:k=3").coefficients({"h1": 1.0, "h2": 1.0, "h3": 1.0}, {})


def test_a_grid_of_fewer_steps_than_the_relation() -> None:
    for steps in (1, 2, 3):
        grid = Schedule.preset("sd15").grid(steps)
        table = coefficients("exp-blend:k=5", grid)
        assert table.b.shape == (steps, 4) and np.isfinite(table.b).all()
        assert all(table.is_start(i) for i in range(1, steps + 1))
