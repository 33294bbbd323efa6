"""The checker: verifies certificates again, knowing nothing of how they were made.

It imports nothing of this package. Rational functions are parsed by a small reader into pairs of python-flint
polynomials over the rationals; equality is equality of cross-multiplied polynomials; roots are isolated by balls that
are refined until each is decided, those on the unit circle by dividing cyclotomic polynomials out. It answers with a
list of what is false; an empty list means that every record of evidence holds.
"""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from flint import Ordering, fmpq, fmpq_mpoly, fmpq_mpoly_ctx, fmpq_poly, fmpz_poly

FORMAT = "belm-certificate-1"
VERDICTS = ("proved", "refuted", "undecided")
#: Larger exponents exhaust the memory before anything is decided.
MAXIMAL_EXPONENT = 1000
_RELATIONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip
_FIELDS = ("id", "statement", "hypotheses", "source", "method", "verdict", "witness", "evidence")


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
        return Ratio(self.top * other.bottom + other.top * self.bottom, self.bottom * other.bottom)

    def __sub__(self, other: Ratio) -> Ratio:
        return Ratio(self.top * other.bottom - other.top * self.bottom, self.bottom * other.bottom)

    def __mul__(self, other: Ratio) -> Ratio:
        return Ratio(self.top * other.top, self.bottom * other.bottom)

    def __truediv__(self, other: Ratio) -> Ratio:
        return Ratio(self.top * other.bottom, self.bottom * other.top)

    def __pow__(self, power: int) -> Ratio:
        base = self if power >= 0 else Ratio(self.bottom, self.top)
        return Ratio(base.top ** abs(power), base.bottom ** abs(power))

    def is_zero(self) -> bool:
        """Whether the function vanishes identically."""
        return self.top == 0


