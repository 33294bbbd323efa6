"""What a network answers, and what it computes in: the one goes on in the dtype of x, the other decides its bits.

Guidance, a denoiser's coordinates or a function of the user's may be around a network; who evaluates the whole listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_heard: ContextVar[set[str] | None] = ContextVar("heard", default=None)


@contextmanager
def heard() -> Iterator[set[str]]:
    """What networks compute in inside the block, through whatever is around them: ``float32``, or ``x to y``."""
    dtypes: set[str] = set()
    token = _heard.set(dtypes)
    try:
        yield dtypes
    finally:
        _heard.reset(token)


def answer(output: Tensor, asked: Tensor, x: Tensor) -> Tensor:
    """A network's output in the dtype of x.

    Args:
        output: what it returned.
        asked: what it was given for x, in its own dtype.
        x: the state.
    """
    if (dtypes := _heard.get()) is not None:
        taken, given = dtype_name(asked.dtype), dtype_name(output.dtype)
        dtypes.add(taken if taken == given else f"{taken} to {given}")
    return output.to(x.dtype)


def dtype_name(dtype: torch.dtype) -> str:
    """As in ``float32``."""
    return str(dtype).removeprefix("torch.")
