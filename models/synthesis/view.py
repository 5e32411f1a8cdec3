"""What every step of the synthesis looks things up in: one cluster, seen as a whole."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from models.domain.capabilities import Capabilities, CapabilityHints, resolve_capabilities
from models.domain.workload import Workload
from models.frames import Observations
from models.learning.workloads import Workloads, learn_workloads
from models.synthesis.edges import Edge

Posture = Literal["generous", "balanced", "strict"]
POSTURES: Final = ("generous", "balanced", "strict")

#: Labels by which the resolvers of the common distributions are known, in `RESOLVER_NAMESPACES`.
RESOLVER_LABELS: Final = frozenset(
    {
        ("k8s-app", "kube-dns"),
        ("k8s-app", "coredns"),
        ("k8s-app", "node-local-dns"),
        ("app.kubernetes.io/name", "coredns"),
        ("dns.operator.openshift.io/daemonset-dns", "default"),
    }
)
#: Where the common distributions run them. Elsewhere whoever may create a pod may label it as a resolver, so
#: there a label says nothing and only behaviour counts.
RESOLVER_NAMESPACES: Final = frozenset({"kube-system", "openshift-dns"})
DNS_PORT: Final = 53
OPENSHIFT_DNS_PORT: Final = 5353
#: Answered clients and their namespaces that make a pod a resolver of the cluster and not of one application.
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


def answered_questions(questions: Iterable[Edge]) -> list[Edge]:
    """
    DNS questions that were answered, or whose answers would not have been seen.

    Parameters
    ----------
    questions
        All edges of the window that carry some; ports and protocols may differ.

    Returns
    -------
    list of Edge
        In their order. Over UDP any answer counts, NXDOMAIN too, and silence only where some answer over UDP
        was seen at all: a capture may show one direction. Over TCP a reset is no answer.
    """
    asked = list(questions)
    udp_heard = any(edge.protocol == "UDP" and edge.answered for edge in asked)
    return [
        edge
        for edge in asked
        if not edge.unanswered or (edge.protocol == "UDP" and (edge.answered or not udp_heard))
    ]


@dataclass(slots=True)
class _Asked:
    """Who asks a workload, and where."""

    clients: set[tuple[str, ...]] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    ports: Counter[int] = field(default_factory=Counter)
    labelled: bool = False

    @property
    def resolves(self) -> bool:
        """Whether it is a resolver of the cluster."""
        many = len(self.clients) >= MIN_RESOLVER_CLIENTS and len(self.namespaces) >= MIN_RESOLVER_NAMESPACES
        return self.labelled or many

    @property
    def port(self) -> int:
        """The port that most ask on, the lowest of several."""
        return min(self.ports, key=lambda port: (-self.ports[port], port))


def _questions(
    workloads: Workloads, edges: Iterable[Edge]
) -> Iterator[tuple[Edge, Workload, Workload, bool]]:
    """Edges that ask a pod, with client and server, and whether its labels make the server a resolver."""
    for edge in edges:
        server = workloads.by_label_key.get(edge.peer)
        client = workloads.by_label_key.get(edge.subject)
        outward = edge.direction == "egress" and edge.peer_kind == "endpoint"
        if not outward or not edge.working or server is None or client is None:
            continue
        labels = workloads.labels.get(edge.peer, {}).items()
        labelled = server.namespace in RESOLVER_NAMESPACES and not RESOLVER_LABELS.isdisjoint(labels)
        if is_dns(edge) or (labelled and edge.port == OPENSHIFT_DNS_PORT):
            yield edge, client, server, labelled


def resolver_ports(workloads: Workloads, edges: Iterable[Edge]) -> dict[str, int]:
    """
    DNS port by label-set key of the pods that resolve names for the cluster.

    Pods that answer questions: where the distributions run resolvers those with their labels, elsewhere
    those that `MIN_RESOLVER_CLIENTS` workloads of `MIN_RESOLVER_NAMESPACES` namespaces ask.
    """
    questions = list(_questions(workloads, edges))
    answered = {edge.place for edge in answered_questions(edge for edge, *_ in questions)}
    asked: dict[tuple[str, ...], _Asked] = defaultdict(_Asked)
    for edge, client, server, labelled in questions:
        if edge.place in answered:
            one = asked[server.label_keys]
            one.clients.add(client.label_keys)
            one.namespaces.add(client.namespace)
            one.ports[edge.port] += 1
            one.labelled |= labelled
    return {key: one.port for keys, one in asked.items() if one.resolves for key in keys}
