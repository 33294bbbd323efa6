"""Lowering: rational functions become assignments in plain arithmetic that do not cancel needlessly.

Each coefficient is one fraction, numerator and denominator factored over the integers. Differences stay factored,
(h2 - h1)(h2 + h1) and never h2² - h1²; distances between nodes become named sums of positive steps (h12 = h1 + h2);
a factor that cannot be split is evaluated by Horner's rule, whose error is a few roundings of Σ|terms|.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp


class Lowering:
    """Collects the named intermediates of one function body.

    Attributes:
        lines: the assignments so far, in order.
    """

    def __init__(self, arguments: Sequence[sp.Symbol]) -> None:
        """Start a body whose arguments are the given symbols."""
        self._arguments = tuple(arguments)
        self._names: dict[sp.Expr, str] = {}
        self.lines: list[str] = []

    def lower(self, expression: sp.Expr) -> str:
        """The source of one coefficient; intermediates are appended to `lines`."""
        numerator, denominator = sp.fraction(sp.together(expression))
        top, top_factors = sp.factor_list(numerator, *self._arguments)
        bottom, bottom_factors = sp.factor_list(denominator, *self._arguments)
        ratio = sp.Rational(top, bottom)
        if ratio == 0:
            return "0"
        if ratio < 0:
            ratio, top_factors = _absorb_sign(ratio, top_factors)
        above = self._product(abs(ratio.p), top_factors)
        below = self._product(ratio.q, bottom_factors)
        sign = "-" if ratio.p < 0 else ""
        if not below:
            alone = len(above) == 1 and not sign and above[0].startswith("(") and above[0].endswith(")")
            return above[0][1:-1] if alone else sign + " * ".join(above or ["1"])
        if all(factor.isdigit() for factor in above + below):
            raise ValueError(f"{expression} is a constant fraction: plain division would round it on exact scalars")
        under = below[0] if len(below) == 1 else f"({' * '.join(below)})"
        return f"{sign}{' * '.join(above or ['1'])} / {under}"

    def _product(self, constant: int, factors: Sequence[tuple[sp.Expr, int]]) -> list[str]:
        parts = [str(constant)] if constant != 1 else []
        for factor, power in sorted(factors, key=lambda item: (len(item[0].free_symbols), str(item[0]))):
            name = self._name(factor)
            parts.append(name if power == 1 else f"{name}**{power}")
        return parts

    def _name(self, factor: sp.Expr) -> str:
        if factor.is_Symbol:
            return factor.name
        run = _consecutive_steps(factor)
        if not run and len(factor.as_ordered_terms()) == 2:
            return f"({_ascending(factor)})"
        if factor not in self._names:
            name = run or f"p{1 + sum(known.startswith('p') for known in self._names.values())}"
            self._names[factor] = name
            self.lines.append(f"{name} = {_horner(factor, self._arguments)}")
        return self._names[factor]


def _absorb_sign(ratio: sp.Rational, factors: list[tuple[sp.Expr, int]]) -> tuple[sp.Rational, list]:
    """Turn -(h1 - h2) into (h2 - h1): a minus moves into a difference of odd power, if there is one."""
    for index, (factor, power) in enumerate(factors):
        terms = factor.as_ordered_terms()
        if power % 2 == 1 and len(terms) == 2 and any(term.could_extract_minus_sign() for term in terms):
            return -ratio, [*factors[:index], (-factor, power), *factors[index + 1 :]]
    return ratio, factors


def _ascending(factor: sp.Expr) -> str:
    """A difference with its positive term first: `1 - theta`."""
    first, second = sorted(factor.as_ordered_terms(), key=lambda term: term.could_extract_minus_sign())
    return f"{first} - {-second}" if second.could_extract_minus_sign() else f"{first} + {second}"


def _consecutive_steps(factor: sp.Expr) -> str | None:
    """`h23` for h2 + h3, a distance between nodes; None for anything else."""
    terms = factor.as_ordered_terms()
    if not all(term.is_Symbol and term.name.startswith("h") for term in terms):
        return None
    indices = sorted(int(term.name[1:]) for term in terms)
    consecutive = indices == list(range(indices[0], indices[-1] + 1))
    return "h" + "".join(map(str, indices)) if consecutive else None


def _horner(factor: sp.Expr, arguments: Sequence[sp.Symbol]) -> str:
    used = [symbol for symbol in arguments if symbol in factor.free_symbols]
    return str(sp.polys.polyfuncs.horner(factor, *used))
