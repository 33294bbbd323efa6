"""Records about roots: positions relative to the unit circle, zero-stability, and order barriers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb
from typing import Any

from flint import fmpq, fmpq_mat, fmpq_poly, fmpz_poly

from belm_theory.checker.domain import Domain
from belm_theory.checker.orders import residuals
from belm_theory.checker.rational import MalformedError, Ratio, Ring, names_in, number
from belm_theory.checker.record import HOLDS, Context, Decision, Question, Relation, fails, fractions, undecided


def roots(record: Mapping[str, Any], context: Context) -> Decision:
    """How many roots of a rational polynomial (coefficients from the highest power) lie inside, on and outside."""
    found = count([number(c) for c in record["coefficients"]])
    stated = tuple(record[key] for key in ("inside", "on", "outside", "simple_on"))
    if found is None:
        return undecided("a root was not separated from the unit circle")
    return HOLDS if found == stated else fails(f"inside, on, outside, simple = {found}, not {stated}")


def count(coefficients: Sequence[Fraction]) -> tuple[int, int, int, bool] | None:
    """Roots inside, on and outside the unit circle, and whether those on it are simple; None if not separated.

    Cyclotomic factors hold roots on the circle; the balls of all other factors' roots are compared with it.
    """
    if not any(coefficients):
        raise MalformedError("the zero polynomial has no isolated roots")
    polynomial = fmpq_poly([fmpq(c.numerator, c.denominator) for c in reversed(coefficients)]).numer()
    inside = on = outside = 0
    simple = True
    for factor, multiplicity in polynomial.factor()[1]:
        if factor.is_cyclotomic():
            on += factor.degree() * multiplicity
            simple &= multiplicity == 1
            continue
        isolated: Any = factor.complex_roots()
        sides = [_side(factor, root) for root, _ in isolated]
        if None in sides:
            return None
        inside += multiplicity * sides.count("inside")
        outside += multiplicity * sides.count("outside")
    return inside, on, outside, simple


def _side(factor: fmpz_poly, root: Any) -> str | None:
    modulus = abs(root)
    return "inside" if modulus < 1 else "outside" if modulus > 1 else None


def schur(record: Mapping[str, Any], context: Context) -> Decision:
    """All roots of a polynomial with parameters lie strictly inside the unit circle, at every point of the domain.

    Schur–Cohn: p(z) = c_0 z^n + … + c_n has all roots inside if |c_0| > |c_n| and the polynomial (c_0 p - c_n p*)/z of
    degree n - 1 has, p* the reciprocal of p.
    """
    texts = record["coefficients"]
    shown = context.ask(record, texts).shows(lambda domain: _is_schur(domain, texts))
    return HOLDS if shown else undecided("a Schur–Cohn condition is not shown under the hypotheses")


def _is_schur(domain: Domain, texts: Sequence[str]) -> bool:
    row = [domain.read(text) for text in texts]
    while len(row) > 1:
        first, last = row[0], row[-1]
        if domain.sign(first * first - last * last) != "+":
            return False
        row = [first * row[j] - last * row[-1 - j] for j in range(len(row) - 1)]
    return True


def stable(record: Mapping[str, Any], context: Context) -> Decision:
    """The products of a relation's companion matrices are bounded on all grids of the domain, in one direction.

    Shown by weights >= 0 (they sum to 1, so K = 1), or for constant weights by the root condition, unless the record
    claims the ``constant`` 1. Refuted by a ``grid`` of the domain, repeated with steps scaled by ``ratio`` each time:
    the powers of its product are unbounded.
    """
    relation, direction = context.relation(record), record["direction"]
    if direction not in ("sampling", "inversion"):
        raise MalformedError(f"the direction is {direction!r}; it must be 'sampling' or 'inversion'")
    weights = _weights(relation, direction)
    if record.get("constant", "1") != "1":
        raise MalformedError(f"the constant is {record['constant']!r}; only K = '1' can be claimed")
    if "grid" in record:
        return _on_grid(relation, weights, direction, record["grid"], context)
    question = context.ask_about(relation, record)
    excess = question.read(" + ".join(f"({text})" for text in weights)) - question.domain.ring.constant(1)
    if not excess.is_zero():
        return undecided("the weights do not sum to 1")
    if all(question.sign(text) in ("+", ">=0", "0") for text in weights):
        return HOLDS
    if names_in(weights) & {*relation.steps, *relation.weights}:
        return undecided("the weights depend on the grid and are not all shown to be nonnegative")
    if "constant" in record:
        return undecided("the weights are not all shown to be nonnegative, so K = 1 is not shown")
    return _constant(weights, question)


def _weights(relation: Relation, direction: str) -> list[str]:
    """Homogeneous weights, newest state first."""
    if direction == "sampling":
        return list(relation.a)
    *rest, last = relation.a
    return [f"-({a})/({last})" for a in reversed(rest)] + [f"1/({last})"]


def _constant(weights: Sequence[str], question: Question) -> Decision:
    """The root condition: 1 is a root of z^k - Σ c_j z^(k-j) = (z - 1)·q(z); those of q must lie inside."""
    if not names_in(weights):
        found = count([Fraction(1), *(-question.read(text).value() for text in weights)])
        if found is None:
            return undecided("a root was not separated from the unit circle")
        _, _, outside, simple = found
        where = f"{outside} roots outside the unit circle, simple on it: {simple}"
        return HOLDS if simple and not outside else fails(where)
    quotient = ["1"]
    for text in weights[:-1]:
        quotient.append(f"{quotient[-1]} - ({text})")
    shown = question.shows(lambda domain: _is_schur(domain, quotient))
    return HOLDS if shown else undecided("a Schur–Cohn condition is not shown under the hypotheses")


def _on_grid(
    relation: Relation, weights: Sequence[str], direction: str, grid: Mapping[str, Any], context: Context
) -> Decision:
    """Whether the product over one period has unbounded powers."""
    period, ratio = [number(h) for h in grid["steps"]], number(grid.get("ratio", "1"))
    others = fractions(grid.get("values", {}))
    if not period or min([*period, ratio]) <= 0:
        raise MalformedError("the steps of a grid and their ratio must be positive")
    if ratio != 1 and not _scale_invariant(relation, relation.steps, weights):
        return undecided("the weights change when all steps are scaled, so a growing grid is not periodic")
    if not _consistent(relation, others, weights):
        return undecided("the frame weights of one row do not fit those of the next")
    k, ring = len(relation.steps), Ring(0)
    product = fmpq_mat([[int(i == j) for j in range(k)] for i in range(k)])
    rows = range(len(period)) if direction == "inversion" else reversed(range(len(period)))
    for i in rows:
        steps = [period[(i + j) % len(period)] * ratio ** ((i + j) // len(period)) for j in range(k)]
        point = {**dict(zip(relation.steps, steps, strict=True)), **others}
        if broken := context.admits(point):
            return undecided(f"the grid does not satisfy the hypothesis {broken}")
        table = {name: ring.constant(value) for name, value in point.items()}
        first = [ring.read(text, table).value() for text in weights]
        if sum(first) != 1:
            return undecided("the weights of a step do not sum to 1")
        product = _companion(first) * product
    found = count([number(c) for c in reversed(product.minpoly().coeffs())])
    if found is None:
        return undecided("a root was not separated from the unit circle")
    _, _, outside, simple = found
    if outside or not simple:
        return fails(f"over one period {outside} eigenvalues lie outside the unit circle, simple on it: {simple}")
    return undecided("the powers of the product over one period are bounded")


def _companion(first: Sequence[Fraction]) -> fmpq_mat:
    k = len(first)
    rows = [[fmpq(c.numerator, c.denominator) for c in first]]
    return fmpq_mat(rows + [[fmpq(int(row == column)) for column in range(k)] for row in range(k - 1)])


def _consistent(relation: Relation, values: Mapping[str, Fraction], weights: Sequence[str]) -> bool:
    """Frame weights that are the same in every row must be equal, or geometric where their scale does not matter."""
    w = [values[name] for name in relation.weights if name in values]
    growth = {after / before for before, after in pairwise(w)}
    return growth <= {Fraction(1)} or (len(growth) == 1 and _scale_invariant(relation, relation.weights, weights))


def _scale_invariant(relation: Relation, scaled_names: Sequence[str], weights: Sequence[str]) -> bool:
    names = {*relation.steps, *relation.weights, *relation.parameters}
    factor = next(f"t{n}" for n in range(len(names) + 1) if f"t{n}" not in names)
    domain = Domain([], names | {factor})
    scaled = {name: domain.table[name] * domain.table[factor] for name in scaled_names}
    return all(
        (domain.ring.read(text, {**domain.table, **scaled}) - domain.ring.read(text, domain.table)).is_zero()
        for text in weights
    )


def barrier(record: Mapping[str, Any], context: Context) -> Decision:
    """No k-step BELM of the given order satisfies the root condition on uniform grids (or only neutral ones do).

    Let R(w) = Σ r_m w^m = (1 - w)^k rho((1 + w)/(1 - w)). If all roots of rho lie in the closed disc then those of R
    have real part <= 0, and all r_m have one sign; normalised, r_m >= 0, and r_1 > 0 because the root 1 is simple. The
    ``multipliers`` of the conditions E_0 … E_p combine to Σ C_m r_m with the ``positive`` numbers C_m > 0, identically
    in a and b. So these r_m vanish: impossible if 1 is among them. If they are all even m, R is odd, its roots come in
    pairs ±w, and all roots of rho lie on the circle: ``neutral``.
    """
    k, p, says = record["steps"], record["order"], record["conclusion"]
    if says not in ("none", "neutral") or not isinstance(k, int) or not isinstance(p, int) or not 2 <= k <= 12:
        raise MalformedError("a barrier has 2 … 12 steps, an order, and the conclusion 'none' or 'neutral'")
    multipliers = [number(c) for c in record["multipliers"]]
    positive = {int(m): number(c) for m, c in record["positive"].items()}
    if len(multipliers) != p + 1 or any(c <= 0 or not 1 <= m <= k for m, c in positive.items()):
        raise MalformedError("a barrier needs p + 1 multipliers and positive numbers C_m, 1 <= m <= k")
    a, b = [f"a{j}" for j in range(1, k + 1)], [f"b{j}" for j in range(1, k)]
    domain = Domain([], {*a, *b})
    ring, table = domain.ring, domain.table
    unit = Relation(("1",) * k, (), tuple(a), tuple(b), p)
    total = ring.constant(0)
    for c, error in zip(multipliers, residuals(unit, ring, table, range(p + 1)), strict=True):
        total = total + ring.constant(c) * error
    rho = [ring.constant(1)] + [ring.constant(0) - table[name] for name in a]
    for m, c in positive.items():
        total = total - ring.constant(c) * _cayley(rho, m, ring)
    if not total.is_zero():
        return undecided("the multipliers do not combine the order conditions to Σ C_m r_m")
    if says == "none":
        return HOLDS if 1 in positive else undecided("r_1 is not among the numbers that must vanish")
    even = set(range(2, k + 1, 2))
    return HOLDS if even <= set(positive) and k % 2 == 0 else undecided("R is not shown to be odd")


def _cayley(rho: Sequence[Ratio], m: int, ring: Ring) -> Ratio:
    """The coefficient of w^m in Σ_j rho_j (1 + w)^(k-j) (1 - w)^j."""
    k, total = len(rho) - 1, ring.constant(0)
    for j, c in enumerate(rho):
        power = sum(comb(k - j, m - n) * comb(j, n) * (-1) ** n for n in range(min(m, j) + 1))
        total = total + c * ring.constant(power)
    return total
