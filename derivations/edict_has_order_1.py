"""EDICT has order 1, not 0.

Start from x = y = X(s_i), h = h_i, f = f_0 + f_x·X + … at node i. The stages give

    x = X(s_i) - h·f_0 + h²·(…),    y = X(s_i) - h·f_0 + h²·(…),

so each register is exact up to O(h²): local order 1. The difference x - y is a parasitic mode: the mixing matrix has
the eigenvalues 1 and p², so it is damped for p < 1 and stays O(h²/(1 - p²)). The paper lists EDICT with order 0
because it bounds the mixing stages one by one; composed, their O(h) terms cancel.
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, identity, signs
from belm_theory.method import TwoRegister
from belm_theory.order import order
from belm_theory.verdict import refuted

CLAIM = Claim(
    "edict-has-order-0",
    "EDICT's local error is O(h_i) and no better.",
    ("0 < p <= 1", "x_i = y_i"),
    "BELM, prop 3 and Table 1 (EDICT)",
    "edict",
)


def derive() -> Certificate:
    """Expand one step in h for a linear slope, and factor the mixing matrix."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister) and order(edict) == 1
    (p,), (h,) = edict.parameters, edict.h
    f0, f_x, z = sp.symbols("f0 f_x z")
    registers = {"x": sp.Integer(0), "y": sp.Integer(0)}
    for stage in edict.stages:
        values = {name: registers.get(name.removeprefix("f(").removesuffix(")"), 0) for name, _ in stage.terms}
        registers[stage.target] = sp.expand(
            sum(c * (f0 + f_x * values[o] if o.startswith("f(") else values[o]) for o, c in stage.terms)
        )
    evidence = []
    for name in ("x", "y"):
        remainder = sp.cancel((registers[name] + h * f0) / h**2)
        assert sp.denom(remainder) == 1
        evidence.append(identity(registers[name], -h * f0 + h**2 * remainder))
    mixing = edict.mixing
    characteristic = sp.expand((z * sp.eye(2) - mixing).det())
    evidence.append(identity(characteristic, (z - 1) * (z - p**2)))
    evidence.append(signs([1 - p**2], positive=[], unit=["p"]))
    assert sp.expand(characteristic - (z - 1) * (z - p**2)) == 0
    return Certificate(CLAIM, refuted("both registers are X - h·f + O(h²); parasitic factor p²"), tuple(evidence))
