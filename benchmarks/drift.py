"""
A drift report at scale: ten thousand policies, a million edges of one night, a baseline of four weeks.

The baseline holds what every night shows again: the edges of the night are a sample of it and news.
Prints seconds by step and the peak of memory; fails when the goal is missed.
"""

import argparse
import hashlib
import json
import resource
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from models import frames
from models.domain.window import Window
from models.drift.find import DriftInput, find_drift
from models.drift.timeline import Snapshot
from models.frames import Observations

GOAL_SECONDS = 120.0
GOAL_GIB = 3.0
START = datetime(2026, 3, 1, tzinfo=UTC)
NIGHTS = 28
DAY_US = 24 * 3600 * 1_000_000
ROLES = 100
CALLED = 12  # roles that a role calls
NEWS = 0.001  # share of the night's calls that no policy allows
PORTS = (80, 443, 5432, 6379, 8080, 9000, 9090, 9200)
CLUSTER = "bench"


def identities(count: int) -> pd.DataFrame:
    """One label set per workload; workloads of one role share the label that policies select."""
    rows = []
    first = int(START.timestamp()) * 1_000_000
    for number in range(count):
        namespace, name = f"ns{number % ROLES}", f"app{number}"
        labels = sorted(
            (
                f"k8s:app={name}",
                f"k8s:role=r{number % ROLES}",
                f"k8s:io.kubernetes.pod.namespace={namespace}",
                f"k8s:io.cilium.k8s.policy.cluster={CLUSTER}",
            )
        )
        rows.append(
            {
                "cluster": CLUSTER,
                "label_key": hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:16],
                "labels": json.dumps(labels),
                "namespace": namespace,
                "entity": "",
                "workload": name,
                "workload_kind": "Deployment",
                "first_us": first,
                "last_us": first + (NIGHTS + 1) * DAY_US - 1,
            }
        )
    return pd.DataFrame(rows).astype(frames.IDENTITIES)


def role_graph(rng: np.random.Generator) -> pd.DataFrame:
    """Which role calls which on what port."""
    drawn = pd.DataFrame(
        {
            "caller": rng.integers(ROLES, size=ROLES * CALLED),
            "called": rng.integers(ROLES, size=ROLES * CALLED),
            "port": rng.choice(PORTS, size=ROLES * CALLED),
        }
    ).drop_duplicates()
    return drawn[drawn["caller"] != drawn["called"]].reset_index(drop=True)


def pairs(rng: np.random.Generator, graph: pd.DataFrame, workloads: int, count: int) -> pd.DataFrame:
    """Distinct calls between workloads whose roles call each other."""
    chosen = graph.iloc[rng.integers(len(graph), size=int(count * 1.3))]
    per_role = workloads // ROLES
    return (
        pd.DataFrame(
            {
                "client": chosen["caller"].to_numpy() + ROLES * rng.integers(per_role, size=len(chosen)),
                "server": chosen["called"].to_numpy() + ROLES * rng.integers(per_role, size=len(chosen)),
                "port": chosen["port"].to_numpy(),
            }
        )
        .drop_duplicates()
        .head(count)
        .reset_index(drop=True)
    )


def edge_days(
    calls: pd.DataFrame, keys: "np.ndarray", days: "list[str]", starts: "list[int]"
) -> pd.DataFrame:
    """Rows of both ends of calls on days."""
    texts = pd.array(list(keys), dtype="str")
    parts = []
    for day, start in zip(days, starts, strict=True):
        for direction, own, far in (("egress", "client", "server"), ("ingress", "server", "client")):
            size = len(calls)
            columns = {
                "cluster": CLUSTER,
                "subject": texts.take(calls[own].to_numpy()),
                "direction": direction,
                "peer_kind": "endpoint",
                "peer": texts.take(calls[far].to_numpy()),
                "peer_names": "",
                "names_from": "",
                "protocol": "TCP",
                "port": calls["port"].to_numpy(),
                "icmp_type": -1,
                "day": day,
                "hour_bits": 0xFFF,
                "flows": 40,
                "connections": 40,
                "answered": 40,
                **dict.fromkeys(("reset", "audited", "denied", "l7_denied", "dropped"), 0),
                "drop_reasons": "",
                "replies_visible": True,
                "aggregated": False,
                "own_end": True,
                "first_us": start,
                "last_us": start + DAY_US - 1,
                "samples": "",
                "policies": "",
            }
            parts.append(pd.DataFrame(columns, index=range(size)).astype(frames.EDGE_DAYS))
    return pd.concat(parts, ignore_index=True)


