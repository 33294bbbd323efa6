"""Exponential slope weights: f interpolated by polynomials in log-SNR instead of in the frame's own coordinate s.

    X_0 = Σ_j a_j (X_j + ∫_{s_j}^{s_0} P(l(s)) ds),    l = log(s/(1 - q s)),    P of degree <= k-2 through the f_m.

l is log(sigma/alpha) for finite q and log(alpha/sigma) in the data frame, where q stands for 0: ±1/2 log-SNR, and the
polynomials in both are the same. All that is used of it is

    dl/ds = 1/(s (1 - q s)),    dv/ds = -q/(1 - q s) for v = log(1 - q s).

With y = l - l_1 the antiderivatives A_m of y^m in s are, by parts,

    q = 0    A_0 = s,    A_m = s y^m - m A_{m-1}
    q > 0    A_0 = s,    A_1 = s y + v/q        (A_2 is a dilogarithm)

so that k <= 5 steps are elementary for q = 0, and k <= 3 in the other frames. Where sigma = 0 every s y^m is 0, its
limit: any finite l will do there. s, l and v of a node are independent symbols to everything here.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from belm_theory.frame import Frame, Q

S, Y, V = sp.symbols("s y v")
#: The longest relation of the noise and data frames, and of the others.
LONGEST, LONGEST_ELSEWHERE = 5, 3


def rule(frame: Frame) -> sp.Expr:
    """The q of dl/ds = 1/(s (1 - q s)): the frame's, and 0 in the data frame."""
    return sp.Integer(0) if frame.is_data else frame.q


def moments(k: int, q: sp.Expr) -> tuple[sp.Expr, ...]:
    """A_0 … A_{k-2} in s, y and v.

    Args:
        k: steps of the relation, 2 … 5, or 2 … 3 for q > 0.
        q: 0 or the symbol of a positive q.

    Raises:
        ValueError: a moment that is not elementary.
    """
    if k > LONGEST_ELSEWHERE and q != 0:
        raise ValueError(f"k = {k}: in frames 0 < q < oo the moments of k > {LONGEST_ELSEWHERE} need dilogarithms")
    found = [S]
    for m in range(1, k - 1):
        found.append(sp.expand(S * Y**m - m * found[-1]) if q == 0 else S * Y + V / q)
    return tuple(found)


def derivative(expression: sp.Expr, q: sp.Expr) -> sp.Expr:
    """d/ds of an expression in s, y and v by the chain rule."""
    inner = {Y: 1 / (S * (1 - q * S)), V: -q / (1 - q * S)}
    return sp.diff(expression, S) + sum(sp.diff(expression, symbol) * rate for symbol, rate in inner.items())


def offsets(k: int) -> tuple[sp.Symbol, ...]:
    """The symbols y_0 … y_k of l_j - l_1; y_1 stands for 0."""
    return sp.symbols(f"y0:{k + 1}")


def integrals(k: int) -> tuple[sp.Symbol, ...]:
    """The symbols I_0 … I_{k-2} of Σ_j a_j ∫_{s_j}^{s_0} y^m ds = Σ_j a_j (A_m at node 0 - A_m at node j)."""
    return sp.symbols(f"i0:{k - 1}")


def summed(k: int) -> tuple[sp.Expr, ...]:
    """I_0 … I_{k-2} in the weights a_j and the values A_m(j) of the antiderivatives at the nodes j = 0 … k."""
    a = [sp.Symbol(f"a_{j}") for j in range(1, k + 1)]
    return tuple(_between(a, [sp.Symbol(f"A_{m}({j})") for j in range(k + 1)]) for m in range(k - 1))


def _between(a: Sequence[sp.Expr], at: Sequence[sp.Expr]) -> sp.Expr:
    """Σ_j a_j (A(0) - A(j)): the integrals from the nodes j to node 0, from the antiderivative at all nodes."""
    return sp.Add(*(weight * (at[0] - value) for weight, value in zip(a, at[1:], strict=True)))


def weights(k: int) -> tuple[sp.Expr, ...]:
    """B_1 … B_{k-1}, which multiply f_1 … f_{k-1}: Σ_m B_m y_m^p = I_p for p = 0 … k-2, solved by Lagrange's basis.

    Args:
        k: steps of the relation.

    Returns:
        Expressions in `integrals(k)` and in y_2 … y_{k-1}.
    """
    nodes = [sp.Integer(0), *offsets(k)[2:k]]
    found = []
    for m, node in enumerate(nodes):
        others = [other for n, other in enumerate(nodes) if n != m]
        basis = sp.Poly(sp.prod([Y - other for other in others]), Y)
        total = sum(c * i for c, i in zip(reversed(basis.all_coeffs()), integrals(k), strict=True))
        found.append(total / sp.prod([node - other for other in others]))
    return tuple(found)


def integral(m: int, k: int, q: sp.Expr) -> sp.Expr:
    """I_m written out in a_j, s_j, l_j and v_j."""
    a, moment = sp.symbols(f"a1:{k + 1}"), moments(k, q)[m]

    def at(j: int) -> sp.Expr:
        s, here, first, v = sp.symbols(f"s{j} l{j} l1 v{j}")
        return moment.subs({S: s, Y: here - first, V: v}, simultaneous=True)

    return _between(a, [at(j) for j in range(k + 1)])


def written(k: int, q: sp.Expr) -> tuple[sp.Expr, ...]:
    """B_1 … B_{k-1} in a_1 … a_k, s_0 … s_k, l_0 … l_k and, for q > 0, v_0 … v_k."""
    table = {symbol: integral(m, k, q) for m, symbol in enumerate(integrals(k))}
    first = sp.Symbol("l1")
    table |= {symbol: sp.Symbol(f"l{j}") - first for j, symbol in enumerate(offsets(k))}
    return tuple(weight.subs(table, simultaneous=True) for weight in weights(k))


def arguments(k: int, q: sp.Expr) -> tuple[sp.Symbol, ...]:
    """The arguments of the generated function, in order."""
    a, nodes = sp.symbols(f"a1:{k + 1}"), f"0:{k + 1}"
    s, logs, v = sp.symbols(f"s{nodes}"), sp.symbols(f"l{nodes}"), sp.symbols(f"v{nodes}")
    return (*a, *s, *logs) if q == 0 else (Q, *a, *s, *logs, *v)


#: The relations that are generated: steps and q. With k = 2 the slope is a constant, in l as in s: the plain method.
MEMBERS: tuple[tuple[int, sp.Expr], ...] = (
    *((k, sp.Integer(0)) for k in range(3, LONGEST + 1)),
    *((k, Q) for k in range(3, LONGEST_ELSEWHERE + 1)),
)
