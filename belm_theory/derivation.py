"""What the theory computes of one method, gathered once: the content of its derivation page.

For the relation of `belm_theory.method` that is: the weights on the variable grid, the order on every grid and on
smooth ones, the leading local error E_{p+1}/(p+1)! · X^{(p+1)}, the inverse relation, and zero-stability in both
directions. For its exponential variant (`belm_theory.exponential`) it is the weights, the integrals I_m with the slope
weights B in them, the order k - 1, the inverse and zero-stability, which a alone decides. Nothing is declared here;
`belm_theory.render` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from belm_theory import exponential as log_snr
from belm_theory.catalogue import FAMILIES, Family
from belm_theory.frame import ALPHA, NOISE, SIGMA, Frame, frame_name
from belm_theory.inverse import Inverse, inverse, invertible
from belm_theory.method import Method, Relation, Stage, TwoRegister
from belm_theory.order import LocalError, local_error, order, order_smooth
from belm_theory.stability import Direction, zero_stable
from belm_theory.verdict import Verdict
from belm_theory.xform import levels

DIRECTIONS: tuple[Direction, ...] = ("sampling", "inversion")


@dataclass(frozen=True)
class Derivation:
    """The computed facts of a method.

    Attributes:
        name: the method string, with the parameters that were given.
        given: those parameters, exact, as strings.
        family: the family it belongs to.
        method: the method; parameters that were not given are symbols in it.
        exponential: whether it is the exponential variant that is derived.
        order: on every grid; of slopes in log-SNR where sigma > 0.
        order_smooth: on smooth grids; likewise.
        error: the leading local error; None for a two-register scheme and for slopes in log-SNR.
        invertible: whether it runs backwards on every grid, for all values of its parameters.
        inverse: the inverse relation; None if there is none, or for a two-register scheme.
        stability: verdicts by direction.
    """

    name: str
    given: Mapping[str, str]
    family: Family
    method: Method
    exponential: bool
    order: int
    order_smooth: int
    error: LocalError | None
    invertible: Verdict
    inverse: Inverse | None
    stability: Mapping[Direction, Verdict]

    @property
    def in_log_snr(self) -> bool:
        """Whether slopes are interpolated in log-SNR; with one slope there is nothing to interpolate."""
        return self.exponential and self.method.k > 2

    @property
    def theorem(self) -> tuple[str, ...]:
        """The statements that the weights rest on."""
        if self.in_log_snr:
            return (
                f"a is that of {self.name.removeprefix('exp-')}.",
                "Σ B_m f = Σ a_j ∫ P ds from s_{i-1+j} to s_{i-1} for every polynomial P of degree <= k-2 in l "
                "(claim exponential-weights).",
            )
        alone = ("There is one slope and so nothing to interpolate: this is the plain method.",)
        return (self.family.theorem, *alone * self.exponential)

    @property
    def source(self) -> str:
        """Paper and equation."""
        return self.family.source + "; slopes in log-SNR: this project" * self.in_log_snr


def derive(family: str, frame: Frame | None = None, *, exponential: bool = False, **values: str) -> Derivation:
    """Compute everything the page of a method shows.

    Args:
        family: a key of `FAMILIES`.
        frame: the frame to run it in, whose steps h and weights w are meant; default the natural one, noise for an
            exponential variant.
        exponential: derive the variant with slopes polynomial in log-SNR; with one slope that is the plain method.
        values: parameters as exact decimals or fractions; a real parameter left out stays a symbol.

    Raises:
        ValueError: for a value outside its range, a frame in which a two-register scheme is not written, or one in
            which the integrals of an exponential variant are not elementary.
    """
    rule = FAMILIES[family]
    method = rule(**values)
    if isinstance(method, TwoRegister):
        if exponential:
            raise ValueError(f"{family} has two registers and no interpolated slopes")
        if frame not in (None, NOISE):
            raise ValueError(f"{family} is written in the noise frame only")
    else:
        if frame is not None and frame.is_data and rule.lengths:
            raise ValueError(f"{family} is for positive steps, and those of the data frame are negative")
        method = replace(method, frame=frame or (NOISE if exponential else method.frame))
    written = ",".join(f"{name}={value}" for name, value in values.items())
    name = "exp-" * exponential + (f"{family}:{written}" if written else family)
    in_log_snr = exponential and method.k > 2
    if in_log_snr:
        log_snr.moments(method.k, log_snr.rule(method.frame))
    relation = method if isinstance(method, Relation) else None
    orders = (method.k - 1,) * 2 if in_log_snr else (int(order(method)), int(order_smooth(method)))
    return Derivation(
        name, values, rule, method, exponential, *orders,
        local_error(relation) if relation and not in_log_snr else None,
        invertible(method),
        inverse(relation) if relation and relation.a[-1] != 0 else None,
        {direction: zero_stable(method, direction) for direction in DIRECTIONS},
    )  # fmt: skip


def as_record(found: Derivation) -> dict[str, object]:
    """The facts for machines: expressions as strings in Python's arithmetic, verdicts with their witness.

    The symbols h1, h2, … are h_i, h_{i+1}, …; w0, w1, … are the frame weights w_{i-1}, w_i, ….
    """
    method = found.method
    frame = {name: str(value) for name, value in frame_expressions(method.frame).items()}
    return {
        "method": found.name,
        "parameters": dict(found.given),
        "symbols": {p.name: parameter_range(found.family, p.name) for p in method.parameters},
        "k": method.k,
        "frame": {"name": frame_name(method.frame), **frame},
        "theorem": " ".join(found.theorem),
        **_body(found, method),
        "order": found.order,
        "order_smooth": found.order_smooth,
        "invertible": _verdict(found.invertible),
        "stability": {direction: _verdict(verdict) for direction, verdict in found.stability.items()},
        "source": found.source,
    }


def undone(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Each stage solved for the register it overwrites, its first operand, in reverse order."""
    back = []
    for stage in reversed(stages):
        (own, kept), *others = stage.terms
        rest = tuple((operand, sp.cancel(-c / kept)) for operand, c in others)
        back.append(Stage(own, ((stage.target, sp.cancel(1 / kept)), *rest)))
    return tuple(back)


