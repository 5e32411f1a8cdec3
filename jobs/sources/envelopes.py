"""
Unwrapping: from any line that a collector, a log store or an API wrote to bare flow lines.

Works on columns, one layer for all lines at a time. A line is done when it is a Hubble line
(``flow``, ``lost_events``, …) or a bare flow; otherwise the member that collectors put the line in is
taken, as an object or as a string that holds JSON, and looked at again.
"""

from typing import Any, Final

import duckdb
import pyarrow as pa

from jobs.sources.splitter import Splitter

MAX_LAYERS: Final = 8
MAX_PREFIX: Final = 256  # characters before the JSON: a CRI or syslog prefix, `kubectl logs --timestamps`

#: Where collectors and stores keep the line they carried, most telling first.
MEMBERS: Final = tuple(
    f"$.{name}"
    for name in (
        "flow", "log", "message", "msg", "body", "line", "_raw", "_source", "event", "data", "payload",
        "record", "records", "value", "textPayload", "jsonPayload", "LogEntry", "LogMessage", "fields",
        "stringValue", "result", "@message", "hubble", "raw", "content", "text", "original",
        '"cilium.event_object"',
        'attributes."cilium.event_object"', "attributes", "Attributes", "Body",
    )
)  # fmt: skip
#: The same, where one answer holds many lines.
LISTS: Final = (
    "$.data.result[*].values[*][1]",  # Loki query_range
    "$.streams[*].values[*][1]",  # Loki push
    "$.hits.hits[*]",  # Elasticsearch
    "$.resourceLogs[*].scopeLogs[*].logRecords[*]",  # OTLP
    "$.values[*][1]",
)
#: A line with one of these is a Hubble line.
KINDS: Final = (
    "flow", "lost_events", "node_status", "agent_event", "debug_event",
    "lostEvents", "nodeStatus", "agentEvent", "debugEvent",
)  # fmt: skip
#: Two of these make a bare flow.
FLOW_KEYS: Final = (
    "verdict", "IP", "ip", "l4", "event_type", "eventType", "traffic_direction", "trafficDirection",
    "is_reply", "isReply", "source", "destination", "Summary", "node_name", "nodeName", "uuid",
)  # fmt: skip


def _azure() -> str:
    """JSON of a flow out of a row of Azure Monitor's table ContainerNetworkLogs."""

    def dynamic(name: str) -> str:  # dynamic columns come as JSON, or as a string that holds JSON
        return (
            f"CASE json_type(doc, '$.{name}') WHEN 'VARCHAR'"
            f" THEN CASE WHEN json_valid(doc->>'$.{name}') THEN (doc->>'$.{name}')::JSON END"
            f" ELSE doc->'$.{name}' END"
        )

    def end(side: str) -> str:
        return (
            f"json_object('namespace', doc->>'$.{side}Namespace', 'pod_name', doc->>'$.{side}PodName',"
            f" 'workloads', {dynamic(f'{side}Workloads')}, 'identity', doc->>'$.{side}Identity',"
            f" 'cluster_name',"
            f" doc->>'$.{side}ClusterName')"
        )

    ip = dynamic("IP")
    counts = (
        "coalesce(doc->>'$.IngressFlowCount', doc->>'$.EgressFlowCount', doc->>'$.UnknownDirectionFlowCount')"
    )
    return f"""json_object('flow', json_object(
      'time', doc->>'$.TimeGenerated', 'verdict', doc->>'$.Verdict', 'node_name', doc->>'$.NodeName',
      'uuid', doc->>'$.UUID', 'is_reply', doc->>'$.Reply',
      'drop_reason_desc', nullif(doc->>'$.DropReason', ''),
      'traffic_direction', doc->>'$.TrafficDirection',
      'trace_observation_point', doc->>'$.TraceObservationPoint',
      'IP', json_object('source', coalesce(({ip})->>'$.source', ({ip})->>'$.Source'),
                        'destination', coalesce(({ip})->>'$.destination', ({ip})->>'$.Destination')),
      'l4', {dynamic("Layer4")}, 'l7', {dynamic("Layer7")}, 'event_type', {dynamic("EventType")},
      'source', {end("Source")}, 'destination', {end("Destination")},
      'aggregate', CASE WHEN {counts} IS NOT NULL THEN json_object(
         'ingress_flow_count', doc->>'$.IngressFlowCount', 'egress_flow_count', doc->>'$.EgressFlowCount',
         'unknown_direction_flow_count', doc->>'$.UnknownDirectionFlowCount') END))"""


def _any(keys: tuple[str, ...], doc: str = "doc") -> str:
    return " OR ".join(f"json_exists({doc}, '$.{key}')" for key in keys)


