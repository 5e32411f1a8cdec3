"""The world of the generated cases: identities, addresses and names that differ in single things."""

import random
from typing import Any, Final

NAMESPACE_LABELS: Final = {
    "shop": {"team": "store", "env": "prod"},
    "pay": {"team": "store", "env": "prod", "pci": "yes"},
    "ops": {"team": "platform", "env": "dev"},
    "kube-system": {},
}
PODS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("shop", {"app": "web", "tier": "front", "version": "v1"}),
    ("shop", {"app": "web", "tier": "front"}),
    ("shop", {"app": "api", "tier": "back", "version": "v1"}),
    ("shop", {"app": "api", "tier": "back", "version": "v2", "canary": "true"}),
    ("shop", {"app": "db", "tier": "data"}),
    ("shop", {"app.kubernetes.io/name": "cache", "app": "cache", "tier": "data"}),
    ("pay", {"app": "web", "tier": "front"}),
    ("pay", {"app": "api", "tier": "back", "role": "payments"}),
    ("pay", {"app": "api", "tier": ""}),
    ("ops", {"app": "prometheus", "tier": "monitor"}),
    ("ops", {"host": "metal", "app": "agent"}),
    ("ops", {"init": "yes", "app": "agent"}),
    ("kube-system", {"k8s-app": "kube-dns"}),
)
ADDRESSES: Final = (
    "10.1.2.3", "10.1.2.4", "10.2.0.1", "192.0.2.10", "203.0.113.3", "203.0.113.200", "8.8.8.8",
    "169.254.169.254",
)  # fmt: skip
ADDRESSES_V6: Final = ("2001:db8::1", "2001:db8:1::5", "fd00::7")
PREFIXES: Final = (
    "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.1.2.9/24", "192.0.2.0/28",
    "203.0.113.0/24", "203.0.113.128/25", "8.8.8.0/24", "169.254.169.254/32", "0.0.0.0/0",
)  # fmt: skip
PREFIXES_V6: Final = ("2001:db8::/32", "2001:db8:1::/48", "::/0", "fd00::/8")
HOLES: Final = {
    "10.0.0.0/8": ("10.1.0.0/16", "10.1.2.3/32"),
    "10.1.0.0/16": ("10.1.2.0/24",),
    "203.0.113.0/24": ("203.0.113.128/25",),
    "0.0.0.0/0": ("10.0.0.0/8", "169.254.169.254/32"),
    "2001:db8::/32": ("2001:db8:1::/48",),
}
NAMES: Final = (
    "example.com", "api.example.com", "API.Example.Com", "a.b.example.com", "x.a.b.example.com",
    "www.example.org", "api-7.example.com", "eu-prod.example.com", "_dmarc.example.com",
    "api.example.com.evil.net",
)  # fmt: skip
PATTERNS: Final = (
    "*", "**", "*.example.com", "**.example.com", "***.example.com", "*example.com", "api-*.example.com",
    "*-prod.example.com", "a.*.example.com", "*.*.example.com", "example.*", "api.**.example.com",
    "*.EXAMPLE.com.", "**.", "x*y.example.com",
)  # fmt: skip
PORTS: Final = (80, 443, 8080, 8081, 53, 5432, 1000, 1001, 65535, 1)
NAMED_PORTS: Final = (
    (),
    (("http", 8080, "TCP"), ("metrics", 9100, "TCP")),
    (("http", 80, "TCP"), ("dns", 53, "UDP")),
    (("pg", 5432, "TCP"),),
)
ENTITIES: Final = (
    "all", "world", "cluster", "host", "remote-node", "kube-apiserver", "health", "init", "unmanaged",
    "ingress", "none",
)  # fmt: skip
METHODS: Final = ("GET", "POST", "PUT", "DELETE")
PATHS: Final = ("/", "/v1/items", "/v1/items/42", "/v1/items?x=1", "/admin", "/health", "/V1/items")
HOSTS: Final = ("example.com", "api.example.com:8080", "")


def pod(rng: random.Random) -> dict[str, Any]:
    """A pod as Hubble shows it, now and then of another cluster."""
    namespace, labels = rng.choice(PODS)
    cluster = "west" if rng.random() < 0.08 else "default"
    texts = [f"k8s:{key}={value}" for key, value in labels.items()]
    texts += [
        f"k8s:io.kubernetes.pod.namespace={namespace}",
        f"k8s:io.cilium.k8s.policy.cluster={cluster}",
        f"k8s:io.cilium.k8s.policy.serviceaccount={labels.get('app', 'coredns')}",
        f"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name={namespace}",
    ]
    texts += [
        f"k8s:io.cilium.k8s.namespace.labels.{key}={value}"
        for key, value in NAMESPACE_LABELS[namespace].items()
    ]
    ports = rng.choice(NAMED_PORTS)
    side: dict[str, Any] = {"labels": texts}
    if ports:
        side["named_ports"] = [{"name": name, "port": port, "proto": proto} for name, port, proto in ports]
    return side


def outsider(rng: random.Random, *, dual: bool) -> dict[str, Any]:
    """A peer that is not a pod."""
    draw = rng.random()
    if draw < 0.62:
        addresses = ADDRESSES + (ADDRESSES_V6 if dual else ())
        side: dict[str, Any] = {"ip": rng.choice(addresses)}
        if rng.random() < 0.5:
            side["names"] = rng.sample(NAMES, rng.randint(1, 2))
        return side
    if draw < 0.72:
        side = {"entity": "kube-apiserver"}
        if rng.random() < 0.5:
            side["ip"] = rng.choice(ADDRESSES)
        return side
    names = ("host", "host", "remote-node", "remote-node", "health", "init", "unmanaged", "ingress")
    return {"entity": rng.choice(names if dual else (*names, "world"))}


def labels_of(side: dict[str, Any]) -> dict[str, str]:
    """Keys (without source) and values of a side's labels."""
    pairs = (text.partition(":")[2].partition("=") for text in side.get("labels", ()))
    return {key: value for key, _, value in pairs}
