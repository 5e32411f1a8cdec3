"""A few days of flows of a small shop, as Hubble's exporter writes them: enough for every command."""

import json
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, tzinfo=UTC)
#: Pod -> (namespace, workload, address, identity).
PODS = {
    "web-0": ("shop", "web", "10.0.1.1", 1001),
    "api-0": ("shop", "api", "10.0.1.2", 1002),
    "db-0": ("shop", "db", "10.0.1.3", 1003),
    "cache-0": ("shop", "cache", "10.0.1.4", 1004),
    "coredns-0": ("kube-system", "coredns", "10.0.0.10", 1010),
}
#: Client, server, port, protocol.
EDGES = (
    ("web-0", "api-0", 8080, "TCP"),
    ("api-0", "db-0", 5432, "TCP"),
    ("api-0", "cache-0", 6379, "TCP"),
    ("web-0", "coredns-0", 53, "UDP"),
    ("api-0", "coredns-0", 53, "UDP"),
)


def _end(pod):
    namespace, workload, _, identity = PODS[pod]
    label = "k8s-app=kube-dns" if workload == "coredns" else f"app={workload}"
    return {
        "ID": identity - 900,
        "identity": identity,
        "namespace": namespace,
        "labels": [
            f"k8s:{label}",
            "k8s:io.cilium.k8s.policy.cluster=default",  # every pod has it, and newer selectors ask for it
            f"k8s:io.kubernetes.pod.namespace={namespace}",
        ],
        "pod_name": pod,
        "workloads": [{"name": workload, "kind": "Deployment"}],
    }


def _flow(moment, client, server, port, protocol, number, *, reply):
    ends = (server, client) if reply else (client, server)
    ports = (port, 40000 + number % 1000) if reply else (40000 + number % 1000, port)
    flags = {"SYN": True, "ACK": True} if reply else {"SYN": True}
    l4 = {"source_port": ports[0], "destination_port": ports[1]}
    if protocol == "TCP":
        l4["flags"] = flags
    return {
        "flow": {
            "time": moment.isoformat().replace("+00:00", "Z"),
            "uuid": f"00000000-0000-4000-8000-{number * 2 + reply:012d}",
            "verdict": "FORWARDED",
            "IP": {
                "source": PODS[ends[0]][2],
                "destination": PODS[ends[1]][2],
                "ipVersion": "IPv4",
            },
            "l4": {protocol: l4},
            "source": _end(ends[0]),
            "destination": _end(ends[1]),
            "Type": "L3_L4",
            "node_name": "node-1",
            "is_reply": reply,
            "event_type": {"type": 4},
            "traffic_direction": "EGRESS",
            "trace_observation_point": "TO_ENDPOINT",
        },
        "node_name": "node-1",
        "time": moment.isoformat().replace("+00:00", "Z"),
    }


def flows(days=3, edges=EDGES, start=START):
    """Every edge once an hour, each request answered."""
    number = 0
    for hour in range(24 * days):
        for offset, (client, server, port, protocol) in enumerate(edges):
            moment = start + timedelta(hours=hour, minutes=offset)
            number += 1
            yield _flow(moment, client, server, port, protocol, number, reply=False)
            yield _flow(moment + timedelta(seconds=1), client, server, port, protocol, number, reply=True)


def write_flows(path, **choices):
    """The same as a file of JSON lines."""
    path.write_text("".join(json.dumps(flow) + "\n" for flow in flows(**choices)), encoding="utf-8")
    return path
