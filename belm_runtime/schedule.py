"""The schedule: which noise levels the network was trained on, and at which times.

A variance-preserving chain of T training steps with variances beta_0 … beta_{T−1} has

    log alphabar(t) = Σ_{s ≤ t} log(1 − beta_s),    alpha = sqrt(alphabar),    sigma = sqrt(1 − alphabar)

at t = 0 … T − 1. Each log(1 − beta_s) is computed from the definition of beta and the sum is compensated: no
digits are lost near the data, where alphabar is almost 1, nor near the noise, where it is almost 0. What lies
between the training nodes, and the variance-exploding and flow families, is in `belm_runtime.curve`; where a
grid puts its nodes is in `belm_runtime.spacing` and `belm_runtime.placement`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from belm_runtime.curve import Curve, Exploding, Flow, Levels, Preserving, ratio
from belm_runtime.designs import rule_of
from belm_runtime.errors import InputError, unknown
from belm_runtime.grid import Grid, whole
from belm_runtime.placement import place
from belm_runtime.spacing import Spacing, read_name

FloatArray = NDArray[np.float64]

#: Settings of a flow scheduler that place its times by more than a shift.
_OWN_FLOW_TIMES = (
    "use_dynamic_shifting",
    "shift_terminal",
    "invert_sigmas",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
)

#: Relative rounding that a ratio at the last node is allowed when it is turned back into a time.
_SLACK = 16 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule; build it with `Schedule.preset` or one of the `from_` methods.

    Attributes:
        name: for display, e.g. "sd15" or "flow:shift=3".
        steps_offset: what spacing "leading" adds to its timesteps.
    """

    name: str
    steps_offset: int
    _curve: Curve = field(repr=False)

    @classmethod
    def preset(cls, name: str, **options: Any) -> Schedule:
        """A schedule by name; "flow:shift=3" and ``preset("flow", shift=3)`` are the same thing.

        sd15    T = 1000, sqrt(beta) linear from sqrt(.00085) to sqrt(.012), steps_offset 1
        ddpm    T = 1000, beta linear from 1e-4 to .02
        cosine  T = 1000, alphabar ∝ cos²(π/2·((t + 1)/T + .008)/1.008), beta ≤ .999 (arXiv 2102.09672, eq 17)
        flow    alpha = 1 − t, sigma = t; options shift=1.0 and resolution=1000, its number of training times

        Raises:
            InputError: an unknown name or option, or a shift that is not a finite number > 0.
        """
        kind, parameters = read_name(name)
        if kind not in _PRESETS:
            raise unknown("preset", kind, _PRESETS)
        options = parameters | options
        surplus = sorted(set(options) - ({"shift", "resolution"} if kind == "flow" else set()))
        if surplus:
            known = "shift and resolution" if kind == "flow" else "none"
            raise InputError(f"preset {kind!r} has no option {surplus[0]!r}; known: {known}")
        return _PRESETS[kind](**options)

    @classmethod
    def from_betas(cls, betas: ArrayLike, *, steps_offset: int = 0) -> Schedule:
        """The variance-preserving schedule of beta_0 … beta_{T−1}, each in (0, 1); the last may be 1."""
        return cls("betas", whole("steps_offset", steps_offset, 0), Preserving.from_betas(betas))

    @classmethod
    def from_alphas_cumprod(cls, acp: ArrayLike, *, steps_offset: int = 0) -> Schedule:
        """The variance-preserving schedule of alphabar_0 > alphabar_1 > …, in (0, 1); the last may be 0."""
        offset = whole("steps_offset", steps_offset, 0)
        return cls("alphas_cumprod", offset, Preserving.from_alphas_cumprod(acp))

    @classmethod
    def from_sigmas(cls, sigmas: ArrayLike) -> Schedule:
        """The variance-exploding schedule, alpha = 1, of 0 < sigma_0 < sigma_1 < … at t = 0 … T − 1."""
        return cls("sigmas", 0, Exploding.from_sigmas(sigmas))

    @classmethod
    def from_diffusers(cls, scheduler: Any) -> Schedule:
        """The schedule of a diffusers scheduler, read from its own alphas_cumprod (float32) and config.

        Schedulers of flow matching give the flow, with the config's shift and number of training times.
        With rescale_betas_zero_snr, a final alphabar that is not below the one before stands for 0.

        Raises:
            InputError: the scheduler has neither, or moves its times in a way that a schedule cannot know.
        """
        kind, config = type(scheduler).__name__, getattr(scheduler, "config", None)
        acp = getattr(scheduler, "alphas_cumprod", None)
        through_flow = bool(_option(config, "use_flow_sigmas", False))
        if acp is not None and not through_flow:
            values = np.asarray(acp.cpu() if hasattr(acp, "cpu") else acp).astype(np.float64)
            if _option(config, "rescale_betas_zero_snr", False) and values[-1] >= values[-2]:
                # Some schedulers write 2^-24 over the final 0: with linear betas that is not even the least.
                values[-1] = 0.0
            found = cls.from_alphas_cumprod(values, steps_offset=_option(config, "steps_offset", 0))
            return replace(found, name=f"diffusers:{kind}")
        shift = _option(config, "flow_shift" if through_flow else "shift", None)
        if shift is None:
            raise InputError(f"{kind} has neither alphas_cumprod nor a flow shift in its config to read")
        for key in _OWN_FLOW_TIMES:
            if value := _option(config, key, None):
                raise InputError(
                    f"{key}={value!r} moves the scheduler's times by more than a shift; call its "
                    "set_timesteps and give its sigmas s, reversed, to Grid.from_arrays(1 - s, s, s)"
                )
        return _flow(shift, _option(config, "num_train_timesteps", 1000))

    @property
    def training_steps(self) -> int | None:
        """T, the number of training timesteps; None for the flow, whose time is continuous."""
        return None if isinstance(self._curve, Flow) else int(self.domain[1]) + 1

    @property
    def domain(self) -> tuple[float, float]:
        """The least and the greatest time: (−1, T − 1), for the flow (0, 1)."""
        return self._curve.domain

    @property
    def first_time(self) -> float:
        """The least time the network was trained at: 0, for the flow 1/resolution."""
        return 1 / self._curve.resolution if isinstance(self._curve, Flow) else 0.0

    def alpha_sigma(self, t: ArrayLike) -> Levels:
        """The levels (alpha, sigma) at real-valued timesteps.

        Args:
            t: times in `domain`, of any shape; so are the two float64 arrays returned.

        Raises:
            InputError: a time outside the domain.
        """
        times, (low, high) = np.asarray(t, dtype=np.float64), self.domain
        inside = (times >= low) & (times <= high)
        if not inside.all():
            wrong = times[~inside].flat[0]
            raise InputError(f"timestep {wrong} is outside the schedule's {low:g} … {high:g}")
        alpha, sigma = self._curve.levels(times)
        return np.asarray(alpha), np.asarray(sigma)

    def timesteps_at(self, sbar: ArrayLike) -> FloatArray:
        """The real-valued timesteps at which sigma/alpha = sbar: the inverse of `alpha_sigma`.

        Args:
            sbar: ratios ≥ 0, of any shape, up to the last training node's (infinite where alpha = 0 there).

        Raises:
            InputError: a ratio the schedule does not reach.
        """
        ratios, most = np.asarray(sbar, dtype=np.float64), ratio(self._curve, self.domain[1])
        inside = (ratios >= 0) & (ratios <= most * (1 + _SLACK))
        if not inside.all():
            wrong = ratios[~inside].flat[0]
            raise InputError(f"sigma/alpha = {wrong} is outside the schedule's 0 … {most:g}")
        return np.asarray(self._curve.times(np.minimum(ratios, most)))

    def grid(self, steps: int, spacing: str | Spacing | None = None, *, end: str = "zero") -> Grid:
        """The grid of N steps.

        Args:
            steps: N ≥ 1.
            spacing: "leading" (default), "trailing" (the flow's default), "linspace", "logsnr", "karras",
                "power:p=1.5", … (see `belm_runtime.spacing`), or a design: "designed", "my-design.json".
            end: what node 0 is. "zero": clean data, alpha = 1, sigma = 0. "first": the first training node.
                Its timestep is 0 either way.

        Raises:
            InputError: the steps, the spacing or the end is wrong, or does not fit this schedule.
        """
        count = whole("steps", steps, 1)
        if end not in ("zero", "first"):
            raise InputError(f"end must be 'zero' or 'first', not {end!r}")
        usual = "trailing" if isinstance(self._curve, Flow) else "leading"
        name, rule = rule_of(usual if spacing is None else spacing)
        times, alpha, sigma = place(self._curve, rule, count, self.steps_offset)
        first = self._first(float(times[0])) if end == "first" else (1.0, 0.0)
        return Grid.from_arrays(
            np.append(first[0], alpha),
            np.append(first[1], sigma),
            np.append(0.0, times),
            schedule=self.name,
            spacing=name,
        )

    def _first(self, time: float) -> tuple[float, float]:
        """The levels of the first training node, for a grid whose node 1 is at `time`."""
        if isinstance(self._curve, Flow):
            raise InputError("end='first' is not for the flow: its time is continuous; use end='zero'")
        if time <= 0:
            raise InputError(
                f"end='first' puts node 0 at timestep 0, but node 1 is at timestep {time:g} already; "
                "use end='zero' or spacing='trailing'"
            )
        alpha, sigma = self.alpha_sigma(0.0)
        return float(alpha), float(sigma)


