"""A method is data: one linear relation, or the stages of a two-register scheme.

k-step BELM relation (paper, eq 14), in the coordinates of a frame:

    X_{i-1} = Σ_{j=1..k} a_j X_{i-1+j} + Σ_{j=1..k-1} b_j h_{i-1+j} f_{i-1+j}

         j = 0     1     2    …    k-1     k
     X:    ·  <-   a_1   a_2  …  a_{k-1}  a_k
     f:            b_1   b_2  …  b_{k-1}            no slope at either end: explicit in both directions

Order, local error, stability and inverse are computed from the record, never declared in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import sympy as sp

from belm_theory.frame import Frame
from belm_theory.quotient import is_zero


@dataclass(frozen=True)
class Relation:
    """One k-step BELM relation with its coefficients as expressions.

    Attributes:
        name: the method's name with its parameters, e.g. ``blend:k=3,theta=4/5``.
        k: number of steps.
        frame: the natural frame; the coefficients hold in every frame unless they use w.
        a: k weights of the states.
        b: k - 1 weights of the slopes.
        h: the k step symbols that a and b are written in.
        w: the k + 1 frame-weight symbols, empty when a and b do not use them.
        parameters: the free symbols that are parameters, e.g. theta.
    """

    name: str
    k: int
    frame: Frame
    a: tuple[sp.Expr, ...]
    b: tuple[sp.Expr, ...]
    h: tuple[sp.Symbol, ...]
    w: tuple[sp.Symbol, ...] = ()
    parameters: tuple[sp.Symbol, ...] = ()

    def __post_init__(self) -> None:
        """Assert the shape and the preconsistency Σ a_j = 1."""
        if (len(self.a), len(self.b), len(self.h)) != (self.k, self.k - 1, self.k):
            raise ValueError(f"{self.name}: a {self.k}-step relation needs {self.k} a, {self.k - 1} b, {self.k} h")
        if not _sum_to_one(self.a):
            raise ValueError(f"{self.name}: the weights a sum to {sp.Add(*self.a)}, not to 1")

    @property
    def has_constant_weights(self) -> bool:
        """Whether a does not depend on the grid, so that classical root conditions decide stability."""
        grid = set(self.h) | set(self.w)
        return not any(weight.free_symbols & grid for weight in self.a)

    def at(self, **values: sp.Expr) -> Relation:
        """The same relation with parameters, steps or weights replaced by values, by symbol name."""
        table = {symbol: values[symbol.name] for symbol in self.symbols if symbol.name in values}
        return Relation(
            self.name, self.k, self.frame,
            tuple(sp.cancel(e.subs(table)) for e in self.a), tuple(sp.cancel(e.subs(table)) for e in self.b),
            self.h, self.w, tuple(p for p in self.parameters if p not in table),
        )  # fmt: skip

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """Parameters, frame weights and steps: the arguments of the generated function, in this order."""
        used = set().union(*(e.free_symbols for e in self.a + self.b))
        return (*self.parameters, *(w for w in self.w if w in used), *self.h)


@cache
def _sum_to_one(a: tuple[sp.Expr, ...]) -> bool:
    symbols = tuple(sorted(set().union(*(weight.free_symbols for weight in a)), key=str)) or (sp.Dummy(),)
    one = sp.QQ[symbols].ring.one
    return is_zero([(weight, one) for weight in (*a, sp.Integer(-1)) if weight != 0], symbols)


@dataclass(frozen=True)
class Stage:
    """One assignment of a two-register scheme: target = Σ coefficient · operand.

    Attributes:
        target: the register that is written, e.g. ``x_inter``.
        terms: pairs (operand, coefficient); an operand ``f(y)`` is the slope at register y and node i.
    """

    target: str
    terms: tuple[tuple[str, sp.Expr], ...]


@dataclass(frozen=True)
class TwoRegister:
    """A scheme on two registers x, y at the same node, each stage invertible in turn (EDICT).

    Attributes:
        name: the method's name with its parameters.
        frame: the frame its stages are written in.
        stages: the assignments that make (x, y) at node i-1 from (x, y) at node i.
        h: the one step symbol h_1 = h_i.
        parameters: the free parameters.
    """

    name: str
    frame: Frame
    stages: tuple[Stage, ...]
    h: tuple[sp.Symbol, ...]
    parameters: tuple[sp.Symbol, ...] = ()
    k: int = field(default=2, init=False)

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """Parameters and steps, in the order of the generated function's arguments."""
        return (*self.parameters, *self.h)

    @property
    def mixing(self) -> sp.Matrix:
        """The homogeneous map on (x, y) in the frame: what a step does when every slope is zero."""
        registers = {"x": sp.Matrix([1, 0]), "y": sp.Matrix([0, 1])}
        for stage in self.stages:
            linear = [(operand, c) for operand, c in stage.terms if not operand.startswith("f(")]
            registers[stage.target] = sum((c * registers[operand] for operand, c in linear), sp.zeros(2, 1))
        return sp.Matrix.hstack(registers["x"], registers["y"]).T.applyfunc(sp.expand)


Method = Relation | TwoRegister
