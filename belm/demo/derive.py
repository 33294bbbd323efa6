"""The derivation, done again: each method from its conditions to the text of its coefficient function.

For every method shown, the exact theory solves its conditions on a grid with symbolic steps, decides order, inverse and
stability, and writes the Python module of its family. That text must equal the module the samplers import: the code
that is derived here is the code that runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

from belm.demo.formulas import relation
from belm_theory.catalogue import FAMILIES
from belm_theory.codegen.modules import family_module, function_name, module_name
from belm_theory.derivation import derive
from belm_theory.frame import frame_name


@dataclass(frozen=True)
class Derived:
    """What came out for one method.

    Attributes:
        method: the method string.
        frame: its natural frame.
        formulas: the step and its coefficients, MathML lines.
        module: file name of the generated module.
        code: the generated function of this member.
        identical: whether the whole derived module equals the shipped one.
        order: on every grid.
        order_smooth: on smooth grids.
        invertible: whether an exact inverse exists, proved.
        stability: outcome and witness, by direction.
        theorem: what fixes the coefficients.
        source: paper and equation.
    """

    method: str
    frame: str
    formulas: tuple[str, ...]
    module: str
    code: str
    identical: bool
    order: int
    order_smooth: int
    invertible: bool
    stability: dict[str, tuple[str, str]]
    theorem: str
    source: str


def derive_all(methods: tuple[str, ...], tick: Callable[[float], None]) -> list[Derived]:
    """Derive the methods one after the other.

    Args:
        methods: method strings.
        tick: called with the fraction of the work done since the last call.
    """
    # A family takes as long as its largest member: nearly all of it goes into k = 5.
    costs = [len(FAMILIES[method.partition(":")[0]].shapes()) ** 2 for method in methods]
    derived = []
    for method, cost in zip(methods, costs, strict=True):
        derived.append(_derive(method))
        tick(cost / sum(costs))
    return derived


def shipped(module: str) -> str:
    """The text of a generated module as the samplers import it."""
    return (files("belm_runtime._generated") / module).read_text(encoding="utf-8")


def _derive(method: str) -> Derived:
    name, _, rest = method.partition(":")
    values = dict(item.split("=") for item in rest.split(",") if item)
    family = FAMILIES[name]
    shape = {p.name: values[p.name] for p in family.parameters if p.symbol is None}
    facts, symbolic = derive(name, frame=None, exponential=False, **values), family(**shape)
    module, text = f"{module_name(name)}.py", family_module(family)
    return Derived(
        method, frame_name(symbolic.frame), tuple(relation(symbolic)), module,
        _function(text, function_name(family, shape)),
        text == shipped(module), facts.order, facts.order_smooth, facts.invertible.outcome == "proved",
        {way: (verdict.outcome, verdict.witness) for way, verdict in facts.stability.items()},
        family.theorem, family.source,
    )  # fmt: skip


def _function(text: str, name: str) -> str:
    """One function out of a module's text."""
    found = next(part for part in text.split("\n\n\n") if part.startswith(f"def {name}("))
    return found.strip() + "\n"