def _scaled_linear() -> Schedule:
    betas = np.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000) ** 2
    return Schedule("sd15", 1, Preserving.from_increments(np.log1p(-betas)))


def _linear() -> Schedule:
    betas = np.linspace(1e-4, 0.02, 1000)
    return Schedule("ddpm", 0, Preserving.from_increments(np.log1p(-betas)))


def _cosine() -> Schedule:
    """The cosine preset; beta = 1 − cos²b/cos²a = sin(a + b)·sin(b − a)/cos²a does not cancel.

    In units of π/2016: a = i + 8, b = i + 9, π/2 = 1008, and each sine is taken from the nearer of 0 and π.
    """
    unit, i = math.pi / 2016, np.arange(1000.0)
    double = np.sin(unit * np.minimum(2 * i + 17, 1999 - 2 * i))
    beta = double * math.sin(unit) / np.sin(unit * (1000 - i)) ** 2
    capped = beta > 0.999
    increments = np.where(capped, -math.log(1000), np.log1p(-np.where(capped, 0, beta)))
    return Schedule("cosine", 0, Preserving.from_increments(increments))


def _flow(shift: Any = 1.0, resolution: Any = 1000) -> Schedule:
    try:
        factor, count = float(shift), int(resolution)
    except (TypeError, ValueError):
        factor, count = math.nan, 0
    if not 0 < factor < math.inf or count < 2:
        raise InputError(f"flow needs a shift > 0 and a resolution ≥ 2, not {shift!r} and {resolution!r}")
    given = {"shift": (factor, 1.0), "resolution": (count, 1000)}
    options = ",".join(f"{key}={value:g}" for key, (value, usual) in given.items() if value != usual)
    return Schedule(f"flow:{options}" if options else "flow", 0, Flow(factor, count))


_PRESETS = {"sd15": _scaled_linear, "ddpm": _linear, "cosine": _cosine, "flow": _flow}


def _option(config: Any, key: str, default: Any) -> Any:
    return config.get(key, default) if isinstance(config, Mapping) else getattr(config, key, default)
