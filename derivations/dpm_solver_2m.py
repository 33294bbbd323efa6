"""adams:m=2 in the data frame is not DPM-Solver++(2M): same order, other weights.

DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2) makes, with lambda = log(alpha/sigma), eta = lambda_{i-1} - lambda_i and
rho = eta/(lambda_i - lambda_{i+1}),

    x_{i-1} = (sigma_{i-1}/sigma_i)·x_i - alpha_{i-1}·(exp(-eta) - 1)·((1 + rho/2)·D_i - (rho/2)·D_{i+1}).

exp(-eta) = u_i/u_{i-1} with u = alpha/sigma = exp(lambda), so in the data frame, Y = x/sigma,

    Y_{i-1} = Y_i + (u_{i-1} - u_i)·((1 + rho/2)·D_i - (rho/2)·D_{i+1}).

Adams–Bashforth 2 is the same with rho replaced by the ratio of steps in u. The total weight of the slopes agrees, its
split does not: on the geometric grid u_{i-1}/u_i = R > 1, uniform in lambda, the ratios are 1 and R. There 2M leaves
E_2/2 = u_i²·(R - 1)³/(2R), of third order in R - 1, so its order on smooth grids is 2 as well; on every grid it is 1,
that of Adams–Bashforth 2. Both have a_k = 0 and no inverse.
"""

import sympy as sp

from belm_theory.catalogue import adams
from belm_theory.certificate import Certificate, Claim, identity, inequality, orders
from belm_theory.frame import DATA
from belm_theory.method import Relation
from belm_theory.order import local_error, order, order_smooth
from belm_theory.verdict import refuted

CLAIM = Claim(
    "dpm-solver-2m-is-adams-2",
    "On grids uniform in log(alpha/sigma), u_{i-1}/u_i = R, adams:m=2 in the data frame gives D_{i+1} the weight that "
    "DPM-Solver++(2M) gives it.",
    ("R > 1",),
    "this project; Lu et al. 2022 (2211.01095), algorithm 2",
    "adams",
)


def derive() -> Certificate:
    """Write 2M as a relation in the data frame, compare weights and orders."""
    ab, rho, R = adams(2), sp.Symbol("rho", positive=True), sp.Symbol("R", positive=True)
    h1, h2, _ = h = ab.h
    general = Relation("2m", 3, DATA, ab.a, (-(1 + rho / 2), rho * h1 / (2 * h2)), h, parameters=(rho,))
    solver = Relation("2m-uniform", 3, DATA, ab.a, general.at(rho=sp.Integer(1)).b, h)
    assert [sp.cancel(b.subs(rho, h1 / h2) - ours) for b, ours in zip(general.b, ab.b, strict=True)] == [0, 0]
    assert (order(ab), order(general), order(solver), order_smooth(solver)) == (2, 1, 1, 2)
    # u_0, u_1, u_2 = R, 1, 1/R: the steps in u, and the weights of D_{i+1} in units of u_0 - u_1.
    steps = {h1: 1 - R, h2: 1 / R - 1}
    ours, theirs = (sp.cancel((b.b[1] * h2 / h1).subs(steps)) for b in (ab, solver))
    assert (ours, theirs) == (R / 2, sp.Rational(1, 2))
    leading = local_error(solver).coefficient
    assert sp.cancel(leading.subs(steps) - (R - 1) ** 3 / (2 * R)) == 0
    printed = "sigma0/sigma1*x1 - alpha0*((alpha1/sigma1)/(alpha0/sigma0) - 1)*D"
    return Certificate(
        CLAIM,
        refuted(f"in units of u_{{i-1}} - u_i the weights are {-ours} and {-theirs}"),
        goals=(identity("the weight of D_{i+1}", ours, theirs),),
        steps=(
            inequality("Adams extrapolates more", theirs, "<", ours),
            identity("2M in the data frame", printed, "sigma0*(x1/sigma1 + (alpha0/sigma0 - alpha1/sigma1)*D)",
                     where=["alpha0, sigma0, sigma1 > 0"]),
            *(identity(f"Adams is 2M with the ratio in u, b_{j}", str(b).replace("rho", "(h1/h2)"), mine,
                       where=["h1, h2 > 0"]) for j, (b, mine) in enumerate(zip(general.b, ab.b, strict=True), 1)),
            identity("E_2/2 of 2M at u = R, 1, 1/R", "(1 - R)*((1 - R) - (1/R - 1))/2", (R - 1) ** 3 / (2 * R)),
            orders("2M, its ratio free, has order 1 on every grid", general),
            orders("2M on grids uniform in lambda", solver),
            orders("its order on smooth grids is 2", solver, 2, grid="smooth"),
            orders("adams:m=2 has order 2 on every grid", ab),
        ),
        relations=(ab, general, solver),
    )  # fmt: skip
