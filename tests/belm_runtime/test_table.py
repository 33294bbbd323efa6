"""Tables against the paper's equations at fifty digits, and against exact identities in fractions."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belm_runtime import Grid, InputError, Schedule, coefficients
from belm_runtime.frame import Frame
from belm_runtime.models import PREDICTIONS, mixing

SPACINGS = ["leading", "trailing", "linspace", "logsnr", "karras", "power:p=1.5", "floored:p=2.5"]
FRAMES: list[Any] = ["noise", "flow", "data", Fraction(1, 2), 3]
RELATIONS = ["ddim", "o-belm", "bdia:gamma=0.5", "bdia:gamma=1", "open:k=3", "blend:k=2", "blend:k=3,theta=1/3"]
LONGER = ["open:k=4", "open:k=5", "blend:k=4", "blend:k=5", "belm:k=2", "belm:k=3", "belm:k=4", "belm:k=5"]
LONGER += ["damped:k=2", "damped:k=4,m=20", "weights:k=3,a2=0.3,a3=-0.6", "weights:k=5,a3=1.5,a5=0.2"]
ADAMS = ["adams:m=1", "adams:m=2", "adams:m=3", "adams:m=4"]

fractions = st.fractions(Fraction(1, 9), 4, max_denominator=9)


@st.composite
def rational_grids(draw: st.DrawFn, least: int = 6, most: int = 8) -> Grid:
    """Random alpha_i > 0 and steps of sbar; sigma_0 > 0, so that every frame exists."""
    n = draw(st.integers(least, most))
    alpha = draw(st.lists(fractions, min_size=n + 1, max_size=n + 1))
    sbar = np.cumsum(draw(st.lists(fractions, min_size=n + 1, max_size=n + 1)))
    return Grid.from_arrays(alpha, [a * s for a, s in zip(alpha, sbar, strict=True)], list(range(n + 1)))


# ---- the paper's equations ---------------------------------------------------------------------------------


def o_belm_row(a: list[mp.mpf], h: list[mp.mpf], s: list[mp.mpf]) -> tuple[list[mp.mpf], mp.mpf]:
    """Equation 18 at nodes i - 1, i, i + 1; a = alpha, h = (h_i, h_{i+1})."""
    A1 = (h[1] ** 2 - h[0] ** 2) / h[1] ** 2 * a[0] / a[1]
    A2 = h[0] ** 2 / h[1] ** 2 * a[0] / a[2]
    return [A1, A2], -h[0] * (h[0] + h[1]) / h[1] * a[0]


def bdia_row(gamma: mp.mpf) -> Callable[..., tuple[list[mp.mpf], mp.mpf]]:
    def row(a: list[mp.mpf], h: list[mp.mpf], s: list[mp.mpf]) -> tuple[list[mp.mpf], mp.mpf]:
        """Equation 38: the DDIM step from i to i - 1, plus gamma (x_{i+1} - the DDIM step from i to i + 1)."""
        down, up = [a[0] / a[1], s[0] - s[1] * a[0] / a[1]], [a[2] / a[1], s[2] - s[1] * a[2] / a[1]]
        return [down[0] - gamma * up[0], gamma], down[1] - gamma * up[1]

    return row


PAPER = {
    "o-belm": o_belm_row,
    "belm:k=2": o_belm_row,
    "bdia:gamma=0.5": bdia_row(mp.mpf("0.5")),
    "bdia:gamma=1": bdia_row(mp.mpf(1)),
    "bdia:gamma=0.96": bdia_row(mp.mpf(96) / 100),
    "ddim": bdia_row(mp.mpf(0)),
}


def worst_error(method: str, grid: Grid, frame: Any = None) -> float:
    """max |A - paper|, |B - paper| over the rows, relative to each row's largest coefficient, at 50 digits."""
    worst = mp.mpf(0)
    with mp.workdps(50):
        alpha, sigma = [mp.mpf(float(v)) for v in grid.alpha], [mp.mpf(float(v)) for v in grid.sigma]
        sbar = [s / a for a, s in zip(alpha, sigma, strict=True)]
        for row in coefficients(method, grid, frame=frame).rows:
            if row.start:
                continue
            a, s, m = alpha[row.i - 1 : row.i + 2], sigma[row.i - 1 : row.i + 2], sbar[row.i - 1 : row.i + 2]
            A, B = PAPER[method](a, [m[1] - m[0], m[2] - m[1]], s)
            pairs = list(zip([*A, B], [*row.A, *row.B], strict=True))
            worst = max(worst, max(abs(p - q) for p, q in pairs) / max(abs(p) for p, _ in pairs))
    return float(worst)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("schedule", ["sd15", "ddpm"])
