"""The figures of a demo as one dictionary: what results.json holds and the report is written from.

Errors are root mean squares over all pixels of all samples: of the noise (size 1) or of pictures (-1 … 1).
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor

from belm.demo.derive import Derived
from belm.demo.measure import REFERENCE, REFERENCE_SPACING, SCHEDULE, Plan, Ways, rms
from belm_runtime.digits import WEIGHTS

_PACKAGES = ("belm", "torch", "numpy", "sympy", "matplotlib", "safetensors")

Record = dict[str, Any]


def record(
    plan: Plan, derived: Sequence[Derived], ways: Sequence[Ways], noise: Tensor, solution: Tensor, floor: float,
    curves: Mapping[str, Sequence[tuple[int, float]]],
) -> Record:  # fmt: skip
    """Everything measured, ready for JSON; times are added by the caller.

    Args:
        plan: what was asked for.
        derived: the derivations.
        ways: the runs, in the same order.
        noise: x_N.
        solution: the reference x_0.
        floor: the reference's own error.
        curves: pairs (model calls, error) by method.
    """
    return {
        "setting": {
            "model": "belm_runtime.digits", "weights_sha256": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(),
            "schedule": SCHEDULE.name, "spacing": plan.spacing, "guidance": 1, "batch": plan.batch,
            "labels": plan.labels, "seed": plan.seed, "model_calls": plan.calls,
        },
        "reference": {
            "method": REFERENCE, "spacing": REFERENCE_SPACING, "steps": plan.reference,
            "rms_to_half_the_steps": floor,
        },
        "methods": {
            d.method: _derivation(d) | _measured(w, noise, solution) for d, w in zip(derived, ways, strict=True)
        },
        "error_by_model_calls": {method: [list(point) for point in curve] for method, curve in curves.items()},
        "machine": machine(),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    """Versions and machine."""
    return {
        "platform": platform.platform(), "processor": _processor(), "cpus": os.cpu_count(), "torch_threads": 1,
        "python": platform.python_version(), **{name: _version(name) for name in _PACKAGES},
    }  # fmt: skip


def _derivation(derived: Derived) -> Record:
    return {
        "frame": derived.frame, "order": derived.order, "order_smooth": derived.order_smooth,
        "exact_inverse": derived.invertible,
        "stability": {way: {"verdict": verdict, "witness": why} for way, (verdict, why) in derived.stability.items()},
        "module": derived.module, "identical_to_shipped": derived.identical,
    }  # fmt: skip


def _measured(ways: Ways, noise: Tensor, solution: Tensor) -> Record:
    state = None
    if ways.noise_state is not None and ways.sample_state is not None:
        state = {"noise": rms(ways.noise_state - noise), "sample": rms(ways.sample_state - ways.sample)}
    return {
        "steps": ways.steps, "calls": ways.calls, "error": rms(ways.sample - solution), "from_state": state,
        "from_sample_alone": {
            "noise": rms(ways.noise_alone - noise),
            "sample": rms(ways.sample_alone - ways.sample),
        },
        "rounding": ways.rounding, "inversion_amplification": ways.amplification,
        "inversion_amplification_along": [list(point) for point in ways.along], "warnings": ways.notes,
    }  # fmt: skip


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
