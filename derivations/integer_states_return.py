"""Rounded to whole multiples of its spacing, every state of an invertible method returns, bit by bit.

A step makes one state from an older one and others, x_target = own·x_old + Σ c·x + Σ b·p, with predictions p: a row of
a relation keeps its oldest state with own = A_k, a stage of EDICT its own register. Give every state a spacing C with
C_target = own·C_old and write x = C·n. Divided by C_target the step is n_target = n_old + F, where F depends on the
other states and the predictions only. Replace F by r, a whole number near it, *any* whole number that is a function
of what F depends on:

    n_target = n_old + r,    n_old = n_target - r.

The others are there on the way back too, so r is the same and n_old returns, whatever r is. If r is the nearest whole
number the step is off by |C_target|/2 at most. The first states of a run are rounded themselves; of the rows that make
them, with a_k = 0, none is needed on the way back, for row i = N-k+1 already makes x_N.

In the arithmetic that runs, whole numbers stand in float64 and stay below 2^51: their sums and differences are whole
numbers up to 2^52 and therefore exact. A state is stored as x = C·n; product and quotient have a relative error of at
most 2^-53 each, and the whole number nearest to x/C is n.

Neither way notices when the range is left. Saturated sums come back wrong, and both ways run to their end; what is
out of range has to be looked for.
"""

from itertools import product

import sympy as sp

from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, value
from belm_theory.method import TwoRegister
from belm_theory.verdict import proved

CLAIM = Claim(
    "integer-states-return",
    "With spacings C_target = own·C_old every row (k = 2 … 5) and every stage of EDICT reads n_target = n_old + F with "
    "F free of n_old and n_target; with a whole r for F it is undone by n_old = n_target - r and off by "
    "C_target·(r - F); below 2^51 the nearest whole number to the stored x/C is n.",
    (),
    "this project",
    granted=(
        "whole numbers up to 2^53 in size are float64 numbers, and a sum, product or quotient that is rounded to "
        "float64 has a relative error of at most 2^-53 and none if it is a float64 number; nothing underflows",
    ),
)
UNIT, BELOW = "1/2**53", "2**51 - 1/2"


def derive() -> Certificate:
    """Rows, stages, and the whole number of a stored state."""
    goals = [*_rows(), *_stages(), *_stored()]
    steps = (
        value("90 + 30 saturated at 100 does not come back", {}, "100 - 30", "!=", "90"),
        value("the range of a sum: twice 2^51 is below 2^53", {}, "2**51 + 2**51", "<", "2**53"),
    )
    return Certificate(CLAIM, proved("n_target - r = n_old for every whole r"), tuple(goals), steps)


def _rows() -> list[Record]:
    """The x-form, A_k and the spacings of either sign."""
    goals = []
    for k in range(2, 6):
        A, C = sp.symbols(f"A1:{k + 1}"), sp.symbols(f"C1:{k + 1}")
        B, p, n, r = sp.symbols(f"B1:{k}"), sp.symbols(f"p1:{k}"), sp.symbols(f"n1:{k + 1}"), sp.Symbol("r")
        first = A[-1] * C[-1]
        others = sum(a * c * m for a, c, m in zip(A[:-1], C, n, strict=False))
        others += sum(b * prediction for b, prediction in zip(B, p, strict=True))
        for signs in product("><", repeat=2):
            where = [f"A{k} {signs[0]} 0", f"C{k} {signs[1]} 0"]
            case = f"k = {k}, {' and '.join(where)}"
            goals += _step(case, A[-1], C[-1], n[-1], others, first, r, where)
    return goals


def _stages() -> list[Record]:
    """EDICT in x: registers x/alpha at node i become registers at node i - 1."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister)
    here, there, C, n, r = sp.symbols("alpha1 alpha0 C n r")
    scale = {"x": here, "y": here}
    goals: list[Record] = []
    for stage in edict.stages:
        register = stage.target[0]
        kept = [name for name, _ in stage.terms if name[0] == register]
        assert len(kept) == 1, "a stage keeps its own register once and reads no other value of it"
        own = dict(stage.terms)[kept[0]] * there / scale[kept[0]]
        others = sum(
            there * weight * (sp.Symbol("slope") if name.startswith("f(") else sp.Symbol("other") / scale[name])
            for name, weight in stage.terms if name != kept[0]
        )  # fmt: skip
        scale[stage.target] = there
        for sign in "><":
            where = ["alpha0, alpha1, p > 0", f"C {sign} 0"]
            goals += _step(f"stage {stage.target}, C {sign} 0", own, C, n, others, own * C, r, where)
    return goals


def _step(case: str, own: sp.Expr, spacing: sp.Expr, old: sp.Expr, others: sp.Expr, target: sp.Expr, r: sp.Symbol,
          where: list[str]) -> list[Record]:  # fmt: skip
    """One step with x_old = spacing·old: divided by its spacing, undone, and what rounding leaves."""
    F = others / target
    assert not F.has(old)
    equation = own * (spacing * old) + others
    assert sp.cancel(equation / target - old - F) == 0
    return [
        identity(f"{case}: divided by its spacing", equation / target, old + F, where=where),
        identity(f"{case}: undone", (target * (old + r) - target * r) / target, old, where=where),
        identity(f"{case}: off by C·(r - F)", target * (old + r) - equation, target * (r - F), where=where),
    ]


def _stored() -> list[Record]:
    """n·(1 + d)·(1 + e) is nearer to n than to any other whole number."""
    found = "n*(1 + d)*(1 + e) - n"
    most = ["-1 < d <= " + UNIT, "-1 < e <= " + UNIT, f"0 <= n < {BELOW}"]
    least = [f"-{UNIT} <= d < 1", f"-{UNIT} <= e < 1", f"0 <= n < {BELOW}"]
    return [
        inequality("the stored state is not too large", found, "<", "1/2", where=most),
        inequality("and not too small", found, ">", "-1/2", where=least),
    ]
