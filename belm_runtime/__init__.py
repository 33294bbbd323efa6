"""The runtime: schedules, grids, coefficient tables, samplers and states; torch, numpy and safetensors only.

Names load on first use, so that tables and method names are available without importing torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from belm_runtime import methods
    from belm_runtime.amplification import AmplificationWarning, BareInversionWarning, UnstableWarning
    from belm_runtime.errors import InputError, NotFiniteError
    from belm_runtime.grid import Grid
    from belm_runtime.sampler import Sampler
    from belm_runtime.schedule import Schedule
    from belm_runtime.state import State
    from belm_runtime.table import coefficients

__all__ = [
    "AmplificationWarning", "BareInversionWarning", "Grid", "InputError", "NotFiniteError", "Sampler", "Schedule",
    "State", "UnstableWarning", "coefficients", "methods",
]  # fmt: skip

_HOMES = {
    "AmplificationWarning": "amplification", "BareInversionWarning": "amplification", "Grid": "grid",
    "InputError": "errors", "NotFiniteError": "errors",
    "Sampler": "sampler", "Schedule": "schedule", "State": "state", "UnstableWarning": "amplification",
    "coefficients": "table",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"belm_runtime.{_HOMES[name]}"), name)
    if name == "methods":
        return importlib.import_module("belm_runtime.methods")
    raise AttributeError(f"module 'belm_runtime' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return __all__
