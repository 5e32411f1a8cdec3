"""Ends of flows as words in a line of text."""

from typing import Final

from models.domain.labels import LabelSet
from models.simulation.context import Side

#: Labels by which people know a workload, the most telling first.
NAMING: Final = ("app.kubernetes.io/name", "k8s-app", "app", "name", "component", "tier")
#: Labels that Cilium adds, or that say where and not who.
_ADDED: Final = ("io.kubernetes.pod.namespace", "io.cilium.")
MAX_LABELS: Final = 3


def shown_labels(labels: LabelSet) -> str:
    """
    Name an identity by one label that people know it by, else by its first few.

    Examples
    --------
    >>> shown_labels(LabelSet.of(("k8s:app=web", "k8s:tier=front", "k8s:io.kubernetes.pod.namespace=shop")))
    'app=web'
    """
    chosen = {label.key: label for label in labels.labels if not label.key.startswith(_ADDED)}
    for key in NAMING:
        if key in chosen:
            return f"{key}={chosen[key].value}"
    texts = [f"{one.key}={one.value}" if one.value else one.key for one in chosen.values()]
    return ", ".join(texts[:MAX_LABELS]) or "any pod"


def shown_side(side: Side) -> str:
    """
    Name one end: labels with their namespace, an entity, an address with its names.

    Examples
    --------
    >>> shown_side(Side(ip="192.0.2.1", names=("a.example.org",)))
    '192.0.2.1 (a.example.org)'
    """
    if side.labels:
        labels = LabelSet.of(side.labels)
        where = f" in {labels.namespace}" if labels.namespace else ""
        return f"{shown_labels(labels)}{where}"
    names = side.names or ()
    text = side.entity or side.ip or "unknown"
    return f"{text} ({', '.join(names)})" if names else text
