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
    ranges = PortRanges().fit(pd.DataFrame(rows, columns=columns)).ranges_
    spans: dict[_Gate, Port] = {}
    for row in ranges.to_dict("records"):
        gate = crowded[int(row["subject"])]
        near = Port(gate[3], int(row["port"]), int(row["port_end"]))
        seen = sorted(one.target.ports[0].number for one in gates[gate] if _inside(one, near))
        first = seen[0] // STEP * STEP
        last = min(seen[-1] // STEP * STEP + STEP - 1, _HIGHEST)
        spans[gate] = Port(gate[3], first, last)
    wide = {gate: _wide(gates[gate], span, excluded, rates) for gate, span in spans.items()}
    return [
        _widened(one, wide[gate])
        if len(one.target.ports) == 1 and (gate := _gate(one)) in wide and _inside(one, spans[gate])
        else one
        for one in candidates
    ]


@dataclass(frozen=True, slots=True)
class _Wide:
    """What stands for the negotiated ports of one gate: their range, or all that were seen in one list."""

    ports: tuple[Port, ...]
    records: tuple[Widening, ...]
    why: str
    flags: frozenset[str]


def _wide(gate: Sequence[Candidate], span: Port, excluded: Sequence[Excluded], rates: Exchange) -> _Wide:
    seen = sorted(one.target.ports[0] for one in gate if _inside(one, span))
    peers = gate[0].target.peers
    unseen = span.end - span.number + 1 - len(seen)
    if unseen > rates.unseen_ports * len(seen) or _held(excluded, _gate(gate[0]), span.number, span.end):
        why = (
            f"{len(seen)} ports of a protocol that hands them out: {span.text} would open {unseen} more, so "
            "they are listed; write the range of the server's settings instead, or the next port is denied."
        )
        return _Wide(tuple(seen), (), why, frozenset({"range_request"}))
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
    why = (
        f"{len(seen)} ports of a protocol that hands them out are written as {span.text}: {unseen} more "
        "ports are opened; confirm it against the server's settings."
    )
    return _Wide((span,), records, why, frozenset({"generalised", "port_range"}))


def _inside(candidate: Candidate, span: Port) -> bool:
    return span.number <= candidate.target.ports[0].number <= span.end


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
