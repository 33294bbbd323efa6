"""BDIA is the same sampler in every frame.

Its rule g = gamma·w_{i+1}/w_{i-1} makes A_2 = w_{i-1}·g/w_{i+1} = gamma, a number that no frame can change; the rest
follows because the slope weight integrates constant slopes exactly. The paper writes q = 0 only (eq 38).
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.frame import DATA, NOISE, Frame, Q
from belm_theory.method import Relation
from belm_theory.verdict import proved
from belm_theory.xform import x_form

CLAIM = Claim(
    "bdia-is-frame-invariant",
    "BDIA with any gamma has the same x-form in every frame, and A_2 = gamma.",
    ("all levels positive",),
    "BELM, eq 38 (for q = 0); the other frames: this project",
    "bdia",
)


def derive() -> Certificate:
    """x-form for symbolic q, and in the data frame, against the noise frame."""
    bdia = method("bdia")
    assert isinstance(bdia, Relation)
    reference = sum(x_form(bdia, NOISE), ())
    assert reference[1] == bdia.parameters[0]
    evidence = []
    for frame in (Frame(Q), DATA):
        for ours, theirs in zip(sum(x_form(bdia, frame), ()), reference, strict=True):
            assert sp.cancel(ours - theirs) == 0
            evidence.append(identity(ours, theirs))
    return Certificate(CLAIM, proved("A and B contain no q; A_2 = gamma"), tuple(evidence))
