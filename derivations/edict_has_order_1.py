"""EDICT has order 1, not 0.

Start from x = y = X(s_i), h = h_i, f = f_0 + f_x·(X - X(s_i)) + … at node i. The stages give

    x = X(s_i) - h·f_0 + h²·(…),    y = X(s_i) - h·f_0 + h²·(…),

so each register is exact up to O(h²): local order 1. The difference x - y is a parasitic mode: the mixing matrix has
the eigenvalues 1 and p², so it is not amplified for 0 < p <= 1 and damped for p < 1.

The paper lists EDICT with a local error O(h_i), "zero-order accuracy", and admits that the bound may be loose (its
Remark 3). The reason is its embedding: it divides x_inter by sqrt(alpha_i·alpha_{i-1}) (eq 41), which makes the weights
of two relations in four sum to something else than 1 (eq 46), and takes the O(h) defects of these two one by one
(prop 10). With the levels of edict_is_belm every relation is consistent, and there is no such defect.
"""

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, inequality, stages
from belm_theory.method import TwoRegister
from belm_theory.order import order
from belm_theory.verdict import refuted

CLAIM = Claim(
    "edict-has-order-0",
    "EDICT, started from x_i = y_i, has a local error of O(h_i) and no better: order 0.",
    ("0 < p <= 1",),
    "BELM, Corollary 1, prop 6 and 10 (EDICT)",
    "edict",
)


def derive() -> Certificate:
    """Expand one step in h; check the parasitic factor; show where the paper's defect comes from."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister) and order(edict) == 1
    p = edict.parameters[0]
    assert edict.mixing.eigenvals() == {1: 1, p**2: 1}
    return Certificate(
        CLAIM,
        refuted("both registers are X - h·f + O(h²); parasitic factor p²"),
        goals=(stages("order 0 with parasitic factor p²", edict, 0, p**2),),
        steps=(
            stages("order 1 with parasitic factor p²", edict, 1, p**2),
            inequality("the parasitic mode is not amplified", p**2, "<=", 1),
            inequality("eq 46, r = sqrt(alpha): the weights of x_inter do not sum to 1", "r0/r1", "!=", 1,
                       where=["0 < r1 < r0"]),
            inequality("eq 46: nor do those of x_i", "p*r2/r1 + 1 - p", "!=", 1, where=["0 < r2 < r1"]),
        ),
    )  # fmt: skip
