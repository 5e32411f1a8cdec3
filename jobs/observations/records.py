"""
The flat record: what every source hands over, whatever it read.

Most records differ from another only in their time, uuid and ports. So they are handed over as two
tables: ``templates`` holds what they have in common, once, and ``taken`` the own values of each record with
the number of its template. A source may give every record a template of its own.

A source removes envelopes, spells enums as names and times as microseconds, and keeps everything
else as it was seen: it orients nothing and decides nothing. The expressions in ``normalise`` and
``aggregate`` start from these columns, on any engine. *Absent* stays apart from *false*: a column
is NULL only where its comment says so, otherwise the empty string stands for "not in the record".

Field meanings follow Cilium's ``flow.proto``.
"""

from typing import Final

#: Column name -> Ibis type of one accepted Hubble flow record.
RECORDS: Final[dict[str, str]] = {
    "cluster": "string",  # --cluster, else the flow's own cluster, else "default"
    "source": "string",  # which source delivered it: "file", "relay:<name>", ...
    "node": "string",  # node_name without the cluster prefix
    "time_us": "int64",  # microseconds since the epoch, UTC
    "uuid": "string",
    "weight": "int64",  # flows this record stands for: 1, or the sum of the exporter's aggregate counts
    "aggregated": "boolean",  # exporter-aggregated or stored-log record: only its key fields are true of all
    "verdict": "string",  # FORWARDED DROPPED ERROR AUDIT REDIRECTED TRACED TRANSLATED VERDICT_UNKNOWN
    "drop_reason": "string",  # DropReason name, from drop_reason_desc or the old number
    "event_type": "int32",  # 1 drop, 4 trace, 5 policy verdict, 7 socket, 129 L7; 0 not in the record
    "event_sub_type": "int32",
    "trace_point": "string",  # TO_ENDPOINT, TO_OVERLAY, ...
    "trace_reason": "string",  # NEW, ESTABLISHED, REPLY, ...
    "direction": "string",  # EGRESS, INGRESS, "" unknown
    "is_reply": "boolean",  # NULL unknown
    "src_ip": "string",
    "dst_ip": "string",
    "protocol": "string",  # TCP UDP SCTP ICMPv4 ICMPv6 VRRP IGMP; "" none in the record
    "src_port": "int32",  # NULL not in the record
    "dst_port": "int32",  # NULL not in the record
    "icmp_type": "int32",  # NULL unless ICMP
    "syn": "boolean",  # NULL when the record has no TCP flags at all
    "ack": "boolean",
    "rst": "boolean",
    "fin": "boolean",
    "src_id": "int64",  # endpoint id; non-zero only on the reporting node
    "src_identity": "int64",
    "src_cluster": "string",
    "src_namespace": "string",
    "src_key": "string",  # label-set key (see label_sets); "" when there are no labels
    "src_pod": "string",
    "src_workload": "string",
    "src_workload_kind": "string",
    "dst_id": "int64",
    "dst_identity": "int64",
    "dst_cluster": "string",
    "dst_namespace": "string",
    "dst_key": "string",
    "dst_pod": "string",
    "dst_workload": "string",
    "dst_workload_kind": "string",
    "src_names": "string",  # DNS names of the source: lower-case, no trailing dot, sorted, joined by ","
    "dst_names": "string",
    "src_service": "string",  # "namespace/name"
    "dst_service": "string",
    "l7_kind": "string",  # dns, http, kafka, ""
    "l7_type": "string",  # REQUEST, RESPONSE, SAMPLE, ""
    "dns_query": "string",  # lower-case, no trailing dot
    "dns_rcode": "int32",  # NULL unless a DNS response
    "dns_qtypes": "string",  # sorted, joined by ","
    "dns_ttl": "int64",  # seconds; NULL when absent or the all-ones "no TTL"
    "dns_cnames": "string",
    "http_method": "string",
    "http_route": "string",  # path only: no query, no fragment, no host; tokens redacted
    "http_code": "int32",  # NULL unless an HTTP response
    "allowed_by": "string",  # policies, "Kind/namespace/name", sorted, joined by ","
    "denied_by": "string",
}

#: What each record has of its own; the columns of the table ``taken`` beside the template's number.
OWN: Final = ("time_us", "uuid", "src_port", "dst_port")

TEMPLATES: Final[dict[str, str]] = {"template": "int64"} | {
    name: kind for name, kind in RECORDS.items() if name not in OWN
}
TAKEN: Final[dict[str, str]] = {"template": "int64"} | {name: RECORDS[name] for name in OWN}

#: One row per address in a DNS answer: the list of a response record, unfolded by the source.
ANSWERS: Final[dict[str, str]] = {
    "cluster": "string",
    "node": "string",
    "time_us": "int64",
    "client_key": "string",  # label-set key of the asking pod (the destination of the response)
    "client_namespace": "string",
    "client_pod": "string",
    "dns_query": "string",
    "ip": "string",
    "dns_ttl": "int64",  # seconds; NULL unknown
}

#: One row per distinct label set in the batch.
LABEL_SETS: Final[dict[str, str]] = {
    "label_key": "string",
    "labels": "string",  # JSON array of the sorted, source-prefixed labels
    "namespace": "string",  # from k8s:io.kubernetes.pod.namespace, else ""
    "cluster_label": "string",  # from k8s:io.cilium.k8s.policy.cluster, else ""
    "entity": "string",  # reserved entity by precedence, "" for an ordinary pod (see labels.entity_of)
}

#: Coverage facts that are not flows: one row per event, or per file for rejects and skips.
NOTICES: Final[dict[str, str]] = {
    "cluster": "string",
    "source": "string",
    "node": "string",
    "time_us": "int64",
    "kind": "string",  # lost | node_unavailable | rejected | skipped
    "reason": "string",  # LostEventSource, node state, reject or skip reason
    "count": "int64",
}
