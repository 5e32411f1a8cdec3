"""
Repeated texts of a batch, decoded once each: label sets, owners, names, policies.

A batch of a hundred thousand flows holds a few hundred distinct label lists. They travel through
DuckDB as the JSON text they were, are decoded here once per distinct text, and are joined back.
"""

import hashlib
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from models.domain.labels import CLUSTER_KEY, NAMESPACE_KEY, RESERVED, parse_label

#: Which reserved label speaks for an identity that has several: the API server of a managed control
#: plane is also ``world``, the one of a self-hosted cluster also ``remote-node`` or ``host``.
PRECEDENCE: Final = (
    "kube-apiserver",
    "host",
    "remote-node",
    "ingress",
    "health",
    "init",
    "unmanaged",
    "world",
    "world-ipv4",
    "world-ipv6",
)
#: Sources of labels that Cilium gives to addresses outside the cluster.
OUTSIDE_SOURCES: Final = ("cidr", "cidrgroup", "fqdn")
CACHED: Final = 1 << 16  # distinct texts remembered between batches


class LabelRow(NamedTuple):
    """A row of LABEL_SETS."""

    label_key: str
    labels: str
    namespace: str
    cluster_label: str
    entity: str


def entity_of(labels: list[str]) -> str:
    """Reserved entity of an identity, ``""`` for an ordinary pod; world whatever the address family."""
    parsed = [parse_label(label) for label in labels]
    names = {label.key for label in parsed if label.source == RESERVED}
    for name in PRECEDENCE:
        if name in names:
            return "world" if name.startswith("world") else name
    if names:
        return min(names)
    sources = {label.source for label in parsed}
    return "world" if sources and sources <= set(OUTSIDE_SOURCES) else ""


def _texts(text: str) -> list[str]:
    """Strings of a JSON array; anything else has none."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    if isinstance(value, str):
        value = [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


@lru_cache(maxsize=CACHED)
def label_row(text: str) -> LabelRow:
    """
    Decode a JSON list of labels; the key is ``""`` where there are none.

    The key is a hash of the sorted, source-prefixed labels: the order and the spacing of the JSON
    do not matter, and Cilium's numeric identity, which is reused, plays no part.
    """
    labels = sorted(set(_texts(text)))
    if not labels:
        return LabelRow("", "[]", "", "", "")
    canonical = orjson.dumps(labels)
    key = hashlib.blake2b(canonical, digest_size=8).hexdigest()
    found = {(label.source, label.key): label.value for label in map(parse_label, labels)}
    namespace = found.get(("k8s", NAMESPACE_KEY), "")
    cluster = found.get(("k8s", CLUSTER_KEY), "")
    return LabelRow(key, canonical.decode(), namespace, cluster, entity_of(labels))


@lru_cache(maxsize=CACHED)
def owner(text: str) -> tuple[str, str]:
    """Name and kind of the first workload in a JSON list of them."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "", ""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return "", ""
    name, kind = value.get("name"), value.get("kind")
    return (name if isinstance(name, str) else ""), (kind if isinstance(kind, str) else "")


@lru_cache(maxsize=CACHED)
def names(text: str) -> str:
    """DNS names: lower-case, no trailing dot, sorted, joined by ``,``; a name with a comma is none."""
    found = {name.lower().rstrip(".") for name in _texts(text)}
    return ",".join(sorted(name for name in found if name and "," not in name))


@lru_cache(maxsize=CACHED)
def policies(text: str) -> str:
    """Policies as ``Kind/namespace/name``, sorted, joined by ``,``; one JSON list per line of text."""
    found = set()
    for line in text.splitlines():
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                found.add("/".join(_policy_parts(item)))
    return ",".join(sorted(name for name in found if "," not in name))


def _policy_parts(item: dict[str, Any]) -> tuple[str, str, str]:
    kind = item.get("kind") or _derived_from(item.get("labels"))
    return str(kind or ""), str(item.get("namespace") or ""), str(item.get("name") or "")


def _derived_from(labels: object) -> str:
    """Kind of the resource, which Cilium before 1.17 says only in the policy's own labels."""
    for label in labels if isinstance(labels, list) else []:
        if isinstance(label, str) and "io.cilium.k8s.policy.derived-from=" in label:
            return label.partition("=")[2]
    return ""
