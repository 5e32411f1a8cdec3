"""
Where each fact stands in a flow, said once for both readers.

The fast reader hands DuckDB a nested type and takes members of it; the tolerant reader asks for
JSON paths in every spelling that re-encoding steps produce (protojson's camelCase, lower case).
Both give the same columns, which ``decode`` turns into records.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Kind of a member that is kept as JSON -> how such a text begins.
_AS_JSON: Final = {"OBJECT": r"^\s*\{", "OBJECTS": r"^\s*\[\s*[{\]]", "TEXTS": r'^\s*\[\s*["\]]'}


@dataclass(frozen=True, slots=True)
class Field:
    """One fact: its column, its path in the JSON and the type DuckDB should read it as."""

    name: str
    path: str
    kind: str = "VARCHAR"  # a type of DuckDB's; OBJECT, OBJECTS, TEXTS: as JSON; PRESENT: whether it is there

    @property
    def sql(self) -> str:
        """Type of the column."""
        return "BOOLEAN" if self.kind == "PRESENT" else "VARCHAR" if self.kind in _AS_JSON else self.kind


def _endpoint(prefix: str, path: str) -> list[Field]:
    return [
        Field(f"{prefix}_number", f"{path}.ID", "BIGINT"),
        Field(f"{prefix}_identity", f"{path}.identity", "BIGINT"),
        Field(f"{prefix}_cluster", f"{path}.cluster_name"),
        Field(f"{prefix}_namespace", f"{path}.namespace"),
        Field(f"{prefix}_labels", f"{path}.labels", "TEXTS"),
        Field(f"{prefix}_pod", f"{path}.pod_name"),
        Field(f"{prefix}_workloads", f"{path}.workloads", "OBJECTS"),
    ]


def _ports(protocol: str) -> list[Field]:
    return [
        Field(protocol.lower(), f"flow.l4.{protocol}", "PRESENT"),
        Field(f"{protocol.lower()}_src", f"flow.l4.{protocol}.source_port", "USMALLINT"),
        Field(f"{protocol.lower()}_dst", f"flow.l4.{protocol}.destination_port", "USMALLINT"),
    ]


FIELDS: Final = (
    Field("flow", "flow", "PRESENT"),
    Field("lost_events", "lost_events", "OBJECT"),
    Field("node_status", "node_status", "OBJECT"),
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
    Field("src_names", "flow.source_names", "TEXTS"),
    Field("dst_names", "flow.destination_names", "TEXTS"),
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
    Field("dns_ips", "flow.l7.dns.ips", "TEXTS"),
    Field("dns_ttl", "flow.l7.dns.ttl", "BIGINT"),
    Field("dns_cnames", "flow.l7.dns.cnames", "TEXTS"),
    Field("dns_rcode", "flow.l7.dns.rcode", "BIGINT"),
    Field("dns_qtypes", "flow.l7.dns.qtypes", "TEXTS"),
    Field("http", "flow.l7.http", "PRESENT"),
    Field("http_code", "flow.l7.http.code", "BIGINT"),
    Field("http_method", "flow.l7.http.method"),
    Field("http_url", "flow.l7.http.url"),
    Field("kafka", "flow.l7.kafka", "PRESENT"),
    Field("egress_allowed", "flow.egress_allowed_by", "OBJECTS"),
    Field("ingress_allowed", "flow.ingress_allowed_by", "OBJECTS"),
    Field("egress_denied", "flow.egress_denied_by", "OBJECTS"),
    Field("ingress_denied", "flow.ingress_denied_by", "OBJECTS"),
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
    *("flow.l4.TCP.flags", "flow.l7", "flow.l7.dns", "flow.l7.http"),
    *("flow.source_service", "flow.destination_service"),
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


def _tree(bare: bool, typed: bool = False) -> _Tree:
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
            at[parts[-1]] = field.sql if typed and field.kind != "PRESENT" else "VARCHAR"
    return root


def structure(*, bare: bool, typed: bool = False) -> str:
    """
    Nested type that ``json_transform`` takes out of wrapped lines or bare flows.

    Every value is text, so that what is none of its field shows, unless they are to be ``typed``.
    """
    return json.dumps(_tree(bare, typed))


def plain_select() -> str:
    """Members of the typed nested type of wrapped lines under the columns' names, without any check."""
    return ", ".join(
        f'{_value(field, path) if field.kind == "PRESENT" else path} AS "{field.name}"'
        for field, path in ((field, _quoted(field.path)) for field in FIELDS)
    )


