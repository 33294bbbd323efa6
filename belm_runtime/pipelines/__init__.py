"""Schedulers for pipelines of diffusers: exactly invertible methods in place of the pipeline's own scheduler.

    from belm_runtime.pipelines import BELMScheduler

    pipe.scheduler = BELMScheduler.from_config(pipe.scheduler.config)

Importing this package imports diffusers; `import belm_runtime` does not.
"""

try:
    # A pipeline that loads its scheduler from here looks for the base class beside it, by this name.
    from diffusers import SchedulerMixin
except ImportError as error:
    raise ImportError("belm_runtime.pipelines needs diffusers: pip install 'belm[diffusers]'") from error

from belm_runtime.pipelines.diffusion import BELMScheduler
from belm_runtime.pipelines.flow import FlowBELMScheduler
from belm_runtime.pipelines.loop import HistoryWarning

__all__ = ["BELMScheduler", "FlowBELMScheduler", "HistoryWarning", "SchedulerMixin"]

# A saved pipeline names the module of its scheduler; this name lasts, the file inside may move.
for _scheduler in (BELMScheduler, FlowBELMScheduler):
    _scheduler.__module__ = __name__
