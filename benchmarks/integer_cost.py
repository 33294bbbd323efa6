"""What a step costs in float64, in integers held in float64, and in integers held in int64.

    belm bench integer-cost [--shape 8 4 128 128] [--steps 20] [--rounds 7]

One thread; the model gives back a ready tensor, so the time is the sampler's own. The three run in turns, and the
fastest round of each counts. Integers in float64 are what arithmetic="integer" runs; the int64 run is made here of the
same assignments and spacings, with one look at the largest integer a step and none at what is converted: no more than
it needs.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator

import torch
from _arguments import Parser, at_least

from belm_runtime import Sampler, Schedule
from belm_runtime.assignment import Assignment, Key
from belm_runtime.integer import Step

METHODS = ("o-belm", "bdia:gamma=0.5", "open:k=3", "blend:k=3,theta=0.8", "edict:p=0.93")


def increment_int64(
    a: Assignment, n: dict[Key, torch.Tensor], slopes: dict[Key, torch.Tensor], spacing: dict[Key, float],
    scratch: list[torch.Tensor],
) -> torch.Tensor:  # fmt: skip
    """The rounded increment as int64."""
    own = spacing[a.target]
    pairs = [(c * spacing[key] / own, n[key]) for key, c in a.states]
    pairs += [(b / own, slopes[key]) for key, _, b in a.slopes]
    total, product, rounded = scratch
    torch.mul(pairs[0][1], pairs[0][0], out=total)
    for c, operand in pairs[1:]:
        total.add_(torch.mul(operand, c, out=product))
    return rounded.copy_(total.round_())


def march_int64(
    steps: list[Step], n: dict[Key, torch.Tensor], spacing: dict[Key, float], model: Callable[..., torch.Tensor]
) -> Iterator[torch.Tensor]:
    """The run of belm_runtime.integer downwards with int64 states."""
    slopes: dict[Key, torch.Tensor] = {}
    like = next(iter(n.values()))
    scratch = [torch.empty_like(like, dtype=torch.float64) for _ in range(2)] + [torch.empty_like(like)]
    for step in steps:
        for a in step.assignments:
            for key, _, _ in a.slopes:
                if key not in slopes:
                    slopes[key] = model(n[key] * spacing[key], None).clone()
            change = increment_int64(a, n, slopes, spacing, scratch)
            made = n[a.target] = change.clone() if a.old is None else n.pop(a.old).add_(change)
            low, high = torch.aminmax(made)
        for key in [key for key in slopes if key[0] > step.node + len(n) - 1]:
            del slopes[key]
        yield torch.maximum(-low, high)


def measure(method: str, shape: list[int], steps: int, rounds: int) -> dict[str, float]:
    """Milliseconds a step by kind, the fastest of all rounds."""
    grid = Schedule.preset("sd15").grid(steps)
    noise = grid.noise(shape, seed=0)
    floats, integers = Sampler(method, grid), Sampler(method, grid, arithmetic="integer")
    exact = integers.exact
    assert exact is not None
    spacing = dict(exact.lattice.spacing)
    keys = [(steps, name) for node, name in spacing if node == steps]
    path = [Step(i, exact.lattice.rows[i]) for i in range(steps - 1, -1, -1)]

    def model(x: torch.Tensor, t: torch.Tensor | None) -> torch.Tensor:
        return noise

    def int64() -> None:
        first = {key: (noise / spacing[key]).round().to(torch.int64) for key in keys}
        list(march_int64(path, first, spacing, model))

    kinds = {
        "float64": lambda: floats.sample(model, noise),
        "integer": lambda: integers.sample(model, noise),
        "int64": int64,
    }
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for n in range(rounds + 1):
        for kind, run in kinds.items():
            begin = time.perf_counter()
            run()
            if n:
                times[kind].append((time.perf_counter() - begin) / steps * 1e3)
    return {kind: min(values) for kind, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=at_least(1), nargs="+", default=[8, 4, 128, 128])
    parser.add_argument("--steps", type=at_least(3), default=20)
    parser.add_argument("--rounds", type=at_least(1), default=7)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    capability = torch.backends.cpu.get_cpu_capability()
    machine = f"{platform.machine()} {capability}, torch {torch.__version__}"
    print(f"{tuple(chosen.shape)}, {chosen.steps} steps, one thread, {machine}")
    print(f"{'ms a step':22}{'float64':>10}{'integer':>10}{'int64':>10}{'integer/float64':>18}{'int64/float64':>16}")
    for method in METHODS:
        found = measure(method, chosen.shape, chosen.steps, chosen.rounds)
        shown = "".join(f"{found[kind]:10.2f}" for kind in ("float64", "integer", "int64"))
        ratios = [found[kind] / found["float64"] for kind in ("integer", "int64")]
        print(f"{method:22}{shown}{ratios[0]:18.2f}{ratios[1]:16.2f}")


if __name__ == "__main__":
    main()
