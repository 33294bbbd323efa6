"""Train the embedded model on the digits of scikit-learn, in about four minutes on one thread.

    python -m belm_runtime.digits.train --out weights.safetensors --seed 0

Each step draws pictures D with their classes c, noise eps and timesteps t, and lowers the mean square of

    eps − net(alpha(t)·D + sigma(t)·eps, t, c),

the simple loss of Ho, Jain and Abbeel (arXiv 2006.11239). The levels are those of `Schedule.preset("ddpm")`:
beta linear from 1e-4 to 0.02 over the timesteps 0 … 999, alpha² = ∏ (1 − beta), alpha² + sigma² = 1.
Timesteps are drawn as real numbers t = 1000·u − 1 with u uniform in (0, 1), so that the network is trained
between the whole ones too, where grids such as "power:p=1.5" have their nodes. One class in ten is replaced
by the null class, which teaches what guidance needs. What is kept is the moving average of the weights. Every
seventh picture is held out, to measure quality on pictures the network has never seen.

The result depends on the seed, the number of steps and the version of torch alone (one thread, one kind of
processor).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import torch
from safetensors.torch import save as serialise
from torch import Tensor

from belm_runtime.digits.network import NULL, SIZE, DigitsUNet, fingerprint
from belm_runtime.errors import InputError, NotFiniteError
from belm_runtime.models import levels
from belm_runtime.schedule import Schedule

#: Steps of the published weights.
STEPS = 2500
#: The schedule the network is trained on.
SCHEDULE = Schedule.preset("ddpm")

BATCH, LEARNING_RATE, DECAY, LABEL_DROP = 128, 2e-3, 0.999, 0.1

#: Called as progress(done, total, note) while a long loop runs.
Progress = Callable[[int, int, str], None]


def pictures() -> tuple[Tensor, Tensor]:
    """All 1797 digits: D in [-1, 1], float32 of shape (1797, 1, 8, 8), and their classes, int64."""
    try:
        digits = import_module("sklearn.datasets").load_digits()
    except ImportError:
        raise InputError("the digits need scikit-learn; install it with: pip install scikit-learn") from None
    data = torch.from_numpy(digits.images).to(torch.float32).reshape(-1, 1, SIZE, SIZE) / 8 - 1
    return data, torch.from_numpy(digits.target).to(torch.int64)


def held_out(count: int) -> Tensor:
    """Which of `count` pictures are not trained on: every seventh, since the classes recur by tens."""
    return torch.arange(count) % 7 == 6


def add_noise(data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """The state x = alpha(t)·D + sigma(t)·eps, in the dtype of the data; t of shape (batch,)."""
    alpha, sigma = (torch.from_numpy(level).to(data.dtype) for level in levels(SCHEDULE, t))
    return alpha[:, None, None, None] * data + sigma[:, None, None, None] * noise


def train(steps: int = STEPS, seed: int = 0, progress: Progress | None = None) -> tuple[DigitsUNet, float]:
    """Train a network from the seed alone; torch's global generator is left as it was.

    Args:
        steps: number of optimiser steps, at least 1.
        seed: of the first weights, the batches, the noise and the dropped labels.
        progress: called after every step with the loss.

    Returns:
        The network with the averaged weights, and the mean training loss over the last hundred steps.

    Raises:
        InputError: scikit-learn is missing, or a number of steps or a seed out of range.
        NotFiniteError: the loss became NaN or infinite; names the step.
    """
    if steps < 1 or not 0 <= seed < 2**63:
        raise InputError(f"steps = {steps}, seed = {seed}; at least one step, and a seed in 0 … 2^63 − 1")
    data, classes = pictures()
    kept = ~held_out(len(data))
    data, classes = data[kept], classes[kept]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, average = DigitsUNet(), DigitsUNet()
    average.load_state_dict(network.state_dict())
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses: list[float] = []
    for step in range(steps):
        loss = _loss(network, data, classes, draw)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise NotFiniteError(f"the training loss is {losses[-1]} at step {step} of {steps}")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cosine.step()
        _average(average, network, step)
        if progress:
            progress(step + 1, steps, f"loss {losses[-1]:.4f}")
    last = losses[-100:]
    return average.eval().requires_grad_(False), sum(last) / len(last)


def save(network: DigitsUNet, path: Path, metadata: dict[str, str]) -> None:
    """Write a network's weights and where they come from, under a temporary name first."""
    weights = {name: value.to(torch.float32).contiguous() for name, value in network.state_dict().items()}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(serialise(weights, {**metadata, "fingerprint": fingerprint(weights)}))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def progress_line(task: str) -> Progress:
    """A progress report on stderr with the time left: one line, rewritten on a terminal, else one in 10 s."""
    begin = shown = time.monotonic()
    live = sys.stderr.isatty()

    def report(done: int, total: int, note: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if done < total and now - shown < (0.2 if live else 10.0):
            return
        shown = now
        left = (now - begin) / done * (total - done)
        line = f"{task}: {done}/{total}, about {left:.0f} s left" + (f", {note}" if note else "")
        end = "\n" if done == total or not live else ""
        print(f"\r{line:<78}" if live else line, end=end, file=sys.stderr, flush=True)

    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 2 a wrong call, 1 a failed run."""
    parser = argparse.ArgumentParser(
        prog="python -m belm_runtime.digits.train",
        description="Train the embedded model on scikit-learn's digits, on one thread.",
        epilog="example: python -m belm_runtime.digits.train --out weights.safetensors --seed 0",
    )
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps (default: %(default)s)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if given.out.is_dir() or not given.out.parent.is_dir():
            raise InputError(f"cannot write to {given.out}; it must be a file name in a folder that exists")
        network, loss = train(given.steps, given.seed, progress_line("training"))
        command = f"{parser.prog} --out {given.out.name} --seed {given.seed} --steps {given.steps}"
        about = {"seed": given.seed, "steps": given.steps, "command": command, "loss": loss}
        save(network, given.out, {k: str(v) for k, v in about.items()} | {"torch": str(torch.__version__)})
    except (InputError, NotFiniteError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    print(f"wrote {given.out}; training loss {loss:.4f}")
    return 0


def _loss(network: DigitsUNet, data: Tensor, classes: Tensor, draw: torch.Generator) -> Tensor:
    """The loss on one random batch, its timesteps spread evenly over the schedule."""
    chosen = torch.randint(len(data), (BATCH,), generator=draw)
    noise = torch.randn((BATCH, *data.shape[1:]), generator=draw)
    u = (torch.arange(BATCH) + torch.rand(BATCH, generator=draw, dtype=torch.float64)) / BATCH
    t = 1000 * u - 1
    label = classes[chosen].masked_fill(torch.rand(BATCH, generator=draw) < LABEL_DROP, NULL)
    error: Tensor = network(add_noise(data[chosen], noise, t), t, label) - noise
    return error.square().mean()


@torch.no_grad()
def _average(average: DigitsUNet, network: DigitsUNet, step: int) -> None:
    """Move the averaged weights towards the current ones; early on faster, to forget the first ones."""
    share = 1 - min(DECAY, (1 + step) / (10 + step))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, share)


if __name__ == "__main__":
    raise SystemExit(main())
