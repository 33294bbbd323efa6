"""Claims and certificates: what is stated, how it was decided, and the exact data that shows it.

A page in derivations/ declares one claim, derives its verdict, and returns a `Certificate`. Its **goals** are the claim
in formal terms; its **steps** are what the argument rests on. Both are records in exact data (strings of rationals and
rational functions), each a small theorem that `belm_theory.checker`, which shares no code with this package, decides
again. The verdict has to follow from the goals: refuted if one fails, proved if all hold, undecided otherwise.

    identity      two rational functions are equal where the hypotheses hold
    inequality    a relation between two rational functions where the hypotheses hold; or a point that refutes it
    value         a relation between two expressions at a rational point
    order         a relation's exact order on every, on smooth or on uniform grids, and its leading local error
    unique        no other weights have a relation's order (of all, or of those with the same a)
    stages        the order of a two-register scheme, and the factor of its parasitic mode
    roots         how many roots of a rational polynomial lie inside, on and outside the unit circle
    schur         all roots of a polynomial with parameters lie inside the unit circle where the hypotheses hold
    stable        products of companion matrices stay bounded on all grids of the hypotheses; or a grid that refutes it
    barrier       no zero-stable relation of k steps has this order on uniform grids (or neutral ones only)
    convex        the steps of a schedule's grid grow towards the noise, and the nodes at which they do not
    level         the alpha of one timestep of a schedule against an exact number
    open          a part of the claim that is neither proved nor refuted

Hypotheses are chains of comparisons such as ``0 < h1 <= h2``; the checker reads them, and a certificate whose
hypotheses are not all needed is false. Steps h and frame weights w of a relation are positive by the notation.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sympy as sp

from belm_theory.method import Relation, TwoRegister
from belm_theory.order import local_error, order, order_smooth, order_uniform
from belm_theory.verdict import Verdict

FORMAT = "belm-certificate-2"
Record = dict[str, Any]
_ORDERS: dict[str, Callable[[Relation], int]] = {"every": order, "smooth": order_smooth, "uniform": order_uniform}


@dataclass(frozen=True)
class Claim:
    """A statement that a derivation decides; declared in its page and nowhere else.

    Attributes:
        id: short name, as in ``belm verify ID``.
        statement: what is claimed, in the notation of docs/notation.md.
        hypotheses: what is assumed, as chains of comparisons between expressions in the symbols of the goals.
        source: paper and equation, or ``this project``.
        method: the catalogue method it is about, or None.
        granted: in words, what the argument takes from textbooks and the checker does not verify.
    """

    id: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    method: str | None = None
    granted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """A decided claim with the evidence for its verdict.

    Attributes:
        claim: what was decided.
        verdict: how.
        goals: the claim in formal terms.
        steps: what the argument rests on beside the goals; all of it holds.
        relations: those that goals and steps name; the checker verifies their order.
    """

    claim: Claim
    verdict: Verdict
    goals: tuple[Record, ...]
    steps: tuple[Record, ...] = ()
    relations: tuple[Relation, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The certificate as JSON-able exact data."""
        verdict = {"verdict": self.verdict.outcome, "witness": self.verdict.witness}
        claim = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self.claim).items()}
        relations = {relation.name: _as_data(relation) for relation in self.relations}
        evidence = {"relations": relations, "goals": deepcopy([*self.goals]), "steps": deepcopy([*self.steps])}
        return {"format": FORMAT, **claim, **verdict, **evidence}

    def write(self, folder: Path) -> Path:
        """Write ``ID.json`` into a folder, under a temporary name first."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.claim.id}.json"
        temporary = path.with_suffix(".json.tmp")
        temporary.write_text(json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)
        return path


def _as_data(relation: Relation) -> Record:
    names = {"steps": relation.h, "weights": relation.w, "a": relation.a, "b": relation.b}
    return {**{key: [str(value) for value in values] for key, values in names.items()}, "order": int(order(relation))}


def identity(says: str, left: Any, right: Any, *, where: Sequence[str] = ()) -> Record:
    """Two rational functions are equal at every point of the domain; or their difference, which refutes it.

    Args:
        says: in words, what is shown (for every record).
        left: an expression or number.
        right: an expression or number.
        where: hypotheses of this record alone, beside those of the claim.

    Raises:
        ValueError: the same text twice, which SymPy can make of a claim that it simplifies; give it as a string.
    """
    if str(left) == str(right):
        raise ValueError(f"{says!r} compares {left} with itself: write the side down before it is simplified")
    return _record("identity", says, where, left=str(left), right=str(right), **_difference("difference", left, right))


def inequality(
    says: str, left: Any, relation: str, right: Any, *, where: Sequence[str] = (),
    point: Mapping[str, Any] | None = None, terms: Iterable[tuple[Any, Any]] | None = None,
) -> Record:  # fmt: skip
    """A relation (``<``, ``<=``, ``>=``, ``>``, ``!=``) between two expressions at every point of the domain.

    Args:
        says: in words.
        left: an expression.
        relation: the relation.
        right: an expression.
        where: hypotheses of this record alone.
        point: a counterexample: values of some symbols, which may be expressions in the others.
        terms: for <= and >=, pairs (multiplier >= 0, base) with |right - left| = Σ multiplier·base², where the
            coefficients alone do not decide.
    """
    extra: Record = {}
    if point is not None:
        extra["point"] = {str(name): str(value) for name, value in point.items()}
    if terms is not None:
        extra["terms"] = [[str(multiplier), str(base)] for multiplier, base in terms]
    return _record("inequality", says, where, left=str(left), relation=relation, right=str(right), **extra)


def value(says: str, point: Mapping[Any, Any], left: Any, relation: str, right: Any) -> Record:
    """A relation (also ``==``, ``!=``) at one rational point."""
    values = {str(name): str(number) for name, number in point.items()}
    return _record("value", says, (), point=values, left=str(left), relation=relation, right=str(right))


def orders(says: str, relation: Relation, claimed: int | None = None, *, grid: str = "every",
           leading: Any = None) -> Record:  # fmt: skip
    """The exact order of a relation.

    Args:
        says: in words.
        relation: it must be among the certificate's relations.
        claimed: the order; default the one computed on every grid.
        grid: ``every``, ``smooth`` or ``uniform``.
        leading: on every grid, the claimed coefficient of X^(order + 1); default the computed one.

    Where the claimed order is wrong the actual one goes beside it, to refute it.
    """
    found = _ORDERS[grid](relation)
    stated = found if claimed is None else claimed
    extra: Record = {} if stated == found else {"actual": int(found)}
    if grid == "every":
        # A wrong order fails before its leading error is looked at, and that of a wrong relation is costly.
        actual = local_error(relation).coefficient if stated == found else sp.Integer(0)
        extra["leading"] = str(actual if leading is None else leading)
        extra |= {} if leading is None else _difference("excess", leading, actual)
    return _record("order", says, (), relation=relation.name, grid=grid, order=int(stated), **extra)


def unique(says: str, steps: int, claimed: int, unknown: str = "ab") -> Record:
    """At most one relation of so many steps has the order on every grid.

    Args:
        says: in words.
        steps: k.
        claimed: the order.
        unknown: ``ab``, or ``b`` where the weights of the states are given.
    """
    return _record("unique", says, (), steps=steps, order=claimed, unknown=list(unknown))


def stages(says: str, scheme: TwoRegister, claimed: int, factor: Any) -> Record:
    """The order of a two-register scheme, and the factor by which x - y is multiplied when every slope is zero.

    Where the claimed ones are wrong the actual ones go beside them, to refute them.
    """
    listed = [{"target": s.target, "terms": [[operand, str(c)] for operand, c in s.terms]} for s in scheme.stages]
    found, kept = order(scheme), sp.expand(scheme.mixing.trace() - 1)
    actual: Record = {} if found == claimed else {"order": int(found)}
    actual |= {"factor": str(kept)} if _difference("factor", factor, kept) else {}
    extra = {"actual": actual} if actual else {}
    return _record("stages", says, (), stages=listed, step=str(scheme.h[0]), order=claimed, factor=str(factor), **extra)


def roots(says: str, coefficients: Sequence[Any], inside: int, on: int, outside: int, simple_on: bool) -> Record:
    """The position of the roots of Σ c_m z^(n-m), c given from the highest power."""
    return _record(
        "roots", says, (), coefficients=[str(c) for c in coefficients],
        inside=int(inside), on=int(on), outside=int(outside), simple_on=simple_on,
    )  # fmt: skip


def schur(says: str, coefficients: Sequence[Any], *, where: Sequence[str] = ()) -> Record:
    """All roots of a polynomial with parameters lie strictly inside the unit circle."""
    return _record("schur", says, where, coefficients=[str(c) for c in coefficients])


def stable(
    says: str, relation: Relation, direction: str = "sampling", *, where: Sequence[str] = (),
    constant: int | None = None, grid: Sequence[Any] | None = None, ratio: Any = 1,
    values: Mapping[str, Any] | None = None,
) -> Record:  # fmt: skip
    """The products of companion matrices stay bounded on every grid of the domain.

    Args:
        says: in words.
        relation: it must be among the certificate's relations.
        direction: ``sampling`` or ``inversion``.
        where: hypotheses of this record alone.
        constant: 1 to claim that the products are bounded by K = 1 in the maximum norm.
        grid: a counterexample: the steps of one period, from the data.
        ratio: the factor from one period to the next.
        values: values of parameters and frame weights on that grid.
    """
    extra: Record = {} if constant is None else {"constant": str(constant)}
    if grid is not None:
        extra["grid"] = {"steps": [str(h) for h in grid], "ratio": str(ratio)}
        if values:
            extra["grid"]["values"] = {name: str(number) for name, number in values.items()}
    return _record("stable", says, where, relation=relation.name, direction=direction, **extra)


def barrier(says: str, steps: int, claimed: int, multipliers: Sequence[Any], positive: Mapping[int, Any],
            conclusion: str) -> Record:  # fmt: skip
    """No zero-stable relation of so many steps has the order on uniform grids (``none``), or ``neutral`` ones only.

    Args:
        says: in words.
        steps: k.
        claimed: the order p.
        multipliers: of E_0 … E_p.
        positive: C_m > 0 by m, with Σ multipliers·E = Σ C_m r_m identically (see `belm_theory.barriers`).
        conclusion: ``none`` or ``neutral``.
    """
    numbers = {str(m): str(c) for m, c in positive.items()}
    listed = [str(c) for c in multipliers]
    return _record(
        "barrier", says, (), steps=steps, order=claimed, multipliers=listed, positive=numbers, conclusion=conclusion
    )


def convex(says: str, schedule: Mapping[str, Any], timesteps: Sequence[int], fails_at: Sequence[int], *,
           exact: bool = False) -> Record:  # fmt: skip
    """h_i < h_{i+1} in sbar at every interior node of a grid; `fails_at` lists the nodes at which it is false.

    With `exact` it is claimed at every interior node but those listed, and its negation at these.
    """
    nodes = {"timesteps": list(timesteps), "fails_at": list(fails_at)}
    return _record("convex", says, (), schedule=dict(schedule), **nodes, **({"exact": True} if exact else {}))


def level(says: str, schedule: Mapping[str, Any], timestep: int, relation: str, right: Any) -> Record:
    """The alpha of one timestep of a schedule against an exact number (``<`` or ``>``)."""
    return _record("level", says, (), schedule=dict(schedule), timestep=timestep, relation=relation, right=str(right))


def unsettled(says: str) -> Record:
    """A part of the claim that is neither proved nor refuted."""
    return _record("open", says, ())


def _difference(name: str, left: Any, right: Any) -> Record:
    """What refutes an equality; nothing where it holds."""
    # Through text, so that equal names are equal symbols whatever is assumed of them.
    names = re.findall(r"[A-Za-z_]\w*", f"{left} {right}")
    symbols = {name: sp.Symbol(name) for name in names}
    difference = sp.cancel(sp.sympify(str(left), symbols) - sp.sympify(str(right), symbols))
    return {} if difference == 0 else {name: str(difference)}


def _record(kind: str, says: str, where: Sequence[str], **fields: Any) -> Record:
    return {"kind": kind, "says": says, **({"where": list(where)} if where else {}), **fields}
