"""Designs of the catalogue: each has a page that derives it, from the same data."""

from __future__ import annotations

import pytest

from belm.design.written import as_data
from belm_runtime.design import Design
from belm_runtime.designs import shipped
from belm_theory.design import claim
from belm_theory.pages import pages


@pytest.mark.parametrize("name", shipped())
def test_entry_and_page_hold_the_same_data(name: str) -> None:
    design = Design.read(name)
    assert design.name == name
    assert pages()[f"design-{name}"].claim == claim(as_data(design))


def test_every_page_of_a_design_has_its_entry() -> None:
    assert [f"design-{name}" for name in sorted(shipped())] == sorted(c for c in pages() if c.startswith("design-"))
