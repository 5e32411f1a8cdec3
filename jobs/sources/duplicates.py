"""
Which records of ``decoded`` were counted before.

A record is known by its node and uuid; without a uuid (old Cilium, field masks, stored logs), or when
the known copy had none, by what every mask keeps. Looked up among the records just read, in what the
open batch holds already, and in the ledger of the hours that they touch.
"""

from typing import Any, Final, Protocol

import duckdb

from jobs.sources.assemble import cluster_of
from jobs.sources.decode import FLOW, LOST, NODE_STATUS

_COUNTED: Final = f"kind IN ({FLOW}, {LOST}, {NODE_STATUS})"
#: Copies of one record are the same but for what masks took out: keep the one that says most, always the same.
_ORDER: Final = "content, length(d::VARCHAR) DESC, d::VARCHAR"


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
        con.execute(f"""CREATE OR REPLACE TEMP TABLE prints AS
          SELECT rowid AS place, part, hour, {cluster_of(self._cluster)} AS cluster, fingerprint, content,
            uuid != '' AS has_uuid FROM decoded WHERE part >= {first_part} AND {_COUNTED}""")
        self._find_known()
        con.execute(f"""CREATE OR REPLACE TEMP TABLE repeated AS
          SELECT place, part FROM prints WHERE has_uuid AND (
            fingerprint IN (SELECT fingerprint FROM known WHERE has_uuid)
            OR content IN (SELECT content FROM known WHERE NOT has_uuid))
          UNION SELECT place, part FROM prints WHERE NOT has_uuid AND content IN (
            SELECT content FROM known UNION ALL SELECT content FROM prints WHERE has_uuid)
          UNION SELECT place, part FROM (
            SELECT d.rowid AS place, part, row_number() OVER (PARTITION BY fingerprint ORDER BY {_ORDER}) AS copy
            FROM decoded d WHERE part >= {first_part} AND {_COUNTED} AND fingerprint IN (
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
        return counts

    def _find_known(self) -> None:
        """Fill ``known`` with the ledger rows, of this batch or an earlier one, that ``prints`` may repeat."""
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
