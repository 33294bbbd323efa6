"""Signs of rational functions on the positive orthant, decided by their coefficients.

Steps and frame weights are positive. What a parameter is assumed to be says where it ranges: positive ones lie in
(0, 1], nonnegative ones in [0, oo), others have any sign. One in (0, 1] is replaced by 1/(1 + tau), tau >= 0, so that
1 - p becomes tau/(1 + tau). A numerator whose coefficients all have one sign then has that sign; the test is
sufficient, and None is the honest answer when it does not apply, as for anything with a symbol of any sign in it.
"""

from __future__ import annotations

import sympy as sp


def sign(expression: sp.Expr, parameters: tuple[sp.Symbol, ...] = ()) -> int | None:
    """The sign of an expression for all positive symbols and all values of the parameters.

    Args:
        expression: a rational function with rational coefficients.
        parameters: those of its symbols that are parameters; positive ones range over (0, 1] instead of (0, oo).

    Returns:
        0 if it vanishes identically, +1 or -1 if all coefficients agree (weakly: it may vanish where a parameter
        is at its closed end, 1 or 0), None if undecided.
    """
    table = {p: 1 / (1 + sp.Symbol(f"tau_{p.name}", nonnegative=True)) for p in parameters if p.is_positive}
    numerator, denominator = sp.fraction(sp.cancel(sp.together(expression.subs(table))))
    if numerator == 0:
        return 0
    if any(p in expression.free_symbols for p in parameters if not p.is_nonnegative):
        return None
    signs = {_sign_of_coefficients(part) for part in (numerator, denominator)}
    if None in signs:
        return None
    return _product(numerator, denominator)


def is_positive(expression: sp.Expr, parameters: tuple[sp.Symbol, ...] = ()) -> bool:
    """Whether the expression is proved to be nonzero with one sign, also where parameters are at their closed ends."""
    if not sign(expression, parameters):
        return False
    at_ends = expression.subs({p: sp.Integer(int(bool(p.is_positive))) for p in parameters})
    return bool(sign(at_ends))


def _product(numerator: sp.Expr, denominator: sp.Expr) -> int:
    top, bottom = _sign_of_coefficients(numerator), _sign_of_coefficients(denominator)
    assert top is not None and bottom is not None
    return top * bottom


def _sign_of_coefficients(polynomial: sp.Expr) -> int | None:
    symbols = sorted(polynomial.free_symbols, key=str)
    coefficients = sp.Poly(polynomial, *symbols).coeffs() if symbols else [polynomial]
    signs = {int(sp.sign(c)) for c in coefficients}
    return signs.pop() if len(signs) == 1 else None
