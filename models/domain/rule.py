"""
A rule: the unit of decision, with the evidence behind it.

A rule is one direction, one peer (or the workloads of one namespace) and one port, so that a port which
turns up tomorrow is a new rule and never rides on yesterday's approval. Ids are derived from what a rule
is, never from when or in which order it was seen, so the same rule has the same id tomorrow.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from models.domain.confidence import UNKNOWN, Confidence
from models.domain.http import HttpTemplate
from models.domain.peer import EntityPeer, Peer, peer_to_json

Direction = Literal["ingress", "egress"]
Maturity = Literal["learning", "maturing", "stable"]

#: Ports of a rule that are fixed: both protocols of a resolver.
RESOLVER_PORTS: Final = 2


def stable_id(*parts: str, length: int = 16) -> str:
    """
    Short identifier that depends on the parts alone.

    Parameters
    ----------
    parts
        Texts; joined by a character that none of Kubernetes' names can hold.
    length
        Hexadecimal digits kept of a SHA-256; 16 digits make a clash among a million rules unlikely
        (about 3 in 10^8).
    """
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:length]


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """
    A layer 4 destination: a port, or an ICMP type.

    Parameters
    ----------
    protocol
        ``TCP``, ``UDP``, ``SCTP``, ``ICMPv4`` or ``ICMPv6``.
    number
        Backend port 1 to 65535, the first one of a range; for ICMP the type, 0 to 255.
    end
        Last port of a range; 0 for a single one.
    """

    protocol: str
    number: int
    end: int = 0

    @property
    def icmp(self) -> bool:
        """Whether `number` is an ICMP type."""
        return self.protocol.startswith("ICMP")

    @property
    def text(self) -> str:
        """``TCP/443``, ``TCP/50000-50200``, ``ICMPv4 type 8``."""
        if self.icmp:
            return f"{self.protocol} type {self.number}"
        return f"{self.protocol}/{self.number}" + (f"-{self.end}" if self.end else "")

    def to_json(self) -> dict[str, Any]:
        """Contract form; port numbers are numbers here and strings in manifests."""
        if self.icmp:
            return {"protocol": self.protocol, "type": self.number}
        form: dict[str, Any] = {"protocol": self.protocol, "port": self.number}
        return {**form, "end_port": self.end} if self.end else form


@dataclass(frozen=True, slots=True)
class RuleEvidence:
    """
    What was seen that speaks for a rule.

    Parameters
    ----------
    days_seen, days_observed
        Calendar days (UTC) with such a flow, of the days on which the subject could have been seen.
    hours_seen
        Distinct hours with such a flow; 0, as the pods are, where no record tells who the two were.
    client_pods, server_pods
        Distinct pods at both ends; 0 where an end is not a pod.
    flows, connections
        Request records and the ones among them that open a connection; records are not traffic volume.
    answered_share
        Share in [0, 1] of the edge-days with visible replies on which a reply was seen; ``None`` where
        replies could not be seen.
    verdicts
        Sorted ``(verdict class, records)``: forwarded, audited, denied, l7_denied, dropped; none zero.
    first_us, last_us
        Microseconds since the epoch.
    names
        DNS names this client knew the peer's addresses by.
    addresses
        Addresses outside the cluster behind the rule, at most `MAX_ADDRESSES`.
    address_count
        How many there were.
    samples
        Up to three uuids of flows, to be looked up in Hubble.
    policies
        Policies that Hubble named as deciding, today.
    own_end
        Whether it was seen at the subject's own end; else it is derived from the other end.
    assumed
        Nothing of it was seen for this workload: the reason is in the rule's reasons.
    """

    days_seen: int = 0
    days_observed: int = 0
    hours_seen: int = 0
    client_pods: int = 0
    server_pods: int = 0
    flows: int = 0
    connections: int = 0
    answered_share: float | None = None
    verdicts: tuple[tuple[str, int], ...] = ()
    first_us: int = 0
    last_us: int = 0
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    address_count: int = 0
    samples: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    own_end: bool = False
    assumed: bool = False


#: Kinds of widening that open what nobody can count: paths of a form, names of a pattern, any clients.
UNCOUNTED: Final = frozenset({"pattern", "route", "world"})


@dataclass(frozen=True, slots=True, order=True)
class Widening:
    """
    How a rule opens more than was seen, and why that pays.

    Parameters
    ----------
    kind
        ``role`` (workloads that play one role), ``pattern`` (names), ``prefix`` (addresses), ``range``
        (ports), ``route`` (HTTP paths) or ``world`` (peers from anywhere).
    what
        The widened part, as the rule names it.
    covers
        Peers, names, addresses, ports or paths that were seen and that it stands for.
    pairs
        Identity and port pairs that it opens today beyond what was seen: workloads of the cluster that it
        lets in, lets call or calls, times ports.
    unseen
        Addresses or ports that it opens beyond those that were seen; of the kinds in `UNCOUNTED` 0 here, and
        ``null`` in the contract form.
    openings, rules, denials
        Terms of the objective in units of one rule: what the openings cost more than those of the exact
        peers, what the spared lines save and what the denials save that are expected otherwise. The last
        two are at least 0; the first is below 0 where a prefix is reckoned as less than its addresses.
    """

    kind: str
    what: str
    covers: int
    pairs: int = 0
    unseen: int = 0
    openings: float = 0.0
    rules: float = 0.0
    denials: float = 0.0

    @property
    def change(self) -> float:
        """
        Change of the objective.

        Above zero only for what last night left, what was not weighed for want of another form, and one rule
        of a role, whose rules are weighed together.
        """
        return round(self.openings - self.rules - self.denials, 3)

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        terms = {"openings": self.openings, "rules": -self.rules, "denials": -self.denials}
        return {
            "kind": self.kind,
            "what": self.what,
            "covers": self.covers,
            "pairs": self.pairs,
            "unseen": None if self.kind in UNCOUNTED else self.unseen,
            "objective": {
                **{name: round(value, 3) + 0.0 for name, value in terms.items()},  # no term is "-0.0"
                "change": self.change,
            },
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One line of an allow-list: the unit that a reviewer decides on.

    Parameters
    ----------
    id
        Stable: the same policy, direction, peer and port have it tomorrow too.
    direction
        Seen from the subject.
    peer
        The other side.
    ports
        One port, or the two protocols of one resolver.
    path
        Entry of the manifest that holds it, ``egress[3]``; rules that share an entry share the path. Where
        the manifest is a list of parts, the first entry that holds any of it: ``items[1].spec.egress[0]``.
    dns
        Patterns of questions to let through and to learn names from; empty: no DNS inspection.
    http
        Sorted requests that pass; empty: HTTP is not looked at.
    maturity
        From the effective days on which this could have been seen.
    evidence
        What was seen.
    reasons
        Sentences for the reviewer.
    flags
        Sorted codes; ``needs_review`` means that no automation may approve it.
    widening
        Sorted; how the rule opens more than was seen.
    confidence
        How sure it is.
    """

    id: str
    direction: Direction
    peer: Peer
    ports: tuple[Port, ...]
    evidence: RuleEvidence
    path: str = ""
    dns: tuple[str, ...] = ()
    http: tuple[HttpTemplate, ...] = ()
    maturity: Maturity = "learning"
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    widening: tuple[Widening, ...] = ()
    confidence: Confidence = UNKNOWN

    @property
    def sort_key(self) -> tuple[str, bool, str, str, tuple[tuple[str, int], ...]]:
        """Total order: ingress last, resolvers first, then peers and ports."""
        ports = tuple((port.protocol, port.number) for port in self.ports)
        return (self.direction, not self.dns, type(self.peer).__name__, self.peer.key, ports)

    @property
    def title(self) -> str:
        """One line: ``egress to api in shop on TCP/8080``."""
        ports = ", ".join(port.text for port in self.ports)
        return (
            f"{self.direction} {'to' if self.direction == 'egress' else 'from'} {self.peer.title} on {ports}"
        )

    def meaning(self) -> list[Any]:
        """What the rule allows, without its evidence."""
        form = peer_to_json(self.peer)
        meaning = [self.direction, form, [port.to_json() for port in self.ports], list(self.dns)]
        # A rule without a list keeps the meaning that it has had since before there were any.
        return [*meaning, [one.form() for one in self.http]] if self.http else meaning


def rule_id(proposal_key: str, direction: Direction, peer: Peer, ports: tuple[Port, ...]) -> str:
    """Stable id of a rule: the policy it belongs to, its direction, its peer and its port."""
    return stable_id("rule", proposal_key, direction, peer.key, ports_key(ports))


def ports_key(ports: tuple[Port, ...]) -> str:
    """
    What names the ports of a rule from night to night.

    Ports that a protocol hands out are others tomorrow, in a range or in a list of more than a resolver's
    two; the rule is the same.
    """
    if len(ports) > RESOLVER_PORTS or any(port.end for port in ports):
        return f"{ports[0].protocol}/negotiated"
    return ",".join(port.text for port in ports)


def opens_world(rule: Rule) -> bool:
    """Whether the rule admits every address outside the cluster."""
    return isinstance(rule.peer, EntityPeer) and rule.peer.entity in ("world", "all")
