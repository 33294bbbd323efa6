"""Stability regions on f = lambda·X, where the solution is exp(-mu) a step, mu = h·lambda: stability-regions.png.

The roots z of pi(z; mu) (belm_theory.gaussian_problem) are the factors of a step in sampling, 1/z those in inversion.
The largest of them is drawn, divided by the solution's own factor where that exceeds 1. The regions are symmetric about
the real axis, so the upper half shows sampling and the lower half inversion. Prints a table of docs/stability.md.

    python benchmarks/regions_figure.py [--out docs/images]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import matplotlib
import numpy as np
import sympy as sp

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from root_loci_figure import SPREADS, Run, relation

from belm.cli.files import staged
from belm_theory import gaussian_problem as gauss
from belm_theory.roots import Z, count_roots

#: (method, ratio of neighbouring steps); on even steps O-BELM is bdia:gamma=1.
PANELS = (
    ("ddim", Fraction(1)), ("adams:m=2", Fraction(1)), ("bdia:gamma=1", Fraction(1)),
    ("o-belm", Fraction(9, 8)), ("o-belm", Fraction(7, 8)), ("open:k=3", Fraction(1)),
    ("open:k=4", Fraction(1)), ("blend:k=3,theta=0.8", Fraction(1)), ("blend:k=3,theta=0.6", Fraction(1)),
)  # fmt: skip
LEVELS = (0, 1 + 1e-9, 1.05, 1.2, 1.5, 2, 1e12)
FILLS = ("#9ecae1", "#fff7e0", "#fee0b0", "#fdbb6e", "#f08a4b", "#c9452c")
KEYS = ("none beyond the solution's", "up to 1.05 times", "1.2", "1.5", "2", "more")
EDGE = "#08519c"


def invertible(name: str) -> bool:
    """Whether the oldest state enters."""
    return relation(name).a[-1] != 0


def moduli(name: str, ratio: Fraction, mu: np.ndarray) -> np.ndarray:
    """The moduli of the roots of pi(z; mu) at each mu, along the last axis."""
    pi = gauss.stability_polynomial(relation(name), ratio=sp.Rational(ratio))
    companion = np.zeros((*mu.shape, pi.degree(), pi.degree()), complex)
    companion[..., 1:, :-1] = np.eye(pi.degree() - 1)
    for j, coefficient in enumerate(pi.all_coeffs()[1:]):
        companion[..., 0, j] = -sp.lambdify(gauss.MU, coefficient)(mu)
    return np.abs(np.linalg.eigvals(companion))


def edges(name: str, ratio: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """The boundary locus in the upper half-plane, where no root grows in sampling, and where none in inversion."""
    locus = sp.lambdify(Z, gauss.boundary_locus(relation(name), sp.Rational(ratio)))
    mu = locus(np.exp(1j * np.linspace(1e-4, 2 * np.pi - 1e-4, 8001)))
    sizes = moduli(name, ratio, mu)
    stable = sizes.max(-1) < 1 + 1e-7, sizes.min(-1) > 1 - 1e-7
    return tuple(np.where(here & (mu.imag >= 0), mu, np.nan) for here in stable)  # type: ignore[return-value]


def panel(axes: Axes, name: str, ratio: Fraction) -> None:
    """One method: sampling in the upper half-plane, inversion in the lower."""
    x, y = np.linspace(-1.1, 2.1, 321), np.linspace(0, 1.3, 131)
    sizes = moduli(name, ratio, x + 1j * y[:, None])
    with np.errstate(divide="ignore"):
        growths = sizes.max(-1) / np.maximum(1, np.exp(-x)), 1 / sizes.min(-1) / np.maximum(1, np.exp(x))
    for side, growth, edge in zip((1, -1), growths, edges(name, ratio), strict=True):
        if side == 1 or invertible(name):
            axes.contourf(x, side * y, np.minimum(growth, 1e9), levels=LEVELS, colors=FILLS)
            axes.plot(edge.real, side * edge.imag, color=EDGE, linewidth=2.2)
    visited = [Run(name, spread).products for spread in SPREADS]
    axes.plot((np.min(visited), np.max(visited)), (0, 0), color="black", linewidth=4, solid_capstyle="butt", zorder=3)
    axes.axhline(0, color="black", linewidth=0.7)
    axes.axvline(0, color="black", linewidth=0.7)
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    axes.text(2.02, 1.2, "sampling", ha="right", va="top", fontsize=9, bbox=box)
    axes.text(2.02, -1.2, "inversion" if invertible(name) else "no inverse", ha="right", fontsize=9, bbox=box)
    axes.set_title(name if ratio == 1 else f"{name}, step ratio {ratio}", fontsize=10.5, fontweight="bold")
    axes.set(aspect="equal", xlim=(-1.1, 2.1), ylim=(-1.3, 1.3), xticks=(-1, 0, 1, 2), yticks=(-1, 0, 1))


def regions() -> Figure:
    """All panels with one legend."""
    figure, grid = plt.subplots(3, 3, figsize=(8.4, 8.4), sharex=True, sharey=True, layout="constrained")
    for axes, (name, ratio) in zip(grid.flat, PANELS, strict=True):
        panel(axes, name, ratio)
    for column, row in zip(grid[-1], grid[:, 0], strict=True):
        column.set_xlabel("Re mu")
        row.set_ylabel("Im mu")
    title = "Growth of an error in one step, against mu = h·lambda.\n"
    title += "Upper half: sampling. Lower half: inversion. Black bar: mu on Gaussian data"
    figure.suptitle(title, fontsize=11)
    handles: list[Artist] = [Patch(facecolor=c, edgecolor="#888888", label=k) for c, k in zip(FILLS, KEYS, strict=True)]
    handles.insert(1, Line2D([], [], color=EDGE, linewidth=2.2, label="edge of the stability region"))
    figure.legend(handles=handles, loc="outside lower center", ncols=7, fontsize=8.5, frameon=False, columnspacing=1.1)
    return figure


def reach(polynomial: Callable[[sp.Rational], sp.Poly]) -> float:
    """Up to which multiple of 1/1024 no root grows, decided exactly; 0 if the first one does."""

    def stable(parts: int) -> bool:
        return count_roots(polynomial(sp.Rational(parts, 1024))).satisfies_root_condition

    low, high = (0, 4096) if stable(1) else (0, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if stable(middle) else (low, middle)
    return low / 1024


def ends(name: str, ratio: Fraction) -> Iterator[str]:
    """Where the regions end: in sampling at mu > 0, in inversion at mu < 0, and in sampling at imaginary mu."""
    rho = gauss.stability_polynomial(relation(name), sp.Integer(0), sp.Rational(ratio))
    sigma = gauss.slope_polynomial(relation(name), sp.Rational(ratio))
    yield f"{reach(lambda mu: rho - mu * sigma):.2f}"
    # Inversion has the reciprocal roots, those of the polynomial read backwards.
    backwards = reach(lambda mu: sp.Poly((rho + mu * sigma).all_coeffs()[::-1], Z)) if invertible(name) else None
    yield "–" if backwards is None else f"{0 - backwards:.2f}"
    # The roots at mu = iy and at mu = -iy, which are conjugate, are those of rho² + y²·sigma².
    yield f"{reach(lambda y: rho**2 + y**2 * sigma**2):.2f}"


def table() -> Iterator[str]:
    """Where the regions end, and the growth parameters of neutral roots on even steps, as Markdown."""
    yield "| method | step ratio | sampling up to mu = | inversion to mu = | sampling to Im mu = | growth parameters |"
    yield "|---|---|---|---|---|---|"
    for name, ratio in PANELS:
        kappas = gauss.growth_parameters(relation(name), sp.Rational(ratio)).ground_roots() if ratio == 1 else {}
        parasitic = ", ".join(str(kappa) for kappa in sorted(kappas) if kappa != -1)
        yield f"| `{name}` | {ratio} | {' | '.join(ends(name, ratio))} | {parasitic or '–'} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs/images")
    with staged(parser.parse_args().out) as stage:
        regions().savefig(stage / "stability-regions.png", dpi=200)
    print("\n".join(table()))
