"""EDICT in both directions: K_sampling = 1, and K_inversion = (2·p^{-2n} + p - 1)/(1 + p) over n steps.

With every slope zero a step maps (x, y) to (p·x + (1 - p)·y, p·y + (1 - p)·x'), x' the new x: the matrix

    M = [[p, 1 - p], [p·(1 - p), p + (1 - p)²]],

nonnegative with row sums 1, so all products have maximum norm 1. Its eigenvalues are 1 and p²: x - y shrinks by p² a
step. Inversion multiplies x - y by p^{-2} instead. With q = p^{-2n},

    M^{-n} = [[p + q, 1 - q], [p·(1 - q), 1 + p·q]]/(1 + p):

true for n = 0, and M^{-1} times it replaces q by q/p². The second row has the smaller norm, the first (p + 2q - 1)/
(1 + p). So EDICT's inversion is not zero-stable for any p < 1; at p = 0.93 and 50 steps K_inversion = 1469.5 in the
frame, as belm verify --method edict:p=0.93 --schedule ddpm --steps 50 encloses it.
"""

import sympy as sp

from belm_theory.catalogue import edict
from belm_theory.certificate import Certificate, Claim, identity, inequality, stages
from belm_theory.inequality import decide
from belm_theory.stability import zero_stable
from belm_theory.verdict import proved

CLAIM = Claim(
    "edict-both-ways",
    "For 0 < p < 1 EDICT has K_sampling = 1 in its frame, and over n steps K_inversion = (2·p^{-2n} + p - 1)/(1 + p): "
    "it is zero-stable in sampling and not in inversion.",
    ("0 < p < 1",),
    "this project",
    "edict",
)


def derive() -> Certificate:
    """The mixing matrix, its inverse powers in closed form, and the norms of their rows."""
    p, q = sp.Symbol("p", positive=True), sp.Symbol("q")
    scheme = edict(p)
    M = scheme.mixing
    assert zero_stable(scheme, "sampling").outcome == "proved" and zero_stable(scheme, "inversion").outcome == "refuted"
    power = sp.Matrix([[p + q, 1 - q], [p * (1 - q), 1 + p * q]]) / (1 + p)
    further = power.subs(q, q / p**2)
    assert (power.subs(q, 1) - sp.eye(2)).applyfunc(sp.cancel) == (M * further - power).applyfunc(sp.cancel)
    goals = []
    for row in range(2):
        # Sums and values are text: SymPy would reduce them to 0 or 1, and leave the checker nothing to do.
        goals.append(identity(f"row {row + 1} of M sums to 1", " + ".join(f"({entry})" for entry in M.row(row)), 1))
        for column in range(2):
            where = f"entry {row + 1}{column + 1}"
            assert decide(f"{M[row, column]} >= 0", CLAIM.hypotheses).outcome == "proved"
            goals.append(inequality(f"{where} of M is nonnegative", M[row, column], ">=", 0))
            start = str(power[row, column]).replace("q", "(1)")
            goals.append(identity(f"{where}: n = 0", start, int(row == column)))
            goals.append(identity(f"{where}: M·M^(-n-1) = M^(-n)", (M * further)[row, column], power[row, column]))
    first, second = power[0, 0] - power[0, 1], power[1, 1] - power[1, 0]  # off-diagonal entries are <= 0 for q >= 1
    grown = ["q >= 1"]
    goals += [
        inequality("for q >= 1 the entries 12 and 21 are not positive", power[0, 1], "<=", 0, where=grown),
        inequality("and the second row's norm is not the larger", second, "<=", first, where=grown),
        identity("the first row's norm", first, (2 * q + p - 1) / (1 + p)),
        inequality("q = p^{-2n} grows: a step multiplies it by more than 1", 1 / p**2, ">", 1),
    ]
    steps = (stages("order 1; x - y is multiplied by p² a step", scheme, 1, p**2),)
    witness = "eigenvalues 1 and p² of the mixing matrix; M^{-n} in closed form"
    return Certificate(CLAIM, proved(witness), tuple(goals), steps)
