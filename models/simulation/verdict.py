"""
The reference evaluator: (policies, flow) to a verdict, plainly, rule by rule.

This is the meaning that everything else is held to: the fast evaluator (`models.simulation.compiled`)
by tests, this one by Cilium's own engine (``conformance/``). The steps are those of
``docs/policy-semantics.md``: collect the entries that select the subject, match peers and ports, let
deny win, fall back to the local host and the default, then ask layer 7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.domain.agent import AgentConfig
from models.domain.policy import Direction, Entry, PolicyRef, PolicySet, RuleRef, UndecidablePeer
from models.domain.selector import EndpointSelector
from models.simulation.context import PolicyFlow, ResolvedSide, resolve
from models.simulation.decision import (
    IMPLICIT,
    LOCALHOST,
    Decision,
    Gate,
    Match,
    Verdict,
    attribution,
    worst,
)
from models.simulation.matching import (
    PortMatch,
    any_of,
    peer_matches,
    port_matches,
)
from models.simulation.proxy import conflict, judge_request

__all__ = ["Asked", "Decision", "Gate", "Verdict", "evaluate", "judge", "match_entry", "selects_subject"]


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One gate's question, resolved.

    Parameters
    ----------
    protocol, port
        Of the flow.
    peer
        The other end.
    destination
        The end whose named ports count.
    config
        Agent settings.
    required
        Conditions of ``fromRequires``/``toRequires`` for allow (``False``) and deny entries.
    """

    protocol: str | None
    port: int | None
    peer: ResolvedSide
    destination: ResolvedSide
    config: AgentConfig
    required: Mapping[bool, EndpointSelector | None]


def evaluate(policies: PolicySet, flow: PolicyFlow, config: AgentConfig | None = None) -> Decision:
    """
    Say what Cilium would do with a flow, and why.

    Parameters
    ----------
    policies
        From `models.manifest.parse.parse_objects`, read for the same release.
    flow
        The question.
    config
        Agent settings; Cilium's defaults and the newest release when absent.

    Returns
    -------
    Decision
        With one gate per direction asked. Order of objects never changes it.
    """
    settings = config or AgentConfig()
    directions = (flow.direction,) if flow.direction else (Direction.EGRESS, Direction.INGRESS)
    gates = tuple(judge(policies.entries, flow, direction, settings) for direction in directions)
    verdict = worst(gate.verdict for gate in gates)
    deciding = next(gate for gate in gates if gate.verdict is verdict)
    return Decision(verdict, deciding.reason, gates)


def judge(entries: Sequence[Entry], flow: PolicyFlow, direction: Direction, config: AgentConfig) -> Gate:
    """
    Decide at one end.

    Parameters
    ----------
    entries
        Of all policies, any direction and subject.
    flow
        The question.
    direction
        Which end: ingress at the destination, egress at the source.
    config
        Agent settings.
    """
    subject = resolve(flow.subject(direction), config)
    if ungated := _ungated(flow, subject, direction, config):
        return ungated
    mine = [entry for entry in entries if entry.direction is direction]
    if subject.labels is None:
        if mine or config.enable_policy == "always":
            return _unknown(direction, f"the labels of the {direction.value} end are not known", None)
        return _open(direction, "no policy has a rule for this direction", attributed=True)
    collected = [entry for entry in mine if selects_subject(entry, subject)]
    return _decide(collected, flow, direction, subject, config)


def _ungated(
    flow: PolicyFlow, subject: ResolvedSide, direction: Direction, config: AgentConfig
) -> Gate | None:
    if flow.reply:
        return _open(direction, "a reply of a tracked connection is never asked")
    if config.enable_policy == "never":
        return _open(direction, "the agent enforces no policy (enable-policy: never)", attributed=True)
    if subject.labels is not None and not subject.managed:
        return _open(direction, f"the {direction.value} end is no endpoint that policies select")
    if subject.left_alone(config):
        return _open(direction, "the host has no policy without the host firewall", attributed=True)
    return None


def selects_subject(entry: Entry, subject: ResolvedSide) -> bool:
    """Whether an entry is about this endpoint: node policies select the host, the others never do."""
    if subject.labels is None or entry.node_subject != subject.host:
        return False
    return entry.subject.matches(subject.labels)


def _decide(
    collected: Sequence[Entry],
    flow: PolicyFlow,
    direction: Direction,
    subject: ResolvedSide,
    config: AgentConfig,
) -> Gate:
    always = config.enable_policy == "always" or subject.initialising
    enforcing = bool(collected) or always
    default_deny = always or any(entry.default_deny for entry in collected)
    if not enforcing:
        reason = f"no policy selects the {direction.value} end in this direction"
        return _open(direction, reason, attributed=True)
    if clash := conflict(collected):
        return Gate(
            direction, Verdict.UNKNOWN, clash, Verdict.UNKNOWN, (), (), False, True, default_deny, True
        )
    peer = resolve(flow.peer(direction), config)
    asked = Asked(
        flow.protocol,
        flow.port,
        peer,
        subject if direction is Direction.INGRESS else peer,
        config,
        {denies: _requirements(collected, denies=denies) for denies in (False, True)},
    )
    sure: list[Match] = []
    unsure: list[tuple[Entry, str]] = []
    for entry in collected:
        found, missing = match_entry(entry, asked)
        sure += found
        if missing:
            unsure.append((entry, missing))
    implied = direction is Direction.INGRESS and config.allow_localhost == "always"
    implied = implied and (bool(collected) or config.release.host_without_rules)
    local = implied and peer.host and not subject.host
    return _weigh(sure, unsure, flow, direction, config, local=local, default_deny=default_deny)


