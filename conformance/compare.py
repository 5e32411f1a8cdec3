"""Ask Cilium's engine and Portolan's evaluator the same questions and print every disagreement."""

import gzip
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from models.manifest.parse import parse_objects
from models.simulation.cases import case_config, case_flow
from models.simulation.decision import IMPLICIT
from models.simulation.verdict import evaluate

ATTRIBUTION = "policies"  # depends on the order in which the agent happens to merge rules; only counted


def ask_engine(engine: Path, cases: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Answers of the Go program, in the order of the cases."""
    text = "".join(json.dumps(case) + "\n" for case in cases)
    found = subprocess.run([str(engine)], input=text, capture_output=True, text=True, check=False)  # noqa: S603
    if found.returncode != 0:
        raise SystemExit(f"the engine failed: {found.stderr.strip()[-2000:]}")
    return map(json.loads, found.stdout.splitlines())


def ask_portolan(case: Mapping[str, Any], cilium_version: str) -> dict[str, Any]:
    """Portolan's answer in the engine's words."""
    config = case_config(case, cilium_version)
    policies = parse_objects(case["policies"], config=config, inventory_complete=True)
    decision = evaluate(policies, case_flow(case), config)
    verdict = "invalid" if decision.invalid else decision.verdict.value
    rejected = sorted(str(item.policy) for item in policies.rejected)
    answer = {
        "verdict": "invalid" if rejected else verdict,
        "remaining": verdict,
        "rejected": rejected,
        "redirect": decision.redirect,
        "policies": sorted(
            {r.name if r.kind == IMPLICIT else str(r) for gate in decision.gates for r in gate.attributed}
        ),
    }
    return answer | {"reason": decision.reason}


def differences(engine: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What the two answers disagree on."""
    found = []
    rejected = sorted(item["object"] for item in engine.get("rejected", ()))
    if rejected != ours["rejected"]:
        found.append("rejected")
    # A cluster that does not validate strictly drops an unknown field instead of the object, so
    # Portolan does not decide there; the engine here is asked about strict validation.
    strict = any(item["at"] == "crd (unknown field)" for item in engine.get("rejected", ()))
    undecided = strict and ours["remaining"] == "unknown"
    if (engine.get("remaining") or engine["verdict"]) != ours["remaining"] and not undecided:
        found.append("verdict")
    if "invalid" not in (engine["verdict"], ours["remaining"]):
        if engine["redirect"] != ours["redirect"]:
            found.append("redirect")
        if engine.get("policies", []) != ours["policies"]:
            found.append(ATTRIBUTION)
    return found


def known_defect(case: Mapping[str, Any], cilium_version: str) -> str:
    """Name of the released defect that explains a difference; empty when there is none."""
    blocks = any(
        policy["kind"] == "NetworkPolicy" and "ipBlock" in peer
        for policy in case["policies"]
        for rule in policy.get("spec", {}).get("ingress") or ()
        for peer in rule.get("from") or ()
        if isinstance(peer, dict)
    )
    if blocks and cilium_version == "1.19":
        # An ingress ipBlock also admits every pod of the namespace until the fix of this one.
        return "CVE-2026-56743"
    open_dns = any(
        rule.get("enableDefaultDeny", {}).get("egress") is False
        and '"dns"' in json.dumps(rule.get("egress", []))
        for policy in case["policies"]
        for rule in (policy.get("spec") or {}, *(policy.get("specs") or ()))
        if isinstance(rule.get("enableDefaultDeny", {}), dict)
    )
    if open_dns and cilium_version == "1.17" and "dns" in case["flow"].get("l7", {}):
        # Until 1.17.5 DNS rules restrict names even where default deny is off.
        return "DNS rules without default deny"
    return ""


def compare(engine: Path, cilium_version: str, cases: list[dict[str, Any]]) -> Counter[str]:
    """Print every disagreement; count them by what they are about."""
    counts: Counter[str] = Counter(cases=len(cases))
    for case, theirs in zip(cases, ask_engine(engine, cases), strict=True):
        ours = ask_portolan(case, cilium_version)
        counts[theirs.get("remaining") or theirs["verdict"]] += 1
        counts["with rejected objects"] += bool(theirs.get("rejected"))
        found = differences(theirs, ours)
        if found and (defect := known_defect(case, cilium_version)):
            counts[f"known defect {defect}"] += 1
        elif found == [ATTRIBUTION]:
            counts["same verdict, other attribution"] += 1
        elif found:
            counts["disagreements"] += 1
            for what in found:
                counts[f"differs in {what}"] += 1
            line = {"differs": found, "engine": theirs, "portolan": ours, "case": case}
            print(json.dumps(line, sort_keys=True))
    return counts


def record(engine: Path, cilium_version: str, cases: list[dict[str, Any]], path: Path) -> None:
    """Write the cases with the engine's verdicts, byte for byte the same for the same cases."""
    lines = []
    for case, theirs in zip(cases, ask_engine(engine, cases), strict=True):
        if known_defect(case, cilium_version):
            continue
        answer: dict[str, Any] = {
            key: theirs[key] for key in ("verdict", "redirect", "remaining") if key in theirs
        }
        answer["rejected"] = sorted(item["object"] for item in theirs.get("rejected", ()))
        lines.append(json.dumps(case | {"engine": answer}, sort_keys=True) + "\n")
    path.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=9, mtime=0))
