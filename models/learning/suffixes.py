"""
Where one party's names end: the public suffix list, its private section, and what it lacks.

A wildcard directly under a shared suffix (``*.blob.core.windows.net``) admits every tenant's data, so it
is never proposed by itself. The list comes with the ``publicsuffixlist`` package; nothing is downloaded.

No list has them all, so what looks like a part of a hosting service is taken for one: a zone or region
directly under a suffix, and a store of objects whoever runs it. That errs towards a question to a person.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import Final

from publicsuffixlist import PublicSuffixList

from models.learning.hosting import SUPPLEMENT

#: Labels between a tenant's name and a suffix that name nobody: private zones, and API servers of AKS.
_NOBODYS: Final = frozenset({"privatelink", "hcp"})
#: Regions of clouds, as labels: ``eu-central-1``, ``us-west-002``, ``europe-west1``, ``westeurope-01``.
_REGION: Final = re.compile(
    r"(?:[a-z]+-)?(?:af|ap|asia|australia|ca|cn|eu|europe|il|me|mx|northamerica|sa|southamerica|us)"
    r"(?:-[a-z]+){1,2}-?\d{0,3}[a-z]?"
    r"|[a-z]*?(?:north|south|east|west|central){1,2}(?:us|europe|asia|india)?\d?(?:-\d\d)?"
)
#: Other zones of a service, directly under its suffix: ``z01``, ``euw``, ``scm``. Few tenants' names are as
#: short, and theirs become a question.
_ZONE: Final = re.compile(r"[a-z0-9]{1,3}")
#: Labels under which tenants of a store of objects have their buckets, and those which mean other things as
#: well (a command, observability) unless a region stands beside them.
_STORE: Final = re.compile(r"s3(?:-.+)?|oss-.+|(?:.+-)?object-?storage|blobs?|buckets?")
_STORE_OF_A_REGION: Final = frozenset({"cos", "obs", "oss", "tos"})


@lru_cache(maxsize=1)
def _lists() -> tuple[PublicSuffixList, frozenset[str], frozenset[str]]:
    """The whole list, the private suffixes, and every ancestor of one of them."""
    whole = PublicSuffixList()
    official = _icann()
    # the package offers questions about one name only; the ancestors need the list itself
    private = whole._publicsuffix - official._publicsuffix  # noqa: SLF001
    suffixes = frozenset(rule.lstrip("!").removeprefix("*.") for rule in (*private, *SUPPLEMENT))
    ancestors: set[str] = set()
    for suffix in suffixes:
        labels = suffix.split(".")
        ancestors.update(".".join(labels[cut:]) for cut in range(1, len(labels)))
    return whole, suffixes, frozenset(ancestors)


@lru_cache(maxsize=1)
def _icann() -> PublicSuffixList:
    """Registries only."""
    return PublicSuffixList(only_icann=True)


@lru_cache(maxsize=1)
def _with_regions() -> dict[tuple[int, str], list[list[str]]]:
    """Suffixes with a region further right than their first label, by number of labels and last label."""
    found: dict[tuple[int, str], list[list[str]]] = defaultdict(list)
    for text in sorted(SUPPLEMENT):
        labels = text.split(".")
        if "*" in labels[1:]:
            found[(len(labels), labels[-1])].append(labels)
    return dict(found)


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
    own, tail = labels[start:], labels[start + 1 :]
    if ".".join(own) in SUPPLEMENT or (start > 0 and ".".join(["*", *tail]) in SUPPLEMENT):
        return True
    return any(
        (start > 0 or form[0] != "*")
        and all(part in ("*", label) for part, label in zip(form, own, strict=True))
        for form in _with_regions().get((len(own), own[-1]), ())
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


@lru_cache(maxsize=65536)
def is_shared(parent: str) -> bool:
    """
    Whether names directly or somewhere under ``parent`` belong to many parties.

    True for a public suffix, for a private or supplementary one, and for an ancestor of such a one:
    ``*.windows.net`` is shared because ``core.windows.net`` hosts everybody's storage. True as well for a
    zone of such a one, and for what looks like a store of objects.

    Examples
    --------
    >>> is_shared("windows.net"), is_shared("github.io"), is_shared("example.com")
    (True, True, False)
    >>> is_shared("z07.azurefd.net"), is_shared("s3.eu-1.newcloud.com"), is_shared("eu1.example.com")
    (True, True, False)
    """
    _, suffixes, ancestors = _lists()
    if parent in suffixes or parent in ancestors or shared_suffix(f"tenant.{parent}") == parent:
        return True
    label, _, above = parent.partition(".")
    if _REGION.fullmatch(label):
        return _hosted(above) or (above in ancestors and not _registry(above)) or _stores(parent)
    return (_ZONE.fullmatch(label) is not None and _hosted(above)) or _stores(parent)


def _registry(suffix: str) -> bool:
    """Whether a suffix is a registry's, where a short label is somebody's name."""
    return str(_icann().publicsuffix(suffix)) == suffix


def _hosted(parent: str) -> bool:
    """Whether a parent is a suffix of a hosting service or a zone of one."""
    if _registry(parent):
        return False
    if parent in _lists()[1] or shared_suffix(f"tenant.{parent}") == parent:
        return True
    label, _, above = parent.partition(".")
    return bool(above) and _ZONE.fullmatch(label) is not None and _hosted(above)


def _stores(parent: str) -> bool:
    """Whether a label outside the known suffix of a parent says that buckets lie under it."""
    labels = parent.split(".")
    own = labels[: len(labels) - shared_suffix(parent).count(".") - 1]
    return any(
        _STORE.fullmatch(label) or (label in _STORE_OF_A_REGION and _beside_region(own, place))
        for place, label in enumerate(own)
    )


def _beside_region(labels: list[str], place: int) -> bool:
    return any(_REGION.fullmatch(label) for label in labels[max(place - 1, 0) : place + 2])
