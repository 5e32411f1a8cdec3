"""One proposal, readable: the policy, why each rule is in it, what speaks against it, what is not in it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.manifest.render import to_yaml
from service.commands.held import print_held
from service.commands.output import iso, print_block, print_table, print_text
from service.proposals.certainty import (
    argument_lines,
    calibration_lines,
    confidence_line,
    forecast_lines,
    reliability_rows,
)
from service.proposals.evidence import evidence_line, http_lines, objective_line, posture_line, widening_lines

#: Lines of left-out traffic that a screen takes; the rest is counted and is in ``--format json``.
MAX_LEFT_OUT: Final = 20
MAX_DENIED: Final = 20


def print_proposal(
    found: Mapping[str, Any],
    decisions: Sequence[Mapping[str, Any]],
    calibration: Mapping[str, Any] | None,
) -> None:
    """Print a proposal (``service.proposals.views.detail``), the decisions, and what numbers are worth."""
    print_text(f"{found['namespace']}/{found['name']}   {found['key']}")
    in_force = f", version {found['approved_version']} is in force" if found["approved_version"] else ""
    print_text(f"version {found['version']} ({found['version_state']}), {found['state']}{in_force}")
    why = f"; not stable: {found['maturity_reason']}" if found["maturity_reason"] else ""
    print_text(f"{found['maturity']}: {found['effective_days']:g} effective days of observation{why}")
    if posture := posture_line(found):
        print_text(posture)
    if weighed := objective_line(found):
        print_text(f"weighs {weighed}")
    for workload in found["subject"]["workloads"]:
        print_text(f"selects {workload}")
    print_text()
    if found["manifest"] is None:
        print_text("(every rule was rejected, or every one but the resolver's: nothing to write)")
    else:
        print_block(to_yaml(found["manifest"]).rstrip())
    _print_rules(found["rules"])
    _print_directions(found["completeness"])
    _print_calibration(calibration)
    _print_doubts(found)
    if found["quarantine"]:
        _heading(f"held back until somebody decides ({len(found['quarantine'])})")
        print_held(found["quarantine"])
    _print_left_out(found["left_out"])
    _print_backtest(found["backtest"])
    _print_rejected(found["rejected_rules"])
    _print_decisions(decisions)


def _heading(title: str) -> None:
    print_text()
    print_text(title.upper())


def _print_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    _heading(f"rules and their evidence ({len(rules)})")
    for rule in rules:
        marks = [flag for flag in rule["flags"] if flag]
        decided = rule["decision"]["state"]
        print_text(f"{rule['id']}  {rule['title']}   [{rule['path']}] {decided}")
        print_text(f"    {evidence_line(rule['evidence'])}")
        print_text(f"    {confidence_line(rule)}")
        for line in argument_lines(rule):
            print_text(f"      {line}")
        if rule["dns"]:
            print_text(f"    DNS: {', '.join(rule['dns'])}")
        for line in http_lines(rule):
            print_text(f"    HTTP: {line}")
        for line in widening_lines(rule):
            print_text(f"    opens more: {line}")
        if marks:
            print_text(f"    marked: {', '.join(marks)}")
        for reason in rule["reasons"]:
            print_text(f"    - {reason}")


def _print_directions(completeness: Mapping[str, Mapping[str, Any]]) -> None:
    _heading("directions")
    for direction in ("ingress", "egress"):
        found = completeness[direction]
        print_text(f"{direction}: {'constrained' if found['enforced'] else 'left open'}; {found['why']}")
        for line in forecast_lines(found):
            print_text(f"    {line}")


def _print_calibration(calibration: Mapping[str, Any] | None) -> None:
    _heading("what these numbers are worth")
    for line in calibration_lines(calibration):
        print_text(line)
    rows = reliability_rows(calibration)
    if rows:
        print_table(("forecast", "happened", "cases"), rows, right=(0, 1, 2))


def _print_doubts(found: Mapping[str, Any]) -> None:
    lines = [*found["reasons"], *(assumption["text"] for assumption in found["assumptions"])]
    if lines or found["flags"]:
        _heading("doubts and assumptions")
        if found["flags"]:
            print_text(f"marked: {', '.join(found['flags'])}")
        for line in lines:
            print_text(f"- {line}")


def _print_left_out(lines: Sequence[Mapping[str, Any]]) -> None:
    if not lines:
        return
    _heading(f"seen and not allowed ({len(lines)})")
    for line in lines[:MAX_LEFT_OUT]:
        count = line["flows"] + line["denied"]
        works = "; it works today" if line["works"] else ""
        works += "; a rule lets it pass all the same" if line.get("let_in") else ""
        print_text(
            f"{line['direction']} {line['peer']} {line['port']}: {line['reason']}, {count:,} records on "
            f"{line['days_seen']} days{works}"
        )
        print_text(f"    {line['why']}")
    if len(lines) > MAX_LEFT_OUT:
        print_text(f"… and {len(lines) - MAX_LEFT_OUT} more (--format json)")


def _print_backtest(backtest: Mapping[str, Any] | None) -> None:
    if backtest is None:
        return
    _heading("replay of the window against this policy")
    if backtest.get("reason"):
        print_text(f"{backtest['checked']:,} edge-days worked; {backtest['reason']}")
    else:
        print_text(
            f"{backtest['admitted']:,} of {backtest['checked']:,} edge-days that worked would be admitted"
            + (f", {backtest['undecided']:,} could not be decided" if backtest["undecided"] else "")
        )
    if backtest.get("requests"):
        undecided = backtest["requests_undecided"]
        admitted = backtest["requests"] - backtest["requests_refused"] - undecided
        print_text(
            f"{admitted:,} of {backtest['requests']:,} kinds of HTTP request would be admitted"
            + (f", {undecided:,} with a redacted path could not be decided" if undecided else "")
        )
    for denial in backtest["denied"][:MAX_DENIED]:
        print_text(
            f"would deny {denial['direction']} {denial['peer']} {denial['port']} "
            f"({_how_often(denial)}): {denial['why']}"
        )
    rest = max(backtest.get("denied_in_all", 0), len(backtest["denied"])) - MAX_DENIED
    if rest > 0:
        print_text(f"… and {rest} more (--format json)")
    if backtest.get("days"):
        per_day = ", ".join(f"{day[5:]}: {count:,}" for day, count in backtest["days"].items())
        print_text(f"denied edges by day: {per_day}")


def _how_often(denial: Mapping[str, Any]) -> str:
    """Legitimacy, flows and days, as far as the stored replay has them."""
    parts = [] if denial.get("legitimacy", "legitimate") == "legitimate" else [denial["legitimacy"]]
    if denial.get("flows"):
        parts.append(f"{denial['flows']:,} flows")
    days = list(denial.get("days", ()))
    if denial["edge_days"] is None:  # a rejected rule's own evidence
        last = f", the last {denial['last_seen'][:10]}" if denial["last_seen"] else ""
        parts.append(f"{denial['days_seen']} days{last}")
    else:
        parts.append(f"{len(days)} days, the last {days[-1]}" if days else f"{denial['edge_days']} edge-days")
    return ", ".join(parts)


def _print_rejected(rejected: Sequence[Mapping[str, Any]]) -> None:
    if not rejected:
        return
    _heading(f"rejected rules ({len(rejected)})")
    for rule in rejected:
        print_text(f"{rule['id']}  {rule['title']}")
        print_text(f"    {rule['reviewer']}, {iso(rule['decided_at'])}: {rule['reason']}")


def _print_decisions(decisions: Sequence[Mapping[str, Any]]) -> None:
    if not decisions:
        return
    _heading("decisions")
    for item in decisions:
        what = f"rule {item['rule_id']}" if item["rule_id"] else f"version {item['version']}"
        why = f": {item['reason']}" if item["reason"] else ""
        print_text(f"{iso(item['decided_at'])}  {item['reviewer']}  {item['decision']} {what}{why}")
