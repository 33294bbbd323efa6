"""The way back: the same relation, solved for its oldest state (paper, prop 2).

    X_{i-1+k} = (X_{i-1} - Σ_{j<k} a_j X_{i-1+j} - Σ_j b_j h_j f_j) / a_k,

which is explicit because no slope sits at either end, and exists wherever a_k != 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from belm_theory.method import Method, Relation, TwoRegister
from belm_theory.sign import is_positive
from belm_theory.verdict import Verdict, proved, refuted, undecided


@dataclass(frozen=True)
class Inverse:
    """The inverse relation X_{i-1+k} = Σ_{j=0..k-1} c_j X_{i-1+j} + Σ_{j=1..k-1} d_j h_j f_j."""

    c: tuple[sp.Expr, ...]
    d: tuple[sp.Expr, ...]


def invertible(method: Method) -> Verdict:
    """Whether the method can be run backwards on every grid, for all values of its parameters."""
    if isinstance(method, TwoRegister):
        return _stages_invertible(method)
    last = method.a[-1]
    if last == 0:
        return refuted("a_k = 0: the oldest state does not enter")
    if is_positive(last, method.parameters):
        return proved(f"a_k = {last} keeps one sign for positive steps")
    return undecided(f"the sign of a_k = {last} is not decided by its coefficients")


@cache
def inverse(relation: Relation) -> Inverse:
    """The inverse relation's coefficients.

    Raises:
        ValueError: if a_k = 0.
    """
    last = relation.a[-1]
    if last == 0:
        raise ValueError(f"{relation.name} has a_k = 0 and cannot be inverted")
    c = (1 / last, *(-a / last for a in relation.a[:-1]))
    return Inverse(c, tuple(-b / last for b in relation.b))


def _stages_invertible(method: TwoRegister) -> Verdict:
    """Each stage overwrites one register: it is undone if that register's old value has a nonzero coefficient."""
    newest = {"x": "x", "y": "y"}
    for stage in method.stages:
        register = stage.target[0]
        coefficient = dict(stage.terms)[newest[register]]
        if not is_positive(coefficient, method.parameters):
            return refuted(f"stage {stage.target} loses {newest[register]}: coefficient {coefficient}")
        newest[register] = stage.target
    return proved("every stage keeps its own register with a nonzero coefficient")
