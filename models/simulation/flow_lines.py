"""One Hubble record as the line of a report: whose gate, which peer, which request, which day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.domain.policy import Direction
from models.simulation.context import DnsQuestion, HttpRequest, PolicyFlow

#: What Hubble saw, as the legitimacy of a line: what policy stopped today is broken by no change.
LEGITIMACY: Final = {"allowed": "legitimate", "audited": "legitimate", "denied": "denied", "other": "other"}
_DAY: Final = len("2026-03-01")


@dataclass(frozen=True, slots=True)
class FlowLine:
    """
    What a line of a report says of one flow.

    Parameters
    ----------
    ends
        Namespace and workload of the subject, direction, peer, port.
    request
        ``GET /orders``, ``DNS api.example.org``, or empty.
    day
        ``YYYY-MM-DD``, empty when the record has no time.
    """

    ends: tuple[str, str, str, str, str]
    request: str
    day: str


def flow_line(record: Mapping[str, Any], question: PolicyFlow, direction: Direction) -> FlowLine:
    """
    Describe a flow as seen from one of its ends.

    Parameters
    ----------
    record
        Decoded, in an envelope or not; of any shape.
    question
        The same flow as `models.simulation.hubble` reads it.
    direction
        Which end.
    """
    flow = record.get("flow", record)
    flow = flow if isinstance(flow, Mapping) else {}
    mine, other = ("destination", "source") if direction is Direction.INGRESS else ("source", "destination")
    namespace, workload = _named(flow, mine)
    peer_namespace, peer = _named(flow, other)
    names = question.peer(direction).names
    port = f"{question.protocol or '?'}/{'?' if question.port is None else question.port}"
    if question.protocol in ("ICMP", "ICMPv6"):
        port = f"{question.protocol} type {question.port}"
    shown = f"{peer} in {peer_namespace}" if peer_namespace else peer
    shown += f" ({', '.join(names[:3])})" if names and not peer_namespace else ""
    time = flow.get("time") or record.get("time")
    day = time[:_DAY] if isinstance(time, str) else ""
    return FlowLine((namespace, workload, direction.value, shown, port), request_text(question), day)


def request_text(question: PolicyFlow) -> str:
    """The request for people; empty where only the connection is asked."""
    request = question.l7
    if isinstance(request, HttpRequest):
        return f"{request.method or '?'} {(request.path or '?').partition('?')[0]}"
    return f"DNS {request.name}" if isinstance(request, DnsQuestion) else ""


def named_end(record: Mapping[str, Any], end: str) -> tuple[str, str]:
    """Namespace and name of ``source`` or ``destination`` of a record, as `FlowLine` names them."""
    flow = record.get("flow", record)
    return _named(flow if isinstance(flow, Mapping) else {}, end)


def _named(flow: Mapping[str, Any], end: str) -> tuple[str, str]:
    """Namespace and the most stable name of an end: workload, pod, reserved identity, address."""
    endpoint = flow.get(end)
    endpoint = endpoint if isinstance(endpoint, Mapping) else {}
    namespace = endpoint.get("namespace")
    namespace = namespace if isinstance(namespace, str) else ""
    owners = endpoint.get("workloads")
    first = owners[0] if isinstance(owners, list) and owners else None
    owner = first.get("name") if isinstance(first, Mapping) else None
    pod = endpoint.get("pod_name") or endpoint.get("podName")
    if isinstance(owner or pod, str):
        return namespace, str(owner or pod)
    labels = endpoint.get("labels")
    texts = [text for text in labels if isinstance(text, str)] if isinstance(labels, list) else []
    reserved = [text.removeprefix("reserved:") for text in texts if text.startswith("reserved:")]
    addresses = flow.get("IP")
    address = addresses.get(end) if isinstance(addresses, Mapping) else None
    if reserved and (reserved != ["world"] or not isinstance(address, str)):
        return "", "+".join(reserved)
    return namespace, address if isinstance(address, str) and address else "unknown"
