"""Records about orders: on every grid, on smooth grids, on uniform ones; of relations and of two-register schemes.

E_m is the residual of a relation on the power s^m, nodes measured from s_0 = 0:

    E_m = 0^m - Σ_j a_j s_j^m - Σ_j b_j h_j m s_j^(m-1).

Its order on every grid is the largest p with E_0 = … = E_p = 0, and E_{p+1}/(p+1)! is the leading local error. On
smooth grids s_i = S(i·eta) the E_m become series in eta; E_m starts at eta^m or later, and the order is the smallest
exponent less one. The same conditions tell whether the weights are the only ones of their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import count
from math import factorial
from typing import Any

from flint import fmpq_mpoly

from belm_theory.checker.domain import Atom, Domain
from belm_theory.checker.rational import MalformedError, Ratio, Ring, names_in
from belm_theory.checker.record import HOLDS, Context, Decision, Relation, fails, undecided

#: Derivatives of S (and of the weights) that are kept on smooth grids: exponents up to m + _TERMS - 1 are resolved.
_TERMS = 4
#: The expansion point, the slope there, and its derivatives.
_UNKNOWNS = ("X0", "f0", "f_x", "f_xx", "f_s")


def residuals(relation: Relation, ring: Ring, table: Mapping[str, Ratio], powers: Iterable[int]) -> list[Ratio]:
    """E_m of a relation for some m, its symbols standing for functions of a ring."""
    steps, a, b = ([ring.read(t, table) for t in texts] for texts in (relation.steps, relation.a, relation.b))
    nodes, total = [], ring.constant(0)
    for step in steps:
        total = total + step
        nodes.append(total)
    found = []
    for m in powers:
        error = ring.constant(int(m == 0))
        for weight, s in zip(a, nodes, strict=True):
            error = error - weight * s**m
        if m:
            for weight, step, s in zip(b, steps, nodes, strict=False):
                error = error - weight * step * ring.constant(m) * s ** (m - 1)
        found.append(error)
    return found


def _symbols(relation: Relation) -> list[str]:
    return [*relation.steps, *relation.weights, *sorted(relation.parameters)]


@lru_cache(maxsize=1024)
def _error(relation: Relation, m: int) -> Ratio:
    """E_m in the relation's own symbols, in lowest terms; computed once, for several records ask for it."""
    ring = Ring(len(_symbols(relation)))
    (error,) = residuals(relation, ring, dict(zip(_symbols(relation), ring.variables, strict=False)), [m])
    shared = error.top.gcd(error.bottom)
    return Ratio(error.top / shared, error.bottom / shared)


def pinned(relation: Relation, context: Context) -> str | None:
    """What is wrong with a relation of the certificate; None if it has the order it states."""
    question = context.ask_about(relation, {})
    for text in relation.texts:
        question.read(text)
    wrong = next((m for m in range(relation.order + 1) if not _error(relation, m).is_zero()), None)
    return None if wrong is None else f"E_{wrong} does not vanish, so the order is below {relation.order}"


def order(record: Mapping[str, Any], context: Context) -> Decision:
    """The exact order of a relation, on every grid (with its leading local error), on smooth or on uniform ones.

    Refuted by the ``actual`` order, or by the ``excess`` of the stated leading error over the actual one.
    """
    relation, claimed, grid = context.relation(record), record["order"], record["grid"]
    if not isinstance(claimed, int) or isinstance(claimed, bool) or claimed < 0:
        raise MalformedError(f"the order is {claimed!r}; it must be a whole number >= 0")
    if grid not in _GRIDS:
        raise MalformedError(f"the grid is {grid!r}; it must be 'every', 'smooth' or 'uniform'")
    found = _GRIDS[grid](relation)
    if found != record.get("actual", claimed):
        return undecided(f"the order is {found}, not {record.get('actual', claimed)}")
    if found != claimed:
        return fails(f"the order is {found}, not {claimed}")
    return _leading(relation, claimed, record["leading"], record.get("excess", "0")) if grid == "every" else HOLDS


def _on_every(relation: Relation) -> int:
    return _first(not _error(relation, m).is_zero() for m in count()) - 1