def _extracted(path: str) -> str:
    return f"CASE WHEN len(json_extract(doc, '{path}')) > 0 THEN json_extract(doc, '{path}') END"


def _member(path: str) -> str:
    kinds = "('OBJECT', 'ARRAY', 'VARCHAR')"
    return f"CASE WHEN json_type(doc, '{path}') IN {kinds} THEN json_extract_string(doc, '{path}') END"


_HUBBLE: Final = " OR ".join(f"json_type(doc, '$.{kind}') = 'OBJECT'" for kind in KINDS)
_BARE: Final = (
    f"len(list_filter([{', '.join(map(repr, FLOW_KEYS))}],"
    " lambda key: list_contains(json_keys(doc), key))) > 1"
)
_AZURE_KEYS: Final = _any(("Verdict", "SourceNamespace", "DestinationNamespace"))
_LIST: Final = f"coalesce({', '.join(map(_extracted, LISTS))})"
_MEMBER: Final = f"coalesce({', '.join(map(_member, MEMBERS))})"

_FORM: Final = f"""
  CASE WHEN doc IS NULL THEN 'invalid UTF-8'
       WHEN NOT json_valid(doc) THEN 'broken'
       WHEN json_type(doc) = 'ARRAY' THEN 'array'
       WHEN json_type(doc) = 'VARCHAR' THEN 'string'
       WHEN json_type(doc) != 'OBJECT' THEN 'scalar'
       WHEN {_HUBBLE} THEN 'hubble'
       WHEN json_exists(doc, '$.TimeGenerated') AND ({_AZURE_KEYS}) THEN 'azure'
       WHEN json_exists(doc, '$.tables[0].columns') THEN 'tables'
       WHEN {_BARE} THEN 'bare'
       WHEN {_LIST} IS NOT NULL THEN 'list'
       ELSE 'member' END"""

#: A wrapped flow keeps the wrapper's node and time, which the flow itself may lack.
_OUTER: Final = """CASE WHEN json_type(doc, '$.flow') = 'VARCHAR' AND json_valid(doc->>'$.flow')
   THEN json_object('flow', (doc->>'$.flow')::JSON, 'node_name', doc->'$.node_name',
     'time', doc->'$.time')::VARCHAR END"""

#: What a line is before JSON is looked for: a byte-order mark goes, raw control characters become escapes.
_CLEAN: Final = r"""CASE WHEN json_valid(doc) THEN doc ELSE
   regexp_replace(replace(replace(ltrim(doc, chr(65279)), chr(0), '\u0000'), chr(9), '\t'),
     '[\x01-\x08\x0b\x0c\x0e-\x1f]', ' ', 'g') END"""


def unwrap(con: duckdb.DuckDBPyConnection, lines: Any) -> None:
    """
    Fill the tables ``docs`` (part, line, doc) and ``refused`` (part, line, reason, doc).

    ``lines`` is an Arrow table (part, line, doc): text, or NULL where the bytes were no text.
    """
    con.register("odd_lines", lines)
    con.execute("CREATE OR REPLACE TEMP TABLE docs (part INTEGER, line BIGINT, doc VARCHAR)")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE refused (part INTEGER, line BIGINT, reason VARCHAR, doc VARCHAR)"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE layer AS SELECT part, line, {_CLEAN} AS doc FROM odd_lines")
    _join_partial_lines(con)
    for depth in range(MAX_LAYERS + 1):
        con.execute(f"CREATE OR REPLACE TEMP TABLE formed AS SELECT *, {_FORM} AS form FROM layer")
        forms = {form for (form,) in con.execute("SELECT DISTINCT form FROM formed").fetchall()}
        if not forms:
            break
        if depth == MAX_LAYERS:
            _refuse(con, "form NOT IN ('hubble', 'bare', 'azure')", "'nested too deep'")
        con.execute("INSERT INTO docs SELECT part, line, doc FROM formed WHERE form = 'hubble'")
        con.execute(
            """INSERT INTO docs SELECT part, line, '{"flow":' || doc || '}' FROM formed WHERE form = 'bare'"""
        )
        con.execute(
            f"INSERT INTO docs SELECT part, line, ({_azure()})::VARCHAR FROM formed WHERE form = 'azure'"
        )
        if depth < MAX_LAYERS:
            _next_layer(con, forms)
    con.unregister("odd_lines")


