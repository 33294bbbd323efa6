"""Steering: a digit's class is changed by optimising its noise through all steps: docs/images/steer.png.

    python benchmarks/steering.py [--digit 8] [--rounds 60] [--out docs/images/steer.png]

The embedded model samples any digit; a judge trained on one half of the real training pictures says how far from the
wanted digit a sample is; Adam moves the noise against the gradient of that, through all 50 steps of the sampler, and
the noise is scaled back to its length. A second judge, trained on the other half, is asked whether it worked: it has
had no part in the steering.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from belm.cli.progress import bar
from belm.cli.strip import strip
from belm_runtime import AmplificationWarning, Sampler, Schedule, digits
from belm_runtime.digits.judge import Judge, train_judge
from belm_runtime.digits.train import held_out, pictures

COUNT, STEPS, RATE = 10, 50, 0.05
#: The rounds that are shown.
SHOWN = (0, 5, 15)


def judges() -> tuple[Judge, Judge]:
    """Two judges that have seen no picture in common."""
    data, classes = pictures()
    seen = ~held_out(len(data))
    data, classes, first = data[seen], classes[seen], torch.arange(int(seen.sum())) % 2 == 0
    one, other = (train_judge(data[part], classes[part], n, lambda *_: None) for n, part in enumerate((first, ~first)))
    return one, other


def steer(sampler: Sampler, noise: Tensor, judge: Judge, digit: int, rounds: int) -> list[tuple[Tensor, Tensor]]:
    """Move the noise so that its samples show a digit.

    Returns:
        For each round the noise and its samples.
    """
    model, wanted = digits.denoiser(), torch.full((len(noise),), digit)
    length = noise.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    moved = noise.clone().requires_grad_()
    optimiser, found = torch.optim.Adam([moved], lr=RATE), []
    with bar("steering") as report:
        for n in range(rounds + 1):
            report(n, rounds)
            x = sampler.sample(model, moved, gradient="reversible").x
            found.append((moved.detach().clone(), x.detach()))
            optimiser.zero_grad()
            cross_entropy(judge(x.float()), wanted, reduction="sum").backward()
            optimiser.step()
            with torch.no_grad():
                moved *= length / moved.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    return found


def main() -> None:
    """Steer, say what the second judge sees, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digit", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("docs/images/steer.png"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", AmplificationWarning)
    sampler = Sampler("blend:k=3", Schedule.preset("ddpm").grid(STEPS), arithmetic="integer")
    noise = sampler.grid.noise((COUNT, 1, 8, 8), seed=0)
    judge, second = judges()
    found, rows = steer(sampler, noise, judge, chosen.digit, chosen.rounds), []
    for n in (*SHOWN, chosen.rounds):
        moved, x = found[n]
        seen = second(x.float()).argmax(1).tolist()
        share, way = seen.count(chosen.digit), float((moved - noise).norm() / noise.norm())
        print(f"round {n}: the second judge sees {seen}; the noise has moved by {way:.2f} of its length")
        said = "as sampled" if n == 0 else f"after {n} rounds"
        rows.append((f"{said}: {share} of {COUNT} are taken for an {chosen.digit}", x, 1.0))
    chosen.out.write_bytes(strip(rows))


if __name__ == "__main__":
    main()