def frame_expressions(frame: Frame) -> dict[str, sp.Expr]:
    """W, s, X and f of a frame in x, alpha, sigma, D and epsilon."""
    return {"w": frame.weight(), "s": frame.coordinate(), "X": sp.Symbol("x") / frame.weight(), "f": frame.slope()}


def error_in_x(method: Relation, error: LocalError) -> sp.Expr:
    """The leading local error of x_{i-1} over f^(p): w_{i-1}·E_{p+1}/(p+1)!, its w those of the method's frame.

    The slope f = eps - q·D is differentiated p times by the frame's s; the levels of node i-1+j are alphaj, sigmaj.
    """
    w = [method.frame.weight(alpha, sigma) for alpha, sigma in zip(*levels(method.k), strict=True)]
    if not method.w:
        return w[0] * error.coefficient
    return sp.cancel(method.w[0] * error.coefficient).subs(dict(zip(method.w, w, strict=True)))


def logarithm(frame: Frame) -> sp.Expr:
    """The l of exponential variants, log(sigma/alpha), or log(alpha/sigma) in the data frame."""
    return sp.log(ALPHA / SIGMA if frame.is_data else SIGMA / ALPHA)


def exponential_inverse(method: Relation) -> tuple[sp.Expr, ...]:
    """What multiplies the slopes f in the inverse of an exponential variant: D_m = -B_m/a_k, in B_m."""
    return tuple(-sp.Symbol(f"B_{m}") / method.a[-1] for m in range(1, method.k))


def parameter_range(family: Family, name: str) -> str:
    """The values a parameter may take, as an interval."""
    parameter = next(p for p in family.parameters if p.name == name)
    return f"{'(' if parameter.open_low else '['}{parameter.low}, {parameter.high}]"


def _body(found: Derivation, method: Method) -> dict[str, object]:
    if isinstance(method, TwoRegister):
        return _stages(method)
    return _exponential(found, method) if found.in_log_snr else _relation(found, method)


def _exponential(found: Derivation, method: Relation) -> dict[str, object]:
    """B in i0 … of `integrals` and y2 … of l_{i-1+j} - l_i; `moments` in s, y and v."""
    return {
        "a": _strings(method.a),
        "logarithm": str(logarithm(method.frame)),
        "moments": _strings(log_snr.moments(method.k, log_snr.rule(method.frame))),
        "integrals": _strings(log_snr.summed(method.k)),
        "B": _strings(log_snr.weights(method.k)),
        "local_error": None,
        "inverse": found.inverse and {"c": _strings(found.inverse.c), "D": _strings(exponential_inverse(method))},
    }


def _relation(found: Derivation, method: Relation) -> dict[str, object]:
    assert found.error is not None
    return {
        "a": _strings(method.a),
        "b": _strings(method.b),
        "local_error": {
            "coefficient": str(found.error.coefficient), "derivative": found.error.derivative,
            "in_x": str(error_in_x(method, found.error)), "slope": str(method.frame.slope()),
        },
        "inverse": found.inverse and {"c": _strings(found.inverse.c), "d": _strings(found.inverse.d)},
    }  # fmt: skip


def _stages(method: TwoRegister) -> dict[str, object]:
    def listed(stages: Iterable[Stage]) -> list[dict[str, object]]:
        return [
            {"target": s.target, "terms": [{"operand": o, "coefficient": str(c)} for o, c in s.terms]} for s in stages
        ]

    return {"stages": listed(method.stages), "local_error": None, "inverse": {"stages": listed(undone(method.stages))}}


def _strings(values: Iterable[sp.Expr]) -> list[str]:
    return [str(value) for value in values]


def _verdict(verdict: Verdict) -> dict[str, str]:
    return {"verdict": verdict.outcome, "witness": verdict.witness}
