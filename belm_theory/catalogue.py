"""The catalogue: every method as a rule for its weights a, from which everything else is computed.

To add a method write a builder that returns a `Relation` (or a `TwoRegister`), and register it in `FAMILIES` with
its parameters. `belm generate` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import sympy as sp
from sympy import Expr

from belm_theory.frame import FLOW, NOISE, Frame
from belm_theory.grid import steps, weights
from belm_theory.maximal import maximal_order
from belm_theory.method import Method, Relation, Stage, TwoRegister
from belm_theory.quadrature import slope_weights
from belm_theory.quotient import factored


@dataclass(frozen=True)
class Parameter:
    """A parameter of a family and the values it may take.

    Attributes:
        name: as written in method strings.
        symbol: None for an integer that shapes the method (k, m), else the symbol in its coefficients.
        low: smallest value; excluded when `open_low`.
        high: largest value.
        default: taken when the method string leaves the parameter out; None if it must be given.
        open_low: whether `low` itself is refused.
        since: the smallest shape whose members have it, e.g. 4 for a_4.
    """

    name: str
    symbol: sp.Symbol | None
    low: int
    high: int
    default: sp.Rational | None
    open_low: bool = False
    since: int = 0

    def check(self, value: sp.Expr) -> sp.Rational:
        """The value as an exact rational, or a ValueError that names the range."""
        try:
            number = sp.Rational(str(value))
        except (TypeError, ZeroDivisionError):
            raise ValueError(f"{self.name} = {value} is not an exact number such as 0.8 or 4/5") from None
        inside = (self.low < number if self.open_low else self.low <= number) and number <= self.high
        whole = self.symbol is not None or number.is_integer
        if not (inside and whole):
            kind = "a whole number in [" if self.symbol is None else ("in (" if self.open_low else "in [")
            raise ValueError(f"{self.name} = {value} is outside its range; it must be {kind}{self.low}, {self.high}]")
        return number


@dataclass(frozen=True)
class Family:
    """A named rule for making methods.

    Attributes:
        name: as in method strings.
        parameters: in the order of method strings.
        frame: the natural frame.
        build: makes the method from its parameters, integers for shapes and expressions for the rest.
        source: paper and equation, or textbook name.
        theorem: the statement that the generated coefficients rest on.
        lengths: whether the weights depend on the lengths of the steps, not on their ratios alone; such a rule is for
            frames with positive steps.
    """

    name: str
    parameters: tuple[Parameter, ...]
    frame: Frame
    build: Callable[..., Method]
    source: str
    theorem: str
    lengths: bool = False

    def __call__(self, **values: Expr) -> Method:
        """The member with the given parameter values; symbols stay where none is given."""
        names = {p.name for p in self.parameters}
        if extra := sorted(set(values) - names):
            raise ValueError(f"{self.name} has no parameter {extra[0]!r}; it has: {', '.join(sorted(names)) or 'none'}")
        whole = [p for p in self.parameters if p.symbol is None]
        for p in whole:
            if p.name not in values:
                raise ValueError(f"{self.name} needs {p.name}, a whole number in [{p.low}, {p.high}]")
        shape = {p.name: int(p.check(values[p.name])) for p in whole}
        own = {p.name for p in self.own(shape)}
        if absent := sorted(set(values) - own):
            (size,) = shape.items()
            raise ValueError(f"{self.name} with {size[0]} = {size[1]} has no {absent[0]}")
        real = [p for p in self.parameters if p.symbol and p.name in own]
        free = {p.name: p.check(values[p.name]) for p in real if p.name in values}
        symbolic = {p.name: p.symbol for p in real if p.name not in values}
        return _build(self.build, *sorted({**shape, **free, **symbolic}.items()))

    def own(self, shape: Mapping[str, sp.Rational | int]) -> tuple[Parameter, ...]:
        """The parameters that members of a shape have."""
        return tuple(p for p in self.parameters if p.since <= max(shape.values(), default=0))

    def shapes(self) -> tuple[dict[str, sp.Rational], ...]:
        """All integer-parameter choices: one generated function each."""
        shape = [p for p in self.parameters if p.symbol is None]
        if not shape:
            return ({},)
        (only,) = shape
        return tuple({only.name: sp.Integer(value)} for value in range(only.low, only.high + 1))


@cache
def _build(build: Callable[..., Method], *parameters: tuple[str, Expr]) -> Method:
    """Methods are immutable, so each is derived once."""
    return build(**dict(parameters))


def interpolatory(name: str, frame: Frame, a: tuple[Expr, ...], **extra: tuple[sp.Symbol, ...]) -> Relation:
    """The relation with weights a whose b integrates f exactly for degree <= k-2 (the BELM map)."""
    k = len(a)
    h = steps(k)
    return Relation(name, k, frame, a, slope_weights(a, h), h, **extra)


def adams(m: int) -> Relation:
    """Adams–Bashforth with m slopes: a = (1, 0, …, 0), k = m + 1."""
    a = (sp.Integer(1),) + (sp.Integer(0),) * m
    return interpolatory(f"adams:m={m}", FLOW, a)


def ddim() -> Relation:
    """DDIM is Adams–Bashforth 1, explicit Euler, in every frame."""
    euler = adams(1)
    return Relation("ddim", 2, FLOW, euler.a, euler.b, euler.h)


def open_belm(k: int) -> Relation:
    """Open Newton–Cotes: a = (0, …, 0, 1); k = 4 on a uniform grid is Milne's predictor."""
    a = (sp.Integer(0),) * (k - 1) + (sp.Integer(1),)
    return interpolatory(f"open:k={k}", FLOW, a)


