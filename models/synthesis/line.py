"""A rule to be: what it names, the edges behind it, and what is said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from models.domain.peer import Peer
from models.domain.rule import Direction, Port, Widening, ports_key, stable_id
from models.synthesis.edges import Edge

_NOTED: Final = 6  # members whose evidence is told one by one


@dataclass(slots=True)
class Line:
    """
    A rule while its edges are being collected.

    ``days`` is filled for the members of a list: days on which each was seen, by title. ``inspected``: a
    proxy recorded nearly all of its HTTP requests, so that it gets a list of its own.
    """

    direction: Direction
    peer: Peer
    ports: tuple[Port, ...]
    resolver: bool
    outside: bool
    edges: dict[int, Edge] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)
    widening: set[Widening] = field(default_factory=set)
    days: dict[str, int] = field(default_factory=dict)
    inspected: bool = False

    def absorb(self, other: "Line") -> None:
        """Take over the edges of another line, and what was said of it."""
        self.edges.update(other.edges)
        self.flags |= other.flags
        self.reasons |= other.reasons
        self.widening |= other.widening
        self.days |= other.days


@dataclass(frozen=True, slots=True)
class Atom:
    """A line with one peer: its id, what its evidence says of it, and the days it was seen on."""

    id: str
    line: Line
    flags: frozenset[str]
    days: int


def list_id(key: str, direction: str, cluster: str, ports: tuple[Port, ...]) -> str:
    """Id of a list: it does not depend on who is in it, so that a decision outlives a change of members."""
    return stable_id("list", key, direction, cluster, ports_key(ports))


def days_by_peer(days: Mapping[str, int]) -> str:
    """Which members of a list were seen on how many days."""
    ranked = sorted(days.items(), key=lambda pair: (-pair[1], pair[0]))
    told = "; ".join(f"{title} on {count}" for title, count in ranked[:_NOTED])
    more = f"; {len(ranked) - _NOTED} more" if len(ranked) > _NOTED else ""
    return f"Days seen by peer: {told}{more}."
