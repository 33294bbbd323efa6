"""Echo BELM at theta = 1: stable both ways, and of one order more where k is even.

At theta = 1 the parasitic roots are those of z^{k-1} + 1, simple and on the unit circle, for sampling and for inversion
alike (echo_parasitic_roots): constant weights, so both directions are zero-stable on every grid. The relation

    (X_{i-1} - X_i) + (X_{i+k-2} - X_{i+k-1}) = Σ_j b_j h_j f_j

is its own mirror image where the grid is, and a symmetric relation has even order on uniform grids: order k - 1 on
every grid becomes k on smooth ones where k is even. For k = 4 the slope weights on uniform steps are Adams–Bashforth's
(23, -16, 5)/12 and the same read backwards.
"""

from belm_theory.catalogue import echo
from belm_theory.certificate import Certificate, Claim, orders, roots, stable
from belm_theory.order import order, order_smooth
from belm_theory.roots import count_roots
from belm_theory.stability import characteristic, zero_stable
from belm_theory.verdict import proved

CLAIM = Claim(
    "echo-is-neutral-at-1",
    "Echo BELM with theta = 1 is zero-stable in sampling and in inversion on every grid (k = 2 … 5), has order k - 1 "
    "on every grid, and order k on smooth grids for k = 2 and 4.",
    (),
    "this project",
    "echo",
)


def derive() -> Certificate:
    """Roots of rho, stability both ways, orders on every and on smooth grids."""
    goals, steps = [], []
    members = [echo(k, 1) for k in range(2, 6)]
    for method in members:
        k, rho = method.k, characteristic(method)
        count = count_roots(rho)
        assert (count.on, count.repeated_on) == (k, False)
        assert (order(method), order_smooth(method)) == (k - 1, k - k % 2)
        steps.append(roots(f"k = {k}: all roots of rho simple and on the circle", rho.all_coeffs(), 0, k, 0, True))
        for direction in ("sampling", "inversion"):
            assert zero_stable(method, direction).outcome == "proved"
            goals.append(stable(f"k = {k}: zero-stable in {direction}", method, direction))
        goals.append(orders(f"k = {k}: order {k - 1} on every grid", method, k - 1))
        if k % 2 == 0:
            goals.append(orders(f"k = {k}: order {k} on smooth grids", method, k, grid="smooth"))
    witness = "rho = (z - 1)(z^{k-1} + 1): simple roots on the unit circle both ways"
    return Certificate(CLAIM, proved(witness), tuple(goals), tuple(steps), tuple(members))