@pytest.mark.parametrize("method", ["o-belm", "bdia:gamma=0.5", "bdia:gamma=1", "bdia:gamma=0.96"])
def test_x_form_is_the_papers_equation(method: str, schedule: str, spacing: str) -> None:
    for steps in (6, 10, 20, 50, 100):
        assert worst_error(method, Schedule.preset(schedule).grid(steps, spacing)) < 1e-12


@pytest.mark.parametrize(("method", "frame"), [("ddim", "noise"), ("ddim", "flow"), ("belm:k=2", "noise")])
def test_ddim_and_two_step_maximal_order_are_the_papers_too(method: str, frame: str) -> None:
    for spacing in SPACINGS:
        assert worst_error(method, Schedule.preset("sd15").grid(50, spacing), frame) < 1e-12


# ---- what holds exactly ------------------------------------------------------------------------------------


def frames_of(method: str) -> list[Any]:
    """The frames it has: damped weighs lengths, which the data frame's negative steps do not have."""
    return [frame for frame in FRAMES if frame != "data" or not method.startswith("damped")]


@given(grid=rational_grids(), seed=st.integers(0, 99))
@settings(max_examples=6)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("method", [*RELATIONS, *LONGER, *ADAMS])
def test_straight_lines_are_reproduced_exactly(method: str, prediction: str, grid: Grid, seed: int) -> None:
    """x_i = alpha_i·D + sigma_i·eps with constant D and eps solves the ODE, and every row must give it back."""
    data, noise = Fraction(seed + 1, 7), Fraction(3 - seed, 5)
    x = grid.alpha * data + grid.sigma * noise
    weights = [mixing(prediction, a, s) for a, s in zip(grid.alpha, grid.sigma, strict=True)]
    p = [Fraction(d) * data + Fraction(e) * noise for d, e in weights]
    for frame in frames_of(method):
        A, B = coefficients(method, grid, frame=frame).x_form(prediction)
        for i, (row_a, row_b) in enumerate(zip(A.tolist(), B.tolist(), strict=True), 1):
            known = sum(c * v for c, v in zip(row_a, x[i:], strict=False))
            assert known + sum(c * v for c, v in zip(row_b, p[i:], strict=False)) == x[i - 1]


@given(grid=rational_grids())
@settings(max_examples=8)
@pytest.mark.parametrize(
    ("method", "degree"),
    [("ddim", 0), ("bdia:gamma=0.5", 0), ("o-belm", 1)]
    + [(f"open:k={k}", k - 2) for k in (2, 3, 4, 5)]
    + [(f"blend:k={k},theta=0.6", k - 2) for k in (2, 3, 4, 5)]
    + [(f"damped:k={k}", k - 2) for k in (2, 3, 4, 5)]
    + [("weights:k=3,a2=-2,a3=1/3", 1), ("weights:k=5,a2=1,a4=-5,a5=0.3", 3)]
    + [(f"adams:m={m}", m - 1) for m in (1, 2, 3, 4)]
    + [(f"belm:k={k}", 2 * k - 3) for k in (2, 3, 4, 5)],
)
def test_polynomial_slopes_are_integrated_exactly_up_to_the_degree(method: str, degree: int, grid: Grid) -> None:
    for frame in frames_of(method):
        table = coefficients(method, grid, frame=frame)
        s = table.frame.coordinate(grid.alpha, grid.sigma)
        for d in range(degree + 1):
            X, f = s ** (d + 1), (d + 1) * s**d
            for i in range(1, grid.steps - table.k + 2):
                a, b, h = table.a[i - 1], table.b[i - 1], table.h[i - 1 : i + table.k - 2]
                assert (a * X[i : i + table.k]).sum() + (b * h * f[i : i + table.k - 1]).sum() == X[i - 1]


