"""The derivation of a method as one page: text, LaTeX, or a record for machines.

The page shows, for the relation

    X_{i-1} = Σ_{j=1..k} a_j X_{i-1+j} + Σ_{j=1..k-1} b_j h_{i-1+j} f_{i-1+j},

its frame, the conditions that fix it, a and b on the variable grid, both orders, the leading local error, the inverse,
zero-stability both ways with its witness, and the source. Nothing is stated here: every line prints what `order`,
`inverse` and `stability` compute for the method at hand. In text h1, h2, … are h_i, h_{i+1}, …, and w0, w1, … are the
frame weights w_{i-1}, w_i, …; LaTeX writes the indices out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from belm_theory.catalogue import FAMILIES, Family
from belm_theory.frame import Frame, frame_name
from belm_theory.inverse import Inverse, inverse, invertible
from belm_theory.method import Method, Relation, Stage, TwoRegister
from belm_theory.order import LocalError, local_error, order, order_smooth, residual
from belm_theory.stability import Direction, characteristic, zero_stable
from belm_theory.verdict import Verdict

_WIDTH = 98
_DIRECTIONS: tuple[Direction, ...] = ("sampling", "inversion")


@dataclass(frozen=True)
class Derivation:
    """What the theory computes of one method, each fact once.

    Attributes:
        name: the method string, with the parameters that were given.
        given: those parameters, exact, as strings.
        family: the family it belongs to.
        method: the method; parameters that were not given are symbols in it.
        order: on every grid.
        order_smooth: on smooth grids.
        error: the leading local error; None for a two-register scheme.
        invertible: whether it runs backwards on every grid.
        inverse: the inverse relation; None if there is none, or for a two-register scheme.
        stability: verdicts by direction.
    """

    name: str
    given: Mapping[str, str]
    family: Family
    method: Method
    order: int
    order_smooth: int
    error: LocalError | None
    invertible: Verdict
    inverse: Inverse | None
    stability: Mapping[Direction, Verdict]


@dataclass(frozen=True)
class Line:
    """One line of a page, in both notations; prose has no LaTeX of its own."""

    text: str
    latex: str | None = None


Sections = dict[str, list[Line]]


def derive(family: str, **values: str) -> Derivation:
    """Compute everything the page of a method shows.

    Args:
        family: a key of `FAMILIES`.
        values: parameters as exact decimals or fractions; a real parameter left out stays a symbol.

    Raises:
        ValueError: for a value outside its range.
    """
    rule = FAMILIES[family]
    method = rule(**values)
    written = ",".join(f"{name}={value}" for name, value in values.items())
    relation = method if isinstance(method, Relation) else None
    return Derivation(
        f"{family}:{written}" if written else family, values, rule, method, order(method), order_smooth(method),
        local_error(relation) if relation else None,
        invertible(method),
        inverse(relation) if relation and relation.a[-1] != 0 else None,
        {direction: zero_stable(method, direction) for direction in _DIRECTIONS},
    )  # fmt: skip


def as_record(found: Derivation) -> dict[str, object]:
    """The page for machines: expressions as strings in Python's arithmetic, verdicts with their witness."""
    method, error = found.method, found.error
    record: dict[str, object] = {
        "method": found.name,
        "parameters": dict(found.given),
        "symbols": {p.name: _range(found.family, p.name) for p in method.parameters},
        "k": method.k,
        "frame": {"name": frame_name(method.frame), **_frame_formulas(method.frame)},
        "theorem": found.family.theorem,
        "order": found.order,
        "order_smooth": found.order_smooth,
        "invertible": _verdict(found.invertible),
        "stability": {direction: _verdict(verdict) for direction, verdict in found.stability.items()},
        "source": found.family.source,
    }
    if isinstance(method, TwoRegister):
        return record | {
            "stages": _stage_records(method.stages),
            "inverse": {"stages": _stage_records(_undone(method.stages))},
            "local_error": None,
        }
    assert error is not None
    back = found.inverse and {"c": _strings(found.inverse.c), "d": _strings(found.inverse.d)}
    return record | {
        "relation": _relation(method.k).text,
        "a": _strings(method.a),
        "b": _strings(method.b),
        "local_error": {"coefficient": str(error.coefficient), "derivative": error.derivative},
        "inverse": back,
    }


