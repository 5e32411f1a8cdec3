"""The policies that Portolan writes through Cilium's own validation: the schema and the agent's."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from conformance.compare import ask_engine
from jobs.ingest import run_ingest
from jobs.observations.fold import clusters, fold
from jobs.observations.store import ObservationStore
from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.window import Window
from models.errors import UnsupportedError
from models.frames import Observations
from models.manifest.lists import opened
from models.manifest.render import cilium_manifest
from models.manifest.render_kubernetes import kubernetes_manifest
from models.manifest.validate import problems

FLOWS: Final = Path(__file__).parents[1] / "sample_data" / "flows"
LENGTH: Final = timedelta(days=14)
#: The engine answers cases; which flow it is asked about does not matter to validation.
_FLOW: Final = {
    "direction": "egress",
    "src": {"labels": ["k8s:app=any", "k8s:io.kubernetes.pod.namespace=any"]},
    "dst": {"ip": "192.0.2.1"},
    "l4": {"proto": "TCP", "port": 443},
}


def sample_observations() -> list[Observations]:
    """What sample_data shows of each of its clusters, ingested into a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="portolan-conformance-") as folder:
        store = ObservationStore(Path(folder))
        run_ingest([str(FLOWS)], store=store)
        newest = max(store.table("edges").files_by_day())
        end = datetime.fromisoformat(f"{newest}T00:00:00+00:00") + timedelta(days=1)
        return [fold(store, cluster, Window.ending(end, LENGTH)) for cluster in clusters(store)]


def manifests(observations: Observations, cilium_version: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything Portolan writes from observations: with and without names, enforcing, shadow, Kubernetes."""
    for fqdn in (True, False):
        found = propose(observations, capabilities=CapabilityHints(fqdn=fqdn, cilium_version=cilium_version))
        for proposal in found.proposals:
            title = f"{observations.cluster}/{proposal.namespace}/{proposal.name} fqdn={fqdn}"
            for mode in ("enforce", "shadow"):
                written = cilium_manifest(proposal, mode=mode, cilium_version=cilium_version)
                yield from ((f"{title} {mode}", policy) for policy in opened(written))
            try:
                written = kubernetes_manifest(proposal)
            except UnsupportedError:
                continue  # a policy that NetworkPolicy cannot say is not written as one
            yield from ((f"{title} kubernetes", policy) for policy in opened(written))


def kept(folder: Path) -> list[Mapping[str, Any]]:
    """Distinct manifests that tests wrote (``tests/kept.py``), in a stable order."""
    lines = {line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()}
    if not lines:
        raise SystemExit(f"{folder}: no manifest was kept: run tests with KEEP_MANIFESTS_IN={folder}")
    return [json.loads(line) for line in sorted(lines)]


def rejected(
    engine: Path, cilium_version: str, seen: list[Observations], written: list[Mapping[str, Any]]
) -> int:
    """
    Print every manifest that Cilium refuses; give their number.

    Tests also render what a line refuses, to see our own check refuse it: those are left out, for the
    claim is that what our check lets pass, Cilium takes.
    """
    titled = [pair for observations in seen for pair in manifests(observations, cilium_version)]
    if not titled:
        raise SystemExit("nothing was proposed for sample_data: there is nothing to validate")
    passing = [one for one in written if not problems(one, cilium_version=cilium_version)]
    titled += [(f"test {number} {one['metadata']['name']}", one) for number, one in enumerate(passing)]
    cases = [{"id": title, "policies": [one], "flow": _FLOW, "options": {}} for title, one in titled]
    refused = 0
    for case, answer in zip(cases, ask_engine(engine, cases), strict=True):
        if answer.get("rejected") or answer.get("error"):
            refused += 1
            print(json.dumps({"refused": case["id"], "engine": answer, "case": case}, sort_keys=True))
    print(
        f"Cilium {cilium_version}: {len(cases) - len(passing)} manifests proposed for sample_data and "
        f"{len(passing)} written by tests ({len(written) - len(passing)} more are refused by our own check), "
        f"{refused} refused",
        file=sys.stderr,
    )
    return refused
