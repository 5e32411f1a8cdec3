"""
Where each fact stands in a flow, said once for both readers.

The fast reader hands DuckDB a nested type and takes members of it; the tolerant reader asks for
JSON paths in every spelling that re-encoding steps produce (protojson's camelCase, lower case).
Both give the same columns, which ``decode`` turns into records.
"""

import json
import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Field:
    """One fact: its column, its path in the JSON and the type DuckDB should read it as."""

    name: str
    path: str
    kind: str = "VARCHAR"  # VARCHAR, BIGINT, BOOLEAN, or PRESENT: only whether it is there


def _endpoint(prefix: str, path: str) -> list[Field]:
    return [
        Field(f"{prefix}_number", f"{path}.ID", "BIGINT"),
        Field(f"{prefix}_identity", f"{path}.identity", "BIGINT"),
        Field(f"{prefix}_cluster", f"{path}.cluster_name"),
        Field(f"{prefix}_namespace", f"{path}.namespace"),
        Field(f"{prefix}_labels", f"{path}.labels"),
        Field(f"{prefix}_pod", f"{path}.pod_name"),
        Field(f"{prefix}_workloads", f"{path}.workloads"),
    ]


def _ports(protocol: str) -> list[Field]:
    return [
        Field(protocol.lower(), f"flow.l4.{protocol}", "PRESENT"),
        Field(f"{protocol.lower()}_src", f"flow.l4.{protocol}.source_port", "BIGINT"),
        Field(f"{protocol.lower()}_dst", f"flow.l4.{protocol}.destination_port", "BIGINT"),
    ]


FIELDS: Final = (
    Field("flow", "flow", "PRESENT"),
    Field("lost_events", "lost_events"),
    Field("node_status", "node_status"),
    Field("agent_event", "agent_event", "PRESENT"),
    Field("debug_event", "debug_event", "PRESENT"),
    Field("outer_node", "node_name"),
    Field("outer_time", "time"),
    Field("inner_node", "flow.node_name"),
    Field("inner_time", "flow.time"),
    Field("uuid", "flow.uuid"),
    Field("verdict", "flow.verdict"),
    Field("drop_code", "flow.drop_reason"),
    Field("drop_name", "flow.drop_reason_desc"),
    Field("src_ip", "flow.IP.source"),
    Field("dst_ip", "flow.IP.destination"),
    Field("l4", "flow.l4", "PRESENT"),
    *_ports("TCP"),
    *_ports("UDP"),
    *_ports("SCTP"),
    Field("flags", "flow.l4.TCP.flags", "PRESENT"),
    Field("syn", "flow.l4.TCP.flags.SYN", "BOOLEAN"),
    Field("ack", "flow.l4.TCP.flags.ACK", "BOOLEAN"),
    Field("rst", "flow.l4.TCP.flags.RST", "BOOLEAN"),
    Field("fin", "flow.l4.TCP.flags.FIN", "BOOLEAN"),
    Field("icmp4", "flow.l4.ICMPv4", "PRESENT"),
    Field("icmp4_type", "flow.l4.ICMPv4.type", "BIGINT"),
    Field("icmp6", "flow.l4.ICMPv6", "PRESENT"),
    Field("icmp6_type", "flow.l4.ICMPv6.type", "BIGINT"),
    Field("vrrp", "flow.l4.VRRP", "PRESENT"),
    Field("igmp", "flow.l4.IGMP", "PRESENT"),
    *_endpoint("src", "flow.source"),
    *_endpoint("dst", "flow.destination"),
    Field("src_names", "flow.source_names"),
    Field("dst_names", "flow.destination_names"),
    Field("src_service", "flow.source_service.name"),
    Field("src_service_namespace", "flow.source_service.namespace"),
    Field("dst_service", "flow.destination_service.name"),
    Field("dst_service_namespace", "flow.destination_service.namespace"),
    Field("event", "flow.event_type.type", "BIGINT"),
    Field("event_sub", "flow.event_type.sub_type", "BIGINT"),
    Field("direction", "flow.traffic_direction"),
    Field("trace_point", "flow.trace_observation_point"),
    Field("trace_reason", "flow.trace_reason"),
    Field("is_reply", "flow.is_reply", "BOOLEAN"),
    Field("reply", "flow.reply", "BOOLEAN"),
    Field("l7_type", "flow.l7.type"),
    Field("dns", "flow.l7.dns", "PRESENT"),
    Field("dns_query", "flow.l7.dns.query"),
    Field("dns_ips", "flow.l7.dns.ips"),
    Field("dns_ttl", "flow.l7.dns.ttl", "BIGINT"),
    Field("dns_cnames", "flow.l7.dns.cnames"),
    Field("dns_rcode", "flow.l7.dns.rcode", "BIGINT"),
    Field("dns_qtypes", "flow.l7.dns.qtypes"),
    Field("http", "flow.l7.http", "PRESENT"),
    Field("http_code", "flow.l7.http.code", "BIGINT"),
    Field("http_method", "flow.l7.http.method"),
    Field("http_url", "flow.l7.http.url"),
    Field("kafka", "flow.l7.kafka", "PRESENT"),
    Field("egress_allowed", "flow.egress_allowed_by"),
    Field("ingress_allowed", "flow.ingress_allowed_by"),
    Field("egress_denied", "flow.egress_denied_by"),
    Field("ingress_denied", "flow.ingress_denied_by"),
    Field("aggregate", "flow.aggregate", "PRESENT"),
    Field("aggregate_in", "flow.aggregate.ingress_flow_count", "BIGINT"),
    Field("aggregate_out", "flow.aggregate.egress_flow_count", "BIGINT"),
    Field("aggregate_unknown", "flow.aggregate.unknown_direction_flow_count", "BIGINT"),
)

