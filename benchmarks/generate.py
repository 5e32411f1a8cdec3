"""
Seeded Hubble flows of real shape and size (about 1.4 KB a line), for the ingest benchmark.

Two sets. *Repetitive*: a few hundred workloads that talk all day along the same edges, which is what
a quiet cluster writes. *Varied*: tens of thousands of pods, addresses, names and routes, so that
nothing compresses by repetition. A line is cut from a prepared shape, so writing ten million of
them takes minutes, not hours.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

START = datetime(2026, 3, 2, tzinfo=UTC)
FLOWS_PER_SECOND = 500  # fifty nodes with ten flows a second each
NODES = 50
CHUNK = 20_000  # lines joined per write


@dataclass(frozen=True, slots=True)
class Profile:
    """How varied a set is."""

    name: str
    workloads: int
    pods: int  # replicas of a workload
    shapes: int  # distinct conversations
    outside: int  # addresses outside the cluster


REPETITIVE = Profile("repetitive", workloads=300, pods=3, shapes=3_000, outside=200)
VARIED = Profile("varied", workloads=3_000, pods=10, shapes=60_000, outside=100_000)
PROFILES = {profile.name: profile for profile in (REPETITIVE, VARIED)}


def _endpoint(
    rng: random.Random, number: int, profile: Profile, *, local: bool
) -> tuple[dict[str, object], str]:
    """Make one pod as Hubble shows it, with its address."""
    name, space = f"service-{number}", f"team-{number % 40}"
    pod = rng.randrange(profile.pods)
    labels = [
        f"k8s:app.kubernetes.io/name={name}",
        f"k8s:app={name}",
        f"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name={space}",
        "k8s:io.cilium.k8s.policy.cluster=prod-aks",
        f"k8s:io.cilium.k8s.policy.serviceaccount={name}",
        f"k8s:io.kubernetes.pod.namespace={space}",
    ]
    end: dict[str, object] = {"ID": 100 + number % 4000} if local else {}
    end |= {
        "identity": 20_000 + number,
        "cluster_name": "prod-aks",
        "namespace": space,
        "labels": labels,
        "pod_name": f"{name}-7c9d6b5f4-{pod:05d}",
    }
    if local:
        end["workloads"] = [{"name": name, "kind": "Deployment"}]
    return end, f"10.{number >> 8 & 255}.{number & 255}.{pod + 2}"


def _shape(rng: random.Random, profile: Profile) -> list[str]:  # noqa: C901, PLR0915 - one branch per kind
    """
    Prepare one conversation: the line cut where the time, the uuid and the client port go.

    The mix follows the captures: about half the lines are forward traces and verdicts, a third are
    replies, the rest DNS, HTTP, ICMP and the outside world.
    """
    kind = rng.choices(
        ["trace", "verdict", "reply", "dns", "http", "world", "icmp"], [30, 12, 30, 10, 6, 10, 2]
    )[0]
    egress = rng.random() < 0.5 or kind in {"dns", "world"}
    client, server = rng.randrange(profile.workloads), rng.randrange(profile.workloads)
    if kind == "dns":
        server = 0
    source, source_ip = _endpoint(rng, client, profile, local=egress)
    target, target_ip = _endpoint(rng, server, profile, local=not egress)
    flow: dict[str, object] = {"time": "@T", "uuid": "@U", "verdict": "FORWARDED"}
    flow["ethernet"] = {"source": "be:0a:11:22:33:44", "destination": "7a:55:66:77:88:99"}
    port = 53 if kind == "dns" else 8000 + server % 50
    ports: dict[str, object] = {"source_port": "@P", "destination_port": port}
    layer4: dict[str, object] = {"TCP": ports | {"flags": {"SYN": True}}}
    extra: dict[str, object] = {}
    event: dict[str, int] = {"type": 4, "sub_type": 3} if egress else {"type": 4}
    point = "TO_STACK" if egress else "TO_ENDPOINT"
    reply = kind == "reply"
    if kind == "world":
        outside = rng.randrange(profile.outside)
        target, target_ip = (
            {"identity": 2, "labels": ["reserved:world"]},
            f"52.{outside >> 16}.{outside >> 8 & 255}.{outside & 255}",
        )
        extra["destination_names"] = [f"api-{outside % 5000}.example.com"]
        ports["destination_port"] = 443
    elif kind == "verdict":
        event = {"type": 5}
        extra |= {"policy_match_type": 4}
    elif kind == "dns":
        layer4, event = {"UDP": ports}, {"type": 129}
        name = f"api-{rng.randrange(profile.outside) % 5000}.example.com."
        answer: dict[str, object] = {"query": name, "observation_source": "proxy", "qtypes": ["A"]}
        reply = rng.random() < 0.5
        if reply:
            answer |= {
                "ips": [f"52.0.{rng.randrange(256)}.{rng.randrange(256)}"],
                "ttl": 60,
                "rrtypes": ["A"],
            }
        extra["l7"] = {"type": "RESPONSE" if reply else "REQUEST", "dns": answer}
    elif kind == "http":
        layer4, event = {"TCP": ports}, {"type": 129}
        url = f"http://service-{server}.svc:8080/v1/items/{rng.randrange(profile.outside)}?page=1"
        headers = [
            {"key": "User-Agent", "value": "python-httpx/0.28"},
            {"key": "X-Request-Id", "value": "@U"},
        ]
        extra["l7"] = {
            "type": "REQUEST",
            "http": {"method": "GET", "url": url, "protocol": "HTTP/1.1", "headers": headers},
        }
    elif kind == "icmp":
        layer4 = {"ICMPv4": {"type": 8}}
    if reply:
        ports["source_port"], ports["destination_port"] = ports["destination_port"], "@P"
        source, target, source_ip, target_ip = target, source, target_ip, source_ip
        if kind == "reply":
            layer4 = {"TCP": ports | {"flags": {"SYN": True, "ACK": True}}}
    node = f"prod-aks/aks-np1-{(client if egress else server) % NODES:06d}"
    flow |= {
        "IP": {"source": source_ip, "destination": target_ip, "ipVersion": "IPv4"},
        "l4": layer4,
        "source": source,
        "destination": target,
        "Type": "L7" if event["type"] == 129 else "L3_L4",
        "node_name": node,
        "event_type": event,
        "traffic_direction": "EGRESS" if egress else "INGRESS",
        **(
            {"trace_observation_point": point, "trace_reason": "REPLY" if reply else "NEW"}
            if event["type"] == 4
            else {}
        ),
        **extra,
        "is_reply": reply,
        **({"reply": True} if reply else {}),
        "Summary": "TCP Flags: SYN",
    }
    text = json.dumps({"flow": flow, "node_name": node, "time": "@T"}, separators=(",", ":"))
    pieces, rest = [], text
    for mark in ("@T", "@U", '"@P"', "@T"):
        before, found, after = rest.partition(mark)
        if not found:  # no port in this shape: keep the place, empty
            before, after = "", rest
        pieces.append(before)
        rest = after
    request_id = "0d0e0f00-1111-4222-8333-444444444444"
    return [piece.replace("@U", request_id) for piece in (*pieces, rest)]


def lines(profile: Profile, count: int, seed: int = 1) -> Iterator[str]:
    """Yield ``count`` flow lines in time order, each with its own uuid."""
    rng = random.Random(f"{profile.name}-{seed}")
    shapes = [_shape(rng, profile) for _ in range(min(profile.shapes, max(count, 1)))]
    step = 1 / FLOWS_PER_SECOND
    base = int(START.timestamp())
    stamp, last = "", -1
    for number in range(count):
        at = number * step
        second = int(at)
        if second != last:
            stamp, last = datetime.fromtimestamp(base + second, UTC).strftime("%Y-%m-%dT%H:%M:%S"), second
        time = f"{stamp}.{int((at - second) * 1e9):09d}Z"
        head, before_id, before_port, before_time, tail = shapes[int(rng.random() * len(shapes))]
        port = "" if not before_port else str(32768 + int(rng.random() * 28000))
        uuid = f"{seed & 0xFFFFFFFF:08x}-0a1b-4c2d-8e3f-{number:012x}"
        yield f"{head}{time}{before_id}{uuid}{before_port}{port}{before_time}{time}{tail}\n"


def write(path: Path, profile: Profile, count: int, seed: int = 1) -> None:
    """Write ``count`` lines to ``path``."""
    with path.open("w", encoding="utf-8") as file:
        block: list[str] = []
        for line in lines(profile, count, seed):
            block.append(line)
            if len(block) == CHUNK:
                file.writelines(block)
                block.clear()
        file.writelines(block)
