"""Maximal order: 2k - 1 coefficients, 2k - 1 conditions, order 2k - 2, one solution.

E_0 = … = E_p = 0 says P(s_{i-1}) = Σ a_j P(s_{i-1+j}) + Σ b_j h_{i-1+j} P'(s_{i-1+j}) for every polynomial P of degree
up to p. For p = 2k - 2 this is Hermite interpolation: one polynomial of that degree takes given values at k nodes and
given slopes at the k - 1 interior ones, and the relation evaluates it at s_{i-1}. So the weights exist on every grid,
and there are no others. On Newton polynomials, each of which vanishes on the data before its own, the conditions are
triangular with differences of nodes on the diagonal, for every k: a determinant that does not vanish.

The order is not higher: P = (s - s_{i-1+k})·Π (s - s_{i-1+j})² of degree 2k - 1 has all data zero and P(s_{i-1}) != 0.
The leading local error is P(s_{i-1})/(2k - 1)!·X^{(2k-1)}.

The paper gives k = 2 and k = 3 (A.4, A.5); k = 4 and k = 5 are added here. maximal_order_is_unstable says why k >= 3 is
of no use.
"""

import sympy as sp

from belm_theory.catalogue import belm
from belm_theory.certificate import Certificate, Claim, inequality, orders, unique
from belm_theory.grid import positions
from belm_theory.inequality import decide
from belm_theory.maximal import newton_conditions
from belm_theory.order import local_error, order
from belm_theory.sign import sign
from belm_theory.verdict import proved

CLAIM = Claim(
    "maximal-order",
    "On every grid exactly one k-step BELM has order 2k - 2, and its order is not higher, k = 2 … 5.",
    ("h1, h2, h3, h4, h5 > 0",),
    "BELM, A.4 and A.5; this project (k = 4, 5)",
    "belm",
)
SIZES = (2, 3, 4, 5)


def derive() -> Certificate:
    """For each k: the order with its leading error, which nowhere vanishes, and uniqueness."""
    goals, relations = [], []
    for k in SIZES:
        relation = belm(k)
        first, *interior, last = positions(relation.h)
        missed = sp.prod([(first - node) ** 2 for node in interior]) * (first - last) / sp.factorial(2 * k - 1)
        assert order(relation) == 2 * k - 2
        assert sp.cancel(local_error(relation).coefficient - missed) == 0
        assert decide(f"{missed} < 0", CLAIM.hypotheses).outcome == "proved"
        matrix = newton_conditions(relation.h)
        assert matrix.is_upper and all(sign(entry) for entry in matrix.diagonal())
        goals += [
            orders(f"k = {k}: order {2 * k - 2}, with its leading error", relation, 2 * k - 2, leading=missed),
            inequality(f"k = {k}: the leading error vanishes on no grid", missed, "<", 0),
            unique(f"k = {k}: no other weights have order {2 * k - 2}", k, 2 * k - 2),
        ]
        relations.append(relation)
    witness = "orders 2, 4, 6, 8; triangular conditions with nonzero diagonal"
    return Certificate(CLAIM, proved(witness), tuple(goals), relations=tuple(relations))
