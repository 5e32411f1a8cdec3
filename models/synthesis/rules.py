"""Candidates to rules: one per peer and port, with evidence, maturity, reasons and flags."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from models.domain.peer import EntityPeer, FqdnPeer
from models.domain.rule import Direction, Rule, RuleEvidence, rule_id
from models.synthesis.candidates import Candidate
from models.synthesis.edges import Edge
from models.synthesis.evidence import DayIndex, rule_evidence
from models.synthesis.http_lists import NO_LIST, HttpLists
from models.synthesis.line import Atom, Line
from models.synthesis.lines import Grouping, join_lines
from models.synthesis.maturity import maturity
from models.synthesis.questions_asked import ANY_QUESTION
from models.synthesis.resolvers import AssumedResolver

#: Observed days from which a single sighting is odd; in a shorter window everything is seen once.
MIN_DAYS_TO_DOUBT: Final = 7
#: Pods of a workload from which it is odd that only one of them calls an outside destination.
MIN_REPLICAS_TO_DOUBT: Final = 3
#: Addresses of one name above which an agent before 1.17 forgets the oldest by default (1000 since): far
#: more than a service has that stays where it is.
MANY_ADDRESSES_OF_A_NAME: Final = 50


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """
    What is known of a subject beside its edges.

    Parameters
    ----------
    effective_days, days
        How long it could have been seen: days' worth of hours without loss, and calendar days.
    pods
        Most of its pods that were seen behind one edge: at least so many replicas (or runs) there were.
    admitted
        Places of edges that a person admitted from the quarantine.
    """

    effective_days: float
    days: int
    pods: int
    admitted: Collection[int]


def build_rules(
    grouping: Grouping,
    candidates: Sequence[Candidate],
    index: DayIndex,
    facts: SubjectFacts,
    rejected: Collection[str] = (),
    *,
    http: HttpLists | None = None,
) -> tuple[list[Rule], dict[int, tuple[str, ...]]]:
    """
    Rules of one proposal, without paths.

    Parameters
    ----------
    grouping
        By what lines of the proposal are joined.
    candidates
        Of its workload.
    index
        Days of the edges.
    facts
        Of its workload.
    rejected
        Ids of rejected rules; a peer that was rejected by itself joins no list.
    http
        Lists of HTTP requests, where they are asked for.

    Returns
    -------
    tuple
        Rules sorted by `Rule.sort_key`, and the rule ids behind each edge by its place.
    """
    lines: dict[str, Line] = {}
    owners: dict[int, set[str]] = defaultdict(set)
    for candidate in candidates:
        direction = cast("Direction", candidate.direction)
        target = candidate.target
        for peer in target.peers:
            identifier = rule_id(grouping.key, direction, peer, target.ports)
            line = lines.setdefault(
                identifier, Line(direction, peer, target.ports, target.dns, target.outside)
            )
            line.edges.update({edge.place: edge for edge in candidate.edges})
            line.flags.update(target.flags)
            line.reasons.update(target.reasons)
            line.widening.update(one for one in target.widening if one.what == peer.title)
            for edge in candidate.edges:
                owners[edge.place].add(identifier)
    atoms = []
    alone: dict[str, Line] = {}
    # What an atom's edges say is said again of the rule, unless the line is joined with another.
    known: dict[frozenset[int], RuleEvidence] = {}
    for identifier, line in sorted(lines.items()):
        if http is not None:
            _inspect(line, http)
        if identifier in rejected:
            alone[identifier] = line
            continue
        evidence = rule_evidence(list(line.edges.values()), index, line.direction, facts.days)
        known[frozenset(line.edges)] = evidence
        atoms.append(Atom(identifier, line, frozenset(_flags(line, evidence, facts)), evidence.days_seen))
    joined, home = join_lines(grouping, atoms)
    rules = []
    for identifier, line in {**joined, **alone}.items():
        evidence = known.get(frozenset(line.edges)) or rule_evidence(
            list(line.edges.values()), index, line.direction, facts.days
        )
        rules.append(_rule(identifier, line, evidence, facts, http))
    places = {place: tuple(sorted({home.get(one, one) for one in ids})) for place, ids in owners.items()}
    return sorted(rules, key=lambda rule: rule.sort_key), places


def _flags(line: Line, evidence: RuleEvidence, facts: SubjectFacts) -> set[str]:
    flags = line.flags | _evidence_flags(line, evidence)
    odd: set[str] = set()
    if _seen_once(evidence):
        odd.add("seen_once")
    if line.outside and line.direction == "egress" and _one_replica(evidence, facts):
        odd.add("one_replica")
    if all(place in facts.admitted for place in line.edges):
        odd.add("admitted")
    elif odd:
        odd.add("needs_review")
    flags |= odd
    if line.resolver:
        flags.add("resolver")
    if (
        isinstance(line.peer, EntityPeer)
        and line.peer.entity == "host"
        and not _saw_host(line.edges.values())
    ):
        flags.add("companion")
    return flags


def _inspect(line: Line, http: HttpLists) -> None:
    """Find out whether a line gets a list of HTTP requests, and say so where it nearly does."""
    edges = line.edges.values()
    line.inspected = not line.resolver and http.inspected(line.direction, line.peer, line.ports, edges)
    if not line.inspected and (doubt := http.doubt(line.direction, line.peer, edges)):
        line.reasons.add(doubt)


def _rule(
    identifier: str, line: Line, evidence: RuleEvidence, facts: SubjectFacts, http: HttpLists | None
) -> Rule:
    flags = _flags(line, evidence, facts)
    listed = http.of(list(line.edges.values())) if http is not None and line.inspected else NO_LIST
    flags |= listed.flags
    return Rule(
        id=identifier,
        direction=line.direction,
        peer=line.peer,
        ports=line.ports,
        evidence=evidence,
        http=listed.templates,
        maturity=maturity(facts.effective_days),
        reasons=(_summary(evidence), *sorted(line.reasons), *listed.reasons, *_remarks(flags)),
        flags=tuple(sorted(flags)),
        widening=tuple(sorted(line.widening | listed.widening)),
    )


def _saw_host(edges: Iterable[Edge]) -> bool:
    return any(edge.peer == "host" for edge in edges)


def _seen_once(evidence: RuleEvidence) -> bool:
    """One client pod on one day of many: an accident, an attack, or the first run of something rare."""
    return (
        evidence.days_seen == 1 and evidence.days_observed >= MIN_DAYS_TO_DOUBT and evidence.client_pods <= 1
    )


def _one_replica(evidence: RuleEvidence, facts: SubjectFacts) -> bool:
    """Only one of several replicas goes there, again and again: a leader, or a compromised pod."""
    return evidence.client_pods == 1 and facts.pods >= MIN_REPLICAS_TO_DOUBT and evidence.days_seen > 1


def _evidence_flags(line: Line, evidence: RuleEvidence) -> set[str]:
    verdicts = dict(evidence.verdicts)
    protocols = {port.protocol for port in line.ports}
    found = {
        "audited": "audited" in verdicts,
        "denied_today": "denied" in verdicts,
        "unconfirmed": evidence.answered_share is None and protocols <= {"TCP"},
        "seen_from_other_end": not evidence.own_end,
        "sctp": "SCTP" in protocols,
        "icmp": any(port.icmp for port in line.ports),
        "many_ips_of_name": isinstance(line.peer, FqdnPeer)
        and evidence.address_count > MANY_ADDRESSES_OF_A_NAME,
    }
    return {flag for flag, holds in found.items() if holds}


_REMARKS = {
    "audited": "It works today only because policy is in audit mode; enforcement as deployed would deny it.",
    "denied_today": "Some attempts are refused by a policy that is deployed today.",
    "unconfirmed": "Replies could not be seen in this source, so it is not known whether it was answered.",
    "seen_from_other_end": "Seen only where the other end runs.",
    "sctp": "SCTP has to be enabled in the cluster.",
    "icmp": "ICMP rules have to be enabled in the cluster (they are by default).",
    "many_ips_of_name": "This name had so many addresses that policy churns and the agent may forget some "
    "(tofqdns-endpoint-max-ip-per-hostname).",
    "admitted": "A reviewer admitted it from the quarantine, where it says who and why.",
    "seen_once": "One client pod on one day only: an accident, an attack, or a first run.",
    "one_replica": "Only one of several pods goes there: an elected leader, or a compromised pod.",
    "companion": "Added beside remote-node: the same process may run on the pod's own node tomorrow.",
}


def _remarks(flags: set[str]) -> list[str]:
    return [text for flag, text in _REMARKS.items() if flag in flags]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _summary(evidence: RuleEvidence) -> str:
    """What was seen, in one sentence."""
    text = f"Seen on {evidence.days_seen} of {_count(evidence.days_observed, 'day')}"
    if evidence.client_pods:
        text += f", from {_count(evidence.client_pods, 'pod')}"
    if evidence.server_pods:
        text += f", to {_count(evidence.server_pods, 'pod')}"
    if evidence.address_count > 1:
        text += f", {evidence.address_count} addresses"
    return text + "."


def assumed_rules(key: str, resolvers: Sequence[AssumedResolver], facts: SubjectFacts) -> list[Rule]:
    """Rules to the cluster's resolvers for a workload that was not seen asking."""
    return [
        Rule(
            id=rule_id(key, "egress", peer, resolver.target.ports),
            direction="egress",
            peer=peer,
            ports=resolver.target.ports,
            evidence=RuleEvidence(assumed=True, days_observed=facts.days),
            maturity="learning",
            reasons=resolver.target.reasons,
            flags=tuple(sorted({*resolver.target.flags, "resolver"})),
        )
        for resolver in resolvers
        for peer in resolver.target.peers
    ]


