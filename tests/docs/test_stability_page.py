"""The tables of docs/stability.md are what its scripts print."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("script", ["regions_figure", "root_loci_figure"])
def test_tables_are_those_of_the_scripts(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    page = (ROOT / "docs/stability.md").read_text(encoding="utf-8")
    assert "\n".join(importlib.import_module(script).table()) in page
