"""
Random policies aimed at a flow: most rules are taken from the flow itself and bent in one place.

Purely random policies hardly ever select anything; a near miss is where evaluators go wrong.
"""

import random
from typing import Any, Final

from conformance import world

Side = dict[str, Any]

SECTIONS: Final = (
    ("ingress", "from", False),
    ("ingressDeny", "from", True),
    ("egress", "to", False),
    ("egressDeny", "to", True),
)
NAMESPACE: Final = "io.kubernetes.pod.namespace"
CLUSTER: Final = "io.cilium.k8s.policy.cluster"


class PolicyWriter:
    """
    Writes policy objects around one flow.

    Parameters
    ----------
    rng
        Source of all randomness.
    flow
        The flow that the policies are about.
    dual
        IPv6 prefixes may appear.
    requires
        ``fromRequires``/``toRequires`` may appear (releases up to 1.18).
    """

    def __init__(self, rng: random.Random, flow: dict[str, Any], *, dual: bool, requires: bool) -> None:
        self.rng = rng
        self.flow = flow
        self.requires = requires
        self.prefixes = world.PREFIXES + (world.PREFIXES_V6 if dual else ())
        ingress = flow["direction"] == "ingress"
        self.subject: Side = flow["dst" if ingress else "src"]
        self.peer: Side = flow["src" if ingress else "dst"]
        self.port: int = flow["l4"].get("port", 0)
        self.protocol: str = flow["l4"]["proto"]

    def chance(self, share: float) -> bool:
        """Whether something happens."""
        return self.rng.random() < share

    def objects(self) -> list[dict[str, Any]]:
        """One to four policies of any kind."""
        count = self.rng.choice((1, 1, 1, 2, 2, 3, 4))
        return [self.one(f"p{number}") for number in range(1, count + 1)]

    def one(self, name: str) -> dict[str, Any]:
        """One policy."""
        draw = self.rng.random()
        if draw < 0.18:
            return self.kubernetes(name)
        if "entity" in self.subject and self.chance(0.7):
            return self.clusterwide(name, {"nodeSelector": self.selector(self.subject, node=True)})
        if draw < 0.36:
            return self.clusterwide(name, {"endpointSelector": self.selector(self.subject)})
        return self.namespaced(name)

    def namespaced(self, name: str) -> dict[str, Any]:
        """A CiliumNetworkPolicy, nine times of ten in the subject's namespace."""
        home = world.labels_of(self.subject).get(NAMESPACE, "shop")
        namespace = home if self.chance(0.9) else self.rng.choice(list(world.NAMESPACE_LABELS))
        document = {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
        }
        if self.chance(0.1):
            document["specs"] = [self.spec(), self.spec()]  # type: ignore[assignment]
            return document
        return document | {"spec": self.spec()}

    def clusterwide(self, name: str, subject: dict[str, Any]) -> dict[str, Any]:
        """A CiliumClusterwideNetworkPolicy about a subject."""
        return {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumClusterwideNetworkPolicy",
            "metadata": {"name": name},
            "spec": self.spec(subject),
        }

    def spec(self, subject: dict[str, Any] | None = None) -> dict[str, Any]:
        """One rule, mostly about the asked direction."""
        spec = dict(subject or {"endpointSelector": self.selector(self.subject, own=True)})
        host = "nodeSelector" in spec
        wanted = self.flow["direction"]
        for section, side, denies in SECTIONS:
            likely = 0.8 if section == wanted else 0.25 if section.startswith(wanted) else 0.1
            if self.chance(likely):
                spec[section] = [
                    self.entry(side, denies=denies, host=host) for _ in range(self.rng.choice((1, 1, 2, 3)))
                ]
        if not any(section in spec for section, _, _ in SECTIONS):
            spec[wanted] = [{}]
        if self.chance(0.12):
            spec["enableDefaultDeny"] = {
                d: self.chance(0.4) for d in ("ingress", "egress") if self.chance(0.7)
            }
        return spec

    def selector(self, side: Side, *, own: bool = False, node: bool = False) -> dict[str, Any]:
        """A label selector that tends to select the side; `own`: the namespace is implied."""
        labels = world.labels_of(side)
        if node:
            return self.rng.choice(
                ({}, {"matchLabels": labels} if labels else {}, {"matchLabels": {"role": "worker"}})
            )
        if self.chance(0.12):
            return {}
        shown = {key: value for key, value in labels.items() if not key.startswith("io.")}
        chosen = {
            self.source(key): value if self.chance(0.92) else self.rng.choice(("web", "api", "", "v2"))
            for key, value in shown.items()
            if self.chance(0.5)
        }
        if self.chance(0.04 if own else 0.45) and NAMESPACE in labels:
            value = labels[NAMESPACE] if self.chance(0.85) else "ops"
            chosen[self.source(NAMESPACE)] = value
        if not own and self.chance(0.1):
            key = self.rng.choice(("team", "env", "kubernetes.io/metadata.name"))
            full = f"io.cilium.k8s.namespace.labels.{key}"
            chosen[self.source(full)] = labels.get(full, "store")
        if not own and self.chance(0.08):
            chosen[self.source(CLUSTER)] = self.rng.choice(("default", "west"))
        if self.chance(0.03):
            chosen[f"reserved:{self.rng.choice(('host', 'world', 'init', 'remote-node'))}"] = ""
        selector: dict[str, Any] = {"matchLabels": chosen} if chosen else {}
        if self.chance(0.3):
            selector["matchExpressions"] = [
                self.expression(labels) for _ in range(self.rng.choice((1, 1, 2)))
            ]
        return selector

    def source(self, key: str) -> str:
        """A key with, or without, a source."""
        return self.rng.choice((key, key, f"k8s:{key}", f"any:{key}"))

    def expression(self, labels: dict[str, str]) -> dict[str, Any]:
        """One matchExpressions element."""
        keys = ["app", "tier", "version", "role", "missing", NAMESPACE, CLUSTER, *labels]
        key = self.rng.choice(keys)
        operator = self.rng.choice(("In", "NotIn", "Exists", "DoesNotExist"))
        expression: dict[str, Any] = {"key": self.source(key), "operator": operator}
        if operator in {"In", "NotIn"}:
            pool = [labels.get(key, "web"), "web", "api", "shop", "ops", "default", ""]
            expression["values"] = sorted(set(self.rng.sample(pool, self.rng.randint(1, 3))))
        return expression

    def entry(self, side: str, *, denies: bool, host: bool) -> dict[str, Any]:
        """One entry of a section."""
        entry = self.peers(side, denies=denies)
        draw = self.rng.random()
        if draw < 0.55:
            elements = [self.ports(side, denies=denies, host=host) for _ in range(self.rng.choice((1, 1, 2)))]
            entry["toPorts"] = elements if self.chance(0.96) else []
        elif draw < 0.68 and self.protocol.startswith("ICMP"):
            entry["icmps"] = [{"fields": [self.icmp() for _ in range(self.rng.choice((1, 2)))]}]
        return entry

    def icmp(self) -> dict[str, Any]:
        """One ICMP type."""
        family = self.rng.choice(("IPv4", "IPv6"))
        number = self.flow["l4"].get("icmp_type", 8)
        return {
            "family": family,
            "type": self.rng.choice((number, number, 8, 0, 128, "EchoRequest", str(number))),
        }

    def peers(self, side: str, *, denies: bool) -> dict[str, Any]:
        """One peer key, or none; now and then an empty list."""
        kinds = ["Endpoints"] * 6 + ["Entities"] * 3 + ["none"] * 2
        kinds += (["CIDR"] * 4 + ["CIDRSet"] * 3) if "ip" in self.peer else ["CIDR", "CIDRSet"]
        if side == "to" and not denies:
            kinds += ["FQDNs"] * (6 if "names" in self.peer else 1)
        kind = self.rng.choice(kinds)
        if kind == "none":
            return {}
        if self.chance(0.03):
            return {"toFQDNs" if kind == "FQDNs" else f"{side}{kind}": []}
        count = self.rng.choice((1, 1, 2))
        if kind != "Endpoints":
            return self.other_peers(side, kind, count)
        found = {f"{side}Endpoints": [self.selector(self.peer) for _ in range(count)]}
        if self.requires and self.chance(0.08):
            found[f"{side}Requires"] = [self.selector(self.peer)]
        return found

    def other_peers(self, side: str, kind: str, count: int) -> dict[str, Any]:
        """Peers that are not chosen by label."""
        if kind == "FQDNs":
            return {"toFQDNs": [self.fqdn() for _ in range(count)]}
        if kind == "Entities":
            return {f"{side}Entities": self.rng.sample(world.ENTITIES, count)}
        if kind == "CIDR":
            return {f"{side}CIDR": self.rng.sample(self.prefixes, count)}
        return {f"{side}CIDRSet": [self.prefix_set() for _ in range(count)]}

    def fqdn(self) -> dict[str, str]:
        """A name or pattern, often one that the peer has."""
        if self.chance(0.5):
            return {"matchName": self.rng.choice([*self.peer.get("names", ()), *world.NAMES])}
        return {"matchPattern": self.rng.choice(world.PATTERNS)}

    def prefix_set(self) -> dict[str, Any]:
        """A prefix, perhaps with a hole."""
        prefix = self.rng.choice(self.prefixes)
        holes = world.HOLES.get(prefix, ())
        return {"cidr": prefix} | ({"except": [self.rng.choice(holes)]} if holes and self.chance(0.6) else {})

    def ports(self, side: str, *, denies: bool, host: bool) -> dict[str, Any]:
        """One toPorts element."""
        if self.chance(0.03):
            return self.rng.choice(({}, {"ports": []}))
        kind = None
        if not denies and self.chance(0.25):
            kind = "dns" if side == "to" and self.protocol == "UDP" else "http"
            kind = None if host and (kind == "http" or side == "from") else kind
        element: dict[str, Any] = {"ports": [self.number(kind) for _ in range(self.rng.choice((1, 1, 2)))]}
        if kind == "http":
            element["rules"] = {"http": [self.http() for _ in range(self.rng.choice((1, 2)))]}
        if kind == "dns":
            element["rules"] = {"dns": [self.fqdn() for _ in range(self.rng.choice((1, 2)))]}
        if kind and self.chance(0.05):
            element["rules"] = {kind: []}
        return element

    def number(self, kind: str | None) -> dict[str, Any]:
        """One port, range or name."""
        port = self.port if self.chance(0.6) else self.rng.choice(world.PORTS)
        protocol = self.protocol if self.protocol in {"TCP", "UDP", "SCTP"} else "TCP"
        if kind == "http":
            protocol = "TCP"
        elif self.chance(0.3):
            protocol = self.rng.choice(("TCP", "UDP", "SCTP", "ANY"))
        if kind is None and self.chance(0.12):
            return {"port": self.rng.choice(("http", "metrics", "dns", "HTTP", "pg")), "protocol": protocol}
        number: dict[str, Any] = {"port": str(port), "protocol": protocol}
        if kind is None and self.chance(0.06):
            number["port"] = "0"
        elif kind != "dns" and self.chance(0.25):
            start = max(1, port - self.rng.choice((0, 0, 1, 7, 80, 500)))
            end = min(65535, start + self.rng.choice((0, 1, 7, 80, 1000, 60000)))
            number |= {"port": str(start), "endPort": end}
        if self.chance(0.05):
            number.pop("protocol") if kind in (None, "dns") else None
        return number

    def http(self) -> dict[str, Any]:
        """One http element; sometimes empty, which lets everything pass through the proxy."""
        rule: dict[str, Any] = {}
        if self.chance(0.6):
            rule["method"] = self.rng.choice((*world.METHODS, "GET|POST", ".*", "G.T"))
        if self.chance(0.6):
            rule["path"] = self.rng.choice(
                (*world.PATHS[:4], "/v1/.*", "/v1/[^/?]+", "/(health|admin)", "/v1/items/[0-9]+")
            )
        if self.chance(0.15):
            rule["host"] = self.rng.choice(("example\\.com", ".*\\.example\\.com.*", "example.com"))
        if self.chance(0.15):
            rule["headers"] = [self.rng.choice(("X-Env: prod", "X-Token", "x-env prod"))]
        if self.chance(0.08):
            match: dict[str, Any] = {"name": "X-Env", "value": self.rng.choice(("prod", "dev"))}
            rule["headerMatches"] = [match | ({"mismatch": "LOG"} if self.chance(0.4) else {})]
        return rule

    def kubernetes(self, name: str) -> dict[str, Any]:
        """A NetworkPolicy in the subject's namespace."""
        home = world.labels_of(self.subject).get(NAMESPACE, "shop")
        spec: dict[str, Any] = {"podSelector": self.plain(self.subject)}
        types = self.rng.choice((None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]))
        if types:
            spec["policyTypes"] = types
        for section, side in (("ingress", "from"), ("egress", "to")):
            if self.chance(0.75 if section == self.flow["direction"] else 0.15):
                spec[section] = [self.kubernetes_rule(side) for _ in range(self.rng.choice((0, 1, 1, 2)))]
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": home},
            "spec": spec,
        }

    def kubernetes_rule(self, side: str) -> dict[str, Any]:
        """One rule of a NetworkPolicy."""
        rule: dict[str, Any] = {}
        if self.chance(0.8):
            rule[side] = [self.kubernetes_peer() for _ in range(self.rng.choice((0, 1, 1, 2)))]
        if self.chance(0.5):
            rule["ports"] = [self.kubernetes_port() for _ in range(self.rng.choice((0, 1, 1, 2)))]
        return rule

    def kubernetes_peer(self) -> dict[str, Any]:
        """Pods, namespaces, or an address block."""
        if self.chance(0.3 if "ip" in self.peer else 0.05):
            prefix = self.rng.choice([p for p in self.prefixes if not p.endswith("9/24")])
            holes = world.HOLES.get(prefix, ())
            return {
                "ipBlock": {"cidr": prefix}
                | ({"except": [self.rng.choice(holes)]} if holes and self.chance(0.5) else {})
            }
        peer: dict[str, Any] = {}
        if self.chance(0.55):
            labels = world.labels_of(self.peer)
            prefix = "io.cilium.k8s.namespace.labels."
            known = {
                key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)
            }
            chosen = {key: value for key, value in known.items() if self.chance(0.4)}
            peer["namespaceSelector"] = {"matchLabels": chosen} if chosen else {}
            if self.chance(0.2):
                peer["namespaceSelector"]["matchExpressions"] = [
                    {"key": "env", "operator": self.rng.choice(("Exists", "DoesNotExist"))}
                ]
        if not peer or self.chance(0.5):
            peer["podSelector"] = self.plain(self.peer)
        return peer

    def kubernetes_port(self) -> dict[str, Any]:
        """One port of a NetworkPolicy."""
        port: dict[str, Any] = {}
        if self.chance(0.6) and self.protocol in {"TCP", "UDP", "SCTP"}:
            port["protocol"] = self.protocol
        if self.chance(0.8):
            port["port"] = self.port or 80
            if self.chance(0.2):
                port["port"] = self.rng.choice(("http", "dns", "pg"))
            elif self.chance(0.2):
                port["endPort"] = min(65535, port["port"] + 10)
        return port

    def plain(self, side: Side) -> dict[str, Any]:
        """A selector without sources."""
        labels = {k: v for k, v in world.labels_of(side).items() if not k.startswith("io.")}
        chosen = {key: value for key, value in labels.items() if self.chance(0.45)}
        selector: dict[str, Any] = {"matchLabels": chosen} if chosen else {}
        if self.chance(0.2):
            operator = self.rng.choice(("In", "NotIn", "Exists", "DoesNotExist"))
            expression: dict[str, Any] = {
                "key": self.rng.choice(("app", "tier", "role")),
                "operator": operator,
            }
            if operator in {"In", "NotIn"}:
                expression["values"] = ["web", "back"]
            selector["matchExpressions"] = [expression]
        return selector
