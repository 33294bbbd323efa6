"""The face: the runtime's fixed names, and the command `belm`. The only package that knows both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import belm_runtime

if TYPE_CHECKING:
    from belm_runtime import (
        AmplificationWarning,
        BareInversionWarning,
        Grid,
        InputError,
        NotFiniteError,
        Sampler,
        Schedule,
        State,
        coefficients,
        methods,
    )

__all__ = [
    "AmplificationWarning", "BareInversionWarning", "Grid", "InputError", "NotFiniteError", "Sampler", "Schedule",
    "State", "coefficients", "methods",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The runtime's public names, loaded on first use."""
    if name in __all__:
        return getattr(belm_runtime, name)
    raise AttributeError(f"module 'belm' has no attribute {name!r}")
