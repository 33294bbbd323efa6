"""A run in integers: exact to the last bit in both directions, whatever the method amplifies.

    n_target = n_old + r,    n_old = n_target - r,    r = round(Σ c'·n + Σ b'·prediction),

r from the same operands in the same order both ways (`belm_runtime.lattice`). Integers stand in float64 below 2^51,
where the two sums are exact. Products and sums are made by separate operations: fused ones round differently in the
body and at the end of a tensor, and the bits of a sample would depend on how many there are.

Integers that leave the range would still be added and subtracted, with a wrong result that looks right. So the largest
of every step stays on the device until the run is over, and decides then whether there is a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from belm_runtime.answer import dtype_name, heard
from belm_runtime.assignment import Assignment, Key
from belm_runtime.errors import InputError
from belm_runtime.grid import Grid
from belm_runtime.guidance import through
from belm_runtime.lattice import RANGE
from belm_runtime.run import Model, Progress, Run, described, graphed


@dataclass(frozen=True)
class Step:
    """One step of a run in either direction.

    Attributes:
        node: the node that is made.
        assignments: in order of sampling.
        inverse: undo them, last first.
    """

    node: int
    assignments: tuple[Assignment, ...]
    inverse: bool = False

    @property
    def ordered(self) -> tuple[Assignment, ...]:
        """The assignments in the order of the run."""
        return self.assignments[::-1] if self.inverse else self.assignments


def march(
    steps: Sequence[Step], integers: dict[Key, torch.Tensor], spacing: Mapping[Key, float],
    predict: Callable[[torch.Tensor, int], torch.Tensor], kept: Sequence[Key],
) -> Iterator[tuple[int, torch.Tensor]]:  # fmt: skip
    """Run steps one after the other.

    Args:
        steps: in order.
        integers: known states by name; changed in place, only those that are still needed are held.
        spacing: of all states.
        predict: the prediction for a state x at a node.
        kept: what has to be there at the end.

    Yields:
        (node made, the largest integer of the step) after each step.
    """
    uses = _last_uses(steps)
    slopes: dict[Key, torch.Tensor] = {}
    like = next(iter(integers.values()))
    scratch = torch.empty_like(like), torch.empty_like(like)
    for n, step in enumerate(steps):
        peaks = []
        for assignment in step.ordered:
            for key, node, _ in assignment.slopes:
                if key not in slopes:
                    slopes[key] = predict(integers[key] * spacing[key], node)
            change = increment(assignment, integers, slopes, spacing, scratch)
            old, target = assignment.old, assignment.target
            if old is None:
                # -0 is made 0, so that equal integers are equal bits.
                made = integers[target] = change + 0.0
            elif step.inverse:
                # The new state takes the memory of the old one, which nothing reads again.
                made = integers[old] = integers.pop(target).sub_(change)
            else:
                made = integers[target] = integers.pop(old).add_(change)
            peaks.append(largest(made))
        for known in (integers, slopes):
            for key in [key for key in known if uses.get(key, -1) <= n and key not in kept]:
                del known[key]
        yield step.node, torch.stack(peaks).amax()


def increment(
    assignment: Assignment, integers: Mapping[Key, torch.Tensor], slopes: Mapping[Key, torch.Tensor],
    spacing: Mapping[Key, float], scratch: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:  # fmt: skip
    """round(Σ (c·C/C_target)·n + Σ (b/C_target)·prediction), from the same operands in the same order both ways.

    Returns:
        The first of the two tensors of `scratch`.
    """
    own = spacing[assignment.target]
    pairs = [(c * spacing[key] / own, integers[key]) for key, c in assignment.states]
    pairs += [(b / own, slopes[key]) for key, _, b in assignment.slopes]
    total, product = scratch
    for n, (coefficient, operand) in enumerate(pairs):
        if n:
            total.add_(torch.mul(operand, coefficient, out=product))
        else:
            torch.mul(operand, coefficient, out=total)
    return total.round_() if pairs else total.zero_()


def to_integers(x: torch.Tensor, spacing: float) -> torch.Tensor:
    """round(x/C), in memory of its own; -0 is made 0."""
    return (x.to(torch.float64) / spacing).round_().add_(0.0).contiguous()


def largest(n: torch.Tensor) -> torch.Tensor:
    """The largest size in a tensor, NaN if there is one, as a scalar on its device."""
    if not n.numel():
        return n.new_zeros(())
    low, high = torch.aminmax(n)
    return torch.maximum(-low, high)


def _last_uses(steps: Sequence[Step]) -> dict[Key, int]:
    """The last step that reads or makes each state."""
    uses = {}
    for n, step in enumerate(steps):
        for a in step.assignments:
            ends = (a.target,) if a.old is None else (a.target, a.old)
            for key in (*ends, *(key for key, _ in a.states), *(key for key, _, _ in a.slopes)):
                uses[key] = n
    return uses


def _copies(value: torch.Tensor, count: int) -> torch.Tensor:
    """The first sample, so many times."""
    return value[:1].expand(count, *value.shape[1:])


class Evaluation:
    """Models evaluated at a fixed batch size; it notes what their networks compute in."""

    def __init__(self, batch: int, expected: str | None = None, place: int = 0) -> None:
        """For a batch size.

        Args:
            batch: how many samples the model sees at a call.
            expected: what the model computed in when the state was made, as `dtype` gives it.
            place: where in a batch the first sample stands.
        """
        self.batch, self.place = batch, place
        self._expected = None if expected is None else set(str(expected).split(", "))
        self._heard = set(self._expected or ())

    @property
    def dtype(self) -> str | None:
        """What the model computes in, several where it changes from call to call; None before the first."""
        return ", ".join(sorted(self._heard)) or None

    def around(self, model: Model) -> Model:
        """The model, always called so."""
        return through(model, self)

    def __call__(self, model: Model, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The prediction for x, part by part."""
        count = len(x)
        before = self.place if count else 0
        after = -(before + count) % self.batch
        if before or after:
            x, t = (torch.cat([_copies(value, before), value, _copies(value, after)]) for value in (x, t))
        starts = range(0, max(len(x), 1), self.batch)
        parts = [self._part(model, x[n : n + self.batch], t[n : n + self.batch], len(starts) > 1) for n in starts]
        whole_batch = parts[0] if len(parts) == 1 else torch.cat(parts)
        return whole_batch if len(x) == count else whole_batch[before : before + count]

    def _part(self, model: Model, x: torch.Tensor, t: torch.Tensor, several: bool) -> torch.Tensor:
        with heard() as dtypes:
            prediction = model(x, t)
        if not isinstance(prediction, torch.Tensor) or prediction.shape != x.shape:
            raise InputError(f"the model returned {described(prediction)} for x of shape {tuple(x.shape)}")
        # A callable of the user's is only known by its answer.
        computes = " and ".join(sorted(dtypes)) or dtype_name(prediction.dtype)
        if self._expected is not None and computes not in self._expected:
            raise InputError(
                f"the model computes in {computes}, and computed in {self.dtype} when the state was made: the bits "
                "would differ; use the same dtype, or force it (integer:force=1, or --force)"
            )
        self._heard.add(computes)
        # A model may answer in a buffer of its own, which the next part would overwrite.
        return prediction.clone() if several else prediction


