"""The derivation of a method as one page, in text or LaTeX.

The page shows, for the relation

    X_{i-1} = Σ_{j=1..k} a_j X_{i-1+j} + Σ_{j=1..k-1} b_j h_{i-1+j} f_{i-1+j},

its frame, the conditions that fix it, a and b on the variable grid, both orders, the leading local error, the inverse,
zero-stability both ways with its witness, and the source. Text writes h1, h2, … for h_i, h_{i+1}, …, and w0, alpha0,
sigma0 for the frame weight and the levels at node i-1; LaTeX writes the indices out. The record for machines is
`derivation.as_record`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from belm_theory import exponential
from belm_theory.derivation import (
    DIRECTIONS,
    Derivation,
    error_in_x,
    exponential_inverse,
    frame_expressions,
    logarithm,
    parameter_range,
    undone,
)
from belm_theory.frame import frame_name
from belm_theory.method import Relation, Stage, TwoRegister
from belm_theory.order import LocalError, residual
from belm_theory.stability import characteristic
from belm_theory.xform import levels

_WIDTH = 98


@dataclass(frozen=True)
class Line:
    """One line of a page in both notations; prose has no LaTeX of its own."""

    text: str
    latex: str | None = None


Sections = dict[str, list[Line]]


def as_text(found: Derivation) -> str:
    """The page as plain text, long formulas wrapped at their operators."""
    lines = [found.name, "=" * len(found.name)]
    for title, content in sections(found).items():
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
    for title, content in sections(found).items():
        lines.append(rf"\paragraph{{{_escaped(title)}.}}")
        lines += [_escaped(line.text) + r"\par" if line.latex is None else rf"\[ {line.latex} \]" for line in content]
    return "\n".join(lines) + "\n"


def sections(found: Derivation) -> Sections:
    """The page as titled lists of lines."""
    method = found.method
    ranges = [Line(f"{p.name} in {parameter_range(found.family, p.name)}") for p in method.parameters]
    frame = [Line(f"{frame_name(method.frame)}: dX/ds = f" + "; its steps are negative" * method.frame.is_data)]
    frame += [_equation(name, name, value) for name, value in frame_expressions(method.frame).items()]
    if isinstance(method, TwoRegister):
        body = _of_stages(method)
    else:
        body = _of_exponential(found, method) if found.in_log_snr else _of_relation(found, method)
    orders = [Line(f"{found.order} on every grid"), Line(f"{found.order_smooth} on smooth grids s_i = S(i/N), S' > 0")]
    if found.in_log_snr:
        orders = [
            Line(f"{found.order} on every grid away from sigma = 0 (claim exponential-weights)"),
            Line("less may be left in the row that ends at sigma = 0 (claim exponential-last-row)"),
        ]
    stability = [Line(f"{way}: {verdict.outcome}; {verdict.witness}") for way, verdict in found.stability.items()]
    if isinstance(method, Relation) and method.has_constant_weights:
        for way in DIRECTIONS if found.inverse else DIRECTIONS[:1]:
            rho = characteristic(method, way).as_expr()
            stability.append(_equation(f"rho(z), {way}", rf"\rho_{{\text{{{way}}}}}(z)", rho))
    return {
        **({"Parameters": ranges} if ranges else {}),
        "Frame": frame,
        "Theorem": [Line(sentence) for sentence in found.theorem],
        **body,
        "Order": orders,
        "Zero-stability": stability,
        "Source": [Line(found.source)],
    }


def _of_exponential(found: Derivation, method: Relation) -> Sections:
    """A_m and I_m stand for themselves in B, as they do in the generated function."""
    k, log = method.k, logarithm(method.frame)
    moments = _numbered("A", 0, exponential.moments(k, exponential.rule(method.frame)))
    offsets = [f"y{j} = l_{_index(j)} - l_i" for j in range(2, k)]
    logs = "" if method.frame.is_data or method.frame.q == 0 else ", v = log(1 - q*s)"
    back = [Line(f"{found.invertible.outcome}; {found.invertible.witness}{_where(found)}")]
    if found.inverse:
        states = [(f"c_{j}", j) for j in range(k)]
        slopes = _numbered("D", 1, exponential_inverse(method))
        back += [_sum(k, states, "D", k, steps=False), *_numbered("c", 0, found.inverse.c), *slopes]
    return {
        "Relation": [_sum(0, [(f"a_{j}", j) for j in range(1, k + 1)], "B", k, steps=False)],
        "Logarithm": [_equation("l", "l", log), Line(f"y = l - l_i; {', '.join(offsets)}{logs}")],
        "Antiderivatives of y^m": moments,
        "Integrals": [
            Line("A_m(j) is A_m at node i-1+j; where sigma = 0 every s*y^m is 0"),
            *(Line(f"i{m} = {total}") for m, total in enumerate(exponential.summed(k))),
        ],
        "Weights": _numbered("a", 1, method.a),
        "Slope weights": _numbered("B", 1, exponential.weights(k)),
        "Inverse": back,
    }


def _of_relation(found: Derivation, method: Relation) -> Sections:
    k, p, error = method.k, found.order, found.error
    assert error is not None
    legend = ", ".join(f"h{j} = h_{_index(j)}" for j in range(1, k + 1))
    if method.w:
        legend += "; " + ", ".join(f"w{j} = w_{_index(j)}" for j in range(k + 1))
    zeros = " = ".join(f"E_{m}" for m in range(p + 1))
    conditions = [
        Line("E_m = X(s_{i-1}) - Σ a_j X(s_{i-1+j}) - Σ b_j h_{i-1+j} X'(s_{i-1+j}) for X of degree m with leading "
             "coefficient 1"),
        Line(f"{zeros} = 0 for all steps", f"{zeros} = 0"),
        _equation(f"E_{p + 1}", f"E_{{{p + 1}}}", residual(method, p + 1)),
    ]  # fmt: skip
    back = [Line(f"{found.invertible.outcome}; {found.invertible.witness}{_where(found)}")]
    if found.inverse:
        states = [(f"c_{j}", j) for j in range(k)]
        back += [_sum(k, states, "d", k), *_numbered("c", 0, found.inverse.c), *_numbered("d", 1, found.inverse.d)]
    return {
        "Relation": [
            _sum(0, [(f"a_{j}", j) for j in range(1, k + 1)], "b", k),
            Line(f"h_i = s_i - s_{{i-1}}; {legend}", "h_i = s_i - s_{i-1}"),
        ],
        "Conditions": conditions,
        "Weights": _numbered("a", 1, method.a),
        "Slope weights": _numbered("b", 1, method.b),
        "Leading local error": [
            _equation(f"tau / X^({p + 1})", rf"\tau / X^{{({p + 1})}}", error.coefficient),
            Line(f"X^({p + 1}) = f^({p})", f"X^{{({p + 1})}} = f^{{({p})}}"),
            *_in_x(method, error),
        ],
        "Inverse": back,
    }


def _in_x(method: Relation, error: LocalError) -> list[Line]:
    """The leading error of x_{i-1}, and what its levels mean."""
    p, value = error.derivative - 1, error_in_x(method, error)
    used = [(s.name, f"{s.name[:5]}_{_index(int(s.name[5:]))}") for pair in zip(*levels(method.k), strict=True)
            for s in pair if s in value.free_symbols]  # fmt: skip
    return [
        _equation(f"in x: w_{{i-1}} tau / f^({p})", rf"w_{{i-1}}\tau / f^{{({p})}}", value),
        Line(", ".join(f"{name} = {meaning}" for name, meaning in used),
             rf"w_{{i-1}} = {_latex(method.frame.weight(*(part[0] for part in levels(1))))}"),
    ]  # fmt: skip


def _of_stages(method: TwoRegister) -> Sections:
    """Registers x, y stand for x/w, y/w; a prime marks their values at node i-1."""
    note = "x, y are x/w, y/w at node i; x', y' at node i-1; f is taken at node i; h1 = h_i = s_i - s_{i-1}"
    stages = _primed(method.stages)
    return {
        "Stages": [Line(note), *_assignments(stages)],
        "Leading local error": [Line("O(h1^2) in each register, started from x = y", "O(h_i^2)")],
        "Inverse": [Line("each stage undone, in reverse order"), *_assignments(undone(stages))],
    }


def _primed(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The same stages with x', y' for the registers once they stand at node i-1."""
    newest: dict[str, str] = {}
    out = []
    for stage in stages:
        terms = tuple((newest.get(operand, operand), c) for operand, c in stage.terms)
        if stage.target in ("x", "y"):
            newest[stage.target] = stage.target + "'"
        out.append(Stage(newest.get(stage.target, stage.target), terms))
    return tuple(out)


