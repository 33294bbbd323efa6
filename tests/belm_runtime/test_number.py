"""Decimals are exact, and absurd exponents are refused at once instead of being computed."""

from __future__ import annotations

from fractions import Fraction

import pytest

from belm_runtime import InputError, Sampler, Schedule, methods
from belm_runtime.frame import Frame
from belm_runtime.number import exact


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.8", Fraction(4, 5)), ("4/5", Fraction(4, 5)), (0.1, Fraction(1, 10)), (" 2 ", Fraction(2)),
     ("1e-3", Fraction(1, 1000))],
)  # fmt: skip
def test_what_is_written_is_what_is_read(text: object, value: Fraction) -> None:
    assert exact(text) == value


@pytest.mark.parametrize("text", ["1e-999999999", "1E400", "1/0", "nan", "inf", "", "x", "1" * 61])
def test_what_is_no_sensible_number_is_none(text: str) -> None:
    assert exact(text) is None


@pytest.mark.parametrize("text", ["1e-999999999", "1e400"])
def test_absurd_parameters_are_one_clear_error(text: str) -> None:
    schedule = Schedule.preset("ddpm")
    for call in (
        lambda: methods.parse(f"bdia:gamma={text}"),
        lambda: Frame.parse(f"q={text}"),
        lambda: schedule.grid(10, f"power:p={text}"),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.parametrize("method", ["ddim", "bdia:gamma=0", "adams:m=2"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_method_without_inverse_is_refused_on_short_grids_too(method: str, steps: int) -> None:
    grid = Schedule.preset("ddpm").grid(steps)
    with pytest.raises(InputError, match="cannot be inverted exactly"):
        Sampler(method, grid).invert(lambda x, t: x, grid.noise((1, 3), seed=0))
