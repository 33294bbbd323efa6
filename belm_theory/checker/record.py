"""What a record of evidence is for the checker: data, a domain, and a decision.

A decision is *holds* (shown), *fails* (its negation shown) or *open* (neither). A question is asked on the domain of
the claim's and the record's hypotheses, and the context remembers which hypotheses an answer rested on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from belm_theory.checker.domain import Atom, Domain, NotShownError, atoms, first_false
from belm_theory.checker.rational import MalformedError, Ratio, names_in, number


@dataclass(frozen=True)
class Decision:
    """What the checker found out about one record, and why."""

    outcome: Literal["holds", "fails", "open"]
    reason: str = ""


HOLDS = Decision("holds")


def fails(reason: str) -> Decision:
    """The negation is shown."""
    return Decision("fails", reason)


def undecided(reason: str) -> Decision:
    """Neither the statement nor its negation is shown."""
    return Decision("open", reason)


@dataclass
class Context:
    """The certificate around a record: its hypotheses and the relations it names.

    Attributes:
        given: the atoms of the claim's hypotheses.
        relations: the certificate's relations by name.
        used: atoms that a decision rested on.
    """

    given: Sequence[Atom]
    relations: Mapping[str, Relation] = field(default_factory=dict)
    used: set[Atom] = field(default_factory=set)

    def ask(self, record: Mapping[str, Any], texts: Sequence[Any]) -> Question:
        """A domain for the symbols of some expressions, under the claim's and the record's own hypotheses."""
        return Question(self, atoms(record.get("where", [])), names_in(texts))

    def ask_about(self, relation: Relation, record: Mapping[str, Any]) -> Question:
        """The same for a relation, whose steps and frame weights are positive by the notation."""
        own = atoms(record.get("where", []))
        bounded = set[str]().union(*(atom.names for atom in (*self.given, *own)))
        own += [Atom("0", name, True) for name in (*relation.steps, *relation.weights) if name not in bounded]
        return Question(self, own, names_in(relation.texts) | set(relation.weights))

    def relation(self, record: Mapping[str, Any]) -> Relation:
        """The relation that a record names."""
        name = record["relation"]
        if name not in self.relations:
            raise MalformedError(f"the relation {name!r} is not in the certificate")
        return self.relations[name]

    def admits(self, point: Mapping[str, Fraction]) -> Atom | None:
        """The first hypothesis that a point breaks; those about its symbols count as used."""
        self.used.update(atom for atom in self.given if atom.names <= set(point))
        return first_false(self.given, point)


class Question:
    """Signs and values of functions on one domain, with a memory of which hypotheses were needed."""

    def __init__(self, context: Context, own: Sequence[Atom], names: set[str]) -> None:
        """Build the domain of the atoms that concern the given names."""
        self.context, self.own, self.names = context, list(own), names
        self.domain = Domain(_about([*context.given, *own], names), names)

    def shows(self, test: Callable[[Domain], bool]) -> bool:
        """Whether a test succeeds on the domain; hypotheses without which it would not are marked as used."""
        if not test(self.domain):
            return False
        for atom in self.context.given:
            if atom in self.domain.given and atom not in self.context.used:
                rest = [other for other in self.domain.given if other != atom]
                try:
                    needed = not test(Domain(rest, self.names))
                except (NotShownError, MalformedError):
                    needed = True
                if needed:
                    self.context.used.add(atom)
        return True

    def read(self, text: str) -> Ratio:
        """The function a text writes.

        Raises:
            NotShownError: a divisor in it may vanish on the domain.
        """
        self.shows(lambda domain: domain.read(text) is not None)
        return self.domain.read(text)

    def sign(self, text: str) -> str:
        """The sign of a function on the domain, as `Domain.sign` writes it."""
        found = self.domain.sign(self.read(text))
        self.shows(lambda domain: domain.sign(domain.read(text)) == found)
        return found


def _about(given: Sequence[Atom], names: set[str]) -> list[Atom]:
    """The atoms that bound the names, and those that bound what these depend on."""
    known, found = set(names), []
    rest = list(given)
    while True:
        new = [atom for atom in rest if atom.names & known]
        if not new:
            return [atom for atom in given if atom in found]
        found += new
        rest = [atom for atom in rest if atom not in new]
        known = known.union(*(atom.names for atom in new))


@dataclass(frozen=True)
class Relation:
    """A k-step relation X_0 = Σ a_j X_j + Σ b_j h_j f_j of a certificate, as text.

    Attributes:
        steps: the names h_1 … h_k.
        weights: the names w_0 … w_k of the frame weights, or none.
        a: the k weights of the states.
        b: the k - 1 weights of the slopes.
        order: the order it is stated to have at least, which pins b to a.
    """

    steps: tuple[str, ...]
    weights: tuple[str, ...]
    a: tuple[str, ...]
    b: tuple[str, ...]
    order: int

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Relation:
        """A relation from a certificate.

        Raises:
            MalformedError: wrong lengths or types.
        """
        parts = {key: tuple(data[key]) for key in ("steps", "weights", "a", "b")}
        order, k = data["order"], len(parts["steps"])
        if not (k >= 1 and len(parts["a"]) == k and len(parts["b"]) == k - 1 and len(parts["weights"]) in (0, k + 1)):
            raise MalformedError("a relation of k steps needs k weights a and k - 1 weights b")
        if not isinstance(order, int) or isinstance(order, bool) or order < 0:
            raise MalformedError(f"the order is {order!r}; it must be a whole number >= 0")
        return cls(**parts, order=order)

    @property
    def texts(self) -> list[str]:
        """All expressions of the relation."""
        return [*self.steps, *self.a, *self.b]

    @property
    def parameters(self) -> set[str]:
        """The symbols that are neither steps nor frame weights."""
        return names_in(self.texts) - set(self.steps) - set(self.weights)


def fractions(values: Mapping[str, Any]) -> dict[str, Fraction]:
    """Exact numbers by name."""
    return {name: number(value) for name, value in values.items()}
