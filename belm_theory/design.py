"""What is proved of a design, a method and a grid that `belm design` found: its claim and its certificate, from data.

A design gives a method string, perhaps a damping m, which stands for theta = (N/(N + m))^{k-1} on a grid of N steps,
and a spacing. Claimed of it are

    order      on every grid; of exponential variants that of the claims exponential-weights and exponential-last-row,
               with the slope weights of the former: the certificate holds their a alone
    weights    constant a: that the root condition holds at the numbers of steps searched, and the moduli of the
               parasitic roots lie between R_N and 1, so that in the long run inversion amplifies no mode by more than
               1/R_N a step; other rules: what holds on every grid, or that stability depends on the grid, and
               nothing of an inversion that is unstable on all of them
    grid       the nodes increase

R_N is the largest thousandth that the roots exceed, by exact counts. Everything is computed from the data; the page
that `belm design` writes holds nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import sympy as sp

from belm_theory.catalogue import FAMILIES
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, orders, roots, stable, value
from belm_theory.exponential import moments, rule
from belm_theory.frame import DATA, NOISE, Frame, Q
from belm_theory.method import Relation
from belm_theory.order import order
from belm_theory.roots import Z, count_roots
from belm_theory.stability import Direction, characteristic, zero_stable
from belm_theory.verdict import proved

#: The numbers of steps that designs are searched for.
STEPS = (10, 20, 50, 100)
#: The resolution of R_N.
_PARTS = 1000
_GRANTED = {
    "power": "T·u^p increases with u for p > 0",
    "floored": "T·u^p increases with u for p > 0",
    "karras": "(c + d·u)^rho increases with u for c, d, rho > 0",
    "logsnr": "exp increases",
    **dict.fromkeys(("leading", "trailing", "linspace"), "whole timesteps, one a node, increase"),
}


@dataclass
class _Part:
    """A part of the claim: in words, as records, and what it rests on; of the method also its steps k."""

    says: list[str] = field(default_factory=list)
    k: int = 0
    goals: list[Record] = field(default_factory=list)
    hypotheses: list[str] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)


def claim(design: Mapping[str, str | None]) -> Claim:
    """The claim about a design.

    Args:
        design: ``name``, ``method``, ``damping`` (or None), ``frame``, ``start``, ``spacing``, as `belm design` writes.

    Raises:
        ValueError: a method that is unknown, or has constant weights and is not zero-stable.
    """
    return _stated(design, _method(design), _grid(design))


def certificate(design: Mapping[str, str | None]) -> Certificate:
    """The claim with its records."""
    method, grid = _method(design), _grid(design)
    goals = (*method.goals, *grid.goals)
    relations = tuple(method.relations)
    return Certificate(_stated(design, method, grid), proved("; ".join(method.says)), goals, relations=relations)


def _stated(design: Mapping[str, str | None], method: _Part, grid: _Part) -> Claim:
    text = f"The design {design['name']!r}, {design['method']}"
    if design["damping"] is not None:
        text += f" with theta = (N/(N + {design['damping']}))^{method.k - 1} on N steps"
    text += f", in the frame {design['frame']} on the spacing {design['spacing']}: "
    hypotheses, granted = (*method.hypotheses, *grid.hypotheses), (*method.granted, *grid.granted)
    family = str(design["method"]).removeprefix("exp-").partition(":")[0]
    statement = text + "; ".join((*method.says, *grid.says)) + "."
    return Claim(f"design-{design['name']}", statement, hypotheses, "this project, `belm design`", family, granted)


def _method(design: Mapping[str, str | None]) -> _Part:
    """Order and stability of the method."""
    text, damping = str(design["method"]), design["damping"]
    family, _, given = text.removeprefix("exp-").partition(":")
    relation = _relation(family, _numbers(given), damping)
    if design["frame"] == "data" and FAMILIES[family].lengths:
        raise ValueError(f"{family} needs positive steps, and those of the data frame are negative")
    part = _Part(k=relation.k)
    if text.startswith("exp-") and relation.k > 2:
        relation = _in_log_snr(part, relation, design["frame"])
    else:
        found = order(relation)
        part.says.append(f"order {found} on every grid")
        part.goals.append(orders(part.says[-1], relation, found))
        part.relations.append(relation)
        if text.startswith("exp-"):
            part.says.append("one slope a step, so it is the plain method")
    if not relation.has_constant_weights:
        part.relations = [relation]
        return _on_every_grid(part, relation)
    if damping is None:
        _bounds(part, relation, "")
    else:
        for N in STEPS:
            theta = (sp.Rational(N) / (N + sp.Rational(damping))) ** (relation.k - 1)
            _bounds(part, relation.at(theta=theta), f"N = {N}: ")
    return part


def _in_log_snr(part: _Part, relation: Relation, frame: str | None) -> Relation:
    """What other claims show of an exponential variant; and its weights a, without the slopes of the plain method."""
    moments(relation.k, rule({"noise": NOISE, "data": DATA}.get(str(frame), Frame(Q))))  # Or they are not elementary.
    part.says += [
        "slope weights by which polynomials in log-SNR are integrated exactly",
        f"order {relation.k - 1} on every grid away from sigma = 0, and 1 in the row that ends there",
    ]
    part.granted += [
        "slope weights, and the order away from sigma = 0 (claim exponential-weights)",
        "the order in the row that ends at sigma = 0, as for exp-adams:m=2 (claim exponential-last-row)",
    ]
    return replace(relation, name=f"a of {relation.name}", b=(sp.Integer(0),) * (relation.k - 1))


def _relation(family: str, values: dict[str, sp.Rational], damping: str | None) -> Relation:
    """The relation, its parameters at their defaults where they are not given; theta stays free for a damping."""
    if family not in FAMILIES:
        raise ValueError(f"unknown method {family!r}; known: {', '.join(FAMILIES)}")
    defaults = {p.name: p.default for p in FAMILIES[family].parameters if p.symbol and p.default is not None}
    if damping is not None:
        del defaults["theta"]
    found = FAMILIES[family](**values)
    missing = {symbol.name: defaults[symbol.name] for symbol in found.parameters if symbol.name in defaults}
    found = FAMILIES[family](**values, **missing)
    if not isinstance(found, Relation):
        raise ValueError(f"{family} is no relation; designs are made of relations")
    return found


def _numbers(given: str) -> dict[str, sp.Rational]:
    """``k=3,theta=0.7`` as exact numbers by name."""
    pairs = (item.partition("=") for item in given.split(",") if item)
    return {name: sp.Rational(number) for name, _, number in pairs}


def _bounds(part: _Part, relation: Relation, at: str) -> None:
    """Where the roots of rho/(z - 1) lie."""
    rho = characteristic(relation)
    rest, left = sp.div(rho, sp.Poly(Z - 1, Z))
    assert left.is_zero
    count = count_roots(rho)
    if not count.satisfies_root_condition:
        raise ValueError(
            f"{relation.name} is not zero-stable: {count.outside} roots of rho lie outside the unit circle, "
            f"those on it are {'not ' * count.repeated_on}simple"
        )
    says = f"{at}the root condition: no root of rho lies outside the unit circle, those on it are simple"
    part.goals.append(roots(says, rho.all_coeffs(), count.inside, count.on, 0, True))
    if count.inside == 0:
        part.says.append(f"{at}all roots simple and on the unit circle, neutral both ways")
        return
    R = _least_modulus(rest)
    if R == 0:
        part.says.append(f"{at}the root condition holds")
        return
    part.says.append(f"{at}parasitic roots of modulus between {R} and 1")
    coefficients = _scaled(rest, R).all_coeffs()
    part.goals.append(roots(f"{at}they exceed {R} in modulus, and 1/z is below {1 / R}", coefficients, 0, 0,
                            rest.degree(), True))  # fmt: skip


def _least_modulus(polynomial: sp.Poly) -> sp.Rational:
    """The largest thousandth that all roots exceed in modulus, by halving."""
    below, above = 0, _PARTS + 1
    while above - below > 1:
        middle = (below + above) // 2
        beyond = count_roots(_scaled(polynomial, sp.Rational(middle, _PARTS))).outside == polynomial.degree()
        below, above = (middle, above) if beyond else (below, middle)
    return sp.Rational(below, _PARTS)


def _scaled(polynomial: sp.Poly, by: sp.Rational) -> sp.Poly:
    """P(by·z), whose roots are those of P divided by `by`."""
    degree = polynomial.degree()
    return sp.Poly([c * by ** (degree - m) for m, c in enumerate(polynomial.all_coeffs())], Z)


def _on_every_grid(part: _Part, relation: Relation) -> _Part:
    """Stability of a rule that depends on the grid, as far as it holds on every one."""
    directions: tuple[Direction, ...] = ("sampling", "inversion")
    for direction in directions:
        found = zero_stable(relation, direction)
        if found.outcome == "proved" and "K = 1" in found.witness:
            part.says.append(f"K = 1 in {direction} on every grid")
            part.goals.append(stable(part.says[-1], relation, direction, constant=1))
        elif found.outcome == "refuted" and direction == "sampling":
            raise ValueError(f"{relation.name} is not zero-stable in {direction}: {found.witness}")
        elif found.outcome == "undecided":
            part.says.append(f"stability in {direction} depends on the grid")
        elif found.outcome == "proved":
            part.granted.append(f"{direction} is stable on every grid: {found.witness} (a claim of its own)")
    return part


def _grid(design: Mapping[str, str | None]) -> _Part:
    """That the nodes increase."""
    name, _, given = str(design["spacing"]).partition(":")
    part = _Part(["its nodes increase"])
    if name == "bent":
        return _bent(part, **_numbers(given))
    if name == "free":
        return _free(part, [sp.Rational(knot) for knot in given.removeprefix("s=").split("/")])
    part.granted.append(_GRANTED[name])
    return part


def _bent(part: _Part, A: sp.Rational, B: sp.Rational, C: sp.Rational) -> _Part:
    x, y = sp.symbols("x y", positive=True)
    part.hypotheses.append("0 <= x < y")
    part.granted += ["log increases", "the share of time tau does not decrease with sbar"]
    difference = f"(y + {A})/(1 + y/({B})) - (x + {A})/(1 + x/({B}))"
    factored = (y - x) * (1 - A / B) / ((1 + x / B) * (1 + y / B))
    part.goals += [identity("m(y) - m(x)", difference, factored), inequality("m increases", factored, ">", 0),
                   value("C >= 0, so that C·tau does not decrease", {}, C, ">=", 0)]  # fmt: skip
    return part


def _free(part: _Part, knots: Sequence[sp.Rational]) -> _Part:
    """Each piece of the monotone cubic: its slope has the Bernstein coefficients (d_0, 3Δ - d_0 - d_1, d_1)."""
    ends = [sp.Integer(0), *knots, sp.Integer(1)]
    secants = [len(ends[1:]) * (after - before) for before, after in pairwise(ends)]
    inner = [2 * left * right / (left + right) for left, right in pairwise(secants)]
    first, last = (sp.Max(0, (3 * near - far) / 2) for near, far in (secants[:2], secants[:-3:-1]))
    for j, (secant, (d0, d1)) in enumerate(zip(secants, pairwise([first, *inner, last]), strict=True), 1):
        middle = 3 * secant - d0 - d1
        part.goals += [value(f"piece {j} rises", {}, secant, ">", 0), value(f"piece {j}: d_0 >= 0", {}, d0, ">=", 0),
                       value(f"piece {j}: d_1 >= 0", {}, d1, ">=", 0)]  # fmt: skip
        if middle >= 0:
            part.goals.append(value(f"piece {j}: 3Δ - d_0 - d_1 >= 0", {}, middle, ">=", 0))
        else:
            part.goals.append(value(f"piece {j}: (3Δ - d_0 - d_1)² < d_0·d_1", {}, middle**2, "<", d0 * d1))
    part.granted.append("b_0(1-t)² + 2b_1·t(1-t) + b_2·t² >= 0 on [0, 1] for b_0, b_2 >= 0 and b_1 >= -sqrt(b_0·b_2)")
    part.granted.append("a cubic with derivative >= 0 that is not constant increases")
    return part
