"""Hypothesis strategies for policies and flows: small alphabets, so near misses are common."""

from typing import Any

from hypothesis import strategies as st

from models.domain.policy import Direction
from models.simulation.context import PolicyFlow, Side

NAMESPACES = ("shop", "pay")
APPS = ("web", "api", "db")
TIERS = ("front", "back")
PORTS = (80, 443, 8080, 53)
ADDRESSES = ("10.1.2.3", "10.2.0.9", "192.0.2.10", "203.0.113.7", "2001:db8::1")
PREFIXES = (
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.0.2.10/32",
    "0.0.0.0/0",
    "203.0.113.0/24",
    "2001:db8::/32",
    "::/0",
)
NAMES = ("api.example.com", "a.b.example.com", "example.com", "www.example.org")
PATTERNS = ("*.example.com", "**.example.com", "*", "www.*.org", "a*.example.com")
ENTITIES = ("all", "world", "cluster", "host", "remote-node", "kube-apiserver", "none", "init", "health")


def _namespace_labels(namespace: str, cluster: str = "default") -> list[str]:
    return [
        f"k8s:io.kubernetes.pod.namespace={namespace}",
        f"k8s:io.cilium.k8s.policy.cluster={cluster}",
        f"k8s:io.cilium.k8s.namespace.labels.team={namespace}-team",
    ]


@st.composite
def pods(draw: st.DrawFn, *, known: bool = True) -> Side:
    """A pod, sometimes of another cluster, sometimes with named ports."""
    namespace = draw(st.sampled_from(NAMESPACES))
    labels = _namespace_labels(namespace, draw(st.sampled_from(("default", "default", "east"))))
    labels.append(f"k8s:app={draw(st.sampled_from(APPS))}")
    if draw(st.booleans()):
        labels.append(f"k8s:tier={draw(st.sampled_from(TIERS))}")
    ports = draw(st.sampled_from(((), (("http", 8080, "TCP"),), (("http", 80, "TCP"), ("dns", 53, "UDP")))))
    unknown_ports = not known and draw(st.booleans())
    return Side(tuple(sorted(labels)), named_ports=None if unknown_ports else ports)


@st.composite
def others(draw: st.DrawFn, *, known: bool = True) -> Side:
    """Anything that is not a pod."""
    kind = draw(
        st.sampled_from(
            ("entity", "ip", "ip", "apiserver", "init", "node") + (() if known else ("nothing", "bare"))
        )
    )
    address = draw(st.sampled_from(ADDRESSES))
    names = tuple(draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True)))
    sides = {
        "nothing": Side(ip=None, named_ports=()),
        "bare": Side(("reserved:world",), None, None),
        "entity": Side(
            entity=draw(st.sampled_from(("world", "host", "health", "unmanaged", "ingress"))), names=()
        ),
        "apiserver": Side(entity="kube-apiserver", ip=draw(st.sampled_from((None, address))), names=()),
        "init": Side(("reserved:init",), named_ports=()),
        "node": Side(("reserved:remote-node",), address, ()),
        "ip": Side(None, address, None if not known and draw(st.booleans()) else names),
    }
    return sides[kind]


@st.composite
def flows(draw: st.DrawFn, *, known: bool = True) -> PolicyFlow:
    """One gate's question; with `known` false, parts may be missing."""
    direction = draw(st.sampled_from(list(Direction)))
    subject = draw(st.one_of(pods(known=known), pods(known=known), pods(known=known), others(known=known)))
    peer = draw(st.one_of(pods(known=known), others(known=known)))
    protocol = draw(
        st.sampled_from(("TCP", "TCP", "UDP", "SCTP", "ICMP", "ICMPv6") + (() if known else (None,)))
    )
    port: int | None = draw(st.sampled_from((*PORTS, 81, 8, 128, 65535)))
    if not known and draw(st.integers(0, 5)) == 0:
        port = None
    source, destination = (peer, subject) if direction is Direction.INGRESS else (subject, peer)
    return PolicyFlow(direction, source, destination, protocol, port)