def _assignments(stages: Iterable[Stage]) -> list[Line]:
    lines = []
    for stage in stages:
        total = sp.Add(*(c * sp.Symbol(operand) for operand, c in stage.terms))
        lines.append(_equation(stage.target, _upright(stage.target), total))
    return lines


def _where(found: Derivation) -> str:
    """The ranges that a sign was decided for."""
    ranges = [f"{p.name} in {'(0, 1]' if p.is_positive else parameter_range(found.family, p.name)}"
              for p in found.method.parameters if p.is_nonnegative]  # fmt: skip
    return f", {', '.join(ranges)}" if ranges else ""


def _sum(left: int, states: list[tuple[str, int]], slope: str, k: int, *, steps: bool = True) -> Line:
    """A relation written out: the state at node `left` from the others and the interior slopes, times their steps."""
    terms = [(f"{weight} X", j) for weight, j in states]
    text = [f"{term}_{_index(j)}" for term, j in terms]
    text += [f"{slope}_{j} {f'h_{_index(j)} ' * steps}f_{_index(j)}" for j in range(1, k)]
    latex = [f"{term}_{{{_node(j)}}}" for term, j in terms]
    latex += [f"{slope}_{j} {f'h_{{{_node(j)}}} ' * steps}f_{{{_node(j)}}}" for j in range(1, k)]
    return Line(f"X_{_index(left)} = {' + '.join(text)}", f"X_{{{_node(left)}}} = {' + '.join(latex)}")


