"""
What a record says, before anything is counted: which way it went, where it was seen, what became of it.

None of it depends on the record's time, uuid or port numbers, so it is said once per template. The
order of the branches is the meaning:

- A packet's own TCP flags say who opened the connection, whatever ``is_reply`` claims (some Cilium
  versions report replies as new connections); exporter-aggregated records are the exception, for
  their flags are those of the first packet of the group.
- ``is_reply`` decides next; absent is not false. A policy verdict is never emitted for a reply.
- What is left is ``unknown`` and kept as seen, to be resolved at read time with all that the window knows.
- The end where a record was seen is the end whose endpoint id is set (ids are local to the
  reporting node); with both or none, the direction tells. For a drop that is the direction of the
  packet, for everything else that of the connection.
"""

from typing import Any, Final

import ibis

from jobs.observations.records import TEMPLATES

#: Which way the packet went, as a narrow grouping key.
FORWARD, REPLY, UNKNOWN = 0, 1, 2

#: Which port of a record is the server's.
NO_PORT, SOURCE_PORT, TARGET_PORT = 0, 1, 2

#: What became of the packet. From ASIDE on it is no edge, and counted in coverage under its name.
CLASSES: Final = {0: "forwarded", 1: "audit", 2: "denied", 3: "l7_denied", 4: "dropped"}
ASIDE: Final = 10
ASIDES: Final = {10: "traced", 11: "error", 12: "no_verdict", 13: "network_hop", 14: "debug"}
_CODES: Final = {name: code for code, name in (CLASSES | ASIDES).items()}

DROP_EVENT, TRACE_EVENT, VERDICT_EVENT, SOCKET_EVENT, L7_EVENT = 1, 4, 5, 7, 129
_DEBUG_EVENTS: Final = (2, 3, 130)
_POLICY_DROPS: Final = ("POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED")
_WITH_PORTS: Final = ("TCP", "UDP", "SCTP")
_ICMP: Final = ("ICMPv4", "ICMPv6")
#: Points where Cilium knows neither endpoint nor connection: the same packet shows again at an endpoint.
_NETWORK_POINTS: Final = (
    "TO_OVERLAY",
    "FROM_OVERLAY",
    "TO_NETWORK",
    "FROM_NETWORK",
    "TO_CRYPTO",
    "FROM_CRYPTO",
)
#: ICMP answers and the request that each belongs to.
_ICMP_ANSWERS: Final = {("ICMPv4", 0): 8, ("ICMPv4", 14): 13, ("ICMPv4", 16): 15, ("ICMPv6", 129): 128}
_ICMP_QUESTIONS: Final = {("ICMPv4", 8), ("ICMPv4", 13), ("ICMPv6", 128)}


def _code(number: int) -> Any:
    return ibis.literal(number, "int8")


def _flag(condition: Any) -> Any:
    """1 where the condition holds, else 0: absent counts as no."""
    return ibis.cases((condition, ibis.literal(1, "int64")), else_=ibis.literal(0, "int64"))


def _icmp_is(r: Any, kinds: Any) -> Any:
    conditions = [(r.protocol == protocol) & (r.icmp_type == kind) for protocol, kind in sorted(kinds)]
    found = conditions[0]
    for condition in conditions[1:]:
        found = found | condition
    return found


def turn_of(r: Any) -> Any:
    """FORWARD, REPLY or UNKNOWN for each record (see the module's order of evidence)."""
    own_packet = ~r.aggregated & (r.protocol == "TCP") & r.syn
    return ibis.cases(
        (own_packet & ~r.ack, _code(FORWARD)),
        (own_packet & r.ack, _code(REPLY)),
        (_icmp_is(r, _ICMP_ANSWERS), _code(REPLY)),
        (_icmp_is(r, _ICMP_QUESTIONS), _code(FORWARD)),
        (r.is_reply, _code(REPLY)),
        (~r.is_reply, _code(FORWARD)),
        (r.event_type == VERDICT_EVENT, _code(FORWARD)),
        (r.l7_type == "REQUEST", _code(FORWARD)),
        (r.l7_type == "RESPONSE", _code(REPLY)),
        (r.trace_reason == "REPLY", _code(REPLY)),
        ((r.trace_reason == "NEW") | (r.trace_reason == "ESTABLISHED"), _code(FORWARD)),
        else_=_code(UNKNOWN),
    )


def class_of(r: Any) -> Any:
    """Verdict class of each record, or the reason why it is no edge, as a code of CLASSES or ASIDES."""
    nowhere = (r.direction == "") & r.is_reply.isnull()
    return ibis.cases(
        (r.event_type.isin(_DEBUG_EVENTS), _code(_CODES["debug"])),
        (
            (r.event_type == SOCKET_EVENT) | r.verdict.isin(("TRACED", "TRANSLATED")),
            _code(_CODES["traced"]),
        ),
        (
            (r.event_type == TRACE_EVENT) & r.trace_point.isin(_NETWORK_POINTS) & nowhere,
            _code(_CODES["network_hop"]),
        ),
        (r.verdict.isin(("FORWARDED", "REDIRECTED")), _code(_CODES["forwarded"])),
        (r.verdict == "AUDIT", _code(_CODES["audit"])),
        ((r.verdict == "DROPPED") & (r.l7_kind != ""), _code(_CODES["l7_denied"])),
        ((r.verdict == "DROPPED") & r.drop_reason.isin(_POLICY_DROPS), _code(_CODES["denied"])),
        (r.verdict == "DROPPED", _code(_CODES["dropped"])),
        (r.verdict == "ERROR", _code(_CODES["error"])),
        else_=_code(_CODES["no_verdict"]),
    )


