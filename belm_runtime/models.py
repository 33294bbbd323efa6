"""One convention for every network: ``model(x, t) -> prediction``.

A state is x = alpha·D + sigma·eps with data D and noise eps. x has shape (batch, …), t is a 1-D floating
tensor of length batch with the grid's timesteps, and the prediction p = c_D·D + c_eps·eps has the shape of x:

    epsilon    eps                       (c_D, c_eps) = (0, 1)
    v          alpha·eps − sigma·D       (−sigma, alpha)
    sample     D                         (1, 0)
    flow       eps − D                   (−1, 1)

v (Salimans and Ho, arXiv 2202.00512) and the flow velocity are different things. With x each determines eps:

    eps = (alpha·p − c_D·x) / (alpha·c_eps − sigma·c_D).

The adapters below bring networks of other conventions to this one. x takes the network's dtype on the way in
and the prediction x's dtype on the way out; t stays in float32 or float64, since bfloat16 turns 981 into 980.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any, Protocol, cast
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from belm_runtime._generated import frames
from belm_runtime.answer import answer
from belm_runtime.errors import InputError, unknown

Model = Callable[[Tensor, Tensor], Tensor]
Level = float | Tensor

#: What a network may predict: eps, alpha·eps − sigma·D, D, eps − D, in this order.
PREDICTIONS = frames.PREDICTIONS

_warned: WeakSet[nn.Module] = WeakSet()


class NoiseLevels(Protocol):
    """Anything that knows its noise levels at a timestep, as a schedule does."""

    def alpha_sigma(self, t: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
        """The levels (alpha, sigma) at the timesteps t, arrays of t's shape."""
        ...


