"""Entries of the quarantine, readable: what was seen, why it is held back, what to ask, what was said."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.domain.confidence import PRIOR, percent_text
from service.commands.output import iso, print_table, print_text


def print_held(held: Sequence[Mapping[str, Any]]) -> None:
    """Print what a proposal leaves out until somebody decides (``quarantine`` of its contract form)."""
    for one in held:
        arrow = "to" if one["direction"] == "egress" else "from"
        print_text(f"{one['id']}  {arrow} {one['title']}{_said(one['verdict'])}")
        for why in one["why"]:
            print_text(f"    - {why}")
        print_text(f"    {one['question']}")
    print_text("'portolan verdict ID admit' makes it a rule, 'unwanted' keeps it out, 'later' asks again")


def _said(verdict: Mapping[str, Any] | None) -> str:
    """What was last said, behind the title."""
    if verdict is None or verdict["state"] == "open":
        return ""
    until = f", asks again {iso(verdict['ask_again_at'])}" if verdict["ask_again_at"] else ""
    return f"   {verdict['state']} by {verdict['reviewer']}{until}"


def _from_pods(one: Mapping[str, Any]) -> str:
    """Pods behind the records; nothing where no record names one, as of DNS questions."""
    pods, replicas = one["pods"], one["replicas"]
    if not pods:
        return ""
    spread = f"{pods} of {replicas}" if replicas >= pods else str(pods)
    return f" from {spread} pod{'' if max(pods, replicas) == 1 else 's'}"


def _now(one: Mapping[str, Any]) -> str:
    """What the newest run made of it."""
    if one["held"]:
        return "held back by the newest run"
    seen = {True: ", still seen", False: ", not seen any more", None: ""}[one["still_seen"]]
    return f"not held back by the newest run{seen}"


def print_entries(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of entries (``service.quarantine.views.entry``)."""
    print_table(
        ("id", "namespace", "workload", "direction", "other side", "why", "state", "days", "flows"),
        [
            (
                one["id"],
                one["namespace"],
                one["workload"],
                one["direction"],
                one["title"],
                ", ".join(one["reasons"]),
                one["state"],
                one["days_seen"],
                f"{one['flows']:,}",
            )
            for one in entries
        ],
        right=(7, 8),
    )


def print_entry(one: Mapping[str, Any]) -> None:
    """Print one entry with its evidence and its verdicts (``service.quarantine.views.detail``)."""
    print_text(f"{one['namespace']}/{one['workload']} {one['direction']} {one['title']}   {one['id']}")
    print_text(f"{one['state']}; {_now(one)}")
    if one["verdict"]["ask_again_at"]:
        print_text(f"asks again {iso(one['verdict']['ask_again_at'])}")
    print_text()
    print_text(one["question"])
    print_text()
    for why in one["why"]:
        print_text(f"- {why}")
    days = one["days_seen"]
    print_text(
        f"seen on {days} day{'' if days == 1 else 's'}, {one['flows']:,} records{_from_pods(one)}, "
        f"first {one['first_seen']}, last {one['last_seen']}"
    )
    if one["samples"]:
        print_text(f"flows to look up: {', '.join(one['samples'])}")
    if one["p_legit"] is not None:
        before = " before these reasons are weighed" if one["provenance"] == PRIOR else ""
        print_text(f"wanted with {percent_text(one['p_legit'])}{before} ({one['provenance']})")
    if one["nearest_rule"]:
        print_text(f"most like rule {one['nearest_rule']} of {one['proposal']}")
    if one["ledger"]:
        print_text()
        print_text("EVIDENCE")
        for argument in one["ledger"]:
            print_text(f"{argument['bits']:+6.2f} bits  {argument['because']}")
    if one["verdicts"]:
        print_text()
        print_text("VERDICTS")
        for item in one["verdicts"]:
            days = f" in {item['days']} days" if item["days"] else ""
            why = f": {item['reason']}" if item["reason"] else ""
            print_text(f"{iso(item['decided_at'])}  {item['reviewer']}  {item['verdict']}{days}{why}")
