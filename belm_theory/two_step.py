"""Two steps: products of companion matrices in closed form.

The homogeneous relation X_{i-1} = (1 - g_i) X_i + g_i X_{i+1} multiplies the difference d_i = X_i - X_{i+1} by -g_i,
and X is recovered by summing the differences. So the product over the steps i = n, n-1, …, m, which maps (X_n, X_{n+1})
to (X_{m-1}, X_m), is

    P = [[1 + S, -S], [1 + S', -S']],   S = -g_n + g_n g_{n-1} - … ± g_n…g_m,   S' the same sum without its last term,

and its maximum norm is max(1, |1 + 2S|, |1 + 2S'|), because |1 + S| + |S| = max(1, |1 + 2S|). Hence, over all starts
and ends, K = max(1, max |1 + 2S|): a 2-step method is stable exactly when its alternating sums S are bounded. Inversion
is the same with 1/g_m, 1/g_{m+1}, … (derivations/two_step_closed_form.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction


def alternating_sums(g: Sequence[Fraction]) -> Iterator[Fraction]:
    """S after one, two, … steps, g in the order in which the steps are made."""
    total, product = Fraction(0), Fraction(1)
    for factor in g:
        product = -factor * product
        total += product
        yield total


def stability_constant(g: Sequence[Fraction]) -> Fraction:
    """K = max(1, max |1 + 2S|) over all contiguous products.

    Args:
        g: g_{N-1} … g_1 for sampling, 1/g_1 … 1/g_{N-1} for inversion.
    """
    norms = (abs(1 + 2 * S) for start in range(len(g)) for S in alternating_sums(g[start:]))
    return max([Fraction(1), *norms])
