"""
Every statement of a fold, compiled once: Ibis takes longer to write them than an engine to run them.

``STAGES`` are kept as tables in the order given; ``peer_changes`` and ``link_changes`` are registered
between the first stage and everything that reads resolved rows.
"""

from functools import cache
from typing import Any, Final

import ibis

from jobs.observations import fold_frames, fold_names, fold_rows
from jobs.observations.fold_rows import EDGE
from jobs.observations.schema import EDGES

HOURLY, ALIVE, RESOLVED = "stage_hourly", "stage_alive", "stage_resolved"
#: Columns whose texts are united per edge and day.
WORDS: Final = ("policies", "drop_reason", "peer_names")


@cache
def statements() -> dict[str, str]:
    """SQL by name, stages included."""
    rows = fold_rows.within(EDGES)
    hourly_expr = fold_rows.hourly(rows)
    hourly = ibis.table(hourly_expr.schema(), name=HOURLY)
    alive_expr = fold_names.lifetimes()
    alive = ibis.table(alive_expr.schema(), name=ALIVE)
    resolved_expr = fold_rows.resolved(hourly)
    resolved = ibis.table(resolved_expr.schema(), name=RESOLVED)
    peers = hourly.filter(hourly.peer_kind.isin(("ip", "unresolved", "entity")))
    named = rows.filter((rows.service != "") & (rows.peer_kind == "endpoint") & (rows.direction == "egress"))
    expressions = {
        HOURLY: hourly_expr,
        ALIVE: alive_expr,
        RESOLVED: resolved_expr,
        "links": fold_rows.links(hourly),
        "peers": peers.select("day", "peer_kind", "peer").distinct(),
        "backends": named.select("service", "protocol", "peer", "port").distinct(),
        "endpoints_by_day": fold_frames.endpoint_rows(),
        "identity_rows": fold_frames.identity_rows(),
        "coverage_rows": fold_frames.coverage_rows(),
        "days": fold_rows.days(resolved),
        "left_out": fold_rows.left_out(resolved),
        "lookup_names": fold_names.lookup_names(resolved, alive),
        "lookups_frame": fold_frames.lookups_rows(),
        "pods_per_edge": fold_frames.pods_per_edge(fold_rows.resolved(fold_frames.pod_rows())),
        "routes": fold_frames.routes(fold_rows.resolved(fold_frames.route_rows(rows))),
    } | {f"words_{column}": _words(rows, column) for column in WORDS}
    return {name: str(ibis.to_sql(expr, dialect="duckdb")) for name, expr in expressions.items()}


def _words(rows: Any, column: str) -> Any:
    """Texts of a column per edge and day."""
    found = fold_rows.resolved(fold_rows.words(rows, column))
    return found.filter((found.aside == "") & ~found.turned).select("day", *EDGE, "text").distinct()
