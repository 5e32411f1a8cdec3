"""Recorded verdicts of Cilium's own engine on fixed generated cases, checked without Go."""

import gzip
import json
from typing import Any

import pytest

from conformance.compare import ask_portolan, differences
from conformance.run import LINES, RECORDED_CASES, Line, recorded_path
from models.manifest.parse import parse_objects
from models.simulation.cases import case_config, case_flow
from models.simulation.compiled import VERDICTS, CompiledPolicies
from models.simulation.decision import Verdict
from models.simulation.edges import EdgeTable


def _recorded(line: Line) -> list[dict[str, Any]]:
    return [json.loads(text) for text in gzip.decompress(recorded_path(line).read_bytes()).splitlines()]


def _by_version(line: Line) -> str:
    return line.version


@pytest.mark.parametrize("line", LINES, ids=_by_version)
def test_the_recorded_verdicts_of_the_engine_are_ours(line: Line) -> None:
    """Verdict, redirect and rejected objects agree on every recorded case."""
    wrong = []
    for case in _recorded(line):
        ours = ask_portolan(case, line.version)
        engine = case["engine"] | {
            "rejected": [{"object": name, "at": ""} for name in case["engine"]["rejected"]]
        }
        found = [what for what in differences(engine, ours) if what != "policies"]
        undecided = ours["remaining"] == "unknown" and ours["rejected"]
        if found and not (found == ["verdict"] and undecided):
            wrong.append((case["id"], found, ours["reason"]))
    assert wrong == []


@pytest.mark.parametrize("line", LINES, ids=_by_version)
def test_the_fast_evaluator_gives_the_recorded_verdicts(line: Line) -> None:
    """On layers 3 and 4 the columns say what the engine says."""
    wrong = []
    for case in _recorded(line):
        config = case_config(case, line.version)
        policies = parse_objects(case["policies"], config=config, inventory_complete=True)
        if "l7" in case["flow"] or policies.rejected or case["engine"]["verdict"] == "invalid":
            continue
        answers = CompiledPolicies(policies, config).evaluate(EdgeTable.of_flows([case_flow(case)]))
        found = (VERDICTS[answers.verdict[0]], bool(answers.redirect[0]))
        if found != (Verdict(case["engine"]["verdict"]), case["engine"]["redirect"]):
            wrong.append((case["id"], found))
    assert wrong == []


@pytest.mark.parametrize("line", LINES, ids=_by_version)
def test_the_recording_is_large_and_mixed(line: Line) -> None:
    """A recording of one verdict only, or of a handful, would prove nothing."""
    verdicts = [case["engine"]["verdict"] for case in _recorded(line)]
    assert len(verdicts) > RECORDED_CASES * 0.95
    assert {verdict: verdicts.count(verdict) > 50 for verdict in ("allow", "deny", "invalid")} == {
        "allow": True,
        "deny": True,
        "invalid": True,
    }
