"""
Port lists and, rarely, port ranges.

A range is proposed only where a protocol is known to hand out ports: many distinct ports, most of them
seen once or twice, inside a range that systems allocate from, next to a control port or a declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Self

import pandas as pd

from models.learning.base import Estimator, require

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Ports one ``toPorts`` entry may hold: Cilium refuses more.
MAX_PORTS: Final = 40
#: What makes a range (method, section 6.4).
MIN_RANGE_PORTS: Final = 8
RARE_DAYS: Final = 2
MIN_RARE_SHARE: Final = 0.8
#: Share of the control port's days up to which a port beside it was drawn: one of its own is used on most.
MAX_DRAWN_SHARE: Final = 0.5
#: Ranges that systems allocate from: what FTP images are given, Linux's default, IANA's. "Above 1024" is
#: left out: next to a scan of port 21 it would turn every unprivileged port into a range.
DYNAMIC_RANGES: Final = ((30000, 32767), (32768, 60999), (49152, 65535))
#: Ports whose protocol negotiates others: FTP, Sun RPC, Microsoft RPC.
CONTROL_PORTS: Final = (21, 111, 135)

_GROUP: Final = ["subject", "direction", "peer_kind", "peer", "protocol"]


@dataclass(frozen=True, slots=True)
class DeclaredRange:
    """
    A range that an operator or a Service declared for a peer.

    Parameters
    ----------
    peer
        Peer it holds for; empty for every peer.
    first, last
        Ports, both included.
    """

    peer: str
    first: int
    last: int


class PortRanges(Estimator):
    """
    Ports per subject and peer, as entries a rule can hold.

    Parameters
    ----------
    declared
        Declared ranges; one that holds the ports is proposed as it is.
    end_port
        The target honours ``endPort``; without it every port is listed.

    Attributes
    ----------
    ranges_ : pandas.DataFrame
        Accepted ranges: subject, direction, peer_kind, peer, protocol, ``port``, ``port_end``,
        ``observed`` (distinct ports) and ``unseen`` (ports it opens beyond those); a reviewer confirms.
    drawn_ : pandas.DataFrame
        Ports that each range was estimated from: the same five columns and ``port``. A port in a range that
        is not here is a service of its own.
    entries_ : pandas.DataFrame
        Every (group, ``port``, ``port_end``) with the ``entry`` it belongs to: at most `MAX_PORTS` per
        entry, numbered from 0.
    crowded_ : pandas.DataFrame
        Groups with more than `MAX_PORTS` single ports: a scan or client ports may have leaked in.
    """

    def __init__(self, declared: tuple[DeclaredRange, ...] = (), *, end_port: bool = True) -> None:
        self.declared = declared
        self.end_port = end_port

    def fit(self, cells: pd.DataFrame) -> Self:
        """
        Choose entries.

        Parameters
        ----------
        cells
            subject, direction, peer_kind, peer, protocol, ``port``, ``days_seen``. Rows without a port
            (-1) are left out.

        Raises
        ------
        BadInputError
            If a column is missing.
        """
        require(cells, (*_GROUP, "port", "days_seen"), "cells")
        ported = cells.loc[(cells["port"] >= 0).to_numpy()]
        seen = ported.groupby([*_GROUP, "port"], sort=True)["days_seen"].max().reset_index()
        ranges: list[tuple[object, ...]] = []
        drawn: list[tuple[object, ...]] = []
        entries: list[tuple[object, ...]] = []
        crowded: list[tuple[object, ...]] = []
        rows = zip(*(seen[name].tolist() for name in (*_GROUP, "port", "days_seen")), strict=True)
        for key, own in groupby(rows, key=lambda row: row[: len(_GROUP)]):  # sorted by group and port
            days = dict(row[len(_GROUP) :] for row in own)
            span, own_drawn = self._range(str(key[3]), days) if self.end_port else (None, [])
            singles = [(port, port) for port in sorted(days) if not (span and span[0] <= port <= span[1])]
            if span:
                inside = sum(span[0] <= port <= span[1] for port in days)
                ranges.append((*key, *span, inside, span[1] - span[0] + 1 - inside))
                drawn += [(*key, port) for port in own_drawn]
            if len(singles) > MAX_PORTS:
                crowded.append((*key, len(singles)))
            items = sorted([*singles, *([span] if span else [])])
            entries += [(*key, index // MAX_PORTS, *item) for index, item in enumerate(items)]
        self.ranges_ = pd.DataFrame(ranges, columns=[*_GROUP, "port", "port_end", "observed", "unseen"])
        self.drawn_ = pd.DataFrame(drawn, columns=[*_GROUP, "port"])
        self.entries_ = pd.DataFrame(entries, columns=[*_GROUP, "entry", "port", "port_end"])
        self.crowded_ = pd.DataFrame(crowded, columns=[*_GROUP, "ports"])
        return self

    def _range(self, peer: str, days: dict[int, int]) -> tuple[tuple[int, int] | None, list[int]]:
        """The range of a group, if there is one, and the ports that were drawn from it, sorted."""
        for declared in sorted(self.declared, key=lambda d: (d.peer != peer, d.last - d.first, d.first)):
            inside = [port for port in sorted(days) if declared.first <= port <= declared.last]
            if declared.peer in ("", peer) and _negotiated([days[port] for port in inside]):
                return (declared.first, declared.last), inside
        control = max((days[port] for port in CONTROL_PORTS if port in days), default=0)
        if not control:
            return None, []
        rare = max(RARE_DAYS, int(MAX_DRAWN_SHARE * control))
        for first, last in sorted(DYNAMIC_RANGES, key=lambda span: span[1] - span[0]):
            inside = [port for port in sorted(days) if first <= port <= last]
            # ports used again and again are services of their own, not drawn ones
            drawn = [port for port in inside if days[port] <= rare]
            if len(drawn) >= MIN_RANGE_PORTS and _negotiated([days[port] for port in inside], rare):
                return _extended(drawn, first, last), drawn
            if len(inside) > MAX_PORTS:  # no server has so many of its own: a busy one draws each again
                return _extended(inside, first, last), inside
        return None, []


def session_days(cells: pd.DataFrame, origin: pd.Series[Any], target: pd.Series[Any]) -> pd.Series[float]:
    """
    Days on which the origin spoke to a control port of the target, for ports that such a session hands out.

    Parameters
    ----------
    cells
        With ``port`` and ``active_days``.
    origin, target
        Who opens the connection and who is called, by cell.

    Returns
    -------
    pandas.Series
        Keyed by cell; 0 for ports that no session handed out.
    """
    control = cells["active_days"].where(cells["port"].isin(CONTROL_PORTS))
    days = control.groupby([origin, target]).transform("max")
    drawn = pd.Series(False, index=cells.index)
    for first, last in DYNAMIC_RANGES:
        drawn |= cells["port"].between(first, last)
    return days.where(drawn).fillna(0.0)


def _negotiated(days: Sequence[int], most: int = RARE_DAYS) -> bool:
    """Whether nearly all of enough ports were used on few days; ``most``: how many of them are few."""
    rare = sum(x <= most for x in days)
    return len(days) >= MIN_RANGE_PORTS and rare >= MIN_RARE_SHARE * len(days)


def _extended(drawn: Sequence[int], first: int, last: int) -> tuple[int, int]:
    """Ends of a uniform range estimated from a sample: the hull, widened by its mean gap at each end."""
    gap = -(-(drawn[-1] - drawn[0]) // (len(drawn) - 1))
    return max(first, drawn[0] - gap), min(last, drawn[-1] + gap)
