"""The two ends of a question, by the names that people use for them, from what was observed."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from jobs.observations.store import ObservationStore
from models.domain.cidr import parse_address
from models.domain.labels import CLUSTER_KEY, K8S, LabelSet
from models.errors import BadInputError, NotFoundError
from models.simulation.context import Side
from service.observed import queries

ENTITIES: Final = ("world", "host", "remote-node", "kube-apiserver", "health", "ingress", "init", "unmanaged")
_DNS_NAME: Final = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)+\.?")
_PLACE: Final = re.compile(r"((?P<mesh>[^/]+)/)?(?P<namespace>[^/]*)/(?P<name>[^/]*)")
FORMS: Final = (
    "[cluster/]namespace/workload, [cluster/]namespace/pod, an address, a DNS name, or one of "
    + ", ".join(ENTITIES)
)


@dataclass(frozen=True, slots=True)
class End:
    """
    One end as observed.

    ``workload`` and ``namespace`` are empty where it is no workload; ``title`` is for people. ``mesh`` is
    the cluster that the labels of a pod name, ``foreign`` whether that is another than the one asked,
    ``elsewhere`` which other clusters of the mesh have a workload or pod of the same name.
    """

    title: str
    side: Side
    namespace: str = ""
    workload: str = ""
    label_key: str = ""
    mesh: str = ""
    foreign: bool = False
    elsewhere: tuple[str, ...] = ()


def find_end(store: ObservationStore, cluster: str, text: str) -> End:
    """
    The end that a person means.

    Raises BadInputError for a text of no known form and NotFoundError for what was never observed.
    """
    text = text.strip()
    if text in ENTITIES:
        return End(text, Side(entity=text, names=()))
    if place := _PLACE.fullmatch(text):
        return _pod(store, cluster, place["namespace"], place["name"], place["mesh"] or "")
    if address := parse_address(text):
        return _address_end(store, cluster, str(address))
    if _DNS_NAME.fullmatch(text.lower()):
        name = text.lower().rstrip(".")
        found = queries.addresses_of(store, cluster, name)
        return End(name, Side(("reserved:world",), found[0] if found else None, (name,)))
    raise BadInputError(f"{text[:80]!r} names no end: write {FORMS}")


def _pod(store: ObservationStore, cluster: str, namespace: str, name: str, mesh: str) -> End:
    """
    A workload or pod of this cluster, or of the one of the mesh that is named.

    Two clusters may each have a workload of that name; the own one is meant where there is one.
    """
    found = queries.label_sets(store, cluster, namespace=namespace, name=name)
    own = _own_name(store, cluster, {_mesh_of(row) for row in found})
    by_mesh: dict[str, list[dict[str, str]]] = {}
    for row in found:
        by_mesh.setdefault(_mesh_of(row) or own, []).append(row)
    chosen = mesh or (own if own in by_mesh else next(iter(by_mesh), ""))
    if chosen not in by_mesh:
        where = f" of cluster {mesh!r}" if mesh else ""
        raise NotFoundError(
            f"no workload or pod {namespace}/{name}{where} was observed in cluster {cluster!r}"
        )
    owners = sorted({row["workload"] for row in by_mesh[chosen]})
    if len(owners) > 1:
        raise BadInputError(f"{namespace}/{name} fits several workloads: {', '.join(owners)}")
    end = _end_of(by_mesh[chosen][0], own)
    return replace(end, elsewhere=tuple(sorted(by_mesh.keys() - {chosen})))


def _mesh_of(row: Mapping[str, str]) -> str:
    return LabelSet.of(orjson.loads(row["labels"] or "[]")).lookup(K8S, CLUSTER_KEY) or ""


def _own_name(store: ObservationStore, cluster: str, named: Collection[str]) -> str:
    """What the labels of own pods call the cluster: ``--cluster`` may have kept its flows by another name."""
    if cluster in named or not any(named):
        return cluster
    names = queries.mesh_names(store, cluster)
    return cluster if cluster in names or not names else names[0]


def _end_of(row: Mapping[str, str], own: str) -> End:
    """End of a row of ``queries.label_sets``: the newest labels count."""
    labels, mesh = tuple(orjson.loads(row["labels"] or "[]")), _mesh_of(row)
    foreign = mesh not in ("", own)
    title = f"{f'{mesh}/' if foreign else ''}{row['namespace']}/{row['workload'] or row['label_key']}"
    return End(title, Side(labels), row["namespace"], row["workload"], row["label_key"], mesh, foreign)


def _address_end(store: ObservationStore, cluster: str, address: str) -> End:
    """End at an address: the pod that had it last, else the outside by the names that led there."""
    found = queries.label_sets(store, cluster, ip=address)
    if found:
        return _end_of(found[0], _own_name(store, cluster, {_mesh_of(found[0])}))
    names = queries.names_of(store, cluster, address)
    return End(address, Side(None, address, tuple(names) or None))
