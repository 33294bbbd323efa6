"""Tiny pipelines, and no history lost by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("diffusers")

from tiny_pipelines import Builder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("tokenizer"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test here loses a history by accident: one that means to catches the warning itself."""
    lost = pytest.mark.filterwarnings(
        "error::belm_runtime.pipelines.HistoryWarning",
        # What diffusers' own schedulers do with NumPy 2.
        "ignore:__array:DeprecationWarning",
    )
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(lost)
