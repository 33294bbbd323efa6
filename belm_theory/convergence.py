"""The global error bound, explicit: consistent and zero-stable methods converge, and how fast.

Let e_i be the error at node i, E_i = (e_i, …, e_{i+k-1}), L a Lipschitz constant of f in X, tau_i the local error of
row i, and beta_i = Σ_j |b_{i,j} h_{i-1+j}|. Then E_{i-1} = R_i E_i + (tau_i + slopes)·(1, 0, …, 0) with |slopes| <=
L·beta_i·‖E_i‖_oo, and with K bounding all products of the R_i, u_i = ‖E_i‖_oo satisfies

    u_n <= K·(u_start + Σ|tau_i| + L·Σ beta_i·u_i)    over the rows i already made,

so by the discrete Grönwall inequality (derivations/convergence_bound.py)

    u_n <= K·(u_start + Σ|tau_i|)·Π(1 + K·L·beta_i) <= K·(u_start + Σ|tau_i|)·exp(K·L·Σ beta_i).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def product_bound(
    constant: Fraction, start: Fraction, local: Sequence[Fraction], slopes: Sequence[Fraction], lipschitz: Fraction
) -> Fraction:
    """K·(start + Σ|tau_i|)·Π(1 + K·L·beta_i), exactly.

    Args:
        constant: K >= 1, an upper bound of all products of companion matrices.
        start: the largest error of the k starting values.
        local: |tau_i| of every main row, or upper bounds of them.
        slopes: beta_i = Σ_j |b_{i,j} h_{i-1+j}| of every main row.
        lipschitz: L, of f in the frame's X.

    Raises:
        ValueError: if K < 1 or another argument is negative, or the two sequences differ in length.
    """
    if constant < 1 or min([start, lipschitz, *local, *slopes]) < 0 or len(local) != len(slopes):
        raise ValueError("the bound needs K >= 1, nonnegative start, L, |tau| and beta, one tau and one beta a row")
    bound = constant * (start + sum(local, Fraction(0)))
    for beta in slopes:
        bound *= 1 + constant * lipschitz * beta
    return bound
