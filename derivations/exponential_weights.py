"""The slope weights of exponential variants integrate polynomials in log-SNR.

An exponential variant keeps the weights a of its relation and interpolates f in l = log(sigma/alpha) instead of s,

    X_0 = Σ_j a_j X_j + Σ_m B_m f_m,    Σ_m B_m f_m = Σ_j a_j ∫_{s_j}^{s_0} P(l(s)) ds,    P(l_m) = f_m, m = 1 … k-1.

With s = sigma/(alpha + q·sigma), sigma/alpha = s/(1 - q s) and alpha/w = 1 - q s, so that l' = 1/(s(1 - q s)) and
v' = -q/(1 - q s) for v = log(1 - q s). For y = l - l_1 the functions

    q = 0    A_0 = s,    A_m = s y^m - m A_{m-1};        q > 0    A_0 = s,    A_1 = s y + v/q

have the derivatives y^m. The data frame is the case q = 0 with s = alpha/sigma and l = log s = -log(sigma/alpha), which
falls from node 1 on. B solves Σ_m B_m y_m^p = I_p = Σ_j a_j (A_p(node 0) - A_p(node j)) for p = 0 … k-2, so it gives
Σ_j a_j ∫ P for every polynomial P of degree <= k-2, the interpolating one among them. With k = 2 the slope is constant
and this is the plain method. Where sigma_0 = 0 every s y^m of node 0 is 0, its limit.

On an interval on which f has k - 1 continuous derivatives in l, f - P is a multiple of Π(l - l_m), and the local error
is at most a constant times h·δ^{k-1}, with h the length of the relation in s and δ that in l: order k - 1 on every grid
away from sigma = 0, where δ is bounded by a multiple of h. At sigma = 0 it is not (see exponential_last_row).
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, Record, identity
from belm_theory.exponential import S, V, Y, derivative, integrals, moments, offsets, weights
from belm_theory.frame import Q
from belm_theory.verdict import proved

CLAIM = Claim(
    "exponential-weights",
    "The slope weights of an exponential variant, with any a, are Σ_j a_j ∫ P ds exactly for every polynomial P of "
    "degree <= k-2 in log(sigma/alpha): k = 3, 4, 5 in the noise and data frames, k = 3 in the frames 0 < q < oo.",
    (),
    "this project",
    granted=(
        "log'(x) = 1/x, the chain rule and the fundamental theorem of calculus",
        "s·log(s)^m -> 0 as s -> 0",
        "Lagrange's remainder of interpolation, for the order k - 1 away from sigma = 0 that follows",
    ),
)


def _frame() -> list[Record]:
    """What s, l and v have to do with the levels, and l' from log' = 1/x."""
    levels = ["alpha, sigma, q > 0"]
    s = "sigma/(alpha + q*sigma)"
    return [
        identity("sigma/alpha = s/(1 - q s)", f"({s})/(1 - q*{s})", "sigma/alpha", where=levels),
        identity("alpha/w = 1 - q s", f"1 - q*{s}", "alpha/(alpha + q*sigma)", where=levels),
        identity("l' = 1/(s(1 - q s)): (1/(1 - q s)²) is the derivative of s/(1 - q s)",
                 "(1/(1 - q*s)**2)/(s/(1 - q*s))", "1/(s*(1 - q*s))", where=["q > 0", "0 < s < 1/q"]),
        identity("and that derivative by the quotient rule", "((1 - q*s) - s*(-q))/(1 - q*s)**2", "1/(1 - q*s)**2",
                 where=["q > 0", "0 < s < 1/q"]),
    ]  # fmt: skip


def _moments() -> list[Record]:
    """A_m' = y^m."""
    found = []
    for k, q, where in ((5, sp.Integer(0), ["s > 0"]), (3, Q, ["q > 0", "0 < s < 1/q"])):
        for m, moment in list(enumerate(moments(k, q)))[1:]:
            assert sp.cancel(derivative(moment, q) - Y**m) == 0
            # As text, so that the chain rule is there to be read.
            parts = [f"({sp.diff(moment, S)})", f"({sp.diff(moment, Y)})/(s*(1 - {q}*s))"]
            left = " + ".join([*parts, *([f"({sp.diff(moment, V)})*(-q/(1 - q*s))"] if q != 0 else [])])
            found.append(identity(f"{'q = 0' if q == 0 else 'q > 0'}: A_{m}' = y^{m}", left, Y**m, where=where))
    return found


def _exact(k: int, falling: bool) -> list[Record]:
    """Σ_m B_m y_m^p = I_p for p = 0 … k-2, whatever the numbers I_p are."""
    nodes = [f"l{m}" for m in range(1, k)]
    y = {symbol: sp.Symbol(f"l{m}") - sp.Symbol("l1") for m, symbol in enumerate(offsets(k))}
    B = [weight.subs(y) for weight in weights(k)]
    where = [" < ".join(nodes[::-1] if falling else nodes)]
    found = []
    for p, wanted in enumerate(integrals(k)):
        # The first node has y = 0.
        powers = [(b, "" if p == 0 else f"*({node} - l1)**{p}") for b, node in zip(B, nodes, strict=True)]
        left = " + ".join(f"({b}){power}" for b, power in powers[min(p, 1) :])
        assert sp.cancel(sp.sympify(left) - wanted) == 0
        order = "falls" if falling else "grows"
        found.append(identity(f"k = {k}, l {order}: y^{p} is integrated exactly", left, wanted, where=where))
    return found


def derive() -> Certificate:
    """The derivatives of the moments, and what the weights make of each power."""
    goals = _moments()
    for k in (3, 4, 5):
        goals += [*_exact(k, falling=False), *_exact(k, falling=True)]
    witness = "A_m' = y^m, and Σ_m B_m y_m^p = I_p for p = 0 … k-2"
    return Certificate(CLAIM, proved(witness), tuple(goals), tuple(_frame()))