def _weigh(
    sure: Sequence[Match],
    unsure: Sequence[tuple[Entry, str]],
    flow: PolicyFlow,
    direction: Direction,
    config: AgentConfig,
    *,
    local: bool,
    default_deny: bool,
) -> Gate:
    denies = [match for match in sure if match.entry.denies]
    allows = [match for match in sure if not match.entry.denies]
    if denies:
        refs = tuple(sorted({match.ref for match in denies}))
        return Gate(
            direction, Verdict.DENY, f"denied by {refs[0]}", Verdict.DENY, refs,
            attribution(sure, local=False), False, True, default_deny,
        )  # fmt: skip
    open_by_default = local or not default_deny
    maybe_allowed = not allows and not open_by_default
    doubts = [reason for entry, reason in unsure if entry.denies != maybe_allowed]
    if doubts:
        return _unknown(direction, doubts[0], default_deny)
    if maybe_allowed:
        reason = f"no rule allows it and {direction.value} is denied by default"
        return Gate(direction, Verdict.DENY, reason, Verdict.DENY, (), (), False, True, default_deny)
    implicit = [LOCALHOST] if local else []
    implicit += [] if default_deny else [f"allow-any-{direction.value}"]
    refs = tuple(sorted({match.ref for match in allows}))
    refs += tuple(RuleRef(PolicyRef(IMPLICIT, "", name), direction, name) for name in implicit)
    redirect = any(match.redirects for match in allows)
    verdict, why = Verdict.ALLOW, f"allowed by {refs[0]}"
    if redirect and flow.l7 is not None:
        passed, why = judge_request(
            [(match.entry, match.port) for match in allows],
            [entry for entry, _ in unsure if not entry.denies],
            flow.l7,
            config,
            lifted=bool(implicit),
            default_deny=default_deny,
        )
        verdict = {True: Verdict.ALLOW, False: Verdict.DENY, None: Verdict.UNKNOWN}[passed]
    return Gate(
        direction, verdict, why, Verdict.ALLOW, refs,
        attribution(allows, local=local, any_direction=None if default_deny else direction),
        redirect, True, default_deny,
    )  # fmt: skip


def _requirements(collected: Sequence[Entry], *, denies: bool) -> EndpointSelector | None:
    found = [e.required_peer for e in collected if e.required_peer is not None and e.denies == denies]
    return EndpointSelector(tuple(sorted({r for s in found for r in s.requirements}))) if found else None


def match_entry(entry: Entry, asked: Asked) -> tuple[list[Match], str]:
    """
    Whether an entry covers what is asked.

    Returns
    -------
    (list of Match, str)
        One match per port element that covers it; otherwise what would have to be known to tell,
        empty when the entry surely does not cover it.
    """
    if entry.peers is None:
        peers: bool | None = entry.ports is not None
    else:
        required = asked.required[entry.denies]
        peers = any_of(peer_matches(s, asked.peer, asked.config, required) for s in entry.peers)
    if peers is False:
        return [], ""
    found = [PortMatch(None, 0, exact=False)] if entry.ports is None else []
    unknown_port = False
    for rule in entry.ports or ():
        answer = port_matches(rule, asked.protocol, asked.port, asked.destination)
        if isinstance(answer, PortMatch):
            found.append(answer)
        unknown_port = unknown_port or answer is None
    if not found and not unknown_port:
        return [], ""
    if peers and found:
        return [Match(entry, port) for port in found], ""
    return [], _missing(entry, asked.peer, peers=peers)


def _missing(entry: Entry, peer: ResolvedSide, *, peers: bool | None) -> str:
    place = entry.ref()
    if peers is None:
        undecidable = [p for p in entry.peers or () if isinstance(p, UndecidablePeer)]
        if undecidable:
            return f"{place}: {undecidable[0].reason}"
        if peer.labels is None:
            return f"{place}: the identity of the peer is not known"
        if peer.address is None:
            return f"{place}: the address of the peer is not known"
        return f"{place}: the DNS names of the peer's address are not known"
    return f"{place}: the protocol, the port or the destination's named ports are not known"


def _open(direction: Direction, reason: str, *, attributed: bool = False) -> Gate:
    implicit = (PolicyRef(IMPLICIT, "", f"allow-any-{direction.value}"),) if attributed else ()
    return Gate(direction, Verdict.ALLOW, reason, Verdict.ALLOW, (), implicit)


def _unknown(direction: Direction, reason: str, default_deny: bool | None) -> Gate:
    enforcing = None if default_deny is None else True
    return Gate(direction, Verdict.UNKNOWN, reason, Verdict.UNKNOWN, (), (), False, enforcing, default_deny)
