"""
What is held back for a person to decide: traffic that worked and looks odd.

Nothing of it is allowed, and nothing of it is lost: each entry says what was seen, why it was held back,
and what to ask the owner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from models.domain.confidence import Argument
from models.domain.peer import Peer, peer_from_json, peer_to_json
from models.domain.rule import stable_id

#: What a person can say: let it in, never let it in, or ask again later.
QuarantineVerdict = Literal["admit", "unwanted", "later"]
VERDICTS: Final = ("admit", "unwanted", "later")


def quarantine_id(cluster: str, cell: str) -> str:
    """Stable id of an entry."""
    return stable_id("quarantine", cluster, cell)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """
    One cell that is held back.

    Parameters
    ----------
    id
        Stable: the same cell has it tomorrow too.
    cell
        What verdicts are kept by.
    mirror
        The same call seen from its other end; "" where that end is no pod. A verdict holds for both.
    namespace, workload
        Whose traffic it is, seen from the end where it was observed.
    direction
        ``ingress`` or ``egress``.
    peer
        The other side; ``None`` where no rule could name it.
    title
        The other side and the port, for people.
    reasons
        Sorted codes of what fired.
    why
        A sentence for each.
    ledger
        Evidence of the screening, for and against.
    p_legit
        Probability that it is wanted; ``None`` where too little was seen.
    provenance
        What `p_legit` rests on.
    first_us, last_us
        Microseconds since the epoch.
    days_seen, flows, pods
        Days with a flow, request records, and distinct pods at the subject's end; 0 pods where no record
        names them.
    replicas
        Pods of the workload that were alive at once; 0 where unknown.
    samples
        Uuids of flows, to be looked up in Hubble.
    nearest_rule
        Id of the rule of the proposal that is most like it; "" where there is none.
    question
        What to ask the owner.
    proposal
        Key of the proposal that leaves it out; "" where the workload has none.
    """

    id: str
    cell: str
    mirror: str
    namespace: str
    workload: str
    direction: str
    peer: Peer | None
    title: str
    reasons: tuple[str, ...]
    why: tuple[str, ...]
    ledger: tuple[Argument, ...]
    p_legit: float | None
    provenance: str
    first_us: int
    last_us: int
    days_seen: int
    flows: int
    pods: int
    replicas: int
    samples: tuple[str, ...]
    question: str
    nearest_rule: str = ""
    proposal: str = ""

    @property
    def sort_key(self) -> tuple[str, str, str, str, str]:
        """Total order."""
        return (self.namespace, self.workload, self.direction, self.title, self.id)

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        return {
            "id": self.id,
            "cell": self.cell,
            "mirror": self.mirror,
            "namespace": self.namespace,
            "workload": self.workload,
            "direction": self.direction,
            "peer": None if self.peer is None else peer_to_json(self.peer),
            "title": self.title,
            "reasons": list(self.reasons),
            "why": list(self.why),
            "ledger": [{"name": a.name, "bits": round(a.bits, 2), "because": a.because} for a in self.ledger],
            "p_legit": self.p_legit,
            "provenance": self.provenance,
            "first_seen": _iso(self.first_us),
            "last_seen": _iso(self.last_us),
            "days_seen": self.days_seen,
            "flows": self.flows,
            "pods": self.pods,
            "replicas": self.replicas,
            "samples": list(self.samples),
            "question": self.question,
            "nearest_rule": self.nearest_rule,
            "proposal": self.proposal,
        }


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    What a window shows of a call that people decided on; fields as in `Quarantined`.

    Parameters
    ----------
    cell
        On which the verdict was given.
    first_us, last_us, days_seen, flows, pods, samples
        Of the window.
    """

    cell: str
    first_us: int
    last_us: int
    days_seen: int
    flows: int
    pods: int
    samples: tuple[str, ...]

    def over(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """
        Contract form of an entry with what is seen of it now; its first sight and why it was held back stay.

        Parameters
        ----------
        form
            `Quarantined.to_json` of the night that held it back.
        """
        return {
            **form,
            "first_seen": min(form["first_seen"], _iso(self.first_us)),
            "last_seen": max(form["last_seen"], _iso(self.last_us)),
            "days_seen": self.days_seen,
            "flows": self.flows,
            "pods": self.pods,
            "samples": list(self.samples),
        }


def quarantined_from_json(form: Mapping[str, Any]) -> Quarantined:
    """Entry from its contract form; the inverse of `Quarantined.to_json` up to whole seconds."""
    kept = {key: value for key, value in form.items() if key not in ("first_seen", "last_seen")}
    kept["peer"] = None if form["peer"] is None else peer_from_json(form["peer"])
    kept["ledger"] = tuple(Argument(**argument) for argument in form["ledger"])
    for name in ("reasons", "why", "samples"):
        kept[name] = tuple(form[name])
    return Quarantined(**kept, first_us=_us(form["first_seen"]), last_us=_us(form["last_seen"]))


def _iso(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000
