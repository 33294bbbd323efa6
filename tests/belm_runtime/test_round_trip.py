"""Noise -> sample -> noise, embedded model, float64: small wherever the amplification is, warned of elsewhere."""

from __future__ import annotations

import warnings

import pytest
import torch

from belm_runtime import AmplificationWarning, Sampler, Schedule, digits
from belm_runtime.methods import catalogue

NAMES = [fact["method"] for fact in catalogue() if fact["invertible"] and fact["sampling"][0] != "refuted"]
LIMIT = 1e5


@pytest.mark.parametrize("method", NAMES)
def test_the_noise_comes_back_from_the_stored_state(method: str) -> None:
    grid = Schedule.preset("ddpm").grid(50)
    sampler = Sampler(method, grid)
    model = digits.denoiser(label=[3, 8], dtype=torch.float64)
    noise = grid.noise((2, 1, 8, 8), seed=1)
    state = sampler.sample(model, noise)
    assert state.calls == (100 if method.startswith("edict") else 50)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AmplificationWarning)
        back = sampler.invert(model, state)
    error = float((back.x - noise).norm() / noise.norm())
    factor = sampler.amplification()
    assert bool(caught) == (factor > LIMIT)
    if factor <= LIMIT:
        assert error <= 1e-9
    else:
        assert f"{factor:.1e}" in str(caught[0].message)


def test_some_methods_are_on_each_side_of_the_limit() -> None:
    grid = Schedule.preset("ddpm").grid(50)
    factors = {name: Sampler(name, grid).amplification() for name in NAMES}
    assert factors["bdia:gamma=0.5"] > LIMIT > factors["o-belm"] > 1e4
    assert factors["open:k=3"] < 2
