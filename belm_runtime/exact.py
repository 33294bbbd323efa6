"""Integer arithmetic for one method on one grid: what a `Sampler` with arithmetic="integer" runs on.

Outside a run states are x = C·n in float64, as with any arithmetic; the integers are found again by rounding x/C. A
state knows the conditions under which its predictions were made, for under others they have other bits, and the way
back would subtract other numbers than the way there has added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from belm_runtime.arithmetic import Integer
from belm_runtime.assignment import Key, of_start, of_table
from belm_runtime.conditions import conditions, differences
from belm_runtime.errors import InputError
from belm_runtime.integer import Evaluation, IntegerRun, Step, largest, march, to_integers
from belm_runtime.lattice import RANGE, Lattice, fitted
from belm_runtime.recurrence import Relation
from belm_runtime.run import Model, Progress
from belm_runtime.stages import StageTable
from belm_runtime.state import State
from belm_runtime.table import Table


class Exact:
    """A method on a grid, in integers.

    Attributes:
        options: what was asked for.
        lattice: the assignments and the spacing of every state.
        registers: the names of the states at a node.
    """

    def __init__(self, options: Integer, table: Table | StageTable, prediction: str) -> None:
        """Choose the spacings.

        Raises:
            InputError: a method without inverse, or a range that does not fit.
        """
        if not table.method.has_inverse:
            raise InputError(
                f"{table.method} has a_k = 0 and no inverse, so integers would not make it exact; choose an invertible "
                "method such as blend:k=3, or arithmetic='float64'"
            )
        self.options, self.table, self.prediction = options, table, prediction
        self.registers = ("x", "y") if isinstance(table, StageTable) else ("x",)
        rows = of_table(table, prediction)
        self.lattice: Lattice = fitted(str(table.method), table.grid, rows, options.bound)

    def rounded(self, x: torch.Tensor, key: Key) -> torch.Tensor:
        """The multiples of a state's spacing that are nearest to x, in float64."""
        spacing = self.lattice.spacing[key]
        return to_integers(x, spacing) * spacing

    # ---- the steps of a run -----------------------------------------------------------------------------------------

    def along(self, relations: Sequence[Relation], nodes: Sequence[int], alone: bool) -> list[Step]:
        """The steps of a sampler's relations in either direction.

        Args:
            relations: downwards, or upwards by inverse rows, or upwards from one state alone.
            nodes: the nodes of the known states.
            alone: not from a state, but from x_N or x_0 alone.

        Raises:
            InputError: from one state alone, if rounding may be amplified beyond the range.
        """
        k, known, steps = self.table.k, set(nodes), []
        for relation in relations:
            made = relation.target
            if made < relation.node:
                steps.append(Step(made, self.lattice.rows[made]))
            elif known.issuperset(range(made - k, made)):
                steps.append(Step(made, self.lattice.rows[made - k], inverse=True))
            else:
                steps.append(Step(made, (of_start(relation),)))
            known.add(made)
        if alone and steps and steps[0].node > max(nodes):
            self._refuse_drift(steps, nodes)
        return steps

    def through(self, span: range, inverse: bool, alone: bool) -> list[Step]:
        """The steps of a two-register method over the nodes of a sampler's span.

        Args:
            span: the nodes i of the rows, in order of the run.
            inverse: upwards.
            alone: from x_0 alone.

        Raises:
            InputError: as in `along`.
        """
        if not inverse:
            return [Step(i - 1, self.lattice.rows[i - 1]) for i in span]
        steps = [Step(i, self.lattice.rows[i - 1], inverse=True) for i in span]
        if alone:
            self._refuse_drift(steps, [span.start - 1] * 2)
        return steps

    def _refuse_drift(self, steps: Sequence[Step], nodes: Sequence[int]) -> None:
        # A way back from a state retraces a way that fitted; from x_0 alone it is a way of its own.
        solved = [a.solved() if step.inverse else a for step in steps for a in step.ordered]
        given = list(zip(nodes, self._names(nodes), strict=True))
        name = f"the inversion of {self.table.method} from x_0 alone"
        self.lattice.refuse_drift(name, solved, given, self.options.bound)

    # ---- running ----------------------------------------------------------------------------------------------------

    def run(
        self, model: Model, x: torch.Tensor | State, history: Sequence[torch.Tensor], nodes: Sequence[int],
        steps: Sequence[Step], kept: Sequence[int], progress: Progress | None,
    ) -> tuple[list[torch.Tensor], dict[str, Any], int]:  # fmt: skip
        """Run the steps.

        Args:
            model: ``model(x, t) -> prediction``.
            x: what the run was started with.
            history: its states in float64.
            nodes: their nodes.
            steps: as `along` or `through` give them.
            kept: the nodes of the states that are wanted, newest first.
            progress: called with (steps done, steps).

        Returns:
            The states, the conditions, and how often the model was called.

        Raises:
            InputError: a state of other conditions, or states that do not fit.
            NotFiniteError: a NaN, or an integer out of range, with its step and node.
        """
        here = self._conditions(history[0], self._place(x, history[0]))
        run = self.evaluating(model, x, history[0], len(steps), progress, self._checked(x, here))
        integers = self._entered(x, history, list(zip(nodes, self._names(nodes), strict=True)))
        wanted = list(zip(kept, self._names(kept), strict=True))
        run.watch(march(steps, integers, self.lattice.spacing, run.predict, wanted), nodes[0])
        states = [integers[key] * self.lattice.spacing[key] for key in wanted]
        return states, {**here, "dtype": run.evaluation.dtype}, run.calls

    def evaluating(
        self, model: Model, x: torch.Tensor | State, like: torch.Tensor, total: int = 0,
        progress: Progress | None = None, expected: str | None = None,
    ) -> IntegerRun:  # fmt: skip
        """A run of the model from x at the batch size of the options, or of `like`."""
        evaluation = Evaluation(self._batch(like), expected, self._place(x, like))
        return IntegerRun(model, self.table.grid, self.table.k, like, total, progress, evaluation, self.lattice.room)

    def _batch(self, like: torch.Tensor) -> int:
        return self.options.batch or max(len(like), 1)

    def _place(self, x: torch.Tensor | State, like: torch.Tensor) -> int:
        """Where the first sample stood in a batch of the model when the state was made."""
        return x.conditions.get("place_in_batch", 0) % self._batch(like) if isinstance(x, State) else 0

    def _names(self, nodes: Sequence[int]) -> Sequence[str]:
        return self.registers if len(self.registers) > 1 else self.registers * len(nodes)

    def _conditions(self, like: torch.Tensor, place: int) -> dict[str, Any]:
        now = conditions(like.device, self._batch(like))
        own = {"spacings": self.lattice.fingerprint, "prediction": self.prediction}
        return {**own, **now, **({"place_in_batch": place} if place else {})}

    def _entered(
        self, x: torch.Tensor | State, history: Sequence[torch.Tensor], given: Sequence[Key]
    ) -> dict[Key, torch.Tensor]:
        """The integers of the given states; the device is waited for here, before the run."""
        integers = {key: to_integers(h, self.lattice.spacing[key]) for key, h in zip(given, history, strict=True)}
        peak = float(torch.stack([largest(n) for n in integers.values()]).amax())
        if not peak < RANGE:
            raise InputError(
                f"x is too large or not finite: states up to {self.lattice.room:.3g} standard deviations fit the "
                "integers of this run; give a larger bound, as in integer:bound=64"
            )
        if isinstance(x, State) and not self.options.force:
            pairs = zip(integers.items(), history, strict=True)
            if not all(torch.equal(n * self.lattice.spacing[key], h) for (key, n), h in pairs):
                raise InputError(
                    "the state was changed: it is no longer on the grid of its integers; force it to be rounded "
                    "(integer:force=1, or --force)"
                )
        return integers

    def _checked(self, x: torch.Tensor | State, here: Mapping[str, Any]) -> str | None:
        """Refuse a state of other conditions; the dtype in which the network answered when it was made."""
        if not isinstance(x, State) or self.options.force:
            return None
        if not x.conditions:
            raise InputError(
                "the state was not made in integer arithmetic, so its states are on no grid of integers; start from "
                "its x alone, or force it to be rounded (integer:force=1, or --force)"
            )
        there = {name: value for name, value in x.conditions.items() if name != "dtype"}
        if changed := differences(there, here):
            advice = "evaluate at a fixed batch size (integer:batch=…), or " if "batch" in " ".join(changed) else ""
            raise InputError(
                f"the state was made under other conditions: {'; '.join(changed)}; its way back would not be exact: "
                f"{advice}force it (integer:force=1, or --force)"
            )
        return x.conditions.get("dtype")
