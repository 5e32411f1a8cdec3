"""The committed files: small enough, whole, and told completely by the truth file."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from sample_data.generate import Generator
from sample_data.world.sample import sample_world
from tests.support import ROOT
from tests.unit.sample_data.reading import EdgeReader, TruthIndex, lines_of, load_truth, records

SAMPLE = ROOT / "sample_data"
FLOWS = SAMPLE / "flows"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return load_truth(SAMPLE / "truth.yaml")


def test_files_fit_into_the_repository() -> None:
    """At most 15 MB together and 4.5 MB each; one file per node and day."""
    sizes = [path.stat().st_size for path in FLOWS.iterdir()]
    assert len(sizes) == 3 * 16
    assert sum(sizes) <= 15 * MEGABYTE
    assert max(sizes) <= 4.5 * MEGABYTE


def test_committed_flows_are_what_the_generator_writes() -> None:
    """One day is rendered again and compared line by line."""
    for name, content in Generator(sample_world()).day(date(2026, 11, 9)):
        assert b"".join(lines_of(FLOWS / f"{name}.zst")) == content


@pytest.mark.slow
def test_truth_covers_every_edge_and_nothing_else(truth: dict[str, Any]) -> None:
    """Edges read from the records by other code equal the edges of the truth file."""
    reader, uuids, total = EdgeReader(), set(), 0
    for record in records(FLOWS):
        if "flow" in record:
            total += 1
            uuids.add((record["node_name"], record["flow"]["uuid"]))
            reader.add(record["flow"])
    unknown, unseen = TruthIndex(truth["edges"]).compare(reader.edges())
    assert unknown == []
    assert unseen == []
    assert len(uuids) == total
    assert 300_000 <= total <= 900_000


def test_every_class_and_kind_that_the_readme_promises_is_there(truth: dict[str, Any]) -> None:
    """Counts by class agree with the rows, and no promised kind is missing."""
    rows = truth["edges"]
    assert Counter(row["class"] for row in rows) == Counter(truth["edges_by_class"])
    kinds = {
        label: {row["kind"] for row in rows if row["class"] == label} for label in truth["edges_by_class"]
    }
    assert kinds["legitimate"] == {
        "continuous", "workday", "nightly", "weekly", "sporadic", "rollout", "probe", "dns",
        "dependency-began", "dependency-ended",
    }  # fmt: skip
    assert kinds["noise"] == {"internet-scan", "dead-target", "denied", "multicast", "debug"}
    assert kinds["attack"] == {"port-scan", "lateral-movement", "beacon", "mining"}
    assert {row["kind"] for row in truth["lookups"]} == {"dns", "search-expansion", "dns-tunnel"}
    assert {row["kind"] for row in truth["not_yet_seen"]} == {"monthly-not-yet-seen"}


def test_rhythms_show_in_the_days_of_edges(truth: dict[str, Any]) -> None:
    """Continuous edges are there on all days, weekly ones on two or three."""
    young = "shop/nats"  # born on the 6th
    for row in truth["edges"]:
        lasting = row["class"] == "legitimate" and row["kind"] in ("continuous", "probe")
        if lasting and young not in (row["subject"], row["peer"].get("workload")):
            assert row["days"] == 16, row
        if row["kind"] == "weekly":
            assert row["days"] in (2, 3), row


def test_one_node_was_silent_for_five_hours_and_says_so() -> None:
    """No flow inside the gap, and a lost-events record after it."""
    path = FLOWS / "aks-nodepool1-31847562-vmss000002_2026-11-05.jsonl.zst"
    lines = [orjson.loads(line) for line in lines_of(path)]
    inside = [line for line in lines if "2026-11-05T11:00" <= line["time"] < "2026-11-05T16:00"]
    assert inside == []
    lost = [line["lost_events"]["num_events_lost"] for line in lines if "lost_events" in line]
    assert "41873" in lost


def test_one_file_ends_in_the_middle_of_a_line() -> None:
    """Only the file that the truth names as torn."""
    torn = [path.name for path in sorted(FLOWS.iterdir()) if not lines_of(path)[-1].endswith(b"\n")]
    assert torn == ["aks-nodepool1-31847562-vmss000001_2026-11-08.jsonl.zst"]


def test_attack_lookups_are_marked(truth: dict[str, Any]) -> None:
    """The tunnel's questions are one row under their domain."""
    attacks = [row for row in truth["lookups"] if row["class"] == "attack"]
    assert [(row["subject"], row["domain"], row["lookups"]) for row in attacks] == [
        ("shop/web", "t.relay-dnsx.example", 320)
    ]


def test_existing_policies_are_those_that_verdicts_name() -> None:
    """Every policy named in a verdict of one day is in the shipped file, and the other way round."""
    text = (SAMPLE / "policies" / "existing.yaml").read_text(encoding="utf-8")
    shipped = {(doc["metadata"]["namespace"], doc["metadata"]["name"]) for doc in yaml.safe_load_all(text)}
    named = set()
    for path in sorted(FLOWS.glob("*_2026-11-04*")):
        for line in lines_of(path):
            flow = orjson.loads(line).get("flow", {})
            for policy in flow.get("egress_allowed_by", []) + flow.get("ingress_allowed_by", []):
                named.add((policy["namespace"], policy["name"]))
    assert named == shipped


def test_no_path_of_a_machine_is_in_the_folder() -> None:
    """Documentation and truth name nothing of the machine that wrote them."""
    for path in (SAMPLE / "README.md", SAMPLE / "truth.yaml", Path(SAMPLE / "policies" / "existing.yaml")):
        assert str(ROOT) not in path.read_text(encoding="utf-8")
