"""EDICT's two registers approach each other by p² a step; p = .93 needs 35 steps on DDPM's schedule to undo 1/alpha_N.

With every slope zero the step is x_inter = x, y_inter = y, x' = p·x + (1 - p)·y, y' = p·y + (1 - p)·x' in the frame,
and x' - y' = p²·(x - y). In x itself, where a state is alpha times that of the frame, a difference at node N arrives
at node 0, alpha_0 = 1, multiplied by p^{2n}/alpha_N after n steps. While that exceeds 1, x_0 and y_0 are further apart
than x_N and y_N were: on the schedule of DDPM, alpha at timestep 999, n >= 35 steps are needed for p = 93/100 and 84
for p = 97/100, the value that the paper found best; on that of Stable Diffusion 19 and 45. Slopes add to the
difference what the two registers see differently.

The released text-to-image code starts from independent x and y where none are given: a difference of size 1 at node N.
"""

import sympy as sp

from belm_theory import balls
from belm_theory.catalogue import method
from belm_theory.certificate import Certificate, Claim, Record, identity, level, stages
from belm_theory.method import TwoRegister
from belm_theory.verdict import proved

CLAIM = Claim(
    "edict-registers-approach",
    "With zero slopes EDICT multiplies x - y by p² in the frame and by p²·alpha_{i-1}/alpha_i in x. The least n with "
    "p^{2n} < alpha_999 is 35 (ddpm, p = 93/100), 84 (ddpm, 97/100), 19 (sd15, 93/100), 45 (sd15, 97/100).",
    ("alpha2 > 0",),
    "this project",
    "edict",
)
#: The least number of steps by schedule and 100·p.
STEPS = {("ddpm", 93): 35, ("ddpm", 97): 84, ("sd15", 93): 19, ("sd15", 97): 45}


def mixed(x: sp.Expr, y: sp.Expr, p: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """A step without slopes."""
    new = p * x + (1 - p) * y
    return new, p * y + (1 - p) * new


def derive() -> Certificate:
    """The factor in the frame and over one and two steps in x; the least n in ball arithmetic."""
    edict = method("edict")
    assert isinstance(edict, TwoRegister)
    p, (x, y) = edict.parameters[0], sp.symbols("x y")
    alpha0, alpha1, alpha2 = sp.symbols("alpha0:3", positive=True)
    assert sp.Matrix(mixed(x, y, p)).jacobian([x, y]).expand() == edict.mixing
    once = mixed(x / alpha2, y / alpha2, p)
    twice = mixed(*once, p)
    goals: list[Record] = [
        stages("in the frame", edict, 1, p**2),
        identity("one step in x", alpha1 * (once[0] - once[1]), p**2 * alpha1 / alpha2 * (x - y)),
        identity("two steps in x", alpha0 * (twice[0] - twice[1]), p**4 * alpha0 / alpha2 * (x - y)),
    ]
    for (name, percent), n in STEPS.items():
        ((alpha, _),) = balls.schedule_levels(name, [999])
        power = sp.Rational(percent, 100) ** 2
        assert balls.exact(power**n) < alpha < balls.exact(power ** (n - 1))
        text = f"({percent}/100)**{2 * n}", f"({percent}/100)**{2 * n - 2}"
        goals += [
            level(f"{name}, p = {percent}/100: {n} steps are enough", balls.DEFINITIONS[name], 999, ">", text[0]),
            level(f"{name}, p = {percent}/100: {n - 1} are not", balls.DEFINITIONS[name], 999, "<", text[1]),
        ]
    return Certificate(CLAIM, proved("x' - y' = p²·(x - y); 35 steps on ddpm for p = 93/100"), tuple(goals))
