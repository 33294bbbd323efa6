"""Generated functions: equal to the derivation, run on every scalar, accurate in floats; and the comparison gate."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import random
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import flint
import mpmath
import numpy as np
import pytest
import sympy as sp
import torch

import belm_runtime._generated as generated_package
from belm_runtime._generated import edict as generated_edict
from belm_runtime._generated import frames as generated_frames
from belm_theory.catalogue import FAMILIES, Family, method
from belm_theory.codegen import compare, generated_modules, write
from belm_theory.codegen.lower import Lowering
from belm_theory.codegen.modules import family_module
from belm_theory.frame import ALPHA, DATA, PREDICTIONS, SIGMA, Frame, Q
from belm_theory.method import Relation

FOLDER = Path(generated_package.__file__).parent
MEMBERS = [(name, shape) for name, f in FAMILIES.items() if name != "edict" for shape in f.shapes()]
IDS = ["_".join([name, *map(str, shape.values())]) for name, shape in MEMBERS]
members = pytest.mark.parametrize(("name", "shape"), MEMBERS, ids=IDS)


def generated(name: str, shape: dict) -> Callable:
    """The generated function of a member: module and function carry the family's name with `_` for `-`."""
    module = importlib.import_module(f"belm_runtime._generated.{name.replace('-', '_')}")
    return getattr(module, "_".join([name.replace("-", "_"), *map(str, shape.values())]))


def relation_of(name: str, shape: dict) -> Relation:
    found = FAMILIES[name](**shape)
    assert isinstance(found, Relation)
    return found


@pytest.fixture(scope="session")
def modules() -> dict[str, str]:
    """The theory's answer, computed once."""
    return generated_modules()


