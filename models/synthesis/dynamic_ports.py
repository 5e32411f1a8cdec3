"""
Ports that a protocol hands out: one range instead of a list that is another one tomorrow.

Only beside a control port, only inside the ranges systems allocate from (`models.learning.ports`), and never
over a port that is held back. Every release of Cilium that Portolan knows reads ``endPort``.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from models.domain.peer import EndpointPeer, Peer
from models.domain.rule import Port, Widening
from models.learning.ports import PortRanges
from models.synthesis.candidates import Candidate, Excluded
from models.synthesis.exchange import Exchange
from models.synthesis.profiles import workload_key
from models.synthesis.reasons import HELD_BACK

#: Ends of a range are rounded outward to this many ports, so that a night's new port seldom moves them.
STEP: Final = 100
_HIGHEST: Final = 65535
_Gate = tuple[str, str, tuple[Peer, ...], str]


def _gate(candidate: Candidate) -> _Gate:
    target = candidate.target
    return (workload_key(candidate.workload), candidate.direction, target.peers, target.ports[0].protocol)


def widen_ports(
    candidates: Sequence[Candidate],
    excluded: Sequence[Excluded],
    rates: Exchange,
) -> list[Candidate]:
    """
    Replace negotiated ports by their range.

    Parameters
    ----------
    candidates, excluded
        All of a run.
    rates
        Exchange rates of the posture.
    """
    gates: dict[_Gate, list[Candidate]] = defaultdict(list)
    for one in candidates:
        if len(one.target.ports) == 1 and not one.target.dns and not one.target.ports[0].icmp:
            gates[_gate(one)].append(one)
    crowded = {number: gate for number, gate in enumerate(gates) if len(gates[gate]) > 1}
    rows = [
        (
            str(number),
            gate[1],
            "",
            "",
            gate[3],
            one.target.ports[0].number,
            max(e.working_days for e in one.edges),
        )
        for number, gate in crowded.items()
        for one in gates[gate]
    ]
    columns = ["subject", "direction", "peer_kind", "peer", "protocol", "port", "days_seen"]
    ranges = PortRanges().fit(pd.DataFrame(rows, columns=columns))
    wide: dict[_Gate, _Wide] = {}
    for number, drawn in ranges.drawn_.groupby("subject", sort=True)["port"]:
        gate = crowded[int(str(number))]
        wide[gate] = _wide(gates[gate], [int(port) for port in sorted(drawn)], excluded, rates)
    return [
        _widened(one, wide[gate])
        if len(one.target.ports) == 1 and (gate := _gate(one)) in wide and wide[gate].holds(one)
        else one
        for one in candidates
    ]


@dataclass(frozen=True, slots=True)
class _Wide:
    """What stands for the negotiated ports of one gate: their range, or those that were seen in one list."""

    ports: tuple[Port, ...]
    records: tuple[Widening, ...]
    why: str
    flags: frozenset[str]

    def holds(self, candidate: Candidate) -> bool:
        """Whether the port of a candidate of the gate is among them."""
        number = candidate.target.ports[0].number
        return any(one.number <= number <= (one.end or one.number) for one in self.ports)


def _wide(
    gate: Sequence[Candidate], drawn: Sequence[int], excluded: Sequence[Excluded], rates: Exchange
) -> _Wide:
    """Range of the drawn ports, with whatever lies in it, or their list, without what is stable."""
    protocol = _gate(gate[0])[3]
    span = Port(protocol, drawn[0] // STEP * STEP, min(drawn[-1] // STEP * STEP + STEP - 1, _HIGHEST))
    seen = {one.target.ports[0].number for one in gate} & set(range(span.number, span.end + 1))
    peers = gate[0].target.peers
    unseen = span.end - span.number + 1 - len(seen)
    if unseen > rates.unseen_ports * len(drawn) or _held(excluded, _gate(gate[0]), span.number, span.end):
        why = (
            f"{len(drawn)} ports of a protocol that hands them out: {span.text} would open {unseen} more, so "
            "they are listed; write the range of the server's settings instead, or the next port is denied."
        )
        ports = tuple(Port(protocol, number) for number in drawn)
        return _Wide(ports, (), why, frozenset({"range_request"}))
    pairs = unseen if isinstance(peers[0], EndpointPeer) else 0
    records = tuple(
        Widening(
            "range",
            peer.title,
            len(seen),
            pairs=pairs,
            unseen=unseen,
            openings=rates.alpha * unseen,
            rules=rates.lam_roles * (len(seen) - 1),
        )
        for peer in peers
    )
    stable = len(seen) - len(drawn)
    among = f" with {stable} that {'is' if stable == 1 else 'are'} not handed out" if stable else ""
    why = (
        f"{len(drawn)} ports of a protocol that hands them out are written as {span.text}{among}: "
        f"{unseen} more ports are opened; confirm it against the server's settings."
    )
    return _Wide((span,), records, why, frozenset({"generalised", "needs_review", "port_range"}))


def _held(excluded: Sequence[Excluded], gate: _Gate, first: int, last: int) -> bool:
    """Whether something is held back of this workload inside the range, whoever the peer is."""
    return any(
        one.reason in HELD_BACK
        and one.workload is not None
        and (workload_key(one.workload), one.edge.direction, one.edge.protocol.upper())
        == (gate[0], gate[1], gate[3])
        and first <= one.edge.port <= last
        for one in excluded
    )


def _widened(candidate: Candidate, wide: _Wide) -> Candidate:
    target = candidate.target
    target = replace(
        target,
        ports=wide.ports,
        flags=tuple(sorted({*target.flags, *wide.flags})),
        reasons=(*target.reasons, wide.why),
        widening=wide.records,
    )
    return Candidate(candidate.workload, candidate.direction, target, candidate.edges)
