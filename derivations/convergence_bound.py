"""The explicit convergence bound: the discrete Grönwall step, proved for the recurrence.

u_n <= K·(c + L·Σ_{m<n} beta_m·u_m) with c = u_start + Σ|tau|. Let v_n = K·c·Π_{m<n}(1 + K·L·beta_m). Then v_0 = K·c
and

    K·(c + L·Σ_{m<n} beta_m·v_m) = v_n    (telescoping: v_{m+1} - v_m = K·L·beta_m·v_m),

so u_n <= v_n by induction: the right side is increasing in every u_m. Finally 1 + t <= e^t. With K from the actual
grid (belm verify --method …) the bound is computed by `belm_theory.convergence`. The paper cites Butcher 406D for a
qualitative statement only.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "convergence-bound",
    "If f is L-Lipschitz in X and K bounds every product of companion matrices, the error is at most "
    "K·(start + Σ|tau|)·Π(1 + K·L·beta_i) with beta_i = Σ_j |b_{i,j} h_{i-1+j}|.",
    ("K >= 1", "L > 0"),
    "Butcher 406D made explicit; this project",
)


def derive() -> Certificate:
    """The telescoping step, the first value, and monotonicity: the three parts of the induction."""
    K, L, c, beta, v, total, more = sp.symbols("K L c beta v total more", positive=True)
    grown = v * (1 + K * L * beta)
    # If K(c + L·total) = v then K(c + L·(total + beta·v)) = v(1 + K L beta).
    solved = (v / K - c) / L
    step = K * (c + L * (solved + beta * v))
    right = K * (c + L * total)
    assert sp.cancel(step - grown) == 0
    assert decide(f"{right} <= {right.subs(total, total + more)}", [*CLAIM.hypotheses, "more >= 0"]).outcome == "proved"
    # As text: SymPy would reduce it to K·c, and leave the checker nothing to do.
    at_start = str(right).replace("total", "(0)")
    goals = (
        identity("the product solves the recurrence with equality, one row further", step, grown),
        identity("and at the start it is K·c", at_start, K * c),
        inequality("the right side grows with every error made before", right, "<=", right.subs(total, total + more),
                   where=["more >= 0"]),
    )  # fmt: skip
    return Certificate(CLAIM, proved("v_{n+1} = v_n·(1 + K·L·beta_n) solves the recurrence with equality"), goals)