@pytest.fixture
def cached(modules: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """`compare` and `write` see the answer computed once."""
    home = importlib.import_module(write.__module__)
    monkeypatch.setattr(home, "generated_modules", lambda *_, **__: dict(modules))
    return modules


# --- equal to the derivation -----------------------------------------------------------------------------------------


@members
def test_function_equals_the_catalogue_as_rational_functions(name: str, shape: dict) -> None:
    # The generated body runs on the generators of Q(parameters, w, h): equality there is equality of functions.
    relation = relation_of(name, shape)
    field = sp.QQ.frac_field(*relation.symbols)
    a, b = generated(name, shape)(*field.gens)
    assert (len(a), len(b)) == (relation.k, relation.k - 1)
    for found, exact in zip((*a, *b), (*relation.a, *relation.b), strict=True):
        assert field.convert(found) == field.from_sympy(exact)


@members
def test_function_equals_the_catalogue_in_fractions(name: str, shape: dict) -> None:
    relation = relation_of(name, shape)
    rng = random.Random(1)
    for _ in range(3):
        values = [Fraction(rng.randint(1, 40), rng.randint(20, 40)) for _ in relation.symbols]
        table = {s: sp.Rational(v.numerator, v.denominator) for s, v in zip(relation.symbols, values, strict=True)}
        a, b = generated(name, shape)(*values)
        for found, exact in zip((*a, *b), (*relation.a, *relation.b), strict=True):
            assert isinstance(found, Fraction | int)
            wanted = sp.sympify(exact).subs(table)
            assert Fraction(found) == Fraction(int(wanted.p), int(wanted.q))


def test_functions_run_on_sympy_symbols() -> None:
    relation = method("blend", k=3)
    a, b = generated("blend", {"k": 3})(*relation.symbols)
    for found, exact in zip((*a, *b), (*relation.a, *relation.b), strict=True):
        assert sp.cancel(found - exact) == 0


def test_edict_equals_the_catalogue() -> None:
    scheme = method("edict")
    found = generated_edict.edict(*scheme.symbols)
    assert len(found) == len(scheme.stages)
    for coefficients, stage in zip(found, scheme.stages, strict=True):
        assert [sp.expand(c - exact) for c, (_, exact) in zip(coefficients, stage.terms, strict=True)] == [0, 0]


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_frames_equal_the_theory(prediction: str) -> None:
    for prefix, frame, arguments in (("", Frame(Q), (Q, ALPHA, SIGMA)), ("data_", DATA, (ALPHA, SIGMA))):
        field = sp.QQ.frac_field(*arguments)

        def same(function: str, exact: tuple[sp.Expr, ...], prefix=prefix, field=field) -> bool:
            found = getattr(generated_frames, prefix + function)(*field.gens)
            found = found if isinstance(found, tuple) else (found,)
            return [field.convert(c) for c in found] == [field.from_sympy(e) for e in exact]

        assert same("weight", (frame.weight(),))
        assert same("coordinate", (frame.coordinate(),))
        assert same(f"slope_{prediction}", frame.slope_from(prediction))


# --- every scalar ----------------------------------------------------------------------------------------------------


def sample_grids(relation: Relation, n: int, seed: int) -> np.ndarray:
    """n argument rows: parameters in range, step ratios from 1e-3 to 1e3, a quarter of the grids nearly uniform."""
    rng = np.random.default_rng(seed)

    def drawn(s: sp.Symbol) -> np.ndarray:
        if s in relation.h:
            return 10 ** rng.uniform(-1.5, 1.5, n)
        if s in relation.parameters and not s.is_positive:
            return rng.uniform(0.0 if s.is_nonnegative else -8.0, 64.0 if s.is_nonnegative else 8.0, n)
        return rng.uniform(0.05, 1.5 if s in relation.w else 1.0, n)

    columns = [drawn(s) for s in relation.symbols]
    rows = np.stack(columns, axis=1)
    first = len(relation.symbols) - relation.k
    close = slice(0, n // 4)
    rows[close, first:] = rows[close, first : first + 1] * (1 + 1e-6 * rng.uniform(-1, 1, (n // 4, relation.k)))
    return rows


@members
def test_every_scalar_type_gives_the_same_coefficients(name: str, shape: dict) -> None:
    relation, function = relation_of(name, shape), generated(name, shape)
    rng = random.Random(2)
    rows = [[Fraction(rng.randint(20, 40), 32) for _ in relation.symbols] for _ in range(5)]
    exact = [[Fraction(c) for part in function(*row) for c in part] for row in rows]

    def flat(row: list) -> list:
        return [c for part in function(*row) for c in part]

    arrays = flat([np.array([float(row[j]) for row in rows]) for j in range(len(rows[0]))])
    tensors = flat([torch.tensor([float(row[j]) for row in rows], dtype=torch.float64) for j in range(len(rows[0]))])
    for j, (array, tensor) in enumerate(zip(arrays, tensors, strict=True)):
        wanted = np.array([float(row[j]) for row in exact])
        # Constants stay the integers they are.
        assert isinstance(array, np.ndarray | int)
        assert isinstance(tensor, torch.Tensor | int)
        assert getattr(tensor, "dtype", torch.float64) == torch.float64
        np.testing.assert_allclose(np.broadcast_to(array, 5), wanted, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(np.broadcast_to(np.asarray(tensor), 5), wanted, rtol=1e-11, atol=1e-13)

    with mpmath.workdps(60):
        for row, wanted in zip(rows, exact, strict=True):
            precise = flat([mpmath.mpf(v.numerator) / v.denominator for v in row])
            balls = flat([flint.arb(v.numerator) / v.denominator for v in row])
            for mp_value, ball, value in zip(precise, balls, wanted, strict=True):
                assert abs(mp_value - mpmath.mpf(value.numerator) / value.denominator) < mpmath.mpf(10) ** -50
                # The ball holds the exact value, and not much else.
                assert flint.arb(ball * value.denominator - value.numerator).contains(0)
                assert flint.arb(ball).rad() < 1e-12


@members
def test_coefficients_depend_on_ratios_only_where_no_parameter_is_a_length(name: str, shape: dict) -> None:
    relation, function = relation_of(name, shape), generated(name, shape)
    first = len(relation.symbols) - relation.k
    for row in sample_grids(relation, 8, seed=3).tolist():
        exact = [Fraction(value) for value in row]
        if name == "damped":  # m is an inverse length: it scales against the steps, and turns with them
            (m, *h), (m_exact, *h_exact) = row, exact
            assert function(m_exact / 7, *(7 * step for step in h_exact)) == function(*exact)
            assert function(m_exact, *(-step for step in h_exact)) != function(*exact)
            assert function(-m, *(-step for step in h)) == function(*row)
            continue
        assert function(*exact[:first], *(7 * step for step in exact[first:])) == function(*exact)
        # The data frame's steps are all negative: that changes no bit.
        assert function(*row[:first], *(-step for step in row[first:])) == function(*row)


# --- floating-point accuracy -----------------------------------------------------------------------------------------


class Expanded:
    """|numerator| and |denominator| of a coefficient, expanded: the size that rounding errors are measured against."""

    def __init__(self, expression: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> None:
        numerator, denominator = sp.fraction(sp.together(expression))
        top, bottom = sp.Poly(numerator, *symbols), sp.Poly(denominator, *symbols)
        self.one_signed = all(s.is_nonnegative for s in top.free_symbols) and len(set(map(sp.sign, top.coeffs()))) == 1
        self._top, self._bottom = (
            (np.array(p.monoms()), np.array([int(c) for c in p.coeffs()])) for p in (top, bottom)
        )

    def scale(self, rows: np.ndarray) -> np.ndarray:
        """Σ|terms of the numerator| / |denominator|: sums of positive terms here, so floats measure them well."""

        def terms(part: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            monomials, coefficients = part
            return np.prod(rows[:, None, :] ** monomials[None], axis=2) * coefficients

        return np.abs(terms(self._top)).sum(axis=1) / np.abs(terms(self._bottom).sum(axis=1))


@members
def test_float_error_against_fifty_digits(name: str, shape: dict) -> None:
    relation, function = relation_of(name, shape), generated(name, shape)
    rows = sample_grids(relation, 300, seed=4)
    expressions = [sp.sympify(e) for e in (*relation.a, *relation.b)]
    found = np.array([[c for part in function(*row) for c in part] for row in rows.tolist()])
    with mpmath.workdps(50):
        exact = sp.lambdify(relation.symbols, expressions, "mpmath")
        error = np.array([
            [float(abs(c - e)) for c, e in zip(coefficients, exact(*map(mpmath.mpf, row)), strict=True)]
            for coefficients, row in zip(found.tolist(), rows.tolist(), strict=True)
        ])  # fmt: skip
    for j, expression in enumerate(expressions):
        if expression.is_Integer:
            assert np.all(found[:, j] == int(expression))
            continue
        expanded = Expanded(expression, relation.symbols)
        scale = expanded.scale(rows)
        assert np.max(error[:, j] / scale) <= 1e-14, f"coefficient {j + 1}"
        if expanded.one_signed:  # then the scale is the coefficient itself: a plain relative error
            np.testing.assert_allclose(np.abs(found[:, j]), scale, rtol=1e-12)


@pytest.mark.parametrize(("name", "which"), [("o-belm", (1, 2)), ("bdia", (1, 2)), ("belm", (1, 2)), ("blend", (1, 2))])
def test_plain_relative_error_where_the_sign_is_fixed(name: str, which: tuple[int, ...]) -> None:
    # a_2 and b_1 of the two-step methods are sums of positive terms.
    shape = {"k": 2} if name in ("belm", "blend") else {}
    relation, function = relation_of(name, shape), generated(name, shape)
    with mpmath.workdps(50):
        exact = sp.lambdify(relation.symbols, [*relation.a, *relation.b], "mpmath")
        for row in sample_grids(relation, 400, seed=5).tolist():
            found = [c for part in function(*row) for c in part]
            wanted = exact(*map(mpmath.mpf, row))
            for j in which:
                assert abs(found[j] / wanted[j] - 1) <= 1e-14


def test_a_difference_of_squares_keeps_its_relative_accuracy() -> None:
    # a_1 of O-BELM is (h_2² - h_1²)/h_2²: with nearly equal steps only the factored form has digits left.
    h1, h2 = 0.3, 0.3 * (1 + 1e-9)
    exact = 1 - Fraction(h1) ** 2 / Fraction(h2) ** 2
    (a1, _), _ = generated("o-belm", {})(h1, h2)
    assert abs(Fraction(a1) / exact - 1) <= Fraction(1, 10**15)
    assert abs(Fraction(1 - h1**2 / h2**2) / exact - 1) > Fraction(1, 10**9)


# --- lowering --------------------------------------------------------------------------------------------------------

H = sp.symbols("h1:4", positive=True)
THETA = sp.Symbol("theta", positive=True)


def run(expression: sp.Expr, arguments: tuple[sp.Symbol, ...]) -> tuple[object, str]:
    """The lowered source, executed on the generators of the rational function field."""
    lowering = Lowering(arguments)
    result = lowering.lower(expression)
    field = sp.QQ.frac_field(*arguments)
    scope = {s.name: g for s, g in zip(arguments, field.gens, strict=True)}
    for line in lowering.lines:
        exec(line, {}, scope)
    return field.convert(eval(result, {}, scope)), result


@pytest.mark.parametrize("seed", range(30))
def test_lowering_of_random_rational_functions(seed: int) -> None:
    rng = random.Random(seed)
    arguments = (THETA, *H)

    def polynomial() -> sp.Expr:
        parts = [rng.choice([-3, -1, 1, 2, 6]) * sp.prod(rng.choices(arguments, k=rng.randint(0, 3))) for _ in range(4)]
        return sum(parts) * rng.choice([1, H[0] - H[1], (1 - THETA) ** 2, H[1] + H[2], -(H[2] ** 3)])

    numerator, denominator = polynomial(), polynomial() + 7 * H[2] ** 9
    found, _ = run(numerator / denominator, arguments)
    assert found == sp.QQ.frac_field(*arguments).from_sympy(numerator / denominator)


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        ((H[1] ** 2 - H[0] ** 2) / H[1] ** 2, "(h2 - h1) * h12 / h2**2"),
        (1 - THETA, "1 - theta"),
        ((1 - THETA) ** 2, "(theta - 1)**2"),
        (-(1 - THETA) * H[0], "h1 * (theta - 1)"),
        (H[0] / 2, "h1 / 2"),
        (sp.Integer(0), "0"),
        (sp.Integer(-3), "-3"),
        (-H[0] * (H[0] + H[1] + H[2]), "-h1 * h123"),
        ((H[0] + H[2]) * H[1], "h2 * (h1 + h3)"),  # not a distance between nodes
    ],
    ids=str,
)
def test_lowered_source(expression: sp.Expr, source: str) -> None:
    found, text = run(expression, (THETA, *H))
    assert text == source
    assert found == sp.QQ.frac_field(THETA, *H).from_sympy(expression)


def test_a_constant_fraction_is_refused() -> None:
    with pytest.raises(ValueError, match="constant fraction"):
        Lowering(H).lower(sp.Rational(2, 3))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_generated_code_is_plain_arithmetic(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert not any(isinstance(value, float | complex) for value in constants)
    assert not any(isinstance(node, ast.Call | ast.Attribute) for node in ast.walk(tree))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert imported <= {"__future__", "typing"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))


# --- banner and hash -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_banner_names_theorem_source_hash_and_command(name: str) -> None:
    text = (FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    banner = ast.get_docstring(ast.parse(text), clean=False)
    assert f"Theorem: {FAMILIES[name].theorem}" in banner
    assert f"Source: {FAMILIES[name].source}" in banner
    assert "GENERATED by `belm generate`" in banner
    assert "do not edit" in banner
    assert "`belm generate --check` compares" in banner
    assert re.search(r"^Exact coefficients: sha256 [0-9a-f]{64}$", banner, re.MULTILINE)
    assert f"SymPy {sp.__version__}" in banner


def test_frames_and_catalogue_have_banners_too() -> None:
    for name in ("frames.py", "exponential.py", "catalogue.py"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert re.search(r"^Exact coefficients: sha256 [0-9a-f]{64}$", text, re.MULTILINE)
        assert "GENERATED by `belm generate`" in text


def test_hash_follows_the_coefficients() -> None:
    def digest(family: Family) -> str:
        return re.search(r"sha256 ([0-9a-f]{64})", family_module(family))[1]

    family = FAMILIES["o-belm"]

    def doubled() -> Relation:
        right = method("o-belm")
        return dataclasses.replace(right, b=(2 * right.b[0],))

    in_folder = (FOLDER / "o_belm.py").read_text(encoding="utf-8")
    assert digest(family) in in_folder
    assert digest(dataclasses.replace(family, build=doubled)) not in in_folder


# --- writing and comparing -------------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "_generated", ignore=shutil.ignore_patterns("__pycache__")))


def test_the_real_folder_is_what_the_theory_says(cached: dict[str, str]) -> None:
    assert compare(FOLDER) == []
    assert {path.name for path in FOLDER.glob("*.py")} == set(cached)


def test_compare_reports_a_changed_coefficient(cached: dict[str, str], copy: Path) -> None:
    path = copy / "open.py"
    text = path.read_text(encoding="utf-8")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "(2 * h1 * h2)" in row)
    path.write_text(text.replace("(2 * h1 * h2)", "(3 * h1 * h2)"), encoding="utf-8")
    assert compare(copy) == [f"open.py differs from the derivation from line {line} on"]


def test_compare_reports_missing_extra_and_cut_files(cached: dict[str, str], copy: Path) -> None:
    (copy / "adams.py").unlink()
    (copy / "heun.py").write_text("", encoding="utf-8")
    short = copy / "bdia.py"
    short.write_text(short.read_text(encoding="utf-8").rsplit("\n", 2)[0] + "\n", encoding="utf-8")
    assert compare(copy) == [
        "adams.py is missing",
        "heun.py is not generated by the catalogue",
        "bdia.py differs from the derivation from line the end on",
    ]


def test_write_makes_the_folder_once_and_repairs_it(cached: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "_generated"
    assert {path.name for path in write(folder)} == set(cached)
    assert {path.name for path in folder.iterdir()} == set(cached)  # no temporary file is left
    assert compare(folder) == []
    assert write(folder) == []
    (folder / "stale.py").write_text("", encoding="utf-8")
    (folder / "open.py").write_text("broken", encoding="utf-8")
    assert {path.name for path in write(folder)} == {"open.py", "stale.py"}
    assert compare(folder) == []


def test_every_family_and_member_has_its_function(modules: dict[str, str]) -> None:
    families = {f"{name.replace('-', '_')}.py" for name in FAMILIES}
    assert families | {"__init__.py", "frames.py", "exponential.py", "catalogue.py"} == set(modules)
    for name, shape in MEMBERS:
        tree = ast.parse(modules[f"{name.replace('-', '_')}.py"])
        functions = {n.name: [a.arg for a in n.args.args] for n in tree.body if isinstance(n, ast.FunctionDef)}
        wanted = [s.name for s in relation_of(name, shape).symbols]
        assert functions["_".join([name.replace("-", "_"), *map(str, shape.values())])] == wanted
