"""The derivation pages: where they are, and how they are run.

A page is a file of the folder derivations/ of the repository (inside this package in an installed wheel) that declares
``CLAIM`` and defines ``derive() -> Certificate``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from belm_theory.certificate import Certificate, Claim

_INSTALLED = Path(__file__).parent / "derivations"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parent.parent / "derivations"


@dataclass(frozen=True)
class Page:
    """One derivation: its file, its claim, and the function that decides it, once a process."""

    path: Path
    claim: Claim
    derive: Callable[[], Certificate]


@cache
def pages() -> dict[str, Page]:
    """All pages by claim id, in the order of their file names.

    Raises:
        ValueError: if two pages declare the same claim.
    """
    if not FOLDER.is_dir():
        raise FileNotFoundError(f"the derivations are missing: {str(FOLDER)!r} is no folder")
    found: dict[str, Page] = {}
    for path in sorted(FOLDER.glob("*.py")):
        specification = importlib.util.spec_from_file_location(f"derivations.{path.stem}", path)
        assert specification is not None and specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        page = Page(path, module.CLAIM, cache(module.derive))
        if page.claim.id in found:
            raise ValueError(f"{path.name} and {found[page.claim.id].path.name} both declare {page.claim.id!r}")
        found[page.claim.id] = page
    return found
