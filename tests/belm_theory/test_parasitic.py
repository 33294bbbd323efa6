"""Weights from parasitic roots and back, against NumPy's roots and against products of linear factors."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from belm_theory.catalogue import method
from belm_theory.parasitic import coefficients_of, weights_of
from belm_theory.roots import Z
from belm_theory.stability import characteristic

rationals = st.fractions(-3, 3, max_denominator=20).map(lambda f: sp.Rational(f.numerator, f.denominator))


@settings(max_examples=25)
@given(roots=st.lists(rationals, min_size=1, max_size=4))
def test_the_chosen_roots_are_those_of_the_characteristic_polynomial(roots: list[sp.Rational]) -> None:
    monic = sp.Poly(sp.prod([Z - root for root in roots]), Z)
    a = weights_of(monic.all_coeffs()[1:])
    assert sum(a) == 1 and len(a) == len(roots) + 1
    given_weights = {f"a{j}": weight for j, weight in enumerate(a[1:], 2)}
    if all(abs(weight) <= 8 for weight in a[1:]):
        rho = characteristic(method("weights", k=len(a), **given_weights))
        assert rho == sp.Poly(Z - 1, Z) * monic
    assert coefficients_of(a) == tuple(monic.all_coeffs()[1:])


@pytest.mark.parametrize("seed", range(5))
def test_complex_pairs_against_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [sp.Rational(int(n), 100) for n in rng.integers(-60, 60, 4)]
    # (z - x)² + y² twice: roots x ± iy.
    factors = [(Z - pairs[n]) ** 2 + pairs[n + 1] ** 2 for n in (0, 2)]
    a = weights_of(sp.Poly(sp.expand(sp.prod(factors)), Z).all_coeffs()[1:])
    found = np.sort_complex(np.roots([1.0, *(-float(weight) for weight in a)]))
    x1, y1, x2, y2 = map(float, pairs)
    wanted = np.sort_complex(np.array([1, x1 + 1j * y1, x1 - 1j * y1, x2 + 1j * y2, x2 - 1j * y2]))
    np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_the_named_families(k: int) -> None:
    theta = sp.Rational(3, 7)
    zeros = (0,) * (k - 2)
    assert coefficients_of(method("open", k=k).a) == (1,) * (k - 1)
    assert coefficients_of(method("blend", k=k, theta=theta).a) == (theta,) * (k - 1)
    assert coefficients_of(method("echo", k=k, theta=theta).a) == (*zeros, theta)
    assert coefficients_of(method("adams", m=k - 1).a) == (0,) * (k - 1)
    assert weights_of((*zeros, theta)) == method("echo", k=k, theta=theta).a