def with_graph(model: Model, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A prediction by the kernels that make a graph, as `belm_runtime.watched` asks for it; the graph is let go."""
    _, _, prediction = graphed(model, x, t)
    return prediction.detach() if isinstance(prediction, torch.Tensor) else prediction


class IntegerRun(Run):
    """A run whose steps report their largest integer.

    Attributes:
        retraces: whether it is the way back from a state, on which no integer is larger than on the way there.
    """

    def __init__(
        self, model: Model, grid: Grid, k: int, like: torch.Tensor, total: int, progress: Progress | None,
        room: float,
    ) -> None:  # fmt: skip
        """Prepare a run in which |x| up to `room` standard deviations fits."""
        super().__init__(model, grid, k, torch.float64, like, total, progress)
        self.room, self.retraces = room, False
        self.peak = torch.zeros((), dtype=torch.float64, device=like.device)

    def bad(self, value: torch.Tensor) -> torch.Tensor:
        """Whether the largest integer is out of range or NaN; the first such is kept."""
        out = ~(value < RANGE)
        self.peak = torch.where(out & (self.first_bad < 0), value, self.peak)
        return out

    def reason(self) -> str:
        """What went wrong at the first bad step."""
        if not math.isfinite(peak := float(self.peak)):
            return super().reason()
        advice = (
            "the way there did not leave it, so this is another model, or another label, prompt or guidance than the "
            "state was sampled with"
            if self.retraces
            else "check the model, or give a larger bound (integer:bound=…)"
        )
        return (
            f"an integer reached {peak:.2g}, beyond the range of 2^51 = 2.3e+15; states up to {self.room:.3g} standard "
            f"deviations fit; {advice}"
        )
