"""
Questions to the observation store, answered by DuckDB over the tables.

Partial rows of a batch are merged by adding up and by taking extremes, so grouping by fewer columns
than the key gives the same answer before and after compaction. Values from outside are parameters,
never part of the SQL text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from jobs.observations.store import ObservationStore

#: A request may wait for a second, not for the disk of a whole year.
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {"threads": 2}

#: Owner of a label set: the one most recently named by a record.
_OWNERS: Final = """
    SELECT cluster, label_key, max(namespace) AS namespace,
           coalesce(arg_max(workload, last_us) FILTER (workload <> ''), '') AS workload,
           coalesce(arg_max(workload_kind, last_us) FILTER (workload <> ''), '') AS workload_kind,
           arg_max(labels, last_us) AS labels,
           sum(flows) AS flows, min(first_us) AS first_us, max(last_us) AS last_us
    FROM identities WHERE entity = '' GROUP BY cluster, label_key
"""
#: Cluster of the mesh that the pods of a label set run in: "" where their labels do not say.
_MESH: Final = """regexp_extract({labels}, '"k8s:io[.]cilium[.]k8s[.]policy[.]cluster=([^"]*)"', 1)"""


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions of a question; None asks for everything."""

    cluster: str | None = None
    namespace: str | None = None
    workload: str | None = None
    direction: str | None = None
    peer_kind: str | None = None
    protocol: str | None = None
    port: int | None = None
    verdict: str | None = None
    text: str | None = None
    first_day: str | None = None
    last_day: str | None = None


