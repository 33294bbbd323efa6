"""The parasitic roots of actual runs on Gaussian data, where f = lambda·X: docs/images/root-loci.png.

Row i of a table becomes X_{i-1} = Σ_j (a_j + b_j mu_{i-1+j}) X_{i-1+j}, mu_i = h_i·lambda_i, written for X divided by
the solution (belm_theory.gaussian_problem): the principal root is then near 1, a root outside the unit circle gains on
the solution in sampling, one inside gains on it in inversion. Prints a table of docs/stability.md.

    python benchmarks/root_loci_figure.py [--out docs/images]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import sympy as sp

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from belm.cli.files import staged
from belm_runtime import Schedule, coefficients, methods
from belm_theory import gaussian_problem as gauss
from belm_theory.catalogue import method as derived
from belm_theory.method import Relation

DRAWN = ("o-belm", "open:k=3", "open:k=4", "blend:k=3,theta=0.8")
MEASURED = ("o-belm", "bdia:gamma=1", "open:k=3", "open:k=4", "blend:k=3,theta=0.8")
#: Standard deviation of the data and its colour.
SPREADS = {0.1: "#D55E00", 0.5: "#0072B2", 1.0: "#009E73"}
SCHEDULE, SPACING, STEPS = "sd15", "leading", (50, 200)


def relation(name: str) -> Relation:
    """The theory's record of a method string."""
    family, values = methods.read(name)
    found = derived(family, **values)
    assert isinstance(found, Relation)
    return found


class Run:
    """The relations of a run on Gaussian data, acting on X divided by the solution.

    Attributes:
        change: X_N/X_0 of the solution.
        nodes: i = N-k+1 … 1, the main rows in order of sampling.
        products: mu_i = h_i·lambda_i for i = 1 … N.
        rows: the k coefficients of each row, in that order.
    """

    def __init__(self, name: str, spread: float, steps: int = STEPS[0]) -> None:
        """The run of a method on data of that standard deviation."""
        table = coefficients(name, Schedule.preset(SCHEDULE).grid(steps, SPACING))
        s = table.frame.coordinate(table.grid.alpha, table.grid.sigma)
        v, factor = (sp.lambdify((gauss.S, gauss.C), formula(relation(name).frame))(s, spread)
                     for formula in (gauss.variance, gauss.slope_factor))  # fmt: skip
        self.nodes = np.arange(steps - table.k + 1, 0, -1)
        self.products = table.h * factor[1:]
        node, solution = self.nodes[:, None] + np.arange(table.k), np.sqrt(v)
        self.change = float(solution[-1] / solution[0])
        self.rows = table.a[self.nodes - 1]
        self.rows[:, :-1] += table.b[self.nodes - 1] * self.products[node[:, :-1] - 1]
        self.rows *= solution[node] / solution[self.nodes - 1, None]

    def parasitic(self) -> np.ndarray:
        """The roots but the principal one, followed from node to node; shape (rows, k - 1)."""
        found: list[list[complex]] = []
        for row in self.rows:
            roots = sorted(np.roots([1, *-row]), key=lambda z: abs(z - 1))[1:]
            if found:
                roots = [roots.pop(int(np.argmin(np.abs(np.array(roots) - before)))) for before in found[-1]]
            found.append(roots)
        return np.array(found)

    def accumulated(self) -> tuple[float, float]:
        """K relative to the solution: the largest norm of a product of steps, in sampling and in inversion."""
        n, k = self.rows.shape
        matrices = np.zeros((n, k, k))
        matrices[:, 1:, :-1] = np.eye(k - 1)
        matrices[:, 0] = self.rows
        return _largest_product(matrices), _largest_product(np.linalg.inv(matrices[::-1]))


def _largest_product(matrices: np.ndarray) -> float:
    products, largest = np.empty((0, *matrices.shape[1:])), 1.0
    for matrix in matrices:
        products = np.concatenate([matrix @ products, matrix[None]])
        largest = max(largest, float(np.abs(products).sum(-1).max()))
    return largest