def blend(k: int, theta: Expr) -> Relation:
    """From Adams–Bashforth (theta -> 0) to open Newton–Cotes (theta = 1): a = (1 - theta, 0, …, 0, theta)."""
    a = (1 - theta,) + (sp.Integer(0),) * (k - 2) + (theta,)
    free = (theta,) if isinstance(theta, sp.Symbol) else ()
    return interpolatory(f"blend:k={k},theta={theta}", FLOW, a, parameters=free)


def echo(k: int, theta: Expr) -> Relation:
    """Adams–Bashforth with an echo of the oldest step: X_{i-1} - X_i = -theta(X_{i+k-2} - X_{i+k-1}) + slopes.

    rho = (z - 1)(z^{k-1} + theta): all parasitic roots have one modulus; theta = 1 is symmetric in time.
    """
    a = [sp.Integer(0)] * k
    a[0] += 1
    a[-2] -= theta
    a[-1] += theta
    free = (theta,) if isinstance(theta, sp.Symbol) else ()
    return interpolatory(f"echo:k={k},theta={theta}", FLOW, tuple(a), parameters=free)


def damped(k: int, m: Expr) -> Relation:
    """A blend whose theta follows the step: theta = 1/(1 + m·(h_2 + … + h_k)), so that m = 0 is open BELM.

    X_{i-1} = X_i - theta·(X_i - X_{i+k-1}): what is damped is a difference over the length h_2 + … + h_k, and by how
    much is proportional to this length. So the inverse amplifies by a factor that the whole length of the grid bounds,
    however many steps it has (derivations/damped_inversion_is_bounded.py).
    """
    theta = 1 / (1 + m * sum(steps(k)[1:]))
    a = (1 - theta, *(sp.Integer(0),) * (k - 2), theta)
    free = (m,) if isinstance(m, sp.Symbol) else ()
    return interpolatory(f"damped:k={k},m={m}", FLOW, tuple(map(factored, a)), parameters=free)


def any_weights(k: int, **given: Expr) -> Relation:
    """Constant weights a_2 … a_k; consistency leaves a_1 = 1 - a_2 - … - a_k."""
    rest = tuple(given[f"a{j}"] for j in range(2, k + 1))
    free = tuple(weight for weight in rest if isinstance(weight, sp.Symbol))
    written = ",".join(f"a{j}={weight}" for j, weight in enumerate(rest, 2))
    return interpolatory(f"weights:k={k},{written}", FLOW, (1 - sp.Add(*rest), *rest), parameters=free)


def bdia(gamma: Expr) -> Relation:
    """BDIA: a = (1 - g, g) with g = gamma·w_{i+1}/w_{i-1}, in every frame (alpha ratios in the noise frame)."""
    w = weights(2)
    g = gamma * w[2] / w[0]
    free = (gamma,) if isinstance(gamma, sp.Symbol) else ()
    return interpolatory(f"bdia:gamma={gamma}", NOISE, (1 - g, g), w=w, parameters=free)


def o_belm() -> Relation:
    """O-BELM: the one 2-step relation with order 2 on every grid, solved from E_0 = E_1 = E_2 = 0."""
    h = steps(2)
    a, b = maximal_order(h)
    return Relation("o-belm", 2, NOISE, a, b, h)


