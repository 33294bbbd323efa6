"""One torch thread everywhere, no network, and hypothesis without deadlines: timings belong in benchmarks."""

import os

# A test that names a model of the hub finds it in the cache or not at all.
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("belm", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("belm")
