"""The catalogue against the formulas its sources print, in x with concrete alpha and sigma, and against itself."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
import sympy as sp

from belm_theory.catalogue import FAMILIES, method
from belm_theory.frame import DATA, FLOW, NOISE, Frame
from belm_theory.method import Relation, TwoRegister

SHAPES = [(name, dict(shape)) for name, family in FAMILIES.items() for shape in family.shapes()]


class Nodes:
    """Three neighbouring nodes i-1, i, i+1 with random rational alpha, sigma and states; sigma/alpha grows with i."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.alpha = [Fraction(rng.randint(5, 30), rng.randint(5, 30)) for _ in range(3)]
        ratios = sorted(Fraction(n, 17) for n in rng.sample(range(1, 60), 3))
        self.sigma = [a * ratio for a, ratio in zip(self.alpha, ratios, strict=True)]
        self.x = [Fraction(rng.randint(-20, 20), 7) for _ in range(3)]
        self.eps = Fraction(rng.randint(-20, 20), 9)

    def ddim(self, start: int, end: int, x: Fraction, eps: Fraction) -> Fraction:
        """The deterministic DDIM step between two nodes, in x."""
        scale = self.alpha[end] / self.alpha[start]
        return scale * x + (self.sigma[end] - scale * self.sigma[start]) * eps


def rational(value: Fraction) -> sp.Rational:
    return sp.Rational(value.numerator, value.denominator)


def in_x(relation: Relation, frame: Frame, nodes: Nodes, **parameters: Fraction) -> sp.Rational:
    """x_{i-1} that the two-step relation makes from x_i, x_{i+1} and eps_i, through the coordinates of a frame."""
    alpha, sigma, x = ([rational(v) for v in values] for values in (nodes.alpha, nodes.sigma, nodes.x))
    eps = rational(nodes.eps)
    data = (x[1] - sigma[1] * eps) / alpha[1]
    w = [frame.weight(a, s) for a, s in zip(alpha, sigma, strict=True)]
    s = [frame.coordinate(a, b) for a, b in zip(alpha, sigma, strict=True)]
    h = [s[1] - s[0], s[2] - s[1]]
    table = dict(zip(relation.h, h, strict=True)) | dict(zip(relation.w, w, strict=False))
    table |= {p: rational(parameters[p.name]) for p in relation.parameters}
    a1, a2, b1 = (c.subs(table) for c in (*relation.a, *relation.b))
    return w[0] * (a1 * x[1] / w[1] + a2 * x[2] / w[2] + b1 * h[0] * frame.slope(data, eps))


FRAMES = [NOISE, FLOW, Frame(sp.Rational(2, 5)), Frame(sp.Integer(9)), DATA]


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_ddim_is_the_ddim_step_in_every_frame(frame: Frame) -> None:
    for seed in range(6):
        nodes = Nodes(seed)
        assert in_x(method("ddim"), frame, nodes) == rational(nodes.ddim(1, 0, nodes.x[1], nodes.eps))


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_bdia_is_its_definition_in_every_frame(frame: Frame) -> None:
    # Zhang et al.: x_{i-1} = γ x_{i+1} - γ·(DDIM i -> i+1) + (DDIM i -> i-1); BELM, eq 38, in the noise frame.
    for seed in range(6):
        nodes, gamma = Nodes(seed), Fraction(seed + 1, 7)
        there = nodes.ddim(1, 2, nodes.x[1], nodes.eps)
        here = nodes.ddim(1, 0, nodes.x[1], nodes.eps)
        wanted = gamma * (nodes.x[2] - there) + here
        assert in_x(method("bdia"), frame, nodes, gamma=gamma) == rational(wanted)


def test_o_belm_is_eq_18_in_x() -> None:
    for seed in range(6):
        n = Nodes(seed)
        sbar = [s / a for s, a in zip(n.sigma, n.alpha, strict=True)]
        h1, h2 = sbar[1] - sbar[0], sbar[2] - sbar[1]
        wanted = (
            h1**2 / h2**2 * n.alpha[0] / n.alpha[2] * n.x[2]
            + (h2**2 - h1**2) / h2**2 * n.alpha[0] / n.alpha[1] * n.x[1]
            - h1 * (h1 + h2) / h2 * n.alpha[0] * n.eps
        )
        assert in_x(method("o-belm"), NOISE, n) == rational(wanted)
        assert in_x(method("o-belm"), FLOW, n) != rational(wanted)