def fast_select(doc: str, *, bare: bool) -> str:
    """
    Members of the nested type, taken from the text ``doc``, under the columns' names, and ``foreign_keys``.

    The latter sends the line to the tolerant reader: it has a strange key, or what may be no value.
    """
    items, odd = [], []
    for field in FIELDS:
        path = field.path
        if bare:
            if not path.startswith("flow."):
                absent = 'verdict IS NOT NULL OR "IP" IS NOT NULL' if path == "flow" else f"NULL::{field.sql}"
                items.append(f'{absent} AS "{field.name}"')
                continue
            path = path.removeprefix("flow.")
        items.append(f'{_value(field, _quoted(path))} AS "{field.name}"')
        odd += _no_value(field, _quoted(path))
    prefix = "" if bare else "flow."
    odd += [f'{prefix}"{key}" IS NOT NULL' for key in FOREIGN_KEYS]
    for name in OBJECTS:
        members: Any = _tree(bare)
        path = name.removeprefix("flow.") if bare else name
        for part in path.split("."):
            members = members[part]
        odd.append(_no_object(doc, path, members))
    said = ", false AS other_type"  # by the tolerant reader
    return ", ".join(items) + f", coalesce({' OR '.join(odd)}, false) AS foreign_keys{said}"


def _no_object(doc: str, path: str, members: Iterable[str]) -> str:
    """
    SQL: whether there is something else in the place of an object.

    The nested type then has an object without members there, as for an object that has none of them:
    only for those the text is parsed once more.
    """
    object_ = _quoted(path)
    bare = [f"{object_} IS NOT NULL", *(f'{object_}."{member}" IS NULL' for member in members)]
    there = f"json_type({doc}, '$.{object_}')"
    return f"CASE WHEN {' AND '.join(bare)} THEN {there} != 'OBJECT' ELSE false END"


def _value(field: Field, text: str) -> str:
    """SQL of the column out of the text of a member."""
    if field.kind == "PRESENT":
        return f"({text} IS NOT NULL)"
    return text if field.sql == "VARCHAR" else f"try_cast({text} AS {field.sql})"


def _no_value(field: Field, text: str) -> list[str]:
    """
    SQL: whether a text that is there cannot be the field; read as absent it would make another flow.

    Numbers and booleans as strings are values, lists as a string of JSON too, and an empty string is absent.
    A whole number may be written as 80.0 or 8e1, but 80.5 is none: cast, it would be 81. Text that begins
    like JSON may still be text, which only the document can tell.
    """
    match field.kind:
        case "PRESENT":
            return []
        case "VARCHAR":
            return [f"({text} ^@ '{{' OR {text} ^@ '[')"]
        case kind if kind in _AS_JSON:
            return [f"({text} != '' AND NOT regexp_matches({text}, '{_AS_JSON[kind]}'))"]
        case "BOOLEAN":
            return [f"({text} != '' AND try_cast({text} AS BOOLEAN) IS NULL)"]
        case kind:
            number = f"try_cast({text} AS {kind})"
            return [f"({text} != '' AND ({number} IS NULL OR {number} != try_cast({text} AS DOUBLE)))"]


def tolerant_paths() -> str:
    """List literal of every JSON path the tolerant reader asks for, in the order of ``tolerant_select``."""
    paths = [
        "$." + ".".join(f'"{part}"' for part in spelling.split("."))
        for field in FIELDS
        for spelling in spellings(field.path)
    ]
    return "[" + ", ".join(f"'{path}'" for path in paths) + "]"


def tolerant_select(values: str, doc: str) -> str:
    """The columns out of ``values``, the list that ``tolerant_paths`` extracted from the text ``doc``."""
    items, position = [], 0
    odd: list[str] = []
    texts: list[str] = []
    for field in FIELDS:
        count = len(spellings(field.path))
        found = ", ".join(f"{values}[{position + index + 1}]" for index in range(count))
        position += count
        text = f"coalesce({found})" if count > 1 else found
        items.append(f'{_value(field, text)} AS "{field.name}"')
        (texts if field.kind == "VARCHAR" else odd).extend(_no_value(field, text))
    names = [path for field in FIELDS if field.kind == "VARCHAR" for path in spellings(field.path)]
    none = f"CASE WHEN {' OR '.join(texts)} THEN {_any_of(doc, names, ('OBJECT', 'ARRAY'))} ELSE false END"
    objects = _any_of(doc, [path for name in OBJECTS for path in spellings(name)], _NO_OBJECTS)
    other = f"{objects} OR coalesce({' OR '.join(odd)}, false) OR {none}"
    return ", ".join(items) + f", false AS foreign_keys, {other} AS other_type"


def _any_of(doc: str, paths: Sequence[str], types: Sequence[str]) -> str:
    """SQL: whether what stands at one of these paths has one of these types of JSON."""
    listed = ", ".join(f"'$.{_quoted(path)}'" for path in paths)
    kinds = ", ".join(f"'{kind}'" for kind in types)
    return f"coalesce(TRY(list_has_any(json_type({doc}, [{listed}]), [{kinds}])), false)"
