"""Integers for states: the spacing of every node, chosen so that a run fits, and a bound of what rounding does.

A step of any method is an assignment, or a few of them,

    x_target = own·x_old + Σ c·x + Σ b·prediction.

With x = C·n, whole n and spacings C_target = own·C_old the old state enters with coefficient 1,

    n_target = n_old + round(Σ (c·C/C_target)·n + Σ (b/C_target)·prediction),

and n_old = n_target - round(the same): the way back subtracts what was added, so every integer returns
(derivations/integer_states_return.py). The first states of a run have no older one and are rounded themselves.

Integers are held in float64 below 2^51. There every sum of two is exact, and n = round(x/C) finds the integer of a
state that was stored as x. The spacings of a chain old -> target -> … are fixed up to one factor, a power of two:

    2^-36 of a standard deviation or finer at its coarsest node, if |x| up to `bound` standard deviations fits at its
    finest; else as much coarser as that needs, up to 2^-20; beyond, the method is refused on this grid.

A standard deviation is sqrt(alpha² + sigma²), that of x for data of variance 1. Beside the states the range has to
hold what rounding adds to them, which `drift` bounds from the coefficients alone (derivations/integer_range.py).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from belm_runtime.assignment import Assignment, Key
from belm_runtime.errors import InputError
from belm_runtime.grid import Grid

#: Integers stay below this in size.
RANGE = 2.0**51
#: What of the range the states may fill; the rest is for rounding.
_STATES = 15 / 16
#: The spacing that is aimed at and the coarsest that is used, in standard deviations.
FINE, COARSE = 2.0**-36, 2.0**-20
#: Half of the distance from 1 to the next float64.
_UNIT = 2.0**-53


@dataclass(frozen=True)
class Lattice:
    """The assignments of a method on a grid and the spacing of every state.

    Attributes:
        rows: the assignments of a step by the node that it makes, in order of sampling.
        spacing: C by state; negative where an odd number of the `own` before it are.
        room: how large |x| may be at every node, in standard deviations.
    """

    rows: Mapping[int, tuple[Assignment, ...]]
    spacing: Mapping[Key, float]
    room: float

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of SHA-256 over all spacings."""
        text = ";".join(f"{node}{name}={c.hex()}" for (node, name), c in sorted(self.spacing.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def refuse_drift(self, name: str, assignments: Sequence[Assignment], given: Sequence[Key], bound: float) -> None:
        """Refuse a run in which rounding may fill its part of the range.

        Raises:
            InputError: names the state that may leave the range.
        """
        for key, effect in drift(assignments, given, self.spacing, bound).items():
            if not effect <= (1 - _STATES) * RANGE * abs(self.spacing[key]):
                raise InputError(
                    f"integer arithmetic does not fit {name} here: each rounding is amplified, and what they add up to "
                    f"may leave the range at node {key[0]}; use fewer steps or a method that amplifies less, such as "
                    "open:k=3"
                )


def fitted(name: str, grid: Grid, rows: Mapping[int, tuple[Assignment, ...]], bound: float) -> Lattice:
    """The lattice of a method on a grid.

    Args:
        name: the method's, for messages.
        grid: the grid.
        rows: the assignments.
        bound: how large |x| has to fit at least, in standard deviations.

    Raises:
        InputError: the range does not fit: the spacing would be coarser than 2^-20, or rounding is amplified too much.
    """
    assignments = [assignment for i in sorted(rows, reverse=True) for assignment in rows[i]]
    size = np.hypot(grid.alpha.astype(float), grid.sigma.astype(float)).tolist()
    made = {assignment.target for assignment in assignments}
    given = sorted({key for assignment in assignments for key in _read(assignment)} - made)
    chains: dict[Key, list[tuple[Key, float]]] = {}
    place: dict[Key, tuple[Key, float]] = {}
    for key, old, own in [*((key, None, 1.0) for key in given), *((a.target, a.old, a.own) for a in assignments)]:
        root, ratio = (key, 1.0) if old is None else (place[old][0], place[old][1] * own)
        place[key] = root, ratio
        chains.setdefault(root, []).append((key, ratio))
    spacing = {}
    for chain in chains.values():
        scale = _scale([(abs(ratio), size[key[0]]) for key, ratio in chain], bound)
        coarsest = scale * max(abs(ratio) / size[key[0]] for key, ratio in chain)
        # A standard deviation of 1 may be rounded to 1 - 2^-53.
        if not coarsest <= COARSE * (1 + 4 * _UNIT):
            raise InputError(_too_wide(name, chain, bound, coarsest))
        spacing.update({key: scale * ratio for key, ratio in chain})
    room = min(_STATES * RANGE * abs(c) / size[key[0]] for key, c in spacing.items())
    lattice = Lattice(rows, spacing, room)
    lattice.refuse_drift(name, assignments, given, bound)
    return lattice


def _scale(chain: Sequence[tuple[float, float]], bound: float) -> float:
    """The power of two that a chain's ratios are multiplied by; infinite where none is large enough."""
    if not all(0 < ratio < math.inf for ratio, _ in chain):
        return math.inf
    needed = max(bound * size / (ratio * _STATES * RANGE) for ratio, size in chain)
    wanted = FINE * min(size / ratio for ratio, size in chain)
    # frexp: 2^(e-1) <= value < 2^e.
    return max(2.0 ** math.frexp(needed)[1], 2.0 ** (math.frexp(wanted)[1] - 1))


def _too_wide(name: str, chain: Sequence[tuple[Key, float]], bound: float, coarsest: float) -> str:
    ratios = [abs(ratio) for _, ratio in chain]
    spread = math.log2(max(ratios) / min(ratios)) if min(ratios) > 0 and max(ratios) < math.inf else math.inf
    return (
        f"integer arithmetic does not fit {name} on this grid: its spacing changes by a factor 2^{spread:.0f} from "
        f"noise to data, so that with |x| up to {bound:g} standard deviations the coarsest is "
        f"2^{math.log2(coarsest):.0f} of one, and 2^{math.log2(COARSE):.0f} is the limit; use fewer steps or a method "
        "that damps less, such as open:k=3"
    )


def _read(assignment: Assignment) -> set[Key]:
    return {key for key, _ in assignment.linear} | {key for key, _, _ in assignment.slopes}


def drift(
    assignments: Sequence[Assignment], given: Sequence[Key], spacing: Mapping[Key, float], bound: float
) -> dict[Key, float]:
    """For every state that is made, a bound in x of what all roundings up to it do to it, predictions held fixed.

    The response of every state to every rounding is followed through the assignments; `radius` bounds the rounding of
    this computation itself. A rounding moves a state by half a spacing, and by what float64 loses before it in the
    products and sums, of integers below 2^51 and of predictions below 2·bound.

    Args:
        assignments: in order; none is read before it is made.
        given: the states that the run starts from, rounded to their spacing.
        spacing: of all states.
        bound: as in `fitted`.
    """
    count = len(given) + len(assignments)
    response, radius = {}, dict.fromkeys(given, 0.0)
    for n, key in enumerate(given):
        response[key] = np.zeros(count)
        response[key][n] = abs(spacing[key]) / 2
    last = {key: n for n, assignment in enumerate(assignments) for key in _read(assignment)}
    found: dict[Key, float] = {}
    for n, assignment in enumerate(assignments):
        moved, error = np.zeros(count), 0.0
        for key, c in assignment.linear:
            moved += c * response[key]
            error += abs(c) * (radius[key] + (len(assignment.linear) + 2) * _UNIT * np.abs(response[key]).max())
        moved[len(given) + n] = _rounding(assignment, spacing, bound)
        response[assignment.target], radius[assignment.target] = moved, error
        found[assignment.target] = float((np.abs(moved).sum() + count * error) * (1 + 2 * count * _UNIT))
        for key in [key for key in response if last.get(key, -1) <= n and key != assignment.target]:
            del response[key], radius[key]
    return found


def _rounding(assignment: Assignment, spacing: Mapping[Key, float], bound: float) -> float:
    """How far one assignment may be from its equation, in x."""
    own = abs(spacing[assignment.target])
    terms = [abs(c * spacing[key]) * RANGE for key, c in assignment.linear]
    terms += [2 * bound * abs(b) for _, _, b in assignment.slopes]
    return own / 2 + (len(terms) + 4) * _UNIT * sum(terms)
