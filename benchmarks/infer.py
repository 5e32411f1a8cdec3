"""
Time and memory of proposing: 14 days, 300 workloads, 20,000 distinct edges, 280,000 edge-days.

``python -m benchmarks.infer`` measures in a process of its own, so that the peak is that of the work, and
prints JSON. The frames are those that the fold of the observation store gives; ``--stored`` measures the
command from tables on disk to what it keeps, the fold included (``stored``).

    portolan bench infer -- --stored
    portolan bench infer -- --stored --nightly --workloads 1000 --edges 40000 --days 28
"""

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import stored
from benchmarks.estate import Estate
from jobs.propose import propose
from models import frames
from models.domain.window import Window
from models.frames import Observations

START = datetime(2026, 3, 1, tzinfo=UTC)
NAMESPACES = 30
#: Seconds and MiB from scratch, up to so many workloads; a night more has seconds of its own.
GOALS = ((300, 20.0, 1024), (1000, 60.0, 3072))
NIGHT_SECONDS = 20.0


def _us(day: int, hour: int) -> int:
    return int((START + timedelta(days=day, hours=hour)).timestamp()) * 1_000_000


def _identities(workloads: int, days: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number in range(workloads):
        namespace = f"team-{number % NAMESPACES}"
        texts = sorted(
            [
                f"k8s:app.kubernetes.io/name=service-{number}",
                f"k8s:app.kubernetes.io/part-of=product-{number % 7}",
                f"k8s:app.kubernetes.io/version=1.{number % 5}.0",
                "k8s:helm.sh/chart=service-2.1.0",
                f"k8s:io.kubernetes.pod.namespace={namespace}",
                "k8s:io.cilium.k8s.policy.cluster=bench",
                f"k8s:io.cilium.k8s.policy.serviceaccount=service-{number}",
            ]
        )
        rows.append(
            {
                "cluster": "bench",
                "label_key": hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16],
                "labels": json.dumps(texts),
                "namespace": namespace,
                "entity": "",
                "workload": f"service-{number}",
                "workload_kind": "Deployment",
                "first_us": _us(0, 0),
                "last_us": _us(days - 1, 23),
            }
        )
    return rows


def _edge_keys(keys: list[str], edges: int, rng: random.Random) -> list[tuple[str, str, str, str, int, str]]:
    """(subject, direction, peer kind, peer, port, name) of distinct edges; most inside the cluster."""
    found: set[tuple[str, str, str, str, int, str]] = set()
    while len(found) < edges:
        client = rng.choice(keys)
        if rng.random() < 0.2:
            address = f"52.{rng.randrange(200)}.{rng.randrange(200)}.{rng.randrange(1, 250)}"
            name = f"api-{rng.randrange(400)}.example.com" if rng.random() < 0.9 else ""
            found.add((client, "egress", "ip", address, 443, name))
            continue
        server = rng.choice(keys)
        port = rng.choice((80, 443, 5432, 6379, 8080, 8443, 9090, 9102))
        found.add((client, "egress", "endpoint", server, port, ""))
        found.add((server, "ingress", "endpoint", client, port, ""))
    return sorted(found)[:edges]