@st.composite
def selectors(draw: st.DrawFn) -> dict[str, Any]:
    """A label selector of a CNP."""
    labels: dict[str, str] = {}
    if draw(st.booleans()):
        labels[draw(st.sampled_from(("app", "k8s:app", "any:app")))] = draw(st.sampled_from(APPS))
    if draw(st.integers(0, 3)) == 0:
        labels["k8s:io.kubernetes.pod.namespace"] = draw(st.sampled_from(NAMESPACES))
    selector: dict[str, Any] = {"matchLabels": labels} if labels else {}
    if draw(st.integers(0, 2)) == 0:
        key = draw(
            st.sampled_from(
                (
                    "tier",
                    "io.kubernetes.pod.namespace",
                    "app",
                    "reserved:host",
                    "io.cilium.k8s.policy.cluster",
                )
            )
        )
        operator = draw(st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")))
        expression: dict[str, Any] = {"key": key, "operator": operator}
        if operator in {"In", "NotIn"}:
            expression["values"] = draw(
                st.lists(st.sampled_from((*APPS, *TIERS, *NAMESPACES, "default", "")), min_size=1, max_size=2)
            )
        selector["matchExpressions"] = [expression]
    return selector


@st.composite
def port_lists(draw: st.DrawFn, *, denies: bool, egress: bool) -> dict[str, Any]:
    """The port keys of an entry, or none."""
    kind = draw(st.sampled_from(("none", "none", "ports", "ports", "icmps", "empty")))
    if kind == "none":
        return {}
    if kind == "empty":
        return draw(st.sampled_from(({"toPorts": []}, {"toPorts": [{"ports": []}]})))
    if kind == "icmps":
        family = draw(st.sampled_from(("IPv4", "IPv6")))
        return {"icmps": [{"fields": [{"family": family, "type": 8 if family == "IPv4" else 128}]}]}
    elements = []
    for _ in range(draw(st.integers(1, 2))):
        l7 = (
            "none"
            if denies
            else draw(st.sampled_from(("none", "none", "none", "http", "dns" if egress else "http")))
        )
        port = draw(st.sampled_from([str(p) for p in PORTS] + ([] if l7 != "none" else ["0", "http", "dns"])))
        protocol = {"http": "TCP", "dns": "UDP"}.get(l7) or draw(st.sampled_from(("TCP", "UDP", "ANY")))
        number: dict[str, Any] = {"port": port, "protocol": protocol}
        if port.isdigit() and l7 != "dns" and draw(st.integers(0, 3)) == 0:
            number["endPort"] = draw(st.sampled_from((81, 8080, 65535)))
        element: dict[str, Any] = {"ports": [number]}
        if l7 == "http":
            element["rules"] = {"http": [{"method": "GET"}]}
        if l7 == "dns":
            element["rules"] = {"dns": [{"matchPattern": draw(st.sampled_from(PATTERNS))}]}
        elements.append(element)
    return {"toPorts": elements}


@st.composite
def peer_keys(draw: st.DrawFn, side: str, *, denies: bool) -> dict[str, Any]:
    """The peer key of an entry, or none."""
    kinds = ["none", "Endpoints", "Endpoints", "Entities", "CIDR", "CIDRSet", "empty", "requires"]
    kind = draw(st.sampled_from(kinds + (["fqdn", "services"] if side == "to" and not denies else [])))
    name = st.sampled_from(NAMES).map(lambda n: {"matchName": n})
    pattern = st.sampled_from(PATTERNS).map(lambda p: {"matchPattern": p})
    prefixes = draw(st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=2))
    holes = {"10.0.0.0/8": "10.1.0.0/16", "0.0.0.0/0": "203.0.113.0/24", "::/0": "2001:db8::/32"}
    sets = [{"cidr": p} | ({"except": [holes[p]]} if p in holes else {}) for p in prefixes]
    keys: dict[str, dict[str, Any]] = {
        "none": {},
        "empty": {f"{side}{draw(st.sampled_from(('Endpoints', 'Entities', 'CIDR')))}": []},
        "requires": {f"{side}Endpoints": [draw(selectors())], f"{side}Requires": [draw(selectors())]},
        "fqdn": {"toFQDNs": draw(st.lists(st.one_of(name, pattern), max_size=2))},
        "services": {"toServices": [{"k8sService": {"serviceName": "ghost", "namespace": "shop"}}]},
        "Endpoints": {f"{side}Endpoints": draw(st.lists(selectors(), min_size=1, max_size=2))},
        "Entities": {f"{side}Entities": draw(st.lists(st.sampled_from(ENTITIES), min_size=1, max_size=2))},
        "CIDR": {f"{side}CIDR": prefixes},
        "CIDRSet": {f"{side}CIDRSet": sets},
    }
    return keys[kind]


