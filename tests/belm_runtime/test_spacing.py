"""Spacings against diffusers' timesteps, against their formulas at 50 digits, and what they refuse."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from belm_runtime import placement
from belm_runtime.errors import InputError
from belm_runtime.free import MonotoneCubic
from belm_runtime.schedule import Schedule
from belm_runtime.spacing import RULES, Spacing

WHOLE = ("leading", "trailing", "linspace")


def ddim(spacing: str, steps: int, **config: object) -> list[int]:
    """The timesteps of diffusers' DDIMScheduler, ascending."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing, **config)
    scheduler.set_timesteps(steps)
    return scheduler.timesteps.tolist()[::-1]


@pytest.mark.parametrize("preset", ["sd15", "ddpm"])
@pytest.mark.parametrize("spacing", WHOLE)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 20, 25, 48, 50, 96, 100, 250, 333, 499, 500, 999])
def test_grids_have_the_timesteps_of_diffusers(preset: str, spacing: str, steps: int) -> None:
    offset = {"sd15": 1, "ddpm": 0}[preset]
    expected = ddim(spacing, steps, steps_offset=offset)[-steps:]
    grid = Schedule.preset(preset).grid(steps, spacing)
    assert grid.timesteps[1:].tolist() == expected
    assert (grid.steps, grid.spacing, grid.schedule) == (steps, spacing, preset)


@pytest.mark.parametrize("training_steps", [1000, 777])
@pytest.mark.parametrize("spacing", WHOLE)
def test_every_number_of_steps_gives_the_timesteps_of_diffusers(spacing: str, training_steps: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing, num_train_timesteps=training_steps)
    miscounted = []
    for steps in range(1, training_steps + 1):
        scheduler.set_timesteps(steps)
        expected = scheduler.timesteps.numpy()[::-1]
        times = placement.training_times(spacing, steps, training_steps, 0)
        assert len(times) == steps and times[0] >= 0 and times[-1] <= training_steps - 1
        assert (np.diff(times) > 0).all()
        if len(expected) == steps:
            assert (times == expected).all()
        else:
            miscounted.append(steps)
            assert expected[0] == -1 and (times == expected[1:]).all()
            exact = np.arange(1, steps + 1) * training_steps / steps - 1
            assert abs(times - exact).max() <= 0.5 + 1e-9
    assert bool(miscounted) == (spacing == "trailing")


