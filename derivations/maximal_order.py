"""Maximal order: 2k - 1 coefficients, 2k - 1 conditions, order 2k - 2.

The weights of `belm_theory.maximal` satisfy E_0 = … = E_{2k-2} = 0 on the variable grid and E_{2k-1} != 0. The paper
gives k = 2 and 3 (A.4, A.5); k = 4 is added here, k = 5 is checked by the tests on the catalogue entry.
"""

from belm_theory.catalogue import belm
from belm_theory.certificate import Certificate, Claim, orders
from belm_theory.order import order
from belm_theory.verdict import proved

CLAIM = Claim(
    "maximal-order",
    "The k-step BELM with 2k - 1 free coefficients has order 2k - 2 on every grid, k = 2, 3, 4.",
    ("h_i > 0",),
    "BELM, A.4 and A.5",
    "belm",
)


def derive() -> Certificate:
    """Order and leading term for each k."""
    relations = [belm(k) for k in (2, 3, 4)]
    assert [order(r) for r in relations] == [2, 4, 6]
    return Certificate(CLAIM, proved("orders 2, 4, 6"), tuple(orders(r) for r in relations))
