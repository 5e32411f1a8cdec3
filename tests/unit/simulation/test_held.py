"""What the quarantine holds back is not called legitimate by a back-test, and nothing else changes."""

import pytest

from models.domain.capabilities import CapabilityHints
from models.manifest.parse import parse_objects
from models.simulation.backtest import replay_seen
from models.simulation.held import held_traffic
from models.simulation.seen import SeenWindow
from models.synthesis.edges import fold_edges
from models.synthesis.questions_asked import tunnel_cell
from models.synthesis.view import cluster_view
from tests.unit.synthesis.world import World

WEB = "prod:shop/Deployment/web"
CLOSED = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "closed", "namespace": "shop"},
    "spec": {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{}]},
}


@pytest.fixture
def observations():
    """A web tier that calls two names outside, one of them under two names, and its API."""
    world = World()
    web = world.pod("shop", "web")
    world.edge(web, world.pod("shop", "api"), days=[1])
    world.to(web, "ip", "203.0.113.9", 443, names="cdn.example.net,cdn2.example.net", days=[2])
    world.to(web, "ip", "203.0.113.7", 443, names="pay.example.org", days=[3])
    return world.observations()


def kinds(observations, said):
    """Legitimacy of what a closed policy denies, by the other side; and how much of it is legitimate."""
    found = replay_seen(SeenWindow(observations, said=said), parse_objects([CLOSED]))
    return {one.peer.partition(" ")[0]: one.legitimacy for one in found.lines}, found.denied_legitimate


def cell(names):
    """Cell of a call outside."""
    return f"{WEB}|egress|fqdn|{names}|TCP|443"


@pytest.mark.parametrize(
    ("said", "beacon", "legitimate"),
    [
        ({}, "legitimate", 3),
        ({cell("cdn.example.net,cdn2.example.net"): "unwanted"}, "suspicious", 2),
        ({cell("cdn.example.net"): "unwanted"}, "suspicious", 2),  # one more name does not clear it
        ({cell("cdn.example.net,cdn2.example.net"): "admit"}, "legitimate", 3),
        ({cell("cdn.example.net").replace("443", "22"): "unwanted"}, "legitimate", 3),
    ],
)
def test_only_what_is_held_back_is_suspicious(observations, said, beacon, legitimate):
    """The other calls of the same workload keep their meaning."""
    others = {"api": "legitimate", "203.0.113.7": "legitimate"}
    assert kinds(observations, said) == (others | {"203.0.113.9": beacon}, legitimate)


def test_questions_that_lead_to_what_is_held_back_are_told_apart(observations):
    """Names of the tunnel, and the held-back name with what a search list makes of it."""
    table = fold_edges(observations)
    view = cluster_view(observations, table.edges, CapabilityHints(), "balanced")
    said = {tunnel_cell(WEB, "relay.example"): "unwanted", cell("cdn.example.net"): "unwanted"}
    edge = next(edge for edge in table.edges if edge.direction == "egress")
    held = held_traffic(view, table, said)
    for name in ("0af3.relay.example", "CDN.example.net.", "cdn2.example.net.shop.svc.cluster.local"):
        assert held.asks(edge, name), name
    for name in ("relay.example.org", "pay.example.org", "mycdn.example.net"):
        assert not held.asks(edge, name), name