#: Keys that only a re-encoded flow has: seeing one sends the line to the tolerant reader.
FOREIGN_KEYS: Final = (
    "isReply",
    "trafficDirection",
    "nodeName",
    "eventType",
    "sourceNames",
    "dropReasonDesc",
)

#: Members that are objects where they are there at all. Of another type they would read as absent, and the
#: flow as one without ports, without an end or without its layer 7: such a line is refused.
OBJECTS: Final = (
    *("flow.IP", "flow.source", "flow.destination", "flow.event_type", "flow.aggregate"),
    *("flow.l4", "flow.l4.TCP", "flow.l4.UDP", "flow.l4.SCTP", "flow.l4.ICMPv4", "flow.l4.ICMPv6"),
    *("flow.l7", "flow.l7.dns", "flow.l7.http"),
)
_NO_OBJECTS: Final = ("ARRAY", "VARCHAR", "BOOLEAN", "BIGINT", "UBIGINT", "HUGEINT", "DOUBLE")


def camel(path: str) -> str:
    """Spell a path as protojson's camelCase: ``flow.is_reply`` is ``flow.isReply``."""
    return re.sub(r"_([a-z])", lambda found: found.group(1).upper(), path)


def spellings(path: str) -> tuple[str, ...]:
    """Every spelling of a path that was met, the original first."""
    lower = ".".join(part.lower() for part in path.split("."))
    return tuple(dict.fromkeys((path, camel(path), lower, camel(lower))))


def _quoted(path: str) -> str:
    return ".".join(f'"{part}"' for part in path.split("."))


_Tree = dict[str, "_Tree | str"]


def _tree(bare: bool) -> _Tree:
    root: _Tree = {}
    foreign = [Field("", f"flow.{key}") for key in FOREIGN_KEYS]
    for field in (*FIELDS, *foreign):
        parts = field.path.split(".")
        if bare:
            if parts[0] != "flow":
                continue
            parts = parts[1:]
        at = root
        for part in parts[:-1]:
            inner = at.get(part)
            if not isinstance(inner, dict):
                inner = at[part] = {}
            at = inner
        if parts and parts[-1] not in at:
            at[parts[-1]] = "VARCHAR" if field.kind == "PRESENT" else field.kind
    return root


def structure(*, bare: bool) -> str:
    """Nested type that ``json_transform`` takes out of wrapped lines or bare flows."""
    return json.dumps(_tree(bare))


def fast_select(*, bare: bool) -> str:
    """Members of the nested type under the columns' names, and ``foreign``: a strange key was there."""
    items = []
    for field in FIELDS:
        path = field.path
        if bare:
            if not path.startswith("flow."):
                absent = (
                    'verdict IS NOT NULL OR "IP" IS NOT NULL'
                    if path == "flow"
                    else f"NULL::{_sql(field.kind)}"
                )
                items.append(f'{absent} AS "{field.name}"')
                continue
            path = path.removeprefix("flow.")
        value = f"({_quoted(path)} IS NOT NULL)" if field.kind == "PRESENT" else _quoted(path)
        items.append(f'{value} AS "{field.name}"')
    prefix = "" if bare else "flow."
    foreign = " OR ".join(f'{prefix}"{key}" IS NOT NULL' for key in FOREIGN_KEYS)
    return ", ".join(items) + f", ({foreign}) AS foreign_keys"


def _sql(kind: str) -> str:
    return "BOOLEAN" if kind == "PRESENT" else kind


def tolerant_paths() -> str:
    """List literal of every JSON path the tolerant reader asks for, in the order of ``tolerant_select``."""
    paths = [
        "$." + ".".join(f'"{part}"' for part in spelling.split("."))
        for field in FIELDS
        for spelling in spellings(field.path)
    ]
    return "[" + ", ".join(f"'{path}'" for path in paths) + "]"


def tolerant_select(values: str) -> str:
    """The columns out of ``values``, the list that ``tolerant_paths`` extracted."""
    items, position = [], 0
    for field in FIELDS:
        count = len(spellings(field.path))
        found = ", ".join(f"{values}[{position + index + 1}]" for index in range(count))
        position += count
        text = f"coalesce({found})" if count > 1 else found
        if field.kind == "PRESENT":
            value = f"({text} IS NOT NULL)"
        else:
            value = text if field.kind == "VARCHAR" else f"try_cast({text} AS {field.kind})"
        items.append(f'{value} AS "{field.name}"')
    return ", ".join(items) + ", false AS foreign_keys"


def other_type(doc: str, *, bare: bool = False, every_spelling: bool = False) -> str:
    """SQL: whether one of OBJECTS is something else in a JSON text; false where that is no JSON."""
    found = [path for name in OBJECTS for path in (spellings(name) if every_spelling else (name,))]
    listed = ", ".join(f"'$.{_quoted(path.removeprefix('flow.') if bare else path)}'" for path in found)
    others = ", ".join(f"'{kind}'" for kind in _NO_OBJECTS)
    return f"coalesce(TRY(list_has_any(json_type({doc}, [{listed}]), [{others}])), false)"
