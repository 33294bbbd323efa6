"""What the starts that run do to the error, in fractions: starting_values and global_order on actual tables."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest

from belm_runtime import Grid, coefficients
from belm_runtime.table import STARTS, Table

CONSTANT = ["blend:k=3,theta=4/5", "blend:k=4,theta=1/3", "blend:k=5,theta=1/2", "open:k=3", "open:k=4", "open:k=5",
            "adams:m=2", "adams:m=4"]  # fmt: skip


def table(method: str, h: list[Fraction], start: str) -> Table:
    """The table on a grid with alpha = 1, so that X = x and s = sigma; h from the data."""
    sigma = [sum(h[:i], Fraction(0)) for i in range(len(h) + 1)]
    return coefficients(method, Grid.from_arrays([Fraction(1)] * len(sigma), sigma, sigma), frame="noise", start=start)


def errors(rows: Table, X: Callable[[Fraction], Fraction], f: Callable[[Fraction], Fraction]) -> dict[int, Fraction]:
    """Exact minus computed at every node, from the exact X_N, by the rows as they stand."""
    s, h = list(rows.grid.sigma), list(rows.h)
    made = {len(h): X(s[-1])}
    for row in rows.rows:
        # Start rows are padded with zeros, whose nodes lie beyond the noise.
        states = sum(a * made[row.i + j] for j, a in enumerate(row.a) if a)
        made[row.i - 1] = states + sum(b * h[row.i + j - 1] * f(s[row.i + j]) for j, b in enumerate(row.b) if b)
    return {i: X(s[i]) - value for i, value in made.items()}


def parabola(rows: Table) -> dict[int, Fraction]:
    return errors(rows, lambda s: s**2 / 2, lambda s: s)


def steps(seed: int, count: int = 12) -> list[Fraction]:
    generator = random.Random(seed)
    return [Fraction(generator.randint(2, 9), 20) for _ in range(count)]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("method", [*CONSTANT, "o-belm", "bdia:gamma=1"])
def test_the_first_row_of_both_starts_is_an_euler_step(method, start):
    first = table(method, steps(1), start).rows[0]
    assert first.start
    assert first.a == (1, *[0] * (len(first.a) - 1)) and first.b == (-1, *[0] * (len(first.b) - 1))


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("method", CONSTANT)
def test_the_last_errors_are_as_large_as_the_first_step_makes_them(method, start):
    for seed in range(3):
        h = steps(seed)
        rows = table(method, h, start)
        found, k = parabola(rows), rows.k
        a = rows.rows[-1].a
        tails = [sum(a[j:]) for j in range(k)]

        def invariant(i, found=found, tails=tails):
            return sum(tail * found[i + j] for j, tail in enumerate(tails))

        n = len(h)
        assert found[n] == 0 and found[n - 1] == h[-1] ** 2 / 2
        assert len({invariant(i) for i in range(n - k + 2)}) == 1
        assert invariant(0) >= h[-1] ** 2 / 2 * sum(tails[:-1])
        assert max(abs(found[i]) for i in range(k)) >= h[-1] ** 2 / 2 * Fraction(k - 1, k)


@pytest.mark.parametrize("start", STARTS)
def test_the_differences_of_o_belm_are_half_the_squares_of_the_steps(start):
    h = steps(5)
    found = parabola(table("o-belm", h, start))
    assert all(abs(found[i] - found[i + 1]) == h[i] ** 2 / 2 for i in range(len(h)))
    assert max(abs(found[0]), abs(found[1])) >= h[0] ** 2 / 4


@pytest.mark.parametrize("method", ["open:k=4", "blend:k=4,theta=1/2", "adams:m=3", "blend:k=5,theta=1/2"])
def test_the_default_start_makes_no_other_error_than_its_first_row(method):
    """The rows after the first are of order 2 and more: they pass h_N²/2 on."""
    h = steps(7)
    rows = table(method, h, "adams")
    found, n = parabola(rows), len(h)
    assert {found[i] for i in range(n - rows.k + 1, n)} == {h[-1] ** 2 / 2}


@pytest.mark.parametrize(("method", "p"), [("blend:k=3,theta=4/5", 2), ("blend:k=4,theta=1/2", 3), ("open:k=4", 4)])
def test_the_invariant_grows_by_the_same_local_error_in_every_row(method, p):
    """X = s^{p+1} on uniform steps: E_{p+1}·h^{p+1} a row, whatever the start made before."""
    sizes = []
    for h in (Fraction(1, 10), Fraction(1, 20)):
        rows = table(method, [h] * 14, "adams")
        found = errors(rows, lambda s: s ** (p + 1), lambda s: (p + 1) * s**p)
        tails = [sum(rows.rows[-1].a[j:]) for j in range(rows.k)]
        values = [sum(tail * found[i + j] for j, tail in enumerate(tails)) for i in range(14 - rows.k + 2)]
        (added,) = {before - after for before, after in pairwise(values)}
        sizes.append(added)
    assert sizes[0] == sizes[1] * 2 ** (p + 1) != 0
