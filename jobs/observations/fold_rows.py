"""
The heavy half of folding: partial rows of hours to edge-days, in the engine.

Rows of both ends of one edge stay apart until the last step: each end's records are counted for
themselves, and the larger count stands for the edge, for both ends see the same connections. The
first step runs day by day and keeps every sum in its own narrow row; what is joined, turned and
spread into columns afterwards is a small part of what was read.
"""

from typing import Any, Final

import ibis

from jobs.observations.clock import HOURS_PER_DAY
from jobs.observations.fold_keys import EDGE, LINK, SPAN
from jobs.observations.schema import EDGES, Table

_SIDES: Final = ("subject", "peer")
_SUMS: Final = ("flows", "connections", "answered", "reset", "verdict_events", "trace_events")
_ALLOWED: Final = ("forwarded", "audit")


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


def daily(rows: Any) -> Any:
    """One row per link, day, end, verdict class and layer; the hours as bits, to be united later."""
    zero = ibis.literal(0, "int64")
    hour_bit = ibis.literal(1, "int64") << (rows.hour % HOURS_PER_DAY)
    layer7 = rows.l7_kind != ""
    return rows.group_by("day", *LINK, "side", "verdict", layer7=layer7).agg(
        **{name: rows[name].sum().cast("int64") for name in _SUMS},
        exact=ibis.ifelse(rows.aggregated, zero, rows.flows).sum().cast("int64"),
        hours=ibis.ifelse(rows.flows > 0, hour_bit, zero).bit_or(),
        first_us=rows.first_us.min(),
        last_us=rows.last_us.max(),
        client_port_min=rows.client_port_min.min(),
        client_port_max=rows.client_port_max.max(),
        sample=rows["sample"].min(),
    )


def _at_each_end(rows: Any, measures: tuple[str, ...], condition: Any = None) -> dict[str, Any]:
    """Measures counted at each end for itself: ``<measure>_subject`` and ``<measure>_peer``."""
    zero = ibis.literal(0, "int64")
    counted: dict[str, Any] = {}
    for side in _SIDES:
        wanted = rows.side == side
        if condition is not None:
            wanted = wanted & condition
        counted |= {
            f"{measure}_{side}": ibis.ifelse(wanted, rows[measure], zero).sum().cast("int64")
            for measure in measures
        }
    return counted


def _larger(rows: Any, measure: str) -> Any:
    """The larger of what the two ends counted, each over all of ``rows``."""
    return ibis.greatest(*(rows[f"{measure}_{side}"].sum().cast("int64") for side in _SIDES))


def links_of_day(day_rows: Any) -> Any:
    """One row per link and day, each end for itself: what is left of a day for the window to orient."""
    d = day_rows
    return d.group_by("day", *LINK).agg(
        **_at_each_end(d, ("flows",)),
        **_at_each_end(d, ("connections", "answered", "reset"), ~d.layer7),
        client_port_min=d.client_port_min.min(),
        client_port_max=d.client_port_max.max(),
        first_us=d.first_us.min(),
        last_us=d.last_us.max(),
    )


def links(days_links: Any) -> Any:
    """One row per link of the window: what orientation is decided on."""
    d = days_links
    return d.group_by(*LINK).agg(
        flows=_larger(d, "flows"),
        connections=_larger(d, "connections"),
        answered=_larger(d, "answered"),
        reset=_larger(d, "reset"),
        client_port_min=d.client_port_min.min(),
        client_port_max=d.client_port_max.max(),
        first_us=d.first_us.min(),
        last_us=d.last_us.max(),
    )


def _link_changes() -> Any:
    """What became of single links; exceptions only."""
    text = "string"
    return ibis.table(
        {f"c_{name}": kind for name, kind in EDGES.keys.items() if name in LINK}
        | {"turned": "boolean", "swapped": "boolean"}
        | {"c_to_kind": text, "c_to_peer": text, "to_port": "int32", "c_aside": text},
        name="link_changes",
    )


