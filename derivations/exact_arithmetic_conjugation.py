"""Why a BELM can be exact to the last bit: scaled, the oldest state enters with coefficient 1.

Let c_{i-1} = a_{i,k}·c_{i-1+k} and y = X/c. Divided by c_{i-1} the relation becomes

    y_{i-1} = y_{i-1+k} + F_i,
    F_i = Σ_{j<k} a_{i,j}·(c_{i-1+j}/c_{i-1})·y_{i-1+j} + Σ_{j<k} b_{i,j}·h_{i-1+j}·f_{i-1+j}/c_{i-1},

and F_i does not contain y_{i-1+k}. The inverse relation divided by c_{i-1+k} is y_{i-1+k} = y_{i-1} - F_i, with the
same F_i. Keep y as whole multiples of a unit and round F_i to such a multiple: what is subtracted on the way back is
the number that was added, from the same k - 1 states, so every y returns, whatever F_i was and however much the method
amplifies. No division by a_k is left in the arithmetic; a_k may be negative, it may not be zero.

The scale follows the method: blends have c_i = theta^{-i/k} up to a constant, and BDIA, where c_{i-1}·w_{i-1} =
gamma·c_{i+1}·w_{i+1}, has y = x·gamma^{i/2} up to a constant, x itself for gamma = 1.
"""

from itertools import product

import sympy as sp

from belm_theory.catalogue import bdia
from belm_theory.certificate import Certificate, Claim, identity
from belm_theory.verdict import proved

CLAIM = Claim(
    "exact-arithmetic-conjugation",
    "With c_{i-1} = a_{i,k}·c_{i-1+k} and y = X/c every k-step BELM with a_k != 0 reads y_{i-1} = y_{i-1+k} + F, and "
    "its inverse y_{i-1+k} = y_{i-1} - F with the same F, which does not contain y_{i-1+k} (k = 2 … 5).",
    (),
    "this project",
)


def derive() -> Certificate:
    """Both directions, for symbolic weights, steps, slopes and scales of either sign."""
    goals = []
    for k in range(2, 6):
        a, c, y = sp.symbols(f"a1:{k + 1}"), sp.symbols(f"c1:{k + 1}"), sp.symbols(f"y0:{k + 1}")
        b, h, f = sp.symbols(f"b1:{k}"), sp.symbols(f"h1:{k}"), sp.symbols(f"f1:{k}")
        first = a[-1] * c[-1]  # c_{i-1}
        slopes = sum(weight * step * slope for weight, step, slope in zip(b, h, f, strict=True))
        kept = sum(weight * scale * state for weight, scale, state in zip(a[:-1], c, y[1:], strict=False))
        F = (kept + slopes) / first
        assert y[-1] not in F.free_symbols and y[0] not in F.free_symbols
        forward = (kept + a[-1] * (c[-1] * y[-1]) + slopes) / first
        back = (first * y[0] - kept - slopes) / a[-1] / c[-1]
        assert sp.cancel(forward - y[-1] - F) == 0 == sp.cancel(back - y[0] + F)
        for signs in product("><", repeat=2):
            where = [f"a{k} {signs[0]} 0", f"c{k} {signs[1]} 0"]
            case = f"k = {k}, {' and '.join(where)}"
            goals.append(identity(f"{case}: sampling", forward, y[-1] + F, where=where))
            goals.append(identity(f"{case}: inversion", back, y[0] - F, where=where))
    g = bdia(sp.Symbol("gamma")).a[1]
    steps = (
        # As text: SymPy would cancel w_{i+1}, and leave the checker nothing to do.
        identity("BDIA, c = 1/w at the oldest state: a_2·c_{i+1} = gamma/w_{i-1}", f"({g})*(1/w2)", "gamma/w0",
                 where=["w0, w2 > 0"]),
    )  # fmt: skip
    witness = "c_{i-1} = a_k·c_{i-1+k} makes the oldest coefficient a_k·c_{i-1+k}/c_{i-1} = 1"
    return Certificate(CLAIM, proved(witness), tuple(goals), steps)
