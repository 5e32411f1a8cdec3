"""
Which of the records just read were counted before.

A record is known by its node and uuid; without a uuid (old Cilium, field masks, stored logs), or when
the known copy had none, by what every mask keeps. Looked up among the records just read, in what the
open batch holds already (the view ``kept``), and in the ledger of the hours that they touch.

What a record's template says is hashed once per template; a record adds its time, uuid and ports.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.observations.clock import HOURS_PER_DAY, day_of
from jobs.sources import prints
from jobs.sources.assemble import cluster_of
from jobs.sources.decode import FLOW, LOST, NODE_STATUS
from jobs.sources.dictionary import FIRST
from jobs.sources.known import Known
from jobs.sources.reader import FRESH, OWN

_HOUR: Final = 3_600_000_000_000  # nanoseconds
_COUNTED: Final = f"kind IN ({FLOW}, {LOST}, {NODE_STATUS})"
_NUMBERS: Final = ("kind", "icmp_type", "event_type", "event_sub_type", "is_reply", "http_code")
_FEW: Final = ("verdict", "direction", "l7_type", "http_method")
_MANY: Final = ("dns_query", "http_route", "src_ip", "dst_ip", "ends")
#: What names the ends where the addresses are masked, and what an event other than a flow says.
_ENDS: Final = """CASE WHEN notice IS NOT NULL THEN notice WHEN src_ip != '' AND dst_ip != '' THEN ''
  ELSE concat_ws('|', src_identity, src_namespace, src_pod, dst_identity, dst_namespace, dst_pod, protocol,
    weight, drop_reason, sw.owner, dw.owner) END"""
#: Copies of one record are the same but for what masks took out: the one that says most is kept.
_SAID: Final = """concat_ws('|', src_ip, dst_ip, p.src_port, p.dst_port, protocol, verdict, direction,
  is_reply,
  event_type, trace_point, trace_reason, src_namespace, dst_namespace, src_pod, dst_pod, src_cluster,
  dst_cluster,
  src_identity, dst_identity, src_labels_hash, dst_labels_hash, src_workloads_hash, dst_workloads_hash,
  src_names_hash, dst_names_hash, allowed_hash, denied_hash, dns_query, dns_ips, http_route, weight)"""
_KEPT: Final = pa.schema(
    [
        *FRESH.items(),
        *[
            ("fingerprint", pa.int64()),
            ("content", pa.int64()),
            ("has_uuid", pa.bool_()),
        ],
    ]
)


class Ledger(Protocol):
    """The part of the observation store that is needed here."""

    def dataset(self, name: str, first_day: str | None = ..., last_day: str | None = ...) -> Any:
        """Arrow dataset of a table's rows on these days."""


def show_kept(con: duckdb.DuckDBPyConnection, rows: Sequence[Any]) -> None:
    """Make these Arrow tables the view ``kept``: the records of the open batch."""
    con.register("kept", pa.concat_tables([_KEPT.empty_table(), *rows]))


