"""Polynomial inequalities, decided by an engine: z3 is asked for a point at which the inequality is false.

    unsat      there is none: proved
    a model    a counterexample: refuted, with the point
    unknown    undecided (z3 gave up or ran out of time)

Everything is exact: numbers go in as rationals, divisions are cleared by z3 over the reals with the divisors asserted
to be nonzero, and a model's algebraic numbers are replaced by rationals nearby if these are counterexamples too.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
import z3

from belm_theory.verdict import Verdict, proved, refuted, undecided

#: Milliseconds before z3 is taken to be undecided.
TIMEOUT = 20000


def decide(statement: str, hypotheses: Sequence[str] = (), timeout: int = TIMEOUT) -> Verdict:
    """Decide whether an inequality holds wherever the hypotheses do.

    Args:
        statement: a chain of comparisons such as ``0 <= h1**2/h2**2 <= 1`` between rational functions.
        hypotheses: chains of the same form, or groups such as ``h1, h2 > 0``.
        timeout: milliseconds.

    Returns:
        proved; refuted with the point as witness; or undecided with z3's reason.

    Raises:
        ValueError: a text that is no comparison of rational functions.
    """
    solver = z3.Solver()
    solver.set("timeout", timeout)
    reader = _Reader()
    given = [condition for text in hypotheses for condition in reader.comparisons(text)]
    claimed = reader.comparisons(statement)
    solver.add(*given, *(divisor != 0 for divisor in reader.divisors), z3.Not(z3.And(*claimed)))
    answer = solver.check()
    if answer == z3.unsat:
        return proved("z3: the negation is unsatisfiable")
    if answer == z3.unknown:
        return undecided(f"z3: {solver.reason_unknown()}")
    point = _point(solver, reader.symbols)
    return refuted(", ".join(f"{name} = {value}" for name, value in point.items()) or "it holds nowhere")


class _Reader:
    """Comparisons as z3 formulas over the reals; remembers symbols and divisors."""

    def __init__(self) -> None:
        self.symbols: dict[str, Any] = {}
        self.divisors: list[Any] = []

    def comparisons(self, text: str) -> list[Any]:
        """The comparisons of a chain, or of a group that shares one."""
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            raise ValueError(f"cannot read {text!r} as a comparison") from None
        *group, chain = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        if not isinstance(chain, ast.Compare):
            raise ValueError(f"{text!r} is no comparison")
        found = []
        for first in [*group, chain.left]:
            sides = [first, *chain.comparators]
            for left, op, right in zip(sides, chain.ops, sides[1:], strict=False):
                found.append(self._compare(self.value(left), op, self.value(right)))
        return found

    def _compare(self, left: Any, op: ast.cmpop, right: Any) -> Any:
        match op:
            case ast.Lt():
                return left < right
            case ast.LtE():
                return left <= right
            case ast.Gt():
                return left > right
            case ast.GtE():
                return left >= right
            case ast.Eq():
                return left == right
            case ast.NotEq():
                return left != right
        raise ValueError(f"{type(op).__name__} is no comparison of numbers")

    def value(self, node: ast.expr) -> Any:
        """An expression in +, -, *, /, ** with whole exponents."""
        match node:
            case ast.Constant(value=int() as whole) if not isinstance(whole, bool):
                return z3.RealVal(whole)
            case ast.Name(id=name):
                return self.symbols.setdefault(name, z3.Real(name))
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self.value(inner)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.value(left) + self.value(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return self.value(left) - self.value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return self.value(left) * self.value(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                divisor = self.value(right)
                self.divisors.append(divisor)
                return self.value(left) / divisor
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)) if power >= 0:
                base = self.value(left)
                product = z3.RealVal(1)
                for _ in range(power):
                    product = product * base
                return product
        raise ValueError(f"cannot read {ast.unparse(node)!r} as a rational function")


def _point(solver: Any, symbols: Mapping[str, Any]) -> dict[str, str]:
    """The model, with rationals nearby for its algebraic numbers where they are counterexamples too."""
    found = {}
    for name, symbol in symbols.items():
        value = solver.model().eval(symbol, model_completion=True)
        solver.push()
        if not z3.is_rational_value(value):
            near = _rational_beside(value)
            solver.add(symbol == z3.Q(near.p, near.q))
            if solver.check() == z3.sat:
                found[name] = str(near)
                continue
            solver.pop()
            solver.push()
        solver.add(symbol == value)
        solver.check()
        found[name] = str(value.as_fraction()) if z3.is_rational_value(value) else f"root {value.sexpr()}"
    return found


def _rational_beside(value: Any) -> sp.Rational:
    """A rational in a narrow interval that isolates an algebraic number, given by its polynomial and its index."""
    coefficients = [sp.Rational(c.numerator_as_long(), c.denominator_as_long()) for c in reversed(value.poly())]
    intervals = sp.Poly(coefficients, sp.Symbol("x")).intervals(eps=sp.Rational(1, 1 << 40))
    (low, high), _ = intervals[value.index() - 1]
    return (low + high) / 2