def changes_by_day(days_links: Any) -> Any:
    """The exceptions that a day's own links meet, in one order: all that other days' links mean for it."""
    c = _link_changes()
    met = days_links.join(c, [days_links[name] == c[f"c_{name}"] for name in LINK])
    return met.select("day", *c.columns).order_by("day", *(f"c_{name}" for name in LINK))


def resolved(rows: Any) -> Any:
    """
    Rows with the edge they belong to, or ``aside`` with the reason why they belong to none.

    ``peer_changes`` holds addresses that are something else on a day; ``link_changes`` what became of
    single links. Both hold exceptions only, so that the joins stay small.
    """
    text = "string"
    p = ibis.table(
        {"p_day": text, "p_kind": text, "p_peer": text, "to_kind": text, "to_peer": text, "p_aside": text},
        name="peer_changes",
    )
    c = _link_changes()
    rows = rows.left_join(p, (rows.day == p.p_day) & (rows.peer_kind == p.p_kind) & (rows.peer == p.p_peer))
    rows = rows.left_join(c, [rows[name] == c[f"c_{name}"] for name in LINK])
    turned, swapped = rows.turned.fill_null(False), rows.swapped.fill_null(False)
    opposite = ibis.ifelse(rows.direction == "egress", "ingress", "egress")
    kept = [name for name in rows.columns if not name.startswith(("p_", "c_", "to_")) and name not in LINK]
    return rows.select(
        *(name for name in kept if name not in ("turned", "swapped")),
        "subject",
        "protocol",
        "icmp_type",
        "oriented",
        turned=turned,
        swapped=swapped,
        direction=ibis.ifelse(turned | swapped, opposite, rows.direction),
        peer_kind=ibis.coalesce(rows.c_to_kind, rows.to_kind, rows.peer_kind),
        peer=ibis.coalesce(rows.c_to_peer, rows.to_peer, rows.peer),
        port=ibis.coalesce(rows.to_port, rows.port),
        aside=ibis.coalesce(rows.c_aside, rows.p_aside, ""),
    )


