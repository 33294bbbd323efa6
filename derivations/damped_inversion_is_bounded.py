"""The damped method: what its inversion amplifies is bounded by the length of the grid, not by the number of steps.

The damped method is a = (1 - theta_i, 0, …, 0, theta_i) with 1/theta_i = q_i = 1 + m·L_i, L_i = h_{i+1} + … +
h_{i+k-1}: the length between X_i and X_{i+k-1}, whose difference is what it damps,

    X_{i-1} = X_i - theta_i·(X_i - X_{i+k-1}) + slopes.

Sampling: a >= 0, so K = 1 on every grid. Inversion, slopes left out:

    X_{i+k-1} = X_{i-1} + m·L_i·(X_{i-1} - X_i)                                                                  (1)

whose weights 1 + m·L_i and -m·L_i have the absolute sum 1 + 2·m·L_i, the maximum norm of the step. A step h lies in at
most k - 1 of the L_i, so over rows whose nodes span the length S

    K_inversion <= Π (1 + 2·m·L_i) <= exp(2·m·Σ L_i) <= exp(2·(k - 1)·m·S)         k = 2 … 5, every grid.       (2)

In the flow frame S <= 1. For k = 3 the exponent comes down by a quadratic form. Let d_i = X_i - X_{i+1} and

    F_i(u, v) = u² + (v + u/2)²/(q_i - 1/4),    u = d_{i-1}, v = d_i.

(1) is d_{i+1} = -d_i - q_i·d_{i-1}, and F_i(d_i, d_{i+1}) = q_i·F_i(d_{i-1}, d_i): a step multiplies the form by q_i.
With the next row's q in it the form does not grow if q rises, and grows at most by (q_i - 1/4)/(q_{i+1} - 1/4) if q
falls, which is at most 1 + (4/3)·m·(L_i - L_{i+1}), and L_i - L_{i+1} = h_{i+1} - h_{i+3} <= h_{i+1}. States of size 1
have |u|, |v| <= 2 and F <= 16, and u² <= F: all differences stay below 4·exp(m·S + V/2), where V is (4/3)·m times the
sum of the falls of L, 0 if the steps do not shrink towards the noise and at most (4/3)·m·S in any case. By (1) X_{i+2}
differs from X_{i-1} by m·L_i·d_{i-1}, and every third L_i are disjoint lengths:

    K_inversion <= 1 + 4·m·S·exp(m·S + V/2) <= 1 + 4·m·S·exp((5/3)·m·S)            k = 3.                       (3)

For k = 2 the differences obey d_i = -q_i·d_{i-1}, and every second step of (1) adds: K_inversion <= 2·e^{m·S} - 1.

How near that is, measured and not proved: with m = 8, S = 1 and 999 equal steps K is 2876, 3460, 129 000 and 104 000
for k = 2 … 5, about e^{cm}, c = 1, 1, 3/2, 1.45: the rate of the fastest parasitic root as the steps become small.
"""

import sympy as sp

from belm_theory.catalogue import damped
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, orders, stable
from belm_theory.inequality import decide
from belm_theory.order import order
from belm_theory.stability import zero_stable
from belm_theory.verdict import proved

CLAIM = Claim(
    "damped-inversion-is-bounded",
    "The damped method (m >= 0, k = 2 … 5) has order k - 1 on every grid, K_sampling = 1, and over nodes that span the "
    "length S, K_inversion <= exp(2(k - 1)mS), whatever the number of steps; for k = 2 K_inversion <= 2e^{mS} - 1, "
    "and for k = 3 K_inversion <= 1 + 4mS·e^{5mS/3}, or 1 + 4mS·e^{mS} where h_i <= h_{i+2} throughout.",
    ("m >= 0",),
    "this project",
    "damped",
    granted=(
        "the maximum norm of a product of matrices is at most the product of the norms, and a companion matrix has "
        "the norm max(1, the absolute sum of its first row)",
        "1 + t <= e^t",
        "what holds for each step holds for their product and sum (induction): L_i holds k - 1 neighbouring steps, so "
        "a step is in at most k - 1 of them",
    ),
)


def derive() -> Certificate:
    """The inverse step of each k, its absolute sum; the quadratic form of k = 3; the sum of k = 2."""
    relations, goals = [], []
    m = sp.Symbol("m", nonnegative=True)
    for k in range(2, 6):
        relation = damped(k, m)
        assert order(relation) == k - 1
        assert [zero_stable(relation, way).outcome for way in ("sampling", "inversion")] == ["proved", "proved"]
        relations.append(relation)
        goals += [
            orders(f"k = {k}: order {k - 1} on every grid", relation, k - 1),
            stable(f"k = {k}: K_sampling = 1 on every grid", relation, constant=1),
            *_inverse_step(k, relation.a),
        ]
    return Certificate(
        CLAIM, proved("X_{i+k-1} = X_{i-1} + m·L_i·(X_{i-1} - X_i); F_i(d_i, d_{i+1}) = q_i·F_i(d_{i-1}, d_i)"),
        (*goals, *_two_steps(), *_three_steps()), relations=tuple(relations),
    )  # fmt: skip


