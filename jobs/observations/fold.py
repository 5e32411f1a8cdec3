"""
Read the store for one cluster and window, and say what was there: the frames the models read.

Everything that depends on more than one record is decided here and not at ingest, so that a late
batch can still change it and no order of arrival can. Exact rows go in; every one of them ends in
EDGE_DAYS or, with its reason, in SET_ASIDE.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
import pandas as pd
import pyarrow as pa

from jobs.observations import fold_frames, fold_names
from jobs.observations.clock import US_PER_HOUR, day_of
from jobs.observations.fold_direction import MISREPORTED, UNMARKED, arcs_of
from jobs.observations.fold_links import link_changes
from jobs.observations.fold_names import union_words
from jobs.observations.fold_peers import backends_of, holders_of, peer_changes, services_of
from jobs.observations.fold_plan import ALIVE, HOURLY, RESOLVED, statements
from jobs.observations.fold_rows import EDGE, SPAN
from jobs.observations.store import ObservationStore
from models import frames
from models.domain.window import Window

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SIDES: Final = ("subject", "peer")
REPLY_ONLY: Final = "reply_only"
#: Texts of an edge-day and the statement that finds their words.
_TEXTS: Final = {
    "policies": "words_policies",
    "drop_reasons": "words_drop_reason",
    "from_flow": "words_peer_names",
    "from_lookup": "lookup_names",
}


def clusters(store: ObservationStore) -> list[str]:
    """Clusters that the store has heard of, sorted."""
    with duckdb.connect() as con:
        con.register("coverage", store.dataset("coverage"))
        return [row[0] for row in con.sql("SELECT DISTINCT cluster FROM coverage ORDER BY 1").fetchall()]


def fold(store: ObservationStore, cluster: str, window: Window) -> frames.Observations:
    """Everything the store knows about ``cluster`` in ``window``."""
    with duckdb.connect(config={"threads": 2}) as con:
        return _Fold(con, store, cluster, window).run()


def _hours(moment: datetime) -> int:
    return int((moment - _EPOCH) / timedelta(microseconds=US_PER_HOUR))


class _Fold:
    """One fold: the engine's connection, and the stages that several frames read."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, store: ObservationStore, cluster: str, window: Window
    ) -> None:
        self.con = con
        self.cluster = cluster
        self.window = window
        self.first_hour = _hours(window.start)
        self.end_hour = -_hours(_EPOCH - (window.end - _EPOCH))
        self.first_day, self.last_day = (
            day_of(self.first_hour),
            day_of(max(self.first_hour, self.end_hour - 1)),
        )
        before = day_of(self.first_hour - fold_names.LOOK_BACK_HOURS)
        after = day_of(self.end_hour + 23)
        for name, first, last in (
            ("edges", self.first_day, self.last_day),
            ("edge_pods", self.first_day, self.last_day),
            ("identities", self.first_day, self.last_day),
            ("endpoints", before, after),
            ("lookups", before, self.last_day),
            ("coverage", self.first_day, self.last_day),
        ):
            con.register(name, store.dataset(name, first, last))
        con.register("steps", pa.table({"step": pa.array(fold_names.STEPS, pa.int64())}))
        span = (cluster, self.first_hour, self.end_hour, self.first_day, self.last_day)
        con.register("span", pa.table({name: [value] for name, value in zip(SPAN, span, strict=True)}))

    def _keep(self, stage: str) -> None:
        """Compute a stage that several statements read."""
        self.con.execute(f'CREATE TEMP TABLE "{stage}" AS {statements()[stage]}')

    def _rows(self, statement: str) -> pd.DataFrame:
        """Rows of a statement."""
        found: pd.DataFrame = self.con.sql(statements()[statement]).to_arrow_table().to_pandas()
        return found

    def run(self) -> frames.Observations:
        """Fold the window."""
        self._keep(HOURLY)
        endpoints, identities = self._rows("endpoints_by_day"), self._rows("identity_rows")
        self._resolve(endpoints, identities)
        self._keep(RESOLVED)
        self._keep(ALIVE)
        coverage = self._rows("coverage_rows")
        coverage_frame = fold_frames.coverage_frame(self.cluster, coverage)
        day_rows = self._rows("days")
        edge_days = self._edge_days(day_rows, coverage_frame)
        in_window = endpoints["day"].between(self.first_day, self.last_day)
        pods = fold_frames.pods_frame(self.cluster, endpoints[in_window])
        return frames.Observations(
            cluster=self.cluster,
            window=self.window,
            edge_days=edge_days,
            edge_pods=self._edge_pods(edge_days),
            edge_routes=self._edge_routes(edge_days),
            identities=fold_frames.identities_frame(self.cluster, identities, pods),
            pods=pods,
            lookups=self._lookups(),
            coverage=coverage_frame,
            set_aside=self._set_aside(day_rows, coverage),
        )

    def _resolve(self, endpoints: pd.DataFrame, identities: pd.DataFrame) -> None:
        """Register what became of peers and links, for every statement that reads resolved rows."""
        services = services_of(endpoints)
        entities = dict(zip(identities["label_key"], identities["entity"], strict=True))
        peers = peer_changes(self._rows("peers"), holders_of(endpoints, entities), services)
        links = link_changes(self._rows("links"), services, backends_of(self._rows("backends")))
        self.con.register("peer_changes", peers)
        self.con.register("link_changes", links)

    def _edge_days(self, rows_by_day: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
        d = rows_by_day[_requests(rows_by_day) > 0].copy()
        key = ["day", *EDGE]
        flows = {}
        for side in _SIDES:
            flows[side] = d[[f"forwarded_{side}", f"forwarded_l7_{side}"]].max(axis=1)
            # A denied packet gives a verdict record and a drop record: whichever were delivered, once.
            drops = d[f"denied_all_{side}"] - d[f"denied_verdicts_{side}"]
            d[f"denied_{side}"] = d[[f"denied_verdicts_{side}"]].max(axis=1).combine(drops, max)
            d[f"l7_denied_{side}"] = d[[f"l7_refused_{side}", f"l7_refusals_{side}"]].max(axis=1)
            for name in ("answered", "reset"):
                d[f"{name}_{side}"] = d[[f"{name}_{side}", f"{name}_l7_{side}"]].max(axis=1)
        for name in ("connections", "answered", "reset", "audited", "denied", "l7_denied", "dropped"):
            d[name] = d[[f"{name}_{side}" for side in _SIDES]].max(axis=1)
        # One end let it pass, the other refused all of it, nothing came back: it did not work.
        refused = pd.Series(data=False, index=d.index)
        for side in _SIDES:
            refused |= (d[f"denied_{side}"] > 0) & (flows[side] == 0) & (d["answered"] == 0)
        d["flows"] = flows["subject"].combine(flows["peer"], max).where(~refused, 0)
        d["hours"] = d["allowed_hours"].where(d["allowed_hours"] > 0, d["request_hours"])
        reply_days = set(coverage.loc[coverage["replies"] > 0, "day"])
        d["replies_visible"] = (d["trace_events"] > 0) & d["day"].isin(reply_days)
        d["aggregated"] = d["exact"] == 0
        d["own_end"] = d["all_subject"] > 0
        d["samples"] = _samples(d)
        d["cluster"] = self.cluster
        for column, source in _TEXTS.items():
            d[column] = self._text(d, key, source)
        d["peer_names"] = d["from_flow"].where(d["from_flow"] != "", d["from_lookup"])
        d["names_from"] = "flow"
        d["names_from"] = (
            d["names_from"].where(d["from_flow"] != "", "lookup").where(d["peer_names"] != "", "")
        )
        return fold_frames.shaped(d, frames.EDGE_DAYS, ["cluster", *EDGE, "day"])

    def _text(self, day_rows: pd.DataFrame, key: list[str], statement: str) -> pd.Series:
        """United words of a statement for each edge-day, "" where it has none."""
        words = self._rows(statement)
        if words.empty or day_rows.empty:
            return pd.Series("", index=day_rows.index, dtype="str")
        found = day_rows[key].join(union_words(words, key).rename("text"), on=key)["text"]
        return found.astype("str").fillna("")

    def _edge_pods(self, edge_days: pd.DataFrame) -> pd.DataFrame:
        counted = self._rows("pods_per_edge")
        kept = edge_days[["cluster", *EDGE]].drop_duplicates().merge(counted, on=list(EDGE), how="left")
        kept[["subject_pods", "peer_pods"]] = kept[["subject_pods", "peer_pods"]].fillna(0)
        return fold_frames.shaped(kept, frames.EDGE_PODS, ["cluster", *EDGE])

    def _edge_routes(self, edge_days: pd.DataFrame) -> pd.DataFrame:
        found = self._rows("routes")
        key = [name for name in EDGE if name != "icmp_type"]
        found = found.merge(edge_days[["cluster", *key]].drop_duplicates(), on=key)
        found = found[(found["flows"] > 0) | (found["l7_denied"] > 0)]
        return fold_frames.shaped(
            found, frames.EDGE_ROUTES, ["cluster", *key, "l7_kind", "l7_method", "l7_route"]
        )

    def _lookups(self) -> pd.DataFrame:
        found = self._rows("lookups_frame")
        return fold_frames.shaped(found, frames.LOOKUPS, ["cluster", "subject", "name", "rcode"])

    def _set_aside(self, day_rows: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
        """What is in no edge. A contact of two pods has a row for each of them and counts once."""
        out = self._rows("left_out")
        marked = out["oriented"].map({"known": MISREPORTED, "unknown": UNMARKED})
        out["reason"] = out["aside"].where(out["aside"] != "", marked)
        quiet = day_rows.assign(flows=_requests(day_rows)).groupby(list(EDGE), as_index=False)["flows"].sum()
        quiet = quiet[quiet["flows"] == 0].assign(reason=REPLY_ONLY)
        contact = ["reason", "client", "server", "protocol", "port", "icmp_type"]
        arcs = arcs_of(
            pd.concat([out, quiet])[["reason", *EDGE, "flows"]]
            .groupby(["reason", *EDGE], as_index=False)
            .sum()
        )
        once = arcs.groupby(contact, as_index=False)["flows"].max()
        counted = once.groupby("reason", as_index=False).agg(flows=("flows", "sum"), edges=("flows", "size"))
        merged = pd.concat([counted, fold_frames.aside_of_coverage(coverage)])
        return fold_frames.shaped(
            merged.assign(cluster=self.cluster), frames.SET_ASIDE, ["cluster", "reason"]
        )


def _requests(day_rows: pd.DataFrame) -> pd.Series:
    """Request records at either end, and refusals of layer 7 that only their answer shows."""
    shown = [f"{name}_{side}" for side in _SIDES for name in ("all", "l7_refusals")]
    return day_rows[shown].sum(axis=1)


def _samples(day_rows: pd.DataFrame) -> pd.Series:
    """Flow uuids to look up as evidence: the smallest and the largest of the hours' smallest."""
    low = day_rows["sample_low"].astype("str").fillna("")
    high = day_rows["sample_high"].astype("str").fillna("")
    return low.where(low == high, low + "," + high)
