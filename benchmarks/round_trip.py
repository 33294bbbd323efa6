"""Noise -> sample -> noise from the stored state on the embedded model: the predicted and measured error.

    python benchmarks/round_trip.py [--steps 50] [--spacing leading] [--out FILE]

The network and the states are in float64. Predicted:
K_inversion in x times the unit roundoff. Measured: relative to the noise.
"""

from __future__ import annotations

import json
import platform
import warnings
from pathlib import Path

import torch
from _arguments import Parser, at_least

from belm_runtime import AmplificationWarning, Sampler, Schedule, digits
from belm_runtime.methods import catalogue, parse


def round_trip(method: str, steps: int, spacing: str, batch: int = 10) -> dict[str, object]:
    """One method there and back on the ddpm schedule, classes 0 … 9."""
    grid = Schedule.preset("ddpm").grid(steps, spacing)
    sampler = Sampler(method, grid)
    model = digits.denoiser(label=list(range(batch)), dtype=torch.float64)
    noise = grid.noise((batch, 1, 8, 8), seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AmplificationWarning)
        back = sampler.invert(model, sampler.sample(model, noise))
    return {
        "method": method,
        "amplification": sampler.amplification(),
        "predicted": sampler.amplification() * torch.finfo(torch.float64).eps,
        "measured": float((back.x - noise).norm() / noise.norm()),
        "warned": any(issubclass(w.category, AmplificationWarning) for w in caught),
    }


def main() -> None:
    """Measure every invertible, zero-stable method of the catalogue and print the list."""
    parser = Parser(description=__doc__.splitlines()[0])
    names = [f["method"] for f in catalogue() if f["invertible"] and f["sampling"][0] != "refuted"]
    parser.add_argument("--steps", type=at_least(max(parse(name).k for name in names)), default=50)
    parser.add_argument("--spacing", default="leading")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = [round_trip(name, chosen.steps, chosen.spacing) for name in names]
    print(f"ddpm, {chosen.spacing}, {chosen.steps} steps, float64, {platform.machine()}, torch {torch.__version__}")
    print(f"{'method':22}{'K in x':>12}{'predicted':>12}{'measured':>12}  warned")
    for row in rows:
        numbers = "".join(f"{row[key]:12.1e}" for key in ("amplification", "predicted", "measured"))
        print(f"{row['method']:22}{numbers}  {'yes' if row['warned'] else ''}")
    if chosen.out:
        chosen.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
