"""Constant weights are parasitic roots: which of them damp, and what damping costs the inversion at least.

With c_0 = 1, c_k = 0 and a_j = c_{j-1} - c_j, weights of the BELM map and polynomials of degree k - 1 correspond,

    rho = z^k - Σ a_j z^{k-j} = (z - 1)·q(z),   q = z^{k-1} + c_1 z^{k-2} + … + c_{k-1},   c_j = a_{j+1} + … + a_k.

Adams–Bashforth is c = 0, open BELM c = (1, …, 1), blend (theta, …, theta), echo (0, …, 0, theta).

k = 3: both parasitic roots lie inside the circle exactly where |c_2| < 1 and |c_1| < 1 + c_2. There they do, by Schur
and Cohn. And if they do then c_2, their product, is below 1 in modulus, and q(1) = 1 + c_1 + c_2 and q(-1) = 1 - c_1 +
c_2 are positive, being (1 - x)(1 - y), (1 + x)(1 + y) for real roots x, y and (1 -+ x)² + y² for roots x ± iy.

What it costs: let mu be the smallest modulus of a parasitic root and r the largest, c_{k-1} = a_k not 0. Inversion
amplifies some mode by 1/mu a step. The moduli multiply to |c_{k-1}|, which so lies between mu^{k-1} and r^{k-1}:

    1/mu >= |c_{k-1}|^{-1/(k-1)} >= 1/r,

with equality on the left exactly if all moduli are equal, and then on the right too. So of all methods whose slowest
parasitic mode is damped by r a step, and of all with a given a_k, those invert best whose roots share one modulus: echo
for every k (echo_parasitic_roots), blend for k = 2 and 3 (blend_inversion_growth), not beyond (blend_parasitic_moduli).
For k = 3 they share it exactly if c_1² <= 4·c_2 or c_1 = 0. This is about growth a step; it says nothing about the
constants in front of the powers.
"""

import sympy as sp

from belm_theory.catalogue import adams, any_weights, blend, echo, open_belm
from belm_theory.certificate import Certificate, Claim, Record, identity, inequality, schur
from belm_theory.inequality import decide
from belm_theory.parasitic import coefficients_of, weights_of
from belm_theory.roots import Z
from belm_theory.stability import characteristic
from belm_theory.verdict import proved

CLAIM = Claim(
    "weights-by-parasitic-roots",
    "Weights with sum 1 and parasitic polynomials z^{k-1} + c_1 z^{k-2} + … + c_{k-1} correspond by a_j = c_{j-1} - "
    "c_j (k = 2 … 5); for k = 3 both roots lie inside the unit circle exactly if |c_2| < 1 and |c_1| < 1 + c_2; where "
    "c_{k-1} is not 0 inversion amplifies a mode by 1/min|z| >= |c_{k-1}|^{-1/(k-1)} >= 1/max|z| a step, with equality "
    "exactly if all roots have one modulus, which for k = 3 is c_1² <= 4c_2 or c_1 = 0.",
    (),
    "this project",
    granted=(
        "a polynomial of degree n is its first coefficient times the product of z - z_m over its n roots; those of a "
        "real quadratic are real or conjugate",
        "the roots of the inverse relation's polynomial are the inverses of those of rho (neutral-both-ways)",
    ),
)


def derive() -> Certificate:
    """The correspondence and its named members, the region of k = 3, and the smallest modulus against the product."""
    goals: list[Record] = []
    for k in range(2, 6):
        c, theta = sp.symbols(f"c1:{k}"), sp.Symbol("theta", positive=True)
        a = weights_of(c)
        assert coefficients_of(a) == c
        goals += [_corresponds(k, f"k = {k}: rho = (z - 1)·q", a, c)]
        free = sp.symbols(f"a2:{k + 1}")
        relation = any_weights(k, **{weight.name: weight for weight in free})
        back = coefficients_of(relation.a)
        goals.append(_corresponds(k, f"k = {k}: and back, c_j = a_{{j+1}} + … + a_k", relation.a, back))
        named = {"adams": (adams(k - 1), (0,) * (k - 1)), "open": (open_belm(k), (1,) * (k - 1)),
                 "blend": (blend(k, theta), (theta,) * (k - 1)),
                 "echo": (echo(k, theta), (*(0,) * (k - 2), theta))}  # fmt: skip
        for name, (member, values) in named.items():
            assert coefficients_of(member.a) == values
            assert sp.expand(characteristic(member).as_expr() - (Z - 1) * _monic(values)) == 0
            goals.append(_corresponds(k, f"k = {k}: {name} has c = {values}", member.a, values))
        goals += _cost(k)
    witness = "rho = (z - 1)(z^{k-1} + c_1 z^{k-2} + … + c_{k-1}), and the moduli of the roots multiply to |c_{k-1}|"
    return Certificate(CLAIM, proved(witness), (*goals, *_region(), *_equal()))


