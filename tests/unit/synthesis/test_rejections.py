"""What a reviewer rejected: not back under a wider rule, and no more gone than was rejected."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest

from jobs.propose import InferResult, propose
from models.domain.capabilities import CapabilityHints
from models.domain.fqdn import FqdnSelector
from models.domain.peer import CidrPeer, EndpointPeer, FqdnPeer
from models.domain.rule import Rule
from tests.unit.synthesis.world import World, proposal_for

HINTS = CapabilityHints(fqdn=True, cilium_version="1.18")


def names(count: int) -> World:
    """A web under whose CDN new names keep appearing."""
    world = World()
    web = world.pod("shop", "web")
    for number in range(count):
        name = f"edge-{number:03d}.contentnet.net"
        world.to(web, "ip", f"52.7.{number}.9", 443, names=name, days=range(2 * number, 14))
    return world


def addresses(count: int) -> World:
    """A web that calls neighbouring addresses without a name."""
    world = World()
    web = world.pod("shop", "web")
    for number in range(count):
        world.to(web, "ip", f"52.7.0.{2 * number}", 443)
    return world


def ports(count: int) -> World:
    """A web that is handed ports by a transfer server, and one that lies among them."""
    world = World()
    web, ftp = world.pod("shop", "web"), world.pod("shop", "ftp")
    world.edge(web, ftp, 21)
    world.edge(web, ftp, 32379, days=range(0, 14, 3))
    for number in range(count):
        world.edge(web, ftp, 32300 + 7 * number, days=[number % 14])
    return world


def tenants(count: int) -> World:
    """A store that an odd tenant called twice, and others call every day."""
    world = World()
    store = world.pod("platform", "web")
    for name in "ab":
        world.edge(world.pod("x", name), store, 5432)
    for number in range(count):
        world.edge(world.pod(f"acme-{number}", "api", {"app": "saas-api"}), store, 5432)
    odd = world.pod("acme-9", "api", {"app": "saas-api"})
    world.edge(odd, store, 5432, days=[5, 12] if count else [12], subject_pods=1, peer_pods=1)
    return world


def run(world: World, rejected: frozenset[str] = frozenset()) -> InferResult:
    """Proposals of a world."""
    return propose(world.observations(), capabilities=HINTS, rejected_rules=rejected)


def rules(result: InferResult) -> list[Rule]:
    """Rules of the web."""
    return list(proposal_for(result, "web").rules)


def lets_in(rule: Rule, what: str) -> bool:
    """Whether a rule admits a name, an address, a port or the api of a tenant, alone or among others."""
    each = rule.peer.each if isinstance(rule.peer, EndpointPeer | FqdnPeer) else (rule.peer,)
    for peer in each:
        if isinstance(peer, FqdnPeer):
            selector = FqdnSelector(name=peer.name) if peer.name else FqdnSelector(pattern=peer.pattern)
            if selector.matches(what, deep_wildcards=True):
                return True
        if isinstance(peer, CidrPeer) and what[0].isdigit() and ip_address(what) in ip_network(peer.cidr):
            return True
        if isinstance(peer, EndpointPeer) and peer.namespace in ("*", what):
            return True
    return any(f"{port.number}" <= what <= f"{max(port.end, port.number)}" for port in rule.ports)


@pytest.mark.parametrize(
    ("world", "few", "many", "what"),
    [
        (names, 1, 7, "edge-000.contentnet.net"),
        (addresses, 1, 8, "52.7.0.0"),
        (ports, 2, 14, "32379"),
        (tenants, 0, 3, "acme-9"),
    ],
)
def test_a_rejected_rule_does_not_come_back_in_a_wider_one(
    world: Callable[[int], World], few: int, many: int, what: str
) -> None:
    """The same traffic as part of a pattern, a prefix, a list of ports or a family."""
    (one,) = [rule for rule in rules(run(world(few))) if lets_in(rule, what)]
    (wider,) = [rule for rule in rules(run(world(many))) if lets_in(rule, what)]
    assert wider.id != one.id
    grown = run(world(many), frozenset({one.id}))
    assert not [rule.title for rule in rules(grown) if lets_in(rule, what)]
    assert "rejected" in {line.reason for line in proposal_for(grown, "web").left_out}


@pytest.mark.parametrize(
    ("world", "many", "wider"),
    [(names, 7, "edge-*.contentnet.net"), (addresses, 8, "52.7.0.0/28"), (ports, 14, "TCP/32")],
)
def test_where_the_wider_rule_was_rejected_the_exact_ones_stay(
    world: Callable[[int], World], many: int, wider: str
) -> None:
    """No was said to what nobody had seen, and not to what works every day."""
    before = run(world(many))
    (one,) = [rule for rule in rules(before) if wider in rule.title]
    again = propose(
        world(many).observations(),
        capabilities=HINTS,
        rejected_rules=frozenset({one.id}),
        previous=before.learned,
    )
    assert one.id not in {rule.id for rule in rules(again)}
    assert not any(rule.widening for rule in rules(again))
    assert not proposal_for(again, "web").left_out
    seen = sum(rule.evidence.flows for rule in rules(before) if not rule.evidence.assumed)
    assert sum(rule.evidence.flows for rule in rules(again) if not rule.evidence.assumed) == seen