def seen_at_source(r: Any) -> Any:
    """Whether the record was taken at the packet's source (else at its destination)."""
    packet_direction = r.event_type == DROP_EVENT
    client_end = ibis.cases((r.turn == REPLY, False), else_=True)  # the source is the client of a request
    return ibis.cases(
        ((r.src_id != 0) & (r.dst_id == 0), True),
        ((r.dst_id != 0) & (r.src_id == 0), False),
        ((r.direction == "EGRESS") & packet_direction, True),
        ((r.direction == "INGRESS") & packet_direction, False),
        (r.direction == "INGRESS", ~client_end),
        else_=client_end,
    )


def _server_port(r: Any) -> Any:
    """Which port is the server's: the source of a reply, else the destination."""
    port = ibis.ifelse(r.turn == REPLY, _code(SOURCE_PORT), _code(TARGET_PORT))
    return ibis.cases((r.protocol.isin(_WITH_PORTS), port), else_=_code(NO_PORT))


def _request_type(r: Any) -> Any:
    answers = [
        ((r.protocol == protocol) & (r.icmp_type == kind), ibis.literal(request, "int32"))
        for (protocol, kind), request in sorted(_ICMP_ANSWERS.items())
    ]
    return ibis.cases(
        *answers, (r.protocol.isin(_ICMP), r.icmp_type.fill_null(-1)), else_=ibis.literal(-1, "int32")
    ).cast("int32")


def _opens(r: Any) -> Any:
    """Whether a record opens a connection: its SYN, or without flags what conntrack or the verdict says."""
    flags_known = (r.protocol == "TCP") & r.syn.notnull()
    return ibis.cases(
        (r.turn == REPLY, False),
        (flags_known, r.syn & ~r.ack),
        (r.event_type == VERDICT_EVENT, True),
        else_=r.trace_reason == "NEW",
    )


def _refuses(r: Any) -> Any:
    """Whether a reply refuses: a RST that is no handshake, an HTTP error, a DNS answer other than NOERROR."""
    return ibis.cases(
        (r.turn != REPLY, False),
        (r.l7_kind == "http", r.http_code >= 400),  # noqa: PLR2004 - RFC 9110: 4xx and 5xx are errors
        (r.l7_kind == "dns", r.dns_rcode != 0),
        else_=r.rst & ~r.syn,
    )


def normalise(templates: Any = None) -> Any:
    """Templates with their orientation, class and place, and the columns that grouping needs."""
    r = ibis.table(TEMPLATES, name="templates") if templates is None else templates
    r = r.mutate(turn=turn_of(r), verdict_class=class_of(r))
    r = r.mutate(at_source=seen_at_source(r), refuses=_flag(_refuses(r)))
    request = r.turn != REPLY
    denied = r.verdict == "DROPPED"
    return r.select(
        "template",
        "cluster",
        "source",
        "node",
        "turn",
        "verdict_class",
        "at_source",
        "aggregated",
        "protocol",
        "src_key",
        "src_pod",
        "src_ip",
        "dst_key",
        "dst_pod",
        "dst_ip",
        "l7_kind",
        "src_namespace",
        "src_workload",
        "src_workload_kind",
        "src_identity",
        "dst_namespace",
        "dst_workload",
        "dst_workload_kind",
        "dst_identity",
        "weight",
        server_port=_server_port(r),
        request=request,
        # An aggregated record shows the client port of its first flow only.
        shows_client_port=request & ~r.aggregated,
        is_answer=(r.l7_kind == "") & (r.is_reply | (r.syn & r.ack)),
        icmp_type=_request_type(r),
        l7_method=ibis.cases(
            (r.l7_kind == "http", r.http_method), (r.l7_kind == "dns", r.dns_qtypes), else_=""
        ),
        l7_route=ibis.cases((r.l7_kind == "http", r.http_route), (r.l7_kind == "dns", r.dns_query), else_=""),
        drop_reason=ibis.cases((denied, r.drop_reason), else_=""),
        policies=ibis.cases((denied, r.denied_by), else_=r.allowed_by),
        names=ibis.cases((request, r.dst_names), else_=""),
        service=ibis.cases((request, r.dst_service), else_=r.src_service),
        connections=_flag(_opens(r)) * r.weight,
        reset=r.refuses * r.weight,
        verdict_events=_flag(request & (r.event_type == VERDICT_EVENT)) * r.weight,
        trace_events=_flag(request & (r.event_type == TRACE_EVENT)) * r.weight,
    )