@given(grid=rational_grids())
@settings(max_examples=20)
def test_ddim_and_bdia_have_one_x_form_in_all_frames(grid: Grid) -> None:
    def form(method: str, frame: Any) -> list[Any]:
        return [array.tolist() for array in coefficients(method, grid, frame=frame).x_form()]

    for method in ("ddim", "adams:m=1", "bdia:gamma=0.5", "bdia:gamma=1"):
        assert all(form(method, frame) == form(method, "noise") for frame in FRAMES)
    assert form("ddim", "flow") == form("adams:m=1", "flow")


def test_o_belm_depends_on_its_frame() -> None:
    sigma = [Fraction(n, 9) for n in (1, 2, 4, 7)]
    grid = Grid.from_arrays([1 - s for s in sigma], sigma, range(4))
    forms = [coefficients("o-belm", grid, frame=frame).x_form()[0].tolist() for frame in FRAMES]
    assert all(forms[m] != forms[n] for m in range(len(forms)) for n in range(m))


@given(ratio=st.fractions(Fraction(10, 9), 3, max_denominator=9), c=fractions, alpha=st.lists(fractions, min_size=6))
@settings(max_examples=20)
def test_o_belm_on_a_geometric_grid_is_leapfrog_in_the_data_frame(
    ratio: Fraction, c: Fraction, alpha: list[Fraction]
) -> None:
    sigma = [a * c * ratio**i for i, a in enumerate(alpha)]
    grid = Grid.from_arrays(alpha, sigma, list(range(len(alpha))))
    one, other = coefficients("o-belm", grid), coefficients("open:k=2", grid, frame="data")
    assert [array.tolist() for array in one.x_form()] == [array.tolist() for array in other.x_form()]
    assert all(tuple(row.a) == (0, 1) for row in other.rows if not row.start)


@given(grid=rational_grids())
@settings(max_examples=8)
def test_families_meet(grid: Grid) -> None:
    def equal(one: str, other: str, frame: Any) -> bool:
        left, right = (coefficients(m, grid, frame=frame) for m in (one, other))
        return left.a.tolist() == right.a.tolist() and left.b.tolist() == right.b.tolist()

    for frame in FRAMES:
        assert equal("o-belm", "belm:k=2", frame)
        assert all(equal(f"open:k={k}", f"blend:k={k},theta=1", frame) for k in (2, 3, 4, 5))
        assert equal("bdia:gamma=0", "ddim", frame)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_weights_of_the_constant_families(k: int) -> None:
    grid = Schedule.preset("sd15").grid(12, "karras")
    middle = [0] * (k - 2)
    for method, a in (
        (f"open:k={k}", [0, *middle, 1]),
        (f"blend:k={k},theta=0.25", [0.75, *middle, 0.25]),
        (f"adams:m={k - 1}", [1, *middle, 0]),
    ):
        assert all(list(row.a) == a for row in coefficients(method, grid).rows if not row.start)


# ---- the shape of a table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*RELATIONS, *LONGER, *ADAMS])
def test_rows_run_from_the_noise_down_with_padded_start_rows(method: str) -> None:
    grid = Schedule.preset("ddpm").grid(10, "trailing")
    table = coefficients(method, grid)
    assert [row.i for row in table.rows] == list(range(10, 0, -1))
    for row in table.rows:
        assert (len(row.a), len(row.b), len(row.A), len(row.B)) == (table.k, table.k - 1, table.k, table.k - 1)
        assert row.start == (row.i > 10 - table.k + 1)
        assert sum(row.a) == pytest.approx(1, abs=1e-12)
        if row.start:
            order = 10 - row.i + 1
            assert row.a == (1, *[0] * (table.k - 1)) and not any(row.b[order:]) and all(row.b[:order])


def test_start_rows_are_adams_bashforth_of_rising_order_or_ddim() -> None:
    grid, frame = Schedule.preset("sd15").grid(12), "flow"
    table = coefficients("open:k=4", grid)
    for row in table.rows[:3]:
        order = 12 - row.i + 1
        # The same row is the first main row of the method of that order on the grid cut after node N.
        cut = Grid.from_arrays(*(np.append(v, 2 * v[-1] if v is grid.sigma else v[-1]) for v in levels(grid)))
        (same,) = (r for r in coefficients(f"adams:m={order}", cut, frame=frame).rows if r.i == row.i)
        assert not same.start and row.b[:order] == pytest.approx(same.b, rel=1e-13)
    ddim = coefficients("ddim", grid, frame=frame).rows
    plain = coefficients("open:k=4", grid, start="ddim").rows
    for row, euler in zip(plain[:3], ddim[:3], strict=True):
        assert (row.A[0], row.B[0]) == (euler.A[0], euler.B[0]) and not any((*row.A[1:], *row.B[1:]))
    assert plain[3:] == table.rows[3:]


