"""The embedded model has learnt its data, and the commands that train and measure it do what they say.

Quality is not compared with a recorded figure but with the best linear denoiser of the same data, which a
network with random weights cannot beat.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from belm_runtime.digits import DigitsUNet, load
from belm_runtime.digits.evaluate import best_linear, memorisation, nearest, noise_error, sample, to_grey
from belm_runtime.digits.judge import frechet
from belm_runtime.digits.network import fingerprint
from belm_runtime.digits.train import SCHEDULE, held_out, pictures, save, train
from belm_runtime.digits.train import main as train_command
from belm_runtime.errors import InputError
from belm_runtime.mixture import GaussianMixture


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def white(n: int, d: int) -> Tensor:
    """Points with mean 0 and covariance 1, exactly."""
    draw = normal((n, d), 0)
    inverse: Tensor = torch.linalg.inv(torch.linalg.cholesky(torch.cov(draw.T)))
    return (draw - draw.mean(0)) @ inverse.T


@pytest.fixture(scope="module")
def network() -> DigitsUNet:
    return load()


@pytest.fixture(scope="module")
def unseen() -> tuple[Tensor, Tensor, Tensor]:
    """Held-out pictures, their classes, and the training pictures."""
    data, classes = pictures()
    mask = held_out(len(data))
    return data[mask], classes[mask], data[~mask]


def test_the_best_linear_denoiser_is_exact_for_one_gaussian() -> None:
    scales = [0.5, 1.0, 2.0]
    known = white(500, 3) * torch.tensor(scales, dtype=torch.float64) + 0.3
    exact = GaussianMixture([[0.3] * 3], [scales], [1.0], SCHEDULE)
    x = normal((7, 3), 1)
    assert torch.allclose(best_linear(known, x, 0.8, 0.6), exact.epsilon(x, 0.8, 0.6), rtol=0, atol=1e-10)


@pytest.mark.parametrize("t", [50.0, 100.5, 300.5, 500.0])
def test_the_network_beats_the_best_linear_denoiser_on_pictures_it_has_not_seen(
    t: float, network: DigitsUNet, unseen: tuple[Tensor, Tensor, Tensor]
) -> None:
    data, classes, known = unseen
    right = noise_error(network, data, classes, known, t, seed=5)
    wrong = noise_error(network, data, (classes + 5) % 10, known, t, seed=5)
    assert right["class"] < 0.75 * right["best_linear"]
    assert right["class"] < right["null_class"] < wrong["class"]
    # Without the class there is less to know, and above t = 400 the data look Gaussian.
    assert t > 400 or right["null_class"] < right["best_linear"]


def test_a_network_with_random_weights_fails_that_check(unseen: tuple[Tensor, Tensor, Tensor]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = DigitsUNet().requires_grad_(False)
    data, classes, known = unseen
    found = noise_error(untrained, data, classes, known, 300.5, seed=5)
    assert found["class"] > found["best_linear"]


def test_samples_look_like_the_class_they_were_asked_for(
    network: DigitsUNet, unseen: tuple[Tensor, Tensor, Tensor]
) -> None:
    """Twenty steps; judged by the nearest real picture the network was not trained on."""
    data, classes, _ = unseen
    labels = torch.arange(10).repeat(5)
    drawn = sample(network, labels, len(labels), 1.0, 20, seed=3, progress=lambda *_: None)
    assert torch.equal(drawn, to_grey(drawn)) and len(set(drawn.flatten().tolist())) <= 17
    assert (classes[nearest(drawn, data)[1]] == labels).double().mean() > 0.7


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    plain = white(400, 3)
    scale = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    shifted = plain * scale + torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64)
    assert frechet(plain, plain) == pytest.approx(0, abs=1e-9)
    assert frechet(shifted, plain) == pytest.approx(25 + float((scale - 1).square().sum()), rel=1e-9)


def test_the_memorisation_check_tells_copies_from_new_pictures(unseen: tuple[Tensor, Tensor, Tensor]) -> None:
    data, _, known = unseen
    half = len(data) // 2
    copies = memorisation(known[:200] + 0.01, known, data[:half])
    fresh = memorisation(data[half:], known, data[:half])
    assert copies["samples_median"] < 0.1 < 1 < fresh["samples_median"]
    assert fresh["samples_median"] == pytest.approx(fresh["held_out_median"], rel=0.1)
    assert fresh["nearer_to_training_than_to_held_out"] == pytest.approx(0.5, abs=0.15)


def test_training_depends_on_the_seed_alone_and_learns(tmp_path: Path) -> None:
    seen: list[int] = []
    before = torch.random.get_rng_state()
    first, loss = train(4, 1, lambda done, total, note: seen.append(done))
    assert torch.equal(torch.random.get_rng_state(), before)
    again, _ = train(4, 1)
    other, _ = train(4, 2)
    assert seen == [1, 2, 3, 4] and 0 < loss < 2
    assert fingerprint(first.state_dict()) == fingerprint(again.state_dict()) != fingerprint(other.state_dict())
    save(first, tmp_path / "new.safetensors", {"seed": "1"})
    assert [p.name for p in tmp_path.iterdir()] == ["new.safetensors"]
    x, t = normal((2, 1, 8, 8), 0).float(), torch.tensor([3.0, 700.5])
    assert torch.equal(load(weights=tmp_path / "new.safetensors")(x, t), first(x, t))


def test_a_wrong_number_of_steps_or_seed_is_refused() -> None:
    with pytest.raises(InputError, match="steps = 0, seed = 0; at least one step"):
        train(0)
    with pytest.raises(InputError, match="steps = 1, seed = -1"):
        train(1, -1)


def test_the_training_command_refuses_a_bad_place_before_it_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_command(["--out", str(tmp_path / "no" / "w.safetensors")]) == 2
    assert train_command(["--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("it must be a file name in a folder that exists") == 2


def test_a_missing_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match="pip install scikit-learn"):
        pictures()
