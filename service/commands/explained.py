"""An explanation for a tired person: verdict, rule, what was seen, the change, commands."""

from collections.abc import Mapping
from typing import Any, Final

from jobs.policy_places import PolicyPlaces
from models.domain.policy import PolicyRef
from service.commands.output import iso, print_block, print_text

_ENDS: Final = {"egress": "leaving the source", "ingress": "entering the destination"}
_STATES: Final = {
    "open": "HELD BACK, nobody decided",
    "later": "HELD BACK, to be asked again later",
    "admitted": "ADMITTED, a rule from the next inference on",
    "unwanted": "CONFIRMED AS UNWANTED",
}
_UNDECIDED: Final = frozenset({"open", "later"})
_SAID: Final = {
    "allowed": "let it pass",
    "denied": "policy denied it",
    "audited": "only audit mode let it pass",
    "other": "neither passed nor denied by policy",
}


def print_explanation(told: Mapping[str, Any], places: PolicyPlaces) -> None:
    """Print an answer (``service.simulation.explained.Answer.to_json``); `places` knows the files."""
    port = f"{told['protocol']} type {told['port']}" if told["protocol"] in ("ICMP", "ICMPv6") else ""
    port = port or f"{told['protocol'] or 'any protocol'}/{'?' if told['port'] is None else told['port']}"
    what = f"{port} {told['request']}".strip()
    print_text(f"{told['source']} -> {told['destination']} {what}: {told['verdict'].upper()}")
    _print_reviewed(told)
    count = told["policies"]
    policies = "1 policy, as Cilium" if count == 1 else f"{count:,} policies, as Cilium"
    print_text(f"  by {policies} {told['cilium_version']} reads {'it' if count == 1 else 'them'}")
    for gate in told["gates"]:
        _print_gate(gate, places)
    _print_seen(told)
    for note in told["notes"]:
        print_text(f"  note: {note}")
    if not told["policies"]:
        print_text("  no policy was asked: nothing is approved yet (--state any), or --policies was empty")
    for refused in told["rejected"]:
        print_text(
            f"  note: {refused['policy']}: a cluster would refuse it: {'; '.join(refused['reasons'][:3])}"
        )
    _print_changes(told, places)
    if told["commands"]:
        print_text("To check on the cluster (they only read; the agent is the one on the pod's node):")
        for command in told["commands"]:
            print_text(f"  {command}")


def _print_gate(gate: Mapping[str, Any], places: PolicyPlaces) -> None:
    print_text(
        f"  {gate['verdict'].upper()} {_ENDS[gate['direction']]} ({gate['direction']}): {gate['reason']}"
    )
    for rule in gate["rules"]:
        policy, _, path = rule.partition(" ")
        where = _at(places, policy, path)
        if where or rule not in gate["reason"]:
            print_text(f"    by {rule}{where}")
    if gate["policies"] and gate["default_deny"] and not gate["rules"]:
        for policy in gate["policies"]:
            print_text(f"    closed by {policy}{_at(places, policy)}")


def _at(places: PolicyPlaces, policy: str, path: str = "") -> str:
    kind, _, rest = policy.partition("/")
    namespace, _, name = rest.partition("/")
    where = places.where(PolicyRef(kind, namespace, name), path)
    return f"   {where}" if where else ""


def _print_seen(told: Mapping[str, Any]) -> None:
    for one in told["observed"]:
        if one["last_seen"] is None:
            print_text(
                f"  observed: only replies ({one['answered']:,} {one['verdict']}), no request of theirs"
            )
        else:
            print_text(
                f"  observed: {one['flows']:,} flows {one['verdict']}, "
                f"last {one['last_seen']:%Y-%m-%d %H:%M} UTC"
            )
    said = told["hubble"]
    if said is None:
        return
    reason = f" ({said['drop_reason']})" if said["drop_reason"] else ""
    print_text(
        f"  Hubble: {_SAID[said['outcome']]}{reason}{'; ' if said['named'] else ''}{'; '.join(said['named'])}"
    )
    if said["outcome"] == "denied" and told["verdict"] == "allow":
        print_text(
            "  note: these policies allow it, so the cluster runs others, or an older revision of them"
        )
    if said["outcome"] == "allowed" and told["verdict"] == "deny":
        print_text("  note: it passed, so the cluster does not enforce these policies, or not yet")


def _print_reviewed(told: Mapping[str, Any]) -> None:
    """What screening and people said of the call, before anything else: who reads on wants to allow it."""
    for one in told["held_back"]:
        call = f"{one['namespace']}/{one['workload']} {one['direction']} {one['title']}"
        print_text(f"  {_STATES[one['state']]}: {call}{_by(one)}")
        for why in one["why"]:
            print_text(f"    - {why}")
        print_text(f"    look at it: portolan quarantine {one['id']}")
        if one["state"] in _UNDECIDED:
            print_text(f"    if it is wanted: portolan verdict {one['id']} admit --reason WHY")
    for rule in told["rejected_rules"]:
        print_text(f"  REJECTED AS A RULE: {rule['title']}{_by(rule)}")
        print_text(f"    look at it: portolan show {rule['proposal']}")
        print_text(f"    if it is wanted: portolan review {rule['proposal']} reopen --rule {rule['id']}")


def _by(one: Mapping[str, Any]) -> str:
    """Who decided, when and why; nothing where nobody has."""
    if one["reviewer"] is None:
        return ""
    reason = f": {one['reason']}" if one["reason"] else ""
    return f"; {one['reviewer']}, {iso(one['decided_at'])}{reason}"


def _kept_out(told: Mapping[str, Any]) -> str:
    """Why no change is offered; "" where one may be."""
    states = {one["state"] for one in told["held_back"]}
    if "unwanted" in states:
        return "this was confirmed as unwanted"
    if states & _UNDECIDED:
        return "this is held back, and nobody has admitted it"
    return "a reviewer rejected the rule for it" if told["rejected_rules"] else ""


def _print_changes(told: Mapping[str, Any], places: PolicyPlaces) -> None:
    changes = {change["direction"]: change for change in told["changes"]}
    denying = [gate["direction"] for gate in told["gates"] if gate["verdict"] == "deny"]
    if denying and (why := _kept_out(told)):
        print_text(f"No change is offered: {why}")
        return
    for direction in denying:
        change = changes.get(direction)
        if change is None:
            print_text(f"No small change found for {direction}: nothing narrow says who or what this is")
            continue
        place = _at(places, change["policy"])
        print_text(f"Smallest change for {direction}, to {change['policy']}{place}: {change['because']}")
        operation = change["patch"][0]
        print_text(f"  {operation['op']} at {operation['path']}")
        if change["yaml"]:
            print_block("\n".join(f"    {line}" for line in change["yaml"].rstrip().splitlines()))
        print_text(f"  try it: {change['command']}")
    if len(changes) > 1:
        print_text("Both changes are needed: either end alone still denies it.")
