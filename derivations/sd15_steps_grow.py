"""The hypothesis of Proposition 5 fails on every usual grid of Stable Diffusion's schedule.

Corrected, the hypothesis is h_i < h_{i+1} in sbar = sigma/alpha (proposition_5, assumption_3). Stable Diffusion's
betas are scaled_linear from 17/20000 to 3/250 over 1000 timesteps. Near the data sbar ~ sqrt(beta_0·t), so the first
steps shrink:

    steps       leading (steps_offset 1)        trailing
    10          2                               1
    20          2, 3                            1, 2
    50          2 … 7                           1 … 6
    100         2 … 13                          1 … 12

are the nodes i at which h_i >= h_{i+1}. The constant stays moderate all the same: K_sampling is 7.8 at 50 leading and
15.7 at 50 trailing steps (belm verify --method o-belm --schedule sd15 --steps 50 --spacing leading | trailing).
"""

from belm_theory import balls
from belm_theory.certificate import Certificate, Claim, convex
from belm_theory.verdict import refuted

CLAIM = Claim(
    "sd15-steps-grow",
    "Stable Diffusion's grids of 10, 20, 50 and 100 leading or trailing steps satisfy h_i < h_{i+1} in sbar, the "
    "hypothesis under which O-BELM is proved to be stable.",
    (),
    "BELM, prop 5 with Assumption 3 corrected, as used for its experiments",
    "o-belm",
)

SCHEDULE, OFFSET = "sd15", 1
#: The nodes at which the hypothesis fails.
FAILS = {
    (10, "leading"): [2], (20, "leading"): [2, 3], (50, "leading"): [*range(2, 8)], (100, "leading"): [*range(2, 14)],
    (10, "trailing"): [1], (20, "trailing"): [1, 2], (50, "trailing"): [*range(1, 7)],
    (100, "trailing"): [*range(1, 13)],
}  # fmt: skip


def derive() -> Certificate:
    """Compare the steps in ball arithmetic."""
    steps, definition = [], balls.DEFINITIONS[SCHEDULE]
    for (number, spacing), expected in FAILS.items():
        times = balls.inference_timesteps(number, spacing, OFFSET)
        sbar = [balls.exact(0), *(sigma / alpha for alpha, sigma in balls.schedule_levels(SCHEDULE, times))]
        assert balls.failing_nodes(sbar) == expected
        steps.append(convex(f"{number} {spacing} steps: exactly here", definition, times, expected, exact=True))
    case = (50, "leading")
    times = balls.inference_timesteps(*case, OFFSET)
    goal = convex("50 leading steps grow; false at the nodes listed", definition, times, FAILS[case])
    witness = "50 leading steps: h_i >= h_{i+1} at i = 2 … 7; each of the eight grids fails at one node or more"
    return Certificate(CLAIM, refuted(witness), (goal,), tuple(steps))
