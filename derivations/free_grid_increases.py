"""The free grid: a monotone cubic through increasing knots increases, and with it sbar.

The spacing free gives shares r_0 = 0 < r_1 < … < r_K = 1 of the last node's s = sbar/(1 + sbar) at u = j/K. On a piece,
t from 0 to 1, r is the cubic Hermite polynomial of the values b and b + D and of the slopes p and q in t,

    H = b·(1 + 2t)(1 - t)² + (b + D)·t²(3 - 2t) + p·t(1 - t)² - q·t²(1 - t).

With c = p/(3D), d = q/(3D) its derivative, bilinear in c and d, is the mean of its values at the corners of the square
of Fritsch and Carlson (SIAM J. Numer. Anal. 17, 1980),

    H' = (1-c)(1-d)·6D·t(1-t) + c(1-d)·3D·(1-t)² + (1-c)d·3D·t² + c·d·3D·(1-2t)²,

so H' > 0 on 0 < t < 1 for 0 <= c, d < 1. Bernstein coefficients would not do: the middle one, 3D - p - q, may be
negative. The slopes are PCHIP's. Inside, the weighted harmonic mean of the rises D and E of both pieces, 2DE/(D + E)
for pieces of one length, is positive and below 2D and 2E. At an end the three-point slope (3D - E)/2 is below 2D, and
0 replaces it where it is negative (PCHIP's other limit, 3D where D and E differ in sign, never applies here). Either
way 0 <= c, d < 2/3. So r increases, and s = s_N·r, and sbar = s/(1 - s).
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "free-grid-increases",
    "A cubic Hermite piece that rises by D > 0 from slope 3D·c to slope 3D·d, 0 <= c, d < 1, has derivative at least "
    "6D·t(1 - t)(1 - c)(1 - d) > 0 inside. The slopes 2DE/(D + E) inside and (3D - E)/2 at an end, where that is not "
    "negative, are such, D and E being the rises of neighbouring pieces; and s/(1 - s) increases with s < 1.",
    ("0 < t < 1", "D > 0", "E > 0", "0 <= c < 1", "0 <= d < 1", "0 < x < y", "w > 0"),
    "this project, after Fritsch and Carlson 1980",
    granted=("a function whose derivative is positive inside an interval increases on it",),
)


def derive() -> Certificate:
    """The piece and its derivative, the bound, the slopes, and the way from s to sbar."""
    t, b, c, d, e, x, y, w, D, E = sp.symbols("t b c d e x y w D E")
    p, q = 3 * D * c, 3 * D * d

    def piece(at: sp.Expr) -> sp.Expr:
        value = b * (1 + 2 * at) * (1 - at) ** 2 + (b + D) * at**2 * (3 - 2 * at)
        return value + p * at * (1 - at) ** 2 - q * at**2 * (1 - at)

    slope = sp.expand(sp.diff(piece(t), t))
    rest = sp.cancel((piece(t + e) - piece(t) - e * slope) / e**2)
    assert sp.cancel(rest.subs(e, 0) - sp.diff(slope, t) / 2) == 0
    least = 6 * D * t * (1 - t) * (1 - c) * (1 - d)
    corners = [(3 * D * c * (1 - d), 1 - t), (3 * D * (1 - c) * d, t), (3 * D * c * d, 1 - 2 * t)]
    assert sp.expand(slope - least - sum(weight * base**2 for weight, base in corners)) == 0
    harmonic, end = 2 * D * E / (D + E), (3 * D - E) / 2
    assert decide(f"0 < {harmonic} < 2*D", CLAIM.hypotheses).outcome == "proved"
    assert decide(f"{end} < 2*D", CLAIM.hypotheses).outcome == "proved"
    step = (y - x) / (x * y)
    goals = (
        identity("the piece begins at b", str(piece(t)).replace("t", "(0)"), b),
        identity("and ends at b + D", str(piece(t)).replace("t", "(1)"), b + D),
        identity("its slope at the begin is p", str(slope).replace("t", "(0)"), p),
        identity("and at the end q", str(slope).replace("t", "(1)"), q),
        inequality("inside, the slope is at least that of the corner c = d = 0, times (1 - c)(1 - d)",
                   slope, ">=", least, terms=corners),
        inequality("which is positive", least, ">", 0),
        inequality("the inner slope is positive", harmonic, ">", 0),
        inequality("and below 2D, so that c, d < 2/3 on the one side", harmonic, "<", 2 * D),
        inequality("and below 2E on the other", harmonic, "<", 2 * E),
        inequality("the slope at an end is below 2D", end, "<", 2 * D),
        identity("sbar where 1 - s = x, less sbar where 1 - s = y", (1 - x) / x - (1 - y) / y, step),
        inequality("it is positive: sbar falls with 1 - s", step, ">", 0),
    )  # fmt: skip
    steps = (
        identity("the slope is the derivative: the rest is of second order", piece(t + e),
                 f"{piece(t)} + e*({slope}) + e**2*({rest})"),
        identity("PCHIP's weighted harmonic mean, its weights 3w equal", (3 * w + 3 * w) / (3 * w / D + 3 * w / E),
                 f"2*D*E/({D + E})"),
        identity("PCHIP's three-point slope at equal distances w", f"((2*w + w)*D - w*E)/({w + w})", end),
    )  # fmt: skip
    return Certificate(CLAIM, proved("H' >= 6D·t(1 - t)(1 - c)(1 - d) > 0 inside every piece"), goals, steps)
