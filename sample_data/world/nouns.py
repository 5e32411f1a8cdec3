"""What exists in a world: namespaces, workloads, outside peers, dependencies, lookups, policies."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sample_data.world.rhythms import Rhythm

LEGITIMATE = "legitimate"
NOISE = "noise"
ATTACK = "attack"
CLASSES = (LEGITIMATE, NOISE, ATTACK)

#: Stands for the nodes where a dependency names a client or a server: a process outside all pods.
NODES = "@nodes"


@dataclass(frozen=True)
class Namespace:
    """A namespace and what existing policy does to its pods."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    dns_visible: bool = False  # a policy sends its lookups through the DNS proxy: names exist only here


@dataclass(frozen=True)
class Release:
    """A redeployment: from then on new pods, with these labels changed."""

    at: datetime
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet, DaemonSet, CronJob or bare Pod."""

    namespace: str
    name: str
    kind: str = "Deployment"
    labels: dict[str, str] = field(default_factory=dict)
    replicas: int = 1
    account: str = "default"
    releases: tuple[Release, ...] = ()
    scaling: tuple[tuple[datetime, int], ...] = ()  # replicas from then on
    flips: tuple[tuple[datetime, tuple[dict[str, str], ...]], ...] = ()  # labels by pod index from then on
    born: datetime | None = None
    runs: Rhythm | None = None  # starts of short-lived pods (CronJob, Pod)
    run_length: timedelta = timedelta(minutes=6)
    probe_port: int = 0  # TCP port that the kubelet probes; 0 none
    resolves: bool = True  # asks the cluster's DNS

    @property
    def ref(self) -> str:
        """Namespace and name, as dependencies and truth write it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class External:
    """A peer outside the cluster."""

    key: str
    name: str = ""  # DNS name; "" when clients use the address
    pool: tuple[str, ...] = ()  # addresses; empty: anyone on the internet
    shown: int = 1  # addresses in one answer
    rotate_hours: int = 0  # 0: the answer never changes
    cnames: tuple[str, ...] = ()
    ttl: int = 60
    entity: str = "world"


@dataclass(frozen=True)
class Dependency:
    """Who talks to whom, how, when, and whether that is wanted."""

    client: str | External  # "namespace/workload", NODES or an outside peer
    server: str | External
    port: int
    rhythm: Rhythm
    kind: str
    why: str
    protocol: str = "TCP"
    label: str = LEGITIMATE
    outcome: str = "answered"  # answered, unanswered, reset, oneway, dropped
    drop: tuple[int, str] = (0, "")  # code and name when outcome is dropped
    start: datetime | None = None
    end: datetime | None = None
    replica: int | None = None  # only this client replica does it
    server_label: str = ""  # only server pods with this identity label
    icmp_type: int | None = None
    source_port: int = 0  # 0: ephemeral
    lasting: int = 0  # further lines of an open connection
    review: bool = False  # a person must decide whatever was seen

    @property
    def key(self) -> str:
        """Stable text for seeding and ordering."""
        ends = [end if isinstance(end, str) else end.key for end in (self.client, self.server)]
        return f"{ends[0]}>{ends[1]}:{self.protocol}/{self.port}/{self.icmp_type}#{self.kind}"


@dataclass(frozen=True)
class Queries:
    """Lookups beside those that precede connections."""

    client: str
    names: tuple[str, ...]  # asked in turn; a name with "{}" gets a fresh random label
    rhythm: Rhythm
    kind: str = "dns"
    label: str = LEGITIMATE
    qtype: str = "A"
    replica: int | None = None
    start: datetime | None = None
    why: str = ""
    label_length: int = 48

    @property
    def key(self) -> str:
        """Stable text for seeding and ordering."""
        return f"{self.client}?{self.names[0]}#{self.kind}"


@dataclass(frozen=True)
class IngressPolicy:
    """A policy that is already there: it selects servers and says who may come in."""

    name: str
    namespace: str
    servers: tuple[str, ...]  # workload names; () all of the namespace
    clients: tuple[str, ...]  # "namespace/workload" or "namespace/*"
    audit: bool = False  # the endpoints are in policy audit mode: nothing is dropped

    def selects(self, workload: Workload) -> bool:
        """Whether the policy applies to a workload as server."""
        return workload.namespace == self.namespace and (not self.servers or workload.name in self.servers)

    def admits(self, client: Workload | None) -> bool:
        """Whether a client pod may come in; the local node always may."""
        return client is None or client.ref in self.clients or f"{client.namespace}/*" in self.clients


@dataclass(frozen=True)
class Gap:
    """A stretch in which a node's exporter wrote nothing."""

    node: int
    start: datetime
    end: datetime
    lost: int


@dataclass(frozen=True)
class World:
    """Everything the renderers need; what they write is a function of this value alone."""

    cluster: str
    seed: int
    first_day: date
    days: int
    nodes: tuple[str, ...]
    namespaces: tuple[Namespace, ...]
    workloads: tuple[Workload, ...]
    dependencies: tuple[Dependency, ...]
    queries: tuple[Queries, ...] = ()
    policies: tuple[IngressPolicy, ...] = ()
    gaps: tuple[Gap, ...] = ()
    resolver: str = "kube-system/coredns"
    not_yet_seen: tuple[dict[str, object], ...] = ()  # what will come after the window
    volume: float = 1.0  # scales every rate
    torn: tuple[tuple[int, date], ...] = ()  # files whose last line is half written

    def days_list(self) -> list[date]:
        """The days of the window, ascending."""
        return [self.first_day + timedelta(days=i) for i in range(self.days)]