def levels(schedule: NoiseLevels, t: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The levels (alpha, sigma) at a batch of timesteps, float64 of shape (len(t),); copies t to the host."""
    alpha, sigma = schedule.alpha_sigma(t.detach().cpu().to(torch.float64).numpy())
    return np.asarray(alpha, dtype=np.float64), np.asarray(sigma, dtype=np.float64)


def mixing(prediction_type: str, alpha: Level, sigma: Level) -> tuple[Level, Level]:
    """The weights (c_D, c_eps) of a prediction p = c_D·D + c_eps·eps.

    Args:
        prediction_type: one of `PREDICTIONS`; any other is an InputError.
        alpha: signal level, a number or a tensor that broadcasts against x.
        sigma: noise level, likewise.
    """
    if prediction_type == "epsilon":
        return 0.0, 1.0
    if prediction_type == "v":
        return -sigma, alpha
    if prediction_type == "sample":
        return 1.0, 0.0
    if prediction_type == "flow":
        return -1.0, 1.0
    raise unknown("prediction", prediction_type, PREDICTIONS)


def to_epsilon(prediction_type: str, prediction: Tensor, x: Tensor, alpha: Level, sigma: Level) -> Tensor:
    """The noise eps a prediction p stands for: eps = (alpha·p − c_D·x) / (alpha·c_eps − sigma·c_D).

    Args:
        prediction_type: one of `PREDICTIONS`.
        prediction: the network's output, of x's shape; returned as it is where it predicts epsilon.
        x: the state alpha·D + sigma·eps.
        alpha: signal level, a number or a tensor that broadcasts against x.
        sigma: noise level, likewise.

    Raises:
        InputError: unknown prediction type, or numbers alpha, sigma at which p leaves eps open (a sample
            prediction at sigma = 0). Tensors are not inspected: that would synchronise with the device.
    """
    data_weight, noise_weight = mixing(prediction_type, alpha, sigma)
    if prediction_type == "epsilon":
        return prediction
    determinant = alpha * noise_weight - sigma * data_weight
    if not isinstance(determinant, Tensor) and determinant == 0:
        raise InputError(
            f"a {prediction_type!r} prediction leaves epsilon open at alpha = {alpha}, sigma = {sigma}; "
            "the noise level must be positive"
        )
    return (alpha * prediction - data_weight * x) / determinant


def as_model(model: Any) -> Model:
    """What a sampler makes of whatever it is given, so that `model(x, t)` is all it has to know.

    Args:
        model: a callable in the convention of this module, returned as it is; or a `torch.nn.Module`, wrapped
            by `from_unet` without conditioning. Anything else is an InputError.
    """
    if isinstance(model, nn.Module):
        return from_unet(model)
    if not callable(model):
        raise InputError(f"the model is a {type(model).__name__}; it must be callable: model(x, t)")
    return cast(Model, model)


def from_unet(
    unet: Callable[..., Any],
    *,
    timestep_scale: float = 1.0,
    dtype: torch.dtype | None = None,
    **conditioning: Any,
) -> Model:
    """A model from a network in the manner of diffusers, called `unet(x, t, **conditioning)`.

    t goes by name if the network has a parameter `timestep` (transformers put others before it). It arrives
    in float64 if the network computes in float64, else in float32; unchanged where no dtype is known.

    Args:
        unet: the network; it returns a tensor, a tuple that begins with one, or an object with `.sample`.
            Warns once per module if dropout or batch normalisation is in training mode.
        timestep_scale: what t is multiplied by, e.g. 1000 for a flow network that counts to 1000.
        dtype: what x is cast to; default: the dtype of the module's first floating parameter, or x's own.
        **conditioning: handed to the network as it is, with the batch size of x.

    Raises:
        InputError: not callable, a scale that is not a positive number, or (when called) an unusable result.
    """
    if not callable(unet):
        raise InputError(f"the network is a {type(unet).__name__}; it must be callable: network(x, t)")
    scale = finite("timestep_scale", timestep_scale)
    if scale <= 0:
        raise InputError(f"timestep_scale = {scale} is not positive; it must be, e.g., 1.0 or 1000.0")
    inner = dtype or _parameter_dtype(unet)
    clock = inner and (torch.float64 if inner is torch.float64 else torch.float32)
    by_name = _takes_timestep(unet)
    _warn_if_training(unet)

    def model(x: Tensor, t: Tensor) -> Tensor:
        # Scaled before the cast: 1000·t rounds once, from the precision t came in.
        time = (t * scale if scale != 1.0 else t).to(clock or t.dtype)
        state = x.to(inner or x.dtype)
        output = unet(state, timestep=time, **conditioning) if by_name else unet(state, time, **conditioning)
        return answer(_prediction(output, x.shape), state, x)

    return model


def from_denoiser(denoiser: Callable[..., Any], schedule: NoiseLevels) -> Model:
    """A model that predicts the sample, D = denoiser(x/alpha, sigma/alpha); use it with prediction="sample".

    The denoiser lives in variance-exploding coordinates x_hat = D + sigma_hat·eps (k-diffusion; Karras et
    al., arXiv 2206.00364). Each call reads the schedule on the host.

    Args:
        denoiser: D(x_hat, sigma_hat) with sigma_hat of shape (batch,); a module gets x_hat in its own dtype
            and sigma_hat in float32 or float64.
        schedule: the schedule that the timesteps t belong to.

    Raises:
        InputError: not a callable, or (when called) a timestep at which alpha = 0.
    """
    inner = as_model(denoiser)

    def model(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = levels(schedule, t)
        if (alpha <= 0).any():
            where = float(t[int((alpha <= 0).argmax())])
            raise InputError(
                f"alpha = 0 at timestep {where}, so x/alpha does not exist; "
                "a denoiser needs a grid that ends before alpha reaches 0"
            )
        column = torch.as_tensor(alpha, dtype=x.dtype, device=x.device).reshape(-1, *(1,) * (x.ndim - 1))
        return inner(x / column, torch.as_tensor(sigma / alpha, dtype=t.dtype, device=x.device))

    return model


def guided(model: Any, negative: Any, scale: float) -> Model:
    """Classifier-free guidance (Ho and Salimans, arXiv 2207.12598): negative + scale·(model − negative).

    Args:
        model: the model under the wanted condition; anything `as_model` takes.
        negative: the model under the null or unwanted condition, predicting the same quantity.
        scale: any finite number. At 1 only `model` is called, at 0 only `negative`.

    Raises:
        InputError: a scale that is not finite, or a model that is not callable.
    """
    weight, wanted, unwanted = finite("guidance scale", scale), as_model(model), as_model(negative)
    if weight in (0.0, 1.0):
        return wanted if weight else unwanted

    def combined(x: Tensor, t: Tensor) -> Tensor:
        base = unwanted(x, t)
        return torch.add(base, wanted(x, t) - base, alpha=weight)

    return combined


def _prediction(output: Any, shape: torch.Size) -> Tensor:
    """The tensor inside a network's result, refused unless it has the shape of x."""
    found = output
    if not isinstance(output, Tensor):
        found = output[0] if isinstance(output, tuple) and output else getattr(output, "sample", None)
    if not isinstance(found, Tensor):
        raise InputError(
            f"the network returned a {type(output).__name__}; "
            "it must return a tensor, a tuple that begins with one, or an object with .sample"
        )
    if found.shape != shape:
        raise InputError(
            f"the network returned shape {tuple(found.shape)} for x of shape {tuple(shape)}; they must agree "
            "(a network that also predicts a variance needs a wrapper that keeps the channels of the mean)"
        )
    return found


def _parameter_dtype(network: Any) -> torch.dtype | None:
    """The dtype of a module's first floating parameter; 8-bit floats only store weights and do not count."""
    if not isinstance(network, nn.Module):
        return None
    floating = (p.dtype for p in network.parameters() if p.is_floating_point() and p.element_size() > 1)
    return next(floating, None)


def _takes_timestep(network: Callable[..., Any]) -> bool:
    """Whether the network can be given its time as `timestep=`."""
    try:
        signature = inspect.signature(network.forward if isinstance(network, nn.Module) else network)
    except (TypeError, ValueError):
        return False
    parameter = signature.parameters.get("timestep")
    return parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY


def _warn_if_training(network: Any) -> None:
    """Warn, once per module, of layers that make its prediction depend on more than (x, t)."""
    if not isinstance(network, nn.Module) or network in _warned:
        return
    for layer in network.modules():
        varies = isinstance(layer, _BatchNorm) or (isinstance(layer, _DropoutNd) and layer.p > 0)
        if layer.training and varies:
            _warned.add(network)
            warnings.warn(
                f"{type(network).__name__} has a {type(layer).__name__} in training mode, so its prediction "
                "depends on more than (x, t) and inversion cannot be exact; call .eval() first",
                stacklevel=3,
            )
            return


def finite(name: str, value: Any) -> float:
    """The value as a finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} = {value!r} is not a finite number; it must be, e.g., 1.0 or 7.5")
    return number