class Duplicates:
    """Finds duplicates; what is new joins the open batch."""

    def __init__(self, con: duckdb.DuckDBPyConnection, ledger: Ledger, cluster: str | None) -> None:
        self._con, self._cluster = con, cluster
        self._known = Known(ledger)
        self._learned, self._own = _Said(FIRST, cluster), _Said(OWN, cluster)
        self._kept: list[Any] = []
        show_kept(con, [])

    def clear(self) -> None:
        """Begin a batch, the one before is being written."""
        self._kept = []
        show_kept(self._con, [])
        self._known.next_batch()
        self._own = _Said(OWN, self._cluster)

    def forget(self, first: int) -> None:
        """Forget all templates; those to come are numbered from ``first`` on."""
        self._learned = _Said(first, self._cluster)

    def saved(self) -> None:
        """Note that the batch before the open one is in the ledger."""
        self._known.saved()

    def keep(self, fresh: Any) -> dict[tuple[int, int], int]:
        """Add the rows of a read to the open batch, but for duplicates; their number per part and kind."""
        rows = self._prints(fresh)
        known = self._known.among(rows)
        counts: dict[tuple[int, int], int] = {}
        if known is not None:
            self._con.register("prints", rows)
            self._find_repeated(known)
            found = self._con.execute("""SELECT part, kind, count(*) FROM repeated
              JOIN (SELECT template, kind FROM decoded) USING (template) GROUP BY ALL""").fetchall()
            counts = {(part, kind): count for part, kind, count in found}
            rows = self._con.sql(
                "SELECT * FROM prints WHERE place NOT IN (SELECT place FROM repeated)"
            ).to_arrow_table()
            self._con.unregister("prints")
        self._known.add(rows)
        self._kept.append(rows.select(_KEPT.names))
        show_kept(self._con, self._kept)
        return counts

    def _find_repeated(self, known: Any) -> None:
        """Fill ``repeated`` with the places in ``prints`` that are not to be kept."""
        con = self._con
        con.register("known", known)
        con.execute(f"""CREATE OR REPLACE TEMP TABLE repeated AS
          SELECT place, part, template FROM prints WHERE has_uuid AND (
            fingerprint IN (SELECT fingerprint FROM known WHERE has_uuid)
            OR content IN (SELECT content FROM known WHERE NOT has_uuid))
          UNION SELECT place, part, template FROM prints WHERE NOT has_uuid AND content IN (
            SELECT content FROM known UNION ALL SELECT content FROM prints WHERE has_uuid)
          UNION SELECT place, part, template FROM (
            SELECT place, p.part, template, row_number() OVER (
              PARTITION BY p.fingerprint ORDER BY length({_SAID}) DESC, {_SAID}) AS copy
            FROM prints p JOIN decoded d USING (template) WHERE p.fingerprint IN (
              SELECT fingerprint FROM prints GROUP BY fingerprint HAVING count(*) > 1))
          WHERE copy > 1""")
        con.unregister("known")

    def _prints(self, fresh: Any) -> Any:
        """The rows that count, with their hours and fingerprints."""
        template = fresh["template"].to_numpy()
        own = template >= OWN
        self._learned.extend(self._con, f"template < {OWN}")
        self._own.extend(self._con, f"template >= {OWN}")
        node, said, counted = (self._said(name, template, own) for name in ("node", "content", "counted"))
        ns = fresh["ns"].to_numpy()
        ports = [prints.hash_numbers(fresh[name]) for name in ("src_port", "dst_port")]
        content = prints.fold([said, prints.hash_numbers(fresh["ns"]), *ports], len(fresh))
        lone = prints.fold([node, prints.hash_texts(fresh["uuid"])], len(fresh))
        has_uuid = prints.lengths(fresh["uuid"]) > 0
        table = fresh.append_column("hour", pa.array(ns // _HOUR))
        made = {
            "place": pa.array(np.arange(len(fresh))),
            "fingerprint": pa.array(np.where(has_uuid, lone, content)),
            "content": pa.array(content),
            "has_uuid": pa.array(has_uuid),
        }
        for name, column in made.items():
            table = table.append_column(name, column)
        counted = counted.astype(bool)
        return table if counted.all() else table.filter(pa.array(counted))

    def _said(self, name: str, template: Any, own: Any) -> Any:
        """What each of these rows of ``decoded`` adds."""
        if not own.any():
            return self._learned.at(name, template)
        values = np.empty(len(own), dtype=np.uint64)
        values[own], values[~own] = self._own.at(name, template[own]), self._learned.at(name, template[~own])
        return values

    def rows(self) -> Any:
        """Ledger rows of the open batch, as Arrow: put together here, which takes an eighth of a join."""
        kept = pa.concat_tables([_KEPT.empty_table(), *self._kept])
        template, hour = kept["template"].to_numpy(), kept["ns"].to_numpy() // _HOUR
        day = hour // HOURS_PER_DAY
        first, last = (int(day.min()), int(day.max())) if len(day) else (0, 0)
        days = pa.array([day_of(one * HOURS_PER_DAY) for one in range(first, last + 1)], pa.string())
        own = template >= OWN
        cluster = self._said("cluster", template, own)
        cluster[own] += np.uint64(len(self._learned.clusters))
        clusters = pa.array([*self._learned.clusters, *self._own.clusters], pa.string())
        made = {
            "day": days.take(pa.array(day - first)),
            "hour": hour,
            "cluster": clusters.take(pa.array(cluster)),
        }
        return pa.table(made | {name: kept[name] for name in ("fingerprint", "content", "has_uuid")})


class _Said:
    """
    What the rows of ``decoded`` add to a fingerprint, by their numbers from ``base`` on.

    Numbers come in order, each once, so an array that grows is enough.
    """

    def __init__(self, base: int, cluster: str | None) -> None:
        self.base = base
        self.clusters: dict[str, int] = {}  # names, with the numbers that the column ``cluster`` holds
        self._cluster = cluster_of(cluster)
        self._columns: dict[str, Any] = {
            name: np.empty(0, dtype=np.uint64) for name in ("node", "content", "counted", "cluster")
        }
        self._next = 0

    def at(self, name: str, numbers: Any) -> Any:
        """Values of these numbers."""
        return self._columns[name][numbers - self.base]

    def extend(self, con: duckdb.DuckDBPyConnection, where: str) -> None:
        """Add the rows of ``decoded`` that came since."""
        names = ", ".join((*_NUMBERS, *_FEW, "dns_query", "http_route", "src_ip", "dst_ip", "node"))
        rows = con.sql(f"""SELECT template - {self.base} AS number, {_COUNTED} AS counted, {names},
            {_ENDS} AS ends, {self._cluster} AS cluster
          FROM decoded d LEFT JOIN owner_map sw ON d.src_workloads_hash = sw.text_hash
            LEFT JOIN owner_map dw ON d.dst_workloads_hash = dw.text_hash
          WHERE {where} AND template >= {self.base + self._next}""").to_arrow_table()
        if not len(rows):
            return
        number = rows["number"].to_numpy()
        node = prints.hash_names(rows["node"])
        shown = [node, *(prints.hash_numbers(rows[name]) for name in _NUMBERS)]
        shown += [prints.hash_names(rows[name]) for name in _FEW]
        shown += [prints.hash_texts(rows[name]) for name in _MANY]
        made = {
            "node": node,
            "content": prints.fold(shown, len(rows)).view(np.uint64),
            "counted": rows["counted"].to_numpy(zero_copy_only=False).astype(np.uint64),
            "cluster": self._numbered(rows["cluster"]),
        }
        size = int(number.max()) + 1
        for name, values in made.items():
            column = np.zeros(size, dtype=np.uint64)
            column[: len(self._columns[name])] = self._columns[name][:size]
            column[number] = values
            self._columns[name] = column
        self._next = size

    def _numbered(self, clusters: Any) -> Any:
        """Numbers for these names."""
        encoded = pc.dictionary_encode(clusters).combine_chunks()
        numbers = [
            self.clusters.setdefault(name, len(self.clusters)) for name in encoded.dictionary.to_pylist()
        ]
        return np.array(numbers, dtype=np.uint64)[encoded.indices.to_numpy()]
