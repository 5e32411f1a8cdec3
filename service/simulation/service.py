"""What simulation and explanation work on: policies given or stored, and what was observed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from jobs.backtest import seen_window
from models.domain.agent import NEWEST, release
from models.domain.capabilities import CapabilityHints
from models.domain.policy import Direction, PolicySet
from models.errors import BadInputError, NotFoundError, TooLittleEvidenceError
from models.manifest.parse import parse_objects
from models.simulation.context import PolicyFlow, config_for
from models.simulation.decision import Gate
from models.simulation.explain import Explanation, explain
from models.simulation.seen import SeenWindow
from service.export.manifests import Target
from service.export.service import collect
from service.observed import queries
from service.observed.folded import FoldedObservations
from service.observed.queries import ObservedCluster
from service.simulation.ends import End, find_end
from service.wiring import Portolan

PROTOCOLS: Final = ("TCP", "UDP", "SCTP", "ICMP", "ICMPv6")
#: Classes of observed verdicts that say that policy stopped a flow.
_STOPPED: Final = ("denied", "l7_denied")


def observed_cluster(portolan: Portolan, wanted: str | None) -> ObservedCluster:
    """The cluster that is meant: the one named, the configured one, or the only one."""
    found = queries.clusters(portolan.store)
    if not found:
        raise TooLittleEvidenceError("nothing was observed yet: 'portolan ingest' reads flows")
    names = [cluster.name for cluster in found]
    name = wanted or portolan.settings.cluster or (names[0] if len(names) == 1 else None)
    if name is None:
        raise BadInputError(f"several clusters were observed ({', '.join(names)}): name one")
    if name not in names:
        raise NotFoundError(f"cluster {name!r} was not observed; there are {', '.join(names)}")
    return found[names.index(name)]


def chosen_version(portolan: Portolan, wanted: str | None) -> str:
    """Release to answer for: the one asked for, the configured one, or the newest known."""
    return release(wanted or portolan.settings.capabilities.cilium_version or NEWEST).name


def stored_policies(
    session: Session, *, cluster: str, approved_only: bool, cilium_version: str
) -> list[Mapping[str, Any]]:
    """Manifests of the stored proposals of a cluster: what an export would hold."""
    target = Target(cilium_version=cilium_version)
    found = collect(session, cluster=cluster, approved_only=approved_only, target=target)
    return [item.manifest for item in found.objects]


def seen_in_window(
    portolan: Portolan,
    *,
    cluster: ObservedCluster,
    as_of: datetime | None,
    window: timedelta | None,
    cilium_version: str,
) -> SeenWindow:
    """Read a window of stored observations, ready to be asked of policy sets."""
    known = portolan.settings.capabilities
    hints = CapabilityHints(known.fqdn, known.l7, cilium_version, known.distribution)
    return seen_window(
        FoldedObservations(portolan.store),
        cluster=cluster.name,
        as_of=as_of or min(portolan.clock(), cluster.observed_until),
        length=window or portolan.settings.window,
        hints=hints,
    )


def only_cluster(portolan: Portolan, wanted: str | None) -> ObservedCluster | None:
    """The cluster meant, or nothing where nothing was observed and none was asked for."""
    if wanted is None and not queries.clusters(portolan.store):
        return None
    return observed_cluster(portolan, wanted)


@dataclass(frozen=True, slots=True)
class Question:
    """Who cannot reach whom, as asked."""

    source: str
    destination: str
    protocol: str | None = None
    port: int | None = None
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Why, with what was observed between the two."""

    cluster: str
    cilium_version: str
    source: End
    destination: End
    flow: PolicyFlow
    explanation: Explanation
    policies: PolicySet
    observed: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Form of the API and of ``--format json``."""
        made, change = self.explanation, self.explanation.change
        return {
            "cluster": self.cluster,
            "cilium_version": self.cilium_version,
            "source": self.source.title,
            "destination": self.destination.title,
            "protocol": self.flow.protocol,
            "port": self.flow.port,
            "verdict": made.decision.verdict.value,
            "reason": made.decision.reason,
            "gates": [_gate(gate, made) for gate in made.decision.gates],
            "change": None
            if change is None
            else {
                "policy": str(change.policy),
                "patch": [dict(operation) for operation in change.patch],
                "because": change.because,
            },
            "commands": list(made.commands),
            "observed": self.observed,
            "policies": len(self.policies.sources),
            "rejected": [
                {"policy": str(one.policy), "reasons": list(one.reasons)} for one in self.policies.rejected
            ],
        }


def _gate(gate: Gate, made: Explanation) -> dict[str, Any]:
    return {
        "direction": gate.direction.value,
        "verdict": gate.verdict.value,
        "reason": gate.reason,
        "enforcing": gate.enforcing,
        "default_deny": gate.default_deny,
        "rules": [str(rule) for rule in gate.rules],
        "policies": [str(policy) for policy in made.selecting[gate.direction]],
    }


def answer(
    portolan: Portolan,
    question: Question,
    objects: Sequence[Mapping[str, Any]],
    *,
    cluster: ObservedCluster,
    cilium_version: str,
) -> Answer:
    """Explain one connection between two observed ends."""
    source = find_end(portolan.store, cluster.name, question.source)
    destination = find_end(portolan.store, cluster.name, question.destination)
    seen = _observed(portolan, cluster.name, source, destination)
    protocol, port = _service(question, seen)
    flow = PolicyFlow(question.direction, source.side, destination.side, protocol, port)
    config = config_for(flow, cilium_version)
    policies = parse_objects(list(objects), config=config)
    return Answer(
        cluster.name,
        cilium_version,
        source,
        destination,
        flow,
        explain(policies, flow, config),
        policies,
        [one for one in seen if (one["protocol"], one["port"]) == (_stored(protocol), port)],
    )


def _observed(portolan: Portolan, cluster: str, source: End, destination: End) -> list[dict[str, Any]]:
    side = destination.side
    peers = [destination.label_key, destination.title, side.ip, side.entity, *(side.names or ())]
    ends = (source.namespace, source.workload, source.label_key)
    rows = queries.edges_between(portolan.store, cluster, ends, [peer for peer in peers if peer])
    return [
        {
            "protocol": row["protocol"],
            "port": row["icmp_type"] if row["protocol"].startswith("ICMP") else row["port"],
            "verdict": row["verdict"],
            "flows": row["flows"],
            "first_seen": queries.moment(row["first_us"]),
            "last_seen": queries.moment(row["last_us"]),
        }
        for row in rows
    ]


def _stored(protocol: str) -> str:
    """Name of a protocol in the store."""
    return "ICMPv4" if protocol == "ICMP" else protocol


def _service(question: Question, seen: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """Protocol and port asked about: as given, else the one that was observed, one denied first."""
    if question.port is not None:
        return question.protocol or "TCP", question.port
    fitting = [
        one
        for one in seen
        if question.protocol in (None, "ICMP" if one["protocol"] == "ICMPv4" else one["protocol"])
    ]
    stopped = [one for one in fitting if one["verdict"] in _STOPPED]
    found = list(dict.fromkeys((one["protocol"], one["port"]) for one in stopped or fitting))
    if len(found) == 1:
        protocol, port = found[0]
        return ("ICMP" if protocol == "ICMPv4" else protocol), port
    known = ", ".join(f"{protocol}/{port}" for protocol, port in found)
    raise BadInputError(f"name the port: {'observed were ' + known if known else 'nothing was observed'}")