def levels(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return grid.alpha, grid.sigma, grid.timesteps


@pytest.mark.parametrize("exact", [False, True])
def test_x_form_is_missing_exactly_where_a_row_needs_eps_at_alpha_zero(exact: bool) -> None:
    alpha = [Fraction(n, 6) for n in range(6, -1, -1)]
    numbers = alpha if exact else [float(a) for a in alpha]
    grid = Grid.from_arrays(numbers, [1 - a for a in numbers], [1 - a for a in numbers])
    rows = coefficients("blend:k=3", grid, frame="flow").rows
    # Node 6 enters the slopes of rows 6 and 5; row 4 takes the state of node 6 only, which is fine.
    assert [row.i for row in rows if row.A is None] == [row.i for row in rows if row.B is None] == [6, 5]
    assert all(row.a[0] is not None and sum(row.a) == pytest.approx(1) for row in rows)
    for prediction in ("v", "sample", "flow"):
        A, B = coefficients("blend:k=3", grid, frame="flow").x_form(prediction)
        assert np.isfinite(A.astype(float)).all() and np.isfinite(B.astype(float)).all()


def test_exact_tables_hold_fractions_and_round_to_the_float_table() -> None:
    rational = Grid.from_arrays([Fraction(9 - n, 9) for n in range(7)], [Fraction(n, 9) for n in range(7)], range(7))
    table = coefficients("blend:k=3,theta=0.8", rational)
    assert all(isinstance(v, Fraction) for row in table.rows if not row.start for v in (*row.A, *row.B))
    floats = coefficients("blend:k=3,theta=0.8", Grid.from_arrays(*(v.astype(float) for v in levels(rational))))
    for one, other in zip(table.rows, floats.rows, strict=True):
        assert [float(v) for v in (*one.A, *one.B)] == pytest.approx([*other.A, *other.B], rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("o-belm", {"schedule": "flow"}, "o-belm in the noise frame needs alpha > 0"),
        ("edict", {"schedule": "flow"}, "edict:p=0.93 in the noise frame.*use another method"),
        ("blend:k=3", {"schedule": "flow", "frame": "noise"}, "blend:k=3.* in the noise frame"),
        ("open:k=3", {"frame": "data"}, "needs sigma_0 > 0.*end='first'"),
        ("edict", {"frame": "flow"}, "defined in the noise frame only, not in flow"),
        ("damped:k=3", {"frame": "data"}, "damped:k=3,m=8 weighs the lengths of positive steps, .* use frame='flow'"),
        ("open:k=3", {"start": "euler"}, "unknown start 'euler'"),
        ("open:k=3", {"frame": "nosie"}, "unknown frame 'nosie'; did you mean 'noise'"),
        ("open:k=3", {"frame": -1}, "frame q = -1 is negative"),
    ],
)
def test_what_cannot_be_tabulated_is_refused_by_name(method: str, options: dict[str, Any], words: str) -> None:
    grid = Schedule.preset(options.pop("schedule", "sd15")).grid(10)
    with pytest.raises(InputError, match=words):
        coefficients(method, grid, **options)


def test_frames_by_name_and_by_number() -> None:
    assert Frame.parse("noise") == Frame.parse(0) == Frame.parse("0") == Frame.parse("q=0")
    assert Frame.parse("flow") == Frame.parse(1.0) and str(Frame.parse(1)) == "flow"
    assert Frame.parse("data").q is None and str(Frame.parse("data")) == "data"
    assert str(Frame.parse(0.5)) == "q=1/2" and Frame.parse(str(Frame.parse(0.5))) == Frame.parse("0.5")
    assert Frame.parse(Frame.parse("data")) == Frame.parse("data")


def test_a_thousand_steps_take_less_than_20_ms() -> None:
    grid = Schedule.preset("ddpm").grid(1000, "trailing")
    for method in ("o-belm", "blend:k=5"):
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            table = coefficients(method, grid)
            assert len(table.rows) == 1000
            times.append(time.perf_counter() - begin)
        assert min(times) < 0.02