class Ring:
    """Reads expressions in the given symbols."""

    def __init__(self, symbols: Sequence[str]) -> None:
        """A polynomial ring over the rationals; constants get a dummy variable."""
        names = sorted(set(symbols))
        # A ring needs a variable; one that no expression may name keeps constants constant.
        self.context = fmpq_mpoly_ctx.get(names or ["unused"], Ordering.lex)
        generators = dict(zip(names, self.context.gens(), strict=False))
        self.symbols = {name: Ratio(g, self.constant(1)) for name, g in generators.items()}

    def constant(self, value: int) -> fmpq_mpoly:
        """A constant polynomial."""
        return self.context.constant(fmpq(value))

    def read(self, text: str, table: Mapping[str, Ratio] | None = None) -> Ratio:
        """The rational function that a text in +, -, *, /, ** with whole exponents writes."""
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError):
            raise MalformedError(f"cannot read the expression {text[:60]!r}") from None
        return self._value(tree, {**self.symbols, **(table or {})})

    def _value(self, node: ast.expr, table: Mapping[str, Ratio]) -> Ratio:
        match node:
            case ast.Constant(value=int() as number) if not isinstance(number, bool):
                return Ratio(self.constant(number), self.constant(1))
            case ast.Name(id=name) if name in table:
                return table[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return Ratio(self.constant(0), self.constant(1)) - self._value(inner, table)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._value(left, table) ** _whole(right)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                return _OPERATIONS[type(op)](self._value(left, table), self._value(right, table))
        raise MalformedError(f"cannot read {ast.unparse(node)[:60]!r} in an expression")


_OPERATIONS: dict[type, Callable[[Ratio, Ratio], Ratio]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


def _whole(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            power = number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            power = -number
        case _:
            raise MalformedError("an exponent must be a whole number")
    if abs(power) > MAXIMAL_EXPONENT:
        raise MalformedError(f"the exponent {power} is beyond ±{MAXIMAL_EXPONENT}")
    return power


def symbols_of(*texts: str) -> list[str]:
    """The names that occur in expressions."""
    names: set[str] = set()
    for text in texts:
        try:
            names |= {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
        except (SyntaxError, ValueError, RecursionError):
            raise MalformedError(f"cannot read the expression {text[:60]!r}") from None
    return sorted(names)


def load(path: Path) -> dict[str, Any]:
    """Read a certificate and check its form.

    Raises:
        MalformedError: not JSON, another format, or a missing field.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MalformedError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise MalformedError(f"{str(path)!r} is not a certificate of format {FORMAT!r}")
    if missing := [field for field in _FIELDS if field not in data]:
        raise MalformedError(f"{str(path)!r} lacks the field {missing[0]!r}")
    if data["verdict"] not in VERDICTS:
        raise MalformedError(f"{str(path)!r} has the verdict {data['verdict']!r}; it must be one of {VERDICTS}")
    if not isinstance(data["evidence"], list) or (not data["evidence"] and data["verdict"] != "undecided"):
        raise MalformedError(f"{str(path)!r} decides its claim without evidence")
    return data


def check(data: Mapping[str, Any]) -> list[str]:
    """What is false in a certificate: one line a failing record, empty if all evidence holds."""
    failures = []
    for number, record in enumerate(data["evidence"], 1):
        kind = record.get("kind") if isinstance(record, dict) else None
        if not isinstance(kind, str) or kind not in _CHECKS:
            raise MalformedError(f"evidence {number} has the unknown kind {kind!r}")
        try:
            reason = _CHECKS[kind](record)
        except MalformedError as error:
            raise MalformedError(f"evidence {number} ({kind}): {error}") from None
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise MalformedError(f"evidence {number} ({kind}) is incomplete: {error}") from None
        except (ValueError, ArithmeticError) as error:
            raise MalformedError(f"evidence {number} ({kind}) cannot be read: {error}") from None
        if reason:
            failures.append(f"evidence {number} ({kind}): {reason}")
    return failures


def _check_identity(record: Mapping[str, Any]) -> str | None:
    left, right = record["left"], record["right"]
    ring = Ring(symbols_of(left, right))
    difference = ring.read(left) - ring.read(right)
    return None if difference.is_zero() else f"{left[:60]} is not {right[:60]}"


def _check_at(record: Mapping[str, Any]) -> str | None:
    ring = Ring([])
    point = {name: ring.read(value) for name, value in record["point"].items()}
    values = [_constant(ring.read(record[side], point)) for side in ("left", "right")]
    holds = _RELATIONS[record["relation"]](*values)
    return None if holds else f"{values[0]} {record['relation']} {values[1]} is false"


def _constant(value: Ratio) -> Fraction:
    top, bottom = (Fraction(str(part.leading_coefficient() if part != 0 else 0)) for part in (value.top, value.bottom))
    return top / bottom


def _check_order(record: Mapping[str, Any]) -> str | None:
    """E_m on the powers s^m themselves, m = 0 … order + 1, nodes measured from s_0 = 0."""
    steps, a, b, order = record["steps"], record["a"], record["b"], record["order"]
    ring = Ring([*steps, *symbols_of(*a, *b, record["leading"])])
    if not (len(a) == len(steps) and len(b) == len(steps) - 1):
        raise MalformedError("a relation of k steps needs k weights a and k - 1 weights b")
    if not isinstance(order, int) or order < 0:
        raise MalformedError(f"the order is {order!r}; it must be a whole number >= 0")
    zero = ring.read("0")
    nodes, total = [], zero
    for step in steps:
        total = total + ring.read(step)
        nodes.append(total)
    weights, slopes = [ring.read(t) for t in a], [ring.read(t) for t in b]
    for m in range(order + 2):
        error = ring.read("1") if m == 0 else zero
        for weight, s in zip(weights, nodes, strict=True):
            error = error - weight * s**m
        for weight, step, s in zip(slopes, steps, nodes, strict=False):
            if m:
                error = error - weight * ring.read(step) * ring.read(str(m)) * s ** (m - 1)
        if m <= order and not error.is_zero():
            return f"E_{m} does not vanish, so the order is below {order}"
    factorial = ring.read("1")
    for m in range(1, order + 2):
        factorial = factorial * ring.read(str(m))
    leading = ring.read(record["leading"])
    if leading.is_zero():
        return f"the leading term is zero, so the order is above {order}"
    return None if (error / factorial - leading).is_zero() else "the leading local error is another"


def _check_signs(record: Mapping[str, Any]) -> str | None:
    """Substitute the hypotheses away; then every coefficient must have one sign."""
    names = set(record["positive"]) | set(record["unit"])
    extra = [f"gap_{large}" for _, large in record["ordered"]] + [f"tau_{name}" for name in record["unit"]]
    if names & set(extra):
        raise MalformedError(f"the symbols {sorted(names & set(extra))} are the checker's own")
    ring = Ring([*names, *extra])
    table: dict[str, Ratio] = {}
    for small, large in record["ordered"]:
        table[large] = table.get(small, ring.symbols[small]) + ring.symbols[f"gap_{large}"]
    for name in record["unit"]:
        table[name] = ring.read("1") / (ring.read("1") + ring.symbols[f"tau_{name}"])
    for text in record["expressions"]:
        value = ring.read(text, table)
        top = {c > 0 for c in map(_as_fraction, value.top.coeffs())}
        bottom = {c > 0 for c in map(_as_fraction, value.bottom.coeffs())}
        if value.is_zero():
            if record["strict"]:
                return f"{text[:60]} vanishes"
            continue
        if len(top) != 1 or top != bottom:
            return f"the coefficients of {text[:60]} do not have one sign under the hypotheses"
        if record["strict"] and not _positive_at_ends(ring, value, record["unit"]):
            return f"{text[:60]} vanishes where a parameter is 1"
    return None


def _positive_at_ends(ring: Ring, value: Ratio, unit: Sequence[str]) -> bool:
    """Whether the numerator keeps a term when every tau (parameter = 1) is zero."""
    positions = [i for i, name in enumerate(ring.context.names()) if name in {f"tau_{n}" for n in unit}]
    return any(all(exponents[i] == 0 for i in positions) for exponents in value.top.monoms())


def _as_fraction(value: Any) -> Fraction:
    return Fraction(str(value))


def _check_roots(record: Mapping[str, Any]) -> str | None:
    coefficients = [_as_fraction(c) for c in record["coefficients"]]
    if not any(coefficients):
        raise MalformedError("the zero polynomial has no isolated roots")
    polynomial = fmpq_poly([fmpq(c.numerator, c.denominator) for c in reversed(coefficients)]).numer()
    inside = on = outside = 0
    simple = True
    _, factors = polynomial.factor()
    for factor, multiplicity in factors:
        if factor.is_cyclotomic():
            on += factor.degree() * multiplicity
            simple &= multiplicity == 1
            continue
        isolated: Any = factor.complex_roots()
        position = [_side(factor, root) for root, _ in isolated]
        if None in position:
            return f"a root of {factor} was not separated from the unit circle"
        inside += multiplicity * position.count("inside")
        outside += multiplicity * position.count("outside")
    found = (inside, on, outside, simple)
    stated = (record["inside"], record["on"], record["outside"], record["simple_on"])
    return None if found == stated else f"inside, on, outside, simple = {found}, not {stated}"


def _side(factor: fmpz_poly, root: Any) -> str | None:
    modulus = abs(root)
    return "inside" if modulus < 1 else "outside" if modulus > 1 else None


def _check_growth(record: Mapping[str, Any]) -> str | None:
    rows = [[_as_fraction(a) for a in row] for row in record["weights"]]
    k = len(rows[0])
    if k == 0:
        raise MalformedError("a step needs at least one weight")
    product = [[Fraction(int(i == j)) for j in range(k)] for i in range(k)]
    for row in rows:
        if len(row) != k or sum(row) != 1:
            return "the weights of a step do not sum to 1"
        newest = [sum((row[m] * product[m][j] for m in range(k)), Fraction(0)) for j in range(k)]
        product = [newest, *product[:-1]]
    norm = max(sum(map(abs, line)) for line in product)
    bound = _as_fraction(record["norm_at_least"])
    return None if norm >= bound else f"the product has norm {norm}, below {bound}"


_CHECKS: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "identity": _check_identity, "at": _check_at, "order": _check_order, "signs": _check_signs,
    "roots": _check_roots, "growth": _check_growth,
}  # fmt: skip
