"""Which clusters were observed, from when to when, and which flows carry a time that cannot be right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import duckdb

from jobs.observations.clock import US_PER_HOUR, moment
from jobs.observations.schema import COVERAGE
from jobs.observations.store import ObservationStore
from models.domain.extent import Extent, extent

_THREADS: Final = 2
_HOUR: Final = timedelta(hours=1)
#: Nodes with a wrong clock that are named one by one.
_SHOWN: Final = 5
#: What a node delivered: rows with another reason repeat some of it, or count what was no flow.
_HEARD: Final = "reason = '' AND flows > 0"
_TOTALS: Final = f"""
    SELECT cluster, sum(flows) FILTER ({_HEARD})::BIGINT AS flows,
           count(DISTINCT node) FILTER ({_HEARD}) AS nodes, sum(lost_events)::BIGINT AS lost_events,
           sum(rejects)::BIGINT AS rejects, sum(skipped)::BIGINT AS skipped
    FROM coverage GROUP BY cluster HAVING sum(flows) FILTER ({_HEARD}) > 0 ORDER BY cluster
"""
_HOURS: Final = f"""
    SELECT cluster, hour, sum(flows)::BIGINT AS flows, min(first_us) AS first_us, max(last_us) AS last_us
    FROM coverage WHERE {_HEARD} GROUP BY cluster, hour ORDER BY cluster, hour
"""
_OUTSIDE: Final = f"""
    SELECT node, sum(flows)::BIGINT AS flows, min(first_us) AS first_us, max(last_us) AS last_us
    FROM coverage WHERE {_HEARD} AND cluster = $cluster AND (hour < $first OR hour > $last)
    GROUP BY node ORDER BY flows DESC, node
"""


@dataclass(frozen=True, slots=True)
class Astray:
    """Flows of one node ("" where the records name none) whose time cannot be right."""

    node: str
    flows: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class ObservedCluster:
    """
    A cluster that flows came from, and how well it was listened to.

    Parameters
    ----------
    name
        Of the cluster.
    first_seen, last_seen
        Times of its oldest and newest flow, those astray aside.
    window_end
        End of the hour of the newest flow, or now where that is earlier: where a window may end.
    nodes, flows, lost_events, rejects, skipped
        How many there were, of all days stored.
    astray
        Flows whose time cannot be right, by node: most flows first.
    clock_behind
        Most flows are dated ahead of this machine's clock.
    """

    name: str
    first_seen: datetime
    last_seen: datetime
    window_end: datetime
    nodes: int
    flows: int
    lost_events: int
    rejects: int
    skipped: int
    astray: tuple[Astray, ...] = ()
    clock_behind: bool = False

    def notes(self) -> list[str]:
        """What a person should know about the times, in sentences."""
        found = [
            f"{_flows(one.flows)} of {one.node or 'a node without a name'} dated {_span(one)}, in the "
            f"future or far from all others of cluster {self.name}: its clock is wrong, and no window "
            "ends there"
            for one in self.astray[:_SHOWN]
        ]
        rest = self.astray[_SHOWN:]
        if rest:
            found.append(f"{_flows(sum(one.flows for one in rest))} of {len(rest)} more nodes are dated so")
        if self.clock_behind:
            found.append(
                f"most flows of cluster {self.name} are dated after the time of this machine: is its clock "
                "slow? Windows end at the newest flow"
            )
        return found


def observed_clusters(store: ObservationStore, now: datetime) -> list[ObservedCluster]:
    """Clusters by name; ``now`` is what this machine takes for the time."""
    with duckdb.connect(config={"threads": _THREADS}) as con:
        con.register("coverage", store.dataset(COVERAGE.name))
        hours: dict[str, list[dict[str, Any]]] = {}
        for row in _rows(con, _HOURS):
            hours.setdefault(row["cluster"], []).append(row)
        return [_cluster(con, row, hours[row["cluster"]], now) for row in _rows(con, _TOTALS)]


def _cluster(
    con: duckdb.DuckDBPyConnection, totals: dict[str, Any], hours: Sequence[dict[str, Any]], now: datetime
) -> ObservedCluster:
    now_hour = int(now.timestamp() * 1_000_000) // US_PER_HOUR
    found = extent({row["hour"]: row["flows"] for row in hours}, now_hour)
    inside = [row for row in hours if found.first_hour <= row["hour"] <= found.last_hour]
    end = moment(found.last_hour * US_PER_HOUR) + _HOUR
    return ObservedCluster(
        name=totals["cluster"],
        first_seen=moment(inside[0]["first_us"]),
        last_seen=moment(inside[-1]["last_us"]),
        window_end=end if found.clock_behind else min(now, end),
        nodes=totals["nodes"],
        flows=totals["flows"],
        lost_events=totals["lost_events"],
        rejects=totals["rejects"],
        skipped=totals["skipped"],
        astray=_astray(con, totals["cluster"], found) if found.astray_flows else (),
        clock_behind=found.clock_behind,
    )


def _astray(con: duckdb.DuckDBPyConnection, cluster: str, found: Extent) -> tuple[Astray, ...]:
    parameters = {"cluster": cluster, "first": found.first_hour, "last": found.last_hour}
    return tuple(
        Astray(row["node"], row["flows"], moment(row["first_us"]), moment(row["last_us"]))
        for row in _rows(con, _OUTSIDE, parameters)
    )


def _rows(
    con: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    answer = con.execute(sql, parameters or {})
    columns = [column[0] for column in answer.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def _flows(count: int) -> str:
    return "1 flow" if count == 1 else f"{count:,} flows"


def _span(one: Astray) -> str:
    first, last = f"{one.first_seen:%Y-%m-%d %H:%M}", f"{one.last_seen:%Y-%m-%d %H:%M}"
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"
