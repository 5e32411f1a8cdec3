"""
The main job on the sample data, held against what is known to be true about it.

The installed program ingests, infers and exports; what it exported is judged by the reference
evaluator of policy meaning, edge of the truth by edge of the truth.
"""

import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.domain.agent import AgentConfig
from models.domain.confidence import shown_probability
from models.domain.policy import Direction, PolicySet
from models.learning.evidence import probability
from models.manifest.parse import parse_objects
from models.simulation.context import PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.verdict import evaluate
from tests.support import ROOT
from tests.unit.sample_data.reading import EdgeReader, TruthIndex, load_truth, records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SAMPLE = ROOT / "sample_data"
CONFIG = AgentConfig(cilium_version="1.18", cluster_name="aks-shop")
#: What the default window of fourteen days, ending with the newest whole hour, certainly holds.
WINDOW = ("2026-11-02", "2026-11-15T23")
MAX_SIGHTINGS = 60  # of one edge: visitors from the internet all look alike
#: Outcomes that never speak for a rule.
REFUSED = {"denied", "dropped", "reset", "unanswered"}


def portolan(*arguments: str | Path) -> str:
    """Run the program in its own process and give its standard output."""
    command = [str(Path(sys.executable).with_name("portolan")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Outcome:
    """What the program made of the sample data."""

    ingested: dict[str, Any]
    proposals: list[dict[str, Any]]
    policies: PolicySet
    verdicts: dict[int, set[Verdict]] = field(default_factory=dict)  # by row of the truth
    lines: int = 0
    lost: int = 0


def _policies(folder: Path) -> PolicySet:
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.yaml"))]
    objects = [item for text in texts for item in yaml.safe_load_all(text) if item]
    found = parse_objects(objects, config=CONFIG, inventory_complete=True)
    assert found.rejected == ()
    assert found.entries
    return found


def _judge(outcome: Outcome, reader: EdgeReader, truth: list[dict[str, Any]]) -> None:
    """Ask the exported policies about every way in which each true edge was seen."""
    index = TruthIndex(truth)
    for edge, sightings in reader.sightings().items():
        for number in index.rows(edge):
            peer = truth[number]["peer"]
            names = (peer["name"],) if peer["kind"] == "fqdn" else ()
            for subject, other, ip in sightings[:MAX_SIGHTINGS]:
                ends = Side(labels=subject, named_ports=()), Side(other, ip, names, None, ())
                client, server = ends if edge.direction == "egress" else ends[::-1]
                protocol, port = edge.protocol, edge.port
                if edge.icmp_type is not None:
                    protocol, port = "ICMP", edge.icmp_type
                flow = PolicyFlow(Direction(edge.direction), client, server, protocol, port)
                verdict = evaluate(outcome.policies, flow, CONFIG).verdict
                outcome.verdicts.setdefault(number, set()).add(verdict)


@pytest.fixture(scope="module")
def truth() -> list[dict[str, Any]]:
    """Rows of the truth file."""
    return load_truth(SAMPLE / "truth.yaml")["edges"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, truth: list[dict[str, Any]]) -> Outcome:
    """One run of the main job without any configuration."""
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    ingested = json.loads(portolan("ingest", SAMPLE / "flows", "--data-dir", data, "--format", "json"))
    portolan("infer", "--data-dir", data)
    proposals = json.loads(portolan("proposals", "--data-dir", data, "--format", "json"))["proposals"]
    portolan("export", "--state", "any", "--out", out, "--data-dir", data)
    found = Outcome(ingested, proposals, _policies(out))
    reader = EdgeReader()
    for record in records(SAMPLE / "flows"):
        found.lines += 1
        if "lost_events" in record:
            found.lost += int(record["lost_events"]["num_events_lost"])
        elif WINDOW[0] <= record["time"] < WINDOW[1]:
            reader.add(record["flow"])
    _judge(found, reader, truth)
    return found


def test_ingest_accounts_for_every_line(outcome: Outcome) -> None:
    """Accepted, skipped, rejected and duplicate records add up to the lines of the files."""
    report = outcome.ingested
    parts = report["accepted"] + sum(report["skipped"].values()) + sum(report["rejected"].values())
    assert report["records"] == parts + report["duplicates"]
    assert report["records"] == outcome.lines + 1  # the torn line is a record that is rejected
    assert sum(report["rejected"].values()) == 1
    assert report["duplicates"] == 0
    assert report["lost_events"] == outcome.lost


def test_every_legitimate_edge_is_admitted_or_listed_as_left_out(
    outcome: Outcome, truth: list[dict[str, Any]]
) -> None:
    """Nothing that works would break in silence."""
    listed = {
        (f"{proposal['namespace']}/{workload}", line["direction"], line["port"])
        for proposal in outcome.proposals
        for workload in _workloads(proposal)
        for line in proposal["left_out"]
    }
    silent = [
        row
        for number, row in enumerate(truth)
        if row["class"] == "legitimate"
        and outcome.verdicts.get(number) != {Verdict.ALLOW}
        and (row["subject"], row["direction"], _port(row)) not in listed
    ]
    assert silent == []


def test_refused_traffic_became_no_rule(outcome: Outcome, truth: list[dict[str, Any]]) -> None:
    """Edges that were only ever denied, reset, dropped or unanswered stay forbidden."""
    enforced = _enforced(outcome)
    laundered = [
        row
        for number, row in enumerate(truth)
        if set(row["outcomes"]) <= REFUSED
        and (row["subject"], row["direction"]) in enforced
        and Verdict.ALLOW in outcome.verdicts.get(number, ())
    ]
    assert laundered == []


def test_admitted_attacks_are_only_those_that_were_answered(
    outcome: Outcome, truth: list[dict[str, Any]], record_property: Any
) -> None:
    """What an exact allow-list lets through is known and listed; the quarantine has to catch it."""
    admitted = [
        row
        for number, row in enumerate(truth)
        if row["class"] == "attack" and Verdict.ALLOW in outcome.verdicts.get(number, ())
    ]
    for row in admitted:
        record_property("admitted_attack", f"{row['kind']} {row['subject']} {row['direction']} {row['peer']}")
    enforced = _enforced(outcome)
    assert all(
        {"answered", "audited"} & set(row["outcomes"])
        for row in admitted
        if (row["subject"], row["direction"]) in enforced
    )


def test_every_lasting_workload_has_a_proposal(outcome: Outcome, truth: list[dict[str, Any]]) -> None:
    """All subjects but the debug pod, which was gone long before the end."""
    proposed = {
        f"{proposal['namespace']}/{workload}"
        for proposal in outcome.proposals
        for workload in _workloads(proposal)
    }
    assert {row["subject"] for row in truth} - proposed == {"shop/debug-netshoot"}


def _enforced(outcome: Outcome) -> set[tuple[str, str]]:
    """Workloads and directions that the proposals make default-deny."""
    return {
        (f"{proposal['namespace']}/{workload}", direction)
        for proposal in outcome.proposals
        for workload in _workloads(proposal)
        for direction, decision in proposal["completeness"].items()
        if decision["enforced"]
    }


def _workloads(proposal: dict[str, Any]) -> list[str]:
    return [entry.split("/")[-1] for entry in proposal["subject"]["workloads"]]


def _port(row: dict[str, Any]) -> str:
    if "icmp_type" in row:
        return f"{row['protocol']} type {row['icmp_type']}"
    return f"{row['protocol']}/{row['port']}"


def test_every_number_of_a_rule_is_what_its_ledger_adds_up_to(outcome: Outcome) -> None:
    """Of rules of one cell and of many, as both probabilities are stated."""
    of_need = {"recurrence", "schedule"}
    scored = 0
    for rule in (rule for proposal in outcome.proposals for rule in proposal["rules"]):
        if rule["p_need"] is None:
            continue
        ledger = rule["evidence"]["ledger"]
        for field_, mine in (("p_need", True), ("p_legit", False)):
            bits = math.fsum(one["bits"] for one in ledger if (one["name"] in of_need) == mine)
            assert shown_probability(probability(bits)) == pytest.approx(rule[field_], abs=5e-3), rule[
                "title"
            ]
        scored += 1
    assert scored > 100
