"""Is O-BELM's K_sampling O(N) for every continuous beta? Open; O(N·log N) is proved.

o_belm_on_preserving_schedules shows that K_sampling grows at least like N where 0 < b0 <= beta <= b1, and
o_belm_grows_at_most_linearly that it grows exactly like N where beta does not decrease. For a beta that is only
continuous the alternating sums are bounded here by the sums of their terms: with F = e^{b1/2}

    h_j² <= (F²·b1/N)²/sbar_j² <= F⁴·b1²/(b0·N·j),    h_{n+1}² >= b0²/(4·F²·N²),    Σ 1/j <= 1 + ln N,
    K_sampling <= 1 + 8·F⁶·b1²·N·(1 + ln N)/b0³.

The logarithm may be real: beta = 2 + sin(pi·N·t) makes h_j² alternate from step to step at that very N, the alternating
sum adds terms instead of cancelling them, and K_sampling/N rises by 0.22 at every doubling of N from 64 to 2048. This
beta changes with N; a fixed continuous one can hold such parts for infinitely many N only with falling amplitudes.
Whether O(N) then holds is not decided here.
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality, unsettled
from belm_theory.inequality import decide
from belm_theory.verdict import undecided

CLAIM = Claim(
    "o-belm-growth-for-any-beta",
    "On uniform time grids of N steps of a variance-preserving schedule with continuous beta, 0 < b0 <= beta(t) <= b1, "
    "O-BELM in the noise frame has K_sampling = O(N).",
    ("b0, F, N > 0",),
    "this project",
    "o-belm",
    granted=("the mean value theorem", "e^x - 1 >= x for x >= 0", "1 + 1/2 + … + 1/N <= 1 + ln N"),
)


def derive() -> Certificate:
    """The furthest case: O(N·log N) for every beta between b0 and b1."""
    b0, b1, F, N = sp.symbols("b0 b1 F N", positive=True)
    j, x, L, y = sp.symbols("j x L y")
    square = (F**2 * b1 / N) ** 2 / (b0 * j / N + x)  # sbar_j² = b0·j/N + x
    term = F**4 * b1**2 / (b0 * N * j)
    least = b0**2 / (4 * F**2 * N**2)
    claims = (
        ("h_j² <= F⁴·b1²/(b0·N·j)", square, "<=", term, ["j > 0", "x >= 0"]),
        ("h_{n+1} >= b0/(2·F·N), the sum of two sbar below 2·F", (b0 / N + x) / (2 * F - y), ">=", b0 / (2 * F * N),
         ["0 <= y < 2*F", "x >= 0"]),
        ("K_sampling is at most this, L = 1 + ln N", 1 + 2 * (term * j * L) / (least + x), "<=",
         1 + 8 * F**6 * b1**2 * N * L / b0**3, ["L, j > 0", "x >= 0"]),
    )  # fmt: skip
    for _, left, relation, right, where in claims:
        assert decide(f"{left} {relation} {right}", [*CLAIM.hypotheses, *where]).outcome == "proved"
    steps = [inequality(says, left, relation, right, where=where) for says, left, relation, right, where in claims]
    assert (b0 / (2 * F * N)) ** 2 == least
    steps.append(identity("the square of the lower bound", "(b0/(2*F*N))**2", least))
    goal = unsettled("K_sampling = O(N) for every continuous beta: neither proved nor refuted")
    witness = "proved: at least 2·b0²·N/(b1²·e^{2·b1}), at most O(N·log N), and O(N) where beta does not decrease"
    return Certificate(CLAIM, undecided(witness), (goal,), tuple(steps))
