"""Where beta does not decrease, O-BELM's K_sampling grows at most linearly in the number of steps.

Variance-preserving schedule, t_i = i/N, beta continuous and not decreasing, 0 < b0 <= beta <= b1, F = e^{b1/2};
sbar_0 = 0 and sbar' = beta·phi(sbar) with phi(s) = (1 + s²)/(2s), which falls for s <= 1 and rises for s >= 1. By
two_step_closed_form K <= 1 + 2·max |T_n|/h_{n+1}², T_m = h_m², T_j = h_j² - T_{j-1}.
 1. h_j² <= sbar_j² - sbar_{j-1}² <= X := F²·b1/N, the last by the mean value theorem for e^B, B = ∫ beta.
 2. h_{n+1} = (sbar_{n+1}² - sbar_n²)/(sbar_{n+1} + sbar_n) >= b0/(2·F·N).
 3. While sbar_{j+1} <= 1: N·h_j >= beta_{j-1}·phi(sbar_j) and N·h_{j+1} <= beta_{j+1}·phi(sbar_j), so that u_j =
    (h_j/(beta_j·beta_{j-1}))² does not grow; v_j = (beta_j·beta_{j-1})² does not fall; h_j² = u_j·v_j.
 4. Abel: with V_j = v_j - V_{j-1} in [0, v_j] and T_j = u_j·V_j + W_j one has W_{j+1} = -W_j - (u_j - u_{j+1})·V_j, so
    |W_j| <= (u_m - u_j)·b1⁴ and |T_j| <= u_m·b1⁴ <= (b1/b0)⁴·X.
 5. The step across sbar = 1 adds at most X. After it the h_j do not fall, T_j = ±T + V_j with V_j in [0, h_j²], which
    adds at most X again. So |T_n| <= A·X, A = (b1/b0)⁴ + 2.

Together K_sampling <= 1 + 8·A·F⁴·b1·N/b0². With the lower bound of o_belm_on_preserving_schedules K_sampling grows
exactly like N on such schedules, the linear and scaled-linear ones among them.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, Record, identity, inequality
from belm_theory.inequality import decide
from belm_theory.verdict import proved

CLAIM = Claim(
    "o-belm-grows-at-most-linearly",
    "On uniform time grids of N steps of a variance-preserving schedule with 0 < b0 <= beta(t) <= b1, beta "
    "continuous and not decreasing, O-BELM in the noise frame has K_sampling <= 1 + 8·((b1/b0)⁴ + 2)·F⁴·b1·N/b0², "
    "F = e^{b1/2}.",
    ("b0, b1, F, N > 0",),
    "this project",
    "o-belm",
    granted=("the mean value theorem", "an integral lies between the length times the least and the greatest value"),
)


def shown(says: str, left: sp.Expr, relation: str, right: sp.Expr, where: str = "") -> Record:
    """An inequality, decided by z3 here and recorded for the checker; `where` holds chains separated by semicolons."""
    own = [part.strip() for part in where.split(";") if part.strip()]
    assert decide(f"{left} {relation} {right}", [*CLAIM.hypotheses, *own]).outcome == "proved", says
    return inequality(says, left, relation, right, where=own)


def derive() -> Certificate:
    """The five parts, and what they give together."""
    b0, b1, F, N = sp.symbols("b0 b1 F N", positive=True)
    p, q, x, y, a, b, c, h, H = sp.symbols("p q x y a b c h H")
    u, u1, U, v1, V, w, W = sp.symbols("u u1 U v1 V w W")

    def phi(s: sp.Expr) -> sp.Expr:
        return (1 + s**2) / (2 * s)

    f = sp.Symbol("f")  # phi(sbar_j)
    low, high = -(U - u) * w + x, (U - u) * w - x  # W within ±(U - u)·w, U = u_m, w = b1⁴
    further, room = -W - (u - u1) * V, "u1 >= 0; u >= u1; U >= u; V >= 0; w >= V; x >= 0"
    X, A = F**2 * b1 / N, (b1 / b0) ** 4 + 2
    goals = [
        shown("1: h² is at most the difference of squares", (q - p) ** 2, "<=", q**2 - p**2, "0 <= p; p <= q"),
        shown("2: h_{n+1} from below, the sum of two sbar below 2·F", (b0 / N + x) / (2 * F - y), ">=",
              b0 / (2 * F * N), "0 <= y < 2*F; x >= 0"),
        shown("3: phi falls up to 1", phi(p * q), ">=", phi(q), "0 < q <= 1; 0 < p <= 1"),
        shown("3: and rises from there", phi(p), "<=", phi(q), "p >= 1; q >= p"),
        shown("3: h_{j+1} <= h_j·beta_{j+1}/beta_{j-1}", c * f - y, "<=", c / a * (a * f + x),
              "a, c, f > 0; x, y >= 0"),
        shown("3: u_{j+1} <= u_j", (H / (c * b)) ** 2, "<=", (h / (b * a)) ** 2, "a, b, c, h > 0; 0 < H <= c*h/a"),
        shown("3: v_j <= b1⁴, the betas p·b1 and q·b1", (p * b1 * q * b1) ** 2, "<=", b1**4, "0 < p <= 1; 0 < q <= 1"),
        shown("3: v_j <= v_{j+1}", (a * b) ** 2, "<=", (b * c) ** 2, "a, b > 0; c >= a"),
        shown("4: V_{j+1} >= 0", v1 - V, ">=", sp.Integer(0), "V >= 0; v >= V; v1 >= v"),
        shown("4: V_{j+1} <= v_{j+1}", v1 - V, "<=", v1, "V >= 0"),
        identity("4: T_{j+1} = u_{j+1}·V_{j+1} + W_{j+1}", u1 * v1 - (u * V + W), u1 * (v1 - V) + further),
        shown("4: W from above", further.subs(W, low), "<=", (U - u1) * w, room),
        shown("4: W from below", further.subs(W, high), ">=", -(U - u1) * w, room),
        shown("4: T from above", u * V + high, "<=", U * w, room),
        shown("4: T from below", u * V + low, ">=", -U * w, room),
        shown("4: u_m·b1⁴ <= (b1/b0)⁴·h_m²", (h / (a * b)) ** 2 * b1**4, "<=", (b1 / b0) ** 4 * h**2,
              "a, b >= b0; h > 0"),
        identity("5: T_{j+1} = -(±T) + V_{j+1}", "H - (e*T + V)", "-e*T + (H - V)"),
        shown("5: A·X is enough", p + h + V, "<=", A * X, f"p <= ({b1}/{b0})**4*{X}; h <= {X}; V <= {X}"),
        shown("1 + 2·A·X/h²", 1 + 2 * A * X / (b0**2 / (4 * F**2 * N**2) + x), "<=",
              1 + 8 * A * F**4 * b1 * N / b0**2, "x >= 0"),
    ]  # fmt: skip
    witness = "h_j² = u_j·v_j with u falling and v rising, so alternating sums of h_j² stay below A·F²·b1/N"
    return Certificate(CLAIM, proved(witness), tuple(goals))
