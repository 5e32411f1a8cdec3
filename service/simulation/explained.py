"""Why one connection passes or not: the two ends found, the policies asked, and what was really seen."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from jobs.observations.clock import moment_if_any
from jobs.observations.clusters import ObservedCluster
from models.domain.policy import Direction, PolicySet
from models.errors import BadInputError
from models.manifest.parse import parse_objects
from models.manifest.render import to_yaml
from models.simulation.changes import Change
from models.simulation.context import DnsQuestion, PolicyFlow, config_for
from models.simulation.decision import Gate
from models.simulation.explain import PLURAL, Explanation, explain
from models.simulation.flow_lines import flow_line, named_end, request_text
from models.simulation.held_call import Call, Party
from models.simulation.hubble import ObservedFlow, flow_to_policyflow
from service.observed import queries
from service.simulation.ends import End, find_end
from service.simulation.mesh import mesh_notes, own_direction
from service.simulation.reviewed import NOTHING, Review, Reviewed
from service.wiring import Portolan

MAX_ICMP_TYPE: Final = 255  # one byte
#: Classes of observed verdicts that say that policy stopped a flow.
_STOPPED: Final = ("denied", "l7_denied")
_BY: Final = ("egress_denied_by", "ingress_denied_by", "egress_allowed_by", "ingress_allowed_by")


@dataclass(frozen=True, slots=True)
class Question:
    """Who cannot reach whom, as asked."""

    source: str
    destination: str
    protocol: str | None = None
    port: int | None = None
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class HubbleSaid:
    """What Hubble recorded of a flow: ``allowed``, ``denied``, ``audited``, ``other``; and whom it named."""

    outcome: str
    drop_reason: str
    named: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Form of the API."""
        return {"outcome": self.outcome, "drop_reason": self.drop_reason, "named": list(self.named)}


