"""Exponential Adams–Bashforth in the noise frame is DEIS with polynomials in log rho.

DEIS (Zhang and Chen 2022) integrates d(x/alpha) = eps d rho, rho = sigma/alpha, with eps replaced by the polynomial
through the last m predictions. Of its variants one takes that polynomial in log rho; it is the one that the
DEISMultistepScheduler of diffusers runs, with m = solver_order = 2 or 3:

    x_{i-1}/alpha_{i-1} = x_i/alpha_i + Σ_j C_j eps_{i-1+j},    C_j = F_j(rho_{i-1}) - F_j(rho_i),

where F_j is the antiderivative of a Lagrange polynomial. With l = log rho, of two nodes b, c, and of three b, c, d:

    F_b(t) = t·(l_t - l_c - 1)/(l_b - l_c)
    F_b(t) = t·(l_t² - 2 l_t + 2 + l_c·l_d + (l_c + l_d)(1 - l_t))/((l_b - l_c)(l_b - l_d))

In the noise frame rho is s, x/alpha is X and eps is f: these are the weights B_j of exp-adams:m=2 and m=3, a = (1, 0,
…, 0). (DEIS with polynomials in rho itself is plain Adams–Bashforth in the noise frame.)
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.exponential import written
from belm_theory.verdict import proved

CLAIM = Claim(
    "exponential-adams-is-deis",
    "In the noise frame exp-adams:m=2 and exp-adams:m=3 have the weights of DEIS of order 2 and 3 in log rho.",
    ("l1 < l2 < l3",),
    "this project; Zhang and Chen 2022 (2204.13902); DEISMultistepScheduler of diffusers",
    "adams",
)
PAIR = "{t}*({lt} - {c} - 1)/({b} - {c})"
TRIPLE = "{t}*({lt}**2 - 2*{lt} + 2 + {c}*{d} + ({c} + {d})*(1 - {lt}))/(({b} - {c})*({b} - {d}))"


def _printed(m: int, j: int) -> str:
    """C_j of DEIS of order m, as text."""
    others = [f"l{n}" for n in range(1, m + 1) if n != j]
    names = {"b": f"l{j}", **dict(zip("cd", others, strict=False))}
    form = PAIR if m == 2 else TRIPLE
    ends = (form.format(t=f"s{n}", lt=f"l{n}", **names) for n in (0, 1))
    return " - ".join(ends)


def derive() -> Certificate:
    """B_j with a = (1, 0, …, 0) against the printed antiderivatives."""
    goals = []
    for m in (2, 3):
        unit = {sp.Symbol(f"a{j}"): int(j == 1) for j in range(1, m + 2)}
        for j, weight in enumerate(written(m + 1, sp.Integer(0)), 1):
            ours, theirs = weight.subs(unit), _printed(m, j)
            assert sp.cancel(ours - sp.sympify(theirs)) == 0
            goals.append(identity(f"m = {m}: B_{j} = C_{j}", ours, theirs))
    return Certificate(CLAIM, proved("B_j = C_j for m = 2, 3"), tuple(goals))
