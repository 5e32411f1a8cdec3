"""
Read the store for one cluster and window, and say what was there: the frames the models read.

Everything that depends on more than one record is decided here and not at ingest, so that a late
batch can still change it and no order of arrival can. Exact rows go in; every one of them ends in
EDGE_DAYS or, with its reason, in SET_ASIDE.
"""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from jobs.observations import fold_shape
from jobs.observations.clock import US_PER_HOUR, day_of
from jobs.observations.compiled import fold_statements
from jobs.observations.delta import naming
from jobs.observations.fold_days import Days, read, shifted
from jobs.observations.fold_direction import AMBIGUOUS, MISREPORTED, UNMARKED, arcs_of
from jobs.observations.fold_keys import EDGE, SPAN, STEPS
from jobs.observations.fold_links import PORT_ZERO, UNKNOWN_SERVICE, UNSUPPORTED_PROTOCOL, link_changes
from jobs.observations.fold_peers import (
    UNRESOLVED,
    backends_of,
    holders_of,
    peer_changes,
    reused,
    services_of,
)
from jobs.observations.store import ObservationStore
from models import frames
from models.domain.window import Window
from models.errors import PortolanError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: What the engine may use before it spills to disk; near its limit it is slower, and the peak no lower.
_MEMORY: Final = "1000MB"
REPLY_ONLY: Final = "reply_only"
#: Reasons for which something that may have worked is no edge.
_MAY_WORK: Final = (AMBIGUOUS, PORT_ZERO, REPLY_ONLY, UNKNOWN_SERVICE, UNRESOLVED, UNSUPPORTED_PROTOCOL)


def clusters(store: ObservationStore) -> list[str]:
    """Clusters that the store has heard of, sorted."""
    with duckdb.connect() as con:
        con.register("coverage", store.dataset("coverage"))
        return [row[0] for row in con.sql("SELECT DISTINCT cluster FROM coverage ORDER BY 1").fetchall()]


def fold(store: ObservationStore, cluster: str, window: Window) -> frames.Observations:
    """Everything the store knows about ``cluster`` in ``window``."""
    with tempfile.TemporaryDirectory(prefix="portolan-fold-") as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 2,
            "memory_limit": _MEMORY,
            "temp_directory": spill,
            "preserve_insertion_order": "false",
            "checkpoint_threshold": "1TB",
        }
        try:
            with duckdb.connect(config=config) as con:
                return _Fold(con, store, cluster, window).run()
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise PortolanError(
                f"cannot fold {window.days:g} days of {store.data_dir}: {error}; a shorter window needs less"
            ) from error


def _hours(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=US_PER_HOUR)


