"""A small U-Net that predicts the noise in an 8×8 picture of a digit.

A noisy picture is x = alpha(t)·D + sigma(t)·eps, D the picture in [-1, 1] and eps ~ N(0, 1). The network is
a function eps(x, t, c) of the picture, a real-valued timestep t in 0 … 999 and a class c: one of the ten
digits, or the null class 10, which stands for "any digit" and is what guidance subtracts.

    x ── conv ── R ── R ──────────────── skip ───────────────┬── R ── R ── norm, SiLU, conv ── eps      8×8
                      └─ conv /2 ── R ── attention ── R ── conv ×2                                      4×4

R is a residual block of two 3×3 convolutions. Between them the time and class embedding e scales and shifts
the normalised features, (1 + scale(e))·h + shift(e). Time enters through its Fourier features

    cos(omega_k·t), sin(omega_k·t),    omega_k = 10000^(−k/K),  k = 0 … K−1,

computed from t in float32 or float64 whatever the parameters are, because bfloat16 turns 981 into 980.
Group normalisation and SiLU throughout, no dropout: the prediction depends on (x, t, c) alone.

Sources: the U-Net with one embedding for time of Ho, Jain and Abbeel (arXiv 2006.11239); scale and shift of
Dhariwal and Nichol (arXiv 2105.05233); the null class of Ho and Salimans (arXiv 2207.12598).
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from belm_runtime.errors import InputError

#: Width and height of a picture.
SIZE = 8
#: Number of digits; also the index of the null class.
NULL = 10

_NARROW, _WIDE, _EMBEDDING, _GROUPS = 32, 64, 64, 8


class Residual(nn.Module):
    """A residual block: skip(h) + conv(silu((1 + scale)·norm(conv(silu(norm(h)))) + shift))."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """A block from `channels_in` to `channels_out` channels; the skip is the identity if they agree."""
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(_GROUPS, channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels_out, 3, padding=1)
        )
        self.modulation = nn.Linear(_EMBEDDING, 2 * channels_out)
        self.norm = nn.GroupNorm(_GROUPS, channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)
        # The block starts as its skip, so the depth of the network does not slow the first steps of training.
        nn.init.zeros_(self.second.weight)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """Features (batch, channels_in, …) and embedding (batch, _EMBEDDING) to (batch, channels_out, …)."""
        scale, shift = self.modulation(e)[:, :, None, None].chunk(2, dim=1)
        inner = torch.addcmul(shift, self.norm(self.first(h)), 1 + scale)
        out: Tensor = self.skip(h) + self.second(functional.silu(inner))
        return out


class Attention(nn.Module):
    """Self-attention over the pixels, h + out(softmax(qᵀk/sqrt(channels)) v), one head."""

    def __init__(self, channels: int) -> None:
        """Attention on pictures of this many channels."""
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)

    def forward(self, h: Tensor) -> Tensor:
        """Features (batch, channels, height, width) to the same shape."""
        pixels = self.norm(h).flatten(2).transpose(1, 2)
        query, key, value = self.qkv(pixels).chunk(3, dim=-1)
        share = (query @ key.transpose(1, 2) / math.sqrt(h.shape[1])).softmax(-1)
        mixed: Tensor = self.out(share @ value)
        return h + mixed.transpose(1, 2).reshape(h.shape)


class DigitsUNet(nn.Module):
    """The network: eps = net(x, t, label), for any floating dtype its parameters are in."""

    def __init__(self) -> None:
        """A network with random weights, drawn from torch's global generator."""
        super().__init__()
        self.classes = nn.Embedding(NULL + 1, _EMBEDDING)
        self.time = nn.Sequential(nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING))
        self.enter = nn.Conv2d(1, _NARROW, 3, padding=1)
        self.down = nn.ModuleList([Residual(_NARROW, _NARROW), Residual(_NARROW, _NARROW)])
        self.shrink = nn.Conv2d(_NARROW, _WIDE, 3, stride=2, padding=1)
        self.before = Residual(_WIDE, _WIDE)
        self.attention = Attention(_WIDE)
        self.after = Residual(_WIDE, _WIDE)
        self.grow = nn.Conv2d(_WIDE, _NARROW, 3, padding=1)
        self.up = nn.ModuleList([Residual(2 * _NARROW, _NARROW), Residual(_NARROW, _NARROW)])
        self.leave = nn.Sequential(nn.GroupNorm(_GROUPS, _NARROW), nn.SiLU(), nn.Conv2d(_NARROW, 1, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The predicted noise.

        Args:
            x: noisy pictures, shape (batch, 1, 8, 8), in the dtype of the parameters.
            t: timesteps in 0 … 999, shape (batch,), real-valued; keep them in float32 or float64.
            label: classes 0 … 9 or 10 for the null class, int64 of shape (batch,); None: all null.

        Returns:
            eps, shape and dtype of x.

        Raises:
            InputError: a shape other than these.
        """
        if x.shape[1:] != (1, SIZE, SIZE):
            raise InputError(f"x has shape {tuple(x.shape)}; it must be (batch, 1, {SIZE}, {SIZE})")
        if label is None:
            label = torch.full((len(x),), NULL, device=x.device)
        for name, value in (("t", t), ("label", label)):
            if value.shape != x.shape[:1]:
                raise InputError(f"{name} has shape {tuple(value.shape)}; it must be ({len(x)},), the batch")
        e = functional.silu(self.time(self.fourier(t)) + self.classes(label))
        h = self.enter(x)
        for block in self.down:
            h = block(h, e)
        wide = self.after(self.attention(self.before(self.shrink(h), e)), e)
        h = torch.cat([self.grow(functional.interpolate(wide, scale_factor=2.0)), h], dim=1)
        for block in self.up:
            h = block(h, e)
        out: Tensor = self.leave(h)
        return out

    def fourier(self, t: Tensor) -> Tensor:
        """The features (cos, sin)(omega_k·t), shape (batch, _EMBEDDING), in the dtype of the parameters."""
        inner = self.enter.weight.dtype
        wide = torch.promote_types(torch.promote_types(t.dtype, inner), torch.float32)
        half = _EMBEDDING // 2
        omega = torch.exp(torch.arange(half, dtype=wide, device=t.device) * (-math.log(10000.0) / half))
        angle = t.to(wide)[:, None] * omega
        return torch.cat([angle.cos(), angle.sin()], dim=1).to(inner)


def fingerprint(weights: dict[str, Tensor]) -> str:
    """The SHA-256 of a network's weights, names, shapes and values: what a weights file promises to hold."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
