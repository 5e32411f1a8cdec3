"""
Labels with their source, as Cilium's identities carry them and Hubble prints them.

``k8s:app=web`` has the source ``k8s``, the key ``app`` and the value ``web``. In a *selector* a key
without a source means any source. Two labels of one identity never share a key: Cilium keeps one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

ANY_SOURCE: Final = "any"
K8S: Final = "k8s"
RESERVED: Final = "reserved"
UNSPECIFIED: Final = "unspec"

NAMESPACE_KEY: Final = "io.kubernetes.pod.namespace"
NAMESPACE_LABELS_PREFIX: Final = "io.cilium.k8s.namespace.labels."
CLUSTER_KEY: Final = "io.cilium.k8s.policy.cluster"
SERVICE_ACCOUNT_KEY: Final = "io.cilium.k8s.policy.serviceaccount"


class Label(NamedTuple):
    """One identity label: where it comes from, its key and its value (empty when it has none)."""

    source: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.source}:{self.key}={self.value}" if self.value else f"{self.source}:{self.key}"


@lru_cache(maxsize=65536)
def parse_label(text: str) -> Label:
    """
    Read one label as Hubble prints it (``pkg/labels.ParseLabel``).

    Parameters
    ----------
    text
        ``source:key=value``; the source ends at the first ``:``, the key at the first ``=`` after
        it. Without a source it is ``unspec``. Everything after is the value, ``=`` included.

    Examples
    --------
    >>> parse_label("k8s:app=a=b")
    Label(source='k8s', key='app', value='a=b')
    >>> parse_label("reserved:host")
    Label(source='reserved', key='host', value='')
    """
    source, colon, rest = text.partition(":")
    if not colon:
        source, rest = UNSPECIFIED, text
    key, _, value = rest.partition("=")
    return Label(source or UNSPECIFIED, key, value)


def split_selector_key(key: str) -> tuple[str, str]:
    """
    Source and key of a selector's key; only ``:`` separates, a dot never does.

    Examples
    --------
    >>> split_selector_key("k8s:app"), split_selector_key("k8s.app")
    (('k8s', 'app'), ('any', 'k8s.app'))
    """
    source, colon, rest = key.partition(":")
    return (source, rest) if colon else (ANY_SOURCE, key)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """
    The labels of one identity.

    Parameters
    ----------
    labels
        Sorted and distinct; build it with `of`.
    """

    labels: tuple[Label, ...]
    _by_key: Mapping[str, Label] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index by key, once: selectors look up far more often than sets are made."""
        by_key: dict[str, Label] = {}
        for label in self.labels:
            by_key.setdefault(label.key, label)
        object.__setattr__(self, "_by_key", MappingProxyType(by_key))

    @classmethod
    def of(cls, texts: Iterable[str]) -> "LabelSet":
        """Labels in any order, as Hubble prints them."""
        return _label_set(tuple(sorted(set(texts))))

    def lookup(self, source: str, key: str) -> str | None:
        """Value under a key; ``None`` when absent or of another source than the one asked for."""
        label = self._by_key.get(key)
        if label is None or source not in (ANY_SOURCE, label.source):
            return None
        return label.value

    def reserved(self, name: str) -> bool:
        """Whether the identity carries ``reserved:<name>``."""
        return self.lookup(RESERVED, name) is not None

    @property
    def namespace(self) -> str | None:
        """Kubernetes namespace, for a pod."""
        return self.lookup(ANY_SOURCE, NAMESPACE_KEY)


@lru_cache(maxsize=65536)
def _label_set(texts: tuple[str, ...]) -> LabelSet:
    return LabelSet(tuple(sorted(parse_label(text) for text in texts)))
