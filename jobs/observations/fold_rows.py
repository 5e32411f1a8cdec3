"""
The heavy half of folding: hourly partial rows to days, in the engine.

Rows of both ends of one edge stay apart until the last step: each end's records are counted for
themselves, and the larger count stands for the edge, for both ends see the same connections.
"""

from typing import Any, Final

import ibis

from jobs.observations.schema import EDGES, Table

#: What makes two hourly rows rows of one edge, before orientation and peers are resolved.
LINK: Final = (
    "subject",
    "direction",
    "peer_kind",
    "peer",
    "protocol",
    "port",
    "icmp_type",
    "oriented",
)
#: The same after resolution: the key of EDGE_DAYS without cluster and day.
EDGE: Final = LINK[:-1]

_SIDES: Final = ("subject", "peer")
#: Measure -> (measure of the table, verdict class, whether of layer 7, None for either).
_PARTS: Final[dict[str, tuple[str, str, bool | None]]] = {
    "forwarded": ("flows", "forwarded", False),
    "forwarded_l7": ("flows", "forwarded", True),
    "audited": ("flows", "audit", None),
    "denied_all": ("flows", "denied", None),
    "denied_verdicts": ("verdict_events", "denied", None),
    "l7_refused": ("flows", "l7_denied", None),
    "l7_refusals": ("answered", "l7_denied", None),
    "dropped": ("flows", "dropped", None),
}
#: Counted over all verdict classes.
_WHOLE: Final[dict[str, tuple[str, bool]]] = {
    "connections": ("connections", False),
    "answered": ("answered", False),
    "answered_l7": ("answered", True),
    "reset": ("reset", False),
    "reset_l7": ("reset", True),
}
MEASURES: Final = tuple(f"{name}_{side}" for side in _SIDES for name in (*_PARTS, *_WHOLE, "all"))


#: One row: the cluster and the stretch of hours that are folded. A table rather than literals, so that
#: the same SQL serves every fold, and no name of a cluster is ever part of it.
SPAN: Final = {
    "of_cluster": "string",
    "first_hour": "int64",
    "end_hour": "int64",
    "first_day": "string",
    "last_day": "string",
}


def within(table: Table, *, look_back_hours: int = 0, by_hour: bool = True, by_day: bool = True) -> Any:
    """Rows of the engine's view of a table that lie in the span."""
    rows = ibis.table(table.columns, name=table.name)
    span = ibis.table(SPAN, name="span")
    bounds = [rows.cluster == span.of_cluster]
    if by_hour:
        bounds += [rows.hour >= span.first_hour - look_back_hours, rows.hour < span.end_hour]
    elif by_day:
        bounds += [rows.day >= span.first_day, rows.day <= span.last_day]
    return rows.join(span, bounds).select(*table.columns)


def hourly(rows: Any) -> Any:
    """One row per link and hour, each measure counted per end."""
    zero = ibis.literal(0, "int64")
    layer7 = rows.l7_kind != ""
    measures = {}
    for side in _SIDES:
        here = rows.side == side
        for name, (source, verdict, of_l7) in _PARTS.items():
            wanted = here & (rows.verdict == verdict)
            if of_l7 is not None:
                wanted = wanted & (layer7 if of_l7 else ~layer7)
            measures[f"{name}_{side}"] = ibis.ifelse(wanted, rows[source], zero).sum()
        for name, (source, of_l7) in _WHOLE.items():
            wanted = here & (layer7 if of_l7 else ~layer7)
            measures[f"{name}_{side}"] = ibis.ifelse(wanted, rows[source], zero).sum()
        measures[f"all_{side}"] = ibis.ifelse(here, rows.flows, zero).sum()
    return rows.group_by("day", "hour", *LINK).agg(
        **{name: value.cast("int64") for name, value in measures.items()},
        trace_events=rows.trace_events.sum().cast("int64"),
        exact=ibis.ifelse(rows.aggregated, zero, rows.flows).sum().cast("int64"),
        first_us=rows.first_us.min(),
        last_us=rows.last_us.max(),
        client_port_min=rows.client_port_min.min(),
        client_port_max=rows.client_port_max.max(),
        sample=rows["sample"].min(),
    )


def links(hour_rows: Any) -> Any:
    """One row per link of the window: what orientation is decided on."""
    h = hour_rows
    return h.group_by(*LINK).agg(
        flows=ibis.greatest(h.all_subject.sum(), h.all_peer.sum()).cast("int64"),
        connections=ibis.greatest(h.connections_subject.sum(), h.connections_peer.sum()).cast("int64"),
        answered=ibis.greatest(h.answered_subject.sum(), h.answered_peer.sum()).cast("int64"),
        client_port_min=h.client_port_min.min(),
        client_port_max=h.client_port_max.max(),
        first_us=h.first_us.min(),
        last_us=h.last_us.max(),
    )


