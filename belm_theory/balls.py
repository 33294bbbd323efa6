"""Ball arithmetic: rigorous enclosures of stability constants on concrete grids. The one module here with real numbers.

Every quantity is an Arb ball that contains the exact value. A schedule's levels come from the exact definition of its
betas,

    sd15   beta_t = (sqrt(17/20000) + t/999·(sqrt(3/250) - sqrt(17/20000)))²
    ddpm   beta_t = 1/10000 + t/999·(1/50 - 1/10000)
    sbar(t) = sqrt(1/alphabar - 1),    alphabar = Π_{s <= t} (1 - beta_s),

or from a grid's stored numbers read as exact binary fractions. The companion matrices are built from weights that the
caller computes with the generated functions, the very code that runs. Over all contiguous products

    K = max(1, max ‖R … R‖_oo)

is enclosed by the largest lower and the largest upper bound of the norms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

from flint import arb, arb_mat, ctx, fmpq

#: Working precision in bits: products over 1 000 steps grow by far less than 2^100.
PRECISION = 256

#: The betas of the schedules that have an exact definition, as certificates write them.
DEFINITIONS: dict[str, dict[str, Any]] = {
    "ddpm": {"betas": "linear", "low": "1/10000", "high": "1/50", "steps": 1000},
    "sd15": {"betas": "scaled_linear", "low": "17/20000", "high": "3/250", "steps": 1000},
}

Ball = arb
Rows = Sequence[Sequence[arb]]


@dataclass(frozen=True)
class Enclosure:
    """lower <= K <= upper, exact rationals."""

    lower: Fraction
    upper: Fraction

    def decimals(self, digits: int = 12) -> dict[str, str]:
        """Decimal strings, rounded outwards to the given number of significant digits."""
        return {"lower": _outward(self.lower, digits, up=False), "upper": _outward(self.upper, digits, up=True)}


def exact(value: Fraction | int) -> arb:
    """The ball of radius zero (up to the working precision) at a rational."""
    ctx.prec = PRECISION
    number = Fraction(value)
    return arb(fmpq(number.numerator, number.denominator))


def logarithm(value: arb) -> arb:
    """The natural logarithm of a positive ball."""
    ctx.prec = PRECISION
    return value.log()


def training_betas(schedule: str) -> list[arb]:
    """beta_0 … beta_{T-1} of ``sd15`` or ``ddpm``, from their definition.

    Raises:
        KeyError: for a schedule without an exact definition here.
    """
    definition = DEFINITIONS[schedule]
    low, high, steps = exact(Fraction(definition["low"])), exact(Fraction(definition["high"])), definition["steps"]
    scaled_linear = definition["betas"] == "scaled_linear"
    if scaled_linear:
        low, high = low.sqrt(), high.sqrt()
    line = [low + exact(Fraction(t, steps - 1)) * (high - low) for t in range(steps)]
    return [beta**2 for beta in line] if scaled_linear else line


def inference_timesteps(steps: int, spacing: str, offset: int, total: int = 1000) -> list[int]:
    """The timesteps of the nodes 1 … N where N divides T: leading (i - 1)·T/N + offset, trailing i·T/N - 1."""
    stride = total // steps
    return [(i - 1) * stride + offset if spacing == "leading" else i * stride - 1 for i in range(1, steps + 1)]


def schedule_levels(schedule: str, timesteps: Iterable[int]) -> list[tuple[arb, arb]]:
    """(alpha, sigma) at whole training timesteps, enclosed."""
    wanted = list(timesteps)
    product, alphabar = exact(1), []
    for beta in training_betas(schedule):
        product = product * (1 - beta)
        alphabar.append(product)
    return [(alphabar[t].sqrt(), (1 - alphabar[t]).sqrt()) for t in wanted]


def upper(ball: arb) -> Fraction:
    """An exact upper bound of a ball."""
    return _rational(ball.upper())


def failing_nodes(sbar: Sequence[Any]) -> list[int]:
    """The nodes i in 1 … N-1 at which h_i < h_{i+1} is false, h_i = sbar_i - sbar_{i-1}; balls or exact fractions.

    Raises:
        ArithmeticError: if two balls are too close to be compared at the working precision.
    """
    h = [after - before for before, after in pairwise(sbar)]
    failing = []
    for i, (here, next_step) in enumerate(pairwise(h), 1):
        if not here < next_step:
            if not here >= next_step:
                raise ArithmeticError(f"h_{i} and h_{i + 1} cannot be compared with {PRECISION} bits")
            failing.append(i)
    return failing


def matrix(rows: Rows) -> arb_mat:
    """A matrix of balls."""
    return arb_mat([list(row) for row in rows])


def companion(a: Sequence[arb]) -> arb_mat:
    """The companion matrix of X_{i-1} = Σ a_j X_{i-1+j} on (X_i, …, X_{i+k-1})."""
    k = len(a)
    return arb_mat([list(a)] + [[int(row == column) for column in range(k)] for row in range(k - 1)])


def scaled(a: Sequence[arb], w: Sequence[arb]) -> list[arb]:
    """The weights of x instead of X: w_0·a_j/w_j, with w_0 … w_k at the nodes of the relation."""
    return [w[0] * weight / w[j] for j, weight in enumerate(a, 1)]


def enclose(matrices: Sequence[arb_mat], progress: Callable[[int, int], None] | None = None) -> Enclosure:
    """K over all contiguous products, matrices in the order in which the steps are made."""
    ctx.prec = PRECISION
    lower, upper = exact(1), exact(1)
    products: list[arb_mat] = []
    for n, step in enumerate(matrices, 1):
        products = [step * product for product in products]
        products.append(step)
        for product in products:
            for line in product.table():
                norm = sum((abs(entry) for entry in line), arb(0))
                lower, upper = lower.max(norm.lower()), upper.max(norm.upper())
        if progress:
            progress(n, len(matrices))
    return Enclosure(_rational(lower.lower()), _rational(upper.upper()))


def _rational(point: arb) -> Fraction:
    number = point.fmpq()
    return Fraction(int(number.p), int(number.q))


def _outward(value: Fraction, digits: int, up: bool) -> str:
    """A decimal string not below (up) or not above the value; in scientific notation from 10^15 on."""
    exponent = _decimal_exponent(value)
    if exponent >= 15:
        unit = Fraction(10) ** (exponent - digits + 1)
        text = str(ceil(value / unit) if up else floor(value / unit))
        # Rounding 9.99… up gives one digit more.
        return f"{text[0]}.{text[1:digits]}e+{exponent + len(text) - digits}"
    places = max(digits - 1 - exponent, 0)
    scaled_value = value * 10**places
    whole = ceil(scaled_value) if up else floor(scaled_value)
    text = str(whole).zfill(places + 1)
    return text if places == 0 else f"{text[:-places]}.{text[-places:]}"


def _decimal_exponent(value: Fraction) -> int:
    """The m >= 0 with 10^m <= value < 10^(m + 1); 0 below 1. Without strings, whose length Python limits."""
    exponent = max((value.numerator.bit_length() - value.denominator.bit_length() - 1) * 30103 // 100000, 0)
    power = Fraction(10**exponent)
    while value >= 10 * power:
        exponent, power = exponent + 1, 10 * power
    while exponent and value < power:
        exponent, power = exponent - 1, power / 10
    return exponent
