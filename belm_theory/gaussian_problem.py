"""The diffusion test problem: Gaussian data, on which f is linear in X and every relation has a polynomial.

For data N(0, c²) the posterior means are D = alpha·c²·x/V and eps = sigma·x/V with V = alpha²·c² + sigma² (the mean of
the data only shifts them). They do not change when x, alpha and sigma are divided by w, which makes x = X,
alpha = 1 - q·s, sigma = s (data frame: alpha = s, sigma = 1). Hence

    f = eps - q·D = lambda·X,    lambda = (s - q(1 - q·s)c²)/v = v'(s)/(2v),    v(s) = (1 - q·s)²c² + s²,

so the solution is X ∝ sqrt(v); in the data frame f = D and v(s) = c²s² + 1. In the noise frame lambda = s/(c² + s²).

Freeze lambda, the step ratio r = h_{i+1}/h_i and the frame weights over the k + 1 nodes of one relation, and write
mu = h_i·lambda. Then X_{i-1} = z·X_i solves the relation exactly when pi(z; mu) = 0,

    pi(z; mu) = z^k - Σ_j a_j z^{k-j} - mu·Σ_j b_j r^{j-1} z^{k-j} = rho(z) - mu·sigma(z),

and inversion has the roots 1/z. On even steps, r = 1, the solution has the factor exp(-mu), which one root, the
principal one, approximates; the others are parasitic.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from belm_theory.frame import Frame
from belm_theory.method import Relation
from belm_theory.roots import Z
from belm_theory.stability import characteristic

C = sp.Symbol("c", positive=True)
S = sp.Symbol("s", nonnegative=True)
R = sp.Symbol("r", positive=True)
MU, KAPPA = sp.symbols("mu kappa")


def variance(frame: Frame) -> sp.Expr:
    """v(s), the variance of X: the solution is X ∝ sqrt(v)."""
    alpha, sigma = _levels(frame)
    return alpha**2 * C**2 + sigma**2


def slope_factor(frame: Frame) -> sp.Expr:
    """lambda(s) in f = lambda·X, from the posterior means of D and eps at X = 1."""
    alpha, sigma = _levels(frame)
    v = variance(frame)
    return sp.factor(frame.slope(alpha * C**2 / v, sigma / v))


def _levels(frame: Frame) -> tuple[sp.Expr, sp.Expr]:
    """(alpha, sigma) at s, scaled so that w = 1."""
    return (S, sp.Integer(1)) if frame.is_data else (1 - frame.q * S, S)


def frozen(relation: Relation, ratio: sp.Expr = R) -> Relation:
    """The relation on steps 1, r, …, r^{k-1} with equal frame weights: its coefficients depend on r only."""
    free = replace(relation, parameters=(*relation.parameters, *ratio.free_symbols))
    steps = {step.name: ratio**j for j, step in enumerate(relation.h)}
    return free.at(**steps, **{w.name: sp.Integer(1) for w in relation.w})


def slope_polynomial(relation: Relation, ratio: sp.Expr = R) -> sp.Poly:
    """sigma(z) = Σ_j b_j r^{j-1} z^{k-j}."""
    b = frozen(relation, ratio).b
    return sp.Poly([weight * ratio**j for j, weight in enumerate(b)] + [0], Z)


def stability_polynomial(relation: Relation, mu: sp.Expr = MU, ratio: sp.Expr = R) -> sp.Poly:
    """pi(z; mu) = rho(z) - mu·sigma(z); at mu = 0 the characteristic polynomial of zero-stability.

    Args:
        relation: parameters may stay symbols.
        mu: h_i·lambda.
        ratio: r > 0, the ratio h_{i+1}/h_i of neighbouring steps; 1 on a uniform grid.
    """
    return characteristic(frozen(relation, ratio)) - sp.Poly(mu, Z) * slope_polynomial(relation, ratio)


def boundary_locus(relation: Relation, ratio: sp.Expr = R) -> sp.Expr:
    """mu(z) = rho(z)/sigma(z), the mu for which z is a root; on |z| = 1 it bounds the stability regions."""
    return sp.cancel(characteristic(frozen(relation, ratio)) / slope_polynomial(relation, ratio))


def growth_parameters(relation: Relation, ratio: sp.Expr = R) -> sp.Poly:
    """The polynomial in kappa whose roots say how the nonzero roots of rho start to move with mu.

    A simple root moves as z·(1 + kappa·mu + …) with kappa = sigma(z)/(z·rho'(z)); the resultant of kappa·z·rho' - sigma
    and rho eliminates z. At r = 1 the principal root z = 1 has kappa = -1 by consistency. Where mu > 0, a root on the
    circle grows in sampling if kappa > 0 (real part), and in inversion if kappa < 0.

    Source: Hairer, Nørsett, Wanner, III.9, weakly stable methods.
    """
    rho = characteristic(frozen(relation, ratio))
    _, nonzero = rho.terms_gcd()
    moves = sp.Poly(KAPPA * Z, Z) * rho.diff(Z) - slope_polynomial(relation, ratio)
    return sp.Poly(sp.resultant(nonzero, moves), KAPPA)
