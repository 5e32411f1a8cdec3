"""
Edges as columns: what the fast evaluator reads.

The two ends are numbers into one list of distinct sides, so a million edges between a few thousand
identities cost a few thousand resolutions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.policy import Direction
from models.domain.portset import Protocol
from models.errors import BadInputError
from models.simulation.context import PolicyFlow, Side

PROTOCOLS: Final = tuple(protocol.value for protocol in Protocol)
UNKNOWN_CODE: Final = -1
OTHER_PROTOCOL: Final = len(PROTOCOLS)  # a protocol that no rule can name

_CODES: Final = {name: code for code, name in enumerate(PROTOCOLS)}


def protocol_code(name: str | None) -> int:
    """Number of a protocol in the columns; -1 when it is not known."""
    return UNKNOWN_CODE if name is None else _CODES.get(name, OTHER_PROTOCOL)


@dataclass(frozen=True, slots=True)
class EdgeTable:
    """
    Distinct edges, one gate each.

    Parameters
    ----------
    sides
        Distinct ends.
    subject, peer
        Index into `sides`, shape (n,), int32.
    ingress
        Whether the destination's policy is asked (else the source's), shape (n,), bool.
    protocol
        Code from `protocol_code`, shape (n,), int16.
    port
        Destination port, ICMP type for ICMP, -1 when not known, shape (n,), int32.
    """

    sides: tuple[Side, ...]
    subject: NDArray[np.int32]
    peer: NDArray[np.int32]
    ingress: NDArray[np.bool_]
    protocol: NDArray[np.int16]
    port: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together; every later index relies on it."""
        lengths = {len(c) for c in (self.subject, self.peer, self.ingress, self.protocol, self.port)}
        if len(lengths) != 1:
            raise BadInputError(f"the columns of an edge table have different lengths: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.subject)

    @classmethod
    def of_flows(cls, flows: Iterable[PolicyFlow]) -> "EdgeTable":
        """
        Columns of flows that each ask one direction.

        Raises
        ------
        BadInputError
            If a flow asks both directions or is a reply: such flows are no single gate.
        """
        sides: dict[Side, int] = {}
        rows: list[tuple[int, int, bool, int, int]] = []
        for flow in flows:
            if flow.direction is None or flow.reply:
                raise BadInputError("an edge asks one direction and is no reply")
            subject, peer = flow.subject(flow.direction), flow.peer(flow.direction)
            rows.append(
                (
                    sides.setdefault(subject, len(sides)),
                    sides.setdefault(peer, len(sides)),
                    flow.direction is Direction.INGRESS,
                    protocol_code(flow.protocol),
                    UNKNOWN_CODE if flow.port is None else flow.port,
                )
            )
        columns = list(zip(*rows, strict=True)) or [()] * 5
        return cls(
            tuple(sides),
            np.array(columns[0], dtype=np.int32),
            np.array(columns[1], dtype=np.int32),
            np.array(columns[2], dtype=np.bool_),
            np.array(columns[3], dtype=np.int16),
            np.array(columns[4], dtype=np.int32),
        )
