"""
The DataFrames that cross from jobs into models: columns, dtypes, meaning.

``jobs.observations.fold`` produces them from the observation tables; ``models.synthesis`` and
everything after it reads nothing else. Rows are sorted by all key columns, so equal observations
give equal frames byte for byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.domain.window import Window
from models.errors import TooLittleEvidenceError

#: One row per (subject, direction, peer, protocol, port, day) of the window, oriented, names joined.
#: Only L3/L4 and its outcome; L7 methods and routes are in EDGE_ROUTES.
EDGE_DAYS: Final[dict[str, str]] = {
    "cluster": "str",
    "subject": "str",  # label-set key
    "direction": "str",  # egress | ingress
    "peer_kind": "str",  # endpoint | entity | ip | service | unresolved
    "peer": "str",  # label-set key | entity | address | namespace/name | address
    "peer_names": "str",  # DNS names this client knew the address by, sorted, joined by ","; "" none
    "names_from": "str",  # flow (Hubble said so) | lookup (joined within an answer's lifetime) | ""
    "protocol": "str",
    "port": "int32",  # -1 where the protocol has none
    "icmp_type": "int32",  # -1 unless ICMP
    "day": "str",  # YYYY-MM-DD, UTC
    "hour_bits": "int32",  # bit h: a flow in that hour of the day; those of several edges are united
    "flows": "int64",  # forwarded or redirected request records at either end (the larger of the two ends)
    "connections": "int64",
    "answered": "int64",  # reply records
    "reset": "int64",
    "audited": "int64",  # verdict AUDIT: works today, enforcement would deny it
    "denied": "int64",  # dropped by policy
    "l7_denied": "int64",  # refused by the L7 proxy (403, REFUSED); layer 4 was allowed
    "dropped": "int64",  # dropped for another reason; see drop_reasons
    "drop_reasons": "str",  # sorted, joined by ","
    "replies_visible": "bool",  # a reply of this edge would have been seen where it was seen
    "aggregated": "bool",  # only exporter-aggregated records: no address or name can be trusted
    "own_end": "bool",  # seen at the subject's own end (else derived from the other end)
    "first_us": "int64",
    "last_us": "int64",
    "samples": "str",  # up to three flow uuids, joined by ","
    "policies": "str",  # what Hubble said allowed or denied it, sorted, joined by ","
}

#: Distinct pods per edge of the window (all key columns of EDGE_DAYS except day), and the first and the last
#: of them by name ("" for none): edges of one cell may show the same pods or others.
EDGE_PODS: Final[dict[str, str]] = {
    "cluster": "str",
    "subject": "str",
    "direction": "str",
    "peer_kind": "str",
    "peer": "str",
    "protocol": "str",
    "port": "int32",
    "icmp_type": "int32",
    "subject_pods": "int32",
    "peer_pods": "int32",
    "subject_pod_min": "str",
    "subject_pod_max": "str",
    "peer_pod_min": "str",
    "peer_pod_max": "str",
}

#: HTTP methods and routes, DNS questions, per edge of the window.
EDGE_ROUTES: Final[dict[str, str]] = {
    "cluster": "str",
    "subject": "str",
    "direction": "str",
    "peer_kind": "str",
    "peer": "str",
    "protocol": "str",
    "port": "int32",
    "l7_kind": "str",
    "l7_method": "str",
    "l7_route": "str",
    "flows": "int64",
    "l7_denied": "int64",
    "days": "int32",
}

#: HTTP requests by day: what a list of methods and paths is learned from. No row where no proxy looked.
HTTP_DAYS: Final[dict[str, str]] = {
    "cluster": "str",
    "subject": "str",
    "direction": "str",
    "peer_kind": "str",
    "peer": "str",
    "protocol": "str",
    "port": "int32",
    "method": "str",
    "route": "str",  # path as requested, without its query; redacted where it held a secret
    "day": "str",
    "hours": "int64",  # bit h: a request in that hour of the day
    "flows": "int64",  # requests that the proxy let pass
    "l7_denied": "int64",
    "answered": "int64",  # responses
    "failed": "int64",  # of answered: status 400 or higher
}

#: Which owner had which labels when.
IDENTITIES: Final[dict[str, str]] = {
    "cluster": "str",
    "label_key": "str",
    "labels": "str",  # JSON array of sorted source-prefixed labels
    "namespace": "str",
    "entity": "str",  # reserved entity, "" for a pod
    "workload": "str",
    "workload_kind": "str",
    "first_us": "int64",
    "last_us": "int64",
}

#: Which pod had which labels: replicas, label flips, owners by pod name.
PODS: Final[dict[str, str]] = {
    "cluster": "str",
    "namespace": "str",
    "pod": "str",
    "label_key": "str",
    "workload": "str",
    "workload_kind": "str",
    "first_us": "int64",
    "last_us": "int64",
}

#: Answers by client and name over the window: what resolved, what did not.
LOOKUPS: Final[dict[str, str]] = {
    "cluster": "str",
    "subject": "str",
    "name": "str",
    "rcode": "int32",
    "lookups": "int64",
    "addresses": "int32",  # distinct
    "days": "int32",
    "first_us": "int64",  # of the answers
    "last_us": "int64",
}

#: How well each hour was observed, per cluster.
COVERAGE: Final[dict[str, str]] = {
    "cluster": "str",
    "day": "str",
    "hour": "int64",
    "nodes": "int32",  # nodes that delivered anything in that hour, and were not said to be unavailable in it
    "expected_nodes": "int32",  # nodes that were there in that hour, or said to be unavailable on that day
    "seconds": "int64",  # seconds listened, summed over nodes; of a node that delivers little all of the hour
    "flows": "int64",
    "replies": "int64",
    "lost_events": "int64",
    "rejects": "int64",
    "skipped": "int64",
}

#: Edges of the window that are in no EDGE_DAYS although they may have worked: what is at the other end, which
#: end began or on which port cannot be told, or no rule can say it. A policy may break them, so they are not
#: only counted.
ASIDE_EDGES: Final[dict[str, str]] = {
    "cluster": "str",
    # unresolved | service_without_known_pods | ambiguous_direction | reply_only | unsupported_protocol |
    # port_zero
    "reason": "str",
    "subject": "str",
    "direction": "str",
    "peer_kind": "str",
    "peer": "str",
    "protocol": "str",
    "port": "int32",
    "icmp_type": "int32",
    "flows": "int64",  # requests that no policy refused; of reply_only the replies
    "answered": "int64",
    "days": "int32",  # with any of these flows
    "first_us": "int64",
    "last_us": "int64",
}

#: What was set aside while reading the store, and why: nothing vanishes between store and proposal.
SET_ASIDE: Final[dict[str, str]] = {
    "cluster": "str",
    "reason": "str",  # ambiguous_direction, multicast, infrastructure_drop, traced, ...
    "flows": "int64",
    "edges": "int64",
}


def empty(columns: dict[str, str]) -> pd.DataFrame:
    """Frame without rows."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def changes(rows: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.bool_]:
    """
    Which rows differ from the row before them in any of the columns; shape (n_rows,), the first one does.

    Frames are sorted by their keys, so that what is equal stands together: there this is far cheaper than to
    group by them, and where it does not hold equal rows are merely found more than once.
    """
    differs = np.zeros(len(rows), dtype=np.bool_)
    differs[:1] = True
    for column in columns:
        values = rows[column].array
        differs[1:] |= np.asarray(values[1:] != values[:-1], dtype=np.bool_)
    return differs


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """
    Rows by column name, as ``to_dict("records")`` gives them.

    Five times as fast: a column at a time, for texts that leave a frame one by one are each looked up.
    """
    names = [str(name) for name in rows.columns]
    values = zip(*(rows[name].tolist() for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


@dataclass(frozen=True)
class Observations:
    """Everything the models know about one cluster in one window."""

    cluster: str
    window: Window
    edge_days: pd.DataFrame
    edge_pods: pd.DataFrame
    edge_routes: pd.DataFrame
    identities: pd.DataFrame
    pods: pd.DataFrame
    lookups: pd.DataFrame
    coverage: pd.DataFrame
    set_aside: pd.DataFrame
    http_days: pd.DataFrame = field(default_factory=lambda: empty(HTTP_DAYS))
    aside_edges: pd.DataFrame = field(default_factory=lambda: empty(ASIDE_EDGES))

    def with_flows(self) -> "Observations":
        """Itself; raises TooLittleEvidenceError where no flow lies in the window: silence answers nothing."""
        if not len(self.edge_days) and not len(self.set_aside):
            start, end = (f"{moment:%Y-%m-%d %H:%M}" for moment in (self.window.start, self.window.end))
            raise TooLittleEvidenceError(
                f"no flow of cluster {self.cluster} lies between {start} and {end} UTC"
            )
        return self
