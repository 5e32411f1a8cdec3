"""
Namespaces that are made for one customer each, so that another of the kind is to be expected.

With two of them a role is seen, because both do the same. With one of them nothing is alike yet; what tells
that a second will come is what people call it, or label it with.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from models.domain.labels import NAMESPACE_LABELS_PREFIX
from models.synthesis.exchange import Exchange

#: First or last word of a namespace that is one of many, and last part of a label key that says so.
TENANT_WORDS: Final = frozenset(
    {"tenant", "customer", "cust", "org", "organisation", "organization", "workspace"}
)
#: Tenants in the sense of these tools are teams: what one of them runs, the next does not.
TEAM_TOOLS: Final = frozenset({"capsule.clastix.io", "toolkit.fluxcd.io"})
#: Chance that another tenant arrives within the horizon of a week; a guess, one in three months or so, and
#: only compared with the price of the one pair that its arrival opens at a gate.
ARRIVAL_CHANCE: Final = 0.08


def is_tenant(namespace: str, labels: Mapping[str, str]) -> bool:
    """
    Whether a namespace is one customer's.

    Parameters
    ----------
    namespace
        Its name.
    labels
        Labels of a pod in it (keys without source), those of the namespace included.

    Examples
    --------
    >>> is_tenant("tenant-01", {}), is_tenant("acme-org", {}), is_tenant("tenancy", {}), is_tenant("org", {})
    (True, True, False, False)
    >>> is_tenant("acme", {"io.cilium.k8s.namespace.labels.example.com/tenant-id": "7"})
    True
    """
    words = namespace.split("-")
    if len(words) > 1 and TENANT_WORDS & {words[0], words[-1]}:
        return True
    return any(
        _says_tenant(key.removeprefix(NAMESPACE_LABELS_PREFIX))
        for key in labels
        if key.startswith(NAMESPACE_LABELS_PREFIX)
    )


def _says_tenant(key: str) -> bool:
    domain, _, name = key.rpartition("/")
    return domain not in TEAM_TOOLS and name.removesuffix("-id").removesuffix("-name") in TENANT_WORDS


def another_pays(rates: Exchange) -> bool:
    """Whether a gate that is open to the next tenant is worth the pair that its arrival will open."""
    return rates.mu_inside * ARRIVAL_CHANCE > rates.alpha


def all_tenants(places: Iterable[tuple[str, Mapping[str, str]]]) -> bool:
    """Whether each of several namespaces, with the labels of a pod in it, is one customer's."""
    return all(is_tenant(namespace, labels) for namespace, labels in places)
