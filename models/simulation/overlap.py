"""
Rules without effect: empty, redundant, shadowed, and layer 7 rules that another rule lifts.

Only rules whose subjects may overlap are compared: those of one namespace with each other and with
the clusterwide ones, so a cluster of a thousand policies takes seconds.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from models.domain.agent import AgentConfig
from models.domain.labels import K8S, NAMESPACE_KEY
from models.domain.policy import Entry, PolicySet, UndecidablePeer
from models.domain.selector import Operator
from models.simulation.containment import entry_within, peer_within, ports_within, selector_within
from models.simulation.findings import FindingKind, RuleFinding


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
    by_namespace: dict[str | None, list[int]] = defaultdict(list)
    for number, entry in enumerate(policies.entries):
        by_namespace[_namespace(entry)].append(number)
    found: list[RuleFinding] = []
    for number, entry in enumerate(policies.entries):
        found += _alone(entry)
        home = _namespace(entry)
        near = by_namespace[home] if home is None else [*by_namespace[home], *by_namespace[None]]
        others = [(other, policies.entries[other]) for other in sorted(near) if other != number]
        found += _beside(number, entry, others, settings)
    return tuple(sorted(found, key=lambda f: (f.rule, f.kind)))


def _namespace(entry: Entry) -> str | None:
    for r in entry.subject.requirements:
        if (r.source, r.key, r.operator) == (K8S, NAMESPACE_KEY, Operator.IN) and len(r.values) == 1:
            return r.values[0]
    return None


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
