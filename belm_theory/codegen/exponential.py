"""The generated module of exponential slope weights: offsets y, moments, their weighted differences, weights."""

from __future__ import annotations

import sympy as sp

from belm_theory import exponential as theory
from belm_theory.codegen.lower import Lowering

#: What the banner says.
THEOREM = "B_m f_m sum to Σ_j a_j ∫_{s_j}^{s_0} P(l) ds for P of degree <= k - 2 in l = log(s/(1 - q s))."
SOURCE = "this project; a = (1, 0, …, 0) in the noise frame is DEIS, Zhang and Chen 2022 (2204.13902)"


def name(k: int, q: sp.Expr) -> str:
    """``noise_3`` for q = 0, which serves the data frame too; ``frame_3`` for q > 0."""
    return f"{'noise' if q == 0 else 'frame'}_{k}"


def function(k: int, q: sp.Expr) -> tuple[str, list[str], list[str]]:
    """Name, arguments and lines of one function."""
    text = name(k, q)
    lines = [f'"""{text.replace("_", " ")}: B_1 … B_{{k-1}}, which multiply the slopes themselves."""']
    lines += [f"y{j} = l{j} - l1" for j in range(k + 1) if j != 1]
    for m, moment in enumerate(theory.moments(k, q)):
        # m10 is A_1 at node 0; A_0 is s itself.
        if m:
            lines += [f"m{m}{j} = {_at(moment, j)}" for j in range(k + 1)]
        values = [f"m{m}{j}" if m else f"s{j}" for j in range(k + 1)]
        lines.append(f"i{m} = " + " + ".join(f"a{j}*({values[0]} - {values[j]})" for j in range(1, k + 1)))
    lowering = Lowering((*theory.integrals(k), *theory.offsets(k)))
    results = [lowering.lower(weight) for weight in theory.weights(k)]
    lines += [*lowering.lines, f"b = ({', '.join(results)})", "return b"]
    return text, [symbol.name for symbol in theory.arguments(k, q)], lines


def _at(moment: sp.Expr, j: int) -> str:
    """A moment at node j, s taken out: s0*(y0*(y0 - 2) + 2)."""
    s, y = sp.Symbol(f"s{j}"), sp.Integer(0) if j == 1 else theory.offsets(j)[j]
    divisor = moment.coeff(theory.V)
    factor = sp.cancel((moment - divisor * theory.V) / theory.S).subs(theory.Y, y)
    first = f"{s}*({sp.polys.polyfuncs.horner(factor, y)})" if factor.is_Add else str(s * factor)
    parts = [first] if factor != 0 else []
    return " + ".join(parts + ([f"v{j}/{1 / divisor}"] if divisor != 0 else []))
