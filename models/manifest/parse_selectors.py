"""Selectors of manifests, with the parts that Cilium adds when it loads an object."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from models.domain.labels import (
    ANY_SOURCE,
    CLUSTER_KEY,
    K8S,
    NAMESPACE_KEY,
    NAMESPACE_LABELS_PREFIX,
    RESERVED,
    split_selector_key,
)
from models.domain.selector import EndpointSelector, Operator, Requirement

NODE_SOURCE: Final = "node"
REMOTE_NODE: Final = Requirement(RESERVED, "remote-node", Operator.EXISTS)
_LABELS: Final = {"matchLabels"}
HAS_NAMESPACE: Final = Requirement(K8S, NAMESPACE_KEY, Operator.EXISTS)


def raw_selector(mapping: Mapping[str, Any], source: str | None = None) -> EndpointSelector:
    """
    Requirements as written.

    Parameters
    ----------
    mapping
        A validated Kubernetes label selector.
    source
        Source of every key (``k8s`` in a NetworkPolicy); ``None`` reads it from the key.
    """
    requirements = [
        Requirement(*_key(key, source), Operator.IN, (value,))
        for key, value in (mapping.get("matchLabels") or {}).items()
    ]
    requirements += [
        Requirement(
            *_key(expression["key"], source),
            Operator(expression["operator"]),
            tuple(sorted(set(expression.get("values") or ()))),
        )
        for expression in mapping.get("matchExpressions") or ()
    ]
    return EndpointSelector(tuple(sorted(requirements)))


def _key(key: str, source: str | None) -> tuple[str, str]:
    return (source, key) if source is not None else split_selector_key(key)


def in_namespace(namespace: str) -> Requirement:
    """The condition that an identity is in a namespace."""
    return Requirement(K8S, NAMESPACE_KEY, Operator.IN, (namespace,))


def subject_selector(mapping: Mapping[str, Any], namespace: str | None) -> EndpointSelector:
    """
    Subject of a CNP (its namespace always added) or of a CCNP (as written).

    A namespace label ``k8s:…`` of the user is overwritten; one without a source is kept beside it,
    so naming another namespace that way selects nothing. An expression is kept too.
    """
    if namespace is None:
        return raw_selector(mapping)
    labels = mapping.get("matchLabels") or {}
    others = {key: value for key, value in labels.items() if key != f"{K8S}:{NAMESPACE_KEY}"}
    kept = raw_selector({**mapping, "matchLabels": others})
    return EndpointSelector(tuple(sorted((*kept.requirements, in_namespace(namespace)))))


def peer_selector(
    mapping: Mapping[str, Any], namespace: str | None, *, subject_is_init: bool
) -> EndpointSelector:
    """
    ``fromEndpoints``/``toEndpoints`` element with its implicit namespace and cluster.

    Parameters
    ----------
    mapping
        The element.
    namespace
        Namespace of the CNP; ``None`` in a CCNP, where any namespace is implied.
    subject_is_init
        The subject selects ``reserved:init``; a CCNP then implies no namespace.
    """
    if set(mapping) <= _LABELS:
        labels = tuple((mapping.get("matchLabels") or {}).items())
        return _by_labels(labels, namespace, subject_is_init=subject_is_init)
    return _implied(raw_selector(mapping), namespace, subject_is_init=subject_is_init)


@lru_cache(maxsize=65536)
def _by_labels(
    labels: tuple[tuple[str, str], ...], namespace: str | None, *, subject_is_init: bool
) -> EndpointSelector:
    """A server is named by the same labels in the policies of all its clients."""
    return _implied(raw_selector({"matchLabels": dict(labels)}), namespace, subject_is_init=subject_is_init)


def _implied(selector: EndpointSelector, namespace: str | None, *, subject_is_init: bool) -> EndpointSelector:
    """The selector with the namespace and the cluster that it implies."""
    if any(r.source == RESERVED for r in selector.requirements):
        return selector
    implied: tuple[Requirement, ...] = ()
    if not selector.has_key(NAMESPACE_KEY, ANY_SOURCE, K8S):
        by_labels = any(
            r.source in (ANY_SOURCE, K8S) and r.key.startswith(NAMESPACE_LABELS_PREFIX)
            for r in selector.requirements
        )
        if namespace is None:
            implied = () if subject_is_init else (HAS_NAMESPACE,)
        elif not by_labels:
            implied = (in_namespace(namespace),)
    return with_default_cluster(selector.with_requirements(*implied))


def node_selector(mapping: Mapping[str, Any]) -> EndpointSelector:
    """``fromNodes``/``toNodes`` element: other nodes only, of the own cluster where that is implied."""
    return with_default_cluster(raw_selector(mapping).with_requirements(REMOTE_NODE))


def with_default_cluster(selector: EndpointSelector) -> EndpointSelector:
    """The selector, marked to mean the own cluster by default unless it names one."""
    names_one = selector.has_key(CLUSTER_KEY, ANY_SOURCE, K8S)
    return EndpointSelector(tuple(sorted(selector.requirements)), cluster_by_default=not names_one)
