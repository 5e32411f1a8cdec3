"""
One thing that no longer fits, in the form of the drift report.

Confidence says how sure the observation is, severity what it would cost to ignore it; neither is made
from the other. The key is made from what the finding is about, never from when or how often, so that
what a person decided about it last week still holds tonight.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from models.domain.cidr import parse_prefix
from models.domain.peer import CidrPeer, EndpointPeer, FqdnPeer, Peer, peer_to_json
from models.domain.proposal_json import iso
from models.domain.rule import stable_id
from models.learning.suffixes import registrable


class Kind(StrEnum):
    """What a finding says, in the order in which a reader wants them."""

    DENIED = "denied"
    SUSPICIOUS = "suspicious"
    UNCOVERED = "uncovered"
    CHANGED = "changed"
    UNPROTECTED = "unprotected"
    UNUSED = "unused"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """What it costs to leave a finding alone."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


SEVERITIES: Final = tuple(Severity)
KINDS: Final = tuple(Kind)
#: Kinds that speak of connections.
TRAFFIC: Final = (Kind.DENIED, Kind.SUSPICIOUS, Kind.UNCOVERED)
_GROUP_BITS: Final = {4: 24, 6: 64}
#: Peers whose traffic is worth more attention (method, section 8): outside, another namespace, the own.
ZONE_OUTSIDE: Final = 2.0
ZONE_ACROSS: Final = 1.3
ZONE_OWN: Final = 1.0
#: Share of legitimacy at which traffic counts for exactly its evidence (method, section 8).
_NEUTRAL: Final = 1.5
_MAX_BITS: Final = 12.0


