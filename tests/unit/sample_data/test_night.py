"""The committed night: what the generator writes, enforced as the policies say."""

import io

import orjson
import pytest

from jobs.policy_files import read_objects
from models.manifest.parse import parse_objects
from sample_data.generate import Generator
from sample_data.night.deployed import NothingToEditError, deploy
from sample_data.night.enforcement import CONFIG, Enforcement
from sample_data.night.expected import write_truth
from sample_data.night.world import NIGHT, PLANTED, SILENT, night_world
from sample_data.world.sample import sample_world
from tests.support import ROOT
from tests.unit.sample_data.reading import lines_of

SAMPLE = ROOT / "sample_data"
HERE = SAMPLE / "night"


@pytest.fixture(scope="module")
def generator():
    """The night's generator, on the committed policies."""
    objects = read_objects([SAMPLE / "policies", HERE / "policies"])
    policies = parse_objects(objects, config=CONFIG, inventory_complete=True)
    return Generator(night_world(), Enforcement(policies))


@pytest.fixture(scope="module")
def flows(generator):
    """Flows of the night, and the files that they are in."""
    files = dict(generator.day(NIGHT))
    for name, content in files.items():
        assert b"".join(lines_of(HERE / "flows" / f"{name}.zst")) == content, name
    lines = [orjson.loads(line) for content in files.values() for line in content.splitlines()]
    return [line["flow"] for line in lines if "flow" in line]


def of(flows, client, server, port):
    """Verdicts of requests from one workload to another on a port, by direction."""
    found = {}
    for flow in flows:
        ends = [
            (end.get("pod_name") or "").rpartition("-")[0] for end in (flow["source"], flow["destination"])
        ]
        layer = next(iter(flow["l4"].values()))
        if (
            ends[0].startswith(client)
            and ends[1].startswith(server)
            and layer.get("destination_port") == port
        ):
            found.setdefault(flow["traffic_direction"], set()).add(flow["verdict"])
    return found


def test_the_committed_flows_of_the_night_are_what_the_generator_writes(flows):
    """Line by line, from the committed policies."""
    assert len(flows) > 20_000


def test_the_truth_file_is_what_the_code_says():
    """Rows are edited beside what is planted."""
    written = io.StringIO()
    write_truth(written)
    assert (HERE / "truth.yaml").read_text(encoding="utf-8") == written.getvalue()


def test_enforced_calls_without_a_rule_are_dropped_at_the_client(flows):
    """Nothing arrives at the other end."""
    assert of(flows, "web-", "cart-", 7070) == {"EGRESS": {"DROPPED"}}
    assert of(flows, "orders-", "mainframe-bridge-", 5001) == {"EGRESS": {"DROPPED"}}


def test_audited_calls_pass_and_say_so(flows):
    """The verdict is an audit, the packets go on."""
    assert of(flows, "mainframe-bridge-", "importer-", 8090)["EGRESS"] == {"AUDIT", "FORWARDED"}


def test_calls_of_a_namespace_whose_policies_are_not_applied_pass(flows):
    """Nobody enforces what is merged and not applied."""
    assert of(flows, "grafana-", "alertmanager", 9093) == {"EGRESS": {"FORWARDED"}, "INGRESS": {"FORWARDED"}}


def test_the_intruder_is_stopped_at_the_doors_of_payments(flows):
    """Its own policy is gone, theirs are not."""
    assert of(flows, "cart-", "ledger-db", 5432) == {"EGRESS": {"FORWARDED"}, "INGRESS": {"DROPPED"}}


def test_the_silent_node_wrote_nothing_in_its_gap(flows):
    """Six hours of one node, and nothing says that events were lost."""
    name = night_world().nodes[SILENT.node]
    hours = {flow["time"][11:13] for flow in flows if flow["node_name"].endswith(name)}
    assert hours == {f"{hour:02d}" for hour in range(24) if not 12 <= hour < 18}


def test_the_night_changes_nothing_of_the_sixteen_days_before_it(generator):
    """Days, pods and addresses of the learning window are those of the sample."""
    plain = Generator(sample_world())
    for ref, pods in plain.cluster.pods.items():
        before = [(pod.name, pod.ip, pod.start) for pod in generator.cluster.pods[ref]]
        assert before[: len(pods)] == [(pod.name, pod.ip, pod.start) for pod in pods]
    assert {one.server for one in PLANTED} <= {*generator.cluster.pods, PLANTED[3].server}


def test_an_edit_of_what_is_no_longer_proposed_is_refused():
    """A plant that would not be there is no plant."""
    with pytest.raises(NothingToEditError, match="orders"):
        deploy([])


def test_all_of_the_sample_stays_below_fifteen_megabytes():
    """Flows of the sixteen days and of the night."""
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*.zst")) < 15_000_000
