"""What was just read, counted by part: how many records of which kind, and which facts the flows carry."""

from collections import Counter
from typing import Any, Final

import duckdb
import pyarrow as pa

from jobs.sources.assemble import ODD_CLUSTER, another_cluster, cluster_of
from jobs.sources.decode import FLOW

#: Per part: how many have each fact of COSTS, in its order. Drops and socket events never say whether they
#: are replies, so only the others count for that.
_FACTS: Final = """
    coalesce(sum(records) FILTER (is_reply IS NOT NULL
      OR verdict IN ('DROPPED', 'TRACED', 'TRANSLATED')), 0)::BIGINT,
    coalesce(sum(records) FILTER (src_labels_hash IS NOT NULL OR dst_labels_hash IS NOT NULL), 0)::BIGINT,
    coalesce(sum(records) FILTER (node != ''), 0)::BIGINT,
    coalesce(sum(records) FILTER (dst_port IS NOT NULL
      OR protocol NOT IN ('TCP', 'UDP', 'SCTP', '')), 0)::BIGINT,
    coalesce(sum(records) FILTER (src_ip != '' OR dst_ip != ''), 0)::BIGINT,
    coalesce(sum(records) FILTER (verdict != 'DROPPED'), 0)::BIGINT"""


def meet(con: duckdb.DuckDBPyConnection, fresh: pa.Table) -> None:
    """Group what was read by part and template, for the two counts below."""
    con.register("fresh", fresh)
    con.execute("""CREATE OR REPLACE TEMP TABLE met AS
      SELECT part, template, count(*) AS records, min(ns) AS first_ns FROM fresh GROUP BY ALL""")
    con.unregister("fresh")


def flows_met(con: duckdb.DuckDBPyConnection, cluster: str | None) -> list[tuple[Any, ...]]:
    """
    Per part with flows: part, cluster, first time in microseconds, flows, those renamed, and COSTS.

    Renamed is what a run keeps under its own ``cluster`` although it names another, or, where the run names
    none, what names its cluster by what is no name.
    """
    renamed = ODD_CLUSTER if cluster is None else another_cluster(cluster)
    return con.execute(f"""SELECT met.part, min({cluster_of(cluster)}), min(first_ns) // 1000,
        sum(records)::BIGINT, coalesce(sum(records) FILTER ({renamed}), 0)::BIGINT, {_FACTS}
      FROM met JOIN decoded USING (template) WHERE kind = {FLOW} GROUP BY met.part""").fetchall()


def kinds_met(con: duckdb.DuckDBPyConnection) -> Counter[tuple[int, int]]:
    """Records by part and kind, duplicates included."""
    rows = con.execute("""SELECT met.part, kind, sum(records)::BIGINT FROM met
      JOIN decoded USING (template) GROUP BY ALL ORDER BY ALL""").fetchall()
    return Counter({(part, kind): count for part, kind, count in rows})
