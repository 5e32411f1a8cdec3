"""What every step of the synthesis looks things up in: one cluster, seen as a whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from models.domain.capabilities import Capabilities, CapabilityHints, resolve_capabilities
from models.domain.workload import Workload
from models.frames import Observations
from models.learning.workloads import Workloads, learn_workloads
from models.synthesis.edges import Edge

Posture = Literal["generous", "balanced", "strict"]
POSTURES: Final = ("generous", "balanced", "strict")

#: Labels by which the resolvers of the common distributions are known.
RESOLVER_LABELS: Final = frozenset(
    {
        ("k8s-app", "kube-dns"),
        ("k8s-app", "coredns"),
        ("k8s-app", "node-local-dns"),
        ("app.kubernetes.io/name", "coredns"),
        ("dns.operator.openshift.io/daemonset-dns", "default"),
    }
)
DNS_PORT: Final = 53
OPENSHIFT_DNS_PORT: Final = 5353
#: Clients and namespaces that make a pod on port 53 a resolver of the cluster and not of one application.
MIN_RESOLVER_CLIENTS: Final = 3
MIN_RESOLVER_NAMESPACES: Final = 2


@dataclass(frozen=True, slots=True)
class ClusterView:
    """
    The cluster as the synthesis sees it.

    Parameters
    ----------
    workloads
        Who is who.
    capabilities
        What may be written.
    posture
        How generous to be.
    local_cluster
        Cilium's name of this cluster on its pods; "" when no label says it.
    resolver_ports
        DNS port by label-set key of the pods that resolve for the cluster.
    """

    workloads: Workloads
    capabilities: Capabilities
    posture: Posture
    local_cluster: str
    resolver_ports: dict[str, int]

    def workload(self, label_key: str) -> Workload | None:
        """Workload of a label set."""
        return self.workloads.by_label_key.get(label_key)

    def foreign(self, workload: Workload) -> bool:
        """Whether the workload runs in another cluster of the mesh."""
        return bool(self.local_cluster and workload.cluster and workload.cluster != self.local_cluster)


def cluster_view(
    observations: Observations, edges: Sequence[Edge], hints: CapabilityHints, posture: Posture
) -> ClusterView:
    """
    See a window of observations as a whole.

    Parameters
    ----------
    observations
        Of one cluster.
    edges
        Its distinct edges.
    hints
        What the configuration says the cluster can enforce.
    posture
        How generous to be.
    """
    workloads = learn_workloads(observations)
    names_seen = bool(len(observations.lookups)) or any(edge.names or edge.dns for edge in edges)
    return ClusterView(
        workloads=workloads,
        capabilities=resolve_capabilities(
            hints, names_seen=names_seen, requests_seen=bool(len(observations.http_days))
        ),
        posture=posture,
        local_cluster=local_cluster(observations, workloads, edges),
        resolver_ports=resolver_ports(workloads, edges),
    )


def local_cluster(observations: Observations, workloads: Workloads, edges: Sequence[Edge]) -> str:
    """
    Cilium's name of the observed cluster.

    It need not be the name the observations were stored under: that name if pods carry it, else the one
    that most pods carry which were seen at their own end.
    """
    named = {workload.cluster for workload in workloads.all if workload.cluster}
    if observations.cluster in named or not named:
        return observations.cluster if named else ""
    votes: Counter[str] = Counter()
    for edge in edges:
        workload = workloads.by_label_key.get(edge.subject)
        if workload is not None and workload.cluster:
            votes[workload.cluster] += 2 if edge.own_end else 1
    return min(named, key=lambda name: (-votes[name], name))


def is_dns(edge: Edge) -> bool:
    """Whether an edge carries DNS questions: by what was seen on it, else by its port."""
    return edge.protocol in ("UDP", "TCP") and (edge.dns or edge.port == DNS_PORT)


def resolver_ports(workloads: Workloads, edges: Sequence[Edge]) -> dict[str, int]:
    """DNS port by label-set key of the pods that resolve names for the cluster."""
    clients: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    namespaces: dict[tuple[str, ...], set[str]] = {}
    ports: dict[tuple[str, ...], Counter[int]] = {}
    for edge in edges:
        if edge.direction != "egress" or edge.peer_kind != "endpoint" or edge.working == 0:
            continue
        server = workloads.by_label_key.get(edge.peer)
        client = workloads.by_label_key.get(edge.subject)
        known = any(pair in RESOLVER_LABELS for pair in workloads.labels.get(edge.peer, {}).items())
        wanted = is_dns(edge) or (known and edge.port == OPENSHIFT_DNS_PORT)
        if server is None or client is None or not wanted:
            continue
        ports.setdefault(server.label_keys, Counter())[edge.port] += 1
        clients.setdefault(server.label_keys, set()).add(client.label_keys)
        namespaces.setdefault(server.label_keys, set()).add(client.namespace)
        if known:
            namespaces[server.label_keys] |= {"", "*"}
            clients[server.label_keys] |= {(str(number),) for number in range(MIN_RESOLVER_CLIENTS)}
    return {
        key: min(counts, key=lambda port: (-counts[port], port))
        for keys, counts in ports.items()
        if len(clients[keys]) >= MIN_RESOLVER_CLIENTS and len(namespaces[keys]) >= MIN_RESOLVER_NAMESPACES
        for key in keys
    }
