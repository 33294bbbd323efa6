"""Order barriers: the combination of order conditions, and what it forbids, against a search and classical facts."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from belm_theory.barriers import barrier, cayley
from belm_theory.catalogue import method

W = sp.Symbol("w")


@pytest.mark.parametrize("k", range(2, 8))
def test_the_largest_order(k):
    """No order above k (k even) or k - 1 (k odd); at order k for even k only neutral methods."""
    largest = k if k % 2 == 0 else k - 1
    assert barrier(k, largest + 1).conclusion == "none"
    if k % 2 == 0:
        assert barrier(k, k).conclusion == "neutral"
    with pytest.raises(ValueError, match="no barrier"):
        barrier(k, largest - 1 if k % 2 == 0 else largest)


@pytest.mark.parametrize("k", range(2, 8))
def test_the_positive_numbers_are_partial_sums_of_the_classical_series(k):
    """C_m is proportional to a partial sum of w/log((1 + w)/(1 - w)), Dahlquist's series."""
    series = sp.series(W / sp.log((1 + W) / (1 - W)), W, 0, 10).removeO()
    partial = [sum(series.coeff(W, 2 * j) for j in range(n + 1)) for n in range(5)]
    order = k + 1 if k % 2 == 0 else k
    found = barrier(k, order).positive
    assert len({c / partial[(order - m) // 2] for m, c in found.items()}) == 1


def test_the_cayley_transform_of_open_methods():
    """rho = z² - 1 becomes ((1 + w)² - (1 - w)²) = 4 w."""
    assert cayley((sp.Integer(0), sp.Integer(1))) == [0, 4, 0]


@pytest.mark.parametrize("k", [3, 5])
def test_no_random_member_of_order_k_is_stable_for_odd_k(k):
    """Solve the order conditions for random free weights: the largest root is outside, as the barrier says."""
    rng = np.random.default_rng(0)
    nodes = np.arange(1, k + 1, dtype=float)
    conditions = np.array([[*nodes**m, *(m * nodes[:-1] ** max(m - 1, 0) * (m > 0))] for m in range(k + 1)])
    right = np.array([1.0] + [0.0] * k)
    particular = np.linalg.lstsq(conditions, right, rcond=None)[0]
    null = np.linalg.svd(conditions)[2][k + 1 :]
    for _ in range(200):
        a = (particular + rng.normal(size=len(null)) @ null * 10 ** rng.uniform(-1, 2))[:k]
        moduli = sorted(abs(np.roots([1.0, *-a])))
        assert moduli[-1] > 1 + 1e-9 or abs(moduli[-1] - moduli[-2]) < 1e-6


def test_open_belm_reaches_it():
    from belm_theory.order import order_smooth

    assert [int(order_smooth(method("open", k=k))) for k in (2, 3, 4, 5)] == [2, 2, 4, 4]
