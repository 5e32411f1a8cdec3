"""
Rows of edge-days as questions to the evaluator, column by column.

A million rows name a few thousand distinct ends; each of them becomes a side once, exactly as
`models.simulation.observed` makes it for replays.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.domain.agent import AgentConfig
from models.domain.policy import PolicySet
from models.learning.cells import group_codes
from models.simulation.compiled import DENY, UNKNOWN, CompiledPolicies
from models.simulation.context import Side
from models.simulation.edges import EdgeTable, protocol_code
from models.simulation.observed import ObservedFlows
from models.synthesis.edges import Edge
from models.synthesis.view import ClusterView

Ints = NDArray[np.int64]
Codes = NDArray[np.int8]

_PEER: Final = ("peer_kind", "peer", "peer_names")
_EMPTY: Final[dict[str, Any]] = dict.fromkeys(Edge._fields, 0) | {
    "subject": "",
    "direction": "egress",
    "protocol": "TCP",
    "port": 1,
    "icmp_type": -1,
    "aggregated": False,
    "own_end": True,
    "dns": False,
    **dict.fromkeys(("names_from", "drop_reasons", "samples", "policies"), ()),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """
    What policies say of rows, every array of shape (rows,).

    Parameters
    ----------
    verdict
        ``ALLOW``, ``DENY`` or ``UNKNOWN`` of `models.simulation.compiled`.
    entry
        Index of the deciding entry, -1 for none.
    closed
        Whether the subject's direction is closed by default: 0, 1, or 2 when that is not known.
    table
        The questions.
    """

    verdict: Codes
    entry: NDArray[np.int32]
    closed: Codes
    table: EdgeTable


def questions(rows: pd.DataFrame, view: ClusterView) -> EdgeTable:
    """
    The question that each row asks at its subject's gate.

    Parameters
    ----------
    rows
        EDGE_DAYS columns, or their distinct edges.
    view
        Whose workloads and labels are meant.
    """
    flows = ObservedFlows(view)
    sides: dict[Side, int] = {}

    def number(side: Side) -> int:
        return sides.setdefault(side, len(sides))

    subject_codes, subjects = pd.factorize(rows["subject"])
    own = np.array([number(Side(labels=flows.labels(str(key)))) for key in subjects], dtype=np.int32)
    peer_codes, peers = group_codes(rows, _PEER)
    far = np.array(
        [number(_peer(flows, *row)) for row in peers.itertuples(index=False, name=None)], dtype=np.int32
    )
    protocol_codes, protocols = pd.factorize(rows["protocol"])
    names = [
        flows.question(
            Edge(
                **_EMPTY
                | {"peer_kind": "entity", "peer": "world", "peer_pods": 0, "names": (), "protocol": str(name)}
            )
        ).protocol
        for name in protocols
    ]
    by_name = np.array([protocol_code(name) for name in names], dtype=np.int16)
    icmp = np.array([(name or "").startswith("ICMP") for name in names], dtype=np.bool_)
    port = rows["port"].to_numpy(dtype=np.int32)
    port = np.where(port > 0, port, -1)
    types = rows["icmp_type"].to_numpy(dtype=np.int32)
    if not len(rows):
        own, far, by_name, icmp = own[:0], far[:0], by_name[:0], icmp[:0]
    return EdgeTable(
        tuple(sides),
        own[subject_codes],
        far[peer_codes],
        (rows["direction"] == "ingress").to_numpy(dtype=np.bool_),
        by_name[protocol_codes],
        np.where(icmp[protocol_codes], types, port).astype(np.int32),
    )


def _peer(flows: ObservedFlows, kind: str, peer: str, names: str) -> Side:
    """
    The other end of a row.

    An address for which no name was recorded may have had one: where a policy admits names, whether it
    admits this address cannot be decided, and what cannot be decided is no alarm.
    """
    known = tuple(sorted({name for name in names.split(",") if name}))
    edge = Edge(**_EMPTY | {"peer_kind": kind, "peer": peer, "names": known, "peer_pods": 0})
    side = flows.question(edge).destination
    return replace(side, names=None) if kind == "ip" and side.ip is not None and not known else side


def judge(rows: pd.DataFrame, policies: PolicySet, view: ClusterView, config: AgentConfig) -> Judged:
    """
    Judge rows by one set of policies, on layers 3 and 4.

    Parameters
    ----------
    rows
        EDGE_DAYS columns.
    policies
        Parsed.
    view, config
        Of the cluster.
    """
    table = questions(rows, view)
    found = CompiledPolicies(policies, config).evaluate(table)
    return Judged(found.verdict, found.entry, found.default_deny, table)


def excused(
    rows: pd.DataFrame,
    now: Codes,
    earlier: "list[tuple[Ints, PolicySet]]",
    view: ClusterView,
    config: AgentConfig,
) -> Codes:
    """
    Verdicts with what was allowed in its own time taken out of what is denied now.

    Parameters
    ----------
    rows, now
        Rows and today's verdicts on them.
    earlier
        For every earlier set of policies, the rows that were seen under it.
    view, config
        Of the cluster.

    Returns
    -------
    ndarray of int8
        A row stays denied only if it was denied then too; what nobody can tell is unknown.
    """
    verdict = now.copy()
    for where, policies in earlier:
        denied = where[verdict[where] == DENY]
        if len(denied):
            then = judge(rows.iloc[denied], policies, view, config).verdict
            verdict[denied] = np.where(then == DENY, DENY, np.where(then == UNKNOWN, UNKNOWN, then))
    return verdict
