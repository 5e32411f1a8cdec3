"""
The cells of a drafted policy: what one rule admits is one cell, however many edges are behind it.

A name under a wildcard, a pod of a role, an address of a prefix are no cells of their own, because the
policy would admit them unseen. The workloads and the ports that one rule lists are one cell each, because a
list admits nothing but its members. Edges that were seen and are held back stay cells by themselves:
admitting them would take a rule each.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from models.domain.peer import EVERY_NAMESPACE, CidrPeer, EndpointPeer, FqdnPeer
from models.domain.rule import opens_world
from models.learning.cells import CELL_KEY, EXTERNAL, INFRASTRUCTURE, INTERNAL
from models.learning.days import ObservedDays, window_days
from models.learning.incidence import SUMS, DayIncidence
from models.synthesis.addresses import writable_names
from models.synthesis.leftovers import works
from models.synthesis.reasons import NEEDS_NO_RULE, UNTOLD

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from models.domain.rule import Port, Rule
    from models.frames import Observations
    from models.synthesis.draft import Draft
    from models.synthesis.edges import Edge

#: Why an edge has no rule although enforcement would not deny it, or although it should be denied.
_NOT_HELD_BACK: Final = NEEDS_NO_RULE | {"direction_open", "rejected", UNTOLD}
_DAY_COLUMNS: Final = ("day", "hour_bits", *SUMS, "replies_visible", "first_us", "last_us")
HELD_BACK: Final = "held back"


@dataclass(frozen=True)
class PolicyCells:
    """
    Day-incidence of a drafted policy.

    Parameters
    ----------
    cells
        As `DayIncidence.cells_`, keyed by rule id (and member of its lists), or by `held_back_id` for edges
        without a rule; ``subject`` is the key of the proposal. ``counted`` tells the cells that stand for
        traffic of their own from those that only repeat another rule's edges.
    held_back
        Which cells have no rule.
    places
        ``cell`` and ``place`` of every edge of every cell, sorted.
    rules
        ``rule`` and ``cell``: what each rule admits.
    days
        The window.
    """

    cells: pd.DataFrame
    held_back: npt.NDArray[np.bool_]
    places: pd.DataFrame
    rules: pd.DataFrame
    days: ObservedDays

    @property
    def admitted(self) -> pd.DataFrame:
        """Cells of rules that stand for traffic of their own."""
        counted: pd.DataFrame = self.cells.loc[
            ~self.held_back & self.cells["counted"].to_numpy(dtype=np.bool_)
        ]
        return counted


def policy_cells(draft: Draft, observations: Observations) -> PolicyCells:
    """
    Group the edge-days of a window by what the draft would admit.

    Parameters
    ----------
    draft
        Of these observations.
    observations
        ``edge_days`` and ``coverage``.
    """
    days = window_days(observations)
    pairs, named = _pairs(draft), _named(draft)
    keys = pd.DataFrame(named, columns=["cell", *CELL_KEY, "zone"]).set_index("cell").sort_index()
    keys = keys.loc[_among(keys.index, pairs["cell"])]
    pairs = pairs.assign(code=keys.index.get_indexer(pd.Index(pairs["cell"])))
    row, code = _rows(draft.table.row_edge, pairs, _present(observations.edge_days))
    found = DayIncidence().fit_grouped(observations.edge_days[list(_DAY_COLUMNS)].iloc[row], code, keys, days)
    first = pairs.drop_duplicates("place")["cell"]
    cells = found.cells_.assign(counted=_among(found.cells_.index, first))
    held = cells["peer_kind"].to_numpy() == HELD_BACK
    rules = pairs.loc[pairs["rule"] != "", ["rule", "cell"]].drop_duplicates().reset_index(drop=True)
    return PolicyCells(cells, held, pairs[["cell", "place"]].reset_index(drop=True), rules, days)


def _among(cells: pd.Index[str], some: pd.Series[str]) -> npt.NDArray[np.bool_]:
    """Which cells are among some; what ``Index.isin`` says, much sooner of many thousand texts."""
    known = frozenset(some.tolist())
    return np.array([cell in known for cell in cells.tolist()], dtype=np.bool_)


def held_back_id(key: str, edge: Edge) -> str:
    """Name of the cell of an edge without a rule."""
    return f"{key}|{edge.place}"


def _present(edge_days: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """
    Rows that show that a cell is in use.

    What is admitted worked some day; where a policy of today refuses it since, whoever still tries needs it.
    """
    return ((edge_days["flows"] + edge_days["audited"] + edge_days["denied"]) > 0).to_numpy(dtype=np.bool_)


def _pairs(draft: Draft) -> pd.DataFrame:
    """Place, cell and rule of every edge that is admitted or held back, sorted."""
    known = {rule.id: rule for proposal in draft.proposals for rule in proposal.rules}
    members = _Members(draft)
    found = [
        (place, cell, rule)
        for place, rules in draft.ledger.rules_of.items()
        for rule in rules
        if rule in known
        for cell in _cells_of(known[rule], draft.table.edges[place], members)
    ]
    found += [(edge.place, held_back_id(key, edge), "") for key, edge in _held_back(draft)]
    pairs = pd.DataFrame(found, columns=["place", "cell", "rule"]).astype({"place": np.int64})
    return pairs.sort_values(["place", "cell"]).reset_index(drop=True)


def _cells_of(rule: Rule, edge: Edge, members: _Members) -> list[str]:
    """Names of the cells of a rule that an edge falls into: an address may have several of its names."""
    port = _port_of(rule, edge)
    if isinstance(rule.peer, FqdnPeer) and rule.peer.members:
        known = writable_names(edge.names)
        return [cell_id(rule, member, port) for member in rule.peer.members if member.name in known]
    return [cell_id(rule, members.of(rule, edge.peer), port)]


def cell_id(rule: Rule, member: EndpointPeer | FqdnPeer | None, port: Port | None) -> str:
    """Name of a cell of a rule: the rule, and the member and the port of its lists where it has them."""
    parts = [rule.id]
    if member is not None:
        parts.append(member.key)
    if port is not None:
        parts.append(port.text)
    return "|".join(parts)


def cell_titles(rule: Rule) -> dict[str, str]:
    """Names for sentences of the cells that a rule may have, by cell."""
    peers = rule.peer.members if isinstance(rule.peer, EndpointPeer | FqdnPeer) else ()
    ports = rule.ports if len(rule.ports) > 1 else ()
    titles = {}
    for member, port in product(peers or (None,), ports or (None,)):
        named = [] if member is None else [member.title]
        named += [] if port is None else [port.text]
        titles[cell_id(rule, member, port)] = " on ".join(named) or rule.peer.title
    return titles


def cells_noun(rule: Rule) -> str:
    """What several cells of a rule are: members of its peers, of its ports, or pairs of both."""
    listed = isinstance(rule.peer, EndpointPeer | FqdnPeer) and bool(rule.peer.members)
    if len(rule.ports) == 1:
        return "peers"
    return "pairs of peer and port" if listed else "ports"


def _port_of(rule: Rule, edge: Edge) -> Port | None:
    """Port or range of a rule's list that an edge uses; ``None`` for rules of one."""
    if len(rule.ports) == 1:
        return None
    number = edge.icmp_type if edge.protocol.startswith("ICMP") else edge.port
    return next(
        (
            port
            for port in rule.ports
            if port.protocol == edge.protocol and port.number <= number <= max(port.end, port.number)
        ),
        None,
    )