@st.composite
def cilium_policies(draw: st.DrawFn) -> dict[str, Any]:
    """A CNP or CCNP, valid in most releases."""
    namespaced = draw(st.integers(0, 3)) > 0
    spec: dict[str, Any] = {"endpointSelector": draw(selectors())}
    if not namespaced and draw(st.integers(0, 5)) == 0:
        spec = {"nodeSelector": {}}
    for section, side in (
        ("ingress", "from"),
        ("ingressDeny", "from"),
        ("egress", "to"),
        ("egressDeny", "to"),
    ):
        denies = section.endswith("Deny")
        if draw(st.integers(0, 3 if denies else 1)) == 0:
            spec[section] = [
                draw(peer_keys(side, denies=denies)) | draw(port_lists(denies=denies, egress=side == "to"))
                for _ in range(draw(st.integers(1, 2)))
            ]
    if len(spec) == 1:
        spec["ingress"] = [{}]
    if draw(st.integers(0, 3)) == 0:
        spec["enableDefaultDeny"] = {draw(st.sampled_from(("ingress", "egress"))): draw(st.booleans())}
    metadata = {"name": draw(st.sampled_from(("p", "q", "r")))}
    if namespaced:
        metadata["namespace"] = draw(st.sampled_from(NAMESPACES))
    kind = "CiliumNetworkPolicy" if namespaced else "CiliumClusterwideNetworkPolicy"
    return {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": spec}


@st.composite
def kubernetes_policies(draw: st.DrawFn) -> dict[str, Any]:
    """A NetworkPolicy."""

    def plain_selector() -> dict[str, Any]:
        return draw(st.sampled_from(({}, {"matchLabels": {"app": "web"}}, {"matchLabels": {"tier": "back"}})))

    def rule(side: str) -> dict[str, Any]:
        peers = draw(
            st.lists(
                st.sampled_from(
                    (
                        {"podSelector": {}},
                        {"podSelector": {"matchLabels": {"app": "web"}}},
                        {"namespaceSelector": {}},
                        {"namespaceSelector": {"matchLabels": {"team": "pay-team"}}, "podSelector": {}},
                        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                    )
                ),
                max_size=2,
            )
        )
        ports = draw(
            st.sampled_from(
                (
                    [],
                    [{"port": 80}],
                    [{"port": "http"}],
                    [{"protocol": "UDP"}],
                    [{"port": 80, "endPort": 443}],
                )
            )
        )
        return ({side: peers} if peers else {}) | ({"ports": ports} if ports else {})

    spec: dict[str, Any] = {"podSelector": plain_selector()}
    types = draw(st.sampled_from((["Ingress"], ["Egress"], ["Ingress", "Egress"])))
    spec["policyTypes"] = types
    if "Ingress" in types and draw(st.booleans()):
        spec["ingress"] = [rule("from")]
    if "Egress" in types and draw(st.booleans()):
        spec["egress"] = [rule("to")]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "k", "namespace": draw(st.sampled_from(NAMESPACES))},
        "spec": spec,
    }


def policy_objects(max_size: int = 4) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Some policies of all kinds."""
    one = st.one_of(cilium_policies(), cilium_policies(), kubernetes_policies())
    return st.lists(one, max_size=max_size)
