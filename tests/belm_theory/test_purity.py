"""The exact layer stays exact: no float, no tolerance, no numerical evaluation, no numerical library."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import belm_theory

ROOT = Path(belm_theory.__file__).parent
SOURCES = sorted(path for path in ROOT.rglob("*.py") if "derivations" not in path.relative_to(ROOT).parts)

#: Names whose use would make a proof numerical or heuristic.
FORBIDDEN_NAMES = {
    "evalf", "Float", "RealNumber", "nsimplify", "simplify", "lambdify", "isclose", "allclose", "approx",
    "float", "complex", "round", "nroots", "is_close", "equals",
}  # fmt: skip
FORBIDDEN_MODULES = {"numpy", "torch", "scipy", "mpmath", "belm_runtime", "belm", "cmath", "random", "decimal"}
TOLERANCES = ("tol", "atol", "rtol", "tolerance")


def violations(source: str) -> list[str]:
    """What in a module's code (not its prose) would break the exactness, with line numbers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"{node.lineno}: literal {node.value!r}")
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) >= 10**6:
            found.append(f"{node.lineno}: tolerance-like constant {node.value}")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base, power = node.left, node.right
            if isinstance(base, ast.Constant) and base.value == 10 and not isinstance(power, ast.Name):
                found.append(f"{node.lineno}: tolerance-like power of ten")
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_NAMES:
            found.append(f"{node.lineno}: .{node.attr}")
        if isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES:
            found.append(f"{node.lineno}: {node.id}")
        # `n` is an honest exponent; called, as a function or a method, it is SymPy's numerical evaluation.
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) in {"n", "N"}:
            found.append(f"{node.lineno}: numerical evaluation")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
            if isinstance(node, ast.ImportFrom):
                found += [f"{node.lineno}: import {a.name}" for a in node.names if a.name in FORBIDDEN_NAMES]
        for name in (getattr(node, "id", None), getattr(node, "arg", None), getattr(node, "attr", None)):
            if isinstance(name, str) and any(part in TOLERANCES for part in name.lower().split("_")):
                found.append(f"{node.lineno}: tolerance {name}")
    return found


def test_the_scan_sees_the_package() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in SOURCES}
    assert {"order.py", "roots.py", "stability.py", "codegen/lower.py", "quadrature.py", "maximal.py"} <= names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_source_is_exact(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 0.5", "x = 1e-12", "x = 2j", "y = x.evalf()", "y = x.n()", "y = sp.N(x)", "y = N(x, 30)",
        "y = sp.simplify(x)", "y = x.simplify()",
        "ok = abs(x) < tol", "def f(x, rtol=0): ...", "import numpy as np", "from torch import nn",
        "import mpmath.libmp", "from sympy import simplify", "ok = x < sp.Rational(1, 10**9)", "y = float(x)",
        "e = sp.Rational(1, 1000000000)", "from belm_runtime import Grid", "ok = x.equals(y)", "r = p.nroots()",
    ],
)  # fmt: skip
def test_the_scan_finds_what_it_is_for(line: str) -> None:
    assert violations(line)


@pytest.mark.parametrize(
    "line", ['"""Uses 0.5 and simplify in prose."""', 'default = "0.93"', "total = f**self.n", "x = sp.Rational(1, 2)"]
)
def test_the_scan_leaves_exact_code_alone(line: str) -> None:
    assert violations(line) == []