@pytest.mark.parametrize("name", ["sd15", "ddpm", "cosine"])
@pytest.mark.parametrize("spacing", ["logsnr", "karras"])
@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_spacings_by_ratio(name: str, spacing: str, steps: int) -> None:
    schedule = Schedule.preset(name)
    grid = schedule.grid(steps, spacing)
    ends = [0, 999][-min(steps, 2) :]
    at = [1, steps][-min(steps, 2) :]
    assert grid.timesteps[at].tolist() == ends
    for mine, training in zip((grid.alpha, grid.sigma), schedule.alpha_sigma(ends), strict=True):
        assert (mine[at] == training).all()
    if steps == 1:
        return
    with mpmath.workdps(50):
        warp, back = (mpmath.log, mpmath.exp) if spacing == "logsnr" else (seventh_root, seventh_power)
        low, high = (warp(mpmath.mpf(grid.sigma[i]) / mpmath.mpf(grid.alpha[i])) for i in at)
        for i in range(1, steps + 1, max(1, steps // 10)):
            sbar = back(low + (high - low) * (i - 1) / (steps - 1))
            alpha, sigma = 1 / mpmath.sqrt(1 + sbar**2), sbar / mpmath.sqrt(1 + sbar**2)
            assert abs(mpmath.mpf(grid.alpha[i]) / alpha - 1) < 2e-14
            assert abs(mpmath.mpf(grid.sigma[i]) / sigma - 1) < 2e-14
    levels = schedule.alpha_sigma(grid.timesteps[1:])
    np.testing.assert_allclose(levels, [grid.alpha[1:], grid.sigma[1:]], rtol=1e-12)


def seventh_root(x: mpmath.mpf) -> mpmath.mpf:
    """The warp of karras, rho = 7."""
    return mpmath.root(x, 7)


def seventh_power(x: mpmath.mpf) -> mpmath.mpf:
    """Its inverse."""
    return x**7


@pytest.mark.parametrize("power", ["1", "1.5", "3/2", "0.5", "2"])
def test_power(power: str) -> None:
    grid = Schedule.preset("ddpm").grid(40, f"power:p={power}")
    p = float(Fraction(power))
    np.testing.assert_allclose(grid.timesteps[1:], [1000 * (i / 40) ** p - 1 for i in range(1, 41)], 1e-14)
    assert grid.timesteps[-1] == 999
    assert (grid.alpha[0], grid.sigma[0], grid.timesteps[0]) == (1, 0, 0)
    assert grid.spacing == f"power:p={p:g}"


def test_power_times_below_zero_are_literal() -> None:
    schedule = Schedule.preset("ddpm")
    grid = schedule.grid(400, "power:p=1.5")
    assert grid.timesteps[1] == pytest.approx(1000 * 400**-1.5 - 1) and grid.timesteps[1] < 0
    assert grid.sigma[1] == schedule.alpha_sigma(grid.timesteps[1])[1] < schedule.alpha_sigma(0)[1]


def test_first_end_is_the_first_training_node() -> None:
    schedule = Schedule.preset("sd15")
    grid = schedule.grid(50, end="first")
    assert (grid.alpha[0], grid.sigma[0]) == schedule.alpha_sigma(0)
    assert grid.timesteps[:2].tolist() == [0, 1]
    assert (grid.alpha[1:] == schedule.grid(50).alpha[1:]).all()


@pytest.mark.parametrize("shift", [1.0, 3.0, 0.5])
@pytest.mark.parametrize("steps", [1, 4, 28])
def test_flow_linspace_is_that_of_diffusers(shift: float, steps: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    grid = Schedule.preset("flow", shift=shift).grid(steps, "linspace")
    np.testing.assert_allclose(grid.sigma, scheduler.sigmas.numpy()[::-1], rtol=3e-7)
    np.testing.assert_allclose(grid.timesteps[1:] * 1000, scheduler.timesteps.numpy()[::-1], rtol=3e-7)


@given(steps=st.integers(1, 1000), shift=st.fractions(Fraction(1, 8), 8, max_denominator=8))
def test_flow_trailing_is_exact_to_rounding(steps: int, shift: Fraction) -> None:
    schedule = Schedule.preset("flow", shift=float(shift))
    grid = schedule.grid(steps)
    exact = [Fraction(i, steps) for i in range(steps + 1)]
    exact = [shift * u / (1 + (shift - 1) * u) for u in exact]
    np.testing.assert_allclose(grid.sigma, [float(t) for t in exact], rtol=1e-15)
    np.testing.assert_allclose(grid.alpha, [float(1 - t) for t in exact], rtol=1e-15)
    assert (grid.timesteps == grid.sigma).all() and grid.spacing == "trailing"
    assert (grid.alpha[0], grid.sigma[0], grid.alpha[-1], grid.sigma[-1]) == (1, 0, 0, 1)
    if shift == 1:
        assert grid.timesteps.tolist() == [i / steps for i in range(steps + 1)]


def test_flow_power() -> None:
    grid = Schedule.preset("flow", shift=2).grid(10, "power:p=1.5")
    u = np.arange(11) ** 1.5 / 10**1.5
    np.testing.assert_allclose(grid.timesteps, 2 * u / (1 + u), rtol=1e-14)
    np.testing.assert_allclose(grid.alpha, (1 - u) / (1 + u), rtol=1e-13)


@pytest.mark.parametrize(
    ("preset", "steps", "options", "message"),
    [
        ("ddpm", 0, {}, "steps must be a whole number ≥ 1, not 0"),
        ("ddpm", -3, {}, "not -3"),
        ("ddpm", 2.5, {}, "not 2.5"),
        ("ddpm", True, {}, "not True"),
        ("ddpm", "10", {}, "not '10'"),
        ("ddpm", 1001, {}, "1001 steps are more than the schedule's 1000 timesteps"),
        ("ddpm", 1001, {"spacing": "trailing"}, "more than the schedule's"),
        ("sd15", 1000, {}, "leading with 1000 steps and offset 1 runs past the schedule"),
        ("ddpm", 10, {"spacing": "trialing"}, "unknown spacing 'trialing'; did you mean 'trailing'"),
        ("ddpm", 10, {"spacing": 7}, "not 7"),
        ("ddpm", 10, {"spacing": "power"}, "must give p and nothing else, as in 'power:p=1.5'"),
        ("ddpm", 10, {"spacing": "power:1.5"}, "key=value"),
        ("ddpm", 10, {"spacing": "power:q=1.5"}, "must give p and nothing else"),
        ("ddpm", 10, {"spacing": "power:p=fast"}, "p = fast must be a decimal or a fraction > 0"),
        ("ddpm", 10, {"spacing": "power:p=1/0"}, "p = 1/0 must be a decimal or a fraction > 0"),
        ("ddpm", 10, {"spacing": "power:p=-1"}, "p = -1 must be a decimal or a fraction > 0"),
        ("ddpm", 10, {"spacing": "logsnr:rho=5"}, "takes no parameter"),
        ("ddpm", 10, {"spacing": "power:p=1,p=2"}, "gives a parameter twice"),
        ("ddpm", 10, {"spacing": "karras:p=5"}, "must give rho and nothing else, as in 'karras:rho=5'"),
        ("ddpm", 10, {"spacing": "karras:rho=0"}, "rho = 0 must be a decimal or a fraction > 0"),
        ("ddpm", 10, {"spacing": "bent:A=0.1,B=6"}, "must give A, B, C and nothing else"),
        ("ddpm", 10, {"spacing": "bent:A=6,B=6,C=0"}, "A must be below B"),
        ("ddpm", 10, {"spacing": "bent:A=0.1,B=6,C=-1"}, "C = -1 must be a decimal or a fraction ≥ 0"),
        ("ddpm", 10, {"spacing": "free"}, "must give s and nothing else, as in 'free:s=0.03/0.3/0.85'"),
        ("ddpm", 10, {"spacing": "free:s=0.3/0.3"}, "s = 0.3/0.3 must be knots, decimals of up to 12 digits that"),
        ("ddpm", 10, {"spacing": "free:s=0.3/0.2"}, "that increase between 0 and 1"),
        ("flow", 10, {"spacing": "free:s=0/0.2"}, "that increase between 0 and 1"),
        ("flow", 10, {"spacing": "free:s=0.2/1"}, "that increase between 0 and 1"),
        ("flow", 10, {"spacing": "free:s=0.2/x"}, "s = 0.2/x must be knots"),
        ("flow", 10, {"spacing": "free:s=0.2/"}, "s = 0.2/ must be knots"),
        ("ddpm", 10, {"spacing": "designd"}, "unknown spacing 'designd'; did you mean 'designed'"),
        ("ddpm", 10, {"spacing": "zzz"}, "karras, power, floored, bent, free, designed, or the path of a design"),
        ("ddpm", 10, {"end": "last"}, "end must be 'zero' or 'first', not 'last'"),
        ("ddpm", 10, {"end": "first"}, "node 1 is at timestep 0 already"),
        ("sd15", 10, {"spacing": "karras", "end": "first"}, "node 1 is at timestep 0 already"),
        ("flow", 10, {"spacing": "leading"}, "'leading' is not for the flow: it counts whole training steps"),
        ("flow", 10, {"spacing": "karras"}, "'karras' is not for the flow: sigma/alpha is infinite"),
        ("flow", 10, {"spacing": "logsnr"}, "'logsnr' is not for the flow"),
        ("flow", 10, {"end": "first"}, "end='first' is not for the flow"),
    ],
)
def test_wrong_grids_are_named(preset: str, steps: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Schedule.preset(preset).grid(steps, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_real_valued_spacings_may_have_more_steps_than_the_schedule() -> None:
    assert Schedule.preset("ddpm").grid(1500, "power:p=1.5").steps == 1500
    assert Schedule.preset("ddpm").grid(1500, "logsnr").steps == 1500


def test_whole_steps_may_come_from_numpy() -> None:
    assert Schedule.preset("ddpm").grid(np.int64(10)) == Schedule.preset("ddpm").grid(10)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(0.12, 6.0, 0.75), (0.06, 12.0, 0.0), (0.3, 2.0, 9.0)])
@pytest.mark.parametrize("preset", ["sd15", "ddpm", "cosine", "flow:shift=3"])
@pytest.mark.parametrize("steps", [1, 2, 10, 100, 500])
def test_bent_nodes_are_uniform_in_their_coordinate(preset: str, steps: int, shape: tuple[float, float, float]) -> None:
    schedule = Schedule.preset(preset)
    grid = schedule.grid(steps, "bent:A={},B={},C={}".format(*shape))
    small, large, weight = (mpmath.mpf(str(value)) for value in shape)
    begin, last = schedule.domain

    def coordinate(sbar: float, time: float) -> mpmath.mpf:
        s = mpmath.mpf(float(sbar))
        m = large if mpmath.isinf(s) else (s + small) / (1 + s / large)
        return mpmath.log(m) + weight * (float(time) - begin) / (last - begin)

    u = [coordinate(*node) for node in zip(grid.sbar[1:], grid.timesteps[1:], strict=True)]
    gaps = [after - before for before, after in pairwise(u)]
    assert all(abs(gap - gaps[0]) < 1e-9 for gap in gaps)
    least = 1 / (1 + 999 / mpmath.mpf(3)) if "flow" in preset else schedule.steps_offset
    lowest = float(schedule.alpha_sigma(float(least))[1] / schedule.alpha_sigma(float(least))[0])
    bottom = mpmath.log(small)
    if steps > 1 and grid.sbar[1] > lowest * (1 + 1e-9):
        # Not held up by the least timestep: sbar = 0 continues the sequence.
        assert abs(u[0] - bottom - gaps[0]) < 1e-9
    elif steps > 1:
        assert abs(grid.sbar[1] / lowest - 1) < 1e-9 and u[0] - bottom >= gaps[0] - 1e-9
    assert grid.timesteps[-1] == last and (grid.alpha[-1], grid.sigma[-1]) == schedule.alpha_sigma(last)


@pytest.mark.parametrize("spacing", ["designed", "free:s=0.02/0.3/0.8"])
def test_spacings_from_the_data_reach_zero_terminal_snr(spacing: str) -> None:
    schedule = Schedule.from_alphas_cumprod([0.99, 0.7, 0.4, 0.1, 0.0])
    grid = schedule.grid(4, spacing)
    assert (grid.alpha[-1], grid.sigma[-1], grid.timesteps[-1]) == (0.0, 1.0, 4.0)
    assert (np.diff(grid.timesteps[1:]) > 0).all()


@pytest.mark.parametrize("spacing", ["designed", "free:s=0.5"])
def test_spacings_from_the_data_refuse_a_schedule_that_ends_before_they_start(spacing: str) -> None:
    with pytest.raises(InputError, match="starts at timestep 3"):
        Schedule.from_betas([0.1, 0.1], steps_offset=3).grid(5, spacing)


#: What the spacing designed was before its parameters were data: sbar and timesteps of nodes 1 … 5.
BEFORE = {
    "sd15": (
        [0.16651945086228295, 0.5231134603093287, 1.2932297133028425, 3.4078049347493575, 14.614641229333634],
        [28.739947712533187, 179.3359747020891, 432.0392537690388, 705.4252985635237, 999.0],
    ),
    "flow:shift=3": (
        [0.1620177963111407, 0.530100924801082, 1.4475355358877346, 4.675614122057186, np.inf],
        [0.1394279819340727, 0.3464483395891005, 0.5914257483345203, 0.8238076129746573, 1.0],
    ),
}


@pytest.mark.parametrize("preset", BEFORE)
def test_bent_is_where_it_always_was(preset: str) -> None:
    grid = Schedule.preset(preset).grid(5, "bent:A=0.12,B=6,C=0.75")
    sbar, times = BEFORE[preset]
    # The logarithm and exponential of another machine may round otherwise.
    np.testing.assert_allclose(grid.sbar[1:], sbar, rtol=1e-14)
    np.testing.assert_allclose(grid.timesteps[1:], times, rtol=1e-14)
    named = Schedule.preset(preset).grid(5, "designed")
    assert named.spacing == "designed" and named == Schedule.preset(preset).grid(5, "bent:A=0.19,B=3.7,C=0.54")


# ---- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        *((name, name) for name in ("leading", "trailing", "linspace", "logsnr", "karras", "power:p=1.5")),
        ("karras:rho=7", "karras"), ("karras:rho=10/2", "karras:rho=5"), ("power:p=3/2", "power:p=1.5"),
        ("power: p = 1/3", "power:p=1/3"), ("bent:C=.75,B=6,A=0.12", "bent:A=0.12,B=6,C=0.75"),
        ("bent:A=1/3,B=1,C=0", "bent:A=1/3,B=1,C=0"), ("free:s=.1/0.50/85e-2", "free:s=0.1/0.5/0.85"),
        ("free:s=0.000001/0.5", "free:s=1e-06/0.5"),
    ],
)  # fmt: skip
def test_spacings_are_spelled_in_one_way(text: str, canonical: str) -> None:
    spacing = Spacing.read(text)
    assert str(spacing) == canonical and Spacing.read(canonical) == spacing and Spacing.read(spacing) is spacing
    assert Spacing(spacing.name, spacing.parameters) == spacing


def test_spacings_hold_exact_values_and_defaults() -> None:
    assert Spacing("karras") == Spacing.read("karras:rho=7") and Spacing("karras")["rho"] == 7
    assert Spacing.read("free:s=0.1/0.7")["s"] == (Fraction(1, 10), Fraction(7, 10))
    assert set(RULES) == {"leading", "trailing", "linspace", "logsnr", "karras", "power", "floored", "bent", "free"}


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("bend", (), "unknown spacing 'bend'; did you mean 'bent'"),
        ("power", (("p", 1.5),), "p = 1.5 must be a decimal"),
        ("power", (("p", Fraction(10) ** 300),), "p = 1e.300 must be a decimal"),
        ("free", (("s", (Fraction(1, 3),)),), "s = 1/3 must be knots, decimals"),
        ("free", (("s", ()),), "s =  must be knots"),
        ("bent", (("A", Fraction(1)),), "must give A, B, C"),
    ],
)
def test_wrong_parameters_are_named(name: str, parameters: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Spacing(name, parameters)


@pytest.mark.parametrize("rho", ["5", "1/2", "7"])
def test_karras_with_another_exponent(rho: str) -> None:
    grid = Schedule.preset("sd15").grid(9, f"karras:rho={rho}")
    warped = [mpmath.mpf(float(sbar)) ** (1 / mpmath.mpf(float(Fraction(rho)))) for sbar in grid.sbar[1:]]
    gaps = [after - before for before, after in pairwise(warped)]
    assert all(abs(gap / gaps[0] - 1) < 1e-11 for gap in gaps)


# ---- free ----------------------------------------------------------------------------------------------------------

KNOTS = st.lists(st.integers(1, 999), min_size=1, max_size=8, unique=True).map(
    lambda values: [Fraction(value, 1000) for value in sorted(values)]
)
SEVEN = "free:s=0.002/0.01/0.03/0.1/0.3/0.6/0.85"


def exact_cubic(knots: list[Fraction], u: Fraction) -> Fraction:
    """The monotone cubic in rational arithmetic, by its Bernstein coefficients."""
    r = [Fraction(0), *knots, Fraction(1)]
    rise = [b - a for a, b in pairwise(r)]
    inner = [2 / (1 / a + 1 / b) for a, b in pairwise(rise)]
    first, last = (max(Fraction(0), a + (a - b) / 2) for a, b in (rise[:2], rise[:-3:-1]))
    slopes = [first, *inner, last]
    j = min(int(u * len(rise)), len(rise) - 1)
    t = u * len(rise) - j
    points = [r[j], r[j] + slopes[j] / 3, r[j + 1] - slopes[j + 1] / 3, r[j + 1]]
    while len(points) > 1:
        points = [(1 - t) * a + t * b for a, b in pairwise(points)]
    return points[0]


@given(knots=KNOTS, u=st.lists(st.fractions(0, 1, max_denominator=10**4), min_size=1, max_size=20))
def test_the_monotone_cubic_is_that_of_scipy_and_of_rational_arithmetic(knots: list, u: list) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    own, at = MonotoneCubic(tuple(map(float, knots))), np.array([float(one) for one in u])
    nodes = np.linspace(0, 1, len(knots) + 2)
    theirs = interpolate.PchipInterpolator(nodes, [0.0, *map(float, knots), 1.0])(at)
    np.testing.assert_allclose(own(at), theirs, rtol=0, atol=1e-13)
    np.testing.assert_allclose(own(at), [float(exact_cubic(knots, one)) for one in u], rtol=1e-10, atol=1e-15)


@given(knots=KNOTS)
def test_the_monotone_cubic_goes_through_its_knots_and_back(knots: list) -> None:
    own, u = MonotoneCubic(tuple(map(float, knots))), np.linspace(0, 1, len(knots) + 2)
    np.testing.assert_allclose(own(u), [0, *map(float, knots), 1], rtol=0, atol=1e-14)
    assert (np.diff(own(np.linspace(0, 1, 1001))) > 0).all()
    for r in map(float, knots):
        assert own(np.array(own.inverse(r))) == pytest.approx(r, abs=1e-12)


@pytest.mark.parametrize("preset", ["sd15", "ddpm", "cosine", "flow", "flow:shift=3"])
@pytest.mark.parametrize("spacing", [SEVEN, "free:s=0.5", "free:s=0.9/0.95"])
@pytest.mark.parametrize("steps", [1, 2, 7, 100, 800])
def test_free_nodes_lie_on_the_cubic(preset: str, spacing: str, steps: int) -> None:
    interpolate, optimize = pytest.importorskip("scipy.interpolate"), pytest.importorskip("scipy.optimize")
    schedule = Schedule.preset(preset)
    grid = schedule.grid(steps, spacing)
    knots = [float(part) for part in spacing.partition("=")[2].split("/")]
    cubic = interpolate.PchipInterpolator(np.linspace(0, 1, len(knots) + 2), [0.0, *knots, 1.0])
    s = grid.sigma[1:] / (grid.alpha[1:] + grid.sigma[1:])
    least = 1 / (1 + 999 / (3 if "shift" in preset else 1)) if "flow" in preset else float(schedule.steps_offset)
    alpha, sigma = schedule.alpha_sigma(least)
    floor = float(sigma / (alpha + sigma)) / s[-1]
    first = 1 / steps
    if steps > 1 and cubic(first) < floor:
        assert (grid.alpha[1], grid.sigma[1]) == (alpha, sigma) and grid.timesteps[1] == least
        first = optimize.brentq(lambda u: cubic(u) - floor, 0, 1, xtol=1e-15)
    np.testing.assert_allclose(s / s[-1], cubic(np.linspace(first, 1, steps)), rtol=1e-9, atol=0)
    last = schedule.domain[1]
    assert grid.timesteps[-1] == last and (grid.alpha[-1], grid.sigma[-1]) == schedule.alpha_sigma(last)
    assert grid.spacing == spacing


def test_free_with_even_knots_is_even_in_the_flow_s_time() -> None:
    grid = Schedule.preset("flow").grid(40, "free:s=0.25/0.5/0.75")
    np.testing.assert_allclose(grid.sigma, Schedule.preset("flow").grid(40, "trailing").sigma, rtol=1e-14)


@pytest.mark.parametrize(("preset", "offset"), [("sd15", 1), ("ddpm", 0)])
@pytest.mark.parametrize("steps", [1, 2, 10, 50, 400])
def test_floored_is_power_with_a_floor(preset: str, offset: int, steps: int) -> None:
    found = Schedule.preset(preset).grid(steps, "floored:p=2.5").timesteps[1:]
    plain = Schedule.preset(preset).grid(steps, "power:p=2.5").timesteps[1:]
    assert found[-1] == 999 and found[0] == max(plain[0], offset)
    if plain[0] >= offset:
        assert np.array_equal(found, plain)
    else:
        u = ((found + 1) / 1000) ** (1 / 2.5)
        assert np.allclose(np.diff(u), (1 - u[0]) / (steps - 1), rtol=1e-9)


def test_floored_starts_at_the_flow_s_least_time() -> None:
    schedule = Schedule.preset("flow", shift=3)
    found, plain = (schedule.grid(100, f"{name}:p=2.5") for name in ("floored", "power"))
    least = (1 / 1000) * 3 / (1 + 2 / 1000)
    assert found.sigma[1] == pytest.approx(least, rel=1e-12) and plain.sigma[1] < least
    assert np.array_equal(schedule.grid(10, "floored:p=2.5").sigma, schedule.grid(10, "power:p=2.5").sigma)


def test_a_floor_above_the_schedule_is_refused() -> None:
    with pytest.raises(InputError, match="spacing 'floored' starts at timestep 3"):
        Schedule.from_betas([0.1, 0.1], steps_offset=3).grid(5, "floored:p=2")


@pytest.mark.parametrize("preset", ["sd15", "cosine"])
def test_a_karras_exponent_too_small_for_floats_is_refused(preset: str) -> None:
    with pytest.raises(InputError, match="rho is too small"):
        Schedule.preset(preset).grid(5, "karras:rho=0.001")
