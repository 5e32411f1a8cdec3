"""
Cilium's policy schema per release, written by hand from the CRDs (``pkg/k8s/apis/cilium.io/client``).

Only what can refuse an object is kept. Both kinds share one ``spec``; that a CiliumNetworkPolicy
may not carry ``nodeSelector`` is the agent's decision (`models.manifest.validate_agent`).
"""

from functools import lru_cache
from typing import Final

from models.domain.agent import Release, release
from models.manifest.validate_nodes import Node

ICMP_NAMES: Final[dict[str, dict[str, int]]] = {
    "IPv4": {
        "EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8,
        "RouterAdvertisement": 9, "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12,
        "Timestamp": 13, "TimestampReply": 14, "Photuris": 40, "ExtendedEchoRequest": 42,
        "ExtendedEchoReply": 43,
    },
    "IPv6": {
        "DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4,
        "EchoRequest": 128, "EchoReply": 129, "MulticastListenerQuery": 130,
        "MulticastListenerReport": 131, "MulticastListenerDone": 132, "RouterSolicitation": 133,
        "RouterAdvertisement": 134, "NeighborSolicitation": 135, "NeighborAdvertisement": 136,
        "RedirectMessage": 137, "RouterRenumbering": 138, "ICMPNodeInformationQuery": 139,
        "ICMPNodeInformationResponse": 140, "InverseNeighborDiscoverySolicitation": 141,
        "InverseNeighborDiscoveryAdvertisement": 142, "HomeAgentAddressDiscoveryRequest": 144,
        "HomeAgentAddressDiscoveryReply": 145, "MobilePrefixSolicitation": 146,
        "MobilePrefixAdvertisement": 147, "DuplicateAddressRequestCodeSuffix": 157,
        "DuplicateAddressConfirmationCodeSuffix": 158, "ExtendedEchoRequest": 160,
        "ExtendedEchoReply": 161,
    },
}  # fmt: skip

ENTITIES: Final = (
    "all", "world", "cluster", "host", "init", "ingress", "unmanaged", "remote-node", "health", "none",
    "kube-apiserver",
)  # fmt: skip

MESH_ENTITY: Final = "cluster-mesh"

_TEXT: Final = Node("string")
_NAME: Final = Node("string", low=1)
_PORT: Final = (  # upstream does not anchor the first alternative, so 70000 gets past the API server
    r"^(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})"
    r"|([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*$"
)
_GROUP_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_SERVER_NAMES: Final = {
    1: r"^(\*?\*\.)?([-a-zA-Z0-9_]+\.?)+$",
    2: r"^([-a-zA-Z0-9_*]+[.]?)+$",
}
_ICMP_TYPE: Final = (
    "^([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]|"
    + "|".join(sorted({name for names in ICMP_NAMES.values() for name in names}))
    + ")$"
)