def test_o_belm_on_a_geometric_grid_is_the_leapfrog_of_the_data_frame() -> None:
    for seed in range(6):
        nodes = Nodes(seed)
        first, ratio = Fraction(2, 7), Fraction(seed + 3, 2)
        nodes.sigma = [a * first * ratio**i for i, a in enumerate(nodes.alpha)]
        assert in_x(method("o-belm"), NOISE, nodes) == in_x(method("open", k=2), DATA, nodes)


def test_edict_is_its_definition_in_x() -> None:
    # Wallace et al., eq 14–15: a = alpha_{i-1}/alpha_i, b = sigma_{i-1} - a·sigma_i; any function may be the network.
    def network(x: Fraction) -> Fraction:
        return x**2 / 3 - x + 2

    for seed in range(6):
        n, p = Nodes(seed), Fraction(93, 100)
        x, y = n.x[0], n.x[1]
        x_inter = n.ddim(1, 0, x, network(y))
        y_inter = n.ddim(1, 0, y, network(x_inter))
        x_new = p * x_inter + (1 - p) * y_inter
        y_new = p * y_inter + (1 - p) * x_new

        scheme = method("edict")
        step = n.sigma[1] / n.alpha[1] - n.sigma[0] / n.alpha[0]
        table = {scheme.parameters[0]: rational(p), scheme.h[0]: rational(step)}
        divisor = {"x": n.alpha[1], "y": n.alpha[1], "x_inter": n.alpha[0], "y_inter": n.alpha[0]}
        registers = {"x": rational(x / n.alpha[1]), "y": rational(y / n.alpha[1])}

        def operand(name: str, registers=registers, divisor=divisor) -> sp.Rational:
            if name.startswith("f("):
                return network(rational(divisor[name[2:-1]]) * registers[name[2:-1]])
            return registers[name]

        for stage in scheme.stages:
            registers[stage.target] = sum(c.subs(table) * operand(o) for o, c in stage.terms)
        assert registers["x"] * rational(n.alpha[0]) == rational(x_new)
        assert registers["y"] * rational(n.alpha[0]) == rational(y_new)


# --- relations among the families ------------------------------------------------------------------------------------


def coefficients(relation: Relation) -> tuple[tuple[sp.Expr, ...], ...]:
    return tuple(sp.cancel(e) for e in relation.a), tuple(sp.cancel(e) for e in relation.b)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_blends_run_from_adams_bashforth_to_open(k: int) -> None:
    blend = method("blend", k=k)
    (theta,) = blend.parameters
    ends = {0: method("adams", m=k - 1), 1: method("open", k=k)}
    for value, end in ends.items():
        a, b = (tuple(sp.cancel(e.subs(theta, value)) for e in part) for part in (blend.a, blend.b))
        assert (a, b) == coefficients(end)
    # Affine in theta between them.
    for weights, low, high in ((blend.a, ends[0].a, ends[1].a), (blend.b, ends[0].b, ends[1].b)):
        for found, at_0, at_1 in zip(weights, low, high, strict=True):
            assert sp.cancel(found - (1 - theta) * at_0 - theta * at_1) == 0


def test_equal_members() -> None:
    assert coefficients(method("ddim")) == coefficients(method("adams", m=1)) == ((1, 0), (-1,))
    assert coefficients(method("belm", k=2)) == coefficients(method("o-belm"))
    w = method("bdia").w
    bdia = method("bdia", gamma=1)
    equal_weights = [sp.cancel(e.subs({w[0]: 1, w[2]: 1})) for e in (*bdia.a, *bdia.b)]
    opened = method("open", k=2)
    assert equal_weights == [*opened.a, *(sp.cancel(e) for e in opened.b)]


@pytest.mark.parametrize(("name", "shape"), SHAPES, ids=lambda v: str(v))
def test_every_member_is_consistent(name: str, shape: dict) -> None:
    found = method(name, **shape)
    if isinstance(found, TwoRegister):
        for stage in found.stages:
            assert sp.expand(sum(c for o, c in stage.terms if not o.startswith("f("))) == 1
        return
    # E_0 and E_1 at rational points: Σ a = 1 and Σ a_j s_j + Σ b_j h_j = s_0 = 0.
    rng = random.Random(3)
    table = {symbol: sp.Rational(rng.randint(1, 30), 31) for symbol in found.symbols}
    a, b = ([sp.sympify(e).subs(table) for e in part] for part in (found.a, found.b))
    h = [step.subs(table) for step in found.h]
    nodes = [sum(h[:j], sp.Integer(0)) for j in range(1, found.k + 1)]
    assert sum(a) == 1
    assert sum(x * s for x, s in zip(a, nodes, strict=True)) + sum(x * s for x, s in zip(b, h, strict=False)) == 0


