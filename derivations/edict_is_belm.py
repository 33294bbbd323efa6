"""EDICT is a 2-step BELM with period 4 in its coefficients.

Interleave the registers, …, x_i, y_i, x_inter, y_inter, x_{i-1}, y_{i-1}, …: every member is a combination of the two
before it, z_n = a_1·z_{n-1} + a_2·z_{n-2} + b·f(z_{n-1}), with at most one slope, at the interior member. The weights
repeat with period 4: (0, 1), (0, 1), (1 - p, p), (1 - p, p); slopes enter the first two only. a_2 is never zero, so
the relation is invertible. The embedding is algebraic: x_i and y_i share one time.
"""

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, identity, signs
from belm_theory.inverse import invertible
from belm_theory.method import TwoRegister
from belm_theory.verdict import proved

CLAIM = Claim(
    "edict-is-belm",
    "EDICT's four stages are 2-step BELM relations on the interleaved registers, a_2 in {1, p}, one slope at most.",
    ("0 < p <= 1",),
    "BELM, eq 40–46",
    "edict",
)


def derive() -> Certificate:
    """Check that each stage reads only the two members before it, and that its weights sum to 1."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister)
    sequence = ["x", "y"]
    evidence = []
    oldest = []
    for stage in edict.stages:
        newer, older = sequence[-1], sequence[-2]
        weights = {name: c for name, c in stage.terms if not name.startswith("f(")}
        slopes = [name for name, _ in stage.terms if name.startswith("f(")]
        assert set(weights) <= {newer, older} and set(slopes) <= {f"f({newer})"}
        evidence.append(identity(sum(weights.values(), sp.Integer(0)), 1))
        oldest.append(weights[older])
        sequence.append(stage.target)
    assert invertible(edict).outcome == "proved"
    evidence.append(signs(oldest, positive=[], unit=["p"], strict=True))
    witness = f"a_2 = {', '.join(map(str, oldest))} over a period"
    return Certificate(CLAIM, proved(witness), tuple(evidence))
