"""What stands for the names and addresses of a workload, while it is being found out."""

from dataclasses import dataclass, field

from models.domain.peer import Peer
from models.domain.rule import Widening
from models.synthesis.candidates import Candidate
from models.synthesis.profiles import workload_key


@dataclass(slots=True)
class Widened:
    """
    What stands for the names and addresses of one workload on one port.

    Parameters
    ----------
    peers
        Wider peer by the exact one.
    records
        What each wider peer opens.
    kept
        Those of them that nothing but the night before speaks for.
    requests
        Sentence about a pattern that only a person may approve, by exact peer.
    remarks
        Sentence about what would have stood for it and was not affordable, by exact peer.
    """

    peers: dict[Peer, Peer] = field(default_factory=dict)
    records: dict[Peer, Widening] = field(default_factory=dict)
    kept: set[Peer] = field(default_factory=set)
    requests: dict[Peer, str] = field(default_factory=dict)
    remarks: dict[Peer, str] = field(default_factory=dict)


def subject_of(candidate: Candidate) -> str:
    """Text that names the workload, direction and port of a candidate."""
    ports = ",".join(port.text for port in candidate.target.ports)
    return f"{workload_key(candidate.workload)}|{candidate.direction}|{ports}"
