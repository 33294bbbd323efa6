"""O-BELM is not zero-stable as N -> oo on variance-preserving schedules, the schedules of the paper's experiments.

Let beta(t) be continuous with 0 < b0 <= beta(t) <= b1 on [0, 1], B(t) = ∫ beta, sbar = sqrt(e^B - 1), t_i = i/N.
 1. h_1² = sbar(1/N)² >= B(1/N) >= b0/N, because e^x - 1 >= x.
 2. For t >= 1/2: sbar' = beta·e^B/(2·sbar) <= b1·E/sqrt(2·b0), E = e^{b1}, because sbar >= sqrt(b0/2);
    so h_N² <= b1²·E²/(2·b0·N²) by the mean value theorem.
 3. Differences are multiplied by -g a step, and the products telescope, so K_sampling >= (h_1/h_N)²: two numbers that
    differ by 2P are not both below P (two_step_closed_form).

Together K_sampling >= 2·b0²·N/(b1²·E²): no bound C holds for every N. The growth is exactly linear where beta does not
decrease (o_belm_grows_at_most_linearly).

What it means in practice: nothing breaks at the usual numbers of steps. K_sampling is 31 at 100 and 302 at 1000
trailing steps on sd15 (belm verify --method o-belm --schedule sd15 --steps 1000 --spacing trailing), so rounding is
lost by two or three digits of sixteen; but the last steps, next to the data, amplify the network's errors too, and
more steps make that worse, not better. Open and blend BELM in the velocity frame have K_sampling = 1 on every grid
(nonnegative_weights).
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.verdict import refuted

CLAIM = Claim(
    "o-belm-on-preserving-schedules",
    "O-BELM in the noise frame is zero-stable as N -> oo on uniform time grids of variance-preserving schedules with "
    "0 < b0 <= beta(t) <= b1: some C bounds K_sampling for all N >= 2. (In the goal h_1² = b0/N + u and h_N² = "
    "b1²·E²/(2·b0·N²)/(1 + v), E = e^{b1}.)",
    ("0 < b0 <= b1", "E >= 1", "u, v >= 0", "C > 0", "N >= 2"),
    "BELM, prop 5, as used for the schedules of its experiments",
    "o-belm",
    granted=("e^x - 1 >= x for x >= 0", "the mean value theorem"),
)


def derive() -> Certificate:
    """The difference map, the telescoping product, and a number of steps that exceeds any bound."""
    relation = o_belm()
    h1, h2 = relation.h
    a1, g = relation.a
    b0, b1, E, u, v, C, N = sp.symbols("b0 b1 E u v C N", positive=True)
    new, old, h3, x, y = sp.symbols("new old h3 x y")
    first, last = b0 / N + u, b1**2 * E**2 / (2 * b0 * N**2) / (1 + v)
    # Two more steps than where the lower bound reaches C.
    enough = C * b1**2 * E**2 / (2 * b0**2) + 2
    least = sp.cancel((first / last).subs({u: 0, v: 0}))
    assert sp.cancel(least - 2 * b0**2 * N / (b1**2 * E**2)) == 0
    assert sp.cancel(least.subs(N, enough) - C - 4 * b0**2 / (b1**2 * E**2)) == 0
    goal = inequality("K_sampling >= (h_1/h_N)² stays below C; false for N as given", first / last, "<=", C,
                      point={"N": enough})  # fmt: skip
    where = ["h1, h2, h3 > 0"]
    following = g.subs({h1: h2, h2: h3}, simultaneous=True)
    assert sp.cancel(g * following - (h1 / h3) ** 2) == 0
    slope = "b1*E/2"  # sbar' <= b1·E/(2·sbar), and sbar² >= b0/2 for t >= 1/2
    steps = (
        identity("sampling multiplies a difference by -g", a1 * new + g * old - new, -g * (new - old), where=where[:1]),
        identity("the products telescope", f"({g})*({following})", "(h1/h3)**2", where=where),
        inequality("numbers below 1 in modulus differ by less than 2: K is at least the product", x - y, "<", 2,
                   where=["-1 < x < 1", "-1 < y < 1"]),
        identity("the square of the bound of sbar' for t >= 1/2", f"({slope})**2/(b0/2)", b1**2 * E**2 / (2 * b0)),
    )  # fmt: skip
    return Certificate(CLAIM, refuted("K_sampling >= 2·b0²·N/(b1²·e^{2·b1}): unbounded in N"), (goal,), steps)
