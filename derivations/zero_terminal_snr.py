"""alpha_N = 0: frames with q > 0 stay finite, the noise frame does not, and an x-form in eps need not exist.

At alpha = 0 (rectified flow at t = 1, zero-terminal-SNR schedules) x = sigma·eps. In frame q > 0

    w = q·sigma,    s = 1/q,    X = x/w = eps/q,    f = eps - q·D,

all finite, while sbar = sigma/alpha exceeds every bound M as soon as alpha < sigma/M.

A row with the slope f_N and weight b·h = -c,

    x_{i-1} = (terms of other nodes and of x_N) - w_{i-1}·c·f_N,

depends on D, but x_N = sigma·eps and eps do not: two data with the same (x_N, eps) give two x_{i-1}. So no function of
x_N and eps, let alone a linear one, makes this row: it has no x-form in eps. On the way there B has a pole: DDIM's B_1
= sigma_{i-1} - alpha_{i-1}·sigma_N/alpha_N lies below -M as soon as alpha_N < alpha_{i-1}·sigma_N/(M + sigma_{i-1}). A
network that predicts v determines D = -v/sigma there, so f is finite: such rows run in X and f.
"""

import sympy as sp

from belm_theory.catalogue import ddim
from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.frame import ALPHA, EPS, NOISE, SIGMA, D, Frame, Q
from belm_theory.inequality import decide
from belm_theory.verdict import proved
from belm_theory.xform import x_form

CLAIM = Claim(
    "zero-terminal-snr",
    "At alpha_N = 0 every frame q > 0 is finite (w = q·sigma, s = 1/q), sbar grows beyond all bounds as alpha_N -> 0, "
    "and a row with a slope at node N is no function of x_N and eps_N.",
    ("q > 0", "sigma > 0"),
    "this project",
)


def derive() -> Certificate:
    """Levels at alpha = 0; the pole of sbar; two data that only the row tells apart; the pole of DDIM's B."""
    frame, zero = Frame(Q), sp.Integer(0)
    w, s = frame.weight(zero, SIGMA), frame.coordinate(zero, SIGMA)
    assert (w, s) == (Q * SIGMA, 1 / Q) and NOISE.coordinate(zero, SIGMA) == sp.zoo
    other, w0, c, rest = sp.symbols("D2 w0 c rest", positive=True)
    rows = [rest - w0 * c * frame.slope(data) for data in (D, other)]
    assert sp.expand(rows[1] - rows[0] - w0 * c * Q * (other - D)) == 0
    pole = x_form(ddim(), frame)[1][0]
    hypotheses = ["alpha0, sigma1, M > 0", "sigma0 >= 0", "0 < alpha1 < alpha0*sigma1/(M + sigma0)"]
    assert decide(f"{pole} < -M", hypotheses).outcome == "proved"
    P, R = frame.slope_from("v")
    P, R = P.subs(ALPHA, 0), R.subs(ALPHA, 0)
    goals = (
        identity("w at alpha = 0", f"0 + q*{SIGMA}", w),
        identity("s at alpha = 0", f"{SIGMA}/(0 + q*{SIGMA})", s),
        identity("X at alpha = 0", f"(0*{D} + {SIGMA}*{EPS})/(0 + q*{SIGMA})", EPS / Q),
        inequality("sbar exceeds every M", "M", "<", "sigma/alpha", where=["M > 0", "0 < alpha < sigma/M"]),
        identity("x_N is the same for all data", f"0*{D} + {SIGMA}*{EPS}", f"0*{other} + {SIGMA}*{EPS}"),
        inequality("the row is not", rows[0], "<", rows[1], where=["w0, c > 0", "D < D2"]),
    )
    steps = (
        inequality("DDIM's B_1 lies below every -M", pole, "<", "-M", where=hypotheses),
        identity("f from v at alpha = 0", frame.slope(), f"({P})*(-sigma*{D}) + ({R})*sigma*{EPS}"),
    )
    return Certificate(CLAIM, proved("D moves the row by w_0·c·q·dD while x_N = sigma·eps stays"), goals, steps)