@dataclass(frozen=True, slots=True, order=True)
class SubjectRef:
    """
    Whom a finding is about.

    Parameters
    ----------
    namespace
        "" for the cluster as a whole.
    workload
        ``Kind/name``, several joined by `` + ``; "" for all of the namespace.
    labels
        Sorted pairs that select it, as far as they are known.
    """

    namespace: str = ""
    workload: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """Name for sentences."""
        names = " + ".join(part.partition("/")[2] or part for part in self.workload.split(" + ") if part)
        if not self.namespace:
            return names or "the cluster"
        return f"{self.namespace}/{names}" if names else f"namespace {self.namespace}"

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        return {"namespace": self.namespace, "workload": self.workload, "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    What to do about a finding, ready to be applied where that is possible.

    Parameters
    ----------
    action
        ``add_rule``, ``remove_rule``, ``restore``, ``fix_selector``, ``remove_policy``, ``propose``,
        ``investigate``, ``repair_source`` or ``mend_policy``.
    text
        One sentence.
    policy
        Object that a patch or manifest is for, as ``Kind/namespace/name``; "" when there is none.
    patch
        JSON Patch (RFC 6902) for that object, tried before it was offered.
    manifest
        The object as it should be, for a restore.
    """

    action: str
    text: str
    policy: str = ""
    patch: tuple[Mapping[str, Any], ...] = ()
    manifest: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        form: dict[str, Any] = {"action": self.action, "text": self.text, "policy": self.policy or None}
        if self.patch:
            form["patch"] = [dict(operation) for operation in self.patch]
        if self.manifest is not None:
            form["manifest"] = dict(self.manifest)
        return form


@dataclass(frozen=True, slots=True)
class Expectation:
    """
    A count against what was to be expected of it.

    Parameters
    ----------
    what
        What is counted.
    observed
        The count.
    low, high
        Where nine nights of ten lie; ``None`` where no baseline says.
    chance
        Probability of a count this high on an ordinary night, in [0, 1]; ``None`` without a baseline.
    """

    what: str
    observed: float
    low: float | None = None
    high: float | None = None
    chance: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        return {
            "what": self.what,
            "observed": self.observed,
            "low": self.low,
            "high": self.high,
            "chance": None if self.chance is None else float(f"{self.chance:.3g}"),
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One finding.

    Parameters
    ----------
    kind
        See `Kind`.
    detector
        Code of what found it; part of the key.
    severity
        What it costs to ignore.
    confidence
        Probability in [0, 1] that it is as said.
    subject
        Whom it is about.
    why
        One sentence.
    direction
        ``egress`` or ``ingress`` seen from the subject; "" where there is none.
    peer
        The other side; ``None`` where there is none.
    ports
        (protocol, port), sorted; port -1 where the protocol has none, the type for ICMP.
    first_us, last_us
        First and last sight, microseconds since the epoch; 0 is never.
    flows
        Records behind it, in the window of the report.
    expected
        Count against expectation.
    policy
        Objects concerned, ``Kind/namespace/name``.
    rule
        The rule that decided, as object and path; "" for the default deny.
    suggestion
        What to do.
    about
        What else the key is made from.
    p_legit
        Probability that the traffic is wanted; ``None`` when that was not judged.
    verdicts
        Records by what happened to them.
    samples
        Uuids of flows, at most three.
    merged
        Further things that this finding stands for.
    """

    kind: Kind
    detector: str
    severity: Severity
    confidence: float
    subject: SubjectRef
    why: str
    direction: str = ""
    peer: Peer | None = None
    ports: tuple[tuple[str, int], ...] = ()
    first_us: int = 0
    last_us: int = 0
    flows: int = 0
    expected: Expectation | None = None
    policy: tuple[str, ...] = ()
    rule: str = ""
    suggestion: Suggestion | None = None
    about: str = ""
    p_legit: float | None = None
    verdicts: tuple[tuple[str, int], ...] = ()
    samples: tuple[str, ...] = ()
    merged: tuple[str, ...] = field(default=())

    @property
    def identity(self) -> tuple[str, ...]:
        """
        What the finding is about: the same tomorrow, whatever is thought of it then.

        Traffic stays the same matter when it is first called denied and then suspicious.
        """
        matter = "traffic" if self.kind in TRAFFIC else f"{self.kind.value}:{self.detector}"
        place = (self.subject.namespace, self.subject.workload, self.direction)
        return (matter, *place, "" if self.peer is None else peer_group(self.peer), self.about)

    def key(self, cluster: str) -> str:
        """Identity as a short text."""
        return stable_id("drift", cluster, *self.identity)

    @property
    def rank(self) -> float:
        """
        Place in the report, higher first: ``min(-log10 p, 12) x zone x (1.5 - p_legit)``.

        Without a chance the confidence stands in for it: certain findings rank like a chance of 10^-12.
        """
        chance = None if self.expected is None else self.expected.chance
        bits = _MAX_BITS * self.confidence if chance is None else min(-_log10(chance), _MAX_BITS)
        legit = 0.5 if self.p_legit is None else self.p_legit
        weight = 2.0 ** (len(SEVERITIES) - 1 - SEVERITIES.index(self.severity))
        return round(bits * zone_factor(self.subject.namespace, self.peer) * (_NEUTRAL - legit) * weight, 6)

    @property
    def audited(self) -> bool:
        """Whether an audit mode let the traffic pass: it is the first thing a reader should see."""
        return any(name == "audited" and count for name, count in self.verdicts)

    def to_json(self, cluster: str) -> dict[str, Any]:
        """Contract form (``DESIGN.md`` section 4), with more beside it."""
        protocol, port = self.ports[0] if self.ports else (None, None)
        return {
            "key": self.key(cluster),
            "kind": self.kind.value,
            "detector": self.detector,
            "severity": self.severity.value,
            "confidence": round(self.confidence, 4),
            "direction": self.direction or None,
            "subject": self.subject.to_json(),
            "peer": None if self.peer is None else peer_to_json(self.peer),
            "protocol": protocol,
            "port": None if port is None or port < 0 else port,
            "ports": [
                {"protocol": name, "port": None if number < 0 else number} for name, number in self.ports
            ],
            "first_seen": iso(self.first_us),
            "last_seen": iso(self.last_us),
            "flows": self.flows,
            "verdicts": dict(self.verdicts),
            "expected": None if self.expected is None else self.expected.to_json(),
            "p_legit": None if self.p_legit is None else round(self.p_legit, 4),
            "policy": ", ".join(self.policy) or None,
            "rule": self.rule or None,
            "why": self.why,
            "suggestion": None if self.suggestion is None else self.suggestion.to_json(),
            "merged": list(self.merged),
            "samples": list(self.samples),
            "rank": self.rank,
        }


def _log10(chance: float) -> float:
    return math.log10(max(chance, 10.0**-_MAX_BITS))


def peer_group(peer: Peer) -> str:
    """
    What findings about a peer have in common: names of one holder are one, and so are close addresses.

    Examples
    --------
    >>> peer_group(FqdnPeer("edge-1.content.net")), peer_group(CidrPeer("192.0.2.7/32"))
    ('domain:content.net', 'cidr:192.0.2.0/24')
    """
    if isinstance(peer, FqdnPeer):
        first = peer.each[0]
        name = (first.name or first.pattern).lstrip("*.").rstrip(".")
        return f"domain:{registrable(name) or name}"
    if isinstance(peer, CidrPeer) and (network := parse_prefix(peer.cidr)) is not None:
        bits = min(network.prefixlen, _GROUP_BITS[network.version])
        return f"cidr:{network.supernet(new_prefix=bits)}"
    return peer.key


def zone_factor(namespace: str, peer: Peer | None) -> float:
    """
    Weight of where the other side is.

    Examples
    --------
    >>> zone_factor("shop", CidrPeer("192.0.2.1/32")), zone_factor("shop", None)
    (2.0, 1.0)
    """
    if isinstance(peer, FqdnPeer | CidrPeer):
        return ZONE_OUTSIDE
    if isinstance(peer, EndpointPeer) and peer.namespace != namespace:
        return ZONE_ACROSS
    return ZONE_OUTSIDE if getattr(peer, "entity", "") in ("world", "all") else ZONE_OWN


def order(finding: Finding) -> tuple[Any, ...]:
    """Sort key of a report: audited traffic first, then by severity, rank and place."""
    peer = "" if finding.peer is None else finding.peer.key
    return (
        not finding.audited,
        SEVERITIES.index(finding.severity),
        -finding.rank,
        KINDS.index(finding.kind),
        finding.subject,
        finding.direction,
        peer,
        finding.ports,
        finding.detector,
        finding.about,
    )
