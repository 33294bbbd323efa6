"""Which method edits and interpolates bare pictures best, on held-out pictures of digits: benchmarks/editing.json.

Edits, digit c to (c + 5) mod 10 at guidance 3, for each method and fraction `keep` of the steps left as they are:

    recognised    share that the judge of belm_runtime.digits.judge takes for the new digit,
    change        RMS distance to the picture it was,
    overshoot     RMS of what lies beyond the pixels' range -1 … 1: parasitic modes that the change of model excites.

Interpolations, half-way between two pictures: how sure the judge is, and the Euclidean distance to the nearest training
picture, beside those of the mean of the two pictures and of held-out pictures.

    belm bench editing [--steps 20 50] [--count 100] [--out FILE]
"""

from __future__ import annotations

import json
import shlex
import sys
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _arguments import Parser, at_least
from torch import Tensor

from belm.cli.progress import bar
from belm.demo.record import machine
from belm_runtime import AmplificationWarning, Sampler, Schedule, digits
from belm_runtime.digits.evaluate import nearest
from belm_runtime.digits.judge import Judge, train_judge
from belm_runtime.digits.train import held_out, pictures
from belm_runtime.files import write
from belm_runtime.methods import parse
from belm_runtime.tasks import edit, interpolate, turning_node

SCHEDULE = Schedule.preset("ddpm")
METHODS = ("ddim", "open:k=3", "blend:k=3,theta=0.95", "blend:k=3,theta=0.9", "blend:k=3,theta=0.8")
KEEP, GUIDANCE = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6), 3.0


def edited(sampler: Sampler, network: Any, x: Tensor, source: Tensor, target: Tensor, keep: float) -> Tensor:
    """The edited pictures; DDIM by its approximate inversion."""
    up, down = digits.denoiser(source, network=network), digits.denoiser(target, GUIDANCE, network=network)
    if sampler.method.has_inverse:
        return edit(sampler, up, down, x, keep=keep, schedule=SCHEDULE).state.x
    turn = sampler.invert(up, x, stop=turning_node(sampler, keep), approximate=True, schedule=SCHEDULE)
    return sampler.sample(down, turn).x


def judged(judge: Judge, x: Tensor, was: Tensor, target: Tensor) -> dict[str, float]:
    """The three figures of an edit."""
    shown = x.clamp(-1, 1)
    return {
        "recognised": round(float((judge(shown.float()).argmax(1) == target).double().mean()), 3),
        "change": round(rms(shown - was), 4),
        "overshoot": round(rms(x - shown), 4),
    }


def between(judge: Judge, x: Tensor, known: Tensor) -> dict[str, float]:
    """How much pictures look like digits."""
    shown = x.clamp(-1, 1).float()
    sure = judge(shown).softmax(1).max(1).values.mean()
    return {"sure": round(float(sure), 3), "nearest": round(float(nearest(shown, known)[0].median()), 2)}


def rms(x: Tensor) -> float:
    """The root mean square."""
    return float(x.square().mean().sqrt())


def main() -> None:
    """Measure, print, and write the list."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--steps", type=at_least(max(parse(method).k for method in METHODS)), nargs="+", default=[20, 50]
    )
    parser.add_argument("--count", type=at_least(2), default=100)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", AmplificationWarning)
    data, classes = pictures()
    unseen, network = held_out(len(data)), digits.load()
    judge = train_judge(data[~unseen], classes[~unseen], 1, lambda *_: None)
    x, source = data[unseen][: chosen.count].double(), classes[unseen][: chosen.count]
    target, half = (source + 5) % 10, len(x) // 2
    plan, edits, middles = list(product(chosen.steps, METHODS)), [], []
    with bar("editing") as report:
        for done, (steps, method) in enumerate(plan):
            sampler = Sampler(method, SCHEDULE.grid(steps))
            for n, keep in enumerate(KEEP):
                report(done * len(KEEP) + n, len(plan) * len(KEEP), f"{method}, {steps} steps")
                found = judged(judge, edited(sampler, network, x, source, target, keep), x, target)
                edits.append({"steps": steps, "method": method, "keep": keep, **found})
            if sampler.method.has_inverse:
                model, ends = digits.denoiser(network=network), (x[:half], x[half : 2 * half])
                path = interpolate(sampler, model, *ends, [0.5], schedule=SCHEDULE)
                middles.append({"steps": steps, "method": method, **between(judge, path.states[0].x, data[~unseen])})
    middles.append({"method": "mean of the two", **between(judge, (x[:half] + x[half : 2 * half]) / 2, data[~unseen])})
    middles.append({"method": "held-out pictures", **between(judge, x, data[~unseen])})
    for row in (*edits, *middles):
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    command = shlex.join(["belm", "bench", "editing", *sys.argv[1:]])
    record = {"command": command, "machine": machine(), "guidance": GUIDANCE,
              "pictures": len(x), "edits": edits, "interpolations": middles}  # fmt: skip
    write(chosen.out, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
