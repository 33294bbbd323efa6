"""One torch thread everywhere, no network, and hypothesis without deadlines: timings belong in benchmarks."""

import os

# A test that names a model of the hub finds it in the cache or not at all.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("belm", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("belm")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Of tests/real: make test-real MODEL=DIR."""
    group = parser.getgroup("belm")
    group.addoption("--model", help="A pretrained pipeline for tests/real.")
    group.addoption("--real-dtype", help="What its networks compute in.")
    group.addoption("--real-steps", type=int, default=10, help="The number of steps.")
    group.addoption("--real-prompt", default="a photo of a cat", help="What is generated.")
