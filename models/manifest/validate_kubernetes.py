"""What the API server refuses in a Kubernetes NetworkPolicy (its own validation, not a CRD's)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.domain.cidr import parse_prefix
from models.manifest.validate_agent import is_port_name, selector_problems
from models.manifest.validate_nodes import Node, Problem, check, shown

_TEXT: Final = Node("string")
_SELECTOR: Final = Node(
    "object",
    {
        "matchLabels": Node(
            "object",
            values=Node("string", high=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"),
        ),
        "matchExpressions": Node(
            "array",
            item=Node(
                "object",
                {
                    "key": _TEXT,
                    "operator": Node("string", choices=("In", "NotIn", "Exists", "DoesNotExist")),
                    "values": Node("array", item=_TEXT),
                },
                required=("key", "operator"),
            ),
        ),
    },
)
_PEERS: Final = Node(
    "array",
    item=Node(
        "object",
        {
            "podSelector": _SELECTOR,
            "namespaceSelector": _SELECTOR,
            "ipBlock": Node(
                "object",
                {
                    "cidr": Node("string", cidr=True),
                    "except": Node("array", item=Node("string", cidr=True)),
                },
                required=("cidr",),
            ),
        },
        at_least_one=("podSelector", "namespaceSelector", "ipBlock"),
    ),
)
_PORTS: Final = Node(
    "array",
    item=Node(
        "object",
        {
            "protocol": Node("string", choices=("TCP", "UDP", "SCTP")),
            "port": Node("int-or-string"),
            "endPort": Node("integer", low=1, high=65535),
        },
    ),
)
_SPEC: Final = Node(
    "object",
    {
        "podSelector": _SELECTOR,
        "policyTypes": Node("array", item=Node("string", choices=("Ingress", "Egress"))),
        "ingress": Node("array", item=Node("object", {"from": _PEERS, "ports": _PORTS})),
        "egress": Node("array", item=Node("object", {"to": _PEERS, "ports": _PORTS})),
    },
)


def kubernetes_problems(spec: object) -> Iterator[Problem]:
    """Why the API server would refuse the ``spec`` of a NetworkPolicy."""
    in_schema = list(check(spec, _SPEC, "spec"))
    yield from in_schema
    if not isinstance(spec, Mapping) or any(problem.kind == "schema" for problem in in_schema):
        return
    yield from selector_problems(spec.get("podSelector", {}), "spec.podSelector", "k8s")
    for section, side in (("ingress", "from"), ("egress", "to")):
        for index, entry in enumerate(spec.get(section, ())):
            path = f"spec.{section}[{index}]"
            for place, peer in enumerate(entry.get(side, ())):
                yield from _peer_problems(peer, f"{path}.{side}[{place}]")
            for place, port in enumerate(entry.get("ports", ())):
                yield from _port_problems(port, f"{path}.ports[{place}]")


def _peer_problems(peer: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if "ipBlock" in peer and len(peer) > 1:
        yield Problem(path, "ipBlock stands alone in its element")
    for key in ("podSelector", "namespaceSelector"):
        if key in peer:
            yield from selector_problems(peer[key], f"{path}.{key}", "k8s")
    block = peer.get("ipBlock")
    prefix = parse_prefix(block["cidr"]) if block else None
    if block is None or prefix is None:
        return
    for text in block.get("except", ()):
        hole = parse_prefix(text)
        strictly_inside = (
            hole is not None
            and hole.version == prefix.version
            and hole.prefixlen > prefix.prefixlen
            and hole.network_address in prefix
        )
        if not strictly_inside:
            yield Problem(f"{path}.ipBlock.except", f"{shown(text)} is not strictly inside {block['cidr']}")


def _port_problems(port: Mapping[str, Any], path: str) -> Iterator[Problem]:
    number = port.get("port")
    if isinstance(number, int) and not 1 <= number <= 65535:
        yield Problem(f"{path}.port", f"{number} is outside 1 to 65535")
    if isinstance(number, str) and not (is_port_name(number) and number == number.lower()):
        yield Problem(f"{path}.port", f"{shown(number)} is no port name")
    end = port.get("endPort")
    if end is not None and (not isinstance(number, int) or end < number):
        yield Problem(f"{path}.endPort", "needs a numeric port that is not above it")
