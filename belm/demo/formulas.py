"""Coefficients as MathML: what a browser shows without any script or font.

Symbols are those of the generated code: h1 = h_i is the step being made, h2 = h_{i+1} the one before it, w0 = w_{i-1}
the frame weight where the step arrives. A coefficient is written as one fraction, factored, parameters collected,
and without a minus sign where a difference can be turned round instead.
"""

from __future__ import annotations

import sympy as sp

from belm_theory.method import Method, Relation

_GREEK = {"theta": "θ", "gamma": "γ"}


def relation(method: Method) -> list[str]:
    """The method's step as MathML, one entry a line: the relation, then the coefficients that are not 0 or ±1."""
    if not isinstance(method, Relation):
        return [_stage(stage.target, stage.terms) for stage in method.stages]
    terms = [(a, f"a{j}", _node("X", j)) for j, a in enumerate(method.a, 1)]
    terms += [(b, f"b{j}", _letter(f"h{j}") + _node("f", j)) for j, b in enumerate(method.b, 1)]
    step = _equation(_node("X", 0), "".join(_term(c, _letter(name), what) for c, name, what in terms))
    return [step, *(_equation(_letter(name), expression(c)) for c, name, _ in terms if c not in (0, 1, -1))]


def expression(value: sp.Expr) -> str:
    """The MathML of a rational function."""
    numerator, denominator = sp.fraction(sp.together(value))
    negative, above = _oriented(_collected(sp.factor(numerator)))
    below = _show(sp.factor(denominator))
    body = _show(above) if denominator == 1 else f"<mfrac><mrow>{_show(above)}</mrow><mrow>{below}</mrow></mfrac>"
    return ("<mo>−</mo>" if negative else "") + body


def _collected(numerator: sp.Expr) -> sp.Expr:
    """The numerator as a polynomial in its parameters (theta, gamma), coefficients factored."""
    for symbol in sorted(numerator.free_symbols, key=str):
        if not symbol.name[1:].isdigit():
            numerator = sp.collect(sp.expand(numerator), symbol, sp.factor)
    return numerator


def _oriented(value: sp.Expr) -> tuple[bool, sp.Expr]:
    """Whether a minus stands before the expression, and the expression without it."""
    if value.is_Add and all(_negative(term) for term in value.args):
        return True, -value
    number, rest = value.as_coeff_Mul()
    factors = list(sp.Mul.make_args(rest))
    for n, factor in enumerate(factors):
        # -(h1 - h2)·… is written (h2 - h1)·….
        if number < 0 and factor.is_Add and sum(map(_negative, factor.args)) == 1:
            factors[n] = -factor
            return False, sp.Mul(-number, *factors)
    return (True, -value) if number < 0 else (False, value)


def _show(value: sp.Expr) -> str:
    """A polynomial as it stands: sums with a positive term first, products without a sign of their own."""
    if value.is_Add:
        terms = sorted(value.as_ordered_terms(), key=_negative)
        shown = "".join(f"<mo>{'−' if _negative(t) else '+'}</mo>{_show(-t if _negative(t) else t)}" for t in terms)
        return shown.removeprefix("<mo>+</mo>")
    if value.is_Mul:
        return "".join(f"<mo>(</mo>{_show(f)}<mo>)</mo>" if f.is_Add else _show(f) for f in value.as_ordered_factors())
    if value.is_Pow:
        base, power = value.base, f"<mn>{value.exp}</mn>"
        if base.is_Symbol and base.name[1:].isdigit():
            return f"<msubsup><mi>{base.name[0]}</mi><mn>{base.name[1:]}</mn>{power}</msubsup>"
        inner = f"<mrow><mo>(</mo>{_show(base)}<mo>)</mo></mrow>" if base.is_Add else _show(base)
        return f"<msup>{inner}{power}</msup>"
    return _letter(value.name) if value.is_Symbol else f"<mn>{value}</mn>"


def _negative(term: sp.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _stage(target: str, terms: tuple[tuple[str, sp.Expr], ...]) -> str:
    """One stage of a two-register scheme; a stage that mixes makes the register of the next node."""
    mixes = all(not operand.startswith("f(") for operand, _ in terms)
    written = "".join(_term(c, None, _operand(operand, mixes)) for operand, c in terms)
    return _equation(_operand(target, mixes), written)


def _operand(name: str, arrived: bool) -> str:
    if name.startswith("f("):
        return f"<mi>f</mi><mo>(</mo>{_operand(name[2:-1], arrived)}<mo>)</mo>"
    if name.endswith("_inter"):
        return f"<msup><mi>{name[0]}</mi><mo>′</mo></msup>"
    return _node(name, 0 if arrived else 1)


def _term(coefficient: sp.Expr, name: str | None, what: str) -> str:
    """`+ a·what`, by the coefficient's name or, where there is none, written out; nothing for 0."""
    if coefficient == 0:
        return ""
    if coefficient in (1, -1):
        return f"<mo>{'+' if coefficient == 1 else '−'}</mo>{what}"
    if name:
        return f"<mo>+</mo>{name}{what}"
    sign, size = ("−", -coefficient) if _negative(coefficient) else ("+", coefficient)
    return f"<mo>{sign}</mo>{f'<mo>(</mo>{_show(size)}<mo>)</mo>' if size.is_Add else _show(size)}{what}"


def _equation(left: str, right: str) -> str:
    right = right.removeprefix("<mo>+</mo>")
    return f'<math display="block"><mrow>{left}<mo>=</mo>{right}</mrow></math>'


def _node(letter: str, j: int) -> str:
    """The letter at node i - 1 + j."""
    offset = f"<mo>{'+' if j > 1 else '−'}</mo><mn>{abs(j - 1)}</mn>" if j != 1 else ""
    return f"<msub><mi>{letter}</mi><mrow><mi>i</mi>{offset}</mrow></msub>"


def _letter(name: str) -> str:
    """``h1`` as h with an index, ``theta`` as θ."""
    if name[1:].isdigit():
        return f"<msub><mi>{name[0]}</mi><mn>{name[1:]}</mn></msub>"
    return f"<mi>{_GREEK.get(name, name)}</mi>"
