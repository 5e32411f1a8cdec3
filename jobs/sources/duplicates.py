"""
Which records of ``decoded`` were counted before.

A record is known by its node and uuid; without a uuid (old Cilium, field masks, stored logs), or when
the known copy had none, by what every mask keeps. Looked up among the records just read, in what the
open batch holds already, and in the ledger of the hours that they touch.
"""

from typing import Any, Final, Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.sources import prints
from jobs.sources.assemble import cluster_of
from jobs.sources.decode import FLOW, LOST, NODE_STATUS

_HOUR: Final = 3_600_000_000_000  # nanoseconds
_COUNTED: Final = f"kind IN ({FLOW}, {LOST}, {NODE_STATUS})"
_NUMBERS: Final = (
    "kind", "ns", "src_port", "dst_port", "icmp_type", "event_type", "event_sub_type", "is_reply",
    "http_code",
)  # fmt: skip
_FEW: Final = ("verdict", "direction", "l7_type", "http_method", "dns_query", "http_route")
_MANY: Final = ("src_ip", "dst_ip", "ends")
#: What names the ends where the addresses are masked, and what an event other than a flow says.
_ENDS: Final = """CASE WHEN notice IS NOT NULL THEN notice WHEN src_ip != '' AND dst_ip != '' THEN ''
  ELSE concat_ws('|', src_identity, src_namespace, src_pod, dst_identity, dst_namespace, dst_pod, protocol,
    weight, drop_reason, sw.owner, dw.owner) END"""
#: Copies of one record are the same but for what masks took out: the one that says most is kept.
_SAID: Final = """concat_ws('|', src_ip, dst_ip, src_port, dst_port, protocol, verdict, direction, is_reply,
  event_type, trace_point, trace_reason, src_namespace, dst_namespace, src_pod, dst_pod, src_cluster,
  dst_cluster,
  src_identity, dst_identity, src_labels_hash, dst_labels_hash, src_workloads_hash, dst_workloads_hash,
  src_names_hash, dst_names_hash, allowed_hash, denied_hash, dns_query, dns_ips, http_route, weight)"""


class Ledger(Protocol):
    """The part of the observation store that is needed here."""

    def dataset(self, name: str, first_day: str | None = ..., last_day: str | None = ...) -> Any:
        """Arrow dataset of a table's rows on these days."""


def _day(hour: str) -> str:
    """SQL for the day of an hour since the epoch, as text."""
    return f"strftime(make_timestamp({hour} * 3600000000), '%Y-%m-%d')"


class Duplicates:
    """Finds and removes duplicates; what is new joins the open batch's ledger, the table ``pending``."""

    def __init__(self, con: duckdb.DuckDBPyConnection, ledger: Ledger, cluster: str | None) -> None:
        self._con, self._ledger, self._cluster = con, ledger, cluster
        self.clear()

    def clear(self) -> None:
        """Forget the open batch: its ledger rows are committed."""
        self._con.execute(
            "CREATE OR REPLACE TEMP TABLE pending"
            " (hour BIGINT, cluster VARCHAR, fingerprint BIGINT, content BIGINT, has_uuid BOOLEAN)"
        )

    def remove(self, first_part: int) -> dict[int, int]:
        """Take duplicates out of the parts of ``decoded`` from ``first_part`` on; how many per part."""
        con = self._con
        con.register("prints", self._prints(first_part))
        self._find_known()
        con.execute(f"""CREATE OR REPLACE TEMP TABLE repeated AS
          SELECT place, part FROM prints WHERE has_uuid AND (
            fingerprint IN (SELECT fingerprint FROM known WHERE has_uuid)
            OR content IN (SELECT content FROM known WHERE NOT has_uuid))
          UNION SELECT place, part FROM prints WHERE NOT has_uuid AND content IN (
            SELECT content FROM known UNION ALL SELECT content FROM prints WHERE has_uuid)
          UNION SELECT place, part FROM (
            SELECT place, p.part, row_number() OVER (
              PARTITION BY p.fingerprint ORDER BY length({_SAID}) DESC, {_SAID}) AS copy
            FROM prints p JOIN decoded d ON d.rowid = p.place WHERE p.fingerprint IN (
              SELECT fingerprint FROM prints GROUP BY fingerprint HAVING count(*) > 1))
          WHERE copy > 1""")
        counts = dict(con.execute("SELECT part, count(*) FROM repeated GROUP BY part").fetchall())
        kept = ""
        if counts:
            con.execute("DELETE FROM decoded WHERE rowid IN (SELECT place FROM repeated)")
            kept = " WHERE place NOT IN (SELECT place FROM repeated)"
        con.execute(
            f"INSERT INTO pending SELECT hour, cluster, fingerprint, content, has_uuid FROM prints{kept}"
        )
        con.unregister("prints")
        return counts

    def _prints(self, first_part: int) -> Any:
        """Fingerprints of the records just read, with their places in ``decoded``."""
        names = ", ".join((*_NUMBERS, *_FEW, "src_ip", "dst_ip", "node", "uuid"))
        rows = self._con.sql(f"""SELECT d.rowid AS place, part, ns // {_HOUR} AS hour,
            {cluster_of(self._cluster)} AS cluster,
            {names}, {_ENDS} AS ends
          FROM decoded d LEFT JOIN owner_map sw ON d.src_workloads_hash = sw.text_hash
            LEFT JOIN owner_map dw ON d.dst_workloads_hash = dw.text_hash
          WHERE part >= {first_part} AND {_COUNTED}""").to_arrow_table()
        node = prints.hash_names(rows["node"])
        shown = [node, *(prints.hash_numbers(rows[name]) for name in _NUMBERS)]
        shown += [prints.hash_names(rows[name]) for name in _FEW]
        shown += [prints.hash_texts(rows[name]) for name in _MANY]
        content = prints.fold(shown, len(rows))
        own = prints.fold([node, prints.hash_texts(rows["uuid"])], len(rows))
        has_uuid = pc.not_equal(rows["uuid"], "").to_numpy()
        return pa.table(
            {
                **{name: rows[name] for name in ("place", "part", "hour", "cluster")},
                "fingerprint": pa.array(np.where(has_uuid, own.to_numpy(), content.to_numpy())),
                "content": content,
                "has_uuid": has_uuid,
            }
        )

    def _find_known(self) -> None:
        """Fill ``known`` with the ledger rows, of any batch, that something in ``prints`` may repeat."""
        con = self._con
        found = con.execute(
            f"SELECT min(hour), max(hour), {_day('min(hour)')}, {_day('max(hour)')} FROM prints"
        )
        first, last, first_day, last_day = found.fetchall()[0]
        con.register("ledger", self._ledger.dataset("ledger", first_day, last_day))
        con.execute(f"""CREATE OR REPLACE TEMP TABLE known AS
          SELECT DISTINCT fingerprint, content, has_uuid FROM (
            SELECT hour, fingerprint, content, has_uuid FROM pending
            UNION ALL SELECT hour, fingerprint, content, has_uuid FROM ledger)
          WHERE hour BETWEEN {first or 0} AND {last or 0} AND (
            fingerprint IN (SELECT fingerprint FROM prints) OR content IN (SELECT content FROM prints))""")
        con.unregister("ledger")

    def rows(self) -> Any:
        """Ledger rows of the open batch, as Arrow."""
        return self._con.sql(f"SELECT {_day('hour')} AS day, * FROM pending").to_arrow_table()
