"""Rational functions, read from text: pairs of python-flint polynomials over the rationals.

Equality of rational functions is vanishing of one cross-multiplied numerator. Denominators are kept as least common
multiples, so that sums of many fractions stay small.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import Ordering, fmpq, fmpq_mpoly, fmpq_mpoly_ctx

#: Larger exponents exhaust the memory before anything is decided.
MAXIMAL_EXPONENT = 1000
#: Called with each divisor and its text; it raises if the divisor may vanish.
Guard = Callable[["Ratio", str], None]


class MalformedError(ValueError):
    """The file is no certificate; the message says what is missing or wrong in its form."""


class Ratio:
    """A rational function as numerator and denominator in one polynomial ring."""

    def __init__(self, top: fmpq_mpoly, bottom: fmpq_mpoly) -> None:
        """Hold top/bottom; a zero denominator is malformed."""
        if bottom == 0:
            raise MalformedError("division by zero in an expression")
        self.top, self.bottom = top, bottom

    def __add__(self, other: Ratio) -> Ratio:
        mine, theirs = self._lifts(other)
        return Ratio(self.top * mine + other.top * theirs, self.bottom * mine)

    def __sub__(self, other: Ratio) -> Ratio:
        mine, theirs = self._lifts(other)
        return Ratio(self.top * mine - other.top * theirs, self.bottom * mine)

    def __mul__(self, other: Ratio) -> Ratio:
        return Ratio(self.top * other.top, self.bottom * other.bottom)

    def __truediv__(self, other: Ratio) -> Ratio:
        return Ratio(self.top * other.bottom, self.bottom * other.top)

    def __pow__(self, power: int) -> Ratio:
        base = self if power >= 0 else Ratio(self.bottom, self.top)
        return Ratio(base.top ** abs(power), base.bottom ** abs(power))

    def _lifts(self, other: Ratio) -> tuple[fmpq_mpoly, fmpq_mpoly]:
        """What this and the other numerator are multiplied by over the common denominator."""
        if self.bottom == other.bottom:
            one = self.bottom**0
            return one, one
        shared = self.bottom.gcd(other.bottom)
        return other.bottom / shared, self.bottom / shared

    def is_zero(self) -> bool:
        """Whether the function vanishes identically."""
        return self.top == 0

    def value(self) -> Fraction:
        """The number, of a constant function."""
        if not (self.top.is_constant() and self.bottom.is_constant()):
            raise MalformedError("a number is expected, not an expression with symbols")
        top, bottom = (number(part.leading_coefficient() if part != 0 else 0) for part in (self.top, self.bottom))
        return top / bottom


class Ring:
    """Reads expressions; each name stands for a rational function of the ring's variables."""

    def __init__(self, variables: int) -> None:
        """A polynomial ring over the rationals in so many variables."""
        # A ring needs a variable; names are the caller's business, these are never read from text.
        self.context = fmpq_mpoly_ctx.get([f"v{n}" for n in range(max(variables, 1))], Ordering.degrevlex)
        self.variables = [Ratio(g, self.context.constant(fmpq(1))) for g in self.context.gens()]

    def constant(self, value: Fraction | int) -> Ratio:
        """A constant function."""
        exact = Fraction(value)
        return Ratio(self.context.constant(fmpq(exact.numerator, exact.denominator)), self.context.constant(fmpq(1)))

    def read(self, text: str, table: Mapping[str, Ratio], guard: Guard | None = None) -> Ratio:
        """The rational function that a text in +, -, *, /, ** with whole exponents writes."""
        return self._value(parse(text), table, guard)

    def _value(self, node: ast.expr, table: Mapping[str, Ratio], guard: Guard | None) -> Ratio:
        match node:
            case ast.Constant(value=int() as whole) if not isinstance(whole, bool):
                return self.constant(whole)
            case ast.Name(id=name) if name in table:
                return table[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return self.constant(0) - self._value(inner, table, guard)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                power, base = _whole(right), self._value(left, table, guard)
                if power < 0 and guard:
                    guard(base, ast.unparse(left))
                return base**power
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                divisor = self._value(right, table, guard)
                if guard and not isinstance(right, ast.Constant):
                    guard(divisor, ast.unparse(right))
                return self._value(left, table, guard) / divisor
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                return _OPERATIONS[type(op)](self._value(left, table, guard), self._value(right, table, guard))
        raise MalformedError(f"cannot read {ast.unparse(node)[:60]!r} in an expression")


_OPERATIONS: dict[type, Callable[[Ratio, Ratio], Ratio]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
}  # fmt: skip


def number(value: Any) -> Fraction:
    """An exact number from text or from python-flint."""
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise MalformedError(f"{str(value)[:60]!r} is not an exact number") from None


def parse(text: Any) -> ast.expr:
    """The syntax tree of an expression."""
    if not isinstance(text, str):
        raise MalformedError(f"an expression must be text, not {text!r}")
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise MalformedError(f"cannot read the expression {text[:60]!r}") from None


def names_in(texts: Sequence[Any]) -> set[str]:
    """The names that occur in expressions."""
    return set[str]().union(*(_names(parse(text)) for text in texts))


@lru_cache(maxsize=4096)
def _names(tree: ast.expr) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _whole(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int() as whole) if not isinstance(whole, bool):
            power = whole
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as whole)):
            power = -whole
        case _:
            raise MalformedError("an exponent must be a whole number")
    if abs(power) > MAXIMAL_EXPONENT:
        raise MalformedError(f"the exponent {power} is beyond ±{MAXIMAL_EXPONENT}")
    return power