def observations(workloads: int, edges: int, days: int) -> Observations:
    """Frames of a made-up estate; the same for the same arguments."""
    rng = random.Random(20260301)
    identities = _identities(workloads, days)
    distinct = _edge_keys([str(row["label_key"]) for row in identities], edges, rng)
    rows: list[dict[str, object]] = []
    pods: list[dict[str, object]] = []
    for subject, direction, kind, peer, port, name in distinct:
        key = {
            "cluster": "bench", "subject": subject, "direction": direction, "peer_kind": kind, "peer": peer,
            "protocol": "TCP", "port": port, "icmp_type": -1,
        }  # fmt: skip
        counts = {"subject_pods": 3, "peer_pods": 2 if kind == "endpoint" else 0}
        names = dict.fromkeys(("subject_pod_min", "subject_pod_max", "peer_pod_min", "peer_pod_max"), "")
        pods.append({**key, **counts, **names})
        answered = 0 if rng.random() < 0.03 else 40
        rows += [
            {
                **key,
                "peer_names": name,
                "names_from": "flow" if name else "",
                "day": (START + timedelta(days=day)).strftime("%Y-%m-%d"),
                "hour_bits": 2 ** rng.randrange(1, 24) - 1,
                "flows": 40,
                "connections": 40,
                "answered": answered,
                "reset": 0,
                "audited": 0,
                "denied": 0,
                "l7_denied": 0,
                "dropped": 0,
                "drop_reasons": "",
                "replies_visible": True,
                "aggregated": False,
                "own_end": True,
                "first_us": _us(day, 0),
                "last_us": _us(day, 23),
                "samples": f"{subject}-{port}-{day}",
                "policies": "",
            }
            for day in range(days)
        ]
    epoch_hour = int(START.timestamp()) // 3600
    hours = [
        {
            "cluster": "bench",
            "day": (START + timedelta(hours=hour)).strftime("%Y-%m-%d"),
            "hour": epoch_hour + hour,
            "nodes": 10,
            "expected_nodes": 10,
            "seconds": 36000,
            "flows": 50_000,
            "replies": 45_000,
            "lost_events": 0,
            "rejects": 0,
            "skipped": 0,
        }
        for hour in range(days * 24)
    ]

    def frame(records: list[dict[str, object]], columns: dict[str, str]) -> pd.DataFrame:
        return pd.DataFrame(records, columns=list(columns)).astype(columns)

    return Observations(
        cluster="bench",
        window=Window(START, START + timedelta(days=days)),
        edge_days=frame(rows, frames.EDGE_DAYS),
        edge_pods=frame(pods, frames.EDGE_PODS),
        edge_routes=frame([], frames.EDGE_ROUTES),
        identities=frame(identities, frames.IDENTITIES),
        pods=frame([], frames.PODS),
        lookups=frame([], frames.LOOKUPS),
        coverage=frame(hours, frames.COVERAGE),
        set_aside=frame([], frames.SET_ASIDE),
    )


def measure(workloads: int, edges: int, days: int) -> dict[str, Any]:
    """Propose once; seconds of the work and the peak of this process."""
    seen = observations(workloads, edges, days)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started, cpu_started = time.perf_counter(), time.process_time()
    result = propose(seen)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "workloads": workloads,
        "edges": edges,
        "edge_days": len(seen.edge_days),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_mib": round(peak),
        "peak_mib_before": round(before),
        "counts": result.counts(),
        "unexplained_denials": sum(
            denial.reason == "not_admitted"
            for proposal in result.proposals
            if proposal.backtest is not None
            for denial in proposal.backtest.denied
        ),
    }


def judged(figures: dict[str, Any], seconds: float, mib: int) -> dict[str, Any]:
    """Figures of one run with the goals it has, and whether it met them."""
    met = figures["seconds"] <= seconds and figures["peak_mib"] <= mib
    return figures | {"seconds_goal": seconds, "mib_goal": mib, "met": met}


def main() -> int:
    """Measure in a fresh process and print the result; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", type=int, default=300)
    parser.add_argument("--edges", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--stored", action="store_true", help="from tables on disk, by the command itself")
    parser.add_argument("--nightly", action="store_true", help="stored: the night after, one more day")
    parser.add_argument("--folder", type=Path, help="stored: where the tables are written")
    parser.add_argument("--here", action="store_true", help="measure in this process")
    arguments = parser.parse_args()
    sizes = [goal for goal in GOALS if arguments.workloads <= goal[0]]
    _, seconds, mib = sizes[0] if sizes else GOALS[-1]
    if arguments.stored:
        estate = Estate(arguments.workloads, arguments.edges, arguments.days)
        figures = stored.measure(estate, nightly=arguments.nightly, folder=arguments.folder)
        figures["from_scratch"] = judged(figures["from_scratch"], seconds, mib)
        if arguments.nightly:
            figures["one_night_more"] = judged(figures["one_night_more"], NIGHT_SECONDS, mib)
    elif arguments.here:
        measured = measure(arguments.workloads, arguments.edges, arguments.days)
        figures = judged(measured, seconds, mib)
    else:
        command = [sys.executable, "-m", "benchmarks.infer", "--here", *sys.argv[1:]]
        return subprocess.run(command, check=False, cwd=stored.MODULES).returncode  # noqa: S603 - ourselves
    print(json.dumps(figures, indent=2))
    runs = [figures, *(figures.get(name, {}) for name in ("from_scratch", "one_night_more"))]
    return 0 if all(run.get("met", True) for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
