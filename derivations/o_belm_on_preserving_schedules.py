"""O-BELM is not zero-stable as N -> oo on variance-preserving schedules, the schedules of the paper's experiments.

Let beta(t) be continuous with 0 < b0 <= beta(t) <= b1 on [0, 1], B(t) = ∫ beta, sbar = sqrt(e^B - 1), t_i = i/N.
 1. h_1 = sbar(1/N) >= sqrt(B(1/N)) >= sqrt(b0/N), because e^x - 1 >= x.
 2. For t >= 1/2: sbar' = beta·e^B/(2·sbar) <= M := b1·e^{b1}/sqrt(2·b0), because sbar >= sqrt(b0/2);
    so h_n <= M/N there (mean value theorem).
 3. R·(1, -1)ᵀ has the difference -g times that of (1, -1)ᵀ: differences are multiplied by g at each step, the
    products telescope, and a vector with difference 2P has maximum norm >= P. So K_sampling >= (h_1/h_{n+1})².

Together K_sampling >= (b0/N)/(M/N)² = 2·b0²·N/(b1²·e^{2·b1}): it grows at least linearly in N. For finite N the
constant is moderate (31 at 100 and 302 at 1000 trailing steps on sd15: belm verify --method o-belm --schedule sd15
--steps 1000 --spacing trailing); the limit is what fails. Open and blend BELM in the velocity frame have
K_sampling = 1 (nonnegative_weights). Steps 1 and 2 use two textbook inequalities, e^x - 1 >= x and the mean value
theorem; the rest is checked as identities, with E standing for e^{b1}.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity, signs
from belm_theory.verdict import refuted

CLAIM = Claim(
    "o-belm-on-preserving-schedules",
    "O-BELM in the noise frame is zero-stable as N -> oo on uniform time grids of variance-preserving schedules.",
    ("0 < b0 <= beta(t) <= b1, beta continuous", "t_i = i/N"),
    "BELM, prop 5, as used for the schedules of its experiments",
    "o-belm",
)


def derive() -> Certificate:
    """The difference map, the telescoping product, and the constant of linear growth."""
    relation = o_belm()
    h1, h2 = relation.h
    g = relation.a[1]
    assert sp.cancel(g - (h1 / h2) ** 2) == 0
    moved = relation.a[0] * 1 + relation.a[1] * (-1)
    h3, h4 = sp.symbols("h3 h4", positive=True)
    chain = g * g.subs({h1: h2, h2: h3}, simultaneous=True) * g.subs({h1: h3, h2: h4}, simultaneous=True)
    b0, b1, big, n = sp.symbols("b0 b1 E N", positive=True)
    square_of_m = b1**2 * big**2 / (2 * b0)
    growth_rate = 2 * b0**2 * n / (b1**2 * big**2)
    # g = (h_1/h_2)² enters the norm bound through |difference| = |first - second| <= 2·max.
    evidence = (
        identity(moved - 1, -g * (1 - (-1))),
        identity(chain, (h1 / h4) ** 2),
        identity((b0 / n) / (square_of_m / n**2), growth_rate),
        signs([sp.diff(growth_rate, n)], positive=["b0", "b1", "E"], strict=True),
    )
    return Certificate(CLAIM, refuted("K_sampling >= 2·b0²·N/(b1²·e^{2·b1}): unbounded in N"), evidence)
