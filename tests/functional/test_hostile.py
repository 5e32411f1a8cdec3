"""Whatever a flow says, from its line to files, terminal and pages: it is text, and nobody obeys it."""

import json
import re
from dataclasses import dataclass, field

import pytest
import yaml

from models.manifest.validate import problems
from tests.functional.conftest import run_json, serving
from tests.properties.cluster import Contact, Naming, Traffic

pytestmark = pytest.mark.slow
SCRIPT = "<script>alert(1)</script>"
HOSTILE = (
    SCRIPT,
    "../../../etc/cron.d/x",
    "a\nkind: ClusterRole\n---\n",
    "*",
    "{{ 7 * 7 }}",
    "x: [y, !!python/object/apply:os.system ['id']]",
    "w" * 300,
    "w" * 299 + "v",
    "großstadt-中文-🙂",
    "\u202egnp.exe\x1b[31m",
    "'; DROP TABLE edges; --",
    "0x10",
    "on",
)


@dataclass(frozen=True)
class Spoilt(Naming):
    """One workload of the cluster says something hostile of itself."""

    who: str = ""
    said: dict = field(default_factory=dict)

    def end(self, workload, pod):
        return self.said if workload == self.who else super().end(workload, pod)


def end(number, namespace="shop", workload="web", label="app=web", pod=None):
    """One end of a record, to be spoilt."""
    return {
        "identity": 50_000 + number,
        "namespace": namespace,
        "labels": [f"k8s:{label}", f"k8s:io.kubernetes.pod.namespace={namespace}"],
        "pod_name": pod or f"pod-{number}",
        "workloads": [{"name": workload, "kind": "Deployment"}],
    }


def spoilt():
    """Every hostile text in every place that reaches an output."""
    traffic = Traffic()
    days = (0, 1)
    traffic.say([Contact("web", "api", 8080, "TCP", days), Contact("web", "coredns", 53, "UDP", days)])
    traffic.say([Contact("web", "93.184.216.34", 443, "TCP", days)])
    number = 0
    for text in HOSTILE:
        places = (
            {"namespace": text},
            {"workload": text, "label": f"app=hostile-{number}"},
            {"workload": f"odd-{number}", "label": f"app={text}"},
            {"workload": f"odd-{number}", "label": f"{text}=1"},
            {"pod": text, "workload": f"odd-{number}", "label": f"app=odd-{number}"},
        )
        for place in places:
            number += 1
            traffic.naming = Spoilt(who="web", said=end(number, **place))
            traffic.say([Contact("web", "api", 9000 + number % 3, "TCP")])
            traffic.naming = Spoilt(who="db", said=end(number, **place))
            traffic.say([Contact("api", "db", 5432, "TCP")])
        traffic.naming = Naming()
        traffic.say([Contact("web", "52.1.2.4", 443, "TCP")], destination_names=[text])
        traffic.say([Contact("api", "db", 5433, "TCP")], node_name=text)
        refused = {"verdict": "DROPPED", "is_reply": None, "drop_reason_desc": text}
        traffic.say([Contact("job", "db", 22, "TCP")], answered=False, **refused)
        traffic.say([Contact("job", "db", 23, "TCP")], egress_allowed_by=[{"name": text, "namespace": text}])
    for name in ("Web_1", "web-1", "web.1"):
        number += 1
        traffic.naming = Spoilt(who="web", said=end(number, workload=name, label=f"app={name}"))
        traffic.say([Contact("web", "api", 8080, "TCP")])
    return traffic.lines


@pytest.fixture(scope="module")
def flows(tmp_path_factory):
    """File of hostile flows."""
    path = tmp_path_factory.mktemp("hostile") / "flows.jsonl"
    path.write_text("".join(f"{line}\n" for line in spoilt()), encoding="utf-8")
    return path


def test_trap_A14_F17_L3_hostile_flows_end_in_valid_files_and_harmless_pages(portolan, flows, tmp_path):
    """Nothing crashes, leaves its folder, ends a comment, becomes markup, or takes another's name."""
    data, out = tmp_path / "data", tmp_path / "deep" / "out"
    report = run_json(portolan, "ingest", flows, "--data-dir", data)
    parts = sum(report["skipped"].values()) + sum(report["rejected"].values())
    assert report["records"] == report["accepted"] + parts + report["duplicates"] == len(spoilt())
    shown = portolan("infer", "--data-dir", data)
    portolan("export", "--data-dir", data, "--state", "any", "--out", out)
    listing = portolan("proposals", "--data-dir", data)
    for text in (shown.stdout, shown.stderr, listing.stdout, listing.stderr):
        assert "\x1b[31m" not in text
        assert "\u202e" not in text
    files = sorted(path for path in tmp_path.rglob("*.yaml"))
    assert files
    # Namespace and object; a hostile node name makes no cluster, so there is no folder for one.
    name = re.compile(r"([a-z0-9-]+)/([a-z0-9.-]+)\.cilium\.yaml")
    seen = {}
    for path in files:
        at = name.fullmatch(str(path.relative_to(out)))
        assert at, path
        (document,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        assert problems(document) == []
        assert document["kind"] == "CiliumNetworkPolicy"
        meaning = json.dumps({key: part for key, part in document["spec"].items() if key != "description"})
        assert "*" not in meaning.replace('{"matchPattern": "*"}', "")
        assert at.groups() == (document["metadata"]["namespace"], document["metadata"]["name"])
        seen[at.groups()] = document["metadata"]["annotations"]["portolan.dev/workloads"]
    for twin in ("Web_1", "web-1", "web.1", HOSTILE[6], HOSTILE[7]):
        assert f"Deployment/{twin}" in seen.values()
    assert {"0x10", "on"} <= {namespace for namespace, _ in seen}
    everything = "".join(path.read_text(encoding="utf-8") for path in files)
    assert not re.search(r"^(kind: ClusterRole|---)", everything, re.MULTILINE)
    with serving(data, "--no-scheduler") as client:
        proposals = client.get("/api/v1/proposals", params={"limit": 100}).json()["items"]
        pages = ["/", "/runs", *(f"/proposals/{one['key']}" for one in proposals)]
        for page in pages:
            answer = client.get(page, follow_redirects=True)
            assert answer.status_code == 200, (page, answer.text[:200])
            assert SCRIPT not in answer.text
            assert "\x1b" not in answer.text
        for place in ("namespaces", "workloads", "edges"):
            answer = client.get(f"/api/v1/{place}")
            assert answer.status_code in {200, 404}, answer.text
        assert json.loads(client.get("/api/v1/openapi.json").text)["openapi"].startswith("3.1")
