"""How good the embedded model is, measured by a classifier that has nothing to do with it.

    python -m belm_runtime.digits.evaluate --out digits-evaluation

Samples are drawn by DDIM (Song, Meng and Ermon, arXiv 2010.02502),

    x_{i−1} = alpha_{i−1}·D + sigma_{i−1}·eps,    D = (x_i − sigma_i·eps)/alpha_i,

on the leading grid of the schedule, and rounded to the 17 grey levels of the data before they are measured:

- recognised: the share of samples of a class that the judge of `belm_runtime.digits.judge`, trained on the
  training pictures alone, takes for that class;
- Fréchet distance in the judge's features between the samples and half the real pictures. Its unit is the
  judge's own, so it stands beside the distance from that half to the other half of the real pictures, which
  is as good as it gets, and to noise;
- memorisation: Euclidean distance to the nearest training picture, of samples, of held-out pictures and of
  training pictures (to another one), and the share of samples that are nearer to the training pictures than
  to as many held-out ones (½ for a model that does not memorise), beside the largest such share between two
  lots of training pictures, which is what chance does;
- noise error: the mean of (eps − net)² on held-out pictures, told the class or not, at whole timesteps and
  half-way between them, beside that of the best linear denoiser for the training pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from belm_runtime.digits import WEIGHTS, DigitsUNet, denoiser, load
from belm_runtime.digits.judge import frechet, train_judge
from belm_runtime.digits.network import NULL
from belm_runtime.digits.train import SCHEDULE, Progress, add_noise, held_out, pictures, progress_line
from belm_runtime.errors import InputError, NotFiniteError

#: Timesteps at which the noise error is measured.
TIMES = (0.0, 100.0, 100.5, 300.0, 300.5, 500.0, 700.0, 999.0)

_CHUNK = 128


def sample(
    network: DigitsUNet,
    labels: Tensor | None,
    count: int,
    guidance: float,
    steps: int,
    seed: int,
    progress: Progress,
) -> Tensor:
    """As many DDIM samples, float32 of shape (count, 1, 8, 8), rounded to the grey levels of the data."""
    grid = SCHEDULE.grid(steps, "leading")
    alpha, sigma = grid.alpha.tolist(), grid.sigma.tolist()
    x = grid.noise((count, 1, 8, 8), seed=seed).to(torch.float32)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        model = denoiser(None if labels is None else labels[part], guidance, network=network)
        for i in range(steps, 0, -1):
            epsilon = model(x[part], torch.full((len(x[part]),), float(grid.timesteps[i])))
            data = (x[part] - sigma[i] * epsilon) / alpha[i]
            x[part] = alpha[i - 1] * data + sigma[i - 1] * epsilon
        progress(min(start + _CHUNK, count), count, "")
    if not x.isfinite().all():
        raise NotFiniteError(f"a sample is not finite after {steps} steps of DDIM at guidance {guidance}")
    return to_grey(x)


def to_grey(x: Tensor) -> Tensor:
    """Pictures rounded to the data's levels −1, −7/8, …, 1."""
    return (8 * x).round().clamp(-8, 8) / 8


def nearest(queries: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """The Euclidean distance from each query to its nearest picture in the pool, and that picture's index."""
    gaps = torch.cdist(queries.flatten(1).double(), pool.flatten(1).double())
    found = gaps.min(1)
    return found.values, found.indices


def memorisation(samples: Tensor, known: Tensor, unseen: Tensor) -> dict[str, float]:
    """Distances to the training pictures `known`, of samples and of the held-out pictures `unseen`."""
    ours, real = nearest(samples, known)[0], nearest(unseen, known)[0]
    to_unseen = nearest(samples, unseen)[0]
    apart = torch.cdist(known.flatten(1), known.flatten(1)).fill_diagonal_(torch.inf).min(1).values
    # Pools at random: neighbours in the file are by the same few writers.
    shuffled = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(0))]
    pools = [pool for pool in torch.split(shuffled, len(unseen)) if len(pool) == len(unseen)]
    to_pools = [nearest(samples, pool)[0] for pool in pools]
    return {
        "samples_median": float(ours.median()),
        "samples_5_percent": float(ours.quantile(0.05)),
        "samples_least": float(ours.min()),
        "held_out_median": float(real.median()),
        "held_out_5_percent": float(real.quantile(0.05)),
        "held_out_least": float(real.min()),
        "training_median": float(apart.median()),
        "training_least": float(apart.min()),
        "nearer_to_training_than_to_held_out": _mean(torch.stack(to_pools) < to_unseen),
        "nearer_to_one_training_lot_at_most": max(_mean(a < b) for a in to_pools for b in to_pools),
    }


def best_linear(known: Tensor, noisy: Tensor, alpha: float, sigma: float) -> Tensor:
    """The best affine guess of the noise, sigma·(alpha²·C + sigma²)^{−1}·(x − alpha·m), float64 of x's shape.

    Args:
        known: data, shape (n, …), whose mean m and covariance C are used.
        noisy: states x = alpha·D + sigma·eps, shape (batch, …).
        alpha: signal level.
        sigma: noise level, positive.
    """
    data = known.flatten(1).double()
    gap = noisy.flatten(1).double() - alpha * data.mean(0)
    total = alpha**2 * torch.cov(data.T) + sigma**2 * torch.eye(data.shape[1], dtype=torch.float64)
    white: Tensor = torch.linalg.solve(total, gap.T)
    return sigma * white.T.reshape(noisy.shape)


