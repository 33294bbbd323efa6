"""An audit of anyone's sampler: what it is, coefficient by coefficient, and whether its inverse is one.

    from belm_runtime import audit

    subject = audit.of_scheduler(scheduler, steps=10)
    report = audit.audit(subject, expect="ddim")

The sampler is a black box that calls a network; the audit plays the network (`belm_runtime.audit.probe`).
"""

from belm_runtime.audit.examine import TOLERANCE, audit
from belm_runtime.audit.faults import Fault
from belm_runtime.audit.report import Report
from belm_runtime.audit.schedulers import is_scheduler, of_scheduler
from belm_runtime.audit.subject import Subject, of_function, of_sampler, of_step

__all__ = [
    "TOLERANCE", "Fault", "Report", "Subject", "audit", "is_scheduler", "of_function", "of_sampler", "of_scheduler",
    "of_step",
]  # fmt: skip
