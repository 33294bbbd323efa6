"""What exact inversion is for: reconstruct, edit and interpolate, on any model.

    made = reconstruct(sampler, model, x)                       x -> x_N -> x
    made = edit(sampler, source, target, x, keep=0.2)           up with one model, down with another
    path = interpolate(sampler, model, a, b, weights)           a and b -> their noises -> what lies between

x is a `State` at node 0, which holds all that exactness needs, or a bare x_0 of shape (batch, …). Each model is called
on batches of x's size. States stay in the sampler's arithmetic whatever a model computes in.
"""

from __future__ import annotations

from belm_runtime.tasks.edit import edit
from belm_runtime.tasks.interpolate import Path, interpolate, slerp
from belm_runtime.tasks.reconstruct import reconstruct
from belm_runtime.tasks.turn import Turned, turning_node

__all__ = ["Path", "Turned", "edit", "interpolate", "reconstruct", "slerp", "turning_node"]