def as_text(found: Derivation) -> str:
    """The page as plain text, long formulas wrapped."""
    lines = [found.name, "=" * len(found.name)]
    for title, content in _sections(found).items():
        lines += ["", title]
        for line in content:
            lines += textwrap.wrap(
                line.text, _WIDTH, initial_indent="  ", subsequent_indent="      ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
    return "\n".join(lines) + "\n"


def as_latex(found: Derivation) -> str:
    """The page as a LaTeX fragment; it needs amsmath."""
    lines = [rf"\section*{{\texttt{{{_escaped(found.name)}}}}}"]
    for title, content in _sections(found).items():
        lines.append(rf"\paragraph{{{_escaped(title)}.}}")
        lines += [_escaped(line.text) + r"\\" if line.latex is None else rf"\[ {line.latex} \]" for line in content]
    return "\n".join(lines) + "\n"


def _sections(found: Derivation) -> Sections:
    method = found.method
    ranges = [Line(f"{p.name} {_range(found.family, p.name)}") for p in method.parameters]
    frame = [Line(f"{frame_name(method.frame)}: dX/ds = f")]
    frame += [_equation(name, name, value) for name, value in _frame_expressions(method.frame).items()]
    body = _stage_sections(method) if isinstance(method, TwoRegister) else _relation_sections(found, method)
    orders = [Line(f"{found.order} on every grid"), Line(f"{found.order_smooth} on smooth grids s_i = S(i/N), S' > 0")]
    stability = [Line(f"{way}: {verdict.outcome}; {verdict.witness}") for way, verdict in found.stability.items()]
    if isinstance(method, Relation) and method.has_constant_weights:
        ways = _DIRECTIONS if found.inverse else _DIRECTIONS[:1]
        stability += [_equation(f"rho({way})", rf"\rho_{{\text{{{way}}}}}(z)", _rho(method, way)) for way in ways]
    return {
        **({"Parameters": ranges} if ranges else {}),
        "Frame": frame,
        "Theorem": [Line(found.family.theorem)],
        **body,
        "Order": orders,
        "Zero-stability": stability,
        "Source": [Line(found.family.source)],
    }


def _relation_sections(found: Derivation, method: Relation) -> Sections:
    p, error = found.order, found.error
    assert error is not None
    zeros = " = ".join(f"E_{m}" for m in range(p + 1))
    conditions = [
        Line("E_m = X(s_{i-1}) - Σ a_j X(s_{i-1+j}) - Σ b_j h_{i-1+j} X'(s_{i-1+j}), X of degree m, leading coefficient 1"),
        Line(f"{zeros} = 0 for all steps", f"{zeros} = 0"),
        _equation(f"E_{p + 1}", f"E_{{{p + 1}}}", residual(method, p + 1)),
    ]
    names = [(f"h{j}", f"h_{{{_node(j)}}}") for j in range(1, method.k + 1)]
    legend = ", ".join(f"{short} = {long}" for short, long in names)
    derivatives = rf"X^{{({error.derivative})}} = f^{{({p})}}"
    leading = [_equation("tau", r"\tau", error.coefficient), Line(f"times X^({error.derivative}) = f^({p})", derivatives)]
    back = [Line(f"{found.invertible.outcome}; {found.invertible.witness}")]
    if found.inverse:
        back += [_inverse_relation(method.k), *_equations("c", 0, found.inverse.c), *_equations("d", 1, found.inverse.d)]
    return {
        "Relation": [_relation(method.k), Line(f"{legend}: h_i = s_i - s_{{i-1}}", "h_i = s_i - s_{i-1}")],
        "Conditions": conditions,
        "Weights": _equations("a", 1, method.a),
        "Slope weights": _equations("b", 1, method.b),
        "Leading local error": leading,
        "Inverse": back,
    }


def _stage_sections(method: TwoRegister) -> Sections:
    """Registers x, y stand for x/w, y/w; a prime marks their values at node i-1."""
    note = "x, y are x/w, y/w at node i, x', y' at node i-1; h1 = h_i = s_i - s_{i-1}; f is taken at node i"
    error = [Line("O(h1^2) in each register, started from x = y", r"O(h_i^2) \text{ in each register, from } x = y")]
    return {
        "Stages": [Line(note), *_stage_lines(_primed(method.stages))],
        "Leading local error": error,
        "Inverse": [Line("each stage undone, in reverse order"), *_stage_lines(_undone(_primed(method.stages)))],
    }


def _primed(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The same stages with x', y' for registers that stand at node i-1 already."""
    newest: dict[str, str] = {}
    out = []
    for stage in stages:
        terms = tuple((newest.get(operand, operand), c) for operand, c in stage.terms)
        if stage.target in ("x", "y"):
            newest[stage.target] = stage.target + "'"
        out.append(Stage(newest.get(stage.target, stage.target), terms))
    return tuple(out)


def _undone(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Each stage solved for the register it overwrites, its first operand, in reverse order."""
    back = []
    for stage in reversed(stages):
        (own, kept), *others = stage.terms
        rest = tuple((operand, sp.cancel(-c / kept)) for operand, c in others)
        back.append(Stage(own, ((stage.target, sp.cancel(1 / kept)), *rest)))
    return tuple(back)


def _stage_lines(stages: Iterable[Stage]) -> list[Line]:
    lines = []
    for stage in stages:
        text = " + ".join(f"({c})*{operand}" for operand, c in stage.terms)
        latex = " + ".join(rf"\left({_latex(c)}\right) {_operand(operand)}" for operand, c in stage.terms)
        lines.append(Line(f"{stage.target} = {text}", f"{_operand(stage.target)} = {latex}"))
    return lines


def _stage_records(stages: Iterable[Stage]) -> list[dict[str, object]]:
    return [
        {"target": s.target, "terms": [{"operand": operand, "coefficient": str(c)} for operand, c in s.terms]}
        for s in stages
    ]


def _operand(name: str) -> str:
    return name.replace("_inter", r"_{\text{inter}}")


def _relation(k: int) -> Line:
    return _sum("X_{i-1}", [(f"a_{j}", f"X_{{{_node(j)}}}") for j in range(1, k + 1)], "b", k)


def _inverse_relation(k: int) -> Line:
    return _sum(f"X_{{{_node(k)}}}", [(f"c_{j}", f"X_{{{_node(j)}}}") for j in range(k)], "d", k)


def _sum(left: str, states: list[tuple[str, str]], slope: str, k: int) -> Line:
    terms = [f"{weight} {state}" for weight, state in states]
    terms += [f"{slope}_{j} h_{{{_node(j)}}} f_{{{_node(j)}}}" for j in range(1, k)]
    formula = f"{left} = {' + '.join(terms)}"
    return Line(formula.replace("{i}", "i"), formula)


def _node(j: int) -> str:
    """The index i-1+j of a relation's node j."""
    return "i" if j == 1 else f"i{j - 1:+d}"


def _equations(name: str, first: int, values: Iterable[sp.Expr]) -> list[Line]:
    return [_equation(f"{name}_{j}", f"{name}_{{{j}}}", value) for j, value in enumerate(values, first)]


def _equation(text: str, latex: str, value: sp.Expr) -> Line:
    return Line(f"{text} = {value}", f"{latex} = {_latex(value)}")


def _latex(value: sp.Expr) -> str:
    """The expression with h1 written h_i and w0 written w_{i-1}."""
    indexed = {s: f"{s.name[0]}_{{{_node(int(s.name[1:]))}}}" for s in value.free_symbols if s.name[1:].isdigit()}
    return str(sp.latex(value, symbol_names=indexed))


def _frame_expressions(frame: Frame) -> dict[str, sp.Expr]:
    return {"w": frame.weight(), "s": frame.coordinate(), "X": sp.Symbol("x") / frame.weight(), "f": frame.slope()}


def _frame_formulas(frame: Frame) -> dict[str, str]:
    return {name: str(value) for name, value in _frame_expressions(frame).items()}


def _rho(method: Relation, direction: Direction) -> sp.Expr:
    return characteristic(method, direction).as_expr()


def _range(family: Family, name: str) -> str:
    parameter = next(p for p in family.parameters if p.name == name)
    return f"in {'(' if parameter.open_low else '['}{parameter.low}, {parameter.high}]"


def _strings(values: Iterable[sp.Expr]) -> list[str]:
    return [str(value) for value in values]


def _verdict(verdict: Verdict) -> dict[str, str]:
    return {"verdict": verdict.outcome, "witness": verdict.witness}


def _escaped(text: str) -> str:
    """Prose for LaTeX: the special characters of the notation, spelled out."""
    table = {"_": r"\_", "^": r"\^{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "#": r"\#", ">": r"$>$",
             "<": r"$<$", "Σ": r"$\sum$", "…": r"\dots{}"}  # fmt: skip
    return "".join(table.get(letter, letter) for letter in text)
