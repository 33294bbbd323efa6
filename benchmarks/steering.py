"""Steering: a digit's class is changed by optimising its noise through all steps: docs/images/steer.png.

    belm bench steering [--digit 0] [--rounds 60] [--out docs/images/steer.png]

The embedded model samples any digit; a judge says how far from the wanted digit a sample is; Adam moves the noise
against the gradient of that, through all 50 steps of the sampler, and the noise is scaled back to its length. The judge
is trained on one half of the real training pictures, as they are and with noise, and is asked about each sample with
some noise: what it wants then looks like a digit. A second judge, trained on the other half, is asked whether it
worked: it has had no part in the steering.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from _arguments import Parser, at_least
from torch import Tensor
from torch.nn.functional import cross_entropy

from belm.cli.progress import bar
from belm.cli.strip import strip
from belm_runtime import AmplificationWarning, Sampler, Schedule, digits
from belm_runtime.digits.judge import Judge, train_judge
from belm_runtime.digits.train import held_out, pictures

COUNT, STEPS, RATE = 10, 50, 0.05
#: Noise on the pictures that the judge is trained on, noise on those that it is asked about and how often, and the
#: cross-entropy that is low enough.
TRAINED, ASKED, DRAWS, ENOUGH = (0.0, 0.25, 0.5, 0.75), 0.4, 6, 0.1
#: The rounds that are shown.
SHOWN = (0, 5, 15)


def judges() -> tuple[Judge, Judge]:
    """The judge that steers and the second one, which have seen no picture in common."""
    data, classes = pictures()
    seen = ~held_out(len(data))
    data, classes, first = data[seen], classes[seen], torch.arange(int(seen.sum())) % 2 == 0
    noisy = torch.cat([data[first] + size * draw(data[first], 0) for size in TRAINED])
    steering = train_judge(noisy, classes[first].repeat(len(TRAINED)), 0, lambda *_: None)
    return steering, train_judge(data[~first], classes[~first], 1, lambda *_: None)


def draw(like: Tensor, seed: int) -> Tensor:
    """Noise of size 1."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)


def steer(sampler: Sampler, noise: Tensor, judge: Judge, digit: int, rounds: int) -> list[tuple[Tensor, Tensor]]:
    """Move the noise so that its samples show a digit.

    Returns:
        For each round the noise and its samples.
    """
    model, wanted = digits.denoiser(), torch.full((len(noise),), digit)
    draws = [ASKED * draw(noise, n).float() for n in range(DRAWS)]
    length = noise.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    moved = noise.clone().requires_grad_()
    optimiser, found = torch.optim.Adam([moved], lr=RATE), []
    with bar("steering") as report:
        for n in range(rounds + 1):
            report(n, rounds)
            x = sampler.sample(model, moved, gradient="reversible").x
            found.append((moved.detach().clone(), x.detach()))
            optimiser.zero_grad()
            far = torch.stack([cross_entropy(judge(x.float() + d), wanted, reduction="none") for d in draws]).mean(0)
            (far - ENOUGH).relu().sum().backward()
            optimiser.step()
            with torch.no_grad():
                moved *= length / moved.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    return found


def main() -> None:
    """Steer, say what the second judge sees, and draw."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--digit", type=at_least(0), choices=range(10), default=0)
    parser.add_argument("--rounds", type=at_least(max(SHOWN)), default=60)
    parser.add_argument("--out", type=Path, default=Path("docs/images/steer.png"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", AmplificationWarning)
    sampler = Sampler("blend:k=3", Schedule.preset("ddpm").grid(STEPS), arithmetic="integer")
    noise = sampler.grid.noise((COUNT, 1, 8, 8), seed=0)
    judge, second = judges()
    found, rows = steer(sampler, noise, judge, chosen.digit, chosen.rounds), []
    for n in sorted({*SHOWN, chosen.rounds}):
        moved, x = found[n]
        seen = second(x.float()).argmax(1).tolist()
        share, way = seen.count(chosen.digit), float((moved - noise).norm() / noise.norm())
        print(f"round {n}: the second judge sees {seen}; the noise has moved by {way:.2f} of its length")
        said = "as sampled" if n == 0 else f"after {n} rounds"
        ink = ((x[:, 0].clamp(-1, 1) + 1) / 2).numpy()
        rows.append((f"{said}: {share} of {COUNT} look like a {chosen.digit} to the second judge", ink))
    chosen.out.write_bytes(strip(rows))


if __name__ == "__main__":
    main()