def observations(window: Window, rows: pd.DataFrame, who: pd.DataFrame, days: list[str]) -> Observations:
    """Everything else of a window."""
    hours = [
        {
            "cluster": CLUSTER,
            "day": day,
            "hour": int(START.timestamp()) // 3600 + 24 * place + hour,
            "nodes": 50,
            "expected_nodes": 50,
            "seconds": 180000,
            "flows": 1_000_000,
            "replies": 1_000_000,
            "lost_events": 0,
            "rejects": 0,
            "skipped": 0,
        }
        for place, day in enumerate(days)
        for hour in range(24)
    ]
    empty = {name: pd.DataFrame(columns=list(spec)).astype(spec) for name, spec in _EMPTY.items()}
    return Observations(
        cluster=CLUSTER,
        window=window,
        edge_days=rows,
        identities=who,
        coverage=pd.DataFrame(hours).astype(frames.COVERAGE),
        **empty,
    )


_EMPTY = {
    "edge_pods": frames.EDGE_PODS,
    "edge_routes": frames.EDGE_ROUTES,
    "pods": frames.PODS,
    "lookups": frames.LOOKUPS,
    "set_aside": frames.SET_ASIDE,
}


def policies(graph: pd.DataFrame, workloads: int, count: int) -> list[dict]:
    """Two policies per workload, one per direction; peers are roles."""
    made = []
    ways = (("egress", "caller", "called", "to"), ("ingress", "called", "caller", "from"))
    sections: dict[tuple[str, int], list[dict]] = {}
    for way, own, far, side in ways:
        for (role, port), mine in graph.groupby([own, "port"]):
            peers = [
                {"matchLabels": {"k8s:role": f"r{peer}", "k8s:io.kubernetes.pod.namespace": f"ns{peer}"}}
                for peer in sorted(set(mine[far]))
            ]
            entry = {
                f"{side}Endpoints": peers,
                "toPorts": [{"ports": [{"port": str(port), "protocol": "TCP"}]}],
            }
            sections.setdefault((way, int(role)), []).append(entry)
    for number in range(workloads):
        for way, *_ in ways:
            entries = sections.get((way, number % ROLES), [{}])
            made.append(
                {
                    "apiVersion": "cilium.io/v2",
                    "kind": "CiliumNetworkPolicy",
                    "metadata": {"name": f"{way}-app{number}", "namespace": f"ns{number % ROLES}"},
                    "spec": {"endpointSelector": {"matchLabels": {"app": f"app{number}"}}, way: entries},
                }
            )
    return made[:count]


def main() -> None:
    """Make the night, report on it, and hold it to the goal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workloads", type=int, default=5000)
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--edges", type=int, default=1_000_000, help="rows of the night, both ends")
    parser.add_argument("--baseline", type=int, default=50_000, help="edges of each earlier night, both ends")
    asked = parser.parse_args()
    rng = np.random.default_rng(5)
    who = identities(asked.workloads)
    keys = who["label_key"].to_numpy(dtype=object)
    graph = role_graph(rng)
    calls = pairs(rng, graph, asked.workloads, asked.edges // 2)
    objects = policies(graph, asked.workloads, asked.policies)
    fresh = rng.choice(len(calls), size=int(len(calls) * NEWS), replace=False)
    calls.loc[fresh, "port"] = 7777
    dates = [(START + timedelta(days=day)).strftime("%Y-%m-%d") for day in range(NIGHTS + 1)]
    starts = [int((START + timedelta(days=day)).timestamp()) * 1_000_000 for day in range(NIGHTS + 1)]
    old = calls[calls["port"] != 7777].iloc[: asked.baseline // 2]
    middle = START + timedelta(days=NIGHTS)
    history = observations(
        Window(START, middle), edge_days(old, keys, dates[:-1], starts[:-1]), who, dates[:-1]
    )
    night = observations(
        Window(middle, middle + timedelta(days=1)),
        edge_days(calls, keys, dates[-1:], starts[-1:]),
        who,
        dates[-1:],
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    report = find_drift(DriftInput(night, history, (Snapshot(0, tuple(objects)),)), middle)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    gib = after.ru_maxrss / 2**20
    print(
        f"{len(objects):,} policies, {len(night.edge_days):,} edges, baseline {len(history.edge_days):,} rows"
    )
    print(f"{len(report.findings):,} findings, {wall:.1f} s wall, {cpu:.1f} s CPU, peak {gib:.2f} GiB")
    print(f"goal: {GOAL_SECONDS:.0f} s, {GOAL_GIB:.0f} GiB")
    if min(wall, cpu) > GOAL_SECONDS or gib > GOAL_GIB:
        sys.exit("the goal is missed")


if __name__ == "__main__":
    main()
