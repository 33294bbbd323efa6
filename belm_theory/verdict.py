"""The answer to a claim: proved, refuted or undecided, always with what shows it.

A predicate of this package never answers a bare bool: `proved` comes with the fact that makes it true,
`refuted` with a counterexample, `undecided` with how far the argument went.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["proved", "refuted", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """A decided (or honestly undecided) claim.

    Attributes:
        outcome: ``"proved"``, ``"refuted"`` or ``"undecided"``.
        witness: the fact, counterexample or furthest case reached, as text in exact arithmetic.
    """

    outcome: Outcome
    witness: str

    def __bool__(self) -> bool:
        """Refuse to be read as a bool, so that `undecided` is never taken for `refuted`."""
        raise TypeError("a Verdict is not a bool; compare its outcome")


def proved(witness: str) -> Verdict:
    """A proved claim with the fact that proves it."""
    return Verdict("proved", witness)


def refuted(witness: str) -> Verdict:
    """A refuted claim with its counterexample."""
    return Verdict("refuted", witness)


def undecided(witness: str) -> Verdict:
    """A claim that stays open, with the furthest case reached."""
    return Verdict("undecided", witness)
