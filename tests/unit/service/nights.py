"""Ten days of a small shop in a real store, with what does not belong planted in them, night by night."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.configfile import load_settings
from service.runs.inference import InferOptions, infer
from service.runs.service import Start, ingest
from service.wiring import open_portolan

START = datetime(2026, 3, 2, tzinfo=UTC)
#: Workload -> namespace, number of replicas, own label.
WORKLOADS = {
    "web": ("shop", 3, "app=web"),
    "api": ("shop", 2, "app=api"),
    "db": ("data", 1, "app=db"),
    "coredns": ("kube-system", 2, "k8s-app=kube-dns"),
}
#: Client, server, port, protocol: every hour, from every replica of the client in turn.
REGULAR = (
    ("web", "api", 8080, "TCP"),
    ("api", "db", 5432, "TCP"),
    ("web", "coredns", 53, "UDP"),
    ("api", "coredns", 53, "UDP"),
)


@dataclass(frozen=True)
class Call:
    """What does not happen every hour; the server is a workload or an address outside."""

    client: str
    server: str
    port: int
    days: tuple[int, ...]
    hours: tuple[int, ...] = (3,)
    replica: int = 1
    protocol: str = "TCP"


def address(workload, replica=0):
    """Address of a replica, or the address outside itself."""
    if workload not in WORKLOADS:
        return workload
    return f"10.0.{list(WORKLOADS).index(workload)}.{replica + 1}"


def end(workload, replica):
    """``source`` or ``destination`` of a record."""
    if workload not in WORKLOADS:
        return {"identity": 2, "labels": ["reserved:world"]}
    namespace, _, label = WORKLOADS[workload]
    return {
        "identity": 1001 + list(WORKLOADS).index(workload),
        "namespace": namespace,
        "labels": [f"k8s:{label}", "k8s:io.cilium.k8s.policy.cluster=default",
                   f"k8s:io.kubernetes.pod.namespace={namespace}"],
        "pod_name": f"{workload}-7d9c5f8b4-{'abcdefg'[replica] * 5}",
        "workloads": [{"name": workload, "kind": "Deployment"}],
    }  # fmt: skip


class Journal:
    """Records with uuids of their own."""

    def __init__(self):
        self.lines = []

    def say(self, moment, call, replica):
        """Request and answer, each seen at both ends."""
        number = len(self.lines)
        for reply in (False, True):
            for point, direction in (("TO_STACK", "EGRESS"), ("TO_ENDPOINT", "INGRESS")):
                inside = call.server in WORKLOADS
                if inside or direction == "EGRESS":
                    self._record(moment, call, replica, number, reply=reply, point=point, direction=direction)

    def _record(self, moment, call, replica, number, *, reply, point, direction):
        ends = [(call.client, replica), (call.server, 0)]
        ports = [40_000 + number % 20_000, call.port]
        if reply:
            ends, ports = ends[::-1], ports[::-1]
            moment += timedelta(milliseconds=5)
        layer = {"source_port": ports[0], "destination_port": ports[1]}
        if call.protocol == "TCP":
            layer["flags"] = {"SYN": True, "ACK": True} if reply else {"SYN": True}
        time = moment.isoformat().replace("+00:00", "Z")
        flow = {
            "time": time,
            "uuid": f"00000000-0000-4000-8000-{len(self.lines):012d}",
            "verdict": "FORWARDED",
            "IP": {"source": address(*ends[0]), "destination": address(*ends[1]), "ipVersion": "IPv4"},
            "l4": {call.protocol: layer},
            "source": end(*ends[0]),
            "destination": end(*ends[1]),
            "Type": "L3_L4",
            "node_name": "node-1",
            "is_reply": reply,
            "event_type": {"type": 4},
            "traffic_direction": direction,
            "trace_observation_point": point,
        }
        self.lines.append(json.dumps({"flow": flow, "node_name": "node-1", "time": time}))


def journal(calls=(), days=10):
    """Lines of the regular traffic with calls planted in it."""
    written = Journal()
    for hour in range(24 * days):
        moment = START + timedelta(hours=hour)
        for place, (client, server, port, protocol) in enumerate(REGULAR):
            for replica in range(WORKLOADS[client][1]):
                regular = Call(client, server, port, (), protocol=protocol)
                written.say(moment + timedelta(minutes=place * 5 + replica), regular, replica)
        for place, call in enumerate(calls):
            if hour // 24 in call.days and hour % 24 in call.hours:
                written.say(moment + timedelta(minutes=30, seconds=place), call, call.replica)
    return written.lines


class Clock:
    """Says what it is told to say."""

    def __init__(self):
        self.now = START + timedelta(days=10, hours=2)

    def __call__(self):
        return self.now


def observed(folder, calls=(), days=10):
    """Data directory with the flows of the shop in its store."""
    path = folder / "flows.jsonl"
    path.write_text("".join(f"{line}\n" for line in journal(calls, days)), encoding="utf-8")
    with opened(folder / "data") as portolan:
        ingest(portolan, [str(path)], cluster=None, start=Start("cli"))
    return folder / "data"


@contextmanager
def opened(data_dir):
    """Portolan on a data directory, with a clock of its own."""
    with open_portolan(load_settings(data_dir=data_dir), Clock()) as portolan:
        yield portolan


def night(portolan, day, namespace=None, hours=0):
    """Infer from the window that ends with a day; gives the counts of the run."""
    as_of = START + timedelta(days=day, hours=hours)
    portolan.clock.now = as_of
    return infer(portolan, InferOptions(as_of=as_of, namespace=namespace), Start("cli")).counts
