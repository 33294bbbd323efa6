"""The front door of k-diffusion: samplers with its signature, for whatever takes a function such as `sample_euler`.

A k-diffusion model is a denoiser D(x, sigma) of variance-exploding states x = D + sigma·eps, and a sampler integrates

    dx/dsigma = (x − D(x, sigma))/sigma

from sigmas[0] down to sigmas[−1]. That is the grid alpha_i = 1, sigma_i = sigmas[N − i], t_i = sigma_i and a model that
predicts the sample; ``ddim`` on it is `sample_euler` without churn, and ``adams:m=4`` in the noise frame `sample_lms`.

A flow-matching model that is dressed as a denoiser, x = (1 − sigma)·D + sigma·eps, obeys the same equation, and
frame="noise" here makes the very steps that frame="flow" makes on the grid of the flow.

Source: the convention of Karras et al., arXiv 2206.00364, as in github.com/crowsonkb/k-diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from belm_runtime.errors import InputError
from belm_runtime.frame import Frame
from belm_runtime.grid import Grid
from belm_runtime.methods import Method
from belm_runtime.sampler import Sampler
from belm_runtime.state import State

Denoiser = Callable[..., Tensor]
Callback = Callable[[dict[str, Any]], Any]


def sample_belm(
    model: Denoiser, x: Tensor | State, sigmas: Tensor, extra_args: Mapping[str, Any] | None = None,
    callback: Callback | None = None, disable: bool | None = None, *, method: Method | str = "blend:k=3",
    frame: Frame | str | float | None = None, start: str | None = None, arithmetic: str = "float64",
    dtype: torch.dtype | None = None, on_state: Callable[[State], Any] | None = None,
) -> Tensor:  # fmt: skip
    """Sample from a denoiser.

    Args:
        model: ``model(x, sigma, **extra_args) -> D``, sigma of shape (batch,).
        x: the state at sigmas[0], of shape (batch, …), or a State to continue from exactly.
        sigmas: N + 1 decreasing numbers ≥ 0, of which only the last may be 0.
        extra_args: handed to the model.
        callback: called after each step with a dict: i, the step; x, sigma and denoised of its last model call, and
            sigma_hat, which is sigma.
        disable: True hides the progress bar, None hides it where stderr is no terminal.
        method: a method, e.g. ``"o-belm"``, or a design, ``"designed"`` or ``"my-design.json"``.
        frame: default the design's, or the method's natural frame; ``"noise"`` for a flow-matching model.
        start: ``adams`` or ``ddim``; default the design's, or adams.
        arithmetic: the dtype of the states, ``float64`` or ``float32``, whatever the model runs in.
        dtype: what x is cast to for the model; default the dtype of `sigmas`, so that both ways call it alike.
        on_state: called with the last state, which `invert_belm` needs to be exact.

    Returns:
        The sample at sigmas[−1], in the dtype of `x`.

    Raises:
        InputError: sigmas that do not decrease, unknown names, wrong shapes, a foreign state.
        NotFiniteError: a NaN or overflow, with its step.
    """
    run = _Run(model, sigmas, extra_args, callback, dtype)
    sampler = run.sampler(method, frame=frame, start=start, arithmetic=arithmetic)
    return run.finished(x, disable, lambda: sampler.sample(run.denoise, x), on_state)


def invert_belm(
    model: Denoiser, x: Tensor | State, sigmas: Tensor, extra_args: Mapping[str, Any] | None = None,
    callback: Callback | None = None, disable: bool | None = None, *, method: Method | str = "blend:k=3",
    frame: Frame | str | float | None = None, start: str | None = None, arithmetic: str = "float64",
    dtype: torch.dtype | None = None, on_state: Callable[[State], Any] | None = None, approximate: bool = False,
) -> Tensor:  # fmt: skip
    """Undo `sample_belm`: the same arguments and the same decreasing sigmas, from the sample to the noise.

    Args:
        model: as in `sample_belm`.
        x: the State that ``on_state`` was given, for an inverse that is exact in exact arithmetic; or a bare sample at
            sigmas[−1], whose noise is recovered approximately (``method="open:k=3"`` amplifies least).
        sigmas: those of the sampling.
        extra_args: as in `sample_belm`.
        callback: as in `sample_belm`.
        disable: as in `sample_belm`.
        method: as in `sample_belm`.
        frame: as in `sample_belm`.
        start: as in `sample_belm`.
        arithmetic: as in `sample_belm`.
        dtype: as in `sample_belm`.
        on_state: called with the state at sigmas[0], from which `sample_belm` returns exactly.
        approximate: from a bare sample, Adams–Bashforth upward instead of the inverse: DDIM inversion for ``ddim``.

    Returns:
        The state at sigmas[0], in the dtype of `x`.

    Raises:
        InputError: as `sample_belm`, and for a method without inverse.
        NotFiniteError: a NaN or overflow, with its step.
    """
    run = _Run(model, sigmas, extra_args, callback, dtype)
    sampler = run.sampler(method, frame=frame, start=start, arithmetic=arithmetic)
    return run.finished(x, disable, lambda: sampler.invert(run.denoise, x, approximate=approximate), on_state)


class _Run:
    """The denoiser as a model, and what its steps report."""

    def __init__(
        self, denoiser: Denoiser, sigmas: Tensor, extra_args: Mapping[str, Any] | None, callback: Callback | None,
        dtype: torch.dtype | None,
    ) -> None:  # fmt: skip
        if not callable(denoiser):
            raise InputError(f"the model is a {type(denoiser).__name__}; it must be callable: model(x, sigma)")
        self.denoiser, self.extra, self.callback = denoiser, dict(extra_args or {}), callback
        self.grid, self.clock = _grid(sigmas), sigmas.dtype
        self.dtype, self.last = dtype or sigmas.dtype, dict[str, Any]()
        self.bar: Any = None

    def sampler(self, method: Method | str, **options: Any) -> Sampler:
        return Sampler(method, self.grid, prediction="sample", progress=self.step, **options)

    def denoise(self, x: Tensor, t: Tensor) -> Tensor:
        """D at (x, sigma = t)."""
        x, sigma = x.to(self.dtype), t.to(self.clock)
        denoised = self.denoiser(x, sigma, **self.extra)
        self.last = {"x": x, "sigma": sigma[0], "sigma_hat": sigma[0], "denoised": denoised}
        return denoised

    def step(self, done: int, total: int) -> None:
        self.bar.total = total
        self.bar.update()
        if self.callback is not None:
            self.callback({**self.last, "i": done - 1})

    def finished(
        self, x: Tensor | State, disable: bool | None, run: Callable[[], State], on_state: Callable[[State], Any] | None
    ) -> Tensor:
        """Run under a progress bar, hand over the state, and return its x."""
        from tqdm.auto import tqdm

        with tqdm(disable=disable) as self.bar:
            state = run()
        if on_state is not None:
            on_state(state)
        return state.x.to(x.dtype) if isinstance(x, Tensor) else state.x


def _grid(sigmas: Tensor) -> Grid:
    """The grid alpha = 1, sigma = sigmas from the last to the first."""
    if not isinstance(sigmas, Tensor) or sigmas.dim() != 1 or len(sigmas) < 2 or not sigmas.is_floating_point():
        what = f"of shape {tuple(sigmas.shape)}" if isinstance(sigmas, Tensor) else f"a {type(sigmas).__name__}"
        raise InputError(f"sigmas must be a floating tensor of N + 1 ≥ 2 noise levels, not {what}")
    levels = sigmas.tolist()
    for i, sigma in enumerate(levels):
        if not 0 <= sigma < math.inf:
            raise InputError(f"sigmas[{i}] = {sigma} must be finite and ≥ 0")
        if i and sigma >= levels[i - 1]:
            raise InputError(f"sigmas must decrease, but sigmas[{i}] = {sigma} is not below {levels[i - 1]} before it")
    levels.reverse()
    return Grid.from_arrays([1.0] * len(levels), levels, levels, schedule="sigmas", spacing="given")