class _Members:
    """Which member of a rule's list a label set is."""

    def __init__(self, draft: Draft) -> None:
        self._labels = draft.view.workloads.labels
        self._view = draft.view
        self._known: dict[tuple[str, str], EndpointPeer | None] = {}

    def of(self, rule: Rule, label_key: str) -> EndpointPeer | None:
        """Member that a peer is; ``None`` for rules without a list."""
        if not isinstance(rule.peer, EndpointPeer) or not rule.peer.members:
            return None
        place = (rule.id, label_key)
        if place not in self._known:
            self._known[place] = self._find(rule.peer, label_key)
        return self._known[place]

    def _find(self, peer: EndpointPeer, label_key: str) -> EndpointPeer | None:
        """
        The member that stands for the workload of a label set.

        A selector says which labels the workload has now; what it did under older ones is its own, too.
        """
        workload = self._view.workload(label_key)
        if workload is None:
            return None
        for member in peer.members:
            if (member.namespace, member.workloads) == (workload.namespace, workload.identity):
                return member
        for key in (label_key, *workload.current_keys, *workload.label_keys):
            labels = self._labels.get(key, {})
            for member in peer.members:
                place = member.namespace in (EVERY_NAMESPACE, workload.namespace)
                if place and member.selector.matches(labels):
                    return member
        return None


def _held_back(draft: Draft) -> Iterable[tuple[str, Edge]]:
    """Edges that work and have no rule, with the proposal whose policy would deny them."""
    enforced = {
        (proposal.key, way)
        for proposal in draft.proposals
        for way in ("ingress", "egress")
        if proposal.decision(way).enforced
    }
    for place, reason in sorted(draft.ledger.reason_of.items()):
        edge = draft.table.edges[place]
        key = draft.ledger.proposal_of.get(edge.subject, "")
        if (key, edge.direction) in enforced and reason not in _NOT_HELD_BACK and works(edge):
            yield key, edge


def _named(draft: Draft) -> Iterable[tuple[object, ...]]:
    """Name, `CELL_KEY` and zone of every cell there may be."""
    for proposal in draft.proposals:
        for rule in proposal.rules:
            members = rule.peer.members if isinstance(rule.peer, EndpointPeer | FqdnPeer) else ()
            ports = rule.ports if len(rule.ports) > 1 else ()
            for member, listed in product((None, *members), (None, *ports)):
                peer = rule.peer if member is None else member
                port = rule.ports[0] if listed is None else listed
                number, icmp = (-1, port.number) if port.icmp else (port.number, -1)
                about = (proposal.key, rule.direction, type(peer).__name__, peer.key)
                what = (port.protocol, number, port.end or number, icmp)
                yield (cell_id(rule, member, listed), *about, *what, rule_zone(rule))
    for key, edge in _held_back(draft):
        zone = INTERNAL if edge.peer_kind == "endpoint" else EXTERNAL
        yield (
            held_back_id(key, edge),
            *(key, edge.direction, HELD_BACK, f"{edge.peer_kind}:{edge.peer}"),
            *(edge.protocol, edge.port, edge.port, edge.icmp_type, zone),
        )


def rule_zone(rule: Rule) -> str:
    """Zone of what a rule admits."""
    if isinstance(rule.peer, EndpointPeer):
        return INTERNAL
    outside = isinstance(rule.peer, FqdnPeer | CidrPeer) or opens_world(rule)
    return EXTERNAL if outside else INFRASTRUCTURE


def _rows(
    row_edge: npt.NDArray[np.int64], pairs: pd.DataFrame, present: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the edge-days that passed, once per cell they belong to, and the code of that cell."""
    place, code = pairs["place"].to_numpy(), pairs["code"].to_numpy()
    row = np.flatnonzero(present)
    start = np.searchsorted(place, row_edge[row], side="left")
    count = np.searchsorted(place, row_edge[row], side="right") - start
    repeated = np.repeat(row, count)
    within = np.arange(len(repeated)) - np.repeat(np.cumsum(count) - count, count)
    return repeated, code[np.repeat(start, count) + within]