class _Fold:
    """One fold: the engine's connection, and the stages that several frames read."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, store: ObservationStore, cluster: str, window: Window
    ) -> None:
        self.con = con
        self.store = store
        self.cluster = cluster
        self.window = window
        first_hour, last_hour = _hours(window.start), _hours(window.end - timedelta(microseconds=1))
        self.first_day, self.last_day = day_of(first_hour), day_of(last_hour)
        self._hold("steps", pa.table({"step": pa.array(STEPS, pa.int64())}))
        span = (cluster, first_hour, last_hour + 1, self.first_day, self.last_day)
        self._hold("span", pa.table({name: [value] for name, value in zip(SPAN, span, strict=True)}))
        self._days = Days(con, store, cluster, range(first_hour, last_hour + 1))

    def _hold(self, name: str, rows: pa.Table | pd.DataFrame) -> None:
        """Make a small table that all sessions see; the engine knows how small, and joins others to it."""
        self.con.register("held", rows)
        self.con.execute(f'CREATE TABLE "{name}" AS SELECT * FROM held')
        self.con.unregister("held")

    def _rows(self, statement: str) -> pd.DataFrame:
        """Rows of a statement; sums come wider than 64 bits and are brought back."""
        table = self.con.sql(fold_statements()[statement]).to_arrow_table()
        for place, field in enumerate(table.schema):
            if pa.types.is_decimal(field.type):
                table = table.set_column(place, field.name, table.column(place).cast(pa.int64()))
        # Column by column, each freed as soon as it is converted: the frame is as large as the table.
        found: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
        return found

    def run(self) -> frames.Observations:
        """Fold the window."""
        with naming(str(self.store.data_dir)):
            self._days.see()
            self._read("identities", self.first_day, self.last_day)
            self._read("endpoints", shifted(self.first_day, -1), shifted(self.last_day, 1))
        endpoints, identities = self._rows("endpoints_by_day"), self._rows("identity_rows")
        with naming(str(self.store.data_dir)):
            self._days.settle(self._resolve(endpoints, identities))
            for name in ("lookups", "edge_pods", "coverage"):
                self._read(name, self.first_day, self.last_day)
        aside = self._aside()
        coverage = self._rows("coverage_rows")
        coverage_frame = fold_shape.coverage_frame(self.cluster, coverage)
        edge_days = self._edge_days(coverage_frame)
        edges = edge_days.loc[frames.changes(edge_days, EDGE), ["cluster", *EDGE]]
        in_window = endpoints["day"].between(self.first_day, self.last_day)
        pods = fold_shape.pods_frame(self.cluster, endpoints[in_window])
        return frames.Observations(
            cluster=self.cluster,
            window=self.window,
            edge_days=edge_days,
            edge_pods=self._edge_pods(edges),
            edge_routes=self._edge_routes(edges),
            http_days=self._http_days(edges),
            identities=fold_shape.identities_frame(self.cluster, identities, pods),
            pods=pods,
            lookups=self._lookups(),
            coverage=coverage_frame,
            set_aside=self._set_aside(coverage, aside),
            aside_edges=self._aside_edges(aside),
        )

    def _read(self, name: str, first_day: str, last_day: str) -> None:
        read(self.con, self.store.table(name), first_day, last_day)

    def _resolve(self, endpoints: pd.DataFrame, identities: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
        """Hold what became of peers and links, for whatever reads resolved rows, and say it by day."""
        services = services_of(endpoints)
        entities = dict(zip(identities["label_key"], identities["entity"], strict=True))
        holders = holders_of(endpoints, entities)
        peers = peer_changes(self._rows("peers"), holders, services)
        backends = backends_of(self._rows("backends"))
        links = link_changes(self._rows("links"), services, backends, reused(holders))
        self._hold("peer_changes", peers)
        self._hold("link_changes", links)
        yield from peers.itertuples(index=False, name=None)
        met = self.con.sql(fold_statements()["changes_by_day"]).to_arrow_table()
        yield from zip(*(column.to_pylist() for column in met.columns), strict=True)

    def _edge_days(self, coverage: pd.DataFrame) -> pd.DataFrame:
        d = self._rows("edge_days")
        allowed = d.pop("allowed_hours").to_numpy(dtype=np.int64)
        requested = d.pop("request_hours").to_numpy(dtype=np.int64)
        d["hour_bits"] = np.where(allowed > 0, allowed, requested)
        reply_days = set(coverage.loc[coverage["replies"] > 0, "day"])
        d["replies_visible"] = (d.pop("traces") > 0) & d["day"].isin(reply_days)
        d["cluster"] = self.cluster
        return fold_shape.shaped(d, frames.EDGE_DAYS)

    def _edge_pods(self, edges: pd.DataFrame) -> pd.DataFrame:
        halves = self._rows("pods_per_edge")
        kept = edges
        for pod in ("subject_pod", "peer_pod"):
            names = {"pods": f"{pod}s", "pod_min": f"{pod}_min", "pod_max": f"{pod}_max"}
            half = halves.loc[halves["end"] == pod, [*EDGE, *names]].rename(columns=names)
            kept = kept.merge(half, on=list(EDGE), how="left")
            kept = kept.fillna({f"{pod}s": 0, f"{pod}_min": "", f"{pod}_max": ""})
        return fold_shape.shaped(kept, frames.EDGE_PODS, ["cluster", *EDGE])

    def _edge_routes(self, edges: pd.DataFrame) -> pd.DataFrame:
        found = self._rows("routes")
        key = [name for name in EDGE if name != "icmp_type"]
        found = found.merge(edges[["cluster", *key]].drop_duplicates(), on=key)
        found = found[(found["flows"] > 0) | (found["l7_denied"] > 0)]
        return fold_shape.shaped(
            found, frames.EDGE_ROUTES, ["cluster", *key, "l7_kind", "l7_method", "l7_route"]
        )

    def _http_days(self, edges: pd.DataFrame) -> pd.DataFrame:
        key = [name for name in EDGE if name != "icmp_type"]
        found = self._rows("http_days").merge(edges[key].drop_duplicates(), on=key)
        found["cluster"] = self.cluster
        return fold_shape.shaped(found, frames.HTTP_DAYS, ["cluster", *key, "method", "route", "day"])

    def _lookups(self) -> pd.DataFrame:
        found = self._rows("lookups_frame")
        return fold_shape.shaped(found, frames.LOOKUPS, ["cluster", "subject", "name", "rcode"])

    def _aside(self) -> pd.DataFrame:
        """What is in no edge, with the reason: set aside, or of which replies alone were seen."""
        out = self._rows("left_out")
        marked = out["oriented"].map({"known": MISREPORTED, "unknown": UNMARKED})
        out["reason"] = out["aside"].where(out["aside"] != "", marked)
        quiet = self._rows("silent").assign(reason=REPLY_ONLY, flows=0, turned=False)
        quiet["passed"] = quiet["answered"]
        for end, day in (("first_us", "first_day"), ("last_us", "last_day")):
            quiet[end] = pd.to_datetime(quiet.pop(day)).astype("datetime64[us]").astype("int64")
        return pd.concat([out, quiet], ignore_index=True)

    def _aside_edges(self, aside: pd.DataFrame) -> pd.DataFrame:
        """Of what is in no edge, what a policy might break."""
        chosen = aside["reason"].isin(_MAY_WORK) & ~aside["turned"].astype(bool) & (aside["passed"] > 0)
        rows = aside.loc[chosen, ["reason", *EDGE, "passed", "answered", "days", "first_us", "last_us"]]
        rows = rows.rename(columns={"passed": "flows"}).assign(cluster=self.cluster)
        return fold_shape.shaped(rows, frames.ASIDE_EDGES, ["reason", *EDGE])

    def _set_aside(self, coverage: pd.DataFrame, aside: pd.DataFrame) -> pd.DataFrame:
        """What is in no edge. A contact of two pods has a row for each of them and counts once."""
        rows = aside[["reason", *EDGE, "flows"]]
        contact = ["reason", "client", "server", "protocol", "port", "icmp_type"]
        arcs = arcs_of(rows.groupby(["reason", *EDGE], as_index=False).sum())
        once = arcs.groupby(contact, as_index=False)["flows"].max()
        counted = once.groupby("reason", as_index=False).agg(flows=("flows", "sum"), edges=("flows", "size"))
        merged = pd.concat([counted, fold_shape.aside_of_coverage(coverage)])
        return fold_shape.shaped(merged.assign(cluster=self.cluster), frames.SET_ASIDE, ["cluster", "reason"])
