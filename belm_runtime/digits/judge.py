"""The judge of the samples: a small classifier of the digits, and a distance in its features.

Two sets of features with means m and covariances C are compared as if they were Gaussian,

    |m_1 − m_2|² + tr(C_1 + C_2 − 2·(C_1·C_2)^½),

the Fréchet distance (Heusel et al., arXiv 1706.08500), here with the judge's last hidden layer in the place
of a network trained on photographs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from belm_runtime.digits.network import NULL
from belm_runtime.digits.train import Progress


class Judge(nn.Module):
    """A classifier of 8×8 pictures: two convolutions, 64 hidden features, ten classes."""

    def __init__(self) -> None:
        """A judge with random weights."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(),
        )  # fmt: skip
        self.classes = nn.Linear(64, NULL)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, 10) of pictures (batch, 1, 8, 8)."""
        logits: Tensor = self.classes(self.features(x))
        return logits


def train_judge(data: Tensor, classes: Tensor, seed: int, progress: Progress, epochs: int = 30) -> Judge:
    """A judge trained on these pictures by Adam, from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Judge()
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-3)
    for epoch in range(epochs):
        for chosen in torch.split(torch.randperm(len(data), generator=draw), 64):
            optimiser.zero_grad()
            loss = functional.cross_entropy(judge(data[chosen]), classes[chosen])
            loss.backward()
            optimiser.step()
        progress(epoch + 1, epochs, "")
    return judge.eval().requires_grad_(False)


def frechet(first: Tensor, second: Tensor) -> float:
    """The Fréchet distance between Gaussians fitted to two sets of features, each of shape (n, d)."""
    one, two = (features.to(torch.float64).numpy() for features in (first, second))
    c1, c2 = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    # tr (C1·C2)^½ from the symmetric C1^½·C2·C1^½, whose eigenvalues are the same and real.
    values, vectors = np.linalg.eigh(c1)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    gap = one.mean(0) - two.mean(0)
    return float(gap @ gap + np.trace(c1) + np.trace(c2) - 2 * cross)
