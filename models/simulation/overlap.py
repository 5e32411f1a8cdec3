"""
Rules without effect: empty, redundant, shadowed, and layer 7 rules that another rule lifts.

Only a rule whose subjects lie inside another's can be covered by it, so subjects are compared first, each
distinct one once: a thousand policies take seconds, in one namespace too.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from models.domain.agent import AgentConfig
from models.domain.policy import Direction, Entry, PolicySet, UndecidablePeer
from models.domain.selector import EndpointSelector
from models.simulation.containment import entry_within, peer_within, ports_within, selector_within
from models.simulation.findings import FindingKind, RuleFinding
from models.simulation.subject_index import home_of


def find_overlaps(policies: PolicySet, config: AgentConfig | None = None) -> tuple[RuleFinding, ...]:
    """
    Find rules that change nothing, or whose layer 7 part does not count.

    Parameters
    ----------
    policies
        Parsed.
    config
        Agent settings.

    Returns
    -------
    tuple of RuleFinding
        Sorted. Of two equal rules only the later one (by object and path) is called redundant.
    """
    settings = config or AgentConfig()
    groups: dict[_Group, list[int]] = defaultdict(list)
    for number, entry in enumerate(policies.entries):
        groups[_group(entry)].append(number)
    homes: dict[tuple[str | None, Direction], list[_Group]] = defaultdict(list)
    for group in groups:
        homes[home_of(group.subject), group.direction].append(group)
    found: list[RuleFinding] = []
    for group, numbers in groups.items():
        around = _around(group, homes)
        near = sorted(number for other in around for number in groups[other])
        for number in numbers:
            entry = policies.entries[number]
            others = [(other, policies.entries[other]) for other in near if other != number]
            found += [*_alone(entry), *_beside(number, entry, others, settings)]
    return tuple(sorted(found, key=lambda f: (f.rule, f.kind)))


class _Group(NamedTuple):
    """Rules of one direction on the same subjects."""

    direction: Direction
    subject: EndpointSelector
    node_subject: bool


def _group(entry: Entry) -> _Group:
    return _Group(entry.direction, entry.subject, entry.node_subject)


def _around(group: _Group, homes: Mapping[tuple[str | None, Direction], Sequence[_Group]]) -> list[_Group]:
    """Groups whose subjects include those of this one."""
    home = home_of(group.subject)
    places = dict.fromkeys([home, None])
    return [
        other
        for place in places
        for other in homes.get((place, group.direction), ())
        if other.node_subject == group.node_subject and selector_within(group.subject, other.subject, None)
    ]


def _alone(entry: Entry) -> Iterator[RuleFinding]:
    if is_empty(entry):
        what = "denies" if entry.denies else "allows"
        yield RuleFinding(FindingKind.EMPTY, entry.ref(), f"{what} nothing; it only switches to default deny")
    for peer in entry.peers or ():
        if isinstance(peer, UndecidablePeer):
            yield RuleFinding(FindingKind.UNDECIDABLE, entry.ref(), peer.reason)


def is_empty(entry: Entry) -> bool:
    """Whether an entry can never match a flow."""
    if entry.peers == () or (entry.peers is None and entry.ports is None):
        return True
    return entry.ports is not None and not any(rule.ports or rule.named for rule in entry.ports)


def _beside(
    number: int, entry: Entry, others: Sequence[tuple[int, Entry]], config: AgentConfig
) -> Iterator[RuleFinding]:
    if is_empty(entry):
        return
    for other_number, other in others:
        if is_empty(other):
            continue
        if not entry.denies and other.denies and entry_within(entry, other, config):
            because = f"everything it allows is denied by {other.ref()}"
            yield RuleFinding(FindingKind.SHADOWED, entry.ref(), because, other.ref())
            return
        if entry.denies == other.denies and _makes_redundant(other_number, other, number, entry, config):
            because = f"{other.ref()} already covers it"
            yield RuleFinding(FindingKind.REDUNDANT, entry.ref(), because, other.ref())
            return
    if not entry.denies:
        yield from _lifted(entry, [other for _, other in others if not other.denies], config)


def _makes_redundant(other_number: int, other: Entry, number: int, entry: Entry, config: AgentConfig) -> bool:
    if entry.default_deny and not other.default_deny:
        return False
    if _l7(entry) != _l7(other) or entry.authentication != other.authentication:
        return False
    if not entry_within(entry, other, config):
        return False
    return other_number < number or not entry_within(other, entry, config)


def _l7(entry: Entry) -> list[object]:
    return [rule.l7 for rule in entry.ports or () if rule.l7 is not None]


def _lifted(entry: Entry, others: Sequence[Entry], config: AgentConfig) -> Iterator[RuleFinding]:
    """HTTP rules beside a wider rule without any: every request passes."""
    for rule in entry.ports or ():
        if rule.l7 is None or not rule.l7.http:
            continue
        for other in others:
            plain = None if other.ports is None else [p for p in other.ports if p.l7 is None]
            if (
                other.direction is entry.direction
                and selector_within(entry.subject, other.subject, None)
                and ports_within([rule], plain)
                and _peers_within(entry, other, config)
            ):
                because = f"{other.ref()} allows the same without HTTP rules, so every request passes"
                yield RuleFinding(FindingKind.WEAKENED, entry.ref(rule), because, other.ref())
                break


def _peers_within(entry: Entry, other: Entry, config: AgentConfig) -> bool:
    if other.peers is None:
        return other.ports is not None
    return entry.peers is not None and all(
        any(peer_within(mine, theirs, config) for theirs in other.peers) for mine in entry.peers
    )
