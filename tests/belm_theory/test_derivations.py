"""Every page decides its claim, and every certificate survives the independent checker."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from belm_theory import checker, pages
from belm_theory.certificate import Certificate

PAGES = pages.pages()
STORED = pages.FOLDER / "certificates"
REFUTED = {
    "o-belm-is-frame-invariant", "equation-55-constant", "edict-has-order-0", "maximal-order-is-stable",
    "assumption-3", "bounded-products-suffice", "o-belm-inversion-is-stable", "o-belm-on-preserving-schedules",
    "v-prediction-is-the-flow-slope", "equation-13-sign", "equation-46-labels", "equation-43-sum",
    "dpm-solver-2m-is-adams-2", "released-bdia-inversion", "released-edict-is-invertible",
    "edict-makes-one-call-a-step", "x0-alone-determines-the-noise", "sd15-steps-grow", "ddpm-steps-grow",
    "blend-parasitic-moduli", "slope-weights-stay-bounded",
}  # fmt: skip
UNDECIDED = {"o-belm-growth-for-any-beta"}


@pytest.fixture(scope="module")
def derived() -> dict[str, Certificate]:
    return {name: page.derive() for name, page in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_decided_and_its_certificate_holds(name: str, derived: dict[str, Certificate]) -> None:
    certificate = derived[name]
    expected = "refuted" if name in REFUTED else "undecided" if name in UNDECIDED else "proved"
    assert certificate.verdict.outcome == expected
    assert certificate.verdict.witness and certificate.goals
    assert checker.check(certificate.as_dict()) == []


@pytest.mark.parametrize("name", PAGES)
def test_the_certificate_in_the_repository_is_what_the_page_writes(name: str, derived: dict[str, Certificate]) -> None:
    assert checker.load(STORED / f"{name}.json") == derived[name].as_dict()


def test_pages_are_short_and_certificates_have_a_page() -> None:
    assert {path.stem for path in STORED.glob("*.json")} == set(PAGES)
    assert set(PAGES) >= REFUTED | UNDECIDED
    for page in PAGES.values():
        assert len(page.path.read_text(encoding="utf-8").splitlines()) < 150, page.path.name


def test_the_checker_shares_no_code_with_the_theory() -> None:
    for path in Path(checker.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                top = module.split(".")[0]
                assert top not in ("sympy", "z3", "belm", "belm_runtime", "derivations"), f"{path.name}: {module}"
                assert top != "belm_theory" or module.startswith("belm_theory.checker"), f"{path.name}: {module}"