def loci() -> Figure:
    """Paths in the plane above, moduli against the node below."""
    figure, grid = plt.subplots(2, len(DRAWN), figsize=(9, 5.6), layout="constrained", sharey="row", sharex="row")
    for (plane, along), name in zip(grid.T, DRAWN, strict=True):
        farthest = 0.0
        for spread, colour in SPREADS.items():
            run = Run(name, spread)
            paths = run.parasitic()
            plane.plot(paths.real, paths.imag, color=colour, linewidth=1.8)
            plane.plot(paths[-1].real, paths[-1].imag, "o", color=colour, markersize=4.5, zorder=3)
            farthest = min(farthest, paths.real.min())
            along.plot(run.nodes, np.abs(paths), color=colour, linewidth=1.8)
        plane.plot(paths[0].real, paths[0].imag, "o", color="#555555", markerfacecolor="white", markersize=5, zorder=4)
        plane.add_patch(Circle((0, 0), 1, fill=False, color="#888888", linewidth=1))
        plane.plot(1, 0, "k+", markersize=9)
        if farthest < -2.1:
            plane.text(-2.05, 0.1, f"← to {farthest:.1f}", fontsize=9)
        plane.set(aspect="equal", xlim=(-2.1, 1.4), ylim=(-1.5, 1.5), xticks=(-2, -1, 0, 1), yticks=(-1, 0, 1))
        plane.set_title(name, fontsize=10.5, fontweight="bold")
        along.axhspan(1, 10, color="#fdecd8", zorder=0)
        along.axhspan(0.1, 1, color="#e3eef7", zorder=0)
        along.set(xscale="log", yscale="log", xlim=(55, 0.9), ylim=(0.15, 8), xlabel="node i: noise → data")
        along.set_xticks([50, 20, 10, 5, 2, 1], ["50", "20", "10", "5", "2", "1"])
        along.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        along.minorticks_off()
        along.text(45, 6.3, "gains in sampling", fontsize=9, va="top", color="#a0521a")
        along.text(45, 0.18, "gains in inversion", fontsize=9, color="#2f5f8a")
    grid[0][0].set_ylabel("parasitic roots")
    grid[1][0].set_ylabel("their moduli")
    figure.suptitle(f"Parasitic roots of a run on Gaussian data ({SCHEDULE}, {STEPS[0]} steps); the solution is at 1",
                    fontsize=11)  # fmt: skip
    handles = [Line2D([], [], color=c, linewidth=1.8, label=f"data std {s:g}") for s, c in SPREADS.items()]
    for text, marker, face in (("at the noise", "o", "white"), ("at the data", "o", None), ("the solution", "+", None)):
        handles.append(Line2D([], [], color="#555555", linestyle="", label=text, marker=marker, markerfacecolor=face))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=9, frameon=False)
    return figure


def table() -> Iterator[str]:
    """The range of mu, the largest factors in one step, and K relative to the solution, as Markdown."""
    constants = " | ".join(f"K_{way}, N = {STEPS[0]} / {STEPS[1]}" for way in ("sampling", "inversion"))
    yield f"| method | data std | mu | X_N/X_0 | largest in sampling | largest in inversion | {constants} |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in MEASURED:
        for spread in SPREADS:
            runs = [Run(name, spread, steps) for steps in STEPS]
            mu, sizes = runs[0].products, np.abs(runs[0].parasitic())
            cells = [f"{mu.min():.3f} … {mu.max():.3f}", f"{runs[0].change:.3g}"]
            for size in (sizes.max(1), 1 / sizes.min(1)):
                where = f" at i = {runs[0].nodes[size.argmax()]}" if size.max() > 1.005 else ""
                cells.append(f"{size.max():.3g}{where}")
            for few, many in zip(*(run.accumulated() for run in runs), strict=True):
                cells.append(f"{few:.3g} / {many:.3g}")
            yield f"| `{name}` | {spread:g} | {' | '.join(cells)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs/images")
    with staged(parser.parse_args().out) as stage:
        loci().savefig(stage / "root-loci.png", dpi=200)
    print("\n".join(table()))
