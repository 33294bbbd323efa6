"""Pipelines of diffusers: schedulers that invert exactly, and the tasks that make use of it.

    from belm_runtime.pipelines import BELMScheduler, edit

    pipe.scheduler = BELMScheduler.from_config(pipe.scheduler.config)       # in place of the pipeline's own
    made = edit(pipe, picture, "a cat", "a dog")                            # the pipeline as it is

Importing this package imports diffusers; `import belm_runtime` does not.
"""

try:
    # A pipeline that loads its scheduler from here looks for the base class beside it, by this name.
    from diffusers import SchedulerMixin
except ImportError as error:
    needed = "belm_runtime.pipelines needs diffusers: pip install 'belm[diffusers]'"
    raise ModuleNotFoundError(needed, name="diffusers") from error

from belm_runtime.pipelines.adapter import Adapter
from belm_runtime.pipelines.diffusion import BELMScheduler
from belm_runtime.pipelines.flow import FlowBELMScheduler
from belm_runtime.pipelines.loop import HistoryWarning
from belm_runtime.pipelines.setup import Pictures
from belm_runtime.pipelines.tasks import edit, generate, interpolate, invert, reconstruct

__all__ = [
    "Adapter", "BELMScheduler", "FlowBELMScheduler", "HistoryWarning", "Pictures", "SchedulerMixin", "edit",
    "generate", "interpolate", "invert", "reconstruct",
]  # fmt: skip

# A saved pipeline names the module of its scheduler; this name lasts, the file inside may move.
for _scheduler in (BELMScheduler, FlowBELMScheduler):
    _scheduler.__module__ = __name__