def noise_error(
    network: DigitsUNet, data: Tensor, classes: Tensor, known: Tensor, t: float, seed: int, draws: int = 1
) -> dict[str, float]:
    """The mean of (eps − guess)² over these pictures, `draws` times each, at one real-valued timestep.

    Returns:
        The error of the network told the class, of the network told nothing, and of `best_linear` from the
        training pictures `known`.
    """
    data, classes = data.repeat(draws, 1, 1, 1), classes.repeat(draws)
    noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(seed))
    times = torch.full((len(data),), t, dtype=torch.float64)
    noisy = add_noise(data, noise, times)
    alpha, sigma = (float(level) for level in SCHEDULE.alpha_sigma(t))
    guesses = {
        "class": network(noisy, times, classes),
        "null_class": network(noisy, times),
        "best_linear": best_linear(known, noisy, alpha, sigma),
    }
    return {name: float((guess - noise).square().mean()) for name, guess in guesses.items()}


def measure(network: DigitsUNet, steps: int, seed: int) -> tuple[dict[str, Any], Tensor, Tensor, Tensor]:
    """Every figure of the model card; also the samples, their classes and the training pictures."""
    data, classes = pictures()
    unseen = held_out(len(data))
    judge = train_judge(data[~unseen], classes[~unseen], seed + 1, progress_line("judge"))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    reference, other = order.chunk(2)
    labels, count = classes[other], len(other)
    kinds = {"guidance 1": (labels, 1.0), "guidance 3": (labels, 3.0), "null class": (None, 1.0)}
    drawn = {
        name: sample(network, wanted, count, weight, steps, seed, progress_line(f"samples, {name}"))
        for name, (wanted, weight) in kinds.items()
    }
    noise = to_grey(torch.randn(data[other].shape, generator=torch.Generator().manual_seed(seed)))
    seen = judge.features(data[reference])
    far = {name: frechet(judge.features(x), seen) for name, x in drawn.items()}
    far |= {"real": frechet(judge.features(data[other]), seen), "noise": frechet(judge.features(noise), seen)}
    right = {name: judge(drawn[name]).argmax(1) == labels for name in ("guidance 1", "guidance 3")}
    figures = {
        "samples": count,
        "steps": steps,
        "seed": seed,
        "judge_accuracy_on_held_out": _mean(judge(data[unseen]).argmax(1) == classes[unseen]),
        "recognised": {name: _mean(hits) for name, hits in right.items()},
        "recognised_worst_class": min(_mean(right["guidance 1"][labels == c]) for c in range(NULL)),
        "frechet_to_real_half": far,
        "nearest_training_picture": memorisation(drawn["guidance 1"], data[~unseen], data[unseen]),
        "noise_error_on_held_out": {
            str(t): noise_error(network, data[unseen], classes[unseen], data[~unseen], t, seed, 10) for t in TIMES
        },
    }
    return figures, drawn["guidance 1"], labels, data[~unseen]


def draw_nearest(path: Path, figure: Any, samples: Tensor, labels: Tensor, known: Tensor) -> None:
    """A picture of the first two samples of each class, above the training pictures nearest to them."""
    chosen = torch.cat([torch.nonzero(labels == c).flatten()[:2] for c in range(NULL)])
    distance, index = nearest(samples[chosen], known)
    axes = figure.subplots(2, len(chosen), gridspec_kw={"wspace": 0.12, "hspace": 0.12})
    for column, at in enumerate(chosen.tolist()):
        for row, shown in enumerate((samples[at], known[index[column]])):
            axes[row, column].imshow(shown[0], cmap="gray_r", vmin=-1, vmax=1)
            axes[row, column].set(xticks=[], yticks=[])
        axes[0, column].set_title(str(int(labels[at])), fontsize=10)
        axes[1, column].set_xlabel(f"{float(distance[column]):.1f}", fontsize=9)
    for row, name in enumerate(("sample", "nearest\ntraining\npicture")):
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    figure.savefig(temporary, format="png", bbox_inches="tight")
    os.replace(temporary, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 2 a wrong call, 1 a failed run."""
    parser = argparse.ArgumentParser(
        prog="python -m belm_runtime.digits.evaluate",
        description="Measure the embedded model; writes evaluation.json and nearest.png.",
        epilog="example: python -m belm_runtime.digits.evaluate --out digits-evaluation",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="default: those of the package")
    parser.add_argument("--steps", type=int, default=50, help="DDIM steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        network = load(weights=given.weights)
        figure = _blank_figure()
        given.out.mkdir(parents=True, exist_ok=True)
        figures, samples, labels, known = measure(network, given.steps, given.seed)
        text = json.dumps(figures, indent=2)
        temporary = given.out / f"evaluation.json.{os.getpid()}.tmp"
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, given.out / "evaluation.json")
        draw_nearest(given.out / "nearest.png", figure, samples, labels, known)
    except (InputError, NotFiniteError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    print(text)
    return 0


def _blank_figure() -> Any:
    """An empty figure, asked for before the work so that a missing library is known at once."""
    try:
        return import_module("matplotlib.figure").Figure(figsize=(12, 1.4), dpi=120)
    except ImportError:
        raise InputError("the picture needs matplotlib; install it with: pip install matplotlib") from None


def _mean(hits: Tensor) -> float:
    """The share of true entries."""
    return float(hits.double().mean())


if __name__ == "__main__":
    raise SystemExit(main())
