"""
The observation tables: columns, keys and which measures may be added up.

Every batch appends partial rows; rows with the same key are merged by the functions named here,
at compaction and at every read, so the number and the order of batches never show in a result.
All times are microseconds since the epoch, UTC; ``hour`` counts hours since the epoch; ``day`` is
``YYYY-MM-DD`` and the partition column. Ibis types.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pyarrow as pa

#: Raised whenever a column, or the meaning of one, changes: a store of another layout is refused.
VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Table:
    """One Delta table: key columns, and measures with the function that merges them."""

    name: str
    keys: dict[str, str]
    sums: tuple[str, ...] = ()
    minima: dict[str, str] = None  # type: ignore[assignment]  # replaced in __post_init__
    maxima: dict[str, str] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Give the mappings their empty default without sharing one object."""
        object.__setattr__(self, "minima", self.minima or {})
        object.__setattr__(self, "maxima", self.maxima or {})

    @property
    def columns(self) -> dict[str, str]:
        """Every column with its Ibis type, keys first."""
        return self.keys | dict.fromkeys(self.sums, "int64") | self.minima | self.maxima


# The end of an edge that is not the subject. ``peer`` holds, by ``peer_kind``:
#   endpoint    label-set key of a pod
#   entity      host, remote-node, kube-apiserver, ingress, health, init, unmanaged, world
#               (world only where the record has no usable address)
#   ip          address outside the cluster as text (world, CIDR and FQDN identities)
#   service     "namespace/name": a service address before translation
#   unresolved  the address, or "" : nothing says what it is
_PEER: Final = {"peer_kind": "string", "peer": "string", "peer_names": "string"}

_EDGE: Final = {
    "cluster": "string",
    "subject": "string",  # label-set key of the selected pod
    "direction": "string",  # egress | ingress, of the connection, seen from the subject
    **_PEER,
    "protocol": "string",
    "port": "int32",  # server port; -1 where the protocol has none
    "icmp_type": "int32",  # -1 unless ICMP
}

EDGES: Final = Table(
    "edges",
    keys={
        "day": "string",
        "hour": "int64",
        **_EDGE,
        "side": "string",  # subject: seen at the subject's end; peer: only at the other end
        "oriented": "string",  # known | unknown (is_reply and flags were absent: resolved at read)
        "service": "string",  # "namespace/name" that the record gave for the server, if any
        "l7_kind": "string",
        "l7_method": "string",  # HTTP method, DNS question types
        "l7_route": "string",  # HTTP path, DNS name (of the asking side only)
        "verdict": "string",  # forwarded audit denied l7_denied dropped (classes, see normalise)
        "drop_reason": "string",
        "policies": "string",  # allowed_by or denied_by, as in the record
        "aggregated": "boolean",
    },
    sums=(
        "flows",  # request records, by weight
        "connections",  # records that open one: SYN, trace reason NEW, or a policy verdict
        "answered",  # reply records folded into this edge
        "reset",  # of answered: a RST without SYN, an HTTP error, a DNS answer other than NOERROR
        "verdict_events",  # of flows: event type 5, whose stream shows no replies
        "trace_events",  # of flows: event type 4, whose stream shows replies
    ),
    # Times, client ports and samples are those of requests: a row of replies only has none of them.
    minima={
        "first_us": "int64",
        "client_port_min": "int32",
        "sample": "string",  # the smallest uuid: any other choice would depend on how batches were cut
    },
    maxima={"last_us": "int64", "client_port_max": "int32"},
)

EDGE_PODS: Final = Table(
    "edge_pods",
    keys={"day": "string", **_EDGE, "subject_pod": "string", "peer_pod": "string"},
    sums=("flows",),
)

IDENTITIES: Final = Table(
    "identities",
    keys={
        "day": "string",
        "cluster": "string",
        "label_key": "string",
        "labels": "string",
        "namespace": "string",
        "entity": "string",
        "workload": "string",  # "" where no record named the owner
        "workload_kind": "string",
    },
    sums=("flows",),
    minima={"first_us": "int64", "identity_min": "int64"},
    maxima={"last_us": "int64", "identity_max": "int64"},
)

#: Which pod (or node, or service) had which address and labels: pod names resolve owners and label
#: flips, addresses resolve peers that a late identity showed as world. A service's own address has
#: ``workload_kind`` "Service" and no label key.
ENDPOINTS: Final = Table(
    "endpoints",
    keys={
        "day": "string",
        "cluster": "string",
        "ip": "string",
        "label_key": "string",
        "namespace": "string",
        "pod": "string",
        "workload": "string",
        "workload_kind": "string",
    },
    sums=("flows",),
    minima={"first_us": "int64"},
    maxima={"last_us": "int64"},
)

LOOKUPS: Final = Table(
    "lookups",
    keys={
        "day": "string",
        "hour": "int64",
        "cluster": "string",
        "subject": "string",  # label-set key of the asking pod
        "name": "string",
        "qtypes": "string",
        "rcode": "int32",
        # "" counts the answers themselves, with their question; one more row per address that
        # they held, without qtypes and cnames, says from when to when the name led there.
        "ip": "string",
        "cnames": "string",
    },
    sums=("lookups",),
    minima={"first_us": "int64", "ttl_min": "int64"},
    maxima={"last_us": "int64", "ttl_max": "int64"},
)

#: Begins the reason of coverage rows that count records which are no edge.
ASIDE_PREFIX: Final = "aside_"
#: Begins the reason of coverage rows that say a node could not be reached.
NODE_UNAVAILABLE: Final = "node_unavailable"

COVERAGE: Final = Table(
    "coverage",
    keys={
        "day": "string",
        "hour": "int64",
        "cluster": "string",
        "source": "string",
        "node": "string",
        "reason": "string",
    },
    # ``reason`` is "" for all that a node delivered in an hour; loss, rejects and skips have rows of
    # their own. So have records that are no edge: "aside_<why>" repeats their flows.
    sums=("flows", "records", "replies", "lost_events", "rejects", "skipped"),
    minima={"first_us": "int64"},
    maxima={"last_us": "int64"}
    # one flag per five minutes: seconds listened = 300 x their sum, whatever the batches were
    | {f"m{minute:02d}": "int8" for minute in range(0, 60, 5)},
)

#: Fingerprints of records already counted; ``fingerprint`` of (node, uuid), ``content`` of what a
#: copy without a uuid would still show.
LEDGER: Final = Table(
    "ledger",
    keys={
        "day": "string",
        "hour": "int64",
        "cluster": "string",
        "fingerprint": "int64",
        "content": "int64",
        "has_uuid": "boolean",
    },
)

#: The durable cursor: which stretch of which content each batch consumed.
BATCHES: Final = Table(
    "batches",
    keys={
        "day": "string",
        "batch": "int64",
        "source": "string",
        "path": "string",
        "head_bytes": "int64",
        "head_hash": "string",
        "start": "int64",  # offsets into the decompressed content
        "end": "int64",
        "tail_hash": "string",
    },
    sums=("records", "accepted", "skipped", "rejected", "duplicates", "lost_events"),
)

TABLES: Final = (EDGES, EDGE_PODS, IDENTITIES, ENDPOINTS, LOOKUPS, COVERAGE, LEDGER, BATCHES)

BY_NAME: Final = {table.name: table for table in TABLES}

_ARROW: Final = {
    "string": pa.string(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "boolean": pa.bool_(),
}


@cache
def arrow_schema(table: str) -> Any:
    """Arrow schema of an observation table."""
    return pa.schema([(name, _ARROW[kind]) for name, kind in BY_NAME[table].columns.items()])
