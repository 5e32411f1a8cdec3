"""
The pods behind workloads over time: names, addresses, nodes and labels of every incarnation.

A redeployment gives new names and addresses, a scale-up adds pods, a label flip changes the identity
of a pod that stays, a job makes one pod per run. Addresses are handed out again after a while.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random

from sample_data.world.labels import IdentityNumbers, identity_labels
from sample_data.world.nouns import Workload, World

HASH_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
ROLLING_STEP = 25.0  # seconds between the replicas of a rolling update
WARM_START = timedelta(days=3)  # pods of the first day were already running


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster."""

    index: int
    name: str
    ip: str


@dataclass(frozen=True, slots=True)
class Pod:
    """One incarnation of a pod: alive in ``[start, end)``, seconds since the epoch."""

    workload: Workload
    name: str
    slot: int
    ip: str
    node: int
    endpoint: int
    mac: str
    host_mac: str
    interface: str
    labels: tuple[str, ...]
    identity: int
    start: float
    end: float

    @property
    def link_local(self) -> str:
        """Address that the kernel makes from the hardware address."""
        octets = [int(part, 16) for part in self.mac.split(":")]
        groups = (octets[0] ^ 2, octets[1]), (octets[2], 0xFF), (0xFE, octets[3]), (octets[4], octets[5])
        return "fe80::" + ":".join(f"{high << 8 | low:x}" for high, low in groups)


@dataclass(frozen=True, slots=True)
class _Life:
    """A pod before it has an address."""

    start: float
    end: float
    workload: Workload
    slot: int
    release: int
    name: str
    labels: dict[str, str]