@pytest.mark.parametrize(("k", "bashforth"), [(2, [1]), (3, [3, -1]), (4, [23, -16, 5]), (5, [55, -59, 37, -9])])
def test_echo_is_adams_bashforth_and_its_mirror_image(k: int, bashforth: list[int]) -> None:
    theta = sp.Rational(2, 3)
    echo = method("echo", k=k, theta=theta)
    ones = {step: sp.Integer(1) for step in echo.h}
    # The textbook weights of the newest step, and the same read backwards for the oldest.
    weights = [sp.Rational(w, sum(bashforth)) for w in bashforth]
    both = [-(new + theta * old) for new, old in zip(weights, weights[::-1], strict=True)]
    assert [b.subs(ones) for b in echo.b] == both
    assert [a for a in echo.a if a != 0] == ([1 - theta, theta] if k == 2 else [1, -theta, theta])


def lagrange_weights(a: list[Fraction], h: list[Fraction]) -> list[Fraction]:
    """Slope weights from a rational linear solve: exact on 1, s, …, s^{k-1}, nodes measured from s_0 = 0."""
    k = len(a)
    s = [sum(h[:j], Fraction(0)) for j in range(k + 1)]
    rows = [[rational(m * s[j] ** (m - 1) * h[j - 1]) for j in range(1, k)] for m in range(1, k)]
    right = [rational(-sum(a[j - 1] * s[j] ** m for j in range(1, k + 1))) for m in range(1, k)]
    solved = sp.Matrix(rows).LUsolve(sp.Matrix(right))
    return [Fraction(int(v.p), int(v.q)) for v in solved]


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_weights_and_damped_have_the_slope_weights_of_a_linear_solve(k: int) -> None:
    rng = random.Random(k)
    for _ in range(3):
        h = [Fraction(rng.randint(1, 30), 31) for _ in range(k)]
        given = [Fraction(rng.randint(-80, 80), 10) for _ in range(k - 1)]
        m = Fraction(rng.randint(0, 640), 10)
        theta = 1 / (1 + m * sum(h[1:]))
        named = {f"a{j}": rational(value) for j, value in enumerate(given, 2)}
        for relation, a in (
            (method("weights", k=k, **named), [1 - sum(given), *given]),
            (method("damped", k=k, m=rational(m)), [1 - theta, *[Fraction(0)] * (k - 2), theta]),
        ):
            table = dict(zip(relation.h, map(rational, h), strict=True))
            assert [w.subs(table) for w in relation.a] == [rational(w) for w in a]
            assert [b.subs(table) for b in relation.b] == [rational(b) for b in lagrange_weights(a, h)]


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_weights_are_the_other_families_at_their_weights(k: int) -> None:
    third = sp.Rational(1, 3)
    members = [method("open", k=k), method("blend", k=k, theta=third), method("echo", k=k, theta=third)]
    members += [method("adams", m=k - 1)]
    for member in members:
        named = {f"a{j}": weight for j, weight in enumerate(member.a[1:], 2)}
        assert coefficients(method("weights", k=k, **named)) == coefficients(member)


def test_damped_is_open_at_0_and_at_fixed_steps_a_blend() -> None:
    for k in (2, 3, 4):
        assert coefficients(method("damped", k=k, m=0)) == coefficients(method("open", k=k))
        even = {step: sp.Rational(1, 10) for step in method("open", k=k).h}
        damped, blend = method("damped", k=k, m=5), method("blend", k=k, theta=sp.Rational(2, k + 1))
        assert [e.subs(even) for e in (*damped.a, *damped.b)] == [e.subs(even) for e in (*blend.a, *blend.b)]


