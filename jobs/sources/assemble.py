"""
From ``decoded`` and ``kept`` to the tables that a batch is aggregated from.

``templates`` is a view of those that the batch met: what repeats in them (labels, owners, names,
policies) was decoded once per distinct text, and is joined when the aggregation reads it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa

from jobs.observations.clock import US_PER_HOUR
from jobs.observations.records import ANSWERS, LABEL_SETS, NOTICES, TAKEN, TEMPLATES
from jobs.sources import enums
from jobs.sources.decode import FLOW, LOST, NODE_STATUS

TYPES: Final = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "boolean": "BOOLEAN"}
#: Node states that leave a hole in what a relay delivers; the others are good news.
HOLES: Final = ("NODE_UNAVAILABLE", "NODE_GONE", "NODE_ERROR")
#: What may name a cluster: it becomes part of paths, selectors and pages. The pattern is RE2's and Python's.
CLUSTER_NAME: Final = "[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"


def _is_name(column: str) -> str:
    return f"regexp_full_match({column}, '{CLUSTER_NAME}')"


#: Cluster of a record whose run names none: the node's, else that of the end on this node, else either's.
_CLUSTER: Final = f"""CASE WHEN {_is_name("node_cluster")} THEN node_cluster
  WHEN src_id > 0 AND dst_id = 0 AND {_is_name("src_cluster")} THEN src_cluster
  WHEN dst_id > 0 AND src_id = 0 AND {_is_name("dst_cluster")} THEN dst_cluster
  WHEN {_is_name("src_cluster")} THEN src_cluster WHEN {_is_name("dst_cluster")} THEN dst_cluster
  ELSE 'default' END"""
#: Whether a record names a cluster by what is no name: it is counted, and kept under another name.
ODD_CLUSTER: Final = " OR ".join(
    f"({name} != '' AND NOT {_is_name(name)})" for name in ("node_cluster", "src_cluster", "dst_cluster")
)
_MAPS: Final = (
    ("sl", "label_map", "src_labels"),
    ("dl", "label_map", "dst_labels"),
    ("sw", "owner_map", "src_workloads"),
    ("dw", "owner_map", "dst_workloads"),
    ("sn", "name_map", "src_names"),
    ("dn", "name_map", "dst_names"),
    ("al", "policy_map", "allowed"),
    ("de", "policy_map", "denied"),
)
#: What a record has of its own, from the columns of ``kept``.
_OWN: Final = {"time_us": "ns // 1000"}
_JOINS: Final = " ".join(
    f"LEFT JOIN {table} {short} ON d.{column}_hash = {short}.text_hash" for short, table, column in _MAPS
)
_JOINED: Final = {
    "src_key": "coalesce(sl.label_key, '')",
    "dst_key": "coalesce(dl.label_key, '')",
    # Some records name the namespace only in a label.
    "src_namespace": "coalesce(nullif(d.src_namespace, ''), sl.namespace, '')",
    "dst_namespace": "coalesce(nullif(d.dst_namespace, ''), dl.namespace, '')",
    "src_workload": "coalesce(sw.owner, '')",
    "src_workload_kind": "coalesce(sw.owner_kind, '')",
    "dst_workload": "coalesce(dw.owner, '')",
    "dst_workload_kind": "coalesce(dw.owner_kind, '')",
    "src_names": "coalesce(sn.names, '')",
    "dst_names": "coalesce(dn.names, '')",
    "allowed_by": "coalesce(al.policies, '')",
    "denied_by": "coalesce(de.policies, '')",
}


def quote(text: str) -> str:
    """SQL text literal."""
    return "'" + text.replace("'", "''") + "'"


def cluster_of(cluster: str | None) -> str:
    """SQL for the cluster of a record of ``decoded``."""
    return _CLUSTER if cluster is None else quote(cluster)


def another_cluster(cluster: str) -> str:
    """SQL for whether a record of ``decoded`` names another cluster than the one that it is kept under."""
    return f"({_CLUSTER}) NOT IN ('default', {quote(cluster)})"


def assemble(con: duckdb.DuckDBPyConnection, *, cluster: str | None, source: str) -> None:
    """Make ``templates``, ``taken``, ``answers`` and ``label_sets`` out of ``decoded`` and ``kept``."""
    made = {"cluster": cluster_of(cluster), "source": quote(source)} | _JOINED
    columns = ", ".join(
        f"({made.get(name, f'd.{name}')})::{TYPES[kind]} AS {name}" for name, kind in TEMPLATES.items()
    )
    own = ", ".join(f"({_OWN.get(name, name)})::{TYPES[kind]} AS {name}" for name, kind in TAKEN.items())
    con.execute(
        "CREATE OR REPLACE TEMP TABLE label_sets AS SELECT DISTINCT "
        f"{', '.join(LABEL_SETS)} FROM label_map WHERE label_key != ''"
    )
    con.execute("CREATE OR REPLACE TEMP TABLE used AS SELECT DISTINCT template FROM kept")
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW templates AS SELECT {columns} FROM decoded d {_JOINS}"
        f" WHERE d.kind = {FLOW} AND d.template IN (SELECT template FROM used)"
    )
    con.execute(f"CREATE OR REPLACE TEMP VIEW taken AS SELECT {own} FROM kept")
    # Taken out first: left to itself, the planner now and then joins all rows to find the few with answers.
    con.execute(f"""CREATE OR REPLACE TEMP TABLE answered AS SELECT * FROM decoded
      WHERE kind = {FLOW} AND dns_ips IS NOT NULL AND dns_rcode = 0
        AND template IN (SELECT template FROM used)""")
    answers = ", ".join(f"{name}::{TYPES[kind]} AS {name}" for name, kind in ANSWERS.items())
    con.execute(f"""CREATE OR REPLACE TEMP TABLE answers AS SELECT {answers} FROM (
      SELECT cluster, node, kept.ns // 1000 AS time_us, dst_key AS client_key,
        dst_namespace AS client_namespace, dst_pod AS client_pod, dns_query, dns_ttl, ip
      FROM (
        SELECT template, cluster, node, dst_key, dst_namespace, dst_pod, dns_query, dns_ttl,
          unnest(json_extract_string(try_cast(dns_ips AS JSON), '$[*]')) AS ip
        FROM (SELECT {columns}, d.dns_ips FROM answered d {_JOINS})) JOIN kept USING (template))
      WHERE ip IS NOT NULL AND ip != ''""")
    con.execute("DROP TABLE answered")


def notices(
    con: duckdb.DuckDBPyConnection,
    *,
    cluster: str | None,
    source: str,
    refused: Counter[tuple[int, str, str]],
    places: Mapping[int, tuple[str, int]],
) -> None:
    """
    Make ``notices``: lost events and missing nodes of ``decoded``, and counts of what was not used.

    ``refused`` counts by (part, kind, reason); ``places`` says the cluster and the first time of the
    flows of a part. A count is placed in that hour; without any flow beside it there is no hour to put
    it in, and only the reject itself tells.
    """
    rows: list[dict[str, object]] = []
    found = con.execute(f"""SELECT {cluster_of(cluster)}, node, kept.ns // 1000, kind, notice
      FROM decoded JOIN kept USING (template)
      WHERE kind IN ({LOST}, {NODE_STATUS}) ORDER BY ALL""").fetchall()
    for of, node, time_us, kind, text in found:
        made = [_lost(text)] if kind == LOST else _holes(text)
        rows += [{"cluster": of, "source": source, "node": node, "time_us": time_us} | row for row in made]
    for (part, kind, reason), count in sorted(refused.items()):
        if part in places:
            of, first = places[part]
            place = {
                "cluster": of,
                "source": source,
                "node": "",
                "time_us": first // US_PER_HOUR * US_PER_HOUR,
            }
            rows.append(place | {"kind": kind, "reason": reason, "count": count})
    arrow = {"string": pa.string(), "int64": pa.int64()}
    schema = pa.schema([(name, arrow[kind]) for name, kind in NOTICES.items()])
    con.register("notice_rows", pa.Table.from_pylist(rows, schema=schema))
    con.execute("CREATE OR REPLACE TEMP TABLE notices AS SELECT * FROM notice_rows")
    con.unregister("notice_rows")


def lost_events(con: duckdb.DuckDBPyConnection, parts: range) -> Counter[int]:
    """Events that Hubble says it lost, per part."""
    found = con.execute(f"""SELECT kept.part, notice FROM kept JOIN decoded USING (template)
      WHERE kept.part BETWEEN {parts.start} AND {parts.stop - 1} AND kind = {LOST}""").fetchall()
    lost: Counter[int] = Counter()
    for part, text in found:
        lost[part] += int(str(_lost(text)["count"]))
    return lost


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _named(value: object, known: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in known:
        return value
    text = str(value)
    return known[int(text)] if text.isdecimal() and int(text) < len(known) else known[0]


def _lost(text: str) -> dict[str, object]:
    event = _object(text)
    count = str(event.get("num_events_lost", event.get("numEventsLost", 0)))
    lost = min(int(count), 1 << 62) if count.isdecimal() and len(count) < 20 else 0  # noqa: PLR2004 - a uint64
    return {"kind": "lost", "reason": _named(event.get("source", 0), enums.LOST_SOURCES), "count": lost}


def _holes(text: str) -> list[dict[str, object]]:
    event = _object(text)
    state = _named(event.get("state_change", event.get("stateChange", 0)), enums.NODE_STATES)
    names = event.get("node_names", event.get("nodeNames", []))
    if state not in HOLES or not isinstance(names, list):
        return []
    return [
        {"kind": "node_unavailable", "reason": state, "count": 1, "node": str(name).rpartition("/")[2]}
        for name in names
    ]
