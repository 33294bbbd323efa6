"""Order barriers on uniform grids: how much order zero-stability leaves a BELM.

With unit steps the relation has rho(z) = z^k - Σ a_j z^{k-j} and, because no slope sits at either end, sigma(z) =
Σ_{1 <= j < k} b_j z^{k-j}. Substitute z = (1 + w)/(1 - w) and multiply by (1 - w)^k:

    R(w) = Σ r_m w^m,    S(w) = Σ_m s_m w^m,    order >= p  <=>  S = R/log((1 + w)/(1 - w)) + O(w^p).

Dahlquist: under the root condition all r_m >= 0 and r_1 > 0. The points z = oo and z = 0, where the missing slopes sit,
are w = 1 and w = -1: S(1) = S(-1) = 0, so the even and the odd coefficients of S sum to zero separately. The series of
w/log((1 + w)/(1 - w)) = 1/2 - w²/6 - … has negative coefficients after the first, and its partial sums C_n stay
positive. Hence, as soon as all s_m of one parity are determined by the order conditions,

    0 = Σ s_m = Σ C r_m    with positive C over the m of the other parity,

and these r_m vanish: impossible when they are the odd ones (r_1 > 0). So the order is at most k for even k, and k - 1
for odd k; for even k order k forces R to be odd, all roots on the circle, stability in both directions.

As a certificate the argument is one linear combination of the order conditions E_m in which b cancels. It is found here
by solving for its coefficients; the checker only has to multiply it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from belm_theory.order import residual_uniform

W = sp.Symbol("w")


@dataclass(frozen=True)
class Barrier:
    """Σ_m multipliers_m E_m = Σ_m positive_m r_m, identically in a and b.

    Attributes:
        steps: k.
        order: p, the order whose conditions E_0 … E_p are combined.
        multipliers: p + 1 rationals.
        positive: C_m > 0 by m.
        conclusion: ``none`` if r_1 is among the r_m, so that no zero-stable relation has order p; else ``neutral``.
    """

    steps: int
    order: int
    multipliers: tuple[sp.Rational, ...]
    positive: dict[int, sp.Rational]
    conclusion: str


def barrier(k: int, p: int) -> Barrier:
    """The barrier at order p for k steps.

    Raises:
        ValueError: if there is none: the order conditions do not combine to positive multiples of r_m of one parity.
    """
    a, b = sp.symbols(f"a1:{k + 1}"), sp.symbols(f"b1:{k}")
    errors = [residual_uniform(a, b, m) for m in range(p + 1)]
    r = cayley(a)
    for parity, conclusion in ((1, "none"), (0, "neutral")):
        indices = [m for m in range(1, k + 1) if m % 2 == parity]
        multipliers, positive = sp.symbols(f"l0:{p + 1}"), sp.symbols(f"C0:{len(indices)}")
        total = sum(c * e for c, e in zip(multipliers, errors, strict=True))
        total -= sum(c * r[m] for c, m in zip(positive, indices, strict=True))
        equations = sp.Poly(sp.expand(total), *a, *b).coeffs()
        # Any nonzero combination may be scaled so that the first C is 1.
        for solution in sp.solve([*equations, positive[0] - 1], [*multipliers, *positive], dict=True):
            values = [solution.get(c, c) for c in (*multipliers, *positive)]
            if all(v.is_Rational for v in values) and all(c > 0 for c in values[p + 1 :]):
                return Barrier(
                    k, p, tuple(values[: p + 1]), dict(zip(indices, values[p + 1 :], strict=True)), conclusion
                )
    raise ValueError(f"no barrier for {k} steps at order {p}")


def cayley(a: tuple[sp.Expr, ...]) -> list[sp.Expr]:
    """The coefficients r_0 … r_k of R(w) = (1 - w)^k rho((1 + w)/(1 - w))."""
    k = len(a)
    rho = [sp.Integer(1), *(-weight for weight in a)]
    R = sum((c * (1 + W) ** (k - j) * (1 - W) ** j for j, c in enumerate(rho)), sp.Integer(0))
    return [sp.expand(R).coeff(W, m) for m in range(k + 1)]