def days(resolved_rows: Any) -> Any:
    """
    One row per edge and day, with every count of EDGE_DAYS.

    Requests that were replies count as answers; where the two were swapped, answers count as requests.
    What one end let pass and the other refused altogether, and that brought no answer, did not work: it
    is no flow.
    """
    r = resolved_rows.filter(resolved_rows.aside == "")
    zero, never, nobody = ibis.literal(0, "int64"), ibis.null("int64"), ibis.null("string")
    request = ~r.turned
    allowed = r.verdict.isin(_ALLOWED)
    r = r.mutate(
        requests=ibis.cases((r.turned, zero), (r.swapped, r.answered), else_=r.flows),
        answers=ibis.ifelse(r.turned | r.swapped, r.flows, r.answered),
        resets=ibis.ifelse(request, r.reset, zero),
        openings=ibis.ifelse(request, r.connections, zero),
        drops=ibis.ifelse(request, r.flows - r.verdict_events, zero),
        verdicts=ibis.ifelse(request, r.verdict_events, zero),
        traces=ibis.ifelse(request, r.trace_events, zero),
        trusted=ibis.ifelse(request, r.exact, zero),
        allowed_hours=ibis.ifelse(request & allowed, r.hours, zero),
        request_hours=ibis.ifelse(request, r.hours, zero),
        first_us=ibis.ifelse(request, r.first_us, never),
        last_us=ibis.ifelse(request, r.last_us, never),
        sample_uuid=ibis.ifelse(request, r["sample"], nobody),
    )
    measures: dict[str, Any] = {}
    for side in _SIDES:
        here = r.side == side

        def total(name: str, condition: Any, here: Any = here) -> Any:
            return ibis.ifelse(here & condition, r[name], zero).sum().cast("int64")

        forwarded, denied, refused = r.verdict == "forwarded", r.verdict == "denied", r.verdict == "l7_denied"
        measures |= {
            # Layer 7 records are twins of layer 4 records, and stand for them only where those are missing.
            f"flows_{side}": ibis.greatest(
                total("requests", forwarded & ~r.layer7), total("requests", forwarded & r.layer7)
            ),
            f"answered_{side}": ibis.greatest(total("answers", ~r.layer7), total("answers", r.layer7)),
            f"reset_{side}": ibis.greatest(total("resets", ~r.layer7), total("resets", r.layer7)),
            f"connections_{side}": total("openings", ~r.layer7),
            f"audited_{side}": total("requests", r.verdict == "audit"),
            # A denied packet gives a verdict record and a drop record: whichever were delivered, once.
            f"denied_{side}": ibis.greatest(total("verdicts", denied), total("drops", denied)),
            f"l7_denied_{side}": ibis.greatest(total("requests", refused), total("answers", refused)),
            f"dropped_{side}": total("requests", r.verdict == "dropped"),
            f"requests_{side}": total("requests", r.flows >= 0),
            f"sample_{side}": ibis.ifelse(here, r.sample_uuid, nobody).min(),
        }
    wide = r.group_by("day", *EDGE).agg(
        **measures,
        traces=r.traces.sum().cast("int64"),
        trusted=r.trusted.sum().cast("int64"),
        allowed_hours=r.allowed_hours.bit_or(),
        request_hours=r.request_hours.bit_or(),
        first_us=r.first_us.min(),
        last_us=r.last_us.max(),
        sample_high=r.sample_uuid.max(),
    )
    whole = ("answered", "reset", "connections", "audited", "denied", "l7_denied", "dropped")
    wide = wide.mutate(
        **{name: ibis.greatest(*(wide[f"{name}_{side}"] for side in _SIDES)) for name in whole},
        shown=wide.requests_subject + wide.requests_peer + wide.l7_denied_subject + wide.l7_denied_peer,
    )
    failed = ibis.literal(False)
    for side in _SIDES:
        failed = failed | ((wide[f"denied_{side}"] > 0) & (wide[f"flows_{side}"] == 0) & (wide.answered == 0))
    return wide.select(
        "day",
        *EDGE,
        *whole,
        "shown",
        "allowed_hours",
        "request_hours",
        "traces",
        "first_us",
        "last_us",
        "sample_subject",
        "sample_peer",
        "sample_high",
        flows=ibis.ifelse(failed, zero, ibis.greatest(wide.flows_subject, wide.flows_peer)),
        aggregated=wide.trusted == 0,
        own_end=wide.requests_subject > 0,
    )


def aside_of_day(resolved_rows: Any) -> Any:
    """What a day's rows were set aside for, per reason and link, each end for itself."""
    r = resolved_rows
    r = r.mutate(turned=r.turned | (r.swapped & (r.aside == "")))
    r = r.filter((r.aside != "") | r.turned)
    r = r.mutate(passed=ibis.ifelse(r.verdict.isin(_ALLOWED), r.flows, ibis.literal(0, "int64")))
    return r.group_by("day", "aside", "turned", *EDGE, "oriented").agg(
        **_at_each_end(r, ("flows", "passed", "answered")), first_us=r.first_us.min(), last_us=r.last_us.max()
    )


def left_out(asides: Any) -> Any:
    """
    What was set aside in the window, per reason and link: the flows of whichever end saw more.

    ``passed`` are those that no policy refused, ``days`` the days with any of them.
    """
    passed = asides.passed_subject + asides.passed_peer > 0
    return asides.group_by("aside", "turned", *EDGE, "oriented").agg(
        **{measure: _larger(asides, measure) for measure in ("flows", "passed", "answered")},
        days=ibis.ifelse(passed, asides.day, ibis.null("string")).nunique(),
        first_us=asides.first_us.min(),
        last_us=asides.last_us.max(),
    )