def _monic(c: tuple[sp.Expr, ...]) -> sp.Expr:
    return sum((value * Z ** (len(c) - j) for j, value in enumerate((1, *c))), sp.Integer(0))


def _corresponds(k: int, says: str, a: tuple[sp.Expr, ...], c: tuple[sp.Expr, ...]) -> Record:
    """As text, term by term: SymPy may bring both sides to one form, and leave the checker nothing to do."""
    rho = f"z**{k}" + "".join(f" - ({weight})*z**{k - j}" for j, weight in enumerate(a, 1))
    return identity(says, rho, f"(z - 1)*({_monic(c)})")


def _cost(k: int) -> list[Record]:
    """Moduli mu and mu + g_2, …: their product against mu^{k-1}; moduli r·t_1, …, t <= 1: theirs against r^{k-1}."""
    mu, r, g, t = sp.Symbol("mu"), sp.Symbol("r"), sp.symbols(f"g2:{k}"), sp.symbols(f"t1:{k}")
    room = ["r > 0", *(f"0 < {part} <= 1" for part in t)]
    found = [inequality(f"k = {k}: moduli r·t of at most r multiply to at most r^{k - 1}",
                        sp.prod([r * part for part in t]), "<=", r ** (k - 1), where=room)]  # fmt: skip
    if k == 2:
        return found
    where = ["mu > 0", *(f"{gap} >= 0" for gap in g)]
    product, least = mu * sp.prod([mu + gap for gap in g]), mu ** (k - 1) + mu ** (k - 2) * sum(g)
    assert decide(f"{product} >= {least}", where).outcome == "proved"
    says = f"k = {k}: the moduli mu and mu + g multiply to mu^{k - 1} at least, and to more by mu^{k - 2}·Σ g at least"
    return [*found, inequality(says, product, ">=", least, where=where)]


def _region() -> list[Record]:
    """K = 3: Schur's condition one way, and values of q at 1 and -1 the other way."""
    c1, c2, x, y = sp.symbols("c1 c2 x y")
    inner = ["-1 < c2 < 1", "-1 - c2 < c1 < 1 + c2"]
    real, pair = ["-1 < x < 1", "-1 < y < 1"], ["-1 < x < 1"]
    found = [schur("k = 3: in |c_2| < 1, |c_1| < 1 + c_2 both roots lie inside", [1, c1, c2], where=inner)]
    at_ends = [(1, "1 + c1 + c2"), (-1, "1 - c1 + c2")]
    for end, text in at_ends:
        of_real = text.replace("c1", "(-(x + y))").replace("c2", "x*y")
        of_pair = text.replace("c1", "(-2*x)").replace("c2", "(x**2 + y**2)")
        found += [
            inequality(f"k = 3: real roots inside make q({end}) positive", of_real, ">", 0, where=real),
            identity(f"k = 3: a pair x ± iy makes q({end}) a sum of squares", of_pair, (1 - end * x) ** 2 + y**2),
            inequality(f"k = 3: which is positive, whatever the pair, q({end})", (1 - end * x) ** 2 + y**2, ">", 0,
                       where=pair),
        ]  # fmt: skip
    found += [
        inequality("k = 3: real roots inside: c_2 < 1", x * y, "<", 1, where=real),
        inequality("k = 3: real roots inside: c_2 > -1", x * y, ">", -1, where=real),
        inequality("k = 3: a pair: c_2 = |z|² is positive, and below 1 inside", x**2 + y**2, ">", 0, where=["y > 0"]),
        identity("k = 3: real roots: c_1 = -(x + y), c_2 = x·y", "(z - x)*(z - y)", "z**2 - (x + y)*z + x*y"),
        identity("k = 3: a pair: c_1 = -2x, c_2 = x² + y²", "(z - x)**2 + y**2", "z**2 - 2*x*z + x**2 + y**2"),
    ]
    return found


def _equal() -> list[Record]:
    """K = 3: when two roots have one modulus, in terms of c_1 = -(x + y) and c_2 = x·y, or -2x and x² + y²."""
    return [
        identity("k = 3, real roots: c_1² - 4·c_2 = (x - y)²", "(-(x + y))**2 - 4*x*y", "(x - y)**2"),
        identity("k = 3, real roots: x² - y² = 0 exactly if x = y or c_1 = 0", "x**2 - y**2", "-(x - y)*(-(x + y))"),
        identity("k = 3, a pair x ± iy: c_1² - 4·c_2 = -4y², and the moduli are equal", "(-2*x)**2 - 4*(x**2 + y**2)",
                 "-4*y**2"),
    ]  # fmt: skip
