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
from belm_runtime.assignment import Assignment, Key, named, of_start, of_table
from belm_runtime.conditions import conditions, differences
from belm_runtime.errors import InputError
from belm_runtime.guidance import through
from belm_runtime.integer import Evaluation, IntegerRun, Step, largest, march, to_integers, with_graph
from belm_runtime.lattice import RANGE, Lattice, fitted
from belm_runtime.recurrence import Relation
from belm_runtime.relations import kept, refuse_short
from belm_runtime.run import Made, Model, Progress, Run
from belm_runtime.stages import StageTable
from belm_runtime.state import State
from belm_runtime.table import Table


class Exact:
    """A method on a grid, in integers.

    Attributes:
        options: what was asked for.
        lattice: the assignments and the spacing of every state.
    """

    def __init__(self, options: Integer, table: Table | StageTable, prediction: str) -> None:
        """Choose the spacings.

        Raises:
            InputError: a method without inverse, a grid shorter than its relation, or a range that does not fit.
        """
        if not table.method.has_inverse:
            raise InputError(
                f"{table.method.brief} has a_k = 0 and no inverse, so integers would not make it exact; choose an "
                "invertible method such as blend:k=3, or arithmetic='float64'"
            )
        refuse_short(table, "integers need")
        self.options, self.table, self.prediction = options, table, prediction
        rows = of_table(table, prediction)
        self.lattice: Lattice = fitted(table.method.brief, table.grid, rows, options.bound)

    @property
    def rows(self) -> Mapping[int, tuple[Assignment, ...]]:
        """The assignments of every step by the node that it makes."""
        return self.lattice.rows

    @property
    def spacing(self) -> Mapping[Key, float]:
        """Of every state."""
        return self.lattice.spacing

    def rounded(self, x: torch.Tensor, key: Key) -> torch.Tensor:
        """The multiples of a state's spacing that are nearest to x, in float64."""
        spacing = self.lattice.spacing[key]
        return to_integers(x, spacing) * spacing

    # ---- the steps of a run -----------------------------------------------------------------------------------------

    def _steps(self, relations: Sequence[Relation], nodes: Sequence[int]) -> list[Step]:
        """The steps of relations, downwards, or upwards by inverse rows, or upwards from one state alone."""
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
        return steps

    def _refuse_drift(self, steps: Sequence[Step], nodes: Sequence[int]) -> None:
        # A way back from a state retraces a way that fitted; from x_0 alone it is a way of its own.
        solved = [a.solved() if step.inverse else a for step in steps for a in step.ordered]
        given = self._names(nodes)
        name = f"the inversion of {self.table.method.brief} from x_0 alone"
        self.lattice.refuse_drift(name, solved, given, self.options.bound)

    # ---- running ----------------------------------------------------------------------------------------------------

    def check_climb(self, x: torch.Tensor, nodes: list[int], relations: Sequence[Relation]) -> None:
        """Refuse before a climb from x_0 to `nodes` what would be refused after it.

        Raises:
            InputError: x_0 does not fit, or rounding may be amplified beyond the range.
        """
        self._entered(x, [x], self._names([0]))
        self._refuse_drift(self._steps(relations, nodes), nodes)

    def along(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], nodes: list[int],
        relations: Sequence[Relation], depth: int, progress: Progress | None, slopes: list[torch.Tensor] | None = None,
    ) -> Made:  # fmt: skip
        """Run relations; as `belm_runtime.floats.Floats.along`, but slopes are always evaluated again.

        Raises:
            InputError: a state of other conditions, or states that do not fit; from x_0 alone, if rounding may be
                amplified beyond the range.
            NotFiniteError: a NaN, or an integer out of range, with its step and node.
        """
        steps = self._steps(relations, nodes)
        return self._run(model, x, history, nodes, steps, kept(relations, nodes, depth), progress)

    def through(
        self, model: Model, x: torch.Tensor | State, history: list[torch.Tensor], span: range, inverse: bool,
        progress: Progress | None,
    ) -> Made:  # fmt: skip
        """Run the rows of a two-register method, as `belm_runtime.floats.Floats.through`; errors as `along`."""
        here = span.start - 1 if inverse else span.start
        steps = [Step(i if inverse else i - 1, self.lattice.rows[i - 1], inverse) for i in span]
        return self._run(model, x, history, [here] * 2, steps, [steps[-1].node if steps else here] * 2, progress)

    def _run(
        self, model: Model, x: torch.Tensor | State, history: Sequence[torch.Tensor], nodes: Sequence[int],
        steps: Sequence[Step], wanted: list[int], progress: Progress | None,
    ) -> Made:  # fmt: skip
        if isinstance(x, State) and x.conditions.get("graph") is True and not torch.is_grad_enabled():
            # What is made in inference mode could be in no graph.
            with torch.inference_mode(False), torch.enable_grad():
                return self._run(through(model, with_graph), x, history, nodes, steps, wanted, progress)
        if not isinstance(x, State) and steps and steps[0].node > max(nodes):
            self._refuse_drift(steps, nodes)
        like = history[0]
        here = {**self._conditions(like, self._place(x, like)), "graph": self._graph(x, nodes)}
        evaluation = self._evaluation(x, like, self._checked(x, here))
        run = self._of(evaluation.around(model), like, len(steps), progress)
        run.retraces = isinstance(x, State) and any(step.inverse for step in steps)
        integers = self._entered(x, history, self._names(nodes))
        names = self._names(wanted)
        run.watch(march(steps, integers, self.lattice.spacing, run.predict, names), nodes[0])
        states = [integers[key] * self.lattice.spacing[key] for key in names]
        return Made(states, wanted, run.calls, {**here, "dtype": evaluation.dtype})

    def seen(self, model: Model, x: torch.Tensor) -> Model:
        """The model at the batch size of a run from x."""
        return self._evaluation(x, x).around(model)

    def evaluating(self, model: Model, x: torch.Tensor | State, like: torch.Tensor) -> Run:
        """A run of the model without steps, at the batch size of a run from x."""
        return self._of(self._evaluation(x, like).around(model), like)

    def _of(self, model: Model, like: torch.Tensor, total: int = 0, progress: Progress | None = None) -> IntegerRun:
        return IntegerRun(model, self.table.grid, self.table.k, like, total, progress, self.lattice.room)

    def _evaluation(self, x: torch.Tensor | State, like: torch.Tensor, expected: str | None = None) -> Evaluation:
        return Evaluation(self._batch(like), expected, self._place(x, like))

    def _batch(self, like: torch.Tensor) -> int:
        return self.options.batch or max(len(like), 1)

    def _place(self, x: torch.Tensor | State, like: torch.Tensor) -> int:
        """Where the first sample stood in a batch of the model when the state was made."""
        return x.conditions.get("place_in_batch", 0) % self._batch(like) if isinstance(x, State) else 0

    def _names(self, nodes: Sequence[int]) -> list[Key]:
        return named(nodes, isinstance(self.table, StageTable))

    def _graph(self, x: torch.Tensor | State, nodes: Sequence[int]) -> bool | str:
        """Whether a run's predictions are made by the kernels for a graph, and those before it too."""
        if not torch.is_grad_enabled():
            return False
        wholly = not isinstance(x, State) or x.conditions.get("graph") is True or max(nodes) == self.table.grid.steps
        return wholly or "in part"

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
        """Refuse a state of other conditions; what the network computed in when it was made."""
        if not isinstance(x, State) or self.options.force:
            return None
        if not x.conditions:
            raise InputError(
                "the state was not made in integer arithmetic, so its states are on no grid of integers; start from "
                "its x alone, or force it to be rounded (integer:force=1, or --force)"
            )
        there = {name: value for name, value in x.conditions.items() if name != "dtype"}
        if here["graph"]:  # A gradient may go on from any state: it leads back to where it began, and no further.
            there["graph"] = here["graph"]
        if (changed := differences(there, here)) and not len(x.x):
            raise InputError("the state holds no sample, as after an empty slice; cut out one at least: state[2:3]")
        if changed:
            advice = "evaluate at a fixed batch size (integer:batch=…), or " if "batch" in " ".join(changed) else ""
            raise InputError(
                f"the state was made under other conditions: {'; '.join(changed)}; its way back would not be exact: "
                f"{advice}force it (integer:force=1, or --force)"
            )
        return x.conditions.get("dtype")
