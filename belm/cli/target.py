"""``MODULE:CALLABLE`` on the command line, and what an audit makes of it."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from belm_runtime.errors import InputError, unknown

if TYPE_CHECKING:
    from belm_runtime.audit import Subject
    from belm_runtime.schedule import Schedule

#: The number of steps where none is said.
_STEPS = 10
#: The presets in the settings of diffusers' schedulers.
_SETTINGS: dict[str, dict[str, Any]] = {
    "sd15": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1},
    "ddpm": {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}


def load(text: str) -> Any:
    """The object that MODULE:CALLABLE names; modules of the current folder are found too.

    Raises:
        InputError: no such module or name, or a module that fails when it is imported.
    """
    module, colon, name = text.partition(":")
    if not (colon and module and name):
        raise InputError(f"{text!r} does not name a callable; write MODULE:CALLABLE, as in diffusers:DDIMScheduler")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "diffusers":
            raise
        raise InputError(f"cannot import {module!r}: {error}") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"importing {module!r} failed: {type(error).__name__}: {error}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise unknown(f"name in {module}", part, [key for key in dir(found) if not key.startswith("_")])
        found = getattr(found, part)
    return found


def read_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` options; values are JSON, and what is not JSON is text.

    Raises:
        InputError: an option without ``=``.
    """
    read: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            raise InputError(f"--set {pair!r} is not of the form NAME=VALUE, as in clip_sample=false")
        try:
            # Python writes True and None where JSON writes true and null.
            read[name] = json.loads({"True": "true", "False": "false", "None": "null"}.get(value, value))
        except json.JSONDecodeError:
            read[name] = value
    return read


def subject_of(
    target: str, inverse: str | None, schedule: str | None, steps: int | None, spacing: str | None,
    prediction: str | None, settings: Mapping[str, Any],
) -> Subject:  # fmt: skip
    """What an audit runs: a scheduler, run(model, x), step(output, t, x), a Subject, or a function that makes one.

    What is None takes its default: 10 steps, and for functions epsilon.

    Raises:
        InputError: something else, or something that cannot be made or has no noise levels; an option that would say
            nothing to it.
    """
    from belm_runtime import audit
    from belm_runtime.audit.subject import attempted

    loaded = load(target)
    # What stands for a class whose dependency is missing fails when it is looked at.
    found = attempted(target, lambda: _made(loaded, schedule, spacing, settings))
    name, number = target.partition(":")[2], _STEPS if steps is None else steps
    made_here = isinstance(loaded, type) and audit.is_scheduler(found)
    if settings and not made_here:
        raise InputError(f"--set {next(iter(settings))}=… is for scheduler classes; {target} is none")
    if audit.is_scheduler(found):
        if prediction is not None:
            raise InputError(f"--prediction {prediction} is for functions; {target} has a prediction_type of its own")
        if schedule is not None and spacing is None and not made_here:
            raise InputError(f"{target} has a schedule: --schedule {schedule} says nothing to it without --spacing")
        expected = None if spacing is None else _schedule(schedule, found).grid(number, spacing)
        backwards = None if inverse is None else _turned(load(inverse), found, inverse)
        make = partial(audit.of_scheduler, found, number, name=name, expected=expected, inverse=backwards)
        return attempted(name, make)
    claimed = None if inverse is None else load(inverse)
    if isinstance(found, audit.Subject):
        given = {"schedule": schedule, "steps": steps, "spacing": spacing, "prediction": prediction}
        for option, value in given.items():
            if value is not None:
                raise InputError(f"--{option} {value} is for schedulers and functions; {target} is a Subject")
        return found if claimed is None else _with_inverse(found, claimed)
    count, preset = _required(found, target), _schedule(schedule, None)
    grid, prediction = preset.grid(number, spacing), prediction or "epsilon"
    if count == 2:
        return audit.of_function(
            found, grid, name=name, prediction=prediction, invert=claimed, schedule=preset
        )  # fmt: skip
    made = audit.of_step(found, grid, name=name, schedule=preset, prediction=prediction)
    return made if claimed is None else _with_inverse(made, claimed)


def _made(found: Any, schedule: str | None, spacing: str | None, settings: Mapping[str, Any]) -> Any:
    """A scheduler from its class, with the settings that it knows; the result of a function without arguments."""
    from belm_runtime.audit import Subject, is_scheduler
    from belm_runtime.audit.subject import attempted

    if isinstance(found, type) and is_scheduler(found):
        known = inspect.signature(found).parameters
        if strange := sorted(set(settings) - set(known)):
            raise unknown(f"setting of {found.__name__}", strange[0], known)
        _check_schedule(found.__name__, schedule, known, settings)
        preset, _, options = (schedule or "").partition(":")
        chosen: dict[str, Any] = dict(_SETTINGS.get(preset, {}))
        if preset == "flow" and options:
            chosen |= read_settings([options])
        if spacing is not None:
            chosen["timestep_spacing"] = spacing
        usable = {key: value for key, value in chosen.items() if key in known}
        return attempted(found.__name__, lambda: found(**{**usable, **settings}))
    if callable(found) and not isinstance(found, Subject) and not is_scheduler(found) and not _count(found):
        return attempted(getattr(found, "__name__", "the target"), found)
    return found


def _turned(found: Any, forward: Any, target: str) -> Any:
    """The scheduler of the way back, with the settings of the forward one where it is given as a class."""
    from belm_runtime.audit import is_scheduler

    if not is_scheduler(found) and callable(found) and not _count(found):
        found = found()
    if not is_scheduler(found):
        raise InputError(f"--inverse {target} is no scheduler; the inverse of a scheduler must be one")
    if isinstance(found, type):
        return found.from_config(forward.config) if hasattr(found, "from_config") else found()
    return found


def _with_inverse(subject: Subject, claimed: Any) -> Subject:
    from dataclasses import replace

    return replace(subject, invert=claimed)


def _check_schedule(name: str, schedule: str | None, known: Collection[str], settings: Mapping[str, Any]) -> None:
    """Refuse a preset that a scheduler's class would not hear of, knowing these settings."""
    from belm_runtime.schedule import Schedule

    if schedule is None:
        return
    Schedule.preset(schedule)
    flow, betas = schedule.partition(":")[0] == "flow", "beta_schedule" in known
    if flow and betas and not settings.get("use_flow_sigmas"):
        raise InputError(
            f"{name} has betas and is no flow: leave out --schedule {schedule}, or choose sd15, ddpm, cosine"
        )
    if not flow and not betas:
        raise InputError(f"{name} has no betas, so --schedule {schedule} would say nothing to it: leave it out")


def _schedule(name: str | None, scheduler: Any) -> Schedule:
    from belm_runtime.schedule import Schedule

    if name is not None:
        return Schedule.preset(name)
    if scheduler is None:
        raise InputError("a function has no noise levels of its own; give --schedule, such as sd15, ddpm or flow")
    return Schedule.from_diffusers(scheduler)


def _count(found: Any) -> int:
    """How many arguments a callable needs."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return -1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.default is p.empty and p.kind in positional for p in parameters)


def _required(found: Any, target: str) -> int:
    count = _count(found) if callable(found) else 0
    if count not in (2, 3):
        kind = f"a callable that needs {count} arguments" if callable(found) else f"a {type(found).__name__}"
        raise InputError(
            f"{target} is {kind}; an audit takes a scheduler, run(model, x), step(model_output, timestep, sample), a "
            "Subject, or a function without arguments that returns one"
        )
    return count
