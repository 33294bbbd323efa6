"""Memory and time of gradients through a run: reversible against plain autograd.

    belm bench gradient-cost [--batch 16] [--method o-belm]

Embedded model in float32, states in float64, ddpm schedule; the loss is Σ x_0², differentiated by the noise. Memory is
the largest number of bytes that live in tensors at once, over forward and backward, without those that lived before:
counted by storage, so that what a graph saves counts too. Time is the processor's, which other work on the machine
leaves alone: the fastest of --rounds runs, in turns, on one thread.
"""

from __future__ import annotations

import platform
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from belm_runtime import AmplificationWarning, Sampler, Schedule, digits

STEPS = (10, 50, 100)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors made inside the block that are alive.

    Attributes:
        now: bytes alive.
        most: the largest `now` so far.
    """

    def __init__(self) -> None:
        """Count from zero."""
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, and note the storages of its results."""
        made = func(*args, **(kwargs or {}))
        # A view, or a tensor from before the block, takes no memory of its own.
        before = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(made):
            if storage._cdata not in before and storage._cdata not in self._known:
                self._known.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.now)
        return made

    def _gone(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.now -= size


def _storages(tree: Any) -> Iterator[torch.UntypedStorage]:
    return (leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))


def once(sampler: Sampler, model: Any, noise: torch.Tensor, gradient: str) -> torch.Tensor:
    """dL/dnoise of one run."""
    x = noise.clone().requires_grad_()
    loss = sampler.sample(model, x, gradient=gradient).x.square().sum()
    (found,) = torch.autograd.grad(loss, x)
    return found


def costs(method: str, steps: int, batch: int, rounds: int) -> dict[str, tuple[int, float]]:
    """Bytes and seconds of one gradient, by kind."""
    grid = Schedule.preset("ddpm").grid(steps)
    model = digits.denoiser(label=[n % 10 for n in range(batch)])
    noise = grid.noise((batch, 1, 8, 8), seed=0)
    kinds = {
        "autograd": (Sampler(method, grid), "autograd"),
        "reversible, float64": (Sampler(method, grid), "reversible"),
        "reversible, integer": (Sampler(method, grid, arithmetic="integer"), "reversible"),
    }
    memory, seconds = {}, {}
    for kind, (sampler, gradient) in kinds.items():
        with LiveBytes() as live:
            once(sampler, model, noise, gradient)
        memory[kind], seconds[kind] = live.most, float("inf")
    for _ in range(rounds):
        for kind, (sampler, gradient) in kinds.items():
            begin = time.process_time()
            once(sampler, model, noise, gradient)
            seconds[kind] = min(seconds[kind], time.process_time() - begin)
    return {kind: (memory[kind], seconds[kind]) for kind in kinds}


def main() -> None:
    """Measure and print."""
    from _arguments import Parser, at_least  # Found by a script; the rest of this file can be imported from anywhere.

    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=at_least(1), default=16)
    parser.add_argument("--method", default="o-belm")
    parser.add_argument("--rounds", type=at_least(1), default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", AmplificationWarning)
    for steps in STEPS:  # What is refused is told before anything else.
        Sampler(chosen.method, Schedule.preset("ddpm").grid(steps), arithmetic="integer")
    print(f"{chosen.method}, batch {chosen.batch}, one thread, {platform.machine()}, torch {torch.__version__}")
    print(f"{'steps':>6}  {'gradient':22}{'MB':>8}{'seconds':>9}{'memory':>10}{'time':>8}")
    for steps in STEPS:
        found = costs(chosen.method, steps, chosen.batch, chosen.rounds)
        plain = found["autograd"]
        for kind, (memory, seconds) in found.items():
            ratios = f"{plain[0] / memory:9.1f}×{seconds / plain[1]:7.2f}×" if kind != "autograd" else ""
            print(f"{steps:6}  {kind:22}{memory / 1e6:8.2f}{seconds:9.2f}{ratios}")


if __name__ == "__main__":
    main()
