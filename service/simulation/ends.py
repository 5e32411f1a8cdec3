"""The two ends of a question, by the names that people use for them, from what was observed."""

import re
from dataclasses import dataclass
from typing import Final

import orjson

from jobs.observations.store import ObservationStore
from models.domain.cidr import parse_address
from models.errors import BadInputError, NotFoundError
from models.simulation.context import Side
from service.observed import queries

ENTITIES: Final = ("world", "host", "remote-node", "kube-apiserver", "health", "ingress", "init", "unmanaged")
_DNS_NAME: Final = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)+\.?")
FORMS: Final = "namespace/workload, namespace/pod, an address, a DNS name, or one of " + ", ".join(ENTITIES)


@dataclass(frozen=True, slots=True)
class End:
    """
    One end as observed.

    ``workload`` and ``namespace`` are empty where it is no workload; ``title`` is for people.
    """

    title: str
    side: Side
    namespace: str = ""
    workload: str = ""
    label_key: str = ""


def find_end(store: ObservationStore, cluster: str, text: str) -> End:
    """
    The end that a person means.

    Raises BadInputError for a text of no known form and NotFoundError for what was never observed.
    """
    text = text.strip()
    if text in ENTITIES:
        return End(text, Side(entity=text, names=()))
    namespace, slash, name = text.partition("/")
    if slash:
        return _pod(store, cluster, namespace, name)
    if address := parse_address(text):
        return _address_end(store, cluster, str(address))
    if _DNS_NAME.fullmatch(text.lower()):
        name = text.lower().rstrip(".")
        found = queries.addresses_of(store, cluster, name)
        return End(name, Side(("reserved:world",), found[0] if found else None, (name,)))
    raise BadInputError(f"{text[:80]!r} names no end: write {FORMS}")


def _pod(store: ObservationStore, cluster: str, namespace: str, name: str) -> End:
    found = queries.label_sets(store, cluster, namespace=namespace, name=name)
    if not found:
        raise NotFoundError(f"no workload or pod {namespace}/{name} was observed in cluster {cluster!r}")
    owners = sorted({row["workload"] for row in found})
    if len(owners) > 1:
        raise BadInputError(f"{namespace}/{name} fits several workloads: {', '.join(owners)}")
    return _end_of(found[0])


def _end_of(row: dict[str, str]) -> End:
    """End of a row of ``queries.label_sets``: the newest labels count."""
    labels = tuple(orjson.loads(row["labels"] or "[]"))
    title = f"{row['namespace']}/{row['workload'] or row['label_key']}"
    return End(title, Side(labels), row["namespace"], row["workload"], row["label_key"])


def _address_end(store: ObservationStore, cluster: str, address: str) -> End:
    """End at an address: the pod that had it last, else the outside by the names that led there."""
    found = queries.label_sets(store, cluster, ip=address)
    if found:
        return _end_of(found[0])
    names = queries.names_of(store, cluster, address)
    return End(address, Side(None, address, tuple(names) or None))
