"""Dependencies and lookups of one day as single events: who, to whom, when, with what outcome."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from random import Random

from sample_data.world.nouns import NODES, Dependency, External, IngressPolicy, Queries, World
from sample_data.world.pods import Cluster, Node, Pod, midnight
from sample_data.world.rhythms import PerRun

NANOSECONDS = 1_000_000_000
NO_TTL = 4294967295  # what Cilium writes when an answer held no record
#: First octets of made-up visitors: ordinary European access networks.
VISITOR_NETS = (31, 46, 62, 77, 82, 84, 89, 91, 109, 151, 178, 188, 193, 212)
#: Share of outside lookups whose search-list expansions are seen too.
EXPANSION_SHARE = 0.2
AZURE_SEARCH_DOMAIN = "jx3kq0aivz1ubcwmop5nl4rdae.ax.internal.cloudapp.net"


@dataclass(frozen=True, slots=True)
class Address:
    """The outside end of a connection."""

    ip: str
    entity: str
    names: tuple[str, ...]  # as the client's agent knew them at that moment
    external: External


Side = Pod | Node | Address


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection, or one-way stream, or echo."""

    at: int  # nanoseconds since the epoch
    dependency: Dependency
    client: Side
    server: Side
    source_port: int
    verdict: str  # forwarded, audit, denied: at the server
    policy: IngressPolicy | None  # what selects the server
    leaving: str = "forwarded"  # the same at the client


@dataclass(frozen=True, slots=True)
class Lookup:
    """One question and its answer through the DNS proxy."""

    at: int
    client: Pod
    server: Pod
    name: str
    qtype: str
    rcode: int
    ips: tuple[str, ...]
    ttl: int
    cnames: tuple[str, ...]
    source_port: int
    opens: bool  # first question on this socket: the datapath lines are seen once
    queries: Queries | None  # what asked, when it was not a connection


Event = Connection | Lookup
#: Verdicts at client and server: (client, server, protocol, port) -> forwarded, audit or denied.
Judge = Callable[[Side, Side, str, int], tuple[str, str]]


