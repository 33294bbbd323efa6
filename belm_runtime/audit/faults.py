"""Differences in words: what a wrong coefficient, level, time or input most likely is.

Each fault is a hypothesis that explains the recovered numbers; what none of them explains is stated as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from belm_runtime.audit.candidates import SLOPES, Candidate
from belm_runtime.audit.match import Match, folded
from belm_runtime.audit.probe import Forms, place
from belm_runtime.audit.relations import Relation, difference, expected, residual, scale, share
from belm_runtime.audit.relations import columns as columns_of
from belm_runtime.audit.subject import Subject, Times
from belm_runtime.errors import InputError
from belm_runtime.models import mixing

#: A time this near to a whole number is one.
_WHOLE = 1e-2


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        kind: a word for machines, e.g. ``missing-factor``.
        steps: the steps of the run where it is, counted from 1.
        words: what is wrong, with numbers of the first of these steps.
    """

    kind: str
    steps: tuple[int, ...]
    words: str


def called_at(forms: Forms, subject: Subject) -> list[Fault]:
    """Calls of the network, once or twice a step, at other times than the grid's."""
    nodes = np.asarray(subject.grid.timesteps[:0:-1], float)
    each, rest = divmod(forms.calls, len(nodes))
    if rest:
        return []
    right = np.repeat(nodes, each)
    unit = 1.0 if abs(right).max() > 1 else 1e-3
    off = forms.times - right
    wrong = np.flatnonzero(np.abs(off) > 0.5 * unit)
    if not len(wrong):
        return []
    n = int(wrong[0])
    words = f"the network is called at t = {forms.times[n]:g} where the grid has t = {right[n]:g}"
    if len(nodes) > 1 and np.abs(forms.times - right[::-1]).max() <= 0.5 * unit:
        words += "; all are the grid's own, in reverse order"
    elif len(wrong) > 1 and np.ptp(off[wrong]) < 1e-3 * unit:
        words += f"; all {len(wrong)} are off by {off[n]:+g}"
    return [Fault("timestep", _counted(sorted(set(wrong // each))), words)]


def clipping(forms: Forms, steps: int) -> list[Fault]:
    """Values that are cut off; what a run does to smaller ones is linear."""
    if forms.clipped_at is None:
        return []
    # What call n is given was made by the step of the call before.
    first = max(1, -(-forms.clipped_at * steps // forms.calls))
    words = (
        f"values of size 1 are clipped or thresholded ({place(forms.clipped_at, forms.calls)}); what is "
        f"said of coefficients holds for values of size {forms.size:.1g}"
    )
    return [Fault("clipping", (first,), words)]


def differences(forms: Forms, match: Match, relations: Sequence[Relation], subject: Subject) -> list[Fault]:
    """The rows that differ from a method's, alike ones together."""
    grouped: dict[str, list[tuple[int, str]]] = {}
    for n in match.differing:
        kind, words = _row(forms, match, relations[n], subject, n)
        grouped.setdefault(kind, []).append((n, words))
    return [Fault(kind, _counted([n for n, _ in rows]), rows[0][1]) for kind, rows in grouped.items()]


def _counted(steps: Sequence[int] | np.ndarray) -> tuple[int, ...]:
    return tuple(int(n) + 1 for n in steps)


def _row(forms: Forms, match: Match, relation: Relation, subject: Subject, n: int) -> tuple[str, str]:
    """Kind and words of one row's difference; the first that explains it."""
    near, tolerance = match.candidate, match.tolerance
    left, size = residual(forms, near, n), scale(forms, n)
    if abs(left[-1]) > tolerance * size[-1]:
        if share(folded(left, n), size) <= tolerance:
            lacking = [
                j for j in range(1, min(SLOPES, n + 1) + 1) if abs(left[n + 2 - j]) > tolerance * size[n + 2 - j]
            ]
            older = " and ".join(f"B_{j}" for j in lacking)
            where = "the weight of the network's output" if lacking == [1] else f"{older}, of the network's outputs"
            return "missing-factor", (
                f"{left[-1]:.6g} is added as a constant and is missing in {where}: a factor `* noise_pred` was dropped"
            )
        if words := _alone(near, relation, subject, tolerance):
            return "missing-factor", words
        return "constant", f"the constant {left[-1]:.6g} is added, which no linear method has"
    names, _ = columns_of(forms, n)
    change = difference(forms, near, n, match.window, tolerance)
    right = expected(near, relation.i, names)
    changed = [c for c in np.flatnonzero(np.abs(change) > tolerance / 10).tolist() if names[c] != "C"]
    if words := _direction(near, relation, subject):
        return "direction", words
    if words := _level(near, relation, subject):
        return "noise-level", words
    if words := _swapped(names, right, right + change, changed, tolerance):
        return "swapped", words
    if len(changed) == 1:
        c = changed[0]
        return f"coefficient {names[c]}", _one(names[c], right[c], right[c] + change[c])
    ratios = [(right[c] + change[c]) / right[c] if right[c] else np.nan for c in changed]
    if changed and np.ptp(ratios) < 1e-4:
        return "scaled", f"{' and '.join(names[c] for c in changed)} are {ratios[0]:.6g} times what is expected"
    listed = ", ".join(f"{names[c]} = {right[c] + change[c]:.6g} where {right[c]:.6g} is expected" for c in changed)
    return "coefficients", listed


def _one(name: str, right: float, found: float) -> str:
    words = f"{name} = {found:.6g} where {right:.6g} is expected"
    if right == 0:
        return f"{words}: this term should not be there"
    ratio = found / right
    if abs(found) < 1e-9:
        return f"{words}: this term was dropped"
    if abs(ratio + 1) < 1e-4:
        return f"{words}: its sign is reversed"
    if abs(ratio - 1) < 0.01:
        return f"{words}: off by {ratio - 1:+.2g} of it"
    return f"{words}: {ratio:.4g} times as much"


def _swapped(names: list[str], right: np.ndarray, found: np.ndarray, changed: list[int], tolerance: float) -> str:
    if len(changed) == 2:
        p, q = changed
        if abs(found[p] - right[q]) <= 10 * tolerance and abs(found[q] - right[p]) <= 10 * tolerance:
            return f"{names[p]} and {names[q]} have changed places: {found[p]:.6g} and {found[q]:.6g}"
    return ""


def _direction(near: Candidate, relation: Relation, subject: Subject) -> str:
    """For one-step rows: B = sigma' - A·sigma with the first term, the direction, reversed or dropped."""
    i, grid = relation.i, subject.grid
    eps = in_eps(relation, grid.alpha, grid.sigma, subject.prediction) if near.window == (1, 1) else None
    if eps is None or abs(eps[0][0] * grid.alpha[i] - grid.alpha[i - 1]) > 1e-5:
        return ""
    factor = (eps[1][0] + eps[0][0] * grid.sigma[i]) / grid.sigma[i - 1] if grid.sigma[i - 1] else np.nan
    what = {-1: "the sign of the direction sigma_{i-1}·eps is reversed", 0: "the direction sigma_{i-1}·eps was dropped"}
    return next((words for value, words in what.items() if abs(factor - value) < 1e-4), "")


def _alone(near: Candidate, relation: Relation, subject: Subject, tolerance: float) -> str:
    """For one-step rows x_{i-1} = alpha'·D + sigma'·eps: one of the two levels added without its factor.

    With p = c_D·D + c_eps·eps and x = alpha·D + sigma·eps, D = (c_eps·x - sigma·p)/d and eps = (alpha·p - c_D·x)/d.
    """
    i, grid = relation.i, subject.grid
    if near.window != (1, 1):
        return ""
    alpha, sigma = float(grid.alpha[i]), float(grid.sigma[i])
    c_data, c_noise = map(float, mixing(subject.prediction, alpha, sigma))
    d = alpha * c_noise - sigma * c_data
    data, noise = np.array([c_noise, -sigma]), np.array([-c_data, alpha])
    parts = (("alpha_{i-1}", "x_0", grid.alpha, noise, grid.sigma), ("sigma_{i-1}", "noise_pred", grid.sigma, data,
             grid.alpha))  # fmt: skip
    for name, factor, level, kept, weight in parts:
        wrong = np.array([relation.A[0], relation.B[0], relation.C]) - np.append(weight[i - 1] * kept / d, level[i - 1])
        if d and np.abs(wrong).max() <= 10 * tolerance * max(1, abs(1 / d)):
            return f"{name} = {level[i - 1]:.6g} is added as a constant: a factor `* {factor}` was dropped"
    return ""


def _level(near: Candidate, relation: Relation, subject: Subject) -> str:
    """For one-step rows: the noise level that the numbers belong to, if the grid has another.

    x_{i-1} = A x_i + B eps with levels (alpha, sigma) at i and (alpha', sigma') at i - 1 has A = alpha'/alpha and
    B = sigma' - A sigma: one pair of levels gives the other.
    """
    if near.window != (1, 1) or relation.window != (1, 1) or subject.schedule is None:
        return ""
    i, grid = relation.i, subject.grid
    eps = in_eps(relation, grid.alpha, grid.sigma, subject.prediction)
    if eps is None:
        return ""
    A, B = eps[0][0], eps[1][0]
    own, found = grid.timesteps, list[tuple[float, str]]()
    levels = [("ends at", i - 1, A * grid.alpha[i], B + A * grid.sigma[i])]
    if (start := _start(relation, subject.prediction, grid.alpha[i - 1], grid.sigma[i - 1])) is not None:
        levels.append(("starts from", i, *start))
    unit = 1.0 if own[-1] > 1 else 1e-3
    for does, node, alpha, sigma in levels:
        if (t := _time(subject.schedule, alpha, sigma, grid.alpha, grid.sigma)) is not None:
            words = f"{does} the noise level of timestep {t:.4g} where the grid has {own[node]:g}"
            found.append((abs(t / unit - round(t / unit)), words))
    # Of v and flow only the distance of two levels enters; whole timesteps are the likelier.
    likely = [words for off, words in found if off < _WHOLE] or [words for _, words in found]
    return f"the step {', or '.join(likely)}" if likely else ""


def _start(relation: Relation, prediction: str, alpha: float, sigma: float) -> tuple[float, float] | None:
    """The levels (a, s) that a one-step row to (alpha, sigma) starts from, if it reads its prediction at them too."""
    A, B = float(relation.A[0]), float(relation.B[0])
    if prediction == "v":
        return alpha * A + sigma * B, sigma * A - alpha * B
    if A == 0:
        return None
    if prediction == "flow":
        return (alpha + B) / A, (sigma - B) / A
    return (alpha / A, (sigma - B) / A) if prediction == "epsilon" else ((alpha - B) / A, sigma / A)


def _time(schedule: Times, alpha: float, sigma: float, alphas: np.ndarray, sigmas: np.ndarray) -> float | None:
    """The time of a pair of levels, if it lies on the schedule's curve: a circle or a straight line."""
    preserving = bool(np.allclose(alphas**2 + sigmas**2, 1, atol=1e-5))
    on_curve = abs((alpha**2 + sigma**2 if preserving else alpha + sigma) - 1) < 1e-4
    if not on_curve or alpha <= 0 or sigma < 0:
        return None
    try:
        return float(schedule.timesteps_at(np.array([sigma / alpha]))[0])
    except InputError:
        return None


def in_eps(
    relation: Relation, alpha: np.ndarray, sigma: np.ndarray, prediction: str
) -> tuple[list[float], list[float]] | None:
    """(A, B) with eps in place of the network's own prediction; None where alpha = 0.

    p = c_D·D + c_eps·eps with D = (x - sigma·eps)/alpha.
    """
    A, B = relation.A.tolist(), relation.B.tolist()
    for j, weight in enumerate(relation.B):
        if weight == 0:
            continue
        node = min(relation.i + j, len(alpha) - 1)
        if alpha[node] == 0:
            return None
        data, noise = mixing(prediction, float(alpha[node]), float(sigma[node]))
        A[j] += float(weight * data / alpha[node])
        B[j] = float(weight * (noise - data * sigma[node] / alpha[node]))
    return A, B
