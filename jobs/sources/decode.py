"""
From what a line holds to a record: names for numbers, microseconds for times, absent kept absent.

One projection serves the fast and the tolerant reader. It is DuckDB's SQL, because it runs once per
line over columns; nothing here looks at one record.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from jobs.sources import enums, redact
from jobs.sources.columns import FIELDS

#: Kinds of line. 0 is what this reader could not use; the tolerant reader then says why.
UNUSABLE, FLOW, LOST, NODE_STATUS, OTHER_EVENT = range(5)

#: Flows before Hubble existed, or in another century, come from a broken clock. Nanoseconds.
EARLIEST: Final = 1_420_070_400_000_000_000  # 2015-01-01
LATEST: Final = 4_102_444_800_000_000_000  # 2100-01-01
NO_TTL: Final = 4_294_967_295  # what Hubble writes when an answer held no record
MAX_WEIGHT: Final = 3 * 4_294_967_295  # three uint32 counts
MAX_IDENTITY: Final = 4_294_967_295


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def named(column: str, names: Sequence[str] | Mapping[int, str], unknown: str) -> str:
    """SQL that turns a name or a number in a text column into a known name, else ``unknown``."""
    pairs = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
    listed = ", ".join(_text(name) for name in pairs.values() if name)
    numbers = " ".join(f"WHEN {number} THEN {_text(name)}" for number, name in pairs.items())
    return (
        f"CASE WHEN {column} IS NULL THEN {_text(unknown)} WHEN {column} IN ({listed}) THEN {column}"
        f" WHEN upper({column}) IN ({listed}) THEN upper({column})"
        f" ELSE coalesce(CASE try_cast({column} AS INTEGER) {numbers} END, {_text(unknown)}) END"
    )


def nanoseconds(column: str) -> str:
    """
    SQL for nanoseconds since the epoch of an RFC 3339 time (any offset, 0 to 9 digits) or a number.

    DuckDB's cast to a timestamp ignores the offset, so a time that does not end in ``Z`` is moved by
    the difference to the cast that heeds it. A bare number is seconds, milli-, micro- or
    nanoseconds by its size.
    """
    plain = f"epoch_ns(try_cast({column} AS TIMESTAMP_NS))"
    offset = (
        f"(epoch_us(try_cast({column} AS TIMESTAMP)) - epoch_us(try_cast({column} AS TIMESTAMPTZ))) * 1000"
    )
    number = f"try_cast({column} AS DECIMAL(38, 9))"
    scaled = (
        f"CASE WHEN {number} < 1e11 THEN {number} * 1000000000 WHEN {number} < 1e14 THEN {number} * 1000000"
        f" WHEN {number} < 1e17 THEN {number} * 1000 ELSE {number} END"
    )
    return (
        f"CASE WHEN {column} IS NULL THEN NULL WHEN ends_with({column}, 'Z') THEN {plain}"
        f" WHEN regexp_full_match({column}, '[0-9]{{9,20}}(\\.[0-9]+)?')"
        f" THEN try_cast(trunc({scaled}) AS BIGINT)"
        f" WHEN regexp_full_match({column}, '.*[+-][0-9]{{2}}:?[0-9]{{2}}') THEN {plain} - {offset}"
        f" ELSE {plain} END"
    )


def _list(column: str) -> str:
    """JSON array of names as one sorted text; a name with a comma is no name."""
    items = f"json_extract_string(try_cast({column} AS JSON), '$[*]')"
    lowered = f"list_transform({items}, lambda item: rtrim(item, '.'))"
    kept = f"list_filter({lowered}, lambda item: item IS NOT NULL AND item != '' AND NOT contains(item, ','))"
    return (
        f"CASE WHEN {column} IS NULL THEN '' ELSE"
        f" coalesce(array_to_string(list_sort(list_distinct({kept})), ','), '') END"
    )


def _port(column: str) -> str:
    return f"CASE WHEN {column} BETWEEN 0 AND 65535 THEN {column}::INTEGER END"


def _bounded(column: str) -> str:
    return f"CASE WHEN {column} BETWEEN 0 AND {MAX_IDENTITY} THEN {column} ELSE 0 END"


def _int32(column: str) -> str:
    return f"coalesce(try_cast({column} AS INTEGER), 0)"


_PROTOCOLS: Final = (
    ("tcp", "TCP"), ("udp", "UDP"), ("sctp", "SCTP"), ("icmp4", "ICMPv4"), ("icmp6", "ICMPv6"),
    ("vrrp", "VRRP"), ("igmp", "IGMP"),
)  # fmt: skip
_ENDS: Final = ("src_ip", "dst_ip", "src_labels", "dst_labels", "src_namespace", "dst_namespace")

#: First step: column -> expression over the columns of ``columns.FIELDS``; some replace a raw column.
_BASE: Final = {
    "shape": f"""CASE WHEN flow THEN {FLOW} WHEN lost_events IS NOT NULL THEN {LOST}
        WHEN node_status IS NOT NULL THEN {NODE_STATUS} WHEN agent_event OR debug_event THEN {OTHER_EVENT}
        ELSE {UNUSABLE} END""",
    "node_name": "coalesce(nullif(inner_node, ''), outer_node, '')",
    "ns": nanoseconds("coalesce(inner_time, outer_time)"),
    "protocol": "CASE "
    + " ".join(f"WHEN {there} THEN '{name}'" for there, name in _PROTOCOLS)
    + " ELSE '' END",
    "src_port": _port("coalesce(tcp_src, udp_src, sctp_src)"),
    "dst_port": _port("coalesce(tcp_dst, udp_dst, sctp_dst)"),
    "icmp_type": f"CASE WHEN icmp4 OR icmp6 THEN {_int32('coalesce(icmp4_type, icmp6_type)')} END",
    "l7_kind": "CASE WHEN dns THEN 'dns' WHEN http THEN 'http' WHEN kafka THEN 'kafka' ELSE '' END",
    "l7_type": named("l7_type", enums.L7_TYPES, ""),
    "verdict": named("verdict", enums.VERDICTS, "VERDICT_UNKNOWN"),
    "has_verdict": "verdict IS NOT NULL",
    "drop_reason": "CASE WHEN drop_name IS NULL AND drop_code IS NULL THEN '' ELSE "
    + named("coalesce(drop_name, drop_code)", enums.DROP_REASONS, "DROP_REASON_UNKNOWN")
    + " END",
    "direction": named("direction", enums.DIRECTIONS, ""),
    "trace_point": named("trace_point", enums.TRACE_POINTS, ""),
    "trace_reason": named("trace_reason", enums.TRACE_REASONS, ""),
    "is_reply": "coalesce(is_reply, CASE WHEN reply THEN true END)",
    "src_id": _bounded("src_number"),
    "src_identity": _bounded("src_identity"),
    "dst_id": _bounded("dst_number"),
    "dst_identity": _bounded("dst_identity"),
    "has_ends": " OR ".join(f"{name} IS NOT NULL" for name in _ENDS)
    + " OR coalesce(src_identity, 0) > 0 OR coalesce(dst_identity, 0) > 0",
    "odd_l4": f"l4 AND NOT ({' OR '.join(there for there, _ in _PROTOCOLS)})",
}

_WEIGHT: Final = "coalesce(aggregate_in, 0) + coalesce(aggregate_out, 0) + coalesce(aggregate_unknown, 0)"
_TEXTS: Final = (
    "src_ip", "dst_ip", "src_cluster", "dst_cluster", "src_namespace", "dst_namespace",
    "src_pod", "dst_pod", "uuid",
)  # fmt: skip
_AS_THEY_ARE: Final = (
    "kind", "ns", "node", "node_cluster", "verdict", "drop_reason", "trace_point", "trace_reason",
    "direction", "is_reply", "protocol", "src_port", "dst_port", "icmp_type", "src_id", "src_identity",
    "dst_id", "dst_identity", "l7_kind", "l7_type", "dns_ips", "src_labels", "dst_labels", "src_workloads",
    "dst_workloads", "src_names", "dst_names",
)  # fmt: skip


def _either(policies: str) -> str:
    """Both lists of policies, one per line."""
    egress, ingress = f"egress_{policies}", f"ingress_{policies}"
    there = f"{egress} IS NOT NULL OR {ingress} IS NOT NULL"
    return f"CASE WHEN {there} THEN concat_ws(chr(10), {egress}, {ingress}) END"


def _service(side: str) -> str:
    name = f"{side}_service"
    return f"CASE WHEN {name} IS NULL THEN '' ELSE concat({name}_namespace, '/', {name}) END"


#: Last step: column of ``decoded`` -> expression.
_RECORD: Final = (
    {name: name for name in _AS_THEY_ARE}
    | {name: f"coalesce({name}, '')" for name in _TEXTS}
    | {flag: f"CASE WHEN flags THEN coalesce({flag}, false) END" for flag in ("syn", "ack", "rst", "fin")}
    | {
        "weight": f"CASE WHEN aggregate THEN greatest(1, least({MAX_WEIGHT}, {_WEIGHT})) ELSE 1 END",
        "aggregated": "aggregate",
        "event_type": _int32("event"),
        "event_sub_type": _int32("event_sub"),
        "src_service": _service("src"),
        "dst_service": _service("dst"),
        "dns_query": "coalesce(lower(rtrim(dns_query, '.')), '')",
        "dns_rcode": f"CASE WHEN l7_kind = 'dns' AND l7_type = 'RESPONSE' THEN {_int32('dns_rcode')} END",
        "dns_qtypes": _list("dns_qtypes"),
        "dns_ttl": f"CASE WHEN dns_ttl BETWEEN 0 AND {NO_TTL - 1} THEN dns_ttl END",
        "dns_cnames": _list("dns_cnames"),
        "http_method": "coalesce(upper(http_method), '')",
        "http_route": f"CASE WHEN http_url IS NULL THEN '' ELSE {redact.route('http_url')} END",
        "http_code": f"CASE WHEN l7_kind = 'http' AND l7_type = 'RESPONSE' THEN {_int32('http_code')} END",
        "allowed": _either("allowed"),
        "denied": _either("denied"),
        "notice": "coalesce(lost_events, node_status)",
    }
)
#: Long texts that repeat, and what each is: every row has their hashes, and only the first row of each the
#: text itself. What it is goes into the hash, for one text may be a list of labels here and of names there.
TEXTS: Final = {
    "src_labels": "labels",
    "dst_labels": "labels",
    "src_workloads": "workloads",
    "dst_workloads": "workloads",
    "src_names": "names",
    "dst_names": "names",
    "allowed": "policies",
    "denied": "policies",
}
#: Hashes of texts that were decoded before (see ``texts``).
KNOWN_TEXTS: Final = "known_texts"


def decode(raw: str, *, carry: str = "template, part", strict: bool = True) -> str:
    """
    SQL that turns ``raw`` (a query with the columns of ``columns.FIELDS`` and ``carry``) into records.

    ``raw`` also says whether there are ``foreign_keys``, and members of an ``other_type`` than Hubble's.

    ``kind`` is 0 and ``reason`` says why where the line is not usable as it stands; ``strict`` also
    refuses what another spelling of the keys could explain.
    """
    spelling = "foreign_keys OR odd_l4 OR other_type" if strict else "false"
    raw_names = {field.name for field in FIELDS}
    replaced = ", ".join(f"{sql} AS {name}" for name, sql in _BASE.items() if name in raw_names)
    added = ", ".join(f"{sql} AS {name}" for name, sql in _BASE.items() if name not in raw_names)
    record = ", ".join(f"{sql} AS {name}" for name, sql in _RECORD.items())
    hashed = ", ".join(
        f"CASE WHEN {text} IS NOT NULL THEN hash({text}, {_text(what)}) END AS {text}_hash"
        for text, what in TEXTS.items()
    )
    known = f"SELECT text_hash FROM {KNOWN_TEXTS}"
    news = " OR ".join(f"{text}_hash NOT IN ({known})" for text in TEXTS)
    return f"""
    SELECT * EXCLUDE ({", ".join(TEXTS)}), CASE WHEN {news} THEN [{", ".join(TEXTS)}] END AS texts
    FROM (SELECT *, {hashed} FROM (
     SELECT {carry}, {record} FROM (
      SELECT *, CASE WHEN reason = '' THEN shape ELSE {UNUSABLE} END AS kind
      FROM (
        SELECT *,
          CASE WHEN contains(node_name, '/') THEN split_part(node_name, '/', 1) ELSE '' END AS node_cluster,
          CASE WHEN contains(node_name, '/') THEN substr(node_name, strpos(node_name, '/') + 1)
               ELSE node_name END AS node,
          CASE WHEN shape = {UNUSABLE} THEN 'not a flow'
               WHEN {spelling} THEN 'other spelling'
               WHEN other_type THEN 'member of another type'
               WHEN shape = {OTHER_EVENT} THEN ''
               WHEN shape = {FLOW} AND NOT has_ends THEN 'no source and no destination'
               WHEN shape = {FLOW} AND NOT has_verdict THEN 'no verdict'
               WHEN ns IS NULL AND coalesce(inner_time, outer_time) IS NULL THEN 'no time'
               WHEN ns IS NULL THEN 'time not understood'
               WHEN ns NOT BETWEEN {EARLIEST} AND {LATEST} THEN 'time out of range'
               ELSE '' END AS reason
        FROM (SELECT * REPLACE ({replaced}), {added} FROM ({raw}))
      )
    )))"""