def _next_layer(con: duckdb.DuckDBPyConnection, forms: set[str]) -> None:
    """Take one wrap off every line that is not done."""
    _refuse(
        con, "form IN ('invalid UTF-8', 'scalar')", "CASE form WHEN 'scalar' THEN 'not a flow' ELSE form END"
    )
    con.execute(f"""CREATE OR REPLACE TEMP TABLE layer AS
      SELECT part, line, unnest(json_extract(doc, '$[*]'))::VARCHAR AS doc FROM formed WHERE form = 'array'
      UNION ALL SELECT part, line, doc->>'$' FROM formed WHERE form = 'string'
      UNION ALL SELECT part, line, item->>'$' FROM (
        SELECT part, line, unnest({_LIST}) AS item FROM formed WHERE form = 'list')
      UNION ALL SELECT part, line, inner_doc FROM (
        SELECT part, line, coalesce({_OUTER}, {_MEMBER}) AS inner_doc FROM formed WHERE form = 'member')
        WHERE inner_doc IS NOT NULL""")
    if "tables" in forms:
        _unroll_tables(con)
    _refuse(con, f"form = 'member' AND coalesce({_OUTER}, {_MEMBER}) IS NULL", "'not a flow'")
    if "broken" in forms:
        _mend(con)


def _unroll_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Rows of an answer of the Log Analytics API, each as an object of its columns."""
    con.execute("""INSERT INTO layer
      WITH parts AS (SELECT part, line, unnest(json_extract(doc, '$.tables[*]')) AS answer FROM formed
        WHERE form = 'tables'),
      cells AS (SELECT part, line, json_extract_string(answer, '$.columns[*].name') AS names,
        unnest(json_extract(answer, '$.rows[*]')) AS cells FROM parts)
      SELECT part, line, to_json(map(names, json_extract(cells, '$[*]')))::VARCHAR FROM cells""")


def _refuse(con: duckdb.DuckDBPyConnection, where: str, reason: str) -> None:
    con.execute(f"INSERT INTO refused SELECT part, line, {reason}, doc FROM formed WHERE {where}")


def _mend(con: duckdb.DuckDBPyConnection) -> None:
    """Lines that are no JSON: what follows a short prefix may be, or several objects share the line."""
    rest = "substr(doc, strpos(doc, '{'))"
    con.execute(f"""INSERT INTO layer SELECT part, line, {rest} FROM formed
      WHERE form = 'broken' AND strpos(doc, '{{') BETWEEN 2 AND {MAX_PREFIX} AND json_valid({rest})""")
    broken = con.execute(f"""SELECT part, line, doc FROM formed WHERE form = 'broken'
      AND NOT (strpos(doc, '{{') BETWEEN 2 AND {MAX_PREFIX} AND json_valid({rest}))""").fetchall()
    found: list[tuple[int, int, str]] = []
    refused: list[tuple[int, int, str, str]] = []
    for part, line, doc in broken:
        values = list(Splitter().values([doc.encode()])) if "}" in doc else []
        objects = [value.raw.decode() for value in values if not value.problem]
        if len(objects) > 1 or (objects and len(values) == 1 and len(objects[0]) < len(doc.strip())):
            found += [(part, line, text) for text in objects]
            refused += [(part, line, "not JSON", value.raw.decode()) for value in values if value.problem]
        else:
            refused.append((part, line, "not JSON", doc))
    _append(con, "layer", ["part", "line", "doc"], found)
    _append(con, "refused", ["part", "line", "reason", "doc"], refused)


def _append(con: duckdb.DuckDBPyConnection, table: str, names: list[str], rows: list[Any]) -> None:
    if rows:
        columns = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
        con.register("more_rows", pa.table(columns))
        con.execute(f"INSERT INTO {table} SELECT * FROM more_rows")
        con.unregister("more_rows")


def _join_partial_lines(con: duckdb.DuckDBPyConnection) -> None:
    """Join what a container runtime cut: CRI lines marked ``P`` go on in the next of their stream."""
    cri = r"^\S+ (stdout|stderr) ([FP])(?: |$)"
    partial = con.execute(
        f"SELECT count(*) FROM layer WHERE regexp_matches(doc, '{cri}') AND doc[1] != '{{'"
    ).fetchall()
    if not partial[0][0]:
        return
    con.execute(rf"""CREATE OR REPLACE TEMP TABLE layer AS
      WITH cri AS (
        SELECT *, regexp_extract(doc, '{cri}', 1) AS stream, regexp_extract(doc, '{cri}', 2) AS mark
        FROM layer),
      grouped AS (
        SELECT *, coalesce(sum((mark != 'P')::INTEGER) OVER (
          PARTITION BY part, stream ORDER BY line
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS piece
        FROM cri)
      SELECT part, min(line) AS line, CASE WHEN stream = '' THEN first(doc) ELSE
        string_agg(regexp_replace(doc, '{cri}', ''), '' ORDER BY line) END AS doc
      FROM grouped GROUP BY part, stream, CASE WHEN stream = '' THEN line END, piece""")
