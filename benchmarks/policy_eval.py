"""Speed and memory of the fast policy evaluator: 1,000 policies, 1,000,000 distinct edges."""

import json
import random
import resource
import sys
import time

import numpy as np

from models.domain.agent import AgentConfig
from models.manifest.parse import parse_objects
from models.simulation.compiled import VERDICTS, CompiledPolicies
from models.simulation.context import Side
from models.simulation.edges import EdgeTable, protocol_code

SEED = 7
NAMESPACE_COUNT = 100
APPS_PER_NAMESPACE = 40
OUTSIDE_COUNT = 40_000


def workload_labels(namespace: int, app: int) -> tuple[str, ...]:
    """Identity labels of one of 4,000 workloads."""
    return (
        f"k8s:app=app-{app}",
        f"k8s:tier={('front', 'back', 'data')[app % 3]}",
        f"k8s:io.kubernetes.pod.namespace=ns-{namespace}",
        "k8s:io.cilium.k8s.policy.cluster=default",
        f"k8s:io.cilium.k8s.policy.serviceaccount=sa-{app}",
        f"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=ns-{namespace}",
    )


def policy(rng: random.Random, number: int) -> dict:
    """One policy as a careful person would write it; one in fifty is clusterwide."""
    namespace = number % NAMESPACE_COUNT
    peers = [
        {"matchLabels": {"app": f"app-{rng.randrange(APPS_PER_NAMESPACE)}"}} for _ in range(rng.randint(1, 3))
    ]
    if rng.random() < 0.3:
        peers[0]["matchLabels"]["k8s:io.kubernetes.pod.namespace"] = f"ns-{rng.randrange(NAMESPACE_COUNT)}"
    ports = [{"ports": [{"port": str(rng.choice((80, 443, 8080, 5432, 9090))), "protocol": "TCP"}]}]
    prefix = f"10.{rng.randrange(256)}.0.0/16"
    egress = [
        {"toEndpoints": peers, "toPorts": ports},
        {"toCIDR": [prefix], "toPorts": ports},
        {"toFQDNs": [{"matchPattern": f"*.svc-{rng.randrange(300)}.example.com"}], "toPorts": ports},
    ]
    spec = {
        "endpointSelector": {"matchLabels": {"app": f"app-{rng.randrange(APPS_PER_NAMESPACE)}"}},
        "ingress": [
            {"fromEndpoints": peers, "toPorts": ports},
            {"fromEntities": ["cluster"], "toPorts": ports},
        ],
        "egress": egress,
    }
    if rng.random() < 0.1:
        spec["egressDeny"] = [{"toCIDR": ["169.254.169.254/32"]}]
    clusterwide = rng.random() < 0.02
    if clusterwide:
        spec["endpointSelector"] = {}
    metadata = {"name": f"p-{number}"} | ({} if clusterwide else {"namespace": f"ns-{namespace}"})
    kind = "CiliumClusterwideNetworkPolicy" if clusterwide else "CiliumNetworkPolicy"
    return {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": spec}


def edges(rng: np.random.Generator, count: int) -> EdgeTable:
    """Distinct edges between workloads and to outside addresses, half of them ingress."""
    sides = [
        Side(workload_labels(namespace, app), named_ports=())
        for namespace in range(NAMESPACE_COUNT)
        for app in range(APPS_PER_NAMESPACE)
    ]
    pod_count = len(sides)
    sides += [
        Side(
            None,
            f"10.{n % 256}.{n // 256 % 256}.{n % 250}" if n % 2 else f"52.{n % 200}.{n // 200 % 256}.9",
            (f"api.svc-{n % 500}.example.com",) if n % 3 else (),
        )
        for n in range(OUTSIDE_COUNT)
    ]
    ports = np.array([80, 443, 8080, 5432, 9090, 53, *range(30000, 30200)])
    # Enough candidates that `count` distinct ones remain.
    wanted = int(count * 1.2)
    subject = rng.integers(pod_count, size=wanted)
    outside = rng.random(wanted) < 0.4
    peer = np.where(
        outside, rng.integers(pod_count, len(sides), size=wanted), rng.integers(pod_count, size=wanted)
    )
    columns = np.column_stack(
        [subject, peer, rng.random(wanted) < 0.5, ports[rng.integers(len(ports), size=wanted)]]
    )
    distinct = np.unique(columns, axis=0)[:count]
    rng.shuffle(distinct)
    return EdgeTable(
        tuple(sides),
        distinct[:, 0].astype(np.int32),
        distinct[:, 1].astype(np.int32),
        distinct[:, 2].astype(np.bool_),
        np.full(len(distinct), protocol_code("TCP"), dtype=np.int16),
        distinct[:, 3].astype(np.int32),
    )


def run(policy_count: int = 1000, edge_count: int = 1_000_000) -> dict:
    """Measure one run; seconds are wall clock, memory is the peak of this process."""
    rng = random.Random(SEED)
    objects = [policy(rng, number) for number in range(policy_count)]
    table = edges(np.random.default_rng(SEED), edge_count)
    config = AgentConfig()
    start = time.perf_counter()
    policies = parse_objects(objects, config=config)
    parsed = time.perf_counter()
    answers = CompiledPolicies(policies, config).evaluate(table)
    done = time.perf_counter()
    counts = np.bincount(answers.verdict, minlength=len(VERDICTS))
    return {
        "policies": policy_count,
        "entries": len(policies.entries),
        "edges": len(table),
        "sides": len(table.sides),
        "seconds_parse": round(parsed - start, 2),
        "seconds_evaluate": round(done - parsed, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "verdicts": {name.value: int(n) for name, n in zip(VERDICTS, counts, strict=True)},
    }


if __name__ == "__main__":
    print(json.dumps(run(*(int(text) for text in sys.argv[1:]))))