def _on_uniform(relation: Relation) -> int:
    ring = Ring(len(relation.parameters))
    table = dict(zip(sorted(relation.parameters), ring.variables, strict=False))
    table |= {name: ring.constant(1) for name in (*relation.steps, *relation.weights)}
    return _first(not residuals(relation, ring, table, [m])[0].is_zero() for m in count()) - 1


def _first(answers: Iterable[bool]) -> int:
    return next(m for m, answer in enumerate(answers) if answer)


def _leading(relation: Relation, order: int, leading: str, excess: str) -> Decision:
    """The leading local error is as stated; refuted by the stated one's excess over it."""
    ring = Ring(len(_symbols(relation)))
    table = dict(zip(_symbols(relation), ring.variables, strict=False))
    stated, beyond = (ring.read(text, table) for text in (leading, excess))
    actual = _error(relation, order + 1) / ring.constant(factorial(order + 1))
    if not (stated - actual - beyond).is_zero():
        return undecided(f"the leading local error is not {leading[:60]} less {excess[:60]}")
    return HOLDS if beyond.is_zero() else fails(f"the leading local error is not {leading[:60]}")


def _on_smooth(relation: Relation) -> int:
    """Substitute h_j = Σ_d S_d (j^d - (j-1)^d)/d! eta^d and w_j = Σ_d W_d j^d/d! eta^d."""
    parameters = sorted(relation.parameters)
    ring = Ring(1 + 2 * _TERMS + len(parameters))
    eta, *rest = ring.variables
    S, W, free = rest[:_TERMS], rest[_TERMS : 2 * _TERMS], rest[2 * _TERMS :]

    def series(coefficients: Sequence[Ratio], powers: Sequence[int], first: int) -> fmpq_mpoly:
        total = ring.constant(0)
        for d, (c, p) in enumerate(zip(coefficients, powers, strict=True), first):
            total = total + c * ring.constant(Fraction(p, factorial(d))) * eta**d
        return total.top

    k = len(relation.steps)
    images = [series(S, [j**d - (j - 1) ** d for d in range(1, _TERMS + 1)], 1) for j in range(1, k + 1)]
    images += [series(W, [j**d for d in range(_TERMS)], 0) for j in range(len(relation.weights))]
    images += [symbol.top for symbol in free]
    best, m = _on_every(relation) + _TERMS + 1, 0
    while m < best:
        error = _error(relation, m)
        if not error.is_zero():
            top, bottom = (part.compose(*images) for part in (error.top, error.bottom))
            exponent = _lowest(top) - _lowest(bottom) if top != 0 else m + _TERMS
            if exponent >= m + _TERMS:
                raise MalformedError(f"E_{m} vanishes beyond the {_TERMS} derivatives that are kept")
            best = min(best, exponent)
        m += 1
    return best - 1


_GRIDS: dict[str, Callable[[Relation], int]] = {"every": _on_every, "smooth": _on_smooth, "uniform": _on_uniform}


def _lowest(polynomial: fmpq_mpoly) -> int:
    """The lowest power of the first variable."""
    return min(exponents[0] for exponents in polynomial.monoms())


def unique(record: Mapping[str, Any], context: Context) -> Decision:
    """At most one k-step relation has the order, on every grid: of all weights, or of all b that belong to given a.

    E_0 = … = E_p = 0 says P(s_0) = Σ a_j P(s_j) + Σ (b_j h_j) P'(s_j) for every polynomial P of degree <= p. Let P_m
    vanish on the first m of the data P(s_1), P'(s_1), P(s_2), … (a given: on P'(s_1), P'(s_2), …): these conditions are
    triangular in the unknown weights, which are unique because the diagonal does not vanish for positive steps.
    """
    k, p, unknown = record["steps"], record["order"], record["unknown"]
    if not isinstance(k, int) or not isinstance(p, int) or not 2 <= k <= 12 or unknown not in (["a", "b"], ["b"]):
        raise MalformedError("unique needs 2 … 12 steps, an order, and the unknown weights ['a', 'b'] or ['b']")
    names = [f"h{j}" for j in range(1, k + 1)]
    domain = Domain([Atom("0", name, True) for name in names], set(names))
    nodes = [domain.read(" + ".join(names[:j])) for j in range(1, k + 1)]
    data = [(node, slope) for node in nodes[:-1] for slope in (False, True)] + [(nodes[-1], False)]
    if unknown == ["b"]:  # P' is any polynomial of degree <= p - 1, and its values are the data
        data, p = [(node, False) for node in nodes[:-1]], p - 1
    if p + 1 < len(data):
        return undecided(f"{len(data)} unknown weights have {p + 1} conditions")
    one = domain.ring.constant(1)
    for m in range(len(data)):
        values = [_newton(node, [zero for zero, _ in data[:m]], slope, one) for node, slope in data]
        if any(not value.is_zero() for value in values[:m]) or domain.sign(values[m]) not in ("+", "-"):
            return undecided(f"condition {m} does not determine the next weight")
    return HOLDS


