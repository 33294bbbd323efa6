"""The paper's equation 13 has the wrong sign in front of the slopes.

Eq 13 reverses x_{i-1} = Σ a_j x_{i-1+j} + Σ b_j h_j eps_j into

    x_{i-1+k} = x_{i-1}/a_k - Σ_{j<k} (a_j/a_k)·x_{i-1+j} + Σ_j (b_j/a_k)·h_j·eps_j        (printed)

with a plus before the last sum; it must be a minus. As printed the formula misses the oldest state by 2·Σ
(b_j/a_k)·h_j·eps_j. Eq 49, which proves Proposition 2, repeats the plus, so the reconstruction error that it calls
zero is this number. The proposition is true (proposition_2), and the inverse of O-BELM, eq 19, has the right sign:
there b is negative and the slope enters with a plus.
"""

import sympy as sp

from belm_theory.catalogue import o_belm
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.inverse import inverse
from belm_theory.verdict import refuted

CLAIM = Claim(
    "equation-13-sign",
    "The 2-step relation solved for its oldest state is x_2 = x_0/a_2 - (a_1/a_2)·x_1 + (b_1/a_2)·h_1·eps_1.",
    ("a2 > 0",),
    "BELM (NeurIPS 2024), eq 13 and 49 as printed, k = 2",
)


def derive() -> Certificate:
    """Put the relation into the printed inverse; do the same with a minus; compare eq 19 with our inverse."""
    a1, a2, b1, h1, x1, x2, eps1 = sp.symbols("a1 a2 b1 h1 x1 x2 eps1")
    made = a1 * x1 + a2 * x2 + b1 * h1 * eps1
    states, slopes = made / a2 - a1 / a2 * x1, b1 / a2 * h1 * eps1
    error = sp.cancel(states + slopes - x2)
    assert error == 2 * slopes and sp.cancel(states - slopes - x2) == 0
    relation = o_belm()
    (first, second), h = relation.h, inverse(relation)
    printed = (second**2 / first**2, (first**2 - second**2) / first**2, second * (first + second) / first)
    ours = (*h.c, h.d[0] * first)
    assert all(sp.cancel(mine - theirs) == 0 for mine, theirs in zip(ours, printed, strict=True))
    # From the relation's own weights, as text: SymPy would cancel them to what is printed.
    (first_a, second_a), (slope,) = relation.a, relation.b
    solved = (f"1/({second_a})", f"-({first_a})/({second_a})", f"-({slope})*{first}/({second_a})")
    return Certificate(
        CLAIM,
        refuted(f"it is wrong by {error}"),
        goals=(identity("x_2 comes back as printed", states + slopes, x2),),
        steps=(
            identity("x_2 comes back with a minus", states - slopes, x2),
            *(identity(f"eq 19: the weight of {name}", mine, theirs, where=["h1, h2 > 0"])
              for name, mine, theirs in zip(("x_0", "x_1", "eps_1"), solved, printed, strict=True)),
        ),
    )  # fmt: skip
