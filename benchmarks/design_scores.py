"""Scores of some designs on the training problems of several seeds: lower is better, 0 is O-BELM on leading.

    python benchmarks/design_scores.py [--seeds 0 1 2]
    python benchmarks/design_scores.py --found DIR/search.json …

The pairs of docs/how-to/which-sampler.md, and what its statements on slopes in log-SNR rest on. Searches have seen
seeds 0 and 1; 2 is a check. Beside the score: geometric means of generation and seed errors, and the generation error
that one case in forty exceeds.

With --found, from what `belm design` wrote, nothing is measured: the best score of each kind that ran in full, one
column for each file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from _arguments import Parser, at_least

from belm.design.judge import WORST, Judge
from belm.design.problems import training
from belm.design.space import NEUTRAL
from belm.design.tables import by_kind
from belm_runtime.design import Design
from belm_runtime.errors import InputError

DESIGNED = Design.read("designed")
#: What each is, and the design.
DESIGNS = {
    "designed, what seed 0 found": DESIGNED,
    "what seed 1 found": replace(DESIGNED, damping=Fraction(11), spacing="bent:A=0.083,B=6.4,C=0.91"),
    "the pair of the first round": replace(DESIGNED, damping=Fraction(8), spacing="bent:A=0.12,B=6,C=0.75"),
    "designed, inverted by open": replace(DESIGNED, inverter="open:k=3"),
    "designed, inverted by echo": replace(DESIGNED, inverter=NEUTRAL),
    "log-SNR, power law": Design("x", "exp-blend:k=3", Fraction("7.6"), "flow", "adams", "power:p=2.5", NEUTRAL),
    "log-SNR, its floor": Design("x", "exp-blend:k=3", Fraction("7.6"), "flow", "adams", "floored:p=2.5", NEUTRAL),
    "plain slopes, power law": Design("x", "blend:k=3", Fraction("7.6"), "flow", "adams", "power:p=2.5", NEUTRAL),
}


def scores(seeds: Sequence[int]) -> Iterator[str]:
    """What each design scores on the training problems of each seed, as Markdown."""
    yield "| design | training seed | score | generation | seed | one case in forty |\n|---|---|---|---|---|---|"
    for seed in seeds:
        judge = Judge(training(seed))
        for says, design in DESIGNS.items():
            generation, bare = judge.ratios(design)
            means = [float(np.exp(np.log(values).mean())) for values in (generation, bare)]
            worst = float(np.exp(np.quantile(np.log(generation), 1 - WORST)))
            yield f"| {says} | {seed} | {judge.score(design):.2f} | {means[0]:.3f} | {means[1]:.3f} | {worst:.2f} |"


def kinds(files: Sequence[Path]) -> Iterator[str]:
    """The best score of each kind that searches found, as Markdown; best first by the first of them.

    Raises:
        InputError: a file that cannot be read, or that belm design did not write.
    """
    found = []
    for file in files:
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            found.append((record["asked"]["seed"], record["inverter of all points"], by_kind(record["points"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = error.strerror if isinstance(error, OSError) else "it is no search.json of belm design"
            raise InputError(f"cannot read {str(file)!r}: {what}") from None
    yield f"| kind (inverted by {found[0][1]}) | " + " | ".join(f"seed {seed}" for seed, *_ in found) + " |"
    yield "|---" * (1 + len(found)) + "|"
    for kind in dict.fromkeys(kind for *_, table in found for kind in table):
        rule, k, slopes, spacing = kind
        cells = (f"{table[kind]:.2f}" if kind in table else "" for *_, table in found)
        yield f"| {rule}, k = {k}, slopes in {slopes}, {spacing} | {' | '.join(cells)} |"


def main() -> None:
    """Print a table."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=at_least(0), nargs="+", default=[0, 1, 2])
    parser.add_argument("--found", type=Path, nargs="+", metavar="FILE", help="search.json of belm design")
    chosen = parser.parse_args()
    for line in kinds(chosen.found) if chosen.found else scores(chosen.seeds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