def belm(k: int) -> Relation:
    """Maximal-order BELM: order 2k - 2 from 2k - 1 conditions; not zero-stable for k >= 3."""
    h = steps(k)
    a, b = maximal_order(h)
    return Relation(f"belm:k={k}", k, NOISE, a, b, h)


def edict(p: Expr) -> TwoRegister:
    """EDICT: two leapfrogging Euler stages, then two mixing stages with weights p and 1 - p."""
    (h,) = steps(1)
    one = sp.Integer(1)
    stages = (
        Stage("x_inter", (("x", one), ("f(y)", -h))),
        Stage("y_inter", (("y", one), ("f(x_inter)", -h))),
        Stage("x", (("x_inter", p), ("y_inter", 1 - p))),
        Stage("y", (("y_inter", p), ("x", 1 - p))),
    )
    free = (p,) if isinstance(p, sp.Symbol) else ()
    return TwoRegister(f"edict:p={p}", NOISE, stages, (h,), free)


def _real(name: str, low: int, high: int, default: str, *, open_low: bool) -> Parameter:
    return Parameter(name, sp.Symbol(name, positive=True), low, high, sp.Rational(default), open_low)


def _weight(j: int) -> Parameter:
    return Parameter(f"a{j}", sp.Symbol(f"a{j}", real=True), -8, 8, sp.Integer(0), since=j)


_K = Parameter("k", None, 2, 5, None)
_M = Parameter("m", None, 1, 4, None)
_DAMPING = Parameter("m", sp.Symbol("m", nonnegative=True), 0, 64, sp.Integer(8))

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("ddim", (), FLOW, ddim, "Song et al. 2021 (2010.02502), eq 13; BELM, eq 7",
               "DDIM is explicit Euler: X_{i-1} = X_i - h_i f_i, in every frame."),
        Family("edict", (_real("p", 0, 1, "0.93", open_low=True),), NOISE, edict,
               "Wallace et al. 2022 (2211.12446), eq 14–15; BELM, eq 40–46",
               "Each stage changes one register by a function of the other, so each is inverted in turn."),
        Family("bdia", (_real("gamma", 0, 1, "0.5", open_low=False),), NOISE, bdia,
               "Zhang et al. 2023 (2307.10829); BELM, eq 38",
               "a = (1 - g, g), g = gamma w_{i+1}/w_{i-1}; b integrates constant slopes exactly."),
        Family("o-belm", (), NOISE, o_belm, "BELM, eq 18",
               "The unique (a, b) with E_0 = E_1 = E_2 = 0 for k = 2 on every grid."),
        Family("open", (_K,), FLOW, open_belm, "open Newton–Cotes (Nyström, Milne)",
               "a = (0, …, 0, 1); b integrates f exactly for degree <= k - 2."),
        Family("blend", (_K, _real("theta", 0, 1, "0.8", open_low=True)), FLOW, blend, "this project",
               "a = (1 - theta, 0, …, 0, theta); b integrates f exactly for degree <= k - 2."),
        Family("echo", (_K, _real("theta", 0, 1, "0.8", open_low=True)), FLOW, echo, "this project",
               "a = (1, 0, …, 0, -theta, theta); b integrates f exactly for degree <= k - 2."),
        Family("damped", (_K, _DAMPING), FLOW, damped, "this project",
               "a = (1 - theta, 0, …, 0, theta), theta = 1/(1 + m (h_2 + … + h_k)); b integrates f exactly for degree "
               "<= k - 2.", lengths=True),
        Family("weights", (_K, *(_weight(j) for j in range(2, 6))), FLOW, any_weights, "this project",
               "any constant a with sum 1; b integrates f exactly for degree <= k - 2."),
        Family("adams", (_M,), FLOW, adams, "Adams–Bashforth; Hairer, Nørsett, Wanner, III.1 and III.5",
               "a = (1, 0, …, 0); b integrates f exactly for degree <= m - 1."),
        Family("belm", (_K,), NOISE, belm, "BELM, A.4 and A.5",
               "The unique (a, b) with E_0 = … = E_{2k-2} = 0 on every grid."),
    )
}  # fmt: skip


def method(family: str, **values: Expr) -> Method:
    """The catalogue's method of that family, e.g. ``method("blend", k=3, theta="4/5")``.

    Raises:
        ValueError: for an unknown family or parameter, or a value outside its range.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown method {family!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[family](**values)
