"""The evaluator agrees with the verdicts of Cilium's own engine on every reference case."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from models.simulation.cases import case_decision
from models.simulation.decision import IMPLICIT, Decision
from tests.support import shared_path


def _cases(name: str) -> list[dict[str, Any]]:
    with shared_path(f"reference/{name}").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _expected(case: Mapping[str, Any], version: str) -> str:
    return case.get("expect_by_version", {}).get(version, case["expect"])


def _disagreements(name: str, version: str) -> list[str]:
    return [
        f"{case['id']}: expected {_expected(case, version)}, got {verdict}"
        for case in _cases(name)
        if (verdict := case_decision(case, version)[0]) != _expected(case, version)
    ]


@pytest.mark.parametrize("version", ["1.17", "1.18", "1.19", "1.20"])
def test_every_policy_case_agrees(version: str) -> None:
    """All hand-written cases have the verdict of the release asked for."""
    assert _disagreements("policy-cases.jsonl", version) == []


@pytest.mark.parametrize("version", ["1.17", "1.19"])
def test_every_oracle_case_agrees(version: str) -> None:
    """All generated cases have the verdict of the release asked for."""
    assert _disagreements("oracle-cases.jsonl", version) == []


def test_a_rejected_object_leaves_the_verdict_of_the_others() -> None:
    """What remains after a rejection is judged as a cluster would judge it."""
    wrong = [
        case["id"]
        for case in _cases("oracle-cases.jsonl")
        if "expect_without_rejected" in case
        and case_decision(case, "1.19", keep_rejected=True)[0] != case["expect_without_rejected"]
    ]
    assert wrong == []


def _attributed(decision: Decision) -> set[str]:
    return {
        f"{gate.direction.value}:{f'<{ref.name}>' if ref.kind == IMPLICIT else ref.name}"
        for gate in decision.gates
        for ref in gate.attributed
    }


def test_the_objects_named_are_those_cilium_names() -> None:
    """A policy verdict event would name the objects that the decision is attributed to."""
    wrong = []
    for case in _cases("policy-cases.jsonl"):
        _, decision = case_decision(case, "1.19")
        if decision is not None and case["expect"] != "invalid":
            named = _attributed(decision)
            if named != set(case.get("matched", [])):
                wrong.append((case["id"], named))
    assert wrong == []


def test_enforcement_redirects_and_layer_four_agree() -> None:
    """Beside the verdict, the state of the gate is the engine's."""
    wrong = []
    for case in _cases("oracle-cases.jsonl"):
        _, decision = case_decision(case, "1.19")
        if decision is None:
            continue
        expected = case["decided_by"]
        names = {
            ref.name if ref.kind == IMPLICIT else str(ref)
            for gate in decision.gates
            for ref in gate.attributed
        }
        found = (decision.enforcing, decision.l4.value, decision.redirect, names)
        if found != (
            expected["enforcing"],
            expected["l4"],
            case["redirect"],
            set(expected.get("policies", [])),
        ):
            wrong.append((case["id"], found))
    assert wrong == []
