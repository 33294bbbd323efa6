"""Records about expressions: identities and inequalities on the domain of the hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from belm_theory.checker.domain import Domain, atoms
from belm_theory.checker.rational import MalformedError, names_in
from belm_theory.checker.record import HOLDS, Context, Decision, fails, fractions, undecided

#: What the sign of right - left must be for a relation to hold, and for it to fail.
_SHOWN = {"<": ("+",), "<=": ("+", ">=0", "0"), ">": ("-",), ">=": ("-", "<=0", "0"), "!=": ("+", "-"), "==": ("0",)}
_AGAINST = {"<": ("-", "<=0", "0"), "<=": ("-",), ">": ("+", ">=0", "0"), ">=": ("+",), "==": ("+", "-"), "!=": ("0",)}
_COMPARE: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda x, y: x < y, "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y, "!=": lambda x, y: x != y,
}  # fmt: skip


def identity(record: Mapping[str, Any], context: Context) -> Decision:
    """Equality at every point of the domain. Refuted by the ``difference``, which must be what it is and not zero.

    A text compared with itself says nothing, and shows nothing.
    """
    left, right, stated = record["left"], record["right"], record.get("difference", "0")
    if left == right:
        return undecided(f"{left[:60]} is compared with itself")
    question = context.ask(record, [left, right, stated])
    difference = question.read(left) - question.read(right)
    if not (difference - question.read(stated)).is_zero():
        return undecided(f"{left[:60]} minus {right[:60]} is not {stated[:60]}")
    return HOLDS if difference.is_zero() else fails(f"{left[:60]} is not {right[:60]}")


def inequality(record: Mapping[str, Any], context: Context) -> Decision:
    """A relation between two expressions at every point of the domain.

    Shown by coefficients of one sign, or by ``terms``: pairs (multiplier >= 0, base) with right - left = Σ multiplier ·
    base² (left - right for > and >=). Refuted by a ``point`` of the domain, which may leave symbols free.
    """
    left, right, relation = record["left"], record["right"], record["relation"]
    if relation not in _SHOWN:
        raise MalformedError(f"the relation {relation!r} is none of {', '.join(_SHOWN)}")
    if "point" in record:
        return _counterexample(record, context, relation)
    gap = f"({right}) - ({left})"
    if "terms" in record:
        return _by_squares(record, context, gap, relation)
    found = context.ask(record, [gap]).sign(gap)
    if found in _SHOWN[relation]:
        return HOLDS
    return undecided(f"the coefficients of {gap[:60]} do not decide under the hypotheses")


def _by_squares(record: Mapping[str, Any], context: Context, gap: str, relation: str) -> Decision:
    """The difference as a sum of nonnegative multipliers times squares."""
    if relation not in ("<=", ">="):
        raise MalformedError("a sum of squares shows <= or >= only")
    terms = record["terms"]
    total = " + ".join(f"({multiplier})*({base})**2" for multiplier, base in terms) or "0"
    whole = gap if relation == "<=" else f"-({gap})"
    question = context.ask(record, [whole, total])
    if not (question.read(whole) - question.read(total)).is_zero():
        return undecided("the squares do not sum to the difference")
    for multiplier, _ in terms:
        if question.sign(multiplier) not in ("+", ">=0", "0"):
            return undecided(f"the multiplier {multiplier[:60]} is not shown to be nonnegative")
    return HOLDS


def _counterexample(record: Mapping[str, Any], context: Context, relation: str) -> Decision:
    """The relation is false where the point's symbols take its values, whatever the others are."""
    point = record["point"]
    if not isinstance(point, Mapping) or not all(isinstance(value, str) for value in point.values()):
        raise MalformedError("a point gives an expression for each of its symbols")
    left, right = record["left"], record["right"]
    every = [*context.given, *atoms(record.get("where", []))]
    touched = [atom for atom in every if atom.names & set(point)]
    texts = [left, right, *point.values(), *(side for atom in touched for side in (atom.small, atom.large))]
    free = names_in(texts) - set(point)
    domain = Domain([atom for atom in every if not atom.names & set(point)], free | names_in(list(point.values())))
    table = {**domain.table, **{name: domain.read(value) for name, value in point.items()}}

    def gap(small: str, large: str) -> str:
        return domain.sign(domain.ring.read(large, table) - domain.ring.read(small, table))

    for atom in touched:
        if gap(atom.small, atom.large) not in (("+",) if atom.strict else ("+", ">=0", "0")):
            return undecided(f"the point does not satisfy the hypothesis {atom}")
    context.used.update(atom for atom in context.given if atom in touched or atom.names & free)
    found = gap(left, right)
    refuted = found in _AGAINST[relation]
    return fails("the point refutes it") if refuted else undecided("the point does not refute it")


def value(record: Mapping[str, Any], context: Context) -> Decision:
    """A relation between two expressions at one rational point: decided either way."""
    relation = record["relation"]
    if relation not in _COMPARE:
        raise MalformedError(f"the relation {relation!r} is none of {', '.join(_COMPARE)}")
    point = fractions(record["point"])
    if broken := context.admits(point):
        return undecided(f"the point does not satisfy the hypothesis {broken}")
    domain = Domain([], set(point))
    table = {name: domain.ring.constant(number) for name, number in point.items()}
    left, right = (domain.ring.read(record[side], table).value() for side in ("left", "right"))
    return HOLDS if _COMPARE[relation](left, right) else fails(f"{left} {relation} {right} is false")


def open_question(record: Mapping[str, Any], context: Context) -> Decision:
    """A part of the claim for which there is neither a proof nor a counterexample."""
    return undecided(str(record["says"]))
