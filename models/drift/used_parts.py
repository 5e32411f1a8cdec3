"""
Which part of an entry a row used: the peer and port of twenty that "unused" can then speak of.

The evaluator decides by entries; here the deciding entry of each row is looked into once. Selectors are
answered over all distinct ends at a time, as many as the entries that decided anything need.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.domain.agent import AgentConfig
from models.domain.policy import Direction, Entry, PeerSelector, PolicyRef, PolicySet, PortRule
from models.domain.selector import EVERYTHING
from models.drift.atoms import parts
from models.simulation.costs import Breadth
from models.simulation.edges import EdgeTable, protocol_code

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Parts:
    """
    The parts of all entries of a policy set.

    Parameters
    ----------
    policies
        As judged.
    config
        Agent settings.

    Attributes
    ----------
    entries
        All parts, those of one entry side by side.
    """

    def __init__(self, policies: PolicySet, config: AgentConfig) -> None:
        self._config = config
        self.entries: list[Entry] = []
        first = []
        for entry in policies.entries:
            first.append(len(self.entries))
            self.entries += parts(entry)
        self._first = np.array([*first, len(self.entries)], dtype=np.int64)

    def of_rows(self, table: EdgeTable, entry: NDArray[np.int32]) -> NDArray[np.int32]:
        """
        The part of the deciding entry that fits each row.

        Parameters
        ----------
        table
            The rows' questions.
        entry
            Deciding entry per row, -1 for none.

        Returns
        -------
        ndarray of int32
            Index into `entries`; -1 where no entry decided. Where no part is seen to fit (a port by name),
            the first one stands for its entry.
        """
        found = np.full(len(entry), -1, dtype=np.int32)
        decided = np.flatnonzero(entry >= 0)
        if not len(decided):
            return found
        found[decided] = self._first[entry[decided]]
        several = decided[np.diff(self._first)[entry[decided]] > 1]
        order = several[np.argsort(entry[several], kind="stable")]
        if not len(order):
            return found
        groups = np.split(order, np.flatnonzero(np.diff(entry[order])) + 1)
        selectors = self._selectors([int(entry[group[0]]) for group in groups])
        sides = _Sides(table, selectors, self._config)
        for group in groups:
            self._look_into(int(entry[group[0]]), group, table, sides, found)
        return found

    def _selectors(self, numbers: Sequence[int]) -> list[PeerSelector]:
        """Distinct peer selectors of the parts of some entries."""
        return list(
            dict.fromkeys(
                peer
                for number in numbers
                for part in self.entries[self._first[number] : self._first[number + 1]]
                for peer in part.peers or ()
            )
        )

    def _look_into(
        self, number: int, rows: Ints, table: EdgeTable, sides: "_Sides", found: NDArray[np.int32]
    ) -> None:
        """Find the part of one entry for its rows, the first that fits."""
        peer, protocol, port = table.peer[rows], table.protocol[rows], table.port[rows]
        left = np.ones(len(rows), dtype=np.bool_)
        for place in range(int(self._first[number]), int(self._first[number + 1])):
            part = self.entries[place]
            fits = left & sides.selected(part)[peer] & _ports(part.ports, protocol, port)
            found[rows[fits]] = place
            left &= ~fits
            if not left.any():
                return


class _Sides:
    """Selectors over the distinct ends of a table, each answered when it is first asked."""

    def __init__(self, table: EdgeTable, selectors: Sequence[PeerSelector], config: AgentConfig) -> None:
        self._all: Bools = np.ones(len(table.sides), dtype=np.bool_)
        self._known: dict[PeerSelector, Bools] = {}
        blank = _blank(selectors)
        self._breadth = None if blank is None else Breadth(blank, table.sides, config)
        self._entries = (
            {} if blank is None else {entry.peers[0]: entry for entry in blank.entries if entry.peers}
        )

    def selected(self, part: Entry) -> Bools:
        """Which ends the peer of a part selects."""
        if not part.peers or self._breadth is None:
            return self._all
        (selector,) = part.peers[:1]
        if selector not in self._known:
            self._known[selector] = self._breadth.selected(self._entries[selector])
        return self._known[selector]


def _blank(selectors: Sequence[PeerSelector]) -> PolicySet | None:
    """Entries that are nothing but their peer."""
    if not selectors:
        return None
    return PolicySet(tuple(replace(_TEMPLATE, peers=(one,)) for one in selectors))


def _ports(rules: tuple[PortRule, ...] | None, protocol: Any, port: Any) -> Bools:
    """Which rows the ports of a part cover by number."""
    if rules is None:
        return np.ones(len(port), dtype=np.bool_)
    fits = np.zeros(len(port), dtype=np.bool_)
    for rule in rules:
        for one in rule.ports:
            same = protocol == protocol_code(one.protocol.value)
            fits |= same & (port >= one.first) & (port <= one.last)
    return fits


_TEMPLATE: Final = Entry(
    policy=PolicyRef("", "", ""),
    path="",
    direction=Direction.EGRESS,
    denies=False,
    subject=EVERYTHING,
    node_subject=False,
    peers=None,
    ports=None,
)
