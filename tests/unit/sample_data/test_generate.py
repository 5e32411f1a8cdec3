"""The generator: same seed, same bytes; lines of the documented shape."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import orjson
import pytest

from sample_data.generate import Generator
from sample_data.world.nouns import ATTACK, Dependency
from sample_data.world.rhythms import Once
from sample_data.world.sample import sample_world
from sample_data.world.truth import MixedEdgeError
from tests.support import ROOT

DAY = date(2026, 11, 11)  # scan, lateral movement and beacon begin; web is scaled up
TIME = re.compile(r"^2026-1[01]-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
FLOW_KEYS = {
    "time", "uuid", "verdict", "drop_reason", "ethernet", "IP", "l4", "source", "destination", "Type", "node_name",
    "node_labels", "source_names", "destination_names", "l7", "reply", "event_type", "traffic_direction",
    "policy_match_type", "trace_observation_point", "trace_reason", "drop_reason_desc", "is_reply", "interface",
    "proxy_port", "sock_xlate_point", "socket_cookie", "cgroup_id", "file", "Summary", "egress_allowed_by",
    "ingress_allowed_by",
}  # fmt: skip
ENDPOINT_KEYS = {"ID", "identity", "cluster_name", "namespace", "labels", "pod_name", "workloads"}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """One rendered day: file name to content."""
    return dict(Generator(sample_world()).day(DAY))


@pytest.fixture(scope="module")
def flows(files: dict[str, bytes]) -> list[dict]:
    lines = [orjson.loads(line) for content in files.values() for line in content.splitlines()]
    return [line["flow"] for line in lines if "flow" in line]


def test_a_day_is_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    """Two processes with different hash seeds write equal files and equal truth."""
    digests = []
    for seed in ("0", "4711"):
        out = tmp_path / seed
        subprocess.run(
            [sys.executable, "-m", "sample_data.generate", "--out", str(out), "--days", "1"],
            check=True, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True,
        )  # fmt: skip
        paths = sorted(path for path in out.rglob("*") if path.is_file())
        digests.append([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 4


def test_a_day_does_not_depend_on_the_days_rendered_before(files: dict[str, bytes]) -> None:
    """Any day alone equals the same day within the whole."""
    generator = Generator(sample_world())
    for _ in generator.day(date(2026, 11, 10)):
        pass
    assert dict(generator.day(DAY)) == files


def test_another_seed_is_another_world_with_the_same_meaning() -> None:
    """Addresses and moments change, edges do not."""
    first, other = Generator(sample_world()), Generator(sample_world(seed=7))
    same = dict(first.day(DAY)), dict(other.day(DAY))
    assert not any(same[0][name] == same[1][name] for name in same[0])
    legitimate = [
        {
            key
            for key, edge in generator.truth.edges.items()
            if edge.label == "legitimate" and "sporadic" not in edge.kinds
        }
        for generator in (first, other)
    ]
    assert len(legitimate[0] ^ legitimate[1]) <= 6


def test_lines_have_the_documented_shape(files: dict[str, bytes]) -> None:
    """Wrapper, keys, times and nodes are those of exporter lines."""
    for name, content in files.items():
        node = "aks-shop/" + name.split("_")[0]
        for line in content.splitlines():
            record = orjson.loads(line)
            assert set(record) in ({"flow", "node_name", "time"}, {"lost_events", "node_name", "time"})
            assert record["node_name"] == node
            assert TIME.match(record["time"])
            flow = record.get("flow")
            if flow is None:
                continue
            assert set(flow) <= FLOW_KEYS
            assert (flow["time"], flow["node_name"]) == (record["time"], node)
            assert set(flow["source"]) | set(flow["destination"]) <= ENDPOINT_KEYS


def test_lines_carry_no_spaces_and_no_zero_values(files: dict[str, bytes]) -> None:
    """Protojson leaves zero values out, except in wrappers (``cpu``), and writes no blanks."""
    for content in files.values():
        flows_only = b"".join(line for line in content.splitlines() if b'"lost_events"' not in line)
        assert b'": ' not in flows_only
        assert b":0}" not in flows_only
        assert b":0," not in flows_only
        assert b'""' not in flows_only
        assert b"[]" not in flows_only


def test_uuids_are_unique_and_times_never_go_back(files: dict[str, bytes]) -> None:
    """Per node file; uuids also across files."""
    seen: Counter[str] = Counter()
    for content in files.values():
        lines = [orjson.loads(line) for line in content.splitlines()]
        times = [line["time"] for line in lines]
        assert times == sorted(times)
        seen.update(line["flow"]["uuid"] for line in lines if "flow" in line)
    assert max(seen.values()) == 1


def test_only_local_ends_carry_endpoint_id_and_owner(flows: list[dict]) -> None:
    """An end has a workload exactly if it has an endpoint id, and one end of each flow does."""
    for flow in flows:
        for end in (flow["source"], flow["destination"]):
            if "reserved:health" not in end["labels"]:
                assert ("ID" in end) == ("workloads" in end)
        if flow["IP"]["ipVersion"] == "IPv4":
            assert "ID" in flow["source"] or "ID" in flow["destination"]


def test_replies_swap_the_ends_and_keep_the_direction(flows: list[dict]) -> None:
    """Every answer mirrors a request in the same direction at the same node."""
    asked, answered = set(), set()
    for flow in flows:
        ports = next(iter(flow["l4"].values()))
        ends = (
            flow["IP"]["source"],
            ports.get("source_port"),
            flow["IP"]["destination"],
            ports.get("destination_port"),
        )
        where = (flow["node_name"], flow.get("traffic_direction"))
        if flow.get("is_reply") is False:
            asked.add((*where, *ends))
        elif flow.get("is_reply") is True:
            answered.add((*where, *ends[2:], *ends[:2]))
            assert flow["reply"] is True
    assert answered
    assert answered <= asked


def test_drops_and_socket_events_do_not_say_whether_they_are_replies(flows: list[dict]) -> None:
    """is_reply is absent, not false, where the datapath does not know."""
    for flow in flows:
        if flow["verdict"] in ("DROPPED", "TRACED"):
            assert "is_reply" not in flow


def test_a_denied_packet_is_a_verdict_and_a_drop(flows: list[dict]) -> None:
    """Type 5 and type 1 come in pairs of the same packet."""
    kinds: dict[int, set] = {1: set(), 5: set()}
    for flow in flows:
        if flow.get("drop_reason_desc") == "POLICY_DENIED":
            packet = (flow["IP"]["source"], flow["IP"]["destination"], str(flow["l4"]))
            kinds[flow["event_type"]["type"]].add(packet)
    assert kinds[1] == kinds[5] != set()


def test_labels_that_cilium_leaves_out_never_appear(files: dict[str, bytes]) -> None:
    """Hashes and indexes are not identity labels; job names are."""
    for content in files.values():
        for label in (b"pod-template-hash", b"controller-uid", b"statefulset.kubernetes.io", b"pod-index"):
            assert label not in content
    assert any(b"k8s:batch.kubernetes.io/job-name=report-" in content for content in files.values())


def test_names_are_shown_only_where_lookups_pass_the_proxy(flows: list[dict]) -> None:
    """Flows with names and DNS records belong to the namespaces with the visibility policy."""
    seeing = {
        flow["source"]["namespace"]
        for flow in flows
        if "destination_names" in flow and "namespace" in flow["source"]
    }
    asking = {
        flow["source"]["namespace"] for flow in flows if "l7" in flow and flow["l7"]["type"] == "REQUEST"
    }
    assert seeing == {"shop", "payments"}
    assert asking == {"shop", "payments"}


def test_some_flows_fit_two_names(flows: list[dict]) -> None:
    """The shared CDN address is known to one client by both names."""
    both = ["fonts.lettering.example", "reviews.widgets.example"]
    assert any(flow.get("destination_names") == both for flow in flows)


def test_one_of_several_replicas_beacons(flows: list[dict]) -> None:
    """After the scale-up four web pods run and one of them calls the rare name."""
    pods, guilty = set(), set()
    for flow in flows:
        end = flow["source"]
        if flow["time"] > "2026-11-11T10" and end.get("workloads") == [{"name": "web", "kind": "Deployment"}]:
            pods.add(end["pod_name"])
            if flow.get("destination_names") == ["cdn-sync.upd-telemetry.example"]:
                guilty.add(end["pod_name"])
    assert len(pods) == 4
    assert len(guilty) == 1


def test_an_edge_cannot_be_wanted_and_unwanted_at_once() -> None:
    """A world whose dependencies disagree about an edge is refused instead of half told."""
    world = sample_world()
    again = Dependency("shop/web", "shop/api", 8080, Once(DAY, 60.0), "port-scan", "same edge", label=ATTACK)
    generator = Generator(replace(world, dependencies=(*world.dependencies, again)))
    with pytest.raises(MixedEdgeError, match="shop/web"):
        list(generator.day(DAY))
