"""The paper's Proposition 3, line by line: local errors of DDIM, BDIA, EDICT and O-BELM.

A 2-step relation misses a solution X(s_{i-1} + s) = X + X'·s + X''·s²/2 + O(s³) by

    tau = c1·X + c2·X' + c3·X'' + O(h³),    c1 = 1 - a_1 - a_2,    c2 = -a_1·h_i - a_2·(h_i + h_{i+1}) - b_1·h_i,

X, X', X'' standing for the paper's xbar, eps, eps'. Consistency makes c1 = c2 = 0; with a_2 = g it leaves c3 =
(h_i² - g·h_{i+1}²)/2. O(h³) alone says nothing of a relation whose weights grow, so each line is shown without it:

    DDIM     h_i²/2·X''(u)
    BDIA     h_i²/2·X''(u) - g·h_{i+1}²/2·X''(v): two Taylor remainders about node i
    O-BELM   -h_i²(h_i + h_{i+1})/6·X'''(u): X minus its Hermite interpolant at node i (twice) and node i+1

at some points u, v. BDIA's g = gamma·alpha_{i+1}/alpha_{i-1} is below 1, because alpha falls towards the noise. EDICT's
line, O(h_i) for steps below some H, holds and is not sharp: both registers miss by O(h_i²) (edict_has_order_1).
"""

import sympy as sp

from belm_theory.catalogue import ddim, method, o_belm
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, orders, stages
from belm_theory.frame import NOISE
from belm_theory.grid import positions, steps
from belm_theory.inequality import decide
from belm_theory.method import Relation, TwoRegister
from belm_theory.order import local_error, order
from belm_theory.verdict import proved

CLAIM = Claim(
    "proposition-3",
    "Consistency makes c1 = c2 = 0 in tau = c1·xbar + c2·eps + c3·eps' + O(h³). Local errors are O(h_i²) for DDIM, "
    "O((h_i + h_{i+1})²) for BDIA, O((h_i + h_{i+1})³) for O-BELM, the constant being the largest derivative of X in "
    "the leading term, and O(h_i) for EDICT.",
    ("0 < h1 <= H", "0 < h2", "0 < g <= 1"),
    "BELM, prop 3",
    granted=("Taylor's formula with remainder", "the remainder of Hermite interpolation"),
)
H1, H2 = steps(2)
G = sp.Symbol("g", positive=True)


def _expansion() -> list[Record]:
    """The residual of a general 2-step relation on X = u + v·s + w·s²/2, and what consistency leaves of it."""
    a1, a2, b1, u, v, w = sp.symbols("a1 a2 b1 u v w")
    s = positions((H1, H2))
    X = [u + v * node + w * node**2 / 2 for node in s]
    missed = X[0] - a1 * X[1] - a2 * X[2] - b1 * H1 * (v + w * s[1])
    c1, c2 = 1 - a1 - a2, -a1 * s[1] - a2 * s[2] - b1 * H1
    c3 = -(a1 * s[1] ** 2 + a2 * s[2] ** 2) / 2 - b1 * H1 * s[1]
    consistent = {a1: 1 - G, a2: G, b1: -(H1 + G * H2) / H1}
    left = [sp.cancel(c.subs(consistent)) for c in (c1, c2, c3)]
    assert sp.expand(missed - c1 * u - c2 * v - c3 * w) == 0
    assert left[:2] == [0, 0] and sp.expand(left[2] - (H1**2 - G * H2**2) / 2) == 0
    return [
        identity("tau = c1·X + c2·X' + c3·X'' on quadratics", missed, c1 * u + c2 * v + c3 * w),
        identity("c1 vanishes for a_1 = 1 - g, a_2 = g", "1 - (1 - g) - g", 0),
        identity("c2 vanishes for b_1 = -(h_i + g·h_{i+1})/h_i", c2.subs(consistent), 0),
        identity("c3 = (h_i² - g·h_{i+1}²)/2", c3.subs(consistent), (H1**2 - G * H2**2) / 2),
    ]


def _bdia_splits() -> Record:
    """BDIA's error is the remainder of an Euler step from node i, less g times that of one to node i+1."""
    X0, X1, X2, f = sp.symbols("X0 X1 X2 f")
    missed = X0 - (1 - G) * X1 - G * X2 + (H1 + G * H2) * f
    remainders = (X0 - X1 + H1 * f) - G * (X2 - X1 - H2 * f)
    assert sp.expand(missed - remainders) == 0
    return identity("BDIA's error is the difference of two Taylor remainders", missed, remainders)


def _bounds() -> list[Record]:
    """Each remainder within the paper's power, u and v being the derivatives in units above their largest size."""
    u, v, H = sp.symbols("u v H")
    lines = (
        ("DDIM", H1**2 / 2 * u, H1**2),
        ("BDIA", H1**2 / 2 * u - G * H2**2 / 2 * v, (H1 + H2) ** 2),
        ("O-BELM", -(H1**2) * (H1 + H2) / 6 * u, (H1 + H2) ** 3),
        ("EDICT, steps up to H", H1**2 * u, H * H1),
    )
    sizes = ("-1 < u < 1", "-1 < v < 1")
    goals = []
    for name, tau, bound in lines:
        assert decide(f"-({bound}) <= {tau} <= {bound}", CLAIM.hypotheses + sizes).outcome == "proved"
        goals.append(inequality(f"{name}: tau is below the bound", tau, "<=", bound, where=sizes))
        goals.append(inequality(f"{name}: tau is above minus the bound", -bound, "<=", tau, where=sizes))
    return goals


def derive() -> Certificate:
    """The expansion, the leading errors, and the bounds."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister) and order(edict) == 1
    two_step = Relation("bdia", 2, NOISE, (1 - G, G), (-(H1 + G * H2) / H1,), (H1, H2), parameters=(G,))
    relations = (ddim(), two_step, o_belm())
    terms = (H1**2 / 2, (H1**2 - G * H2**2) / 2, -(H1**2) * (H1 + H2) / 6)
    goals = _expansion()
    for relation, term in zip(relations, terms, strict=True):
        assert sp.cancel(local_error(relation).coefficient - term) == 0
        goals.append(orders(f"{relation.name}: order and leading error", relation, leading=term))
    (p,) = edict.parameters
    goals += [_bdia_splits(), stages("EDICT: both registers miss by O(h_i²)", edict, 1, p**2), *_bounds()]
    return Certificate(CLAIM, proved("every line holds; EDICT's is not sharp"), tuple(goals), relations=relations)
