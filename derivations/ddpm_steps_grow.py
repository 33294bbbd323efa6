"""DDPM's schedule satisfies the hypothesis of Proposition 5 on coarse grids only.

The hypothesis is h_i < h_{i+1} in sbar (see proposition_5 and assumption_3); the betas are linear from 1/10000 to 1/50
over 1000 timesteps, steps_offset 0. It holds at 10 leading, 20 leading and 10 trailing steps, so that K_sampling = 1
there, and fails at one node or more near the data on the finer grids. beta_0 is eight times smaller than Stable
Diffusion's, so sbar ~ sqrt(beta_0·t) is felt later (sd15_steps_grow). K_sampling is 1.33 at 50 leading and 1.81 at 50
trailing steps (belm verify --method o-belm --schedule ddpm --steps 50 --spacing leading | trailing).
"""

from belm_theory import balls
from belm_theory.certificate import Certificate, Claim, convex
from belm_theory.verdict import refuted

CLAIM = Claim(
    "ddpm-steps-grow",
    "DDPM's grids of 10, 20, 50 and 100 leading or trailing steps satisfy h_i < h_{i+1} in sbar, the hypothesis under "
    "which O-BELM is proved to be stable.",
    (),
    "BELM, prop 5 with Assumption 3 corrected, as used for its experiments",
    "o-belm",
)

SCHEDULE, OFFSET = "ddpm", 0
#: The nodes at which the hypothesis fails.
FAILS: dict[tuple[int, str], list[int]] = {
    (10, "leading"): [], (20, "leading"): [], (50, "leading"): [2], (100, "leading"): [2, 3],
    (10, "trailing"): [], (20, "trailing"): [1], (50, "trailing"): [1], (100, "trailing"): [1, 2, 3],
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
    goal = convex("50 leading steps grow; false at the node listed", definition, times, FAILS[case])
    witness = "50 leading steps: h_2 >= h_3; five of the eight grids fail, 10 leading, 20 leading, 10 trailing do not"
    return Certificate(CLAIM, refuted(witness), (goal,), tuple(steps))
