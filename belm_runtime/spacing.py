"""Spacings by name: a rule with its parameters, ``power:p=1.5``; a string and an object are the same thing.

Training timesteps are 0 … T − 1, ⌊⌉ rounds half to even:

    leading       t_i = (i − 1)·⌊T/N⌋ + steps_offset
    linspace      t_i = ⌊(i − 1)(T − 1)/(N − 1)⌉, t_1 = 0 for N = 1
    trailing      t_i = ⌊i·T/N⌉ − 1
    logsnr        log sbar uniform from timestep 0 to timestep T − 1
    karras:rho    sbar^(1/rho) uniform from timestep 0 to T − 1, rho = 7 (Karras et al., arXiv 2206.00364, eq 5)
    power:p       t_i = T·(i/N)^p − 1, not rounded; below 0 the time is taken literally
    floored:p     t_i = T·u_i^p − 1, u_i = i/N
    bent:A,B,C    log m + C·tau uniform, m = (sbar + A)/(1 + sbar/B), tau = (t + 1)/T (`belm_runtime.bent`)
    free:s        s = sbar/(1 + sbar) on a monotone cubic through knots at equal distances (`belm_runtime.free`)

The first three are the choices of arXiv 2305.08891, table 2, as diffusers computes them. The last three begin at
sbar = 0 for i = 0 and end at timestep T − 1; node 1 does not go below timestep steps_offset, and where it would, the
others are uniform from there on. On the flow, time is u in 0 … 1 and then shifted, t = shift·u/(1 + (shift − 1)·u)
(Esser et al., arXiv 2403.03206, eq 23):

    trailing      u_i = i/N
    linspace      u_i uniform from u_1 = the least training time to u_N = 1
    power:p       u_i = (i/N)^p

and floored, bent (tau = sigma) and free are the same there, from the least training time to sbar = oo. Where the nodes
of a rule lie is computed in `belm_runtime.placement`. What `belm design` found goes by the name of a design
(`belm_runtime.designs`), not of a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from belm_runtime.errors import InputError, unknown
from belm_runtime.number import decimal, exact

Value = Fraction | tuple[Fraction, ...]

#: What a float can hold, and more than any rule can use.
_MOST = 10**300


@dataclass(frozen=True)
class Parameter:
    """A parameter of a rule.

    Attributes:
        example: a value as it is written.
        right: what it must be, in words.
        default: its value where none is given; None: it must be given.
        zero: whether 0 is allowed; below 0 nothing is.
        knots: whether it is a list of increasing numbers between 0 and 1, written 0.1/0.5.
    """

    example: str
    right: str = "a decimal or a fraction > 0"
    default: Fraction | None = None
    zero: bool = False
    knots: bool = False

    def read(self, text: str) -> Value | None:
        """The value that a text writes; None if it writes none."""
        if not self.knots:
            return exact(text)
        read = tuple(exact(part) for part in text.split("/"))
        found = tuple(value for value in read if value is not None)
        return found if len(found) == len(read) else None

    def allows(self, value: object) -> bool:
        """Whether a value is of the right kind and in its range."""
        if not self.knots:
            if not isinstance(value, Fraction) or not 0 <= value < _MOST:
                return False
            return float(value) > 0 or (self.zero and value == 0)
        if not (isinstance(value, tuple) and value and all(isinstance(one, Fraction) for one in value)):
            return False
        ends = (Fraction(0), *value, Fraction(1))
        return all(a < b for a, b in pairwise(ends)) and "/" not in "".join(map(decimal, value))


#: Every rule, and its parameters in the order in which they are written.
RULES: Mapping[str, Mapping[str, Parameter]] = {
    "leading": {}, "trailing": {}, "linspace": {}, "logsnr": {},
    "karras": {"rho": Parameter("5", default=Fraction(7))},
    "power": {"p": Parameter("1.5")}, "floored": {"p": Parameter("2.5")},
    "bent": {
        "A": Parameter("0.12"), "B": Parameter("6"), "C": Parameter("0.75", "a decimal or a fraction ≥ 0", zero=True),
    },
    "free": {
        "s": Parameter("0.03/0.3/0.85", "knots, decimals of up to 12 digits that increase between 0 and 1", knots=True),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Spacing:
    """A rule with its parameters.

    Attributes:
        name: one of `RULES`.
        parameters: pairs (name, exact value) in the rule's order, defaults filled in.
    """

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the rule does not take.

        Raises:
            InputError: an unknown rule, a parameter too many or missing, or one outside its range.
        """
        if self.name not in RULES:
            raise unknown("spacing", self.name, RULES)
        declared, given = RULES[self.name], dict(self.parameters)
        _check_names(self.name, given, self.name)
        for name, value in given.items():
            if not declared[name].allows(value):
                raise _wrong(self.name, name, value if isinstance(value, str) else _spelled(value))
        values = {name: given.get(name, parameter.default) for name, parameter in declared.items()}
        object.__setattr__(self, "parameters", tuple(values.items()))
        if self.name == "bent" and not given["A"] < given["B"]:  # type: ignore[operator]
            raise InputError(f"spacing {str(self)!r}: A must be below B, as in {_example('bent')!r}")

    @classmethod
    def read(cls, text: object) -> Spacing:
        """The spacing that a string names; an object is returned as it is.

        Raises:
            InputError: an unknown rule, or a parameter that is missing, unknown, no number or out of range.
        """
        if isinstance(text, Spacing):
            return text
        rule, given = read_name(text)
        if rule not in RULES:
            raise unknown("spacing", rule, RULES)
        _check_names(rule, given, str(text))
        values = {}
        for name, written in given.items():
            value = RULES[rule][name].read(written)
            if value is None or not RULES[rule][name].allows(value):
                raise _wrong(rule, name, written)
            values[name] = value
        return cls(rule, tuple(values.items()))

    def __getitem__(self, name: str) -> Value:
        """The exact value of a parameter."""
        return dict(self.parameters)[name]

    def number(self, name: str) -> float:
        """The value of a parameter that is one number."""
        return float(self[name])  # type: ignore[arg-type]

    def __str__(self) -> str:
        """As it is written, ``power:p=1.5``; what has its default is left out."""
        declared = RULES[self.name]
        said = [f"{name}={_spelled(value)}" for name, value in self.parameters if value != declared[name].default]
        return f"{self.name}:{','.join(said)}" if said else self.name