def midnight(day: date) -> float:
    """Seconds since the epoch at the start of a day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _random_text(rng: Random, length: int) -> str:
    return "".join(rng.choice(HASH_LETTERS) for _ in range(length))


class Cluster:
    """All pods of a world, by workload and by time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes = tuple(Node(i, name, f"10.224.0.{4 + i}") for i, name in enumerate(world.nodes))
        self.begin = midnight(world.first_day)
        self.finish = midnight(world.first_day + timedelta(days=world.days))
        self._namespaces = {space.name: space for space in world.namespaces}
        self._workloads = {workload.ref: workload for workload in world.workloads}
        self.pods: dict[str, list[Pod]] = {ref: [] for ref in self._workloads}
        self._place(sorted(self._lives(), key=lambda life: (life.start, life.workload.ref, life.slot)))
        self._starts = {ref: [pod.start for pod in pods] for ref, pods in self.pods.items()}

    def workload(self, ref: str) -> Workload:
        """The workload behind a reference."""
        return self._workloads[ref]

    def dns_visible(self, workload: Workload) -> bool:
        """Whether lookups of this workload pass the DNS proxy."""
        return self._namespaces[workload.namespace].dns_visible

    def alive(self, ref: str, moment: float) -> list[Pod]:
        """Pods of a workload that run at a moment, in the order of their start."""
        upto = bisect_right(self._starts[ref], moment)
        return [pod for pod in self.pods[ref][:upto] if pod.end > moment]

    def _lives(self) -> list[_Life]:
        lives: list[_Life] = []
        for workload in self.world.workloads:
            rng = Random(f"{self.world.seed}/pods/{workload.ref}")
            lives += self._runs(workload, rng) if workload.runs else self._service_lives(workload, rng)
        return lives

    def _runs(self, workload: Workload, rng: Random) -> list[_Life]:
        assert workload.runs is not None  # noqa: S101 - the caller asked for it
        lives = []
        for day in self.world.days_list():
            day_rng = Random(f"{self.world.seed}/runs/{workload.ref}/{day}")
            for second in workload.runs.moments(day, day_rng):
                start = midnight(day) + second
                labels = dict(workload.labels)
                name = workload.name
                if workload.kind == "CronJob":
                    job = f"{workload.name}-{int(start // 60)}"
                    name = f"{job}-{_random_text(rng, 5)}"
                    uid = f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
                    labels |= {"batch.kubernetes.io/job-name": job, "job-name": job}
                    labels |= {"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid}
                end = start + workload.run_length.total_seconds()
                lives.append(_Life(start, end, workload, 0, 0, name, labels))
        return lives

    def _service_lives(self, workload: Workload, rng: Random) -> list[_Life]:
        born = workload.born.timestamp() if workload.born else self.begin - WARM_START.total_seconds()
        sizes = [(born, workload.replicas), *((at.timestamp(), size) for at, size in workload.scaling)]
        lives = []
        for slot in range(max(size for _, size in sizes)):
            begin = next(at for at, size in sizes if size > slot) + slot * 3.0
            gone = [at for at, size in sizes if size <= slot and at > begin]
            finish = gone[0] if gone else self.finish + 1.0
            lives += self._slot_lives(workload, slot, begin, finish, rng)
        return lives

    def _slot_lives(
        self, workload: Workload, slot: int, begin: float, finish: float, rng: Random
    ) -> list[_Life]:
        """Lives of one replica: cut by releases (a new pod) and by label flips (the same pod)."""
        lives = []
        cuts = [(begin, -1)] + [
            (release.at.timestamp() + slot * ROLLING_STEP, number)
            for number, release in enumerate(workload.releases)
            if begin < release.at.timestamp() < finish
        ]
        for position, (start, number) in enumerate(cuts):
            end = cuts[position + 1][0] + 12.0 if position + 1 < len(cuts) else finish
            labels = dict(workload.labels)
            for release in workload.releases:
                if release.at.timestamp() + slot * ROLLING_STEP <= start:
                    labels |= release.labels
            name, extra = self._pod_name(workload, slot, number, rng)
            flips = [(at.timestamp(), sets[slot]) for at, sets in workload.flips]
            edges = [start, *(at for at, _ in flips if start < at < end), end]
            for left, right in pairwise(edges):
                role = next((labels_ for at, labels_ in reversed(flips) if at <= left), {})
                lives.append(_Life(left, right, workload, slot, number, name, labels | extra | role))
        return lives

    def _pod_name(
        self, workload: Workload, slot: int, number: int, rng: Random
    ) -> tuple[str, dict[str, str]]:
        if workload.kind == "StatefulSet":
            name = f"{workload.name}-{slot}"
            return name, {
                "statefulset.kubernetes.io/pod-name": name,
                "apps.kubernetes.io/pod-index": str(slot),
                "controller-revision-hash": f"{workload.name}-{abs(number):08x}",
            }
        template = _random_text(Random(f"{self.world.seed}/{workload.ref}/{number}"), 9)
        if workload.kind == "DaemonSet":
            return f"{workload.name}-{_random_text(rng, 5)}", {"controller-revision-hash": template}
        return f"{workload.name}-{template}-{_random_text(rng, 5)}", {"pod-template-hash": template}

    def _place(self, lives: list[_Life]) -> None:
        """Hand out nodes, addresses, endpoint ids and identity numbers in order of time."""
        numbers = IdentityNumbers()
        busy: dict[str, float] = {}
        cursor = [10] * len(self.nodes)
        endpoints: set[tuple[int, int]] = set()
        same: dict[tuple[str, int, str], Pod] = {}
        for life in lives:
            rng = Random(f"{self.world.seed}/place/{life.workload.ref}/{life.name}/{life.start}")
            before = same.get((life.workload.ref, life.slot, life.name))
            stays = before is not None and before.end == life.start
            if before is not None and stays:
                node, ip, endpoint = before.node, before.ip, before.endpoint
                mac, host_mac, interface = before.mac, before.host_mac, before.interface
                busy[ip] = life.end
            else:
                node = self._node_of(life, rng)
                while busy.get(f"10.244.{node}.{cursor[node]}", 0.0) > life.start - 900:
                    cursor[node] = cursor[node] + 1 if cursor[node] < 250 else 10
                ip = f"10.244.{node}.{cursor[node]}"
                busy[ip] = life.end
                cursor[node] = cursor[node] + 1 if cursor[node] < 250 else 10
                endpoint = rng.randrange(12, 4095)
                while (node, endpoint) in endpoints:
                    endpoint += 1
                endpoints.add((node, endpoint))
                bits = rng.getrandbits(40)
                mac = "86:" + ":".join(f"{bits >> shift & 255:02x}" for shift in (32, 24, 16, 8, 0))
                host_mac = "aa:" + ":".join(f"{bits >> shift & 255:02x}" for shift in (0, 8, 16, 24, 32))
                interface = f"azv{rng.getrandbits(44):011x}"
            labels = identity_labels(
                life.workload, self._namespaces[life.workload.namespace], self.world.cluster, life.labels
            )
            pod = Pod(
                life.workload,
                life.name,
                life.slot,
                ip,
                node,
                endpoint,
                mac,
                host_mac,
                interface,
                labels,
                numbers.number(labels),
                life.start,
                life.end,
            )
            same[life.workload.ref, life.slot, life.name] = pod
            self.pods[life.workload.ref].append(pod)

    def _node_of(self, life: _Life, rng: Random) -> int:
        if life.workload.kind in ("DaemonSet", "StatefulSet"):
            base = 0 if life.workload.kind == "DaemonSet" else sum(life.workload.ref.encode())
            return (base + life.slot) % len(self.nodes)
        return (rng.randrange(len(self.nodes)) + life.slot) % len(self.nodes)
