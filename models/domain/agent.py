"""
What the Cilium agent's release and settings change about a policy's meaning.

Every line of ``RELEASES`` names the behaviour that differs between Cilium releases; the section
numbers are those of Cilium's own sources as summarised in ``docs/policy-semantics.md``. An unknown
newer release is read as the newest known one, an unknown older one is refused: guessing the past
would turn an old cluster's meaning into today's.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from models.errors import UnsupportedError

LOCAL_CLUSTER: Final = "default"  # Cilium's own default of `cluster-name`
MAP_SIZE: Final = 16384  # entries of a pod's policy map: Cilium's own default of `bpf-policy-map-max`


@dataclass(frozen=True, slots=True)
class Release:
    """
    One Cilium minor release, as far as it changes verdicts or validation.

    Parameters
    ----------
    name
        ``major.minor``.
    local_cluster_default
        Default of ``policy-default-local-cluster``: peer selectors mean the own cluster
        (``pkg/k8s/apis/cilium.io/utils``; the flag came with 1.18, its default turned with 1.19).
    deep_wildcards
        A leading ``**.`` spans one or more DNS labels and a run of ``*`` alone matches every name
        (``pkg/fqdn/matchpattern``).
    split_world
        In dual stack an outside address carries ``reserved:world-ipv4`` or ``-ipv6`` only, so a
        hand-written ``reserved:world`` misses it (``pkg/policy/api/entity.go``).
    except_within_prefix
        An ``except`` has to lie wholly inside its prefix, not only its network address.
    requires
        ``fromRequires`` and ``toRequires`` exist.
    kafka
        Kafka and proxylib rules exist.
    policy_log
        ``spec.log`` exists.
    server_name_wildcards
        0: plain names, 1: a leading ``*.`` or ``**.``, 2: ``*`` anywhere in a label.
    protocols
        Layer 4 protocols the schema admits beside TCP, UDP, SCTP and ANY.
    port_optional
        The schema does not require ``port`` (the agent does, without extended IP protocols).
    spec_required
        An object with neither ``spec`` nor ``specs`` is refused at admission.
    mesh_entity
        The entity ``cluster-mesh`` exists.
    any_host_label
        Without the host firewall an endpoint with a label ``host`` of any source is left alone, as if
        it were the host (``pkg/policy/repository.go`` up to 1.19).
    host_without_rules
        The local host is let in even where an enforced endpoint has no ingress rule at all; from 1.20
        its allow is a rule beside the others (``pkg/policy/repository.go``).
    source_in_key
        A selector's key is validated with its source in front (``any.app``), so it may be four
        characters shorter and may start with a dash (``pkg/policy/api/selector.go`` up to 1.19).
    """

    name: str
    local_cluster_default: bool = True
    deep_wildcards: bool = True
    split_world: bool = True
    except_within_prefix: bool = True
    requires: bool = False
    kafka: bool = False
    policy_log: bool = True
    server_name_wildcards: int = 2
    protocols: tuple[str, ...] = ("VRRP", "IGMP", "GRE", "IPIP", "IPV6", "ESP", "AH")
    port_optional: bool = True
    spec_required: bool = True
    mesh_entity: bool = True
    any_host_label: bool = False
    host_without_rules: bool = False
    source_in_key: bool = False


# Each release is the next newer one with what it did otherwise.
_V120: Final = Release("1.20")
_V119: Final = replace(
    _V120,
    name="1.19",
    except_within_prefix=False,
    kafka=True,
    server_name_wildcards=1,
    protocols=("VRRP", "IGMP"),
    spec_required=False,
    mesh_entity=False,
    any_host_label=True,
    host_without_rules=True,
    source_in_key=True,
)
_V118: Final = replace(
    _V119,
    name="1.18",
    local_cluster_default=False,
    deep_wildcards=False,
    requires=True,
    protocols=(),
    port_optional=False,
)
_V117: Final = replace(_V118, name="1.17", split_world=False, policy_log=False, server_name_wildcards=0)
_V116: Final = replace(_V117, name="1.16")

RELEASES: Final = {known.name: known for known in (_V116, _V117, _V118, _V119, _V120)}

OLDEST: Final = "1.16"
NEWEST: Final = "1.20"


def release(version: str) -> Release:
    """
    Find what is known of a Cilium version.

    Parameters
    ----------
    version
        ``1.18``, ``1.18.6``, ``v1.18.6`` or ``1.18.0-rc.0``; only major and minor count.

    Returns
    -------
    Release
        The newest known one for a version newer than all.

    Raises
    ------
    UnsupportedError
        If the text is no version or older than the oldest known release.

    Examples
    --------
    >>> release("v1.18.6").local_cluster_default
    False
    >>> release("1.23").name
    '1.20'
    """
    parts = version.strip().removeprefix("v").split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        raise UnsupportedError(f"{version!r} is no Cilium version; write it as {NEWEST!r}")
    name = f"{int(parts[0])}.{int(parts[1])}"
    if name in RELEASES:
        return RELEASES[name]
    if (int(parts[0]), int(parts[1])) > _ordinal(NEWEST):
        return RELEASES[NEWEST]
    raise UnsupportedError(f"Cilium {name} is older than {OLDEST}, the oldest release Portolan knows")


def _ordinal(name: str) -> tuple[int, int]:
    major, minor = name.split(".")
    return int(major), int(minor)


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """
    Agent settings that change verdicts, with Cilium's defaults.

    Parameters
    ----------
    cilium_version
        Release of the target cluster; the newest known one when nothing is known.
    cluster_name
        ``cluster-name``, the value of ``io.cilium.k8s.policy.cluster`` on own pods.
    enable_policy
        ``enable-policy``: ``default`` enforces where a rule selects, ``always`` everywhere,
        ``never`` nowhere.
    allow_localhost
        ``allow-localhost``: ``always`` lets the local host in (Kubernetes), ``policy`` asks.
    default_local_cluster
        ``policy-default-local-cluster``; ``None`` takes the release's default.
    cidr_matches_nodes
        ``policy-cidr-match-mode`` contains ``nodes``.
    dual_stack
        IPv4 and IPv6 are both enabled.
    node_selector_labels
        ``enable-node-selector-labels``, without which ``fromNodes`` and ``toNodes`` are refused.
    host_firewall
        ``enable-host-firewall``, without which node policies do nothing.
    extended_protocols
        ``enable-extended-ip-protocols``.
    """

    cilium_version: str = NEWEST
    cluster_name: str = LOCAL_CLUSTER
    enable_policy: Literal["default", "always", "never"] = "default"
    allow_localhost: Literal["always", "policy"] = "always"
    default_local_cluster: bool | None = None
    cidr_matches_nodes: bool = False
    dual_stack: bool = False
    node_selector_labels: bool = False
    host_firewall: bool = False
    extended_protocols: bool = False

    @property
    def release(self) -> Release:
        """What the release changes."""
        return release(self.cilium_version)

    @property
    def peer_cluster(self) -> str | None:
        """Cluster that a peer selector without a cluster label means; ``None``: any cluster."""
        by_default = self.default_local_cluster
        if by_default is None:
            by_default = self.release.local_cluster_default
        return self.cluster_name if by_default else None
