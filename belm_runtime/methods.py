"""Methods by name: strings and objects are the same thing.

A method string is a family with its parameters, ``blend:k=3,theta=0.8``. Decimals are read as exact fractions. The
families, their parameters, ranges and coefficient functions come from the generated catalogue; nothing is
declared here.

    methods.blend(k=3, theta="4/5") == methods.parse("blend:k=3,theta=0.8")

A design (`belm_runtime.designs`) stands for a member that may depend on the number of steps N of the grid: ``designed``
is ``blend:k=3,theta=(N/(N + 9.3))^2``, an outcome of `belm design`. The path of a design's file does as well.

``exp-`` before the name of a relation makes its exponential variant: the same weights a, slopes interpolated in log-SNR
(`belm_runtime.exponential`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from belm_runtime import designs
from belm_runtime._generated.catalogue import FACTS, FAMILIES
from belm_runtime.errors import InputError, unknown
from belm_runtime.frame import Frame
from belm_runtime.number import exact

Number = int | float | str | Fraction

#: What the names of exponential variants begin with.
EXPONENTIAL = designs.EXPONENTIAL
#: Decimals up to this length are written without an exponent.
_SHORT = 24


@dataclass(frozen=True)
class Method:
    """A member of the catalogue.

    Attributes:
        family: e.g. ``blend``.
        parameters: pairs (name, exact value) in the family's order.
        exponential: whether slopes are interpolated in log-SNR instead of in the frame's coordinate.
    """

    family: str
    parameters: tuple[tuple[str, Fraction], ...]
    exponential: bool = False

    def __str__(self) -> str:
        """The canonical string, decimals where they are exact."""
        return self._named(_written)

    @property
    def brief(self) -> str:
        """The string for messages: a parameter of many digits is rounded, as in ``theta=1e-300``."""
        return self._named(lambda value: min(_written(value), f"{float(value):.6g}", key=len))

    def _named(self, write: Callable[[Fraction], str]) -> str:
        written = ",".join(f"{name}={write(value)}" for name, value in self.parameters)
        name = f"{EXPONENTIAL * self.exponential}{self.family}"
        return f"{name}:{written}" if written else name

    @property
    def plain(self) -> Method:
        """The method with the same weights a whose slopes are polynomials in the frame's coordinate."""
        return replace(self, exponential=False)

    @property
    def _family(self) -> Mapping[str, Any]:
        return FAMILIES[self.family]

    @property
    def _member(self) -> Mapping[str, Any]:
        whole = {p["name"] for p in self._family["parameters"] if p["whole"]}
        return self._family["members"][tuple(int(value) for name, value in self.parameters if name in whole)]

    @property
    def k(self) -> int:
        """The number of steps of the relation (2 for EDICT)."""
        return self._member["k"]

    @property
    def frame(self) -> Frame:
        """The natural frame; noise for exponential variants."""
        return Frame.parse("noise") if self.exponential else Frame.parse(self._family["frame"])

    @property
    def stages(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Targets and operands of a two-register scheme; empty for a relation."""
        return self._family["stages"]

    @property
    def has_inverse(self) -> bool:
        """Whether the oldest state enters, a_k != 0; the sign of a_k is the same on every grid."""
        if self.stages:
            return True
        ones = {f"h{j}": Fraction(1) for j in range(1, self.k + 1)}, {f"w{j}": Fraction(1) for j in range(self.k + 1)}
        a, _ = self.plain.coefficients(*ones, convert=Fraction)
        return a[-1] != 0

    @property
    def needs_positive_steps(self) -> bool:
        """Whether the weights depend on the lengths of the steps, so that the rule is for positive ones."""
        return self._family["lengths"]

    @property
    def source(self) -> str:
        """Paper and equation."""
        return self._family["source"] + "; slopes in log-SNR" * self.exponential

    def coefficients(
        self, h: Mapping[str, Any], w: Mapping[str, Any], convert: Callable[[Fraction], Any] = float
    ) -> Any:
        """The generated function at steps h1 … hk (and frame weights w0 … wk): (a, b), or the stages' weights.

        Args:
            h: steps by name, numbers or arrays.
            w: frame weights by name.
            convert: makes the scalar of a parameter from its exact value; ``Fraction`` keeps it exact.

        Raises:
            InputError: an exponential variant, whose b depends on the levels; its a are those of `plain`.
        """
        if self.exponential:
            raise InputError(f"{self}: slope weights in log-SNR are no function of the steps; make a table on a grid")
        module = importlib.import_module(f"belm_runtime._generated.{self._family['module']}")
        scalars = {name: convert(value) for name, value in self.parameters}
        values = {**scalars, **h, **w}
        return getattr(module, self._member["function"])(*(values[name] for name in self._member["arguments"]))


def with_damping(method: str, damping: Fraction | None, steps: int) -> Method:
    """A design's method on a grid of N steps: with a damping m, theta is (N/(N + m))^(k - 1).

    Raises:
        InputError: no method, a damping of a method that has no theta to fill in, or one of too many digits.
    """
    bare = parse(method)
    if damping is None:
        return bare
    if "theta" not in dict(bare.parameters):
        raise InputError(f"a damping fills in theta, but {bare.family!r} has none; use blend, or no damping")
    if "theta" in read(method)[1]:
        raise InputError(f"a damping fills in theta, but {method!r} gives one; leave out the one or the other")
    theta = (Fraction(steps) / (steps + damping)) ** (bare.k - 1)
    if exact(theta) is None:
        raise InputError(f"damping {float(damping):g} makes theta too long a fraction on {steps} steps; round it")
    return parse(f"{method.strip()}{',' if ':' in method else ':'}theta={theta}")


def parse(method: Method | str, steps: int | None = None) -> Method:
    """The method a string names.

    Args:
        method: a string, or a method, returned as it is.
        steps: N of the grid, which a design with a damping depends on.

    Raises:
        InputError: unknown family or parameter, value outside its range; the message says what would be right.
    """
    if isinstance(method, Method):
        return method
    text = str(method).strip()
    design = designs.find(method)
    if design is not None:
        found = with_damping(design.method, design.damping, 50 if steps is None else steps)
        if steps is None and design.damping is not None:
            raise InputError(f"the method {method!r} depends on the number of steps; at 50 it is {found}")
        return found
    family, values = read(text)
    return make(family, **values)


def exponential(method: Method) -> Method:
    """The exponential variant of a relation: the same weights a, slopes interpolated in log-SNR.

    Raises:
        InputError: a two-register method, or one that is exponential already.
    """
    if method.stages or method.exponential:
        reason = "has two registers and no interpolated slopes" if method.stages else "is exponential already"
        raise InputError(f"{method} {reason}; {EXPONENTIAL} goes before a relation, as in exp-blend:k=3")
    return replace(method, exponential=True)


def read(text: str, kind: str = "method", example: str = "blend:k=3,theta=0.8") -> tuple[str, dict[str, str]]:
    """The family and the parameters that a method string gives, as they are written; nothing is filled in.

    Args:
        text: the string.
        kind: what it is, for messages; others are written in the same way.
        example: a right one.

    Raises:
        InputError: an item that is not name=value, or a name given twice.
    """
    family, _, rest = text.strip().partition(":")
    values: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not (equals and name and value):
            raise InputError(f"{kind} {text!r}: {item!r} is not of the form name=value, as in {example}")
        if name in values:
            raise InputError(f"{kind} {text!r}: {name!r} is given twice")
        values[name] = value
    return family, values


def make(family: str, /, **values: Number) -> Method:
    """The method of that family with the given parameters; see `parse` for what is refused."""
    if family.startswith(EXPONENTIAL):
        return exponential(make(family.removeprefix(EXPONENTIAL), **values))
    if family not in FAMILIES:
        if family in designs.shipped():
            raise InputError(
                f"{family!r} is a design, not a method: it stands alone, without {EXPONENTIAL} or parameters"
            )
        raise unknown("method", family, (*FAMILIES, *designs.shipped(), designs.BY_PATH))
    declared = {p["name"]: p for p in FAMILIES[family]["parameters"]}
    for name in values:
        if name not in declared:
            allowed = ", ".join(declared) or "none"
            raise InputError(f"method {family!r} has no parameter {name!r}; it has: {allowed}")
    checked: dict[str, Fraction] = {}
    for name, p in declared.items():
        shape, size = next(iter(checked.items()), ("", Fraction(0)))  # the shape is declared first
        if p["since"] <= size:
            checked[name] = _checked(family, p, values.get(name))
        elif name in values:
            raise InputError(f"method {family!r} with {shape} = {size} has no {name}")
    return Method(family, tuple(checked.items()))


def _checked(family: str, parameter: Mapping[str, Any], given: Number | None) -> Fraction:
    name, low, high = parameter["name"], parameter["low"], parameter["high"]
    text = parameter["default"] if given is None else str(given)
    if text is None:
        raise InputError(f"method {family!r} needs {name}, a whole number from {low} to {high}: {family}:{name}={low}")
    value = exact(text)
    if value is None:
        raise InputError(f"method {family!r}: {name} = {text[:40]!r} is not a number")
    above = low < value if parameter["open_low"] else low <= value
    if not (above and value <= high) or (parameter["whole"] and value.denominator != 1):
        kind = "a whole number in [" if parameter["whole"] else "in (" if parameter["open_low"] else "in ["
        raise InputError(f"method {family!r}: {name} = {text} is outside its range; it must be {kind}{low}, {high}]")
    return value


def catalogue() -> list[dict[str, Any]]:
    """The computed facts of the listed members: order, inverse, stability both ways, source."""
    return [dict(fact) for fact in FACTS]


def _written(value: Fraction) -> str:
    """A decimal if it is exact and short, else the shortest of decimal, exponent and p/q."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1:
        return str(value)
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = str((value * 10**digits).numerator)
    if digits == 0:
        return whole
    scaled = whole.zfill(digits + 1)
    plain = f"{scaled[:-digits]}.{scaled[-digits:]}"
    return plain if len(plain) <= _SHORT else min(plain, f"{whole}e-{digits}", str(value), key=len)


def __getattr__(name: str) -> Callable[..., Method]:
    """``methods.blend``, ``methods.o_belm``, … : one constructor per family of the catalogue."""
    family = name.replace("_", "-") if name.replace("_", "-") in FAMILIES else name
    if family not in FAMILIES:
        raise AttributeError(f"module 'belm_runtime.methods' has no attribute {name!r}")
    return partial(make, family)
