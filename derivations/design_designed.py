"""The design designed: its method and its grid, from data (`belm_theory.design`).

WRITTEN by: belm design --name designed --budget 2048 --seed 0
The entry designed.json holds the same data for the runtime.
"""

from belm_theory.certificate import Certificate
from belm_theory.design import certificate, claim

DESIGN = {
    "name": "designed",
    "method": "blend:k=3",
    "damping": "93/10",
    "frame": "flow",
    "start": "adams",
    "spacing": "bent:A=0.19,B=3.7,C=0.54",
}
CLAIM = claim(DESIGN)


def derive() -> Certificate:
    """Order, roots and grid, from the data."""
    return certificate(DESIGN)
