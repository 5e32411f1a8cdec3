"""Which patterns could stand for a set of names, and what each costs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from models.learning.suffixes import is_shared, registrable

MAX_NAME_LENGTH: Final = 255  # characters, Cilium's schema
MAX_LABEL_LENGTH: Final = 63  # characters, RFC 1035
#: Letters a ``prefix*`` must start with, so that it says what it is about.
MIN_PREFIX_LENGTH: Final = 3

#: Prices of what a pattern opens to the outside (method, section 7); an exact name costs nothing.
PRICE_DEEPER: Final = 4.0
PRICE_REGISTRABLE: Final = 6.0
PRICE_ALL_LEVELS: Final = 9.0
PRICE_SHARED: Final = 60.0
#: A literal prefix opens less than the bare wildcard beside it; a deeper ``**.`` less than the highest.
PREFIX_DISCOUNT: Final = 1.0
DEEPER_DISCOUNT: Final = PRICE_REGISTRABLE - PRICE_DEEPER

_LABEL: Final = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?")
_PREFIX: Final = re.compile(r"[a-z]+(?:-[a-z]+)*-?(?=\d)|[a-z]+-(?=[a-z0-9])")


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A pattern and the names it would replace.

    Parameters
    ----------
    pattern
        As ``matchPattern`` writes it.
    names
        Names it covers, sorted.
    price
        What it opens, in the units of the price table.
    shared
        It lies on a shared suffix, so only a person may accept it.
    """

    pattern: str
    names: tuple[str, ...]
    price: float
    shared: bool


def tidy_name(text: str, cluster_domain: str = "cluster.local") -> tuple[str, str]:
    """
    Name as a rule would write it, or why it cannot be in one.

    Parameters
    ----------
    text
        As observed: any case, maybe a trailing dot; hostile input is expected.
    cluster_domain
        Names under it are endpoints, not the outside.

    Returns
    -------
    tuple of str
        The name and an empty reason, or an empty name and the reason.

    Examples
    --------
    >>> tidy_name("API.Example.com.")
    ('api.example.com', '')
    >>> tidy_name("*.example.com")[1]
    'illegal characters'
    """
    name = text.strip().lower().removesuffix(".")
    labels = name.split(".")
    refusals = (
        (not name or len(name) > MAX_NAME_LENGTH, "empty or longer than 255 characters"),
        (any(len(label) > MAX_LABEL_LENGTH for label in labels), "a label longer than 63 characters"),
        (not all(_LABEL.fullmatch(label) for label in labels), "illegal characters"),
        (name.endswith((f".{cluster_domain}", ".svc")), "a name inside the cluster: select the endpoint"),
        (len(labels) == 1, "a name without a domain"),
        (labels[-1] == "arpa", "a reverse lookup"),
        (all(label.isdecimal() for label in labels), "an address"),
    )
    reason = next((why for refused, why in refusals if refused), "")
    return ("", reason) if reason else (name, "")


def candidates(names: tuple[str, ...], *, deep_wildcards: bool) -> list[Candidate]:
    """
    Patterns over the label trie of names under one registrable domain, or one shared suffix.

    Parameters
    ----------
    names
        Tidy names, sorted.
    deep_wildcards
        The cluster's Cilium knows ``**.`` (1.19 and later).

    Returns
    -------
    list of Candidate
        Each covers at least two names; sorted by pattern.
    """
    groups: dict[str, set[str]] = {}
    for name in names:
        label, _, parent = name.partition(".")
        groups.setdefault(f"*.{parent}", set()).add(name)
        prefix = _PREFIX.match(label)
        if prefix and len(prefix.group()) >= MIN_PREFIX_LENGTH:
            groups.setdefault(f"{prefix.group()}*.{parent}", set()).add(name)
        if deep_wildcards:
            for ancestor in _ancestors(name):
                groups.setdefault(f"**.{ancestor}", set()).add(name)
    found = [
        _candidate(pattern, tuple(sorted(covered))) for pattern, covered in groups.items() if len(covered) > 1
    ]
    return sorted(found, key=lambda candidate: candidate.pattern)


def _ancestors(name: str) -> list[str]:
    labels = name.split(".")
    top = registrable(name).count(".") + 1
    return [".".join(labels[cut:]) for cut in range(1, len(labels) - top + 1)]


def price_of(pattern: str) -> float:
    """
    What a pattern opens, in the units of the price table.

    Examples
    --------
    >>> price_of("edge-*.example.com"), price_of("*.eu.example.com"), price_of("**.example.com")
    (5.0, 4.0, 9.0)
    """
    head, _, parent = pattern.partition(".")
    top = parent == registrable(parent)
    if is_shared(parent):
        price = PRICE_SHARED
    elif head == "**":
        price = PRICE_ALL_LEVELS - (0.0 if top else DEEPER_DISCOUNT)
    else:
        price = PRICE_REGISTRABLE if top else PRICE_DEEPER
    return price - (0.0 if head in ("*", "**") else PREFIX_DISCOUNT)


def _candidate(pattern: str, names: tuple[str, ...]) -> Candidate:
    return Candidate(pattern, names, price_of(pattern), is_shared(pattern.partition(".")[2]))
