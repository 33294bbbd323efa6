"""Hypotheses, and what they say about signs.

A hypothesis is a chain of comparisons such as ``0 < h1 <= h2``, ``0 < theta <= 1`` or ``h1, h2 > 0``; it is taken apart
into atoms, pairs small < large or small <= large. The atoms are substituted away: with new variables g > 0 (or g >= 0
where the atom is not strict)

    L < x          x = L + g
    L < x <= U     x = (U + g·L)/(1 + g)    (the closed end at g = 0)
    x < U          x = U - g

every point of the domain is reached, and nothing else. A function whose numerator and denominator then have
coefficients of one sign has that sign. The test is sufficient only; its other answer is "not shown".
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from belm_theory.checker.rational import MalformedError, Ratio, Ring, names_in, number, parse

POSITIVE, WEAK, FREE = "positive", "weak", "free"


class NotShownError(Exception):
    """Something is not shown under the hypotheses; the message says what."""


@dataclass(frozen=True)
class Atom:
    """small < large, or small <= large."""

    small: str
    large: str
    strict: bool

    def __str__(self) -> str:
        return f"{self.small} {'<' if self.strict else '<='} {self.large}"

    @property
    def names(self) -> set[str]:
        """The symbols it speaks of."""
        return names_in([self.small, self.large])


def atoms(hypotheses: Sequence[str]) -> list[Atom]:
    """The hypotheses, taken apart.

    Raises:
        MalformedError: for a text that is no chain of <, <=, >, >=.
    """
    found = []
    for text in hypotheses:
        tree = parse(text)
        items: list[ast.expr] = list(tree.elts) if isinstance(tree, ast.Tuple) else [tree]
        *group, chain = items
        if not isinstance(chain, ast.Compare) or (group and len(chain.ops) != 1):
            raise MalformedError(f"the hypothesis {text!r} is no chain of comparisons")
        for first in [*group, chain.left]:
            sides = [first, *chain.comparators]
            for left, op, right in zip(sides, chain.ops, sides[1:], strict=False):
                found.append(_atom(text, ast.unparse(left), op, ast.unparse(right)))
    return found


def _atom(text: str, left: str, op: ast.cmpop, right: str) -> Atom:
    match op:
        case ast.Lt() | ast.LtE():
            return Atom(left, right, isinstance(op, ast.Lt))
        case ast.Gt() | ast.GtE():
            return Atom(right, left, isinstance(op, ast.Gt))
    raise MalformedError(f"the hypothesis {text!r} is no chain of comparisons")


class Domain:
    """The set of all points at which the atoms hold, and the ring in which functions on it are read."""

    def __init__(self, given: Sequence[Atom], names: set[str]) -> None:
        """Substitute the atoms away.

        Args:
            given: the atoms; those about other symbols than `names` matter only as far as they bound these.
            names: the symbols of the functions to be read.

        Raises:
            MalformedError: atoms that bound a symbol twice from one side, or in a circle.
            NotShownError: a lower bound that is not shown to be below the upper one, so that the domain may be empty.
        """
        self.given = list(given)
        every = sorted(names.union(*(atom.names for atom in given)) if given else names)
        self.ring = Ring(len(every))
        self.kind: list[str] = [FREE] * max(len(every), 1)
        self.table: dict[str, Ratio] = {}
        lower, upper = _bounds(given)
        pending = list(every)
        while pending:
            ready = [n for n in pending if all(names_in([b.small, b.large]) - {n} <= set(self.table)
                                               for b in (lower.get(n), upper.get(n)) if b)]  # fmt: skip
            if not ready:
                raise MalformedError(f"the hypotheses bound {pending[0]} in a circle")
            name = ready[0]
            pending.remove(name)
            self._place(every.index(name), name, lower.get(name), upper.get(name))

    def _place(self, index: int, name: str, low: Atom | None, high: Atom | None) -> None:
        g, one = self.ring.variables[index], self.ring.constant(1)
        bottom = self.ring.read(low.small, self.table) if low else None
        top = self.ring.read(high.large, self.table) if high else None
        if low and high and bottom and top:
            if not (low.strict or high.strict):
                raise MalformedError(f"{name} has two closed ends; the checker needs one to be open")
            if self.sign(top - bottom) != "+":
                raise NotShownError(f"the hypotheses are not shown to leave room for {name}")
            self.kind[index] = POSITIVE if low.strict and high.strict else WEAK
            ends = (bottom, top) if high.strict else (top, bottom)
            self.table[name] = (ends[0] + g * ends[1]) / (one + g)
        elif low and bottom:
            self.kind[index] = POSITIVE if low.strict else WEAK
            self.table[name] = bottom + g
        elif high and top:
            self.kind[index] = POSITIVE if high.strict else WEAK
            self.table[name] = top - g
        else:
            self.table[name] = g

    def read(self, text: str, guard: bool = True) -> Ratio:
        """A function on the domain.

        Raises:
            NotShownError: a divisor may vanish on the domain.
        """
        return self.ring.read(text, self.table, self._nonzero if guard else None)

    def _nonzero(self, divisor: Ratio, text: str) -> None:
        if self.sign(divisor) not in ("+", "-"):
            raise NotShownError(f"the divisor {text[:60]} may vanish under the hypotheses")

    def sign(self, value: Ratio) -> str:
        """``0``, ``+``, ``-`` (strict), ``>=0``, ``<=0``, or ``?`` where the coefficients do not decide."""
        if value.is_zero():
            return "0"
        top, bottom = self._polynomial_sign(value.top), self._polynomial_sign(value.bottom)
        if bottom not in ("+", "-") or top == "?":
            return "?"
        return top if bottom == "+" else {"+": "-", "-": "+", ">=0": "<=0", "<=0": ">=0"}[top]

    def _polynomial_sign(self, polynomial: object) -> str:
        strict, signs = False, set()
        for exponents, coefficient in polynomial.terms():  # type: ignore[attr-defined]
            signs.add(number(coefficient) > 0)
            at_zero = False
            for kind, power in zip(self.kind, exponents, strict=False):
                if kind == FREE and power % 2:
                    return "?"
                at_zero |= kind != POSITIVE and power > 0
            strict |= not at_zero
        if len(signs) != 1:
            return "?"
        return ("+" if strict else ">=0") if signs.pop() else ("-" if strict else "<=0")


def first_false(given: Sequence[Atom], point: Mapping[str, Fraction]) -> Atom | None:
    """The first atom that is false at a point which gives all its symbols a value; None if there is none."""
    ring = Ring(0)
    table = {name: ring.constant(value) for name, value in point.items()}
    for atom in given:
        if atom.names <= set(point):
            small, large = (ring.read(side, table).value() for side in (atom.small, atom.large))
            if not (small < large if atom.strict else small <= large):
                return atom
    return None


def _bounds(given: Sequence[Atom]) -> tuple[dict[str, Atom], dict[str, Atom]]:
    """At most one lower and one upper bound a symbol; an atom between two symbols bounds the larger from below."""
    lower: dict[str, Atom] = {}
    upper: dict[str, Atom] = {}
    for atom in given:
        small, large = parse(atom.small), parse(atom.large)
        if isinstance(large, ast.Name):
            side, name = lower, large.id
        elif isinstance(small, ast.Name):
            side, name = upper, small.id
        else:
            raise MalformedError(f"the hypothesis {atom} bounds no symbol")
        if name in side:
            raise MalformedError(f"the hypotheses bound {name} twice: {side[name]} and {atom}")
        side[name] = atom
    return lower, upper
