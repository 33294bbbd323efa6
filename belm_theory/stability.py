"""Zero-stability in both directions.

With every slope zero the relation is X_{i-1} = Σ_j a_{i,j} X_{i-1+j}; its companion matrices R_i act on the last
k states. A method is zero-stable on a family of grids if the products R_m … R_n stay bounded over all starts and ends.

- Nonnegative weights: if every a_j >= 0 (they sum to 1), each R_i is row-stochastic, so every product has maximum
  norm 1 and K = 1, on the very grids where the inequality holds, constant weights or not.
- Constant weights: products are powers, and the classical root condition on rho(z) = z^k - Σ a_j z^{k-j} decides:
  by exact root counts, or with parameters by Schur–Cohn minors in their open range and again at its end.
- Weights that depend on the lengths of the steps: where the absolute values of a step's weights sum to 1 + e with e
  linear in the steps, a product is at most Π(1 + e) <= exp(Σ e), which the length of the grid bounds.
- Two steps: with d_i = X_i - X_{i+1} one has d_{i-1} = -g_i d_i, g = a_2, so the products of g and their alternating
  partial sums decide (`belm_theory.two_step`). For O-BELM g_i = (h_i/h_{i+1})² and the products telescope to
  (h_m/h_{n+1})². Bounded products alone are not enough: on steps 1, 2, 1, 2, … they are bounded and the alternating
  sums grow linearly.

Inversion is the same question for the inverse relation; the root condition is on the reciprocal polynomial.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from typing import Literal

import sympy as sp

from belm_theory.inverse import inverse, invertible
from belm_theory.method import Method, Relation, TwoRegister
from belm_theory.roots import Z, count_roots
from belm_theory.schur import inside
from belm_theory.sign import sign
from belm_theory.verdict import Verdict, proved, refuted, undecided

Direction = Literal["sampling", "inversion"]


def homogeneous_weights(relation: Relation, direction: Direction) -> tuple[sp.Expr, ...]:
    """The weights of the states, newest first: a for sampling, those of the inverse relation for inversion."""
    if direction == "sampling":
        return relation.a
    c = inverse(relation).c
    return (*reversed(c[1:]), c[0])


def characteristic(relation: Relation, direction: Direction = "sampling") -> sp.Poly:
    """rho(z) = z^k - Σ_j a_j z^{k-j} for constant weights; the inverse relation's for inversion."""
    weights = homogeneous_weights(relation, direction)
    return sp.Poly(Z**relation.k - sum(c * Z ** (relation.k - j) for j, c in enumerate(weights, 1)), Z)


def zero_stable(method: Method, direction: Direction = "sampling") -> Verdict:
    """Whether the method is zero-stable, in the given direction, by what holds for all grids at once.

    Returns:
        proved: on every grid, with K at most a function of its length where the witness says so; refuted: on no grid
        with uniform steps, or not invertible; undecided: it depends on a parameter, or on the grid, with the condition
        under which K = 1 (the derivations decide for families of grids).
    """
    if isinstance(method, TwoRegister):
        return _two_register(method, direction)
    if direction == "inversion" and (back := invertible(method)).outcome != "proved":
        return refuted("not invertible") if back.outcome == "refuted" else back
    weights = homogeneous_weights(method, direction)
    if all(_is_nonnegative(w, method.parameters) for w in weights):
        return proved("weights >= 0 with sum 1: K = 1")
    if method.has_constant_weights:
        return _root_condition(weights, method.parameters)
    if (excess := _linear_excess(weights, method)) is not None:
        return proved(f"the absolute values of a step's weights sum to 1 + {excess}: K <= exp(its sum over the grid)")
    uniform = method.at(**{s.name: sp.Integer(1) for s in (*method.h, *method.w)})
    if not uniform.parameters:
        count = count_roots(characteristic(uniform, direction))
        if not count.satisfies_root_condition:
            return refuted(f"on uniform steps rho has {count.outside} roots outside the unit circle")
    conditions = [sp.factor(w) for w in weights if not _is_nonnegative(w, method.parameters)]
    text = " and ".join(f"{c} >= 0" for c in conditions)
    return undecided(f"depends on the grid; K = 1 where {text}")


def _linear_excess(weights: tuple[sp.Expr, ...], method: Relation) -> sp.Expr | None:
    """Σ|weights| - 1 if it is linear in the steps, so that its sum over a grid is at most a multiple of the length."""
    signs = [sign(weight, method.parameters) for weight in weights]
    if method.w or None in signs:
        return None
    excess = sp.factor(sp.Add(*(s * weight for s, weight in zip(signs, weights, strict=True))) - 1)
    numerator, denominator = sp.fraction(excess)
    if denominator.free_symbols or not sp.Poly(numerator, *method.h).is_homogeneous:
        return None
    return excess if sp.Poly(numerator, *method.h).total_degree() == 1 else None


def _is_nonnegative(weight: sp.Expr, parameters: tuple[sp.Symbol, ...]) -> bool:
    decided = sign(weight, parameters)
    return decided is not None and decided >= 0


def _root_condition(weights: tuple[sp.Expr, ...], parameters: tuple[sp.Symbol, ...]) -> Verdict:
    """Dahlquist's condition on rho = (z - 1)·q for constant weights, for all values of the parameters.

    Where a parameter in (0, 1] is below 1 the roots of q have to lie inside; where it is 1 they may lie on the circle,
    so that end is decided on its own. The products of roots (Vieta) refute first, for they give the simpler witness.
    """
    rho = [sp.Integer(1), *(-weight for weight in weights)]
    if not parameters:
        count = count_roots(sp.Poly(rho, Z))
        where = f"roots of rho: {count.inside} inside, {count.on} on, {count.outside} outside the unit circle"
        return proved(where) if count.satisfies_root_condition else refuted(where)
    last = weights[-1]
    if 1 in (sign(last - 1, parameters), sign(-last - 1, parameters)):
        return refuted(f"the product of the roots of rho has modulus {last} > 1 inside the parameter range")
    below = inside(sp.Poly(list(accumulate(rho[:-1])), Z), parameters)
    if below.outcome == "refuted":
        return below
    for parameter in (p for p in parameters if p.is_positive):
        rest = tuple(p for p in parameters if p != parameter)
        end = _root_condition(tuple(weight.subs(parameter, 1) for weight in weights), rest)
        if end.outcome == "refuted":
            return refuted(f"at {parameter} = 1: {end.witness}")
        if end.outcome == "undecided":
            return end
    return below


def _two_register(method: TwoRegister, direction: Direction) -> Verdict:
    """The mixing matrix of EDICT: eigenvalues 1 and (modulus below 1) or its inverse."""
    matrix = method.mixing if direction == "sampling" else method.mixing.inv()
    values = [sp.factor(v) for v in matrix.eigenvals(multiple=True)]
    rest = [v for v in values if v != 1]
    if all(sign(1 - v, method.parameters) in (0, 1) and sign(v, method.parameters) == 1 for v in rest):
        return proved(f"eigenvalues of the mixing matrix: {values}")
    return refuted(f"eigenvalues of the mixing matrix: {values}")


def companion(a: tuple[Fraction, ...]) -> list[list[Fraction]]:
    """The companion matrix of one step on (X_i, …, X_{i+k-1}), from exact weights."""
    k = len(a)
    return [list(a)] + [[Fraction(int(row == column)) for column in range(k)] for row in range(k - 1)]
