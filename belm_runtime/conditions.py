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


def conditions(device: torch.device, batch: int) -> dict[str, Any]:
    """The conditions under which a model is evaluated now, for JSON.

    Args:
        device: where.
        batch: how many samples at a call.
    """
    settings = {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }
    if device.type == "cuda":
        where = {
            "hardware": torch.cuda.get_device_name(device), "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(), "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cudnn_deterministic": torch.backends.cudnn.deterministic, "tf32": torch.backends.cudnn.allow_tf32,
        }  # fmt: skip
    else:
        where = {
            "hardware": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
            "mkldnn": torch.backends.mkldnn.enabled,
        }  # fmt: skip
    made = {"torch": torch.__version__, "machine": platform.machine(), "device": device.type, "batch": batch}
    return {**made, **where, **settings}


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