class Traffic:
    """The events of a world, day by day; a day does not depend on the days before."""

    def __init__(self, world: World, cluster: Cluster, judge: Judge | None = None) -> None:
        self.world = world
        self.cluster = cluster
        self._judge = judge
        self._internal = self._names_by_client()

    def day(self, day: date) -> Iterator[Event]:
        """All events of a day, dependency by dependency."""
        named: dict[str, list[tuple[float, Dependency]]] = {}
        for dependency in self.world.dependencies:
            rng = self._rng(dependency.key, day)
            if self._is_named(dependency):
                named.setdefault(str(dependency.client), []).extend(
                    (moment, dependency) for moment in self._moments(dependency, day, rng)
                )
                continue
            for moment in self._moments(dependency, day, rng):
                event = self._connect(dependency, moment, rng)
                if event is not None:
                    yield event
        for client, moments in named.items():
            yield from self._named(client, moments, day)
        for queries in self.world.queries:
            yield from self._queries(queries, day)

    def answer(self, external: External, moment: float) -> tuple[str, ...]:
        """Addresses that a name has at a moment."""
        if not external.rotate_hours:
            return external.pool[: external.shown]
        turn = int(moment // (external.rotate_hours * 3600))
        rng = Random(f"{self.world.seed}/answer/{external.key}/{turn}")
        return tuple(sorted(rng.sample(external.pool, external.shown)))

    def _rng(self, key: str, day: date) -> Random:
        return Random(f"{self.world.seed}/{key}/{day}")

    def _is_named(self, dependency: Dependency) -> bool:
        server = dependency.server
        return (
            isinstance(server, External)
            and bool(server.name)
            and isinstance(dependency.client, str)
            and dependency.client != NODES
            and self.cluster.dns_visible(self.cluster.workload(dependency.client))
        )

    def _names_by_client(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for dependency in self.world.dependencies:
            if (
                isinstance(dependency.client, str)
                and isinstance(dependency.server, str)
                and dependency.port != 53
            ):
                if NODES in (dependency.client, dependency.server) or dependency.label != "legitimate":
                    continue
                space, name = dependency.server.split("/")
                found.setdefault(dependency.client, []).append(f"{name}.{space}.svc.cluster.local")
        return {client: tuple(dict.fromkeys(names)) for client, names in found.items()}

    def _moments(self, dependency: Dependency | Queries, day: date, rng: Random) -> list[float]:
        begin = midnight(day)
        if isinstance(dependency.rhythm, PerRun):
            runs = [
                pod for pod in self.cluster.pods[str(dependency.client)] if begin <= pod.start < begin + 86400
            ]
            found = [pod.start + second for pod in runs for second in dependency.rhythm.moments(day, rng)]
        else:
            found = [begin + second for second in dependency.rhythm.moments(day, rng, self.world.volume)]
        if dependency.start is not None:
            found = [moment for moment in found if moment >= dependency.start.timestamp()]
        if isinstance(dependency, Dependency) and dependency.end is not None:
            found = [moment for moment in found if moment < dependency.end.timestamp()]
        return found

    def _pod(
        self, ref: str, moment: float, rng: Random, *, slot: int | None = None, label: str = "", but: str = ""
    ) -> Pod | None:
        pods = [
            pod
            for pod in self.cluster.alive(ref, moment)
            if (slot is None or pod.slot == slot) and (not label or label in pod.labels) and pod.name != but
        ]
        return rng.choice(pods) if pods else None

    def _ends(self, dependency: Dependency, moment: float, rng: Random) -> tuple[Side | None, Side | None]:
        client: Side | None = None
        if isinstance(dependency.client, External):
            client = self._outside(dependency.client, rng)
        elif dependency.client != NODES:
            client = self._pod(dependency.client, moment, rng, slot=dependency.replica)
        if isinstance(dependency.server, External):
            addresses = self.answer(dependency.server, moment)
            return client, Address(rng.choice(addresses), dependency.server.entity, (), dependency.server)
        if dependency.server == NODES:
            return client, rng.choice(self.cluster.nodes)
        but = client.name if isinstance(client, Pod) and dependency.client == dependency.server else ""
        server = self._pod(dependency.server, moment, rng, label=dependency.server_label, but=but)
        if dependency.client == NODES and server is not None:
            client = self.cluster.nodes[server.node]
        return client, server

    def _outside(self, external: External, rng: Random) -> Address:
        if external.pool:
            ip = rng.choice(external.pool)
        else:
            rest = ".".join(str(rng.randrange(1, 255)) for _ in range(3))
            ip = f"{rng.choice(VISITOR_NETS)}.{rest}"
        return Address(ip, external.entity, (), external)

    def _connect(self, dependency: Dependency, moment: float, rng: Random) -> Event | None:
        client, server = self._ends(dependency, moment, rng)
        if client is None or server is None:
            return None
        at = int(moment * NANOSECONDS) + rng.randrange(1000)
        question = dependency.port == 53 and dependency.protocol == "UDP"
        if question and isinstance(client, Pod) and isinstance(server, Pod):
            seen = self.cluster.dns_visible(client.workload)
            if seen:
                return self._internal_lookup(client, server, at, rng)
        return self._connection(dependency, client, server, at, rng)

    def _connection(
        self, dependency: Dependency, client: Side, server: Side, at: int, rng: Random
    ) -> Connection:
        port = dependency.source_port or rng.randrange(32768, 60999)
        policy, verdict = None, "forwarded"
        if isinstance(server, Pod) and not isinstance(client, Node):
            policy = next((p for p in self.world.policies if p.selects(server.workload)), None)
            if policy is not None and not policy.admits(client.workload if isinstance(client, Pod) else None):
                verdict = "audit" if policy.audit else "denied"
        if self._judge is None:
            return Connection(at, dependency, client, server, port, verdict, policy)
        asked = dependency.port if dependency.icmp_type is None else dependency.icmp_type
        leaving, verdict = self._judge(client, server, dependency.protocol, asked)
        return Connection(at, dependency, client, server, port, verdict, policy, leaving)

    def _internal_lookup(self, client: Pod, server: Pod, at: int, rng: Random) -> Lookup:
        names = self._internal.get(client.workload.ref, ("kubernetes.default.svc.cluster.local",))
        name = rng.choice(names)
        qtype = "AAAA" if rng.random() < 0.3 else "A"
        ips = () if qtype == "AAAA" else (f"10.0.{sum(name.encode()) % 200}.{len(name)}",)
        ttl = 5 if ips else NO_TTL
        return Lookup(
            at, client, server, name, qtype, 0, ips, ttl, (), rng.randrange(32768, 60999), True, None
        )

    def _named(self, client_ref: str, moments: list[tuple[float, Dependency]], day: date) -> Iterator[Event]:
        """Connections to names: each pod looks up what it does not know, and reuses what it knows."""
        known: dict[str, dict[str, tuple[float, tuple[str, ...]]]] = {}
        rng = self._rng(f"named/{client_ref}", day)
        for moment, dependency in sorted(moments, key=lambda entry: (entry[0], entry[1].key)):
            server = dependency.server
            client = self._pod(client_ref, moment, rng, slot=dependency.replica)
            if not isinstance(server, External) or client is None:
                continue
            mine = known.setdefault(client.name, {})
            expiry, ips = mine.get(server.name, (0.0, ()))
            stale = expiry <= moment
            if stale and not (ips and moment - expiry < 3600 and rng.random() < 0.1):
                ips = self.answer(server, moment)
                mine[server.name] = (moment + server.ttl, ips)
                yield from self._lookups(client, server, ips, moment - 0.02, rng)
            ip = rng.choice(ips)
            names = sorted(name for name, (until, held) in mine.items() if until > moment and ip in held)
            at = int(moment * NANOSECONDS) + rng.randrange(1000)
            address = Address(ip, server.entity, tuple(names), server)
            yield self._connection(dependency, client, address, at, rng)

    def _lookups(
        self, client: Pod, external: External, ips: tuple[str, ...], moment: float, rng: Random
    ) -> Iterator[Lookup]:
        server = self._pod(self.world.resolver, moment, rng)
        if server is None:
            return
        at = int(moment * NANOSECONDS) + rng.randrange(1000)
        port = rng.randrange(32768, 60999)
        opens = True
        if rng.random() < EXPANSION_SHARE:
            space = client.workload.namespace
            for suffix in (
                f"{space}.svc.cluster.local",
                "svc.cluster.local",
                "cluster.local",
                AZURE_SEARCH_DOMAIN,
            ):
                name = f"{external.name}.{suffix}"
                yield Lookup(at, client, server, name, "A", 3, (), NO_TTL, (), port, opens, None)
                at, opens = at + 1_100_000, False
        yield Lookup(
            at, client, server, external.name, "A", 0, ips, external.ttl, external.cnames, port, opens, None
        )

    def _queries(self, queries: Queries, day: date) -> Iterator[Lookup]:
        rng = self._rng(queries.key, day)
        for number, moment in enumerate(self._moments(queries, day, rng)):
            client = self._pod(queries.client, moment, rng, slot=queries.replica)
            server = self._pod(self.world.resolver, moment, rng)
            if client is None or server is None:
                continue
            name = queries.names[number % len(queries.names)]
            if "{}" in name:
                name = name.replace(
                    "{}", f"{rng.getrandbits(4 * queries.label_length):0{queries.label_length}x}"
                )
            at = int(moment * NANOSECONDS) + rng.randrange(1000)
            rcode = 0 if queries.qtype == "TXT" else 3
            port = rng.randrange(32768, 60999)
            yield Lookup(at, client, server, name, queries.qtype, rcode, (), NO_TTL, (), port, True, queries)