def _node(j: int) -> str:
    """The index i-1+j of a relation's node j."""
    return "i" if j == 1 else f"i{j - 1:+d}"


def _index(j: int) -> str:
    return "i" if j == 1 else f"{{{_node(j)}}}"


def _numbered(name: str, first: int, values: Iterable[sp.Expr]) -> list[Line]:
    return [_equation(f"{name}_{j}", f"{name}_{{{j}}}", value) for j, value in enumerate(values, first)]


def _equation(text: str, latex: str, value: sp.Expr) -> Line:
    return Line(f"{text} = {value}", f"{latex} = {_latex(value)}")


def _latex(value: sp.Expr) -> str:
    """An expression with h1 written h_i, w0 and alpha0 written w_{i-1} and alpha_{i-1}; other names stay."""
    names = {}
    for symbol in value.free_symbols:
        if numbered := re.fullmatch(r"(h|w|alpha|sigma)(\d+)", symbol.name):
            stem, j = numbered.groups()
            names[symbol] = f"{sp.latex(sp.Symbol(stem))}_{{{_node(int(j))}}}"
        elif not symbol.name.isidentifier() or "_" in symbol.name:
            names[symbol] = _upright(symbol.name)
    return sp.latex(value, symbol_names=names)


def _upright(name: str) -> str:
    return name.replace("_inter", r"_{\text{inter}}")


def _escaped(text: str) -> str:
    """Prose for LaTeX: the special characters of the notation, spelled out."""
    table = {"_": r"\_", "^": r"\^{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "#": r"\#", ">": r"$>$",
             "<": r"$<$", "Σ": r"$\sum$", "∫": r"$\int$", "…": r"\dots{}"}  # fmt: skip
    return "".join(table.get(letter, letter) for letter in text)
