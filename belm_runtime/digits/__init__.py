"""The embedded trained model: 8×8 pictures of handwritten digits, with classes and guidance.

`load` gives the network eps(x, t, c) of `belm_runtime.digits.network`; `denoiser` gives a `model(x, t)` in
the convention of `belm_runtime.models` for one class or one per sample, with classifier-free guidance

    eps = eps_null + w·(eps_label − eps_null)

(Ho and Salimans, arXiv 2207.12598): w = 1 is the class alone, w = 0 any digit, w > 1 exaggerates the class.
The model predicts epsilon on the `ddpm` schedule, pictures in [-1, 1]. What it was trained on, how well it
does and what it is for: CARD.md beside this file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from belm_runtime.answer import answer
from belm_runtime.digits.network import NULL, DigitsUNet, fingerprint
from belm_runtime.errors import InputError
from belm_runtime.models import Model, finite

__all__ = ["NULL", "WEIGHTS", "DigitsUNet", "denoiser", "load"]

#: The weights that come with the package.
WEIGHTS = Path(__file__).with_name("weights.safetensors")

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TRAIN = "python -m belm_runtime.digits.train --out"


def load(
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    weights: str | os.PathLike[str] | None = None,
) -> DigitsUNet:
    """The trained network, in evaluation mode and with its weights frozen.

    Args:
        dtype: float16, bfloat16, float32 or float64, what the network computes in; the file holds float32.
        device: where the weights go.
        weights: a file that `belm_runtime.digits.train` wrote; default: `WEIGHTS`.

    Returns:
        A network of its own at each call; torch's random generators are left alone.

    Raises:
        InputError: another dtype, or a file that is missing, damaged or of another network.
    """
    if dtype not in _DTYPES:
        names = ", ".join(str(known) for known in _DTYPES)
        raise InputError(f"dtype = {dtype}; the network computes in one of {names}")
    path = Path(WEIGHTS if weights is None else weights)
    tensors = _read(path)
    # The first weights are random and overwritten at once; the caller's generator must not notice.
    with torch.random.fork_rng(devices=[]):
        network = DigitsUNet()
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise InputError(f"{path} holds another network; make one for this with: {_TRAIN} {path}") from None
    return network.to(device=device, dtype=dtype).eval().requires_grad_(False)


def denoiser(
    label: int | Sequence[int] | np.ndarray | Tensor | None = None,
    guidance: float = 1.0,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    network: DigitsUNet | None = None,
) -> Model:
    """The embedded model under a class: `model(x, t) -> eps_null + w·(eps_label − eps_null)`.

    Args:
        label: 0 … 9 for the whole batch, or one per sample; None is the null class (any digit), for which the
            two terms agree and the guidance has no effect.
        guidance: w, any finite number. At 1, or without a label, the network is called once on the batch;
            otherwise once on the batch twice over.
        dtype: what the network computes in, whatever the dtype of x; see `load`.
        device: where the network runs.
        network: use this one, as it is, instead of loading the embedded one.

    Returns:
        A callable that takes x of shape (batch, 1, 8, 8) and t of shape (batch,), timesteps in 0 … 999, and
        returns eps in the shape and dtype of x.

    Raises:
        InputError: a label outside 0 … 9, a guidance that is not finite, whatever `load` refuses, or (when
            called) as many labels as the batch has not.
    """
    classes, weight = _classes(label), finite("guidance", guidance)
    net = load(dtype, device) if network is None else network
    inner = net.enter.weight.dtype

    def model(x: Tensor, t: Tensor) -> Tensor:
        state = x.to(inner)
        if classes is None:
            return answer(net(state, t), state, x)
        if classes.ndim and len(classes) != len(x):
            raise InputError(f"{len(classes)} labels for a batch of {len(x)}; give one label or {len(x)}")
        wanted = classes.to(x.device).expand(len(x))
        if weight == 1.0:
            return answer(net(state, t, wanted), state, x)
        labels = torch.cat([torch.full_like(wanted, NULL), wanted])
        null, conditional = net(torch.cat([state, state]), torch.cat([t, t]), labels).chunk(2)
        return answer(torch.add(null, conditional - null, alpha=weight), state, x)

    return model


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, checked against the fingerprint it carries."""
    advice = f"restore it, or train it again with: {_TRAIN} {path}"
    try:
        with safe_open(path, framework="pt") as file:
            promised = (file.metadata() or {}).get("fingerprint")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"there are no weights at {path}; {advice}") from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a readable safetensors file ({error}); {advice}") from None
    if promised != fingerprint(tensors):
        raise InputError(f"{path} is damaged: its weights do not have the fingerprint it states; {advice}")
    return tensors


def _classes(label: Any) -> Tensor | None:
    """The labels as int64, of shape () or (batch,); None stays None."""
    if label is None:
        return None
    try:
        values = label.detach().cpu().numpy() if isinstance(label, Tensor) else np.asarray(label)
    except (TypeError, ValueError):
        values = np.asarray("")
    if values.dtype.kind not in "iu" or values.ndim > 1:
        raise InputError(f"label = {label!r}; it must be a whole number 0 … 9, one per sample, or None")
    wrong = values[(values < 0) | (values >= NULL)]
    if wrong.size:
        raise InputError(f"label {int(wrong.flat[0])} is not a digit; it must be 0 … 9, or None for any")
    return torch.from_numpy(np.array(values, dtype=np.int64))