def read_name(text: object) -> tuple[str, dict[str, str]]:
    """``"power:p=1.5"`` split into ``("power", {"p": "1.5"})``.

    Raises:
        InputError: the text is no string, a parameter is not written key=value, or is given twice.
    """
    if not isinstance(text, str):
        raise InputError(f"a name such as 'leading' or 'power:p=1.5' was expected, not {text!r}")
    name, colon, rest = text.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",")] if colon else []
    if not all(key.strip() and equals and value.strip() for key, equals, value in pairs):
        raise InputError(f"parameters in {text!r} must read key=value, as in 'power:p=1.5'")
    found = {key.strip(): value.strip() for key, _, value in pairs}
    if len(found) < len(pairs):
        raise InputError(f"{text!r} gives a parameter twice")
    return name.strip(), found


def _check_names(rule: str, given: Mapping[str, object], text: str) -> None:
    declared = RULES[rule]
    needed = {name for name, parameter in declared.items() if parameter.default is None}
    if given and not declared:
        raise InputError(f"spacing {rule!r} takes no parameter, but {text!r} gives one")
    if not needed <= set(given) <= set(declared):
        raise InputError(f"spacing {text!r} must give {', '.join(declared)} and nothing else, as in {_example(rule)!r}")


def _wrong(rule: str, name: str, written: str) -> InputError:
    parameter = RULES[rule][name]
    return InputError(f"spacing {rule!r}: {name} = {written} must be {parameter.right}, as in {_example(rule)!r}")


def _example(rule: str) -> str:
    return f"{rule}:" + ",".join(f"{name}={parameter.example}" for name, parameter in RULES[rule].items())


def _spelled(value: object) -> str:
    """A number or knots as they are written."""
    if isinstance(value, tuple):
        return "/".join(map(_spelled, value))
    return decimal(value) if isinstance(value, Fraction) else repr(value)
