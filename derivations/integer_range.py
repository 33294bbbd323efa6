"""How many steps fit the integers: the spacing shrinks where a method damps, and rounding adds up along responses.

From noise to data the spacings of a chain old -> target -> … follow C_{i-1} = A_{i,k}·C_{i-1+k}. In x it is gamma a row
for BDIA, on every grid; in its frame, where C is divided by w, theta for blends, 1 for open methods,
h_i²/h_{i+1}² for O-BELM, and p a step for each of EDICT's registers. What inversion would amplify is what the spacing
gains in fineness: the numbers of the run grow from noise to data and nothing is lost.

Let |x| <= M have to fit at every node, the coarsest spacing be S and integers stay below R. After m rows of factor g
the spacing is S·g^m, so M/(S·g^m) <= R is needed. The runtime takes R = 2^51·15/16, S <= 2^-20 and M = 32 standard
deviations: for BDIA with gamma = 1/2 that is m <= 25. With two steps every other node is in a chain, and the longer
chain of a grid of N steps has N/2 rows, rounded down: where the standard deviation is 1 at every node (variance
preserving), 51 steps fit and 52 do not.

Rounding moves a state beside what the equations say. A row is linear in the states, so if roundings e_l have moved the
states of a row by Σ_l G_{j,l}·e_l, with predictions as they are, its own state moves by

    Σ_l (Σ_j A_j·G_{j,l})·e_l + e_0:

every response G_l follows the homogeneous relation from 1 at its own state on. With |e_l| <= E_l, half a spacing and
what float64 loses in the sum that is rounded, the state is moved by Σ_l |G_l|·E_l at most. The runtime computes this
before a run and keeps it below 2^51/16 spacings.
"""

import sympy as sp

from belm_theory.catalogue import bdia, blend, method, o_belm, open_belm
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, value
from belm_theory.method import TwoRegister
from belm_theory.verdict import proved

CLAIM = Claim(
    "integer-range",
    "The spacing shrinks from noise to data by gamma a row (BDIA, in x), theta (blend), 1 (open), h_i²/h_{i+1}² "
    "(O-BELM) or p a step (EDICT), in the frame; roundings of at most E_l move a state by Σ|G_l|·E_l at most, G_l the "
    "relation's responses; BDIA with gamma = 1/2 fits 25 rows of a chain and not 26.",
    (),
    "this project",
)
#: The largest integer of the states, the inverse of the coarsest spacing, the largest state.
RANGE, INVERSE, LARGEST = "15/16*2**51", "2**20", "32"


def derive() -> Certificate:
    """Spacings of the catalogue, the longest chain, and the superposition of roundings."""
    fits = [
        value("25 rows of BDIA with gamma = 1/2 fit", {}, f"{LARGEST}*{INVERSE}*2**25", "<=", RANGE),
        value("26 do not", {}, f"{LARGEST}*{INVERSE}*2**26", ">", RANGE),
    ]
    goals = [*_spacings(), *_responses(), *_triangle(), *fits]
    return Certificate(CLAIM, proved("C_{i-1} = A_k·C_{i-1+k}; responses superpose"), tuple(goals))


def _spacings() -> list[Record]:
    """C_{i-1} = A_k·C_{i-1+k} with A_k = a_k·w_{i-1}/w_{i-1+k}: what the catalogue's a_k makes of the spacing."""
    gamma, theta = sp.symbols("gamma theta")
    h1, h2 = o_belm().h
    goals = [identity("BDIA: C_0 = gamma·C_2 in x", f"({bdia(gamma).a[-1]})*w0/w2*C2", "gamma*C2",
                      where=["w0, w2 > 0"])]  # fmt: skip
    goals.append(_in_frame("O-BELM: a_2 = h_1²/h_2²", o_belm().a, h1**2 / h2**2, ["h1, h2 > 0"]))
    for k in range(2, 5):
        goals.append(_in_frame(f"blend, k = {k}: a_k = theta", blend(k, theta).a, theta))
        goals.append(_in_frame(f"open, k = {k}: a_k = 1", open_belm(k).a, 1))
    edict = method("edict")
    assert isinstance(edict, TwoRegister)
    for register in "xy":
        own = [f"({weight})" for stage in edict.stages for name, weight in stage.terms
               if stage.target[0] == register == name[0]]  # fmt: skip
        left = "*".join([*own, "w0/w1*C1/w0"])
        goals.append(identity(f"EDICT, register {register}: C_0/w_0 = p·C_1/w_1", left, "p*C1/w1",
                              where=["w0, w1 > 0"]))  # fmt: skip
    return goals


def _in_frame(says: str, a: tuple[sp.Expr, ...], factor: sp.Expr | int, where: list[str] | None = None) -> Record:
    """C_0/w_0 = factor·C_k/w_k for a relation in its frame."""
    k = len(a)
    left, right = f"({a[-1]})*w0/w{k}*C{k}/w0", f"({factor})*C{k}/w{k}"
    return identity(says, left, right, where=[f"w0, w{k} > 0", *(where or [])])


def _responses() -> list[Record]:
    """A row whose states carry two earlier roundings."""
    goals = []
    e0, e = sp.Symbol("e0"), sp.symbols("e1 e2")
    for k in range(2, 6):
        A, x, forced = sp.symbols(f"A1:{k + 1}"), sp.symbols(f"x1:{k + 1}"), sp.Symbol("forced")
        G = [sp.symbols(f"G{j}_1 G{j}_2") for j in range(1, k + 1)]
        exact = sum(a * state for a, state in zip(A, x, strict=True)) + forced
        moved = [state + sum(g * rounding for g, rounding in zip(row, e, strict=True))
                 for state, row in zip(x, G, strict=True)]  # fmt: skip
        held = sum(a * state for a, state in zip(A, moved, strict=True)) + forced + e0
        response = sum(sum(a * row[m] for a, row in zip(A, G, strict=True)) * e[m] for m in range(2)) + e0
        assert sp.expand(held - exact - response) == 0
        goals.append(identity(f"k = {k}: responses follow the homogeneous relation", held - exact, response))
    return goals


def _triangle() -> list[Record]:
    """One term of Σ G·e: at most |G|·E, and at least -|G|·E."""
    goals = []
    for sign, size in ((">=", "G"), ("<", "-G")):
        for relation, side in (("<=", "e <= E"), (">=", "e >= -E")):
            upper = relation == "<="
            # G·e is largest at e = E for G >= 0 and at e = -E for G < 0.
            bound = side if (sign == ">=") else ("e >= -E" if upper else "e <= E")
            right = f"({size})*E" if upper else f"-({size})*E"
            where = [f"G {sign} 0", bound]
            goals.append(inequality(f"G {sign} 0: G·e {relation} {right}", "G*e", relation, right, where=where))
    return goals