def test_families_parameters_and_frames() -> None:
    described = {
        name: (f.frame, [(p.name, p.symbol is None, p.low, p.high, p.open_low, p.default) for p in f.parameters])
        for name, f in FAMILIES.items()
    }
    k, m = ("k", True, 2, 5, False, None), ("m", True, 1, 4, False, None)
    assert described == {
        "ddim": (FLOW, []),
        "edict": (NOISE, [("p", False, 0, 1, True, sp.Rational(93, 100))]),
        "bdia": (NOISE, [("gamma", False, 0, 1, False, sp.Rational(1, 2))]),
        "o-belm": (NOISE, []),
        "open": (FLOW, [k]),
        "blend": (FLOW, [k, ("theta", False, 0, 1, True, sp.Rational(4, 5))]),
        "echo": (FLOW, [k, ("theta", False, 0, 1, True, sp.Rational(4, 5))]),
        "damped": (FLOW, [k, ("m", False, 0, 64, False, sp.Integer(8))]),
        "weights": (FLOW, [k, *((f"a{j}", False, -8, 8, False, sp.Integer(0)) for j in range(2, 6))]),
        "adams": (FLOW, [m]),
        "belm": (NOISE, [k]),
    }
    assert all(family.source and family.theorem for family in FAMILIES.values())


def test_members_are_named_with_their_exact_parameters() -> None:
    assert method("blend", k=3, theta="0.8").name == "blend:k=3,theta=4/5"
    assert method("blend", theta=sp.Rational(4, 5), k=sp.Integer(3)) is method("blend", k=3, theta=0.8)
    assert method("blend", k=3).name == "blend:k=3,theta=theta"
    assert [s.name for s in method("weights", k=3).symbols] == ["a2", "a3", "h1", "h2", "h3"]
    assert method("weights", k=3, a2="0.1", a3="0.4").name == "weights:k=3,a2=1/10,a3=2/5"
    assert [s.name for s in method("bdia").symbols] == ["gamma", "w0", "w2", "h1", "h2"]
    assert [s.name for s in method("blend", k=3).symbols] == ["theta", "h1", "h2", "h3"]


@pytest.mark.parametrize(
    ("family", "values", "message"),
    [
        ("obelm", {}, r"unknown method 'obelm'; known: ddim, edict"),
        ("open", {}, r"open needs k, a whole number in \[2, 5\]"),
        ("open", {"k": 6}, r"k = 6 is outside its range; it must be a whole number in \[2, 5\]"),
        ("open", {"k": "5/2"}, r"k = 5/2 is outside its range; it must be a whole number"),
        ("blend", {"k": 3, "theta": 0}, r"theta = 0 is outside its range; it must be in \(0, 1\]"),
        ("blend", {"k": 3, "theta": "1.01"}, r"theta = 1.01 is outside"),
        ("blend", {"k": 3, "theta": "nan"}, r"theta = nan is not an exact number"),
        ("bdia", {"gamma": "-0.1"}, r"gamma = -0.1 is outside its range; it must be in \[0, 1\]"),
        ("edict", {"p": "1/0"}, r"p = 1/0 is not an exact number"),
        ("weights", {"k": 3, "a4": 0}, r"weights with k = 3 has no a4"),
        ("weights", {"k": 3, "a1": 0}, r"weights has no parameter 'a1'; it has: a2, a3, a4, a5, k"),
        ("weights", {"a2": 0}, r"weights needs k"),
        ("weights", {"k": 3, "a3": "-8.1"}, r"a3 = -8.1 is outside its range; it must be in \[-8, 8\]"),
        ("damped", {"k": 3, "m": -1}, r"m = -1 is outside its range; it must be in \[0, 64\]"),
        ("o-belm", {"k": 2}, r"o-belm has no parameter 'k'; it has: none"),
    ],
)
def test_bad_calls_are_refused_by_value(family: str, values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(family, **values)


def test_relation_refuses_wrong_shapes_and_sums() -> None:
    right = method("o-belm")
    with pytest.raises(ValueError, match="needs 2 a, 1 b, 2 h"):
        Relation("short", 2, NOISE, right.a, (), right.h)
    with pytest.raises(ValueError, match=r"sum to .*, not to 1"):
        Relation("heavy", 2, NOISE, (right.a[0], 2 * right.a[1]), right.b, right.h)


def test_substitution_into_a_relation() -> None:
    blend = method("blend", k=3)
    assert coefficients(blend.at(theta=sp.Rational(4, 5))) == coefficients(method("blend", k=3, theta="4/5"))
    assert blend.at(theta=sp.Rational(4, 5)).parameters == ()
    assert blend.has_constant_weights
    assert not method("o-belm").has_constant_weights
    assert not method("bdia").has_constant_weights
