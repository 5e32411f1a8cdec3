"""
Where one party's names end: the public suffix list, its private section, and what it lacks.

A wildcard directly under a shared suffix (``*.blob.core.windows.net``) admits every tenant's data, so it
is never proposed by itself. The list comes with the ``publicsuffixlist`` package; nothing is downloaded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from publicsuffixlist import PublicSuffixList

from models.learning.hosting import SUPPLEMENT

#: Labels between a tenant's name and a suffix that name nobody: private zones, and API servers of AKS.
_NOBODYS: Final = frozenset({"privatelink", "hcp"})


@lru_cache(maxsize=1)
def _lists() -> tuple[PublicSuffixList, frozenset[str], frozenset[str]]:
    """The whole list, the private suffixes, and every ancestor of one of them."""
    whole = PublicSuffixList()
    official = PublicSuffixList(only_icann=True)
    # the package offers questions about one name only; the ancestors need the list itself
    private = whole._publicsuffix - official._publicsuffix  # noqa: SLF001
    suffixes = frozenset(rule.lstrip("!").removeprefix("*.") for rule in (*private, *SUPPLEMENT))
    ancestors: set[str] = set()
    for suffix in suffixes:
        labels = suffix.split(".")
        ancestors.update(".".join(labels[cut:]) for cut in range(1, len(labels)))
    return whole, suffixes, frozenset(ancestors)


@lru_cache(maxsize=65536)
def shared_suffix(name: str) -> str:
    """
    Longest suffix under which anybody may have names.

    Parameters
    ----------
    name
        Lower case, without a trailing dot.

    Examples
    --------
    >>> shared_suffix("shop.blob.core.windows.net"), shared_suffix("shop.vault.azure.net")
    ('blob.core.windows.net', 'vault.azure.net')
    >>> shared_suffix("shop.privatelink.blob.core.windows.net"), shared_suffix("api.example.co.uk")
    ('privatelink.blob.core.windows.net', 'co.uk')
    >>> shared_suffix("shop.westeurope.cloudapp.azure.com")
    'westeurope.cloudapp.azure.com'
    """
    labels = name.split(".")
    listed = str(_lists()[0].publicsuffix(name) or labels[-1])
    # the longest of ours comes first; the list's own is taken where none of ours is longer
    start = next((place for place in range(len(labels)) if _supplementary(labels, place)), len(labels))
    start = min(start, len(labels) - listed.count(".") - 1)
    if start and labels[start - 1] in _NOBODYS and _hosts(labels[start:]):
        start -= 1
    return ".".join(labels[start:])


def _hosts(suffix: list[str]) -> bool:
    """Whether a suffix, or what it is without a region, is of a service and not of a registry."""
    suffixes = _lists()[1]
    return ".".join(suffix) in suffixes or ".".join(suffix[1:]) in suffixes


def _supplementary(labels: list[str], start: int) -> bool:
    """Whether labels from a place on are a suffix of the supplement; a region needs a tenant before it."""
    tail = labels[start + 1 :]
    return ".".join([labels[start], *tail]) in SUPPLEMENT or (
        start > 0 and ".".join(["*", *tail]) in SUPPLEMENT
    )


def registrable(name: str) -> str:
    """
    The part of a name that one party holds; empty when the name is itself a shared suffix.

    Examples
    --------
    >>> registrable("a.b.example.co.uk"), registrable("acme.vault.azure.net"), registrable("com")
    ('example.co.uk', 'acme.vault.azure.net', '')
    """
    suffix = shared_suffix(name)
    if name == suffix:
        return ""
    head = name[: -len(suffix) - 1]
    return f"{head.rsplit('.', 1)[-1]}.{suffix}"


def is_shared(parent: str) -> bool:
    """
    Whether names directly or somewhere under ``parent`` belong to many parties.

    True for a public suffix, for a private or supplementary one, and for an ancestor of such a one:
    ``*.windows.net`` is shared because ``core.windows.net`` hosts everybody's storage.

    Examples
    --------
    >>> is_shared("windows.net"), is_shared("github.io"), is_shared("example.com")
    (True, True, False)
    """
    _, suffixes, ancestors = _lists()
    return parent in suffixes or parent in ancestors or shared_suffix(f"tenant.{parent}") == parent
