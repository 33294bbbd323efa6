"""The EDICT of the released CIFAR10 and CelebA-HQ scripts is not invertible, and not EDICT.

EDICT's first stage moves x by the slope at the *other* register, x_inter = A·x + B·eps(y) with A = alpha_{i-1}/alpha_i,
B = sigma_{i-1} - alpha_{i-1}·sigma_i/alpha_i (eq 9). On the way back y is known before x, so the stage is undone by
x = (x_inter - B·eps(y))/A. The released scripts/cifar10.py and scripts/celeba.py compute x_inter = A·x + B·eps(x)
instead: the DDIM step, which is explicit in one direction only. Where the network acts as eps(x) = c·x with c = -A/B it
sends every x to 0, and after the whole step

    x_inter = 0,    y_inter = A·y,    x_{i-1} = (1 - p)·A·y,    y_{i-1} = (p + (1 - p)²)·A·y:

two states with the same y become one. samplers/edict.py of the same release has eps(y).
"""

import sympy as sp

from belm_theory.certificate import Certificate, Claim, identity, inequality
from belm_theory.verdict import refuted

CLAIM = Claim(
    "released-edict-is-invertible",
    "The stage x_inter = A·x + B·eps(x) tells different x apart for every linear prediction eps(x) = c·x, so that it "
    "can be undone.",
    ("A > 0", "B < 0", "x < x_other"),
    "code of BELM: scripts/cifar10.py and scripts/celeba.py, edict_forward",
    "edict",
)


def derive() -> Certificate:
    """The stage for symbolic c; the collapse at c = -A/B; the stage with eps(y), which cannot collapse."""
    A, B, c, p, x, y, other = sp.symbols("A B c p x y x_other")
    eps_y = sp.Symbol("eps_y")

    def released(start: sp.Expr) -> sp.Expr:
        return A * start + B * (c * start)

    def stage(start: sp.Expr) -> sp.Expr:
        return A * start + B * eps_y

    collapse = -A / B
    assert sp.expand(released(x).subs(c, collapse)) == 0
    inter_x, inter_y = released(x), A * y + B * (c * released(x))
    new_x = p * inter_x + (1 - p) * inter_y
    new_y = p * inter_y + (1 - p) * new_x
    at_collapse = [str(register).replace("c", f"({collapse})") for register in (new_x, new_y)]
    return Certificate(
        CLAIM,
        refuted("c = -A/B: x_inter = 0 for every x, and the next pair does not contain x"),
        goals=(
            inequality("different x give different x_inter", released(x), "!=", released(other), point={"c": collapse}),
        ),
        steps=(
            identity("the next x does not contain x", at_collapse[0], (1 - p) * A * y),
            identity("nor does the next y", at_collapse[1], (p + (1 - p) ** 2) * A * y),
            inequality("with eps(y) the stage tells them apart", stage(x), "<", stage(other)),
        ),
    )