@dataclass(frozen=True, slots=True)
class Answer:
    """Why, with what was observed between the two, or recorded of this very flow."""

    cluster: str
    cilium_version: str
    source: str
    destination: str
    flow: PolicyFlow
    explanation: Explanation
    policies: PolicySet
    observed: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    hubble: HubbleSaid | None = None
    reviewed: Reviewed = NOTHING

    def to_json(self) -> dict[str, Any]:
        """Form of the API and of ``--format json``; no change opens what screening or people keep out."""
        made = self.explanation
        changes = {} if self.reviewed.keeps_out else made.changes
        return {
            "cluster": self.cluster,
            "cilium_version": self.cilium_version,
            "source": self.source,
            "destination": self.destination,
            "protocol": self.flow.protocol,
            "port": self.flow.port,
            "request": request_text(self.flow),
            "verdict": made.decision.verdict.value,
            "reason": made.decision.reason,
            "gates": [_gate(gate, made) for gate in made.decision.gates],
            "changes": [
                _change(direction, change) for direction, change in changes.items() if change is not None
            ],
            "held_back": list(self.reviewed.held),
            "rejected_rules": list(self.reviewed.rejected),
            "commands": list(made.commands),
            "observed": list(self.observed),
            "notes": list(self.notes),
            "hubble": None if self.hubble is None else self.hubble.to_json(),
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


def _change(direction: Direction, change: Change) -> dict[str, Any]:
    patch = [dict(operation) for operation in change.patch]
    policy = change.policy
    return {
        "direction": direction.value,
        "policy": str(policy),
        "patch": patch,
        "because": change.because,
        "yaml": "".join(_added(operation) for operation in patch),
        "command": shlex.join(
            [
                "kubectl",
                "patch",
                *([f"--namespace={policy.namespace}"] if policy.namespace else []),
                f"{PLURAL[policy.kind]}/{policy.name}",
                "--type=json",
                "--dry-run=server",
                "--output=yaml",
                f"--patch={json.dumps(patch)}",
            ]
        ),
    }


def _added(operation: Mapping[str, Any]) -> str:
    """What an operation adds, below the key of the list that it goes into."""
    if "value" not in operation:
        return ""
    value, parts = operation["value"], operation["path"].removesuffix("/-").split("/")
    return to_yaml({parts[-1]: value if isinstance(value, list) else [value]})


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
    notes = mesh_notes(source, destination, _called(portolan, cluster.name, source, destination))
    protocol, port = _service(question, seen, notes)
    direction = question.direction or own_direction(source, destination)
    flow = PolicyFlow(direction, source.side, destination.side, protocol, port)
    config = config_for(flow, cilium_version)
    policies = parse_objects(list(objects), config=config)
    explanation = explain(policies, flow, config)
    call = Call(_party(source), _party(destination), _stored(protocol), port)
    return Answer(
        cluster.name,
        cilium_version,
        source.title,
        destination.title,
        flow,
        explanation,
        policies,
        tuple(one for one in seen if (one["protocol"], one["port"]) == (_stored(protocol), port)),
        notes,
        reviewed=Review(portolan, cluster.name).of(call, flow, _denied(explanation), config),
    )


def answer_flow(
    records: Iterable[Mapping[str, Any]],
    objects: Sequence[Mapping[str, Any]],
    *,
    cilium_version: str,
    direction: Direction | None = None,
    review: Review | None = None,
) -> Answer:
    """
    Explain what Hubble recorded: of several records the first that policy denied, else the first question.

    `review` knows what was said of calls; without a store there is none.
    Raises BadInputError where no record asks anything of policy, with the reason of the first.
    """
    first: tuple[Mapping[str, Any], ObservedFlow] | None = None
    skipped = ""
    for record in records:
        observed = flow_to_policyflow(record)
        skipped = skipped or observed.skipped
        if observed.question is None:
            continue
        first = first or (record, observed)
        if observed.hubble == "denied":
            first = (record, observed)
            break
    if first is None:
        raise BadInputError(f"no record asks anything of policy: {skipped or 'there is none'}")
    record, observed = first
    if observed.question is None:
        raise BadInputError(observed.skipped)
    flow = replace(observed.question, direction=direction)
    config = config_for(observed.question, cilium_version)
    policies = parse_objects(list(objects), config=config)
    line = flow_line(record, flow, Direction.EGRESS)
    namespace, workload, _, peer, _ = line.ends
    explanation = explain(policies, flow, config)
    reviewed = NOTHING
    if review is not None:
        reviewed = review.of(_recorded_call(record, flow), flow, _denied(explanation), config)
    return Answer(
        config.cluster_name,
        cilium_version,
        f"{namespace}/{workload}" if namespace else workload,
        peer,
        flow,
        explanation,
        policies,
        hubble=_said(record, observed.hubble),
        reviewed=reviewed,
    )


def _denied(made: Explanation) -> tuple[Direction, ...]:
    return tuple(made.changes)


def _party(end: End) -> Party:
    return Party(end.side, end.namespace, end.workload, end.mesh, end.label_key)


def _recorded_call(record: Mapping[str, Any], flow: PolicyFlow) -> Call:
    """The call of a Hubble record, by the workloads that it names."""
    (client, server) = (named_end(record, end) for end in ("source", "destination"))
    return Call(
        Party(flow.source, *client),
        Party(flow.destination, *server),
        None if flow.protocol is None else _stored(flow.protocol),
        flow.port,
        flow.l7 if isinstance(flow.l7, DnsQuestion) else None,
    )


def _said(record: Mapping[str, Any], outcome: str) -> HubbleSaid:
    flow = record.get("flow", record)
    flow = flow if isinstance(flow, Mapping) else {}
    reason = flow.get("drop_reason_desc") or flow.get("dropReasonDesc") or ""
    named = []
    for key in _BY:
        listed = flow.get(key)
        for one in listed if isinstance(listed, list) else []:
            if isinstance(one, Mapping):
                place = "/".join(str(one[part]) for part in ("kind", "namespace", "name") if one.get(part))
                named.append(f"{key.replace('_', ' ')} {place}")
    return HubbleSaid(outcome, str(reason), tuple(named))


def _observed(portolan: Portolan, cluster: str, source: End, destination: End) -> list[dict[str, Any]]:
    side = destination.side
    peers = [destination.label_key, side.ip, side.entity, *(side.names or ())]
    client = (source.mesh, source.namespace, source.workload, source.label_key)
    server = (destination.mesh, destination.namespace, destination.workload)
    rows = queries.edges_between(portolan.store, cluster, client, server, [peer for peer in peers if peer])
    return [
        {
            "protocol": row["protocol"],
            "port": row["icmp_type"] if row["protocol"].startswith("ICMP") else row["port"],
            "verdict": row["verdict"],
            "flows": row["flows"],
            "answered": row["answered"],
            "first_seen": moment_if_any(row["first_us"]),
            "last_seen": moment_if_any(row["last_us"]),
        }
        for row in rows
    ]


def _called(portolan: Portolan, cluster: str, source: End, destination: End) -> dict[str, list[str]]:
    """What was seen from the source to namesakes of the destination, by the cluster that they run in."""
    called = {}
    for mesh in destination.elsewhere:
        name = "/".join(destination.title.split("/")[-2:])
        seen = _observed(portolan, cluster, source, find_end(portolan.store, cluster, f"{mesh}/{name}"))
        called[mesh] = [
            f"{one['flows']:,} flows {one['verdict']} on {one['protocol']}/{one['port']}" for one in seen[:3]
        ]
    return called


def _stored(protocol: str) -> str:
    """Name of a protocol in the store."""
    return "ICMPv4" if protocol == "ICMP" else protocol


def _service(question: Question, seen: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> tuple[str, int]:
    """Protocol and port asked about: as given, else the one that was observed, one denied first."""
    if question.port is not None:
        if question.protocol in ("ICMP", "ICMPv6") and question.port > MAX_ICMP_TYPE:
            raise BadInputError(f"a type of {question.protocol} is at most {MAX_ICMP_TYPE}")
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
    said = "observed were " + known if known else "; ".join(("nothing was observed", *notes))
    raise BadInputError(f"name the port: {said}")