_MATCH_LABELS: Final = Node(
    "object",
    values=Node("string", high=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"),
)
_SELECTOR: Final = Node(
    "object",
    {
        "matchLabels": _MATCH_LABELS,
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
_SELECTORS: Final = Node("array", item=_SELECTOR)
_PREFIXES: Final = Node("array", item=Node("string", cidr=True))
_PREFIX_SETS: Final = Node(
    "array",
    item=Node(
        "object",
        {
            "cidr": Node("string", cidr=True),
            "cidrGroupRef": Node("string", high=253, pattern=_GROUP_NAME),
            "cidrGroupSelector": _SELECTOR,
            "except": _PREFIXES,
        },
        exactly_one=("cidr", "cidrGroupRef", "cidrGroupSelector"),
    ),
)
_TEXT_MAP: Final = Node("object", values=_TEXT)
_TEXTS: Final = Node("array", item=_TEXT)
_GROUPS: Final = Node(
    "array",
    item=Node(
        "object",
        {
            "aws": Node(
                "object",
                {
                    "labels": _TEXT_MAP,
                    "region": _TEXT,
                    "securityGroupsIds": _TEXTS,
                    "securityGroupsNames": _TEXTS,
                },
            )
        },
    ),
)
_FQDN: Final = Node(
    "object",
    {
        "matchName": Node("string", high=255, pattern=r"^([-a-zA-Z0-9_]+[.]?)+$"),
        "matchPattern": Node("string", high=255, pattern=r"^([-a-zA-Z0-9_*]+[.]?)+$"),
    },
    exactly_one=("matchName", "matchPattern"),
)
_SERVICES: Final = Node(
    "array",
    item=Node(
        "object",
        {
            "k8sService": Node("object", {"serviceName": _TEXT, "namespace": _TEXT}),
            "k8sServiceSelector": Node(
                "object", {"selector": _SELECTOR, "namespace": _TEXT}, required=("selector",)
            ),
        },
    ),
)
_SECRET: Final = Node("object", {"name": _TEXT, "namespace": _TEXT}, required=("name",))
_TLS: Final = Node(
    "object",
    {"secret": _SECRET, "trustedCA": _TEXT, "certificate": _TEXT, "privateKey": _TEXT},
    required=("secret",),
)
_LISTENER: Final = Node(
    "object",
    {
        "envoyConfig": Node(
            "object",
            {
                "kind": Node("string", choices=("CiliumEnvoyConfig", "CiliumClusterwideEnvoyConfig")),
                "name": _NAME,
            },
            required=("name",),
        ),
        "name": _NAME,
        "priority": Node("integer", low=1, high=100),
    },
    required=("envoyConfig", "name"),
)
_HTTP: Final = Node(
    "object",
    {
        "method": _TEXT,
        "path": _TEXT,
        "host": _TEXT,
        "headers": _TEXTS,
        "headerMatches": Node(
            "array",
            item=Node(
                "object",
                {
                    "name": _NAME,
                    "value": _TEXT,
                    "secret": _SECRET,
                    "mismatch": Node("string", choices=("LOG", "ADD", "DELETE", "REPLACE")),
                },
                required=("name",),
            ),
        ),
    },
)
_KAFKA: Final = Node(
    "object",
    {
        "role": Node("string", choices=("produce", "consume")),
        "apiKey": _TEXT,
        "apiVersion": _TEXT,
        "clientID": _TEXT,
        "topic": Node("string", high=255),
    },
)
_ICMPS: Final = Node(
    "array",
    item=Node(
        "object",
        {
            "fields": Node(
                "array",
                high=40,
                item=Node(
                    "object",
                    {
                        "family": Node("string", choices=("IPv4", "IPv6")),
                        "type": Node("int-or-string", pattern=_ICMP_TYPE),
                    },
                    required=("type",),
                ),
            )
        },
    ),
)
_DEFAULT_DENY: Final = Node("object", {"ingress": Node("boolean"), "egress": Node("boolean")})
_AUTHENTICATION: Final = Node(
    "object",
    {"mode": Node("string", choices=("disabled", "required", "test-always-fail"))},
    required=("mode",),
)
_RULE_LABELS: Final = Node(
    "array",
    item=Node("object", {"key": _TEXT, "value": _TEXT, "source": _TEXT}, required=("key",)),
)


def _ports(known: Release, *, denies: bool) -> Node:
    protocols = ("TCP", "UDP", "SCTP", "ANY", *known.protocols)
    port = Node(
        "object",
        {
            "port": Node("string", pattern=_PORT),
            "endPort": Node("integer", low=0, high=65535),
            "protocol": Node("string", choices=protocols),
        },
        required=() if known.port_optional else ("port",),
    )
    ports = Node("array", item=port, high=None if denies else 40)
    if denies:
        return Node("array", item=Node("object", {"ports": ports}))
    kinds = {"http": Node("array", item=_HTTP), "dns": Node("array", item=_FQDN)}
    if known.kafka:
        kinds |= {"kafka": Node("array", item=_KAFKA), "l7proto": _TEXT}
    rules = Node(
        "object",
        kinds | ({"l7": Node("array", item=_TEXT_MAP)} if known.kafka else {}),
        exactly_one=tuple(kinds),
    )
    names = Node("array", item=_TEXT)
    if known.server_name_wildcards:
        pattern = _SERVER_NAMES[known.server_name_wildcards]
        names = Node("array", low=1, item=Node("string", high=255, pattern=pattern))
    members = {
        "ports": ports,
        "rules": rules,
        "serverNames": names,
        "terminatingTLS": _TLS,
        "originatingTLS": _TLS,
        "listener": _LISTENER,
    }
    return Node("array", item=Node("object", members))


def _entries(known: Release, side: str, *, denies: bool) -> Node:
    entities = (*ENTITIES, MESH_ENTITY) if known.mesh_entity else ENTITIES
    members: dict[str, Node] = {
        f"{side}Endpoints": _SELECTORS,
        f"{side}Entities": Node("array", item=Node("string", choices=entities)),
        f"{side}CIDR": _PREFIXES,
        f"{side}CIDRSet": _PREFIX_SETS,
        f"{side}Nodes": _SELECTORS,
        f"{side}Groups": _GROUPS,
        f"{side}Requires": _SELECTORS if known.requires else Node("array", high=0),
        "toPorts": _ports(known, denies=denies),
        "icmps": _ICMPS,
    }
    if side == "to":
        members["toServices"] = _SERVICES
        if not denies:
            members["toFQDNs"] = Node("array", item=_FQDN)
    if not denies:
        members["authentication"] = _AUTHENTICATION
    return Node("array", item=Node("object", members))


@lru_cache(maxsize=16)
def rule_schema(version: str) -> Node:
    """Schema of ``spec``, and of each element of ``specs``, in a release."""
    known = release(version)
    members = {
        "endpointSelector": _SELECTOR,
        "nodeSelector": _SELECTOR,
        "ingress": _entries(known, "from", denies=False),
        "ingressDeny": _entries(known, "from", denies=True),
        "egress": _entries(known, "to", denies=False),
        "egressDeny": _entries(known, "to", denies=True),
        "enableDefaultDeny": _DEFAULT_DENY,
        "description": _TEXT,
        "labels": _RULE_LABELS,
    }
    if known.policy_log:
        members["log"] = Node("object", {"value": Node("string", high=32, pattern=r"^\PC*$")})
    return Node(
        "object",
        members,
        exactly_one=("endpointSelector", "nodeSelector"),
        at_least_one=("ingress", "ingressDeny", "egress", "egressDeny"),
    )
