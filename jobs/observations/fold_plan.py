"""
Every statement of a fold, compiled once: Ibis takes longer to write them than an engine to run them.

Stages of a single day (``OF_A_DAY``, ``SEEN``, ``SETTLED``) are filled day by day, and those that outlive it
are then seen as one. ``peer_changes`` and ``link_changes`` are registered between ``SEEN`` and ``SETTLED``.
"""

from functools import cache
from typing import Any, Final

import ibis

from jobs.observations import fold_frames, fold_names, fold_rows
from jobs.observations.fold_keys import (
    ASIDE,
    DAILY,
    DAYS,
    EDGE,
    EDGE_DAYS,
    LINKS,
    NAMED,
    OF_A_DAY,
    ROUTES,
    SEEN,
    SETTLED,
    UNITED,
    WORDS,
)
from jobs.observations.schema import EDGES

#: Texts of an edge-day by the column they come from.
_TEXTS: Final = {
    "policies": "policies",
    "drop_reasons": "drop_reason",
    "flow_names": "peer_names",
    "lookup_names": "lookup",
}
_NO_SAMPLE: Final = ""


_ENGINE_TYPES: Final = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "boolean": "BOOLEAN"}


@cache
def statements() -> dict[str, str]:
    """SQL by name."""
    return {name: str(ibis.to_sql(expr, dialect="duckdb")) for name, expr in _expressions().items()}


@cache
def columns() -> dict[str, str]:
    """
    Columns of the stages as the engine declares them.

    Its sums are wider than 64 bits unless a declared column says otherwise, and Ibis does not know that.
    """
    return {stage: _declared(_expressions()[stage].schema()) for stage in (*OF_A_DAY, *SEEN, *SETTLED)}


def _declared(schema: Any) -> str:
    return ", ".join(f'"{name}" {_ENGINE_TYPES[str(kind).lstrip("!")]}' for name, kind in schema.items())


@cache
def _expressions() -> dict[str, Any]:
    rows = fold_rows.within(EDGES)
    daily_expr = fold_rows.daily(rows)
    daily = ibis.table(daily_expr.schema(), name=DAILY)
    words_expr = ibis.union(
        *(fold_names.words(rows, column) for column in ("policies", "drop_reason", "peer_names")),
        fold_names.lookup_names(rows, fold_names.lifetimes()),
    )
    routes_expr = fold_frames.route_rows(rows)
    named = rows.filter((rows.service != "") & (rows.peer_kind == "endpoint") & (rows.direction == "egress"))
    named_expr = named.select("service", "protocol", "peer", "port").distinct()
    links_expr = fold_rows.links_of_day(daily)
    links = ibis.table(links_expr.schema(), name=LINKS)
    united_expr = fold_names.united(fold_rows.resolved(ibis.table(words_expr.schema(), name=WORDS)))
    resolved = fold_rows.resolved(daily)
    days_expr = fold_rows.days(resolved)
    aside_expr = fold_rows.aside_of_day(resolved)
    edge_days_expr = _edge_days(
        ibis.table(days_expr.schema(), name=DAYS), ibis.table(united_expr.schema(), name=UNITED)
    )
    edge_days = ibis.table(edge_days_expr.schema(), name=EDGE_DAYS)
    moving = links.filter(links.peer_kind.isin(("ip", "unresolved", "entity")))
    resolved_routes = fold_rows.resolved(ibis.table(routes_expr.schema(), name=ROUTES))
    return {
        DAILY: daily_expr,
        WORDS: words_expr,
        UNITED: united_expr,
        DAYS: days_expr,
        LINKS: links_expr,
        ROUTES: routes_expr,
        NAMED: named_expr,
        EDGE_DAYS: edge_days_expr,
        ASIDE: aside_expr,
        "links": fold_rows.links(links),
        "peers": moving.select("day", "peer_kind", "peer").distinct(),
        "backends": ibis.table(named_expr.schema(), name=NAMED).distinct(),
        "changes_by_day": fold_rows.changes_by_day(links),
        "endpoints_by_day": fold_frames.endpoint_rows(),
        "identity_rows": fold_frames.identity_rows(),
        "coverage_rows": fold_frames.coverage_rows(),
        "edge_days": edge_days.filter(edge_days.shown > 0).order_by(*EDGE, "day"),
        "silent": _silent(edge_days),
        "left_out": fold_rows.left_out(ibis.table(aside_expr.schema(), name=ASIDE)),
        "lookups_frame": fold_frames.lookups_rows(),
        "pods_per_edge": fold_frames.pods_per_edge(fold_rows.resolved(fold_frames.pod_rows())),
        "routes": fold_frames.routes(resolved_routes),
        "http_days": fold_frames.http_days(resolved_routes),
    }


def _edge_days(days: Any, united: Any) -> Any:
    """Edge-days with their texts, those of which only replies were seen too."""
    key = ["day", *EDGE]
    nothing = ibis.null("string")
    texts = united.group_by(*key).agg(
        **{
            name: ibis.ifelse(united.what == what, united.text, nothing).max()
            for name, what in _TEXTS.items()
        }
    )
    texts = texts.rename({f"t_{name}": name for name in key})
    joined = days.left_join(texts, [days[name] == texts[f"t_{name}"] for name in key])
    own = joined.sample_subject.fill_null(_NO_SAMPLE)
    other = joined.sample_peer.fill_null(_NO_SAMPLE)
    high = joined.sample_high.fill_null(_NO_SAMPLE)
    said = joined.flow_names.fill_null("")
    looked_up = joined.lookup_names.fill_null("")
    return joined.select(
        *(name for name in days.columns if not name.startswith("sample_")),
        policies=joined.policies.fill_null(""),
        drop_reasons=joined.drop_reasons.fill_null(""),
        peer_names=ibis.ifelse(said != "", said, looked_up),
        names_from=ibis.cases((said != "", "flow"), (looked_up != "", "lookup"), else_=""),
        samples=own
        + _listed(own, other, own == other)
        + _listed(own + other, high, (high == own) | (high == other)),
    ).order_by(*EDGE)


def _listed(before: Any, text: Any, known: Any) -> Any:
    """A text to append to a comma-joined list: nothing if it is empty or in the list already."""
    return ibis.cases(((text == "") | known, ""), (before == "", text), else_=ibis.literal(",") + text)


def _silent(days: Any) -> Any:
    """
    Edges of which replies were seen, and never a request; when, by day.

    Days without a request are few, and are set apart before anything is grouped.
    """
    quiet = days.filter(days.shown == 0).anti_join(days.filter(days.shown > 0), EDGE)
    return quiet.group_by(*EDGE).agg(
        answered=quiet.answered.sum().cast("int64"),
        days=quiet.day.nunique(),
        first_day=quiet.day.min(),
        last_day=quiet.day.max(),
    )
