"""One torch thread everywhere, and hypothesis without deadlines: timings belong in benchmarks."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("belm", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("belm")