def with_dns_inspection(
    rules: Sequence[Rule], *, fqdn: bool, questions: tuple[str, ...] = ANY_QUESTION
) -> list[Rule]:
    """
    Let the DNS proxy see the questions where names outside are allowed: it learns their addresses from them.

    Every name may be asked (``*``): refusing the expansions of the search list stops some resolvers,
    and being allowed to ask is not being allowed to connect. A workload that was seen tunnelling gets the
    list of what else it asked for. Where no name is used, nothing passes a proxy for nothing.
    """
    outside = any(isinstance(rule.peer, FqdnPeer) for rule in rules if rule.direction == "egress")
    listed = questions != ANY_QUESTION
    if not (fqdn and (outside or listed)):
        return list(rules)
    reason = _PROXY_LISTED if listed else _PROXY
    flags = ("dns_tunnel", "needs_review") if listed else ()
    return [
        replace(
            rule,
            dns=questions,
            reasons=(*rule.reasons, reason),
            flags=tuple(sorted({*rule.flags, *flags})),
        )
        if "resolver" in rule.flags
        else rule
        for rule in rules
    ]


_PROXY = "Questions pass the DNS proxy, which learns the addresses of the names this policy allows."
_PROXY_LISTED = (
    "Only what was asked for otherwise and is not held back may be asked: questions under a domain in "
    "quarantine carried data. That stays so until the domain is admitted there or no longer asked for, also "
    "where it was confirmed as unwanted."
)
