"""What the bits of a prediction depend on beside its input, and what two records of it disagree on.

A network is a function of its input, but not always of nothing else: kernels are chosen by batch size, device,
library version, number of threads and by settings, and each adds up in an order of its own.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from typing import Any

import torch

from belm_runtime.answer import dtype_name


def conditions(device: torch.device, batch: int) -> dict[str, Any]:
    """The conditions under which a model is evaluated now, for JSON.

    Args:
        device: where.
        batch: how many samples at a call.
    """
    settings = {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "autocast": _autocast(device.type), "precision": _precision(device.type),
    }  # fmt: skip
    if device.type == "cuda":
        where = {
            "hardware": torch.cuda.get_device_name(device), "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(), "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
        }  # fmt: skip
    else:
        where = {
            "hardware": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
            "mkldnn": torch.backends.mkldnn.enabled,
        }  # fmt: skip
    made = {"torch": torch.__version__, "machine": platform.machine(), "device": device.type, "batch": batch}
    return {**made, **where, **settings}


def _precision(device: str) -> dict[str, str]:
    """What float32 may be rounded to in each kind of operation, ``none`` for nothing."""
    backends: Any = torch.backends
    if not hasattr(backends, "fp32_precision"):  # before torch 2.9
        tf32 = {"conv": "tf32" if backends.cudnn.allow_tf32 else "none"} if device == "cuda" else {}
        return {"matmul": torch.get_float32_matmul_precision(), **tf32}
    # The older functions raise where these were set, but these tell what those have set.
    own = backends.cudnn if device == "cuda" else backends.mkldnn
    matmul = backends.cuda.matmul if device == "cuda" else own.matmul
    return {"matmul": matmul.fp32_precision, "conv": own.conv.fp32_precision, "rnn": own.rnn.fp32_precision}


def _autocast(device: str) -> str:
    """The dtype that autocast gives operations on a kind of device, or ``off``."""
    if not hasattr(torch, "get_autocast_dtype"):  # before torch 2.4
        gpu = device == "cuda"
        enabled = torch.is_autocast_enabled() if gpu else device == "cpu" and torch.is_autocast_cpu_enabled()
        dtype = torch.get_autocast_gpu_dtype() if gpu else torch.get_autocast_cpu_dtype()
        return dtype_name(dtype) if enabled else "off"
    known = torch.amp.is_autocast_available(device)
    return dtype_name(torch.get_autocast_dtype(device)) if known and torch.is_autocast_enabled(device) else "off"


def differences(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What two records disagree on, as ``steps is 50 there and 20 here``; records inside are compared by entry."""
    found: list[str] = []
    for name in sorted({*there, *here}):
        old, new = (side.get(name, "absent") for side in (there, here))
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name} is {json.dumps(old)} there and {json.dumps(new)} here")
    return found
