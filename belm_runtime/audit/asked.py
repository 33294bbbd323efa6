"""Where the network is asked: a run whose states are a method's, but whose calls are given others.

The states of a method are combinations of x_N and the outputs p_0, p_1, …, whatever the outputs were made from. If the
result of a run is the method's and what a call is given is not, the relation is right and the call is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from belm_runtime.audit.candidates import Candidate, Line, lines
from belm_runtime.audit.faults import Fault
from belm_runtime.audit.probe import Forms
from belm_runtime.audit.relations import scale, share
from belm_runtime.audit.secant import secant
from belm_runtime.audit.unlisted import simple
from belm_runtime.grid import Grid

#: A result that agrees better than the calls by this factor is right where they are wrong.
_FAR = 1e-3
#: A weight above this many tolerances is felt in the result.
_ENTERS = 10
#: Rounds in which a parameter has to be found, and what it may leave before it is made simple.
_ROUNDS, _NEAR = 8, 1e-3


@dataclass(frozen=True)
class Astray:
    """A run whose calls are given other states than the method's.

    Attributes:
        forms: the run as it would be with every call given its own state.
        faults: what the calls are given instead.
        lost: why that cannot be undone; empty if it can.
    """

    forms: Forms
    faults: tuple[Fault, ...]
    lost: str


def astray(forms: Forms, candidate: Candidate, tolerance: float) -> Astray | None:
    """The calls that are given other states than the candidate's; None if the result is not the candidate's."""
    states = _states(forms, candidate)
    right = replace(forms, Z=states)

    def apart(n: int, form: np.ndarray) -> float:
        return share(forms.Z[n] - form, scale(right, n - 1))

    def same(n: int, form: np.ndarray) -> bool:
        return apart(n, form) <= tolerance

    calls = max((apart(n, states[n]) for n in range(1, forms.calls)), default=0.0)
    # A result that not every call enters, x_0 = D of predicted samples, says little about the relations before.
    entered = np.abs(states[-1][:-1]) > _ENTERS * tolerance * scale(right, forms.calls - 1)[:-1]
    if not entered.all():
        return None
    # A weight that is wrong by little leaves both apart by little.
    if not apart(forms.calls, states[-1]) <= min(tolerance, _FAR * calls):
        return None
    found: dict[str, tuple[list[int], str]] = {}
    lost = ""
    for n in (n for n in range(1, forms.calls) if not same(n, states[n])):
        older = next((m for m in range(n - 1, -1, -1) if same(n, states[m])), None)
        factor = float(forms.Z[n] @ states[n] / (states[n] @ states[n]))
        if older is not None:
            key = f"older by {n - older}"
            words = f"call {n + 1} is given the state of call {older + 1}: eps(x_{{i+{n - older}}}) stands for eps(x_i)"
            if older < n + 2 - candidate.k:
                lost = f"call {n + 1} asks the network at the very state that is to be found on the way back"
        elif same(n, factor * states[n]):
            key, words = "scaled", f"call {n + 1} is given {factor:.6g} times its state"
        else:
            key, words = "other", f"what call {n + 1} is given is no state of the run"
            lost = f"what call {n + 1} is given is no state of the run; no inverse is known"
        found.setdefault(key, ([], words))[0].append(n + 1)
    faults = tuple(Fault("state", tuple(steps), words) for steps, words in found.values())
    return Astray(right, faults, lost) if faults else None


def members(forms: Forms, grid: Grid, prediction: str) -> Iterator[Candidate]:
    """Members with the parameter that the result asks for, whatever the calls were given."""
    for line in lines(grid, prediction):

        def left(value: float, line: Line = line) -> np.ndarray:
            return _states(forms, line.at(value))[-1] - forms.Z[-1]

        value = secant(left, rounds=_ROUNDS)
        if share(left(value), scale(forms, forms.calls - 1)) < _NEAR and (exact := simple([value])) is not None:
            yield line.member(exact)


def _states(forms: Forms, candidate: Candidate) -> np.ndarray:
    """The candidate's states, as coefficients of x_N, p_0, … and 1."""
    unit = np.eye(forms.Z.shape[1])
    states = forms.Z[:1].copy()
    for n in range(forms.calls):
        A, B = candidate.A[forms.calls - n - 1], candidate.B[forms.calls - n - 1]
        terms = [a * states[n - j] for j, a in enumerate(A[: n + 1])]
        terms += [b * unit[n + 1 - j] for j, b in enumerate(B[: n + 1])]
        states = np.vstack([states, sum(terms)])
    return states
