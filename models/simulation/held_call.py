"""
Whether a cell of the quarantine is the call that somebody asks about.

A cell is named by workloads and names (`models.learning.cells.cell_ids`), a question by what people type
or Hubble recorded. A window would tell for certain, but whoever asks why a call is denied waits for it.
"""

from dataclasses import dataclass

from models.learning.cells import cell_parts
from models.simulation.context import DnsQuestion, Side
from models.synthesis.questions_asked import domain_of, expands


@dataclass(frozen=True, slots=True)
class Party:
    """
    One end of a call.

    Parameters
    ----------
    side
        What policy sees of it.
    cluster, namespace, workload
        Whose pod it is, the workload by its name alone; "" where it is none, the cluster also where it is
        not told.
    label_key
        Key of the label set, where it is known and no workload is.
    """

    side: Side
    namespace: str = ""
    workload: str = ""
    cluster: str = ""
    label_key: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """
    A call that somebody asks about.

    Parameters
    ----------
    source, destination
        Who calls whom.
    protocol, port
        As the store has them (``ICMPv4``); for ICMP the type. ``None``: not told.
    question
        The name asked for, of a DNS question.
    """

    source: Party
    destination: Party
    protocol: str | None
    port: int | None
    question: DnsQuestion | None = None


def is_call(cell: str, call: Call) -> bool:
    """
    Whether a cell is this call, or a part of its names, or the tunnel that its DNS question belongs to.

    Parameters
    ----------
    cell
        Id, ``subject|direction|peer kind|peer|protocol|port[-end][|icmp type]``.
    call
        The question.
    """
    subject, way, kind, peer, protocol, port, *icmp = cell_parts(cell)
    mine, other = (call.source, call.destination) if way == "egress" else (call.destination, call.source)
    if not _is_workload(subject, mine):
        return False
    if call.question is not None and way == "egress" and kind == "fqdn":
        names = peer.split(",")
        tunnel = protocol == "DNS" and peer == f"*.{domain_of(call.question.name)}"
        return tunnel or expands(call.question.name.rstrip(".").lower(), names)
    return (
        protocol == call.protocol
        and _has_port(icmp[0] if icmp else port, call.port)
        and _is(kind, peer, other)
    )


def _has_port(text: str, port: int | None) -> bool:
    first, _, last = text.partition("-")
    return port is not None and int(first) <= port <= int(last or first)


def _is(kind: str, peer: str, party: Party) -> bool:
    """Whether a cell's peer is this end; of names one in common is enough."""
    if kind == "endpoint":
        return _is_workload(peer, party)
    if kind == "fqdn":
        return not {name.rstrip(".").lower() for name in party.side.names or ()}.isdisjoint(peer.split(","))
    return peer == (party.side.entity if kind == "entity" else party.side.ip)


def _is_workload(text: str, party: Party) -> bool:
    """Whether a workload as cells name it (`models.synthesis.raw_cells.workload_id`) is this end."""
    place, _, members = text.partition("/")
    cluster, _, namespace = place.rpartition(":")
    if not members or not party.workload:
        return bool(party.label_key) and text == party.label_key
    same_cluster = not cluster or not party.cluster or cluster == party.cluster
    named = party.workload in {member.partition("/")[2] for member in members.split("+")}
    return same_cluster and namespace == party.namespace and named