def _inverse_step(k: int, a: tuple[sp.Expr, ...]) -> list[Record]:
    """(1) and the absolute sum of its weights."""
    x, where = sp.symbols("x0 x1"), [f"h{j} > 0" for j in range(2, k + 1)]
    length = sum(sp.symbols(f"h2:{k + 1}", positive=True))
    m = sp.Symbol("m", nonnegative=True)
    made = (x[0] - a[0] * x[1]) / a[-1]
    assert sp.cancel(made - x[0] - m * length * (x[0] - x[1])) == 0 and not any(a[1:-1])
    return [
        identity(f"k = {k}: the inverse step (1)", made, x[0] + m * length * (x[0] - x[1]), where=where),
        inequality(f"k = {k}: its first weight is positive", 1 / a[-1], ">", 0, where=where),
        inequality(f"k = {k}: its second weight is not", -a[0] / a[-1], "<=", 0, where=where),
        # As text: SymPy would reduce it to its value, and leave the checker nothing to do.
        identity(f"k = {k}: their absolute sum", f"1/({a[-1]}) + ({a[0]})/({a[-1]})", 1 + 2 * m * length, where=where),
    ]


def _two_steps() -> list[Record]:
    """With t = m·L_i and P the product of 1 + t before: what (1) adds is at most the rise of 2·P."""
    u, t, P = sp.symbols("u t P")
    return [
        identity("k = 2: d_i = X_i - X_{i+1} = -q_i·d_{i-1}", "x1 - (x0 + t*(x0 - x1))", "-(1 + t)*(x0 - x1)"),
        inequality("k = 2: |d| <= 2·P becomes |q·d| <= 2·(1 + t)·P", (1 + t) * (2 * P - u), ">=", 0,
                   where=["t >= 0", "u <= 2*P"]),
        identity("k = 2: t·2·P is the rise of 2·P, so 1 and the rises sum to at most 2·P - 1",
                 "t*(2*P)", "2*((1 + t)*P) - 2*P"),
    ]  # fmt: skip


def _three_steps() -> list[Record]:
    """The form, its step, its change from row to row, its start, and what the falls of q cost."""
    u, v, q, p = sp.symbols("u v q p")

    def form(first: sp.Expr, second: sp.Expr, weight: sp.Expr) -> sp.Expr:
        return first**2 + (second + first / 2) ** 2 / (weight - sp.Rational(1, 4))

    after, quarter = form(v, -v - q * u, q), sp.Rational(1, 4)
    assert sp.cancel(after - q * form(u, v, q)) == 0
    falls = (q - quarter) / (p - quarter)
    assert decide(f"{form(u, v, p)} <= {form(u, v, q)}", ["1 <= q", "q <= p"]).outcome == "proved"
    return [
        identity("k = 3: with q = 1 + m·L and (1), d_{i+1} = X_{i+1} - X_{i+2} = -d_i - q·d_{i-1}",
                 "x2 - (x0 + (q - 1)*(x0 - x1))", "-(x1 - x2) - q*(x0 - x1)"),
        identity("k = 3: a step multiplies the form by q", after, q * form(u, v, q), where=["q >= 1"]),
        inequality("k = 3: u² <= F", u**2, "<=", form(u, v, q), where=["q >= 1"],
                   terms=[(1 / (q - quarter), v + u / 2)]),
        inequality("k = 3: where q rises to p the form does not grow", form(u, v, p), "<=", form(u, v, q),
                   where=["1 <= q <= p"], terms=[(1 / (q - quarter) - 1 / (p - quarter), v + u / 2)]),
        inequality("k = 3: where q falls to p it grows by at most (q - 1/4)/(p - 1/4)", form(u, v, p), "<=",
                   falls * form(u, v, q), where=["1 <= p <= q"], terms=[(falls - 1, u)]),
        inequality("k = 3: which is at most 1 + (4/3)·(q - p)", falls, "<=", 1 + (q - p) * 4 / 3,
                   where=["1 <= p <= q"]),
        inequality("k = 3: from states of size 1, u² <= 4 and (v + u/2)² <= 9, the form is at most 16",
                   4 + 9 / (q - quarter), "<=", 16, where=["q >= 1"]),
        identity("k = 3: q - p = m·(L_i - L_{i+1})", "(1 + m*(h2 + h3)) - (1 + m*(h3 + h4))", "m*(h2 - h4)"),
        inequality("k = 3: which a single step bounds", "m*(h2 - h4)", "<=", "m*h2", where=["h4 > 0"]),
        identity("k = 3: the form is P/(q - 1/4) of P = q·u² + u·v + v²", form(u, v, q) * (q - quarter),
                 q * u**2 + u * v + v**2, where=["q >= 1"]),
    ]  # fmt: skip
