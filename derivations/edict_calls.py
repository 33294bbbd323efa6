"""A step of EDICT needs two model calls; the other samplers need one.

EDICT's stages evaluate the slope at y_i and at x_inter, both at node i (eq 9). They would share a call if x_inter were
y_i. Even at x_i = y_i it is not, x_inter = x_i - h_i·f(y_i), and what distinguishes EDICT from two copies of Euler is
that the second slope sees the first. A BELM relation has the slopes of the nodes i … i+k-2, of which all but that of
node i are known from the steps before: one call a step.

The paper says so in D.3 (2N evaluations), and compares equal numbers of steps in its tables of FID and reconstruction:
a row of "10 steps" is 20 calls for EDICT and 10 for the others.
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, identity, stages
from belm_theory.method import TwoRegister
from belm_theory.verdict import refuted

CLAIM = Claim(
    "edict-makes-one-call-a-step",
    "One evaluation of the slope serves a step of EDICT: at x_i = y_i both its slopes are taken at the same state.",
    (),
    "BELM, Tables 2–5, which compare equal numbers of steps; D.3 counts the calls",
    "edict",
)


def derive() -> Certificate:
    """The arguments of the slopes, from the stages."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister)
    arguments = [operand[2:-1] for stage in edict.stages for operand, _ in stage.terms if operand.startswith("f(")]
    assert arguments == ["y", "x_inter"]
    y, f = sp.symbols("y f")
    (first, *_), p = edict.stages, edict.parameters[0]
    known = {"x": y, "y": y, "f(y)": f}
    inner = sum((c * known[operand] for operand, c in first.terms), sp.Integer(0))
    assert inner - y == -edict.h[0] * f
    return Certificate(
        CLAIM,
        refuted("x_inter = y_i - h_i·f(y_i)"),
        goals=(identity("x_inter is y_i at x_i = y_i", inner, y),),
        steps=(stages("the stages, with slopes at y and x_inter", edict, 1, p**2),),
    )
