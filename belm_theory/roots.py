"""The root condition, decided exactly for rational polynomials.

Roots are counted inside, on and outside the unit circle without approximating any of them. A squarefree factor f
is split into g = gcd(f, f*), f*(z) = z^n f(1/z), which holds every root on the circle, and the rest. On the circle,
z + 1/z is real in [-2, 2]: Sturm's theorem counts. Off the circle, z = (1 + w)/(1 - w) maps the disc to a
half-plane and the Cauchy index of a Sturm chain counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import sympy as sp

Z = sp.Symbol("z")


@dataclass(frozen=True)
class RootCount:
    """Roots of a polynomial relative to the unit circle, with multiplicity.

    Attributes:
        inside: number with |z| < 1.
        on: number with |z| = 1.
        outside: number with |z| > 1.
        repeated_on: whether some root on the circle is multiple.
    """

    inside: int
    on: int
    outside: int
    repeated_on: bool

    @property
    def satisfies_root_condition(self) -> bool:
        """No root outside, those on the circle simple (Dahlquist)."""
        return self.outside == 0 and not self.repeated_on


def count_roots(polynomial: sp.Poly) -> RootCount:
    """Count the roots of a rational polynomial inside, on and outside the unit circle."""
    inside = on = outside = 0
    repeated = False
    _, factors = sp.Poly(polynomial.all_coeffs(), Z, domain=sp.QQ).sqf_list()
    for factor, multiplicity in factors:
        if factor.eval(0) == 0:  # the reciprocal would lose the degree
            factor = sp.quo(factor, sp.Poly(Z, Z))
            inside += multiplicity
        shared = sp.gcd(factor, _reciprocal(factor))
        circle = _count_on_circle(shared)
        within = (shared.degree() - circle) // 2 + _count_inside(sp.quo(factor, shared))
        inside += multiplicity * within
        on += multiplicity * circle
        outside += multiplicity * (factor.degree() - circle - within)
        repeated |= multiplicity > 1 and circle > 0
    return RootCount(inside, on, outside, repeated)


def _reciprocal(polynomial: sp.Poly) -> sp.Poly:
    return sp.Poly(list(reversed(polynomial.all_coeffs())), Z)


def _count_on_circle(polynomial: sp.Poly) -> int:
    """Roots on the circle of a squarefree polynomial that equals its reciprocal up to sign."""
    count = 0
    for point in (1, -1):
        if polynomial.degree() > 0 and polynomial.eval(point) == 0:
            polynomial = sp.quo(polynomial, sp.Poly(Z - point, Z))
            count += 1
    half = polynomial.degree() // 2
    if half == 0:
        return count
    # z^-half·p(z) = c_0 + Σ c_m (z^m + z^-m), and z^m + z^-m = 2 T_m(x/2) with x = z + 1/z.
    coefficients = polynomial.all_coeffs()
    x = sp.Symbol("x")
    real = coefficients[half] + sum(coefficients[half - m] * 2 * sp.chebyshevt(m, x / 2) for m in range(1, half + 1))
    return count + 2 * sp.Poly(real, x).count_roots(-2, 2)


def _count_inside(polynomial: sp.Poly) -> int:
    """Roots inside the circle of a polynomial that has none on it."""
    n = polynomial.degree()
    if n <= 0:
        return 0
    w, t = sp.symbols("w t")
    half_plane = sum(c * (1 + w) ** (n - m) * (1 - w) ** m for m, c in enumerate(polynomial.all_coeffs()))
    on_axis = sp.Poly(sp.expand(sp.expand(half_plane).subs(w, sp.I * t)), t)
    real = sp.Poly([sp.re(c) for c in on_axis.all_coeffs()], t)
    imaginary = sp.Poly([sp.im(c) for c in on_axis.all_coeffs()], t)
    # arg F(it) turns by pi·(left - right); half the turns are read off the poles of Q/P or of P/Q.
    even = real.degree() > imaginary.degree()
    turns = -_cauchy_index(imaginary, real) if even else _cauchy_index(real, imaginary)
    return (n + turns) // 2


def _cauchy_index(numerator: sp.Poly, denominator: sp.Poly) -> int:
    """Jumps from -oo to +oo minus jumps from +oo to -oo of numerator/denominator on the real line."""
    chain = [denominator, numerator]
    while not chain[-1].is_zero:
        chain.append(-sp.rem(chain[-2], chain[-1]))
    chain.pop()

    def variations(at_plus: bool) -> int:
        signs = [sp.sign(p.LC()) * (1 if at_plus or p.degree() % 2 == 0 else -1) for p in chain]
        return sum(1 for left, right in pairwise(signs) if left != right)

    return variations(False) - variations(True)