def _ask(
    store: ObservationStore,
    tables: Sequence[str],
    sql: str,
    parameters: dict[str, Any] | None = None,
    days: tuple[str | None, str | None] = (None, None),
) -> list[dict[str, Any]]:
    with duckdb.connect(config=_CONFIG) as con:
        for table in tables:
            con.register(table, store.dataset(table, *days))
        answer = con.execute(sql, parameters or {})
        columns = [column[0] for column in answer.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def namespaces(store: ObservationStore, cluster: str | None) -> list[dict[str, Any]]:
    """Namespaces with how many workloads and flows were seen in them."""
    return _ask(
        store,
        ["identities"],
        f"""
        SELECT cluster, namespace, count(DISTINCT workload || ':' || workload_kind) AS workloads,
               sum(flows)::BIGINT AS flows, min(first_us) AS first_us, max(last_us) AS last_us
        FROM ({_OWNERS}) WHERE namespace <> '' AND ($cluster IS NULL OR cluster = $cluster)
        GROUP BY cluster, namespace ORDER BY cluster, namespace
        """,
        {"cluster": cluster},
    )


_WORKLOAD_ORDER: Final = ("cluster", "namespace", "workload", "workload_kind")


def workloads(
    store: ObservationStore, where: Where, *, after: Sequence[Any] | None, limit: int
) -> list[dict[str, Any]]:
    """Workloads; pods whose owner no record named are one workload without a name per label set."""
    parameters = {
        "cluster": where.cluster,
        "namespace": where.namespace,
        "text": where.text,
        "limit": limit,
    }
    return _ask(
        store,
        ["identities"],
        f"""
        WITH found AS (
          SELECT cluster, namespace, CASE WHEN workload = '' THEN label_key ELSE workload END AS workload,
                 workload_kind, count(*) AS label_sets, arg_max(labels, last_us) AS labels,
                 sum(flows)::BIGINT AS flows, min(first_us) AS first_us, max(last_us) AS last_us
          FROM ({_OWNERS}) WHERE namespace <> '' GROUP BY ALL)
        SELECT * FROM found
        WHERE ($cluster IS NULL OR cluster = $cluster) AND ($namespace IS NULL OR namespace = $namespace)
          AND ($text IS NULL OR contains(lower(workload), lower($text)))
          {_behind(_WORKLOAD_ORDER, after, parameters)}
        ORDER BY {", ".join(_WORKLOAD_ORDER)} LIMIT $limit
        """,
        parameters,
    )


EDGE_ORDER: Final = (
    "cluster",
    "namespace",
    "workload",
    "subject",
    "direction",
    "peer_kind",
    "peer",
    "protocol",
    "port",
    "icmp_type",
)


def edges(
    store: ObservationStore, where: Where, *, after: Sequence[Any] | None, limit: int
) -> list[dict[str, Any]]:
    """Edges over all hours of the days asked for, as observed: not yet oriented, named or screened."""
    parameters: dict[str, Any] = {
        "cluster": where.cluster,
        "namespace": where.namespace,
        "workload": where.workload,
        "direction": where.direction,
        "peer_kind": where.peer_kind,
        "protocol": where.protocol,
        "port": where.port,
        "verdict": where.verdict,
        "limit": limit,
    }
    return _ask(
        store,
        ["edges", "identities"],
        f"""
        WITH owners AS ({_OWNERS}),
        summed AS (
          SELECT cluster, subject, direction, peer_kind, peer, protocol, port, icmp_type,
                 string_agg(DISTINCT nullif(peer_names, ''), ',') AS peer_names,
                 sum(flows)::BIGINT AS flows, sum(connections)::BIGINT AS connections,
                 sum(answered)::BIGINT AS answered,
                 list_sort(list(DISTINCT verdict)) AS verdicts, count(DISTINCT day) AS days,
                 count(DISTINCT hour) AS hours, min(first_us) AS first_us, max(last_us) AS last_us
          FROM edges
          WHERE ($cluster IS NULL OR cluster = $cluster) AND ($direction IS NULL OR direction = $direction)
            AND ($peer_kind IS NULL OR peer_kind = $peer_kind)
            AND ($protocol IS NULL OR protocol = $protocol)
            AND ($port IS NULL OR port = $port) AND ($verdict IS NULL OR verdict = $verdict)
          GROUP BY ALL),
        named AS (
          SELECT summed.*, coalesce(s.namespace, '') AS namespace, coalesce(s.workload, '') AS workload,
                 coalesce(p.namespace, '') AS peer_namespace, coalesce(p.workload, '') AS peer_workload
          FROM summed
          LEFT JOIN owners s ON s.cluster = summed.cluster AND s.label_key = summed.subject
          LEFT JOIN owners p ON p.cluster = summed.cluster AND p.label_key = summed.peer
                            AND summed.peer_kind = 'endpoint')
        SELECT * FROM named
        WHERE ($namespace IS NULL OR namespace = $namespace) AND ($workload IS NULL OR workload = $workload)
          {_behind(EDGE_ORDER, after, parameters)}
        ORDER BY {", ".join(EDGE_ORDER)} LIMIT $limit
        """,
        parameters,
        (where.first_day, where.last_day),
    )


def _behind(order: Sequence[str], after: Sequence[Any] | None, parameters: dict[str, Any]) -> str:
    """Condition of everything behind a cursor in this order."""
    if after is None:
        return ""
    names = [f"after_{column}" for column in order]
    parameters.update(zip(names, after, strict=True))
    return f"AND ({', '.join(order)}) > ({', '.join('$' + name for name in names)})"


def label_sets(
    store: ObservationStore,
    cluster: str,
    *,
    namespace: str | None = None,
    name: str | None = None,
    ip: str | None = None,
) -> list[dict[str, Any]]:
    """Label sets of a workload or pod by its name, or of whoever had an address; the newest first."""
    return _ask(
        store,
        ["identities", "endpoints"],
        f"""
        WITH owners AS ({_OWNERS}),
        pods AS (
          SELECT label_key, max(last_us) AS last_us FROM endpoints
          WHERE cluster = $cluster AND label_key <> '' AND workload_kind <> 'Service'
            AND ($ip IS NULL OR ip = $ip) AND ($name IS NULL OR (pod = $name AND namespace = $namespace))
          GROUP BY label_key),
        named AS (
          SELECT label_key, last_us FROM owners
          WHERE $name IS NOT NULL AND cluster = $cluster AND namespace = $namespace
            AND (workload = $name OR label_key = $name))
        SELECT owners.namespace, owners.workload, owners.workload_kind, owners.label_key, owners.labels
        FROM owners JOIN (SELECT label_key, max(last_us) AS last_us
                          FROM (SELECT * FROM pods UNION ALL SELECT * FROM named) GROUP BY label_key) found
          ON owners.label_key = found.label_key AND owners.cluster = $cluster
        ORDER BY found.last_us DESC, owners.label_key
        """,
        {"cluster": cluster, "namespace": namespace, "name": name, "ip": ip},
    )


def entities_of(store: ObservationStore, namespace: str, name: str) -> list[str]:
    """Reserved entities by which a workload or pod was seen, in any cluster: "" for pods with own labels."""
    found = _ask(
        store,
        ["identities", "endpoints"],
        """
        WITH named AS (
          SELECT cluster, label_key FROM endpoints
          WHERE namespace = $namespace AND (workload = $name OR pod = $name) AND workload_kind <> 'Service'
          UNION SELECT cluster, label_key FROM identities WHERE namespace = $namespace AND workload = $name)
        SELECT DISTINCT entity FROM identities JOIN named USING (cluster, label_key) ORDER BY entity
        """,
        {"namespace": namespace, "name": name},
    )
    return [row["entity"] for row in found]


def names_of(store: ObservationStore, cluster: str, ip: str) -> list[str]:
    """DNS names whose answers held an address."""
    sql = """SELECT DISTINCT name FROM lookups WHERE cluster = $cluster AND ip = $ip ORDER BY name LIMIT 50"""
    return [row["name"] for row in _ask(store, ["lookups"], sql, {"cluster": cluster, "ip": ip})]


def addresses_of(store: ObservationStore, cluster: str, name: str) -> list[str]:
    """Addresses that a DNS name led to, the newest first."""
    sql = """
        SELECT ip FROM lookups WHERE cluster = $cluster AND rtrim(name, '.') = $name AND ip <> ''
        GROUP BY ip ORDER BY max(day) DESC, ip LIMIT 50
    """
    return [row["ip"] for row in _ask(store, ["lookups"], sql, {"cluster": cluster, "name": name})]


def edges_between(
    store: ObservationStore,
    cluster: str,
    client: tuple[str, str, str, str],
    server: tuple[str, str, str],
    peers: Sequence[str],
) -> list[dict[str, Any]]:
    """
    Traffic from a workload to another or to any of these peers, by protocol, port and verdict, newest first.

    ``client`` is cluster, namespace, workload and label-set key, ``server`` the first three of them, a
    peer a label-set key, an address, an entity or a DNS name. Clusters of a mesh see each other's pods:
    a workload is that of its own cluster only, where labels say which that is.
    """
    client_mesh, namespace, workload, label_key = client
    server_mesh, server_namespace, server_workload = server
    return _ask(
        store,
        ["edges", "identities"],
        f"""
        WITH owners AS ({_OWNERS})
        SELECT protocol, port, icmp_type, verdict, sum(edges.flows)::BIGINT AS flows,
               sum(edges.answered)::BIGINT AS answered,
               min(edges.first_us) AS first_us, max(edges.last_us) AS last_us
        FROM edges JOIN owners s ON s.cluster = edges.cluster AND s.label_key = edges.subject
        LEFT JOIN owners p ON p.cluster = edges.cluster AND p.label_key = edges.peer
        WHERE edges.cluster = $cluster AND direction = 'egress'
          AND (s.label_key = $label_key
               OR (s.namespace = $namespace AND s.workload = $workload AND $workload <> ''
                   AND ({_MESH.format(labels="s.labels")} IN ('', $client_mesh) OR $client_mesh = '')))
          AND (list_contains($peers, peer)
               OR (p.namespace = $server_namespace AND p.workload = $server_workload
                   AND $server_workload <> ''
                   AND ({_MESH.format(labels="p.labels")} IN ('', $server_mesh) OR $server_mesh = ''))
               OR len(list_intersect($peers, string_split(peer_names, ','))) > 0)
        GROUP BY protocol, port, icmp_type, verdict
        ORDER BY last_us DESC NULLS LAST, protocol, port, icmp_type, verdict LIMIT 50
        """,
        {
            "cluster": cluster,
            "namespace": namespace,
            "workload": workload,
            "label_key": label_key,
            "client_mesh": client_mesh,
            "server_mesh": server_mesh,
            "server_namespace": server_namespace,
            "server_workload": server_workload,
            "peers": list(peers),
        },
    )


def mesh_names(store: ObservationStore, cluster: str) -> list[str]:
    """Clusters that the pods of these observations say they run in; whose nodes told most of them first."""
    found = _ask(
        store,
        ["edges", "identities"],
        f"""
        WITH owners AS ({_OWNERS}),
        own AS (SELECT subject, sum(flows) AS flows FROM edges
                WHERE cluster = $cluster AND side = 'subject' GROUP BY subject)
        SELECT {_MESH.format(labels="owners.labels")} AS mesh, coalesce(sum(own.flows), 0) AS told
        FROM owners LEFT JOIN own ON own.subject = owners.label_key
        WHERE owners.cluster = $cluster GROUP BY mesh HAVING mesh <> '' ORDER BY told DESC, mesh
        """,
        {"cluster": cluster},
    )
    return [row["mesh"] for row in found]