def resolved(rows: Any) -> Any:
    """
    Rows with the edge they belong to, or ``aside`` with the reason why they belong to none.

    ``peer_changes`` holds addresses that are something else on a day; ``link_changes`` what became of
    single links. Both hold exceptions only, so that the joins stay small.
    """
    text, number = "string", "int32"
    p = ibis.table(
        {"p_day": text, "p_kind": text, "p_peer": text, "to_kind": text, "to_peer": text, "p_aside": text},
        name="peer_changes",
    )
    c = ibis.table(
        {f"c_{name}": kind for name, kind in EDGES.keys.items() if name in LINK}
        | {"turned": "boolean", "c_to_kind": text, "c_to_peer": text, "to_port": number, "c_aside": text},
        name="link_changes",
    )
    rows = rows.left_join(p, (rows.day == p.p_day) & (rows.peer_kind == p.p_kind) & (rows.peer == p.p_peer))
    rows = rows.left_join(c, [rows[name] == c[f"c_{name}"] for name in LINK])
    turned = rows.turned.fill_null(False)
    opposite = ibis.ifelse(rows.direction == "egress", "ingress", "egress")
    kept = [name for name in rows.columns if not name.startswith(("p_", "c_", "to_")) and name not in LINK]
    return rows.select(
        *(name for name in kept if name != "turned"),
        "subject",
        "protocol",
        "icmp_type",
        "oriented",
        turned=turned,
        direction=ibis.ifelse(turned, opposite, rows.direction),
        peer_kind=ibis.coalesce(rows.c_to_kind, rows.to_kind, rows.peer_kind),
        peer=ibis.coalesce(rows.c_to_peer, rows.to_peer, rows.peer),
        port=ibis.coalesce(rows.to_port, rows.port),
        aside=ibis.coalesce(rows.c_aside, rows.p_aside, ""),
    )


def days(resolved_rows: Any) -> Any:
    """One row per edge and day: replies that were taken for requests count as answers."""
    r = resolved_rows.filter(resolved_rows.aside == "")
    zero, never, nobody = ibis.literal(0, "int64"), ibis.null("int64"), ibis.null("string")
    requests = {
        name: ibis.ifelse(r.turned, zero, r[name])
        for name in (*MEASURES, "trace_events", "exact")
        if not name.startswith(("answered", "reset"))
    }
    answers = {
        f"answered_{side}": ibis.ifelse(r.turned, r[f"all_{side}"], r[f"answered_{side}"]) for side in _SIDES
    }
    allowed = sum(
        (r[f"{name}_{side}"] for side in _SIDES for name in ("forwarded", "forwarded_l7", "audited")), zero
    )
    any_request = r.all_subject + r.all_peer
    hour = ibis.null("int64")
    r = r.mutate(
        **requests,
        **answers,
        first_us=ibis.ifelse(r.turned, never, r.first_us),
        last_us=ibis.ifelse(r.turned, never, r.last_us),
        sample=ibis.ifelse(r.turned, nobody, r["sample"]),
        allowed_hour=ibis.ifelse(~r.turned & (allowed > 0), r.hour, hour),
        request_hour=ibis.ifelse(~r.turned & (any_request > 0), r.hour, hour),
    )
    return r.group_by("day", *EDGE).agg(
        **{name: r[name].sum().cast("int64") for name in (*MEASURES, "trace_events", "exact")},
        allowed_hours=r.allowed_hour.nunique(),
        request_hours=r.request_hour.nunique(),
        first_us=r.first_us.min(),
        last_us=r.last_us.max(),
        sample_low=r["sample"].min(),
        sample_high=r["sample"].max(),
    )


def left_out(resolved_rows: Any) -> Any:
    """What was set aside, per reason and link: the flows of whichever end saw more."""
    r = resolved_rows.filter((resolved_rows.aside != "") | resolved_rows.turned)
    return r.group_by("aside", "turned", *EDGE, "oriented").agg(
        flows=ibis.greatest(r.all_subject.sum(), r.all_peer.sum()).cast("int64")
    )


def words(rows: Any, column: str) -> Any:
    """Distinct non-empty texts of one column per link and day."""
    return rows.filter(rows[column] != "").select("day", *LINK, text=rows[column]).distinct()
