"""Records about concrete schedules, in ball arithmetic: comparisons are between balls that contain the exact values.

The checker computes the levels itself, from the definition of the betas,

    linear         beta_t = low + t/(T-1)·(high - low)
    scaled_linear  beta_t = (sqrt(low) + t/(T-1)·(sqrt(high) - sqrt(low)))²
    sbar(t) = sqrt(1/alphabar_t - 1),    alphabar_t = Π_{s <= t} (1 - beta_s).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flint import arb, ctx, fmpq

from belm_theory.checker.rational import MalformedError, Ring, number
from belm_theory.checker.record import HOLDS, Context, Decision, fails, undecided

#: Working precision in bits.
PRECISION = 256


def convex(record: Mapping[str, Any], context: Context) -> Decision:
    """h_i < h_{i+1} at every interior node of a grid, h_i = sbar_i - sbar_{i-1}, node 0 at sbar = 0.

    Where the record is ``exact``, instead: at every interior node but those listed, and at none of these.
    """
    times = record["timesteps"]
    sbar = [arb(0), *_sbar(record["schedule"], times)]
    h = [after - before for before, after in pairwise(sbar)]
    failing = []
    for i, (here, further) in enumerate(pairwise(h), 1):
        if here >= further:
            failing.append(i)
        elif not here < further:
            return undecided(f"h_{i} and h_{i + 1} are too close to be compared with {PRECISION} bits")
    if failing != record["fails_at"]:
        return undecided(f"h_i < h_(i+1) fails at the nodes {failing}, not at {record['fails_at']}")
    shown = not failing or record.get("exact", False)
    return HOLDS if shown else fails(f"h_i < h_(i+1) fails at the nodes {failing}")


def level(record: Mapping[str, Any], context: Context) -> Decision:
    """The alpha = sqrt(alphabar) of one timestep against an exact number: ``<`` or ``>``, decided either way."""
    relation, text = record["relation"], record["right"]
    if relation not in ("<", ">"):
        raise MalformedError(f"the relation is {relation!r}; it must be '<' or '>'")
    (sbar,) = _sbar(record["schedule"], [record["timestep"]])
    alpha, right = 1 / (1 + sbar * sbar).sqrt(), _ball(Ring(0).read(text, {}).value())
    if not (alpha < right or alpha > right):
        return undecided(f"alpha and {text[:60]} are too close to be compared with {PRECISION} bits")
    shown = alpha < right if relation == "<" else alpha > right
    return HOLDS if shown else fails(f"alpha {relation} {text[:60]} is false")


def _ball(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


def _sbar(schedule: Mapping[str, Any], times: Any) -> list[arb]:
    """The sbar at increasing whole timesteps."""
    steps, kind = schedule["steps"], schedule["betas"]
    ok = isinstance(times, list) and all(isinstance(t, int) and 0 <= t < steps for t in times)
    if not ok or any(t >= later for t, later in pairwise(times)):
        raise MalformedError(f"the timesteps must be increasing whole numbers from 0 to {steps - 1}")
    ctx.prec = PRECISION
    low, high = (_ball(number(schedule[end])) for end in ("low", "high"))
    if kind not in ("linear", "scaled_linear"):
        raise MalformedError(f"the betas are {kind!r}; they must be 'linear' or 'scaled_linear'")
    root = kind == "scaled_linear"
    if root:
        low, high = low.sqrt(), high.sqrt()
    alphabar, product = [], arb(1)
    for t in range(steps):
        beta = low + (high - low) * arb(fmpq(t, steps - 1))
        product *= 1 - (beta * beta if root else beta)
        alphabar.append(product)
    return [(1 / alphabar[t] - 1).sqrt() for t in times]
