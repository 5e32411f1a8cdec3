"""Hypothesis strategies for the shapes that cross between packages."""

from hypothesis import strategies as st

from tests.unit.synthesis.world import World

_NAMESPACES = ("shop", "data")
_NAMES = ("web", "api", "db", "cache", "job")
_PORTS = (80, 443, 5432, 8080, 9102)
_OUTSIDE = ("52.1.2.4", "52.1.2.5", "10.20.0.4", "2a00:1450::e", "169.254.169.254", "224.0.0.1", "0.0.0.0")
_HOSTS = ("", "api.example.com", "a.example.com,b.example.net", "db.shop.svc.cluster.local", "bad name.com")
_ENTITIES = ("host", "remote-node", "kube-apiserver", "ingress", "health", "world", "init")

#: Flows of one edge-day by how they ended: (flows, answered, audited, denied, dropped).
OUTCOMES = {
    "answered": {"flows": 10, "answered": 10},
    "unanswered": {"flows": 10, "answered": 0},
    "unseen": {"flows": 10, "answered": 0, "visible": False},
    "audited": {"flows": 0, "answered": 5, "audited": 5},
    "denied": {"flows": 0, "answered": 0, "denied": 7},
    "dropped": {"flows": 0, "answered": 0, "dropped": 7},
    "reset": {"flows": 10, "answered": 10, "reset": 10},
}


@st.composite
def worlds(draw: st.DrawFn, outcomes: tuple[str, ...] = tuple(OUTCOMES)) -> World:
    """Small clusters: a few workloads in two namespaces, traffic of every class, on some of the days."""
    world = World(days=draw(st.sampled_from((3, 14))), coverage=draw(st.booleans()))
    pods = [world.kube_dns()]
    for namespace in _NAMESPACES:
        pods += [world.pod(namespace, name) for name in draw(st.sets(st.sampled_from(_NAMES), max_size=3))]
    days = st.sets(st.integers(0, world.days - 1), min_size=1, max_size=3)
    seen: set[tuple[object, ...]] = set()
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(("endpoint", "ip", "entity", "unresolved", "service")))
        subject = draw(st.sampled_from(pods))
        protocol = draw(st.sampled_from(("TCP", "UDP", "SCTP", "ICMPv4", "VRRP")))
        port = draw(st.sampled_from(_PORTS)) if protocol in ("TCP", "UDP", "SCTP") else -1
        changes: dict[str, object] = {
            "days": draw(days),
            "icmp_type": draw(st.sampled_from((0, 8))) if protocol == "ICMPv4" else -1,
            **OUTCOMES[draw(st.sampled_from(outcomes))],
        }
        if kind == "endpoint":
            peer = draw(st.sampled_from(pods))
            if ("pair", subject.key, peer.key, protocol, port) not in seen:
                seen.add(("pair", subject.key, peer.key, protocol, port))
                world.edge(subject, peer, port, protocol, **changes)
            continue
        direction = draw(st.sampled_from(("egress", "ingress")))
        peer = draw(
            st.sampled_from(
                {"ip": _OUTSIDE, "entity": _ENTITIES, "service": ("shop/api",)}.get(kind, ("10.1.1.1",))
            )
        )
        if (direction, subject.key, kind, peer, protocol, port) in seen:
            continue
        seen.add((direction, subject.key, kind, peer, protocol, port))
        if kind == "ip" and direction == "egress":
            changes["names"] = draw(st.sampled_from(_HOSTS))
        world.half(subject, direction, kind, peer, port, protocol, **changes)
    return world
