"""Blend BELM with k >= 4: the parasitic roots do not share one modulus, so inversion outgrows theta^{-n/(k-1)}.

Suppose all k - 1 roots of q = z^{k-1} + theta·(z^{k-2} + … + 1) have one modulus r. Their product is ±theta, so theta =
r^{k-1}, and z = r·y puts all roots of

    y^{k-1} + r^{k-2}·y^{k-2} + … + r·y + 1

on the unit circle. A real polynomial with that property is its own reciprocal (up to sign, here + because both ends are
1): r^{k-2} = r. For k = 3 this is so; for k >= 4 it forces r = 1, theta = 1. For k = 4 the real root shows it at once:
it is negative, hence -r, but q(-r) = r⁴·(r - 1) < 0 for 0 < r < 1.

So for k >= 4 and theta < 1 some root has modulus below theta^{1/(k-1)}, and inversion amplifies faster than
theta^{-n/(k-1)}: like (min |z|)^{-n}, with min |z| > theta (blend_damps). At theta = 1/8, k = 4, one root lies inside
|z| = 1/2 and two outside; at theta = 1/16, k = 5, two and two.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, inequality, roots
from belm_theory.inequality import decide
from belm_theory.roots import Z, count_roots
from belm_theory.verdict import refuted

CLAIM = Claim(
    "blend-parasitic-moduli",
    "The parasitic roots of blend BELM have one modulus r, r^{k-1} = theta, for k = 4 and 5 as for k = 2 and 3: for k "
    "= 4 the real one is -r.",
    ("0 < r < 1",),
    "this project",
    "blend",
    granted=("a cubic with positive coefficients has a real root, and it is negative",),
)


def derive() -> Certificate:
    """The value of q at -r for k = 4, the reciprocal condition for k = 5, and root counts about |z| = 1/2."""
    r, half = sp.symbols("r"), sp.Rational(1, 2)
    steps = []
    for k in (4, 5):
        scaled = sp.Poly(Z ** (k - 1) + sum(r**m * Z**m for m in range(1, k - 1)) + 1, Z)
        q = Z ** (k - 1) + r ** (k - 1) * sum(Z**m for m in range(k - 1))
        assert sp.expand(q.subs(Z, r * Z) - r ** (k - 1) * scaled.as_expr()) == 0
        numbers = sp.Poly(scaled.as_expr().subs(r, half), Z)
        count = count_roots(numbers)
        where = f"k = {k}, theta = {half ** (k - 1)}: roots within, on and beyond |z| = 1/2"
        steps.append(roots(where, numbers.all_coeffs(), count.inside, count.on, count.outside, not count.repeated_on))
        difference = f"r**{k - 2} != r"
        assert decide(difference, CLAIM.hypotheses).outcome == "proved"
        steps.append(inequality(f"k = {k}: the scaled q is not its own reciprocal", r ** (k - 2), "!=", r))
    value = sp.factor((Z**3 + r**3 * (Z**2 + Z + 1)).subs(Z, -r))
    assert decide(f"{value} < 0", CLAIM.hypotheses).outcome == "proved"
    goal = inequality("k = 4, theta = r³: -r is a root of q; false for every r", value, "==", 0, point={})
    witness = f"k = 4, theta = r³: q(-r) = {value} < 0 for every 0 < r < 1"
    return Certificate(CLAIM, refuted(witness), (goal,), tuple(steps))