def _newton(s: Ratio, zeros: Sequence[Ratio], slope: bool, one: Ratio) -> Ratio:
    """Π (s - zero), or its derivative."""
    value, derivative = one, one - one
    for zero in zeros:
        derivative = derivative * (s - zero) + value
        value = value * (s - zero)
    return derivative if slope else value


def stages(record: Mapping[str, Any], context: Context) -> Decision:
    """The order of a two-register scheme started from x = y, and its parasitic factor.

    Each register is expanded in the step h for f = f0 + f_x·(X - X0) + f_xx·(X - X0)²/2 at node i. The exact solution
    is X0 - h f0 + h² (f_s + f_x f0)/2; no stage sees f_s. With every slope zero x - y is multiplied by ``factor``.
    Refuted by the ``actual`` order and factor, which must be what they are.
    """
    step, factor = record["step"], record["factor"]
    refuting = {"order": record["order"], "factor": factor, **record.get("actual", {})}
    scheme = [(stage["target"], stage["terms"]) for stage in record["stages"]]
    texts = [*(text for _, terms in scheme for _, text in terms), factor, refuting["factor"]]
    question = context.ask(record, texts)
    for text in texts:
        question.read(text)
    names = [step, *_UNKNOWNS, *sorted(names_in(texts) - {step})]
    if len(set(names)) < len(names):
        raise MalformedError(f"{', '.join(_UNKNOWNS)} are the checker's own symbols")
    ring = Ring(len(names))
    table = dict(zip(names, ring.variables, strict=True))
    h, start, f0, f_x, f_xx, f_s = ring.variables[: len(_UNKNOWNS) + 1]
    half, zero, one = (ring.constant(c) for c in (Fraction(1, 2), 0, 1))
    weighted = [(target, [(operand, ring.read(text, table)) for operand, text in terms]) for target, terms in scheme]

    def slope(x: Ratio) -> Ratio:
        return f0 + f_x * (x - start) + f_xx * (x - start) ** 2 * half

    made = _run(weighted, start, start, slope)
    exact = start - h * f0 + h**2 * (f_s + f_x * f0) * half
    found = min(_lowest((register - exact).top) for register in made) - 1
    # The mixing matrix keeps (1, 1), so its other eigenvalue is its trace less one.
    left, right = _run(weighted, one, zero, lambda _: zero), _run(weighted, zero, one, lambda _: zero)
    if not all((x + y - one).is_zero() for x, y in zip(left, right, strict=True)):
        return undecided("a stage does not keep x = y when every slope is zero")
    claimed, actual = (ring.read(text, table) for text in (factor, refuting["factor"]))
    if found != refuting["order"] or not (left[0] + right[1] - one - actual).is_zero():
        return undecided(f"the order is {found}, not {refuting['order']}, or the factor is not {refuting['factor']}")
    if found != record["order"]:
        return fails(f"the order is {found}")
    return HOLDS if (claimed - actual).is_zero() else fails(f"x - y is not multiplied by {factor}")


def _run(scheme: Any, x: Ratio, y: Ratio, slope: Callable[[Ratio], Ratio]) -> tuple[Ratio, Ratio]:
    """The registers after all stages."""
    registers = {"x": x, "y": y}
    for target, terms in scheme:
        total = x - x
        for operand, c in terms:
            inner = operand.removeprefix("f(").removesuffix(")")
            if inner not in registers:
                raise MalformedError(f"the operand {operand!r} is not known yet")
            total = total + c * (slope(registers[inner]) if operand != inner else registers[inner])
        registers[target] = total
    return registers["x"], registers["y"]
